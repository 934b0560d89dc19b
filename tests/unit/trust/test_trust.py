"""Whose keys are tried, and what a policy cannot leave unsaid."""

from typing import Any

import pytest

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.trust import WAIVED, AeadKey, Policy, Trust

ONE, TWO, THREE = (Key.from_raw(bytes(31) + bytes((number,)), "ES256").public for number in (1, 2, 3))
A, B = "https://a.example", "https://b.example"


def test_an_issuer_has_its_own_keys_alone() -> None:
    trust = Trust.of({A: ONE, B: [TWO, THREE]})
    assert trust.keys_for(A, None) == (ONE,)
    assert trust.keys_for(B, None) == (TWO, THREE)
    assert trust.keys_for("https://c.example", None) == ()
    assert trust.keys_for(None, None) == ()


def test_pinned_keys_belong_to_every_issuer() -> None:
    trust = Trust.key(ONE, TWO)
    assert trust.keys_for(A, None) == (ONE, TWO)
    assert trust.keys_for(None, None) == (ONE, TWO)


NAMED: dict[str, list[PublicKey]] = {A: [ONE.with_kid(b"1"), TWO.with_kid("2"), THREE]}


@pytest.mark.parametrize(
    ("kid", "expected"),
    [
        (b"1", (ONE,)),
        ("1", (ONE,)),
        (b"2", (TWO,)),
        (b"3", (THREE,)),
        (b"", (THREE,)),
        (None, (ONE, TWO, THREE)),
    ],
)
def test_a_kid_leaves_the_keys_that_have_it_or_else_those_without_any(
    kid: bytes | str | None, expected: tuple[PublicKey, ...]
) -> None:
    assert Trust.of(NAMED).keys_for(A, kid) == expected


def test_nobody_is_trusted_by_default() -> None:
    assert Trust().keys_for(A, None) == ()
    assert not Trust().issuer_unchecked
    assert not Trust.of({}).issuer_unchecked
    assert Trust.issuer_not_checked().issuer_unchecked


@pytest.mark.parametrize("missing", ["audience", "nonce"])
def test_a_policy_sets_or_waives_audience_and_nonce(missing: str) -> None:
    given: dict[str, Any] = {"audience": A, "nonce": b"x"}
    del given[missing]
    with pytest.raises(TypeError):
        Policy(**given)
    assert Policy(**given, **{missing: WAIVED})


def test_a_policy_is_strict_by_default() -> None:
    policy = Policy(audience=A, nonce=b"x")
    assert (policy.profiles, policy.accept, policy.leeway) == (("ietf-08",), frozenset(), 0)
    assert (policy.audiences, Policy(audience=(A, B), nonce=b"x").audiences) == ((A,), (A, B))
    assert Policy(audience=WAIVED, nonce=WAIVED).audiences == ()


def test_neither_trust_nor_policy_can_be_changed() -> None:
    for frozen in (Trust(), Policy(audience=A, nonce=b"x"), AeadKey(b"")):
        with pytest.raises(AttributeError):
            frozen.accept = frozenset({"raw-digest"})  # type: ignore[union-attr]


def test_a_secret_is_not_in_the_repr() -> None:
    assert "abc" not in repr(AeadKey(b"abc"))
    assert "abc" not in repr(Policy(audience=A, nonce=b"x", aead_keys=(AeadKey(b"abc"),)))
