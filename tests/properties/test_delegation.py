"""S8: whatever holders sign, nothing grows on its way from the issuer; and what can be made can be shown."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    BOUND_AT,
    EXP,
    HOLDER_KEY,
    ISSUER,
    ISSUER_KEY,
    NBF,
    NONCE,
    NOW,
    TRUST,
    VCT,
    policy,
)
from tests.negative.test_sd_jwt_delegation import RECEIVER_KEY, RIGHTS, THIRD_KEY, of_root

from safeconduct import redact, sd_jwt
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.delegation import DelegationPolicy, VerifiedDelegation
from safeconduct.trust import WAIVED

KEYS = (HOLDER_KEY, RECEIVER_KEY, THIRD_KEY, RECEIVER_KEY)
TAKEN = DelegationPolicy(depth=3, types=WAIVED)
ROOT_RIGHTS = {"open", "drive", "share"}

FLAWS = {
    "rights": "delegation_exceeds_parent",
    "exp": "delegation_outlives_parent",
    "nbf": "delegation_outlives_parent",
    "further": "delegation_not_passed_on",
}
"""What makes a link wider than its parent, and what that is called."""


class Step(msgspec.Struct, frozen=True):
    """What one holder says. rights: None if nothing is narrowed."""

    rights: list[str] | None
    nbf: int
    exp: int
    further: int


@st.composite
def chains(draw: st.DrawFn) -> list[Step]:
    """Holders of whom each gives the next one no more than it had."""
    left, nbf, exp, length = sorted(ROOT_RIGHTS), NBF, EXP, draw(st.integers(1, 3))
    steps: list[Step] = []
    for place in range(length):
        rights = draw(st.none() | st.lists(st.sampled_from(left), unique=True)) if left else None
        left = left if rights is None else sorted(rights)
        nbf, exp = nbf + draw(st.integers(0, 60)), exp - draw(st.integers(0, 60))
        steps.append(Step(rights, nbf, exp, length - 1 - place))
    return steps


@st.composite
def flawed(draw: st.DrawFn) -> tuple[list[Step], str]:
    """Holders of whom one gives more, and the code of that."""
    steps = draw(chains())
    place, flaw = draw(st.integers(0, len(steps) - 1)), draw(st.sampled_from(sorted(FLAWS)))
    if flaw == "further" and not place:
        flaw = "exp"
    before = steps[place - 1] if place else Step(None, NBF, EXP, 9)
    worse: dict[str, Any] = {
        "rights": ["fly"],
        "exp": before.exp + 1,
        "nbf": before.nbf - 1,
        "further": before.further,
    }
    steps[place] = msgspec.structs.replace(steps[place], **{flaw: worse[flaw]})
    return steps, FLAWS[flaw]


def _by_hand(steps: list[Step]) -> str:
    """A presentation of a chain, signed by holders who check nothing."""
    hand = of_root()
    for place, step in enumerate(steps):
        if place:
            hand = hand.on(KEYS[place + 1])
        rights = {} if step.rights is None else {RIGHTS: step.rights}
        hand = hand.but(
            claims={"nbf": step.nbf, "exp": step.exp, "iat": NBF - 1},
            grant={"rights": rights, "further": step.further},
        )
    return hand.text()


def _verified(text: str) -> VerifiedDelegation:
    return delegation.verify(text, trust=TRUST, policy=policy(), delegation=TAKEN, now=NOW)


@settings(deadline=None, max_examples=40)
@given(chains())
def test_what_gives_no_more_verifies_with_what_is_left(steps: list[Step]) -> None:
    verified = _verified(_by_hand(steps))
    narrowed = [set(step.rights) for step in steps if step.rights is not None]
    assert set(verified.claims[RIGHTS]) == (narrowed[-1] if narrowed else ROOT_RIGHTS)
    assert (verified.claims["nbf"], verified.claims["exp"]) == (steps[-1].nbf, steps[-1].exp)
    assert len(verified.links) == len(steps)


@settings(deadline=None, max_examples=60)
@given(flawed())
def test_a35_what_gives_more_at_any_step_is_refused(made: tuple[list[Step], str]) -> None:
    steps, code = made
    with pytest.raises(SafeconductError) as error:
        _verified(_by_hand(steps))
    assert error.value.code == code


@settings(deadline=None, max_examples=40)
@given(chains(), st.sets(st.sampled_from(["given_name", "address", "address.region"])))
def test_what_can_be_passed_on_can_be_shown(steps: list[Step], paths: set[str]) -> None:
    claims = {
        "given_name": redact("Erika"),
        "address": redact({"country": "DE", "region": redact("NI")}),
        RIGHTS: sorted(ROOT_RIGHTS),
    }
    token = sd_jwt.issue(
        {"iss": ISSUER, "vct": VCT, "nbf": NBF, "exp": EXP, **claims},
        issuer=ISSUER_KEY,
        holder=HOLDER_KEY.public,
        now=NBF,
    )
    for place, step in enumerate(steps):
        token = delegation.issue(
            token,
            delegator=KEYS[place],
            receiver=KEYS[place + 1].public,
            disclose=sorted(paths),
            rights={} if step.rights is None else {RIGHTS: step.rights},
            not_before=step.nbf,
            expires=step.exp,
            further=step.further,
            now=NBF,
        )
    last = KEYS[len(steps)]
    shown = delegation.present(
        token, holder=last, disclose=sorted(paths), audience=AUDIENCE, nonce=NONCE, now=BOUND_AT
    )
    verified = _verified(shown)
    assert ("given_name" in verified.claims) == ("given_name" in paths)
    assert ("address" in verified.claims) == bool(paths & {"address", "address.region"})
    held = delegation.check_issued(token, holder=last.public, trust=TRUST, now=NOW, types=[VCT])
    assert held.claims[RIGHTS] == verified.claims[RIGHTS]
