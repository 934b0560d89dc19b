"""The seal of a ribbon: a status key of the issuer says that it is the issuer's, and how long it may be used.

It is a compact JWS behind the ribbon in the same file, so that neither is ever met without the other. A
card key never signs it; its signatures are told apart from those of lists' heads by their `typ`.
"""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status.card_revocation.heads import key_id
from safeconduct.status.compact import ribbon_file
from safeconduct.status.compact.ribbon import Ribbon

TYP: Final = "safeconduct-ribbon+jwt"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a ribbon. iss, kid, ctr: whose, of which key and list. Times in seconds since 1970.

    digest: of the bytes before it.
    """

    iss: str
    kid: str
    ctr: int
    iat: int
    exp: int
    digest: str


def seal(data: bytes, *, signer: Signer, now: int, lifetime: int) -> bytes:
    """Returns the file of a ribbon with a seal behind it, in place of one that it may have.

    lifetime: seconds for which it holds. Raises as `ribbon_file.read`.
    """
    ribbon, digest, old = ribbon_file.split(data)
    claims = Seal(
        iss=ribbon.issuer, kid=ribbon.kid, ctr=ribbon.ctr, iat=now, exp=now + lifetime, digest=_text(digest)
    )
    header = {"typ": TYP, "kid": key_id(signer.public)}
    made = jws.sign(json.dumps(msgspec.to_builtins(claims)), signer=signer, header=header)
    return data[: len(data) - len(old)] + made.encode("ascii")


def verify(data: bytes | memoryview, *, keys: Collection[PublicKey], now: int) -> Ribbon:
    """Returns a ribbon that one of the status keys of its issuer has sealed, and that still holds.

    keys: the issuer's status keys, known from elsewhere than the ribbon. now: seconds since 1970.

    Raises as `ribbon_file.read`; Malformed "ribbon_seal_malformed"; Rejected "ribbon_not_sealed",
    "ribbon_key_unknown", "ribbon_seal_mismatch", "ribbon_expired", "ribbon_from_the_future", "jws_type",
    "signature_invalid"; Unsupported "algorithm_unsupported". Whether its `ctr` is below one seen before is
    the caller's to check, who remembers.
    """
    ribbon, digest, text = ribbon_file.split(data)
    if not text:
        raise Rejected("ribbon_not_sealed", "The ribbon is not signed.")
    parsed = _parse(text)
    key = next((key for key in keys if key_id(key) == parsed.header.get("kid")), None)
    if key is None:
        raise Rejected("ribbon_key_unknown", "The ribbon is signed by no known status key.")
    claims = _read(jws.verify(parsed, key=key, algorithms=(key.algorithm.jose,), typ=TYP))
    said = (claims.iss, claims.kid, claims.ctr, claims.digest)
    if said != (ribbon.issuer, ribbon.kid, ribbon.ctr, _text(digest)):
        raise Rejected("ribbon_seal_mismatch", "What is signed is another ribbon.")
    if claims.exp < now:
        raise Rejected("ribbon_expired", "The ribbon no longer holds.")
    if claims.iat > now + limits.CLOCK_SKEW:
        raise Rejected("ribbon_from_the_future", "The ribbon is signed in the future.")
    return ribbon


def read_unverified(data: bytes | memoryview) -> tuple[Ribbon, Seal]:
    """Returns a ribbon and what its seal states, whoever made it: for a publisher that looks at its own.

    Raises as `ribbon_file.read`, and Malformed "ribbon_seal_malformed".
    """
    ribbon, _, text = ribbon_file.split(data)
    return ribbon, _read(_parse(text).payload)


def _text(digest: bytes) -> str:
    return f"sha-256:{b64.encode(digest)}"


def _parse(text: bytes) -> jws.ParsedJws:
    try:
        return jws.parse(text.decode("ascii"), max_bytes=limits.HEAD_BYTES)
    except (SafeconductError, UnicodeDecodeError) as error:
        raise _malformed() from error


def _read(payload: bytes) -> Seal:
    try:
        claims: dict[str, Any] = json.loads_object(payload, max_bytes=limits.HEAD_BYTES)
        return msgspec.convert(claims, Seal)
    except (SafeconductError, msgspec.ValidationError) as error:
        raise _malformed() from error


def _malformed() -> Malformed:
    return Malformed("ribbon_seal_malformed", "What stands behind the ribbon is not its seal.")
