"""COSE_Key maps are read strictly: labels, types, lengths, curves, operations (RFC 9052 §7, RFC 9053 §7)."""

from typing import Any

import pytest

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import cbor
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

KEYS = {name: Key.generate(name) for name in ("ES256", "ES384", "ES512", "Ed25519", "Ed448", "ML-DSA-65")}
P256 = KEYS["ES256"].public.to_cose_key()
OKP = KEYS["Ed25519"].public.to_cose_key()
AKP = KEYS["ML-DSA-65"].public.to_cose_key()


def test_a_holder_key_has_only_the_members_it_needs() -> None:
    assert set(P256) == {1, -1, -2, -3}
    assert (P256[1], P256[-1], len(P256[-2]), len(P256[-3])) == (2, 1, 32, 32)
    assert {**OKP, -2: b""} == {1: 1, -1: 6, -2: b""}
    assert {**AKP, -1: b""} == {1: 7, 3: -49, -1: b""}


def test_an_unusual_algorithm_and_a_key_identifier_are_written() -> None:
    key = KEYS["Ed25519"].public.with_algorithm("EdDSA").with_kid("holder")
    assert (key.to_cose_key()[3], key.to_cose_key()[2]) == (-8, b"holder")


@pytest.mark.parametrize("name", list(KEYS))
def test_a_key_survives_its_cbor_encoding(name: str) -> None:
    decoded = cbor.loads(cbor.dumps(KEYS[name].public.to_cose_key()))
    assert PublicKey.from_cose_key(decoded) == KEYS[name].public


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_a_compressed_point_is_expanded(name: str) -> None:
    members = KEYS[name].public.to_cose_key()
    odd = bool(members[-3][-1] & 1)
    assert PublicKey.from_cose_key({**members, -3: odd}) == KEYS[name].public
    assert PublicKey.from_cose_key({**members, -3: not odd}) != KEYS[name].public


@pytest.mark.parametrize("x", [1, 2, 3, 4, 7])
def test_a_compressed_point_that_no_point_has_is_malformed(x: int) -> None:
    with pytest.raises(Malformed) as error:
        PublicKey.from_cose_key({**P256, -2: x.to_bytes(32, "big"), -3: True})
    assert error.value.code == "key_malformed"


MALFORMED: list[Any] = [
    None,
    [],
    b"",
    "key",
    7,
    {},
    {1: None},
    {1: True, -1: 6, -2: OKP[-2]},
    {1: 2.0, **{label: P256[label] for label in (-1, -2, -3)}},
    {1: 2},
    {1: 2, -1: 1},
    {**P256, -1: True},
    {**P256, -1: None},
    {**P256, -2: "text"},
    {**P256, -2: None},
    {**P256, -2: P256[-2][1:]},
    {**P256, -2: b"\x00" + P256[-2]},
    {**P256, -2: P256[-2][1:], -3: b"\x00" + P256[-3]},
    {**P256, -3: b""},
    {**P256, -3: None},
    {**P256, -3: 1},
    {**P256, -3: P256[-2]},
    {**P256, -2: P256[-2][1:], -3: True},
    {1: 2, -1: 1, -2: P256[-2]},
    {1: 2, -1: 1, -3: P256[-3]},
    {1: 2, -1: 1, -3: True},
    {**P256, 2: "text kid"},
    {**P256, 2: None},
    {**P256, 3: None},
    {**P256, 3: True},
    {**P256, 3: -7.0},
    {**P256, 4: []},
    {**P256, 4: 2},
    {**P256, 4: None},
    {**P256, 4: "verify"},
    {**P256, 1.5: 0},
    {**P256, None: 0},
    {**P256, b"x": 0},
    {True: 2, **{label: P256[label] for label in (-1, -2, -3)}},
    {1.0: 2, **{label: P256[label] for label in (-1, -2, -3)}},
    {1: 1, -1: 6},
    {**OKP, -2: OKP[-2][1:]},
    {**OKP, -2: OKP[-2] + b"\x00"},
    {**OKP, -2: True},
    {1: 7, -1: AKP[-1]},
    {1: 7, 3: -49},
    {**AKP, -1: AKP[-1][1:]},
    {**AKP, 3: -48},
]


@pytest.mark.parametrize("members", MALFORMED, ids=range(len(MALFORMED)))
def test_a_broken_cose_key_is_malformed(members: Any) -> None:
    with pytest.raises(Malformed) as error:
        PublicKey.from_cose_key(members)
    assert error.value.code == "key_malformed"


UNSUPPORTED: list[dict[Any, Any]] = [
    {1: 3, -1: b"n", -2: b"e"},
    {1: 4, -1: b"secret"},
    {1: "EC2"},
    {1: -65537},
    {**P256, -1: 8},
    {**P256, -1: 6},
    {**P256, -1: "P-256"},
    {**OKP, -1: 1},
    {**OKP, -1: 4},
    {**OKP, -1: 5},
    {**P256, 3: -35},
    {**P256, 3: -8},
    {**P256, 3: -37},
    {**P256, 3: -25},
    {**P256, 3: "ES256"},
    {**OKP, 3: -53},
    {**OKP, 3: -7},
    {**AKP, 3: -7},
]


@pytest.mark.parametrize("members", UNSUPPORTED, ids=range(len(UNSUPPORTED)))
def test_a_legal_but_unusable_cose_key_is_unsupported(members: dict[Any, Any]) -> None:
    with pytest.raises(Unsupported) as error:
        PublicKey.from_cose_key(members)
    assert error.value.code == "key_unsupported"


@pytest.mark.parametrize("name", list(KEYS))
def test_a_private_cose_key_is_refused_as_a_public_one(name: str) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_cose_key(KEYS[name].to_cose_key(private=True))
    assert error.value.code == "private_key_where_public_expected"


@pytest.mark.parametrize("operations", [[2], [1, 2], ["x", 2]])
def test_key_operations_that_include_the_use_are_accepted(operations: list[Any]) -> None:
    assert PublicKey.from_cose_key({**P256, 4: operations}) == KEYS["ES256"].public


@pytest.mark.parametrize("operations", [[1], [7, 8], ["verify"], [True], [2.0]])
def test_key_operations_without_verify_are_refused(operations: list[Any]) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_cose_key({**P256, 4: operations})
    assert error.value.code == "key_use_mismatch"


def test_a_private_key_must_be_meant_for_signing() -> None:
    private = KEYS["ES256"].to_cose_key(private=True)
    Key.from_cose_key({**private, 4: [1]})
    with pytest.raises(Rejected) as error:
        Key.from_cose_key({**private, 4: [2]})
    assert error.value.code == "key_use_mismatch"


@pytest.mark.parametrize("name", list(KEYS))
def test_a_private_cose_key_may_leave_its_public_part_out(name: str) -> None:
    private = KEYS[name].to_cose_key(private=True)
    labels = (-1,) if private[1] == 7 else (-2, -3)
    short = {label: value for label, value in private.items() if label not in labels}
    assert Key.from_cose_key(short).public == KEYS[name].public


@pytest.mark.parametrize("name", list(KEYS))
def test_a_private_cose_key_with_anothers_public_part_is_refused(name: str) -> None:
    mixed = {**KEYS[name].to_cose_key(private=True), **Key.generate(name).public.to_cose_key()}
    with pytest.raises(Rejected) as error:
        Key.from_cose_key(mixed)
    assert error.value.code == "key_pair_mismatch"


@pytest.mark.parametrize("name", list(KEYS))
def test_a_public_cose_key_is_no_private_one(name: str) -> None:
    with pytest.raises(SafeconductError) as error:
        Key.from_cose_key(KEYS[name].public.to_cose_key())
    assert error.value.code == "key_malformed"
