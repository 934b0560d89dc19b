"""`safeconduct interop verify`."""

from typing import Annotated

import typer

from safeconduct.cli.interop.options import Issuer, IssuerKey, Time
from safeconduct.cli.options import Accept, AsJson, audience_name, leniencies, moment

Audience = Annotated[
    str | None,
    typer.Option("--audience", metavar="TEXT", help="Who the key binding must be for; anyone if not given."),
]


def verify(
    *,
    issuer: Issuer = None,
    issuer_key: IssuerKey = None,
    audience: Audience = None,
    time: Time = None,
    accept: Accept = None,
    as_json: AsJson = False,
) -> None:
    """Read a key binding token from standard input, write the validated claims in CBOR.

    \b
    Example:
      safeconduct interop verify --issuer issuer_pub.pem \\
        --audience https://verifier.example/app <kbt.cbor >claims.cbor
    """
    from safeconduct.cli import files, output, tokens
    from safeconduct.cli.interop.issuer_key import trust_for, trust_in_file
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED, Policy

    accepted = leniencies(accept)
    policy = Policy(
        audience=WAIVED if audience is None else audience_name(audience), nonce=WAIVED, accept=accepted
    )
    named = trust_in_file(issuer)
    data = files.read(files.STANDARD_STREAM, max_bytes=TOKEN_BYTES)
    parsed = sd_cwt.parse(data, accept=accepted)
    trust = named or trust_for(parsed.token.message, issuer_key)
    verified = sd_cwt.verify(parsed, trust=trust, policy=policy, now=moment(time))
    if as_json:
        output.write_json(verified.claims.to_json())
    else:
        output.write_bytes(tokens.encoded(verified.claims))
