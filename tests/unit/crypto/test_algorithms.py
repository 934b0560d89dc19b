"""The algorithm table is consistent, and a message cannot pick another algorithm than its key's."""

from itertools import product

import pytest

from safeconduct.crypto import algorithms
from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.errors import Unsupported

# IANA COSE Algorithms registry (RFC 9053, RFC 9864, RFC 9964).
REGISTRY = {
    "ES256": -7,
    "ES384": -35,
    "ES512": -36,
    "EdDSA": -8,
    "ESP256": -9,
    "ESP384": -51,
    "ESP512": -52,
    "Ed25519": -19,
    "Ed448": -53,
    "ML-DSA-44": -48,
    "ML-DSA-65": -49,
    "ML-DSA-87": -50,
}

INTERCHANGEABLE = [
    {"ES256", "ESP256"},
    {"ES384", "ESP384"},
    {"ES512", "ESP512"},
    {"Ed25519", "EdDSA"},
    {"Ed448", "EdDSA"},
]


def test_names_and_numbers_are_those_of_the_registry() -> None:
    assert {algorithm.name: algorithm.cose for algorithm in ALGORITHMS} == REGISTRY


def test_every_name_and_number_finds_its_algorithm() -> None:
    for algorithm in ALGORITHMS:
        assert algorithms.by_name(algorithm.name) is algorithm
        assert algorithms.by_cose(algorithm.cose) is algorithm
        assert algorithms.by_jose(algorithm.jose).jose == algorithm.jose


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_a_jose_name_finds_the_plain_algorithm(name: str) -> None:
    assert algorithms.by_jose(name).name == name


@pytest.mark.parametrize(
    "name", ["", "none", "HS256", "RS256", "es256", "ES256K", "ESP256 ", None, 7, b"ES256"]
)
def test_other_names_are_unsupported(name: str) -> None:
    for lookup in (algorithms.by_name, algorithms.by_jose):
        with pytest.raises(Unsupported) as error:
            lookup(name)
        assert error.value.code == "algorithm_unsupported"


@pytest.mark.parametrize("number", [0, 1, 5, -37, -257, -7.0, True, "ES256", None, 2**70])
def test_other_numbers_are_unsupported(number: int) -> None:
    with pytest.raises(Unsupported) as error:
        algorithms.by_cose(number)
    assert error.value.code == "algorithm_unsupported"


def test_only_names_of_the_same_mathematics_are_compatible() -> None:
    keys = [item for item in ALGORITHMS if item.curve or item.key_type == "AKP"]
    for named, held in product(ALGORITHMS, keys):
        expected = named is held or {named.name, held.name} in INTERCHANGEABLE
        assert algorithms.compatible(named, held) is expected, (named.name, held.name)


def test_a_key_bound_to_eddsa_is_bound_to_its_curve() -> None:
    ed25519, ed448 = algorithms.EDDSA_BY_CURVE["Ed25519"], algorithms.EDDSA_BY_CURVE["Ed448"]
    assert algorithms.compatible(algorithms.by_name("Ed25519"), ed25519)
    assert algorithms.compatible(algorithms.by_name("EdDSA"), ed448)
    assert not algorithms.compatible(algorithms.by_name("Ed448"), ed25519)
    assert not algorithms.compatible(algorithms.by_name("Ed25519"), ed448)
