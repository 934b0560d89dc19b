"""JSON Web Keys, read strictly into key material and written from it.

Sources: RFC 7517, RFC 7518 §6.2, RFC 8037, RFC 9964 §3.

A JWK is read for one purpose, and refused if its `use` or `key_ops` speak of another.
"""

from typing import Any, Final, Literal

from safeconduct import limits
from safeconduct.crypto import algorithms
from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.kinds import KINDS, KeyKind, KeyMaterial, malformed, unsupported
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, Unsupported

Purpose = Literal["sign", "verify", "agree"]

_TYPES: Final = {"EC": "EC2", "OKP": "OKP", "AKP": "AKP"}
_TYPE_NAMES: Final = {key_type: name for name, key_type in _TYPES.items()}
_PRIVATE: Final = frozenset(("d", "priv", "seed", "k", "p", "q", "dp", "dq", "qi", "oth"))
_USE: Final = {"sign": "sig", "verify": "sig", "agree": "enc"}
_OPERATIONS: Final = {
    "sign": frozenset(("sign",)),
    "verify": frozenset(("verify",)),
    "agree": frozenset(("deriveKey", "deriveBits")),
}
_RULE: Final = "RFC 7518 §6"


def read_public(jwk: object, *, purpose: Literal["verify", "agree"]) -> KeyMaterial:
    """Reads a JWK that must hold a public key and nothing secret. The result's `algorithm` is the JOSE name.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected
    "private_key_where_public_expected" or "key_use_mismatch".
    """
    members = _object(jwk)
    if not _PRIVATE.isdisjoint(members):
        raise Rejected("private_key_where_public_expected", "A public key document holds a private key.")
    kind = _kind(members)
    # Peers write an empty list with a public agreement key, as the Web Cryptography API does.
    if not (purpose == "agree" and members.get("key_ops") == []):
        _check_operations(members, purpose)
    _check_use(members, purpose)
    return KeyMaterial(
        kind=kind,
        public=_public(kind, members),
        private=None,
        algorithm=_text(members, "alg"),
        kid=_text(members, "kid"),
    )


def read_private(jwk: object, *, purpose: Literal["sign", "agree"]) -> KeyMaterial:
    """Reads a JWK that must hold a key pair. The result's `algorithm` is the JOSE name.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected "key_use_mismatch".
    """
    members = _object(jwk)
    kind = _kind(members)
    _check_operations(members, purpose)
    _check_use(members, purpose)
    return KeyMaterial(
        kind=kind,
        public=_public(kind, members),
        private=_bytes(members, "priv" if kind.key_type == "AKP" else "d"),
        algorithm=_text(members, "alg"),
        kid=_text(members, "kid"),
    )


def public_members(kind: KeyKind, public: bytes) -> dict[str, str]:
    """Returns the members that a public JWK must have: what RFC 7638 §3.2 hashes, too."""
    if kind.key_type == "AKP":
        return {"kty": "AKP", "alg": kind.name, "pub": b64.encode(public)}
    members = {"kty": _TYPE_NAMES[kind.key_type], "crv": kind.name}
    if kind.key_type == "OKP":
        return {**members, "x": b64.encode(public)}
    middle = 1 + kind.private_bytes
    return {**members, "x": b64.encode(public[1:middle]), "y": b64.encode(public[middle:])}


def private_members(kind: KeyKind, public: bytes, private: bytes) -> dict[str, str]:
    """Returns the members of a private JWK, its public part included."""
    name = "priv" if kind.key_type == "AKP" else "d"
    return {**public_members(kind, public), name: b64.encode(private)}


def names(algorithm: Algorithm, kid: str | bytes | None) -> dict[str, str]:
    """Returns the members that say what a signature key is for and what it is called."""
    members = {"alg": algorithm.jose}
    if kid is not None:
        members["kid"] = kid_text(kid)
    return members


def kid_text(kid: str | bytes) -> str:
    """Returns a key identifier as a JWK can hold it: UTF-8 bytes as that text, other bytes in base64url."""
    if isinstance(kid, str):
        return kid
    try:
        return kid.decode()
    except UnicodeDecodeError:
        return b64.encode(kid)


def signature_algorithm(material: KeyMaterial) -> str | None:
    """Returns the COSE registry name of what the JWK's `alg` means; raises Unsupported "key_unsupported"."""
    if material.algorithm is None:
        return None
    try:
        return algorithms.by_jose(material.algorithm).name
    except Unsupported:
        raise unsupported("The algorithm of the JWK is not one that is used here.") from None


def _object(jwk: object) -> dict[str, Any]:
    if not isinstance(jwk, dict):
        raise malformed("A JWK is not an object.", rule="RFC 7517 §4")
    return jwk


def _kind(members: dict[str, Any]) -> KeyKind:
    type_name = _text(members, "kty")
    if type_name is None:
        raise malformed("The JWK lacks a key type.", rule="RFC 7517 §4.1")
    key_type = _TYPES.get(type_name)
    if key_type is None:
        raise unsupported("The JWK key type is not one that is used here.")
    name = _text(members, "alg" if key_type == "AKP" else "crv")
    if name is None:
        raise malformed("The JWK lacks its curve or algorithm.", rule=_RULE)
    kind = KINDS.get(name)
    if kind is None or kind.key_type != key_type:
        raise unsupported("The curve or algorithm of the JWK is not one that is used here.")
    return kind


def _public(kind: KeyKind, members: dict[str, Any]) -> bytes:
    if kind.key_type == "AKP":
        return _bytes(members, "pub")
    x = _bytes(members, "x")
    if kind.key_type == "OKP":
        return x
    y = _bytes(members, "y")
    if len(x) != kind.private_bytes or len(y) != kind.private_bytes:
        raise malformed("A coordinate does not have the length of its curve.", rule="RFC 7518 §6.2.1.2")
    return b"\x04" + x + y


def _bytes(members: dict[str, Any], name: str) -> bytes:
    text = _text(members, name)
    if text is None:
        raise malformed("The JWK lacks a part of the key.", rule=_RULE)
    try:
        return b64.decode(text, max_bytes=limits.JWK_MEMBER_BYTES)
    except Malformed:
        raise malformed("A part of the JWK is not base64url.", rule=_RULE) from None


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if isinstance(value, str):
        return value
    if name in members:
        raise malformed("A member of the JWK is not a string.", rule="RFC 7517 §4")
    return None


def _check_use(members: dict[str, Any], purpose: Purpose) -> None:
    use = _text(members, "use")
    if use is not None and use != _USE[purpose]:
        raise Rejected("key_use_mismatch", "The key is meant for another use.", rule="RFC 7517 §4.2")


def _check_operations(members: dict[str, Any], purpose: Purpose) -> None:
    if "key_ops" not in members:
        return
    operations = members["key_ops"]
    if not isinstance(operations, list) or not all(isinstance(item, str) for item in operations):
        raise malformed("The key operations are not an array of strings.", rule="RFC 7517 §4.3")
    if len(set(operations)) != len(operations):
        raise malformed("A key operation stands twice.", rule="RFC 7517 §4.3")
    if _OPERATIONS[purpose].isdisjoint(operations):
        raise Rejected("key_use_mismatch", "The key is not meant for this operation.", rule="RFC 7517 §4.3")
