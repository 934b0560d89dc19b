"""The signed head of a pack: which version it is, what it holds, and until when it counts."""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.trust import WAIVED, Waived

TYPE: Final = "safeconduct-status-pack+jwt"
"""The media type of a head; keeps it from being taken for anything else that the same key signed."""

Keys = Collection[PublicKey] | Waived


class Version(msgspec.Struct, frozen=True):
    """A version of a pack and its digest."""

    version: int
    digest: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a mirror says of a pack. Times in seconds since 1970.

    name: of the pack, the same for all versions. version: from 1, goes up with each change. as_of: when the
    evidence was gathered. iat, exp: when the head was signed, and when it stops to count. length: of the body
    in bytes. digest: of the table of its blocks, and so of all of it. previous: the version before, if there
    was one. lists, count: how many lists it holds, and how many entries in them.
    """

    name: str
    version: int
    as_of: int
    iat: int
    exp: int
    length: int
    digest: str
    previous: Version | None
    lists: int
    count: int


def sign(head: Head, *, signer: Signer) -> str:
    """Returns the head as a compact JWS."""
    claims = msgspec.to_builtins(head)
    claims["sub"] = claims.pop("name")
    if head.previous is None:
        del claims["previous"]
    return jws.sign(
        json.dumps(claims, sort_keys=True), signer=signer, header={"typ": TYPE, "kid": name_of(signer.public)}
    )


def verify(text: str | bytes, *, keys: Keys) -> Head:
    """Returns what a head says, if one of the keys has signed it.

    keys: of the mirrors that are believed, found by their thumbprints; WAIVED for a pack that is believed by
    where it is from.

    Raises Malformed "pack_head_malformed"; Rejected "pack_key_unknown", "jws_type", "signature_invalid".
    """
    try:
        parsed = jws.parse(_ascii(text), max_bytes=limits.PACK_HEAD_BYTES)
    except SafeconductError as error:
        raise _malformed("The head is not a compact JWS.") from error
    if keys is WAIVED:
        if parsed.header.get("typ") != TYPE:
            raise Rejected("jws_type", "The JWS is not of the type expected here.", rule="RFC 8725 §3.11")
        return _read(parsed.payload)
    key = next((key for key in keys if name_of(key) == parsed.header.get("kid")), None)
    if key is None:
        raise Rejected("pack_key_unknown", "The pack is signed by a key that is not believed.")
    return _read(jws.verify(parsed, key=key, algorithms=[key.algorithm.jose], typ=TYPE))


def name_of(key: PublicKey) -> str:
    """Returns by which name a head calls the key that signed it: its thumbprint (RFC 7638)."""
    return b64.encode(key.jwk_thumbprint())


def _ascii(text: str | bytes) -> str:
    try:
        return text if isinstance(text, str) else text.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("The head is not a compact JWS.") from None


def _read(payload: bytes) -> Head:
    try:
        claims: dict[str, Any] = json.loads_object(payload, max_bytes=limits.PACK_HEAD_BYTES)
        claims["name"] = claims.pop("sub", None)
        claims.setdefault("previous", None)
        head = msgspec.convert(claims, Head)
    except (SafeconductError, msgspec.ValidationError) as error:
        raise _malformed("The head does not say what a pack's head has to.") from error
    numbers = (head.as_of, head.iat, head.exp, head.length, head.lists, head.count)
    if head.version < 1 or min(numbers) < 0 or max(numbers) >= _LARGEST:
        raise _malformed("A number in the head is out of range.")
    return head


_LARGEST: Final = 1 << 53


def _malformed(reason: str) -> Malformed:
    return Malformed("pack_head_malformed", reason)
