"""What the commands on tokens share: naming profiles, delivering what was made."""

from safeconduct.cli import files, output
from safeconduct.cli.faults import WrongUse
from safeconduct.crypto.jwk import kid_text
from safeconduct.encoding import b64, cbor
from safeconduct.errors import Unsupported
from safeconduct.formats.sd_cwt import Claims, Profile
from safeconduct.formats.sd_cwt.profile import by_name


def profile(name: str) -> Profile:
    """Return the wire profile of that name. Raises WrongUse."""
    try:
        return by_name(name)
    except Unsupported as error:
        raise WrongUse(f"--profile: {error.reason}") from None


def identifier(kid: str | bytes | None) -> bytes | None:
    """Return a key identifier as a COSE header carries it."""
    return kid.encode() if isinstance(kid, str) else kid


def identifier_text(kid: str | bytes | None) -> str | None:
    """Return a key identifier as a JOSE header carries it."""
    return None if kid is None else kid_text(kid)


def encoded(claims: Claims) -> bytes:
    """Return the CBOR of a claim set, under the labels that the token has."""
    return cbor.dumps(claims.wire)


def deliver_text(token: str, out: str | None, *, as_json: bool) -> None:
    """Write a token that is text to a file or standard output, as a line.

    as_json: write a document to standard output that names the file, or else holds the token.
    """
    if out is not None and out != files.STANDARD_STREAM:
        files.write(out, token.encode() + b"\n")
        if as_json:
            output.write_json({"out": out, "bytes": len(token)})
    elif as_json:
        output.write_json({"token": token, "bytes": len(token)})
    else:
        output.write_text(token)


def deliver(token: bytes, out: str | None, *, as_json: bool) -> None:
    """Write a token to a file or standard output.

    as_json: write a document to standard output that names the file, or else holds the token in base64url.
    """
    if out is not None and out != files.STANDARD_STREAM:
        files.write(out, token)
        if as_json:
            output.write_json({"out": out, "bytes": len(token)})
    elif as_json:
        output.write_json({"token": b64.encode(token), "bytes": len(token)})
    else:
        output.write_bytes(token)
