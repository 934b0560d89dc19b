"""The kinds of key (curve or parameter set) and how each one's raw bytes become an object that computes.

All that differs between P-256, Ed25519 or ML-DSA-65 stands in one table here: lengths, numbers, loaders.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, x25519

from safeconduct.crypto import algorithms, edwards
from safeconduct.crypto.algorithms import Algorithm, KeyType
from safeconduct.errors import Malformed, Unsupported

Handle = Any
"""A key object of `cryptography`. Its many classes share no base, so `KeyKind` says what may be called."""


class KeyKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of key.

    name: JOSE curve name, or the algorithm name of an AKP key.
    key_type: COSE key type.
    cose_curve: COSE curve number; None for AKP.
    algorithm: algorithm that a key of this kind signs with unless told otherwise; None if it cannot sign.
    public_bytes, private_bytes: exact lengths of the raw forms (EC2: uncompressed point, scalar).
    """

    name: str
    key_type: KeyType
    cose_curve: int | None
    algorithm: str | None
    public_bytes: int
    private_bytes: int
    load_public: Callable[[bytes], Handle]
    load_private: Callable[[bytes], Handle]
    generate: Callable[[], Handle]
    public_type: type
    private_type: type


class KeyMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """What a key document says, checked for form only: raw parts, algorithm and identifier."""

    kind: KeyKind
    public: bytes | None
    private: bytes | None
    algorithm: str | None
    kid: str | bytes | None

    def __repr__(self) -> str:
        return f"<KeyMaterial {self.kind.name}>"


def malformed(reason: str, *, rule: str = "") -> Malformed:
    """Returns the error of every key that breaks its format."""
    return Malformed("key_malformed", reason, rule=rule)


def unsupported(reason: str) -> Unsupported:
    """Returns the error of every key that is legal but not one we use."""
    return Unsupported("key_unsupported", reason)


def algorithm_for(kind: KeyKind, name: str | None = None) -> Algorithm:
    """Returns the algorithm that a key of `kind` has under that COSE registry name.

    name: None stands for the usual one of the kind. "EdDSA" comes back bound to the kind's curve.
    Raises Unsupported "key_unsupported" if the two do not fit.
    """
    found = _FITTING.get((kind.name, name or kind.algorithm or ""))
    if found is None:
        raise unsupported("The key cannot be used with the signature algorithm that is named for it.")
    return found


def kind_for(name: str) -> KeyKind:
    """Returns the kind of key that the algorithm of that COSE registry name takes ("EdDSA": Ed25519).

    Raises Unsupported "algorithm_unsupported".
    """
    algorithm = algorithms.by_name(name)
    curve = "Ed25519" if algorithm.name == "EdDSA" else algorithm.curve
    return KINDS[curve or algorithm.name]


def load_public(kind: KeyKind, raw: bytes) -> Handle:
    """Returns the computing form of a raw public key; a point must be on the curve (EC2), sound (EdDSA).

    Raises Malformed "key_malformed".
    """
    if len(raw) != kind.public_bytes:
        raise malformed("The public key does not have the length of its kind.")
    if kind.name in ("Ed25519", "Ed448") and not edwards.is_sound(kind.name, raw):
        raise malformed("The public key is a point of small order or not canonical.", rule="RFC 8032 §5.1.3")
    try:
        return kind.load_public(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise malformed("The public key is not a valid point or encoding of its kind.") from None


def load_private(kind: KeyKind, raw: bytes) -> Handle:
    """Returns the computing form of a raw private key (scalar or seed); raises Malformed "key_malformed"."""
    if len(raw) != kind.private_bytes:
        raise malformed("The private key does not have the length of its kind.")
    try:
        return kind.load_private(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise malformed("The private key is out of the range of its kind.") from None


def raw_public(kind: KeyKind, handle: Handle) -> bytes:
    """Returns the raw form of a public key object."""
    if kind.key_type == "EC2":
        point: bytes = handle.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return point
    raw: bytes = handle.public_bytes_raw()
    return raw


def raw_private(kind: KeyKind, handle: Handle) -> bytes:
    """Returns the raw form of a private key object: fixed-length scalar, or seed."""
    if kind.key_type == "EC2":
        scalar: int = handle.private_numbers().private_value
        return scalar.to_bytes(kind.private_bytes, "big")
    raw: bytes = handle.private_bytes_raw()
    return raw


def expand_point(kind: KeyKind, x: bytes, *, odd: bool) -> bytes:
    """Returns the uncompressed point with that x coordinate and parity of y (SEC 1 §2.3.4).

    Raises Malformed "key_malformed".
    """
    if len(x) != kind.private_bytes:
        raise malformed("A coordinate does not have the length of its curve.")
    try:
        handle = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind.name], bytes([2 + odd]) + x)
    except ValueError:
        raise malformed("No point of the curve has this coordinate.") from None
    return raw_public(kind, handle)


def kind_of(handle: object) -> KeyKind:
    """Returns the kind of a key object of `cryptography`; raises Unsupported "key_unsupported"."""
    for kind in KINDS.values():
        if isinstance(handle, (kind.public_type, kind.private_type)) and (
            kind.key_type != "EC2" or handle.curve.name == _CURVES[kind.name].name  # type: ignore[attr-defined]
        ):
            return kind
    raise unsupported("The key is not of a type that is used here.")


_FITTING: Final[dict[tuple[str, str], Algorithm]] = {
    **{(item.curve or item.name, item.name): item for item in algorithms.ALGORITHMS if item.name != "EdDSA"},
    **{(curve, "EdDSA"): item for curve, item in algorithms.EDDSA_BY_CURVE.items()},
}
"""What a key of each kind may sign with."""

_CURVES: Final = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def _ec2(name: str, cose_curve: int, algorithm: str, coordinate: int, spki_prefix: str) -> KeyKind:
    curve = _CURVES[name]
    prefix = bytes.fromhex(spki_prefix)

    def load(point: bytes) -> Handle:
        # A loaded SubjectPublicKeyInfo verifies faster than the same key made from numbers or from a point.
        if point[0] != 4:
            raise ValueError("not an uncompressed point")
        return serialization.load_der_public_key(prefix + point)

    return KeyKind(
        name=name,
        key_type="EC2",
        cose_curve=cose_curve,
        algorithm=algorithm,
        public_bytes=2 * coordinate + 1,
        private_bytes=coordinate,
        load_public=load,
        load_private=lambda scalar: ec.derive_private_key(int.from_bytes(scalar, "big"), curve),
        generate=lambda: ec.generate_private_key(curve),
        public_type=ec.EllipticCurvePublicKey,
        private_type=ec.EllipticCurvePrivateKey,
    )


def _okp(name: str, cose_curve: int, algorithm: str | None, size: int, types: tuple[Any, Any]) -> KeyKind:
    public_type, private_type = types
    return KeyKind(
        name=name,
        key_type="OKP",
        cose_curve=cose_curve,
        algorithm=algorithm,
        public_bytes=size,
        private_bytes=size,
        load_public=public_type.from_public_bytes,
        load_private=private_type.from_private_bytes,
        generate=private_type.generate,
        public_type=public_type,
        private_type=private_type,
    )


def _akp(name: str, size: int, types: tuple[Any, Any]) -> KeyKind:
    public_type, private_type = types
    return KeyKind(
        name=name,
        key_type="AKP",
        cose_curve=None,
        algorithm=name,
        public_bytes=size,
        private_bytes=32,
        load_public=public_type.from_public_bytes,
        load_private=private_type.from_seed_bytes,
        generate=private_type.generate,
        public_type=public_type,
        private_type=private_type,
    )


_ALL = (
    _ec2("P-256", 1, "ES256", 32, "3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    _ec2("P-384", 2, "ES384", 48, "3076301006072a8648ce3d020106052b81040022036200"),
    _ec2("P-521", 3, "ES512", 66, "30819b301006072a8648ce3d020106052b8104002303818600"),
    _okp("X25519", 4, None, 32, (x25519.X25519PublicKey, x25519.X25519PrivateKey)),
    _okp("Ed25519", 6, "Ed25519", 32, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)),
    _okp("Ed448", 7, "Ed448", 57, (ed448.Ed448PublicKey, ed448.Ed448PrivateKey)),
    _akp("ML-DSA-44", 1312, (mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey)),
    _akp("ML-DSA-65", 1952, (mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey)),
    _akp("ML-DSA-87", 2592, (mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey)),
)

KINDS: Final[dict[str, KeyKind]] = {kind.name: kind for kind in _ALL}
"""Every kind by its name."""

KINDS_BY_COSE_CURVE: Final[dict[int, KeyKind]] = {
    kind.cose_curve: kind for kind in _ALL if kind.cose_curve is not None
}
"""The kinds that a COSE `crv` can name."""
