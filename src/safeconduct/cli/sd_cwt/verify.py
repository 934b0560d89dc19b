"""`safeconduct sd-cwt verify`: the contract that scripts rely on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import (
    LATEST,
    Accept,
    AsJson,
    NonceHex,
    ProfileName,
    audience_name,
    hexadecimal,
    leniencies,
    moment,
)

if TYPE_CHECKING:
    from safeconduct.trust import Trust

PresentationFile = Annotated[
    str, typer.Argument(metavar="FILE|-", help="The presentation; - for standard input.")
]
IssuerKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--issuer-key",
        metavar="FILE",
        help="The issuer's public key, whatever issuer the token names. May be repeated.",
    ),
]
TrustFile = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="FILE",
        help='Issuers and their keys in JSON: {"https://issuer.example": KEYS, ...}. KEYS is a JWK, a JWK '
        'Set, or an array of JWKs, PEM texts and {"pem": "...", "kid": "..."}.',
    ),
]
Audience = Annotated[
    str, typer.Option("--audience", metavar="URI", help="The verifier for whom the presentation must be.")
]
At = Annotated[
    int | None,
    typer.Option(
        "--at", metavar="UNIX", min=0, max=LATEST, help="Judge as of this time, in seconds since 1970."
    ),
]
AeadKeys = Annotated[
    list[str] | None,
    typer.Option("--aead-key", metavar="HEX", help="Opens encrypted disclosures. May be repeated."),
]
HolderKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--holder-key",
        metavar="FILE",
        help="A holder's public key, for tokens that name theirs by kid or thumbprint. May be repeated.",
    ),
]
Leeway = Annotated[
    int, typer.Option("--leeway", metavar="SECONDS", min=0, max=LATEST, help="How far clocks may differ.")
]
MaxAge = Annotated[
    int | None,
    typer.Option("--max-age", metavar="SECONDS", min=0, max=LATEST, help="How old the key binding may be."),
]
AsCbor = Annotated[bool, typer.Option("--cbor", help="Write the claims as CBOR instead of JSON.")]


def verify(
    file: PresentationFile = "-",
    *,
    issuer_key: IssuerKeys = None,
    trust: TrustFile = None,
    audience: Audience,
    nonce: NonceHex = None,
    at: At = None,
    profile: ProfileName = "ietf-08",
    accept: Accept = None,
    aead_key: AeadKeys = None,
    holder_key: HolderKeys = None,
    leeway: Leeway = 0,
    max_age: MaxAge = None,
    as_cbor: AsCbor = False,
    as_json: AsJson = False,
) -> None:
    """Verify a presentation and print the disclosed claims as JSON.

    Exit status 0: valid. 1: not acceptable, with "code: reason" on standard error. With --json, standard
    output has {"claims", "key_binding"} or {"code", "reason"}. Without --nonce any nonce is accepted: a
    presentation can then be replayed.

    \b
    Example:
      safeconduct sd-cwt verify presentation.cbor --issuer-key issuer-public.pem \\
        --audience https://verifier.example --nonce 8c0f5f523b95bea44a9a48c649240803
    """
    from safeconduct.cli import files, keyfiles, output, tokens
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED, AeadKey, Policy

    if as_cbor and as_json:
        raise WrongUse("--cbor and --json exclude each other")
    policy = Policy(
        audience=audience_name(audience),
        nonce=WAIVED if nonce is None else hexadecimal("--nonce", nonce),
        leeway=leeway,
        max_age=max_age,
        profiles=(tokens.profile(profile),),
        accept=leniencies(accept),
        aead_keys=tuple(AeadKey(hexadecimal("--aead-key", text)) for text in aead_key or ()),
        holder_keys=tuple(keyfiles.read_public(name) for name in holder_key or ()),
    )
    anchors = _trust(issuer_key or (), trust)
    data = files.read(file, max_bytes=TOKEN_BYTES)
    verified = sd_cwt.verify(data, trust=anchors, policy=policy, now=moment(at))
    if as_cbor:
        output.write_bytes(tokens.encoded(verified.claims))
    elif as_json:
        output.write_json(
            {"claims": verified.claims.to_json(), "key_binding": verified.key_binding.to_json()}
        )
    else:
        output.write_json(verified.claims.to_json())


def _trust(issuer_keys: Iterable[str], trust_file: str | None) -> "Trust":
    from safeconduct.cli import files, keyfiles
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError
    from safeconduct.limits import JSON_BYTES
    from safeconduct.trust import Trust
    from safeconduct.trust.file import read_trust

    # A key that is given by hand is meant, by whatever name its file or the token calls it.
    keys = [keyfiles.read_public(name).with_kid(None) for name in issuer_keys]
    if bool(keys) == (trust_file is not None):
        raise WrongUse("give either --issuer-key FILE or --trust FILE: without one no issuer can be believed")
    if trust_file is None:
        return Trust.key(*keys)
    try:
        return read_trust(files.read_whole(trust_file, max_bytes=JSON_BYTES))
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(trust_file)} is no trust file: {error.reason}") from None
