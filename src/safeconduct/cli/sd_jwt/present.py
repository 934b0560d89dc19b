"""`safeconduct sd-jwt present`."""

from typing import Annotated

import typer

from safeconduct.cli.options import LATEST, AsJson, Now, Out, audience_name, moment
from safeconduct.cli.sd_jwt.options import Accept, FormName, NonceText, leniencies, nonce_text

TokenFile = Annotated[str, typer.Argument(metavar="TOKEN|-", help="The issued token; - for standard input.")]
HolderKey = Annotated[
    str | None, typer.Option("--holder-key", metavar="FILE", help="The holder's private key.")
]
Audience = Annotated[
    str | None, typer.Option("--audience", metavar="URI", help="The verifier for whom the presentation is.")
]
Disclose = Annotated[
    list[str] | None,
    typer.Option("--disclose", metavar="PATH", help="A claim to show, with all inside it. May be repeated."),
]
Everything = Annotated[bool, typer.Option("--all", help="Show every claim.")]
NoKeyBinding = Annotated[
    bool,
    typer.Option("--no-key-binding", help="Prove no possession: leave out key, audience and nonce."),
]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", metavar="SECONDS", min=1, max=LATEST, help="Let the presentation expire."),
]
Form = Annotated[
    FormName | None, typer.Option("--form", help="The serialisation, if not the one of the token.")
]


def present(
    token: TokenFile = "-",  # noqa: S107  a file name
    *,
    holder_key: HolderKey = None,
    audience: Audience = None,
    nonce: NonceText = None,
    disclose: Disclose = None,
    everything: Everything = False,
    no_key_binding: NoKeyBinding = False,
    lifetime: Lifetime = None,
    now: Now = None,
    form: Form = None,
    accept: Accept = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show a part of an SD-JWT to one verifier, under a key binding.

    Nothing that may be withheld is shown unless it is named. `safeconduct sd-jwt inspect` shows the paths.

    \b
    Example:
      safeconduct sd-jwt present token.txt --holder-key holder.pem \\
        --audience https://verifier.example --nonce n-0S6_WzA2Mj \\
        --disclose given_name --out presentation.txt
    """
    from safeconduct.cli import files, keyfiles, tokens
    from safeconduct.cli.claims import path
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats import sd_jwt
    from safeconduct.formats.sd_jwt.claims import resolve
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED

    if everything and disclose:
        raise WrongUse("--all and --disclose exclude each other")
    for text in disclose or ():
        path(text, option="--disclose", resolved_by=resolve)
    given = (holder_key, audience, nonce)
    if no_key_binding and (any(item is not None for item in given) or lifetime is not None):
        raise WrongUse(
            "--no-key-binding leaves no place for --holder-key, --audience, --nonce and --lifetime"
        )
    if not no_key_binding and any(item is None for item in given):
        raise WrongUse("a key binding wants --holder-key, --audience and --nonce")
    presentation = sd_jwt.present(
        files.read(token, max_bytes=TOKEN_BYTES).strip(),
        holder=WAIVED if holder_key is None else keyfiles.read_private(holder_key),
        disclose=sd_jwt.ALL if everything else disclose or (),
        audience=None if audience is None else audience_name(audience),
        nonce=None if nonce is None else nonce_text(nonce),
        now=None if no_key_binding else moment(now),
        lifetime=lifetime,
        form=None if form is None else form.value,
        accept=leniencies(accept),
    )
    tokens.deliver_text(presentation, out, as_json=as_json)
