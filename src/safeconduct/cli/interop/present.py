"""`safeconduct interop present`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.interop.options import Issuer, IssuerKey, Time
from safeconduct.cli.options import Accept, AsJson, NonceHex, audience_name, hexadecimal, leniencies, moment

if TYPE_CHECKING:
    from safeconduct.formats.sd_cwt import VerifiedIssued
    from safeconduct.formats.selection import Disclose

HolderPrivate = Annotated[
    str, typer.Argument(metavar="HOLDER_PRIV", help="The holder's private key, in PEM.")
]
DisclosureList = Annotated[
    str | None,
    typer.Option(
        "--disclosure_list",
        "--disclosure-list",
        metavar="FILE",
        help="A CBOR array of the salts of the disclosures to show, in this order.",
    ),
]
DiscloseAll = Annotated[bool, typer.Option("--disclose_all", "--disclose-all", help="Show everything.")]
Audience = Annotated[
    str,
    typer.Option(
        "--audience", metavar="URI", help="The verifier (an extension; the default is the draft's)."
    ),
]

DRAFT_AUDIENCE = "https://verifier.example/app"
"""The contract has no audience for `present`, while a key binding must have one."""

MAX_BYTES = 64 * 1024
"""A disclosure list: more salts than a token may have disclosures."""


def present(
    holder_private: HolderPrivate,
    *,
    issuer: Issuer = None,
    issuer_key: IssuerKey = None,
    disclosure_list: DisclosureList = None,
    disclose_all: DiscloseAll = False,
    time: Time = None,
    audience: Audience = DRAFT_AUDIENCE,
    nonce: NonceHex = None,
    accept: Accept = None,
    as_json: AsJson = False,
) -> None:
    """Read an issued SD-CWT from standard input, check it, write a key binding token.

    \b
    Example:
      safeconduct interop present holder_privkey.pem --issuer issuer_pub.pem \\
        --disclose_all <issued.cbor >kbt.cbor
    """
    from safeconduct.cli import files, keyfiles, output, tokens
    from safeconduct.cli.interop.issuer_key import trust_for, trust_in_file
    from safeconduct.envelope import cose
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED

    holder = keyfiles.read_private(holder_private)
    accepted, now = leniencies(accept), moment(time)
    named = trust_in_file(issuer)
    salts = None if disclosure_list is None else _listed(disclosure_list)
    token = files.read(files.STANDARD_STREAM, max_bytes=TOKEN_BYTES)
    trust = named or trust_for(cose.parse(token), issuer_key)
    issued = sd_cwt.check_issued(
        token, holder=holder.public, trust=trust, now=now, nonce=WAIVED, accept=accepted
    )
    presentation = sd_cwt.present(
        token if salts is None else _ordered(issued, salts),
        holder=holder.deterministic() if holder.algorithm.hash else holder,
        disclose=sd_cwt.ALL if disclose_all else _chosen(issued, salts or []),
        audience=audience_name(audience),
        nonce=None if nonce is None else hexadecimal("--nonce", nonce),
        now=now,
        accept=accepted,
    )
    output.note(f"presented {len(presentation)} bytes to {audience}")
    tokens.deliver(presentation, None, as_json=as_json)


def _listed(disclosure_list: str) -> list[bytes]:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.encoding import cbor
    from safeconduct.errors import Malformed

    try:
        salts = cbor.loads(files.read_whole(disclosure_list, max_bytes=MAX_BYTES))
    except Malformed as error:
        raise WrongUse(f"{files.shown(disclosure_list)} is no CBOR array of salts: {error.reason}") from None
    if type(salts) is not list or not all(type(salt) is bytes for salt in salts):
        raise WrongUse(f"{files.shown(disclosure_list)} is no CBOR array of salts")
    return salts


def _chosen(issued: "VerifiedIssued", salts: list[bytes]) -> "Disclose":
    from safeconduct.errors import Rejected

    places = {item.disclosure.salt: item.path for item in issued.held.located}
    decoys = {item.salt for item in issued.held.opened.disclosures} - places.keys()
    if not set(salts) <= places.keys() | decoys:
        raise Rejected("disclosure_unknown", "The disclosure list has a salt that the token has not.")
    wanted = {places[salt] for salt in salts if salt in places}
    return lambda path, _value: path in wanted


def _ordered(issued: "VerifiedIssued", salts: list[bytes]) -> bytes:
    """Return the token with its disclosures in the order of the list; the issuer signs none (§8)."""
    from safeconduct.envelope import cose
    from safeconduct.formats.sd_cwt.labels import SD_CLAIMS

    rank = {salt: place for place, salt in enumerate(salts)}
    opened = issued.held.opened
    shown = sorted(opened.disclosures, key=lambda item: rank.get(item.salt, len(rank)))
    message = opened.message
    carried: dict[int | str, Any] = {SD_CLAIMS: [item.encoded for item in shown]} if shown else {}
    return cose.assemble(
        message.protected_bytes, {**message.unprotected, **carried}, message.payload, message.signature
    )
