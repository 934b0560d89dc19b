"""COSE_Key maps, read strictly into key material and written from it.

Sources: RFC 9052 §7, RFC 9053 §7, RFC 9964 §3.
"""

from typing import Any, Final

from safeconduct.crypto import algorithms
from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.kinds import (
    KINDS,
    KINDS_BY_COSE_CURVE,
    KeyKind,
    KeyMaterial,
    expand_point,
    malformed,
    unsupported,
)
from safeconduct.errors import Rejected, Unsupported

KTY: Final = 1
KID: Final = 2
ALG: Final = 3
KEY_OPS: Final = 4
CRV: Final = -1
X: Final = -2
Y: Final = -3
D: Final = -4
AKP_PUB: Final = -1
AKP_PRIV: Final = -2

_TYPES: Final = {1: "OKP", 2: "EC2", 7: "AKP"}
_TYPE_NUMBERS: Final = {name: number for number, name in _TYPES.items()}
_LABEL_TYPES: Final = frozenset((int, str))
_SIGN: Final = 1
_VERIFY: Final = 2
_RULE: Final = "RFC 9053 §7"


def read_public(key: object) -> KeyMaterial:
    """Reads a COSE_Key that must hold a public key for verification and nothing secret.

    key: the decoded map; labels are integers or texts.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected
    "private_key_where_public_expected" or "key_use_mismatch".
    """
    members = _members(key)
    kind = _kind(members)
    if (AKP_PRIV if kind.key_type == "AKP" else D) in members:
        raise Rejected("private_key_where_public_expected", "A public key document holds a private key.")
    _check_operation(members, _VERIFY)
    public = _public(kind, members)
    if public is None:
        raise malformed("The COSE key lacks its public part.", rule=_RULE)
    return KeyMaterial(
        kind=kind, public=public, private=None, algorithm=_algorithm(members), kid=_kid(members)
    )


def read_private(key: object) -> KeyMaterial:
    """Reads a COSE_Key that must hold a private key for signing; its public part may be absent.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected "key_use_mismatch".
    """
    members = _members(key)
    kind = _kind(members)
    _check_operation(members, _SIGN)
    private = _bytes(members, AKP_PRIV if kind.key_type == "AKP" else D)
    if private is None:
        raise malformed("The COSE key lacks its private part.", rule=_RULE)
    return KeyMaterial(
        kind=kind,
        public=_public(kind, members),
        private=private,
        algorithm=_algorithm(members),
        kid=_kid(members),
    )


def public_members(kind: KeyKind, public: bytes) -> dict[int, Any]:
    """Returns the members that a public COSE_Key must have: what RFC 9679 §4 hashes, too."""
    number = _TYPE_NUMBERS[kind.key_type]
    if kind.key_type == "AKP":
        return {KTY: number, ALG: algorithms.by_name(kind.name).cose, AKP_PUB: public}
    if kind.key_type == "OKP":
        return {KTY: number, CRV: kind.cose_curve, X: public}
    middle = 1 + kind.private_bytes
    return {KTY: number, CRV: kind.cose_curve, X: public[1:middle], Y: public[middle:]}


def private_members(kind: KeyKind, public: bytes, private: bytes) -> dict[int, Any]:
    """Returns the members of a private COSE_Key, its public part included."""
    label = AKP_PRIV if kind.key_type == "AKP" else D
    return {**public_members(kind, public), label: private}


def names(kind: KeyKind, algorithm: Algorithm, kid: str | bytes | None) -> dict[int, Any]:
    """Returns the members that name the key and, where it is not the usual one of its kind, its algorithm."""
    members: dict[int, Any] = {}
    if kid is not None:
        members[KID] = kid.encode() if isinstance(kid, str) else kid
    if algorithm.name != kind.algorithm:
        members[ALG] = algorithm.cose
    return members


def _members(key: object) -> dict[Any, Any]:
    if not isinstance(key, dict):
        raise malformed("A COSE key is not a map.", rule="RFC 9052 §7")
    # True and 1.0 equal the label 1 in a dict, but are not labels.
    if not _LABEL_TYPES.issuperset(map(type, key)):
        raise malformed("A COSE key label is neither an integer nor a text.", rule="RFC 9052 §1.4")
    return key


def _kind(members: dict[Any, Any]) -> KeyKind:
    number = members.get(KTY)
    key_type = _TYPES.get(number) if type(number) is int else None
    if key_type is None:
        if isinstance(number, (int, str)) and not isinstance(number, bool):
            raise unsupported("The COSE key type is not one that is used here.")
        raise malformed("The COSE key lacks a key type.", rule="RFC 9052 §7.1")
    if key_type == "AKP":
        return _parameter_set(members)
    curve = members.get(CRV)
    if type(curve) is not int and type(curve) is not str:
        raise malformed("The COSE key lacks a curve.", rule=_RULE)
    kind = KINDS_BY_COSE_CURVE.get(curve) if type(curve) is int else None
    if kind is None or kind.key_type != key_type:
        raise unsupported("The curve of the COSE key is not one that is used here.")
    return kind


def _parameter_set(members: dict[Any, Any]) -> KeyKind:
    name = _algorithm(members)
    if name is None:
        raise malformed("An AKP key does not say its algorithm.", rule="RFC 9964 §3")
    kind = KINDS.get(name)
    if kind is None or kind.key_type != "AKP":
        raise unsupported("The algorithm of the AKP key is not one that is used here.")
    return kind


def _algorithm(members: dict[Any, Any]) -> str | None:
    if ALG not in members:
        return None
    number = members[ALG]
    if type(number) is not int and type(number) is not str:
        raise malformed("The algorithm of the COSE key is not a number or name.", rule="RFC 9052 §7.1")
    try:
        return algorithms.by_cose(number).name  # type: ignore[arg-type]
    except Unsupported:
        raise unsupported("The algorithm of the COSE key is not one that is used here.") from None


def _kid(members: dict[Any, Any]) -> bytes | None:
    return _bytes(members, KID)


def _bytes(members: dict[Any, Any], label: int) -> bytes | None:
    value = members.get(label)
    if isinstance(value, bytes):
        return value
    if label in members:
        raise malformed("A COSE key parameter is not a byte string.", rule=_RULE)
    return None


def _public(kind: KeyKind, members: dict[Any, Any]) -> bytes | None:
    if kind.key_type == "AKP":
        return _bytes(members, AKP_PUB)
    x = _bytes(members, X)
    if kind.key_type == "OKP":
        return x
    y = members.get(Y)
    if x is None and Y not in members:
        return None
    if x is not None and isinstance(y, bytes):
        # RFC 9053 §7.1.1: leading zero octets are kept, so each coordinate has the length of the curve.
        if len(x) != kind.private_bytes or len(y) != kind.private_bytes:
            raise malformed("A coordinate does not have the length of its curve.", rule="RFC 9053 §7.1.1")
        return b"\x04" + x + y
    if x is not None and isinstance(y, bool):
        return expand_point(kind, x, odd=y)
    raise malformed("The COSE key lacks a coordinate.", rule="RFC 9053 §7.1.1")


def _check_operation(members: dict[Any, Any], operation: int) -> None:
    if KEY_OPS not in members:
        return
    operations = members[KEY_OPS]
    if not isinstance(operations, (list, tuple)) or not operations:
        raise malformed("The key operations are not a filled array.", rule="RFC 9052 §7.1")
    if not any(type(item) is int and item == operation for item in operations):
        raise Rejected("key_use_mismatch", "The key is not meant for this operation.", rule="RFC 9052 §7.1")
