"""The signature algorithms that this library knows: one table, from which everything else is looked up.

Sources: RFC 9053 and RFC 9864 (ECDSA, EdDSA), RFC 9964 (ML-DSA), RFC 7518 §3.4, RFC 8037.
"""

from typing import Literal

import msgspec

from safeconduct.errors import Unsupported

KeyType = Literal["EC2", "OKP", "AKP"]


class Algorithm(msgspec.Struct, frozen=True, kw_only=True):
    """One signature algorithm.

    name: name in the IANA COSE registry.
    cose: its number there.
    jose: name that a JOSE header or a JWK gives it.
    key_type: COSE name of the type of key it takes (JOSE says EC where COSE says EC2).
    curve: curve of that key; None where the name alone says all (AKP) or nothing (EdDSA).
    hash: hash that ECDSA signs; None where the algorithm hashes by itself.
    signature_bytes: exact length of a signature; 0 where it depends on the key (EdDSA).
    """

    name: str
    cose: int
    jose: str
    key_type: KeyType
    curve: str | None
    hash: str | None
    signature_bytes: int


def _ecdsa(name: str, cose: int, jose: str, curve: str, hash_: str, size: int) -> Algorithm:
    return Algorithm(
        name=name, cose=cose, jose=jose, key_type="EC2", curve=curve, hash=hash_, signature_bytes=size
    )


def _eddsa(name: str, cose: int, curve: str | None, size: int) -> Algorithm:
    return Algorithm(
        name=name, cose=cose, jose=name, key_type="OKP", curve=curve, hash=None, signature_bytes=size
    )


def _ml_dsa(name: str, cose: int, size: int) -> Algorithm:
    return Algorithm(
        name=name, cose=cose, jose=name, key_type="AKP", curve=None, hash=None, signature_bytes=size
    )


ALGORITHMS: tuple[Algorithm, ...] = (
    _ecdsa("ES256", -7, "ES256", "P-256", "sha256", 64),
    _ecdsa("ESP256", -9, "ES256", "P-256", "sha256", 64),
    _ecdsa("ES384", -35, "ES384", "P-384", "sha384", 96),
    _ecdsa("ESP384", -51, "ES384", "P-384", "sha384", 96),
    _ecdsa("ES512", -36, "ES512", "P-521", "sha512", 132),
    _ecdsa("ESP512", -52, "ES512", "P-521", "sha512", 132),
    _eddsa("Ed25519", -19, "Ed25519", 64),
    _eddsa("EdDSA", -8, None, 0),
    _eddsa("Ed448", -53, "Ed448", 114),
    _ml_dsa("ML-DSA-44", -48, 2420),
    _ml_dsa("ML-DSA-65", -49, 3309),
    _ml_dsa("ML-DSA-87", -50, 4627),
)
"""All that can be signed or verified with. ES256 stands before ESP256, so JOSE names find the former."""

EDDSA_BY_CURVE = {
    "Ed25519": _eddsa("EdDSA", -8, "Ed25519", 64),
    "Ed448": _eddsa("EdDSA", -8, "Ed448", 114),
}
"""What "EdDSA" means once the key, and so the curve, is known."""

_BY_NAME = {algorithm.name: algorithm for algorithm in ALGORITHMS}
_BY_COSE = {algorithm.cose: algorithm for algorithm in ALGORITHMS}
_BY_JOSE = {algorithm.jose: algorithm for algorithm in reversed(ALGORITHMS)}


def by_name(name: str) -> Algorithm:
    """Returns the algorithm of that COSE registry name; raises Unsupported "algorithm_unsupported"."""
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    return found or _raise_unsupported()


def by_cose(identifier: int) -> Algorithm:
    """Returns the algorithm of that COSE number; raises Unsupported "algorithm_unsupported"."""
    # A float or a boolean equals an integer and would be found, but is no algorithm number.
    found = _BY_COSE.get(identifier) if type(identifier) is int else None
    return found or _raise_unsupported()


def by_jose(name: str) -> Algorithm:
    """Returns the algorithm of that JOSE name, the plain one first ("ES256": not ESP256).

    Raises Unsupported "algorithm_unsupported".
    """
    found = _BY_JOSE.get(name) if isinstance(name, str) else None
    return found or _raise_unsupported()


def compatible(algorithm: Algorithm, key_algorithm: Algorithm) -> bool:
    """Tells whether a key of `key_algorithm` may verify a message that names `algorithm`.

    Names of one mathematical algorithm are interchangeable (ES256 and ESP256; EdDSA and Ed25519); nothing
    else is, so that a message cannot choose how a key is used.
    """
    if algorithm is key_algorithm:
        return True
    if algorithm.key_type != key_algorithm.key_type:
        return False
    if algorithm.key_type == "AKP":
        return algorithm.name == key_algorithm.name
    if algorithm.curve is None:
        return algorithm.name == "EdDSA"
    return algorithm.curve == key_algorithm.curve


def _raise_unsupported() -> Algorithm:
    raise Unsupported("algorithm_unsupported", "The signature algorithm is not one that is supported here.")
