"""The signed head of a revocation list (`crl/<kid>.jws`): which list is the newest, and for how long.

The framework signs no lists. That is enough while keys and lists come from one host over TLS; who has keys
from a directory, a mirror or a medium needs more. A retired key must be destroyed, so that it cannot sign
its own list: a status key does, which is never among the keys of cards. Its signatures are told apart from
any other by their `typ`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status.card_revocation.files import LARGEST, is_digest, is_kid

TYP: Final = "safeconduct-crl-head+jwt"


Seconds = Annotated[int, Meta(ge=0, le=LARGEST)]
"""A time since 1970."""

Size = Annotated[int, Meta(ge=0, le=LARGEST)]


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How long the log of a list is, in bytes, and the digest of that many."""

    length: Size
    digest: str


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of the newest list of a key.

    iss: whose it is. kid: the key whose cards it names. ctr: its counter. iat, exp: seconds since 1970 when
    this was signed, and until when it holds. count: entries of the list. digest: of its canonical bytes.
    log: its log, None if it has none (any more).
    """

    iss: str
    kid: str
    method: str
    ctr: Annotated[int, Meta(ge=1, le=LARGEST)]
    iat: Seconds
    exp: Seconds
    count: Size
    digest: str
    log: LogEnd | None = None


def sign(head: Head, *, signer: Signer) -> str:
    """Returns a head as a compact JWS, which names its key by the thumbprint."""
    members = {"typ": TYP, "kid": key_id(signer.public)}
    return jws.sign(json.dumps(msgspec.to_builtins(head)), signer=signer, header=members)


def verify(text: str, *, keys: Iterable[PublicKey], issuer: str, kid: str, now: int) -> Head:
    """Returns a head that one of the status keys of an issuer has signed, and that still holds.

    keys: the issuer's status keys, known from elsewhere than the host of the list.
    issuer, kid: whose head it must be. now: seconds since 1970.

    Raises Malformed "head_malformed"; Rejected "head_key_unknown", "jws_type", "signature_invalid",
    "head_of_another_list", "head_expired", "head_from_the_future"; Unsupported "algorithm_unsupported".
    Whether its `ctr` is below one seen before is the caller's to check, who remembers.
    """
    parsed = _parse(text)
    named = parsed.header.get("kid")
    key = next((key for key in keys if key_id(key) == named), None)
    if key is None:
        raise Rejected("head_key_unknown", "The head is signed by no known status key.")
    head = _read(jws.verify(parsed, key=key, algorithms=(key.algorithm.jose,), typ=TYP))
    if (head.iss, head.kid) != (issuer, kid):
        raise Rejected("head_of_another_list", "The head is of another list.")
    if head.exp < now:
        raise Rejected("head_expired", "The head no longer holds.")
    if head.iat > now + limits.CLOCK_SKEW:
        raise Rejected("head_from_the_future", "The head is signed in the future.")
    return head


def read_unverified(text: str) -> Head:
    """Returns what a head states, whoever signed it: for a publisher that looks at its own.

    Raises Malformed "head_malformed".
    """
    return _read(_parse(text).payload)


def key_id(key: PublicKey) -> str:
    """Returns what a head calls a status key: its thumbprint (RFC 7638)."""
    return b64.encode(key.jwk_thumbprint())


def _parse(text: str) -> jws.ParsedJws:
    try:
        return jws.parse(text, max_bytes=limits.HEAD_BYTES)
    except SafeconductError as error:
        raise _malformed() from error


def _read(payload: bytes) -> Head:
    try:
        claims: dict[str, Any] = json.loads_object(payload, max_bytes=limits.HEAD_BYTES)
        head = msgspec.convert(claims, Head)
    except (SafeconductError, msgspec.ValidationError) as error:
        raise _malformed() from error
    if not (is_kid(head.kid) and is_digest(head.digest)) or (head.log and not is_digest(head.log.digest)):
        raise _malformed()
    return head


def _malformed() -> Malformed:
    return Malformed("head_malformed", "The head is not a JWS with the claims of one.")
