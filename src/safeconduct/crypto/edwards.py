"""Which Ed25519 and Ed448 public keys prove nothing: points of small order, and second spellings of points.

Under a key of small order anyone can write signatures that verify, so that it shows possession of nothing.
RFC 8032 leaves it to the user to refuse such keys, and OpenSSL takes them.
"""

from typing import Final

_ED25519_PRIME: Final = 2**255 - 19
_ED448_PRIME: Final = 2**448 - 2**224 - 1
# y of the points of order 8 on edwards25519, and their negatives.
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_PRIMES: Final = {"Ed25519": _ED25519_PRIME, "Ed448": _ED448_PRIME}
_SIGN_BITS: Final = {"Ed25519": 255, "Ed448": 455}
_SMALL_ORDER: Final = {
    "Ed25519": frozenset((0, 1, _ED25519_PRIME - 1, _ORDER_8, _ED25519_PRIME - _ORDER_8)),
    "Ed448": frozenset((0, 1, _ED448_PRIME - 1)),
}


def is_sound(curve: str, raw: bytes) -> bool:
    """Tells whether an encoded point (RFC 8032 §5.1.2, §5.2.2) is written canonically and not of small order.

    curve: "Ed25519" or "Ed448". That the point lies on the curve is not checked: no signature verifies under
    one that does not.
    """
    y = int.from_bytes(raw, "little") & ((1 << _SIGN_BITS[curve]) - 1)
    return y < _PRIMES[curve] and y not in _SMALL_ORDER[curve]
