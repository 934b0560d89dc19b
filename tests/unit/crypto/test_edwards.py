"""EdDSA keys under which anybody can sign are refused, whatever form they come in (RFC 8032)."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from safeconduct.crypto import edwards
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7

P448 = 2**448 - 2**224 - 1
TOP = 1 << 255


def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    """The group law of edwards25519 (RFC 8032 §5.1), so that this test trusts no constant."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    result = (0, 1)
    for bit in bin(factor)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def with_y(y: int) -> tuple[int, int]:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return x, y


def encoded(y: int) -> bytes:
    return y.to_bytes(32, "little")


SMALL = [0, 1, P - 1, ORDER_8, P - ORDER_8]
UNSOUND = [encoded(y | sign) for y in (*SMALL, P, P + 1, P + 3, 2**255 - 1) for sign in (0, TOP)]


def test_the_refused_points_are_all_points_of_small_order() -> None:
    points = {point for y in SMALL for x, _ in [with_y(y)] for point in ((x, y), (-x % P, y))}
    assert len(points) == 8
    assert all(times(8, point) == (0, 1) for point in points)


def test_an_ordinary_point_has_large_order() -> None:
    assert times(8, BASE) != (0, 1)
    assert times(ORDER, BASE) == (0, 1)


def test_a_key_of_small_order_would_verify_anything() -> None:
    identity = encoded(1)
    handle = ed25519.Ed25519PublicKey.from_public_bytes(identity)
    handle.verify(identity + bytes(32), b"whatever one likes")


@pytest.mark.parametrize("raw", UNSOUND, ids=range(len(UNSOUND)))
def test_small_order_and_second_spellings_are_refused_in_every_form(raw: bytes) -> None:
    handle = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    der = handle.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    forms = [
        lambda: PublicKey.from_raw(raw, "Ed25519"),
        lambda: PublicKey.from_der(der),
        lambda: PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64.encode(raw)}),
        lambda: PublicKey.from_cose_key({1: 1, -1: 6, -2: raw}),
    ]
    for read in forms:
        with pytest.raises(Malformed) as error:
            read()
        assert error.value.code == "key_malformed"


@pytest.mark.parametrize("y", [0, 1, P448 - 1, P448, P448 + 1, 1 << 448, 2**455 - 1])
@pytest.mark.parametrize("sign", [0, 1 << 455])
def test_the_same_holds_for_ed448(y: int, sign: int) -> None:
    with pytest.raises(Malformed) as error:
        PublicKey.from_raw((y | sign).to_bytes(57, "little"), "Ed448")
    assert error.value.code == "key_malformed"


@pytest.mark.parametrize("name", ["Ed25519", "Ed448"])
def test_ordinary_keys_are_sound(name: str) -> None:
    assert all(edwards.is_sound(name, Key.generate(name).public.to_raw()) for _ in range(20))
