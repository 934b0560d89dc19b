"""`safeconduct interop issue`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.interop.options import Time
from safeconduct.cli.options import AsJson, key_identifier, moment

if TYPE_CHECKING:
    from safeconduct.crypto.keys import Key

IssuerPrivate = Annotated[
    str, typer.Argument(metavar="ISSUER_PRIV", help="The issuer's private key, in PEM (PKCS#8, also v2).")
]
Nonces = Annotated[
    str | None,
    typer.Option(
        "--nonces",
        metavar="FILE",
        help="CSV: hexadecimal SHA-256 of [key, value], or of [null, value], or a decoy's number; salt.",
    ),
]
Holder = Annotated[
    str | None,
    typer.Option(
        "--holder", metavar="FILE", help="The holder's public key, if the claims have no cnf (an extension)."
    ),
]
Kid = Annotated[
    str | None,
    typer.Option("--kid", metavar="TEXT|0xHEX", help="The issuer key's identifier (an extension)."),
]

NONCE_LIST = "nonce_list.out"

_RIG_LENIENCIES = ("tag-58-on-value",)
"""What the rig's own claims need: they have tag 58 round values of maps."""


def issue(
    issuer_private: IssuerPrivate,
    *,
    nonces: Nonces = None,
    time: Time = None,
    holder: Holder = None,
    kid: Kid = None,
    as_json: AsJson = False,
) -> None:
    """Read claims in CBOR (tags 58 and 62) from standard input, write an issued SD-CWT.

    Signatures are deterministic. All salts used are written to nonce_list.out in the current directory.

    \b
    Example:
      safeconduct interop issue issuer_privkey.pem --nonces salt_list.csv \\
        <claims.cbor >issued.cbor
    """
    from safeconduct.cli import files, keyfiles, output, tokens
    from safeconduct.cli.claims import read_claims
    from safeconduct.cli.interop.salts import MAX_BYTES, ListedSalts, read_salts
    from safeconduct.formats import sd_cwt
    from safeconduct.formats.sd_cwt.values import check_clock, check_registered
    from safeconduct.limits import TOKEN_BYTES

    signer = _deterministic(keyfiles.read_private(issuer_private))
    confirmed = None if holder is None else keyfiles.read_public(holder)
    listed = {} if nonces is None else read_salts(files.read_whole(nonces, max_bytes=MAX_BYTES))
    data = files.read(files.STANDARD_STREAM, max_bytes=TOKEN_BYTES)
    claims = read_claims(data, form=None, accept=_RIG_LENIENCIES)
    clear = _clear(claims)
    check_registered(clear)
    check_clock(clear, now=moment(time), leeway=0)
    salts = ListedSalts(listed)
    token = sd_cwt.issue(
        claims,
        issuer=signer,
        holder=confirmed,
        now=None,
        kid=tokens.identifier(signer.kid) if kid is None else key_identifier(kid),
        salts=salts,
        digest_order=list,
    )
    files.write(NONCE_LIST, salts.used())
    output.note(f"issued {len(token)} bytes; salts are in {NONCE_LIST}")
    tokens.deliver(token, None, as_json=as_json)


def _deterministic(key: "Key") -> "Key":
    """The key signing without randomness, where its algorithm can."""
    from safeconduct.errors import Unsupported

    try:
        return key.deterministic()
    except Unsupported:
        return key


def _clear(claims: dict[Any, Any]) -> dict[Any, Any]:
    from safeconduct.formats.redaction import Decoys, Redacted

    return {key: value for key, value in claims.items() if not isinstance(value, Redacted | Decoys)}
