"""`safeconduct key`: make and convert keys."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.issuing import IssuerUrl, Tenant
from safeconduct.cli.options import AsJson, Config, Now, Out

if TYPE_CHECKING:
    from safeconduct.crypto.keys import PublicKey

app = typer.Typer(help="Make and convert keys.", no_args_is_help=True)


class Form(StrEnum):
    """How a key is written."""

    PEM = "pem"
    JWK = "jwk"
    COSE = "cose"


class Hash(StrEnum):
    """Hashes of thumbprints."""

    SHA256 = "sha-256"
    SHA384 = "sha-384"
    SHA512 = "sha-512"


KeyPlace = Annotated[
    str,
    typer.Argument(
        metavar="FILE|-|URI",
        help="A key in PEM, DER, JWK or COSE_Key form; - for standard input; or a pkcs11: URI.",
    ),
]
FormOption = Annotated[Form, typer.Option("--format", help="How to write the key.")]


@app.command()
def new(
    algorithm: Annotated[
        str,
        typer.Option(
            "--alg",
            metavar="NAME",
            help="ES256, ESP256, ES384, ESP384, ES512, ESP512, Ed25519, Ed448, ML-DSA-44, ML-DSA-65 or "
            "ML-DSA-87.",
        ),
    ] = "ES256",
    form: FormOption = Form.PEM,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="TEXT", help="Name the key (not in PEM, which has no place for it)."),
    ] = None,
    out: Out = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    pkcs11: Annotated[
        str | None,
        typer.Option(
            "--pkcs11",
            metavar="URI",
            help="Make the key in this PKCS#11 token, which it never leaves; the public half is written.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a private key.

    A file gets mode 0600 and is never overwritten unless --force says so. A key in a token is never replaced.

    \b
    Examples:
      safeconduct key new --alg ES256 --out issuer.pem
      safeconduct key new --pkcs11 'pkcs11:token=t;object=issuer?module-path=...&pin-source=file:/run/pin'
    """
    if pkcs11 is not None:
        _new_in_token(pkcs11, algorithm, form, kid, out, as_json=as_json)
    else:
        _new_in_file(algorithm, form, kid, out, force=force, as_json=as_json)


def _new_in_file(
    algorithm: str, form: Form, kid: str | None, out: str | None, *, force: bool, as_json: bool
) -> None:
    from safeconduct.cli import files, keyfiles, output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.crypto.keys import Key
    from safeconduct.encoding import b64
    from safeconduct.errors import Unsupported

    if kid is not None and form is Form.PEM:
        raise WrongUse("PEM has no place for --kid: add --format jwk or --format cose")
    try:
        key = Key.generate(algorithm, kid=kid)
    except Unsupported:
        raise WrongUse("--alg knows no such name; `safeconduct key new --help` lists them") from None
    data = keyfiles.private_form(key, form.value)
    thumbprint = b64.encode(key.public.jwk_thumbprint())
    if out is not None and out != files.STANDARD_STREAM:
        (files.write_new if not force else _replace)(out, data)
        if as_json:
            output.write_json({"out": out, "algorithm": key.algorithm.name, "thumbprint": thumbprint})
        else:
            output.note(f"wrote {out}: {key.algorithm.name}, thumbprint {thumbprint}")
    elif as_json:
        output.write_json(
            {"algorithm": key.algorithm.name, "key": _embedded(data, form), "thumbprint": thumbprint}
        )
    else:
        _to_standard_output(data, form)


def _new_in_token(
    uri: str, algorithm: str, form: Form, kid: str | None, out: str | None, *, as_json: bool
) -> None:
    from safeconduct import hsm
    from safeconduct.cli.faults import WrongUse

    if kid is not None and form is Form.PEM:
        raise WrongUse("PEM has no place for --kid: add --format jwk or --format cose")
    try:
        key = hsm.generate_key(uri, algorithm)
    except hsm.HsmError as error:
        raise WrongUse(f"--pkcs11: {error}") from None
    _write_public(key.with_kid(kid), form, out, as_json=as_json)


@app.command()
def public(file: KeyPlace, form: FormOption = Form.PEM, out: Out = None, as_json: AsJson = False) -> None:
    """Write the public half of a key, or a public key in another form.

    \b
    Example:
      safeconduct key public issuer.pem --format jwk --out issuer-public.jwk
    """
    from safeconduct.cli import keyfiles

    _write_public(keyfiles.read_public_of_either(file), form, out, as_json=as_json)


def _write_public(key: "PublicKey", form: Form, out: str | None, *, as_json: bool) -> None:
    from safeconduct.cli import files, keyfiles, output

    data = keyfiles.public_form(key, form.value)
    if out is not None and out != files.STANDARD_STREAM:
        files.write(out, data)
        if as_json:
            output.write_json({"out": out, "algorithm": key.algorithm.name})
    elif as_json:
        output.write_json({"algorithm": key.algorithm.name, "key": _embedded(data, form)})
    else:
        _to_standard_output(data, form)


@app.command()
def thumbprint(
    file: KeyPlace,
    cose: Annotated[
        bool,
        typer.Option("--cose", help="The COSE Key thumbprint (RFC 9679) instead of the JWK one (RFC 7638)."),
    ] = False,
    hash_name: Annotated[Hash, typer.Option("--hash", help="The hash.")] = Hash.SHA256,
    as_json: AsJson = False,
) -> None:
    """Print the thumbprint of a key, in base64url.

    \b
    Example:
      safeconduct key thumbprint issuer.pem
    """
    from safeconduct.cli import keyfiles, output
    from safeconduct.encoding import b64

    key = keyfiles.read_public_of_either(file)
    name = hash_name.value.replace("-", "")
    digest = key.cose_thumbprint(name) if cose else key.jwk_thumbprint(name)
    if as_json:
        kind = "cose" if cose else "jwk"
        output.write_json(
            {"kind": kind, "hash": hash_name.value, "thumbprint": b64.encode(digest), "hex": digest.hex()}
        )
    else:
        output.write_text(b64.encode(digest))


@app.command()
def rotate(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A private key in PEM form, as services use it.")
    ],
    overlap: Annotated[
        int,
        typer.Option(
            "--overlap", metavar="SECONDS", min=0, help="How long the old public key stays published."
        ),
    ] = 30 * 86400,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Put a new key in the place of one that signs.

    The new one has the same algorithm. The old private key is destroyed; its public half goes to FILE.retired
    and stays published until the overlap ends. Running services notice within a minute.

    \b
    Example:
      safeconduct key rotate safeconduct-data/issuer-key.pem --overlap 2592000
    """
    from pathlib import Path

    from safeconduct.cli import options, output
    from safeconduct.cli.faults import WrongUse, printable
    from safeconduct.encoding import b64
    from safeconduct.services import signing_keys
    from safeconduct.settings import SettingsError

    if file.startswith("pkcs11:"):
        raise WrongUse("a key in a token is changed by naming another one in signing_key, and a restart")
    moment = options.moment(now)
    try:
        key = signing_keys.rotate(Path(file), overlap=overlap, now=moment)
    except SettingsError as error:
        raise WrongUse("\n".join(map(printable, error.problems))) from None
    thumbprint = b64.encode(key.jwk_thumbprint())
    if as_json:
        output.write_json({"thumbprint": thumbprint, "overlap_ends": moment + overlap})
    else:
        output.note(f"replaced {file}: thumbprint {thumbprint}")


@app.command()
def rotate_encryption(
    issuer: IssuerUrl = None, tenant: Tenant = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Have an issuer encrypt with new keys.

    It goes through the management API. New keys for requests are published after some seconds; the private
    halves of the ones before are destroyed as soon as no wallet can still be using them.

    \b
    Example:
      safeconduct key rotate-encryption
    """
    from safeconduct.cli import management, output

    answer = management.ask("POST", "/keys/rotate", None, url=issuer, config=config, tenant=tenant)
    if as_json:
        output.write_json(answer)
    else:
        times = [management.date(answer.get(name)) for name in ("published_at", "destroyed_at")]
        output.note(f"published at {times[0]}; the keys before are destroyed at {times[1]}")


def _replace(place: str, data: bytes) -> None:
    from safeconduct.cli import files

    files.write(place, data, secret=True)


def _embedded(data: bytes, form: Form) -> object:
    """Return a written key as a JSON value: an object for a JWK, text for PEM, hexadecimal for COSE."""
    from safeconduct.encoding import json

    if form is Form.JWK:
        return json.loads_object(data)
    return data.decode() if form is Form.PEM else data.hex()


def _to_standard_output(data: bytes, form: Form) -> None:
    from safeconduct.cli import output

    if form is Form.COSE:
        output.write_bytes(data)
    else:
        output.write_text(data.decode().removesuffix("\n"))
