"""`safeconduct sd-cwt present`."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from safeconduct.cli.options import (
    LATEST,
    Accept,
    AsJson,
    NonceHex,
    Now,
    Out,
    ProfileName,
    audience_name,
    hexadecimal,
    leniencies,
    moment,
)

TokenFile = Annotated[str, typer.Argument(metavar="TOKEN|-", help="The issued token; - for standard input.")]
HolderKey = Annotated[str, typer.Option("--holder-key", metavar="FILE", help="The holder's private key.")]
Audience = Annotated[
    str, typer.Option("--audience", metavar="URI", help="The verifier for whom the presentation is.")
]
Disclose = Annotated[
    list[str] | None,
    typer.Option("--disclose", metavar="PATH", help="A claim to show, with all inside it. May be repeated."),
]
Everything = Annotated[bool, typer.Option("--all", help="Show every claim.")]
Encrypt = Annotated[
    list[str] | None,
    typer.Option(
        "--encrypt",
        metavar="PATH=HEXKEY",
        help="A claim to show only to those who have this AEAD key. May be repeated.",
    ),
]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", metavar="SECONDS", min=1, max=LATEST, help="Let the presentation expire."),
]


def present(
    token: TokenFile = "-",  # noqa: S107  a file name
    *,
    holder_key: HolderKey,
    audience: Audience,
    nonce: NonceHex = None,
    disclose: Disclose = None,
    everything: Everything = False,
    encrypt: Encrypt = None,
    lifetime: Lifetime = None,
    now: Now = None,
    profile: ProfileName = "ietf-08",
    accept: Accept = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show a part of an SD-CWT to one verifier, under a key binding.

    Nothing that may be withheld is shown unless it is named. `safeconduct sd-cwt inspect` shows the paths.

    \b
    Example:
      safeconduct sd-cwt present token.cbor --holder-key holder.pem \\
        --audience https://verifier.example --nonce 8c0f5f523b95bea44a9a48c649240803 \\
        --disclose given_name --out presentation.cbor
    """
    from safeconduct.cli import files, keyfiles, tokens
    from safeconduct.cli.claims import path
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES

    if everything and disclose:
        raise WrongUse("--all and --disclose exclude each other")
    holder = keyfiles.read_private(holder_key)
    secret = _encryption_keys(encrypt or ())
    shown = [*(disclose or ()), *secret]
    for text in shown:
        path(text, option="--disclose")
    presentation = sd_cwt.present(
        files.read(token, max_bytes=TOKEN_BYTES),
        holder=holder,
        disclose=sd_cwt.ALL if everything else shown,
        audience=audience_name(audience),
        nonce=None if nonce is None else hexadecimal("--nonce", nonce),
        now=moment(now),
        lifetime=lifetime,
        encrypt=secret,
        profile=tokens.profile(profile),
        accept=leniencies(accept),
    )
    tokens.deliver(presentation, out, as_json=as_json)


def _encryption_keys(pairs: Iterable[str]) -> dict[str, Any]:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.trust import AeadKey

    keys = {}
    for pair in pairs:
        text, mark, key = pair.rpartition("=")
        if not mark:
            raise WrongUse("--encrypt wants PATH=HEXKEY")
        keys[text] = AeadKey(hexadecimal("--encrypt", key))
    return keys
