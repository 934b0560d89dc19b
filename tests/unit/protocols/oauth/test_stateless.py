"""Stateless nonces are recognised by their server, for their purpose, for their time, and by nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.protocols.oauth.stateless import C_NONCE, DPOP_NONCE, StatelessNonces

NOW = 1_800_000_000
KEY, OTHER = bytes(range(32)), bytes(32)
NONCES = StatelessNonces(keys=(KEY,), purpose=C_NONCE, lifetime=100)


def test_a_nonce_is_accepted_within_its_lifetime() -> None:
    nonce = NONCES.create(NOW)

    assert NONCES.accepts(nonce, now=NOW)
    assert NONCES.accepts(nonce, now=NOW + 100)
    assert not NONCES.accepts(nonce, now=NOW + 101)


def test_a_nonce_from_beyond_the_clock_skew_is_refused() -> None:
    nonce = NONCES.create(NOW)

    assert NONCES.accepts(nonce, now=NOW - limits.CLOCK_SKEW)
    assert not NONCES.accepts(nonce, now=NOW - limits.CLOCK_SKEW - 1)


def test_a_nonce_for_key_proofs_is_none_for_dpop_proofs() -> None:
    dpop = StatelessNonces(keys=(KEY,), purpose=DPOP_NONCE, lifetime=100)

    assert not dpop.accepts(NONCES.create(NOW), now=NOW)
    assert not NONCES.accepts(dpop.create(NOW), now=NOW)


def test_a_nonce_of_another_server_is_refused() -> None:
    assert not StatelessNonces(keys=(OTHER,), purpose=C_NONCE).accepts(NONCES.create(NOW), now=NOW)


def test_a_nonce_under_the_key_before_is_still_accepted() -> None:
    rotated = StatelessNonces(keys=(OTHER, KEY), purpose=C_NONCE)

    assert rotated.accepts(NONCES.create(NOW), now=NOW)
    assert not NONCES.accepts(rotated.create(NOW), now=NOW)


def test_two_nonces_of_one_second_differ() -> None:
    assert NONCES.create(NOW) != NONCES.create(NOW)


def test_a_nonce_depends_on_the_given_randomness_alone() -> None:
    assert NONCES.create(NOW, random=bytes) == NONCES.create(NOW, random=bytes)


def test_the_usual_lifetime_is_the_limit() -> None:
    nonces = StatelessNonces(keys=(KEY,), purpose=C_NONCE)

    assert nonces.accepts(nonces.create(NOW), now=NOW + limits.NONCE_LIFETIME)
    assert not nonces.accepts(nonces.create(NOW), now=NOW + limits.NONCE_LIFETIME + 1)


@given(st.integers(0, 55), st.integers(1, 255))
def test_a_nonce_with_any_changed_byte_is_refused(index: int, change: int) -> None:
    raw = bytearray(b64.decode(NONCES.create(NOW)))
    raw[index] ^= change

    assert not NONCES.accepts(b64.encode(bytes(raw)), now=NOW)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    assert not NONCES.accepts(text, now=NOW)


def test_a_nonce_fits_the_bound_on_nonces() -> None:
    assert len(NONCES.create(NOW)) <= limits.NONCE_CHARS


@pytest.mark.parametrize("keys", [(), (b"short",), (KEY, b"")])
def test_short_keys_are_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        StatelessNonces(keys=keys, purpose=C_NONCE)


def test_the_key_is_not_shown() -> None:
    assert "keys" not in repr(NONCES)
