"""PKCE by S256 only (RFC 7636)."""

import pytest

from safeconduct.protocols.oauth import pkce
from safeconduct.protocols.oauth.errors import InvalidGrant, InvalidRequest

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_challenge_is_that_of_the_standards_example() -> None:
    """RFC 7636 Appendix B."""
    assert pkce.challenge(VERIFIER) == CHALLENGE
    pkce.check_verifier(VERIFIER, expected=CHALLENGE)


def test_a_verifier_has_256_random_bits() -> None:
    assert pkce.new_verifier(bytes) == "A" * 43
    assert pkce.new_verifier() != pkce.new_verifier()


@pytest.mark.parametrize(
    ("value", "method", "code"),
    [
        (None, None, "pkce_missing"),
        (None, "S256", "pkce_missing"),
        (CHALLENGE, None, "pkce_plain"),
        (CHALLENGE, "plain", "pkce_plain"),
        (CHALLENGE, "s256", "pkce_plain"),
        (CHALLENGE + "A", "S256", "pkce_malformed"),
        (CHALLENGE[:-1] + "=", "S256", "pkce_malformed"),
    ],
)
def test_a_challenge_must_be_there_and_be_hashed(value: str | None, method: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        pkce.check_challenge(value, method=method)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "verifier", [None, "", VERIFIER[:-1], VERIFIER[:-1] + "l", VERIFIER + "é", CHALLENGE, "a" * 129]
)
def test_another_verifier_or_none_is_refused(verifier: str | None) -> None:
    with pytest.raises(InvalidGrant) as caught:
        pkce.check_verifier(verifier, expected=CHALLENGE)
    assert caught.value.code == "pkce_mismatch"


@pytest.mark.parametrize("verifier", ["a" * 42, "a" * 129])
def test_a_verifier_of_another_length_is_refused_even_if_it_hashes_right(verifier: str) -> None:
    with pytest.raises(InvalidGrant):
        pkce.check_verifier(verifier, expected=pkce.challenge(verifier))
