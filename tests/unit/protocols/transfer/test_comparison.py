"""The six digits against somebody in the middle who has the link's secret and the relay's help (A39).

Keys are random bytes here: nothing of what the attacker can do depends on their being points on a curve, and
so ten thousand attacks cost little. `test_approval` plays the same with the real messages.
"""

import hmac
import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocols.transfer import reference

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.errors import Rejected
from safeconduct.protocols.transfer import comparison

RUNS = 10_000
SECRET = bytes(range(32))
CONTEXT = reference.context(SECRET)
THUMBPRINT = bytes(range(50, 82))

values = st.binary(min_size=32, max_size=32)
Digits = Callable[[bytes, bytes, bytes, bytes], str]
Attack = Callable[[random.Random], tuple[str, str]]


def replayable(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same attacks in every run


def digits(sender_key: bytes, sender_random: bytes, receiver_key: bytes, receiver_random: bytes) -> str:
    return comparison.digits(
        CONTEXT,
        sender_key=sender_key,
        sender_random=sender_random,
        receiver_key=receiver_key,
        receiver_random=receiver_random,
        thumbprint=THUMBPRINT,
    )


@given(values, values, values, values, values)
@settings(deadline=None)
def test_commitment_and_digits_are_those_of_the_description(
    sender_key: bytes, sender_random: bytes, receiver_key: bytes, receiver_random: bytes, thumbprint: bytes
) -> None:
    assert comparison.commitment(sender_key, sender_random) == reference.commitment(sender_key, sender_random)
    shown = comparison.digits(
        CONTEXT,
        sender_key=sender_key,
        sender_random=sender_random,
        receiver_key=receiver_key,
        receiver_random=receiver_random,
        thumbprint=thumbprint,
    )
    parts = (sender_key, sender_random, receiver_key, receiver_random, thumbprint)
    assert shown == reference.digits(SECRET, *parts)
    assert len(shown) == 6
    assert shown.isdecimal()


def test_digits_keep_their_leading_zeros_and_all_occur() -> None:
    source = replayable(7)
    shown = [digits(*(source.randbytes(32) for _ in range(4))) for _ in range(3000)]

    assert {len(text) for text in shown} == {6}
    assert {text[0] for text in shown} == set("0123456789")


@pytest.mark.parametrize("part", range(6))
def test_each_part_of_the_transcript_changes_the_digits(part: int) -> None:
    """Forty changes of a part: the digits stay as they were in one of 25,000 such tests."""
    parts = [bytes([number]) * 32 for number in range(6)]

    def shown(values: list[bytes]) -> str:
        return comparison.digits(
            values[0],
            sender_key=values[1],
            sender_random=values[2],
            receiver_key=values[3],
            receiver_random=values[4],
            thumbprint=values[5],
        )

    before = shown(parts)
    for number in range(40):
        changed = [bytes([100 + number]) * 32 if at == part else value for at, value in enumerate(parts)]
        assert shown(changed) != before


# Attacks. Each gives the digits that the sender sees and those that the receiver sees; what the attacker
# sends it chooses from what it has seen until then, and the order is that of the protocol.


def guess(source: random.Random) -> tuple[str, str]:
    """Stands between the two with keys of its own, in the order that tells it most.

    It answers the sender first and so knows the sender's digits when it commits to the receiver. What it
    commits to there it has to stay with, and the receiver's random number comes after.
    """
    sender_key, sender_random = source.randbytes(32), source.randbytes(32)
    comparison.commitment(sender_key, sender_random)  # M1, from which it learns nothing
    own_receiver = source.randbytes(32), source.randbytes(32)  # its M2
    seen_by_sender = digits(sender_key, sender_random, *own_receiver)  # M3 comes: it knows these now
    own_sender = source.randbytes(32), source.randbytes(32)
    committed = comparison.commitment(*own_sender)  # its M1
    receiver_key, receiver_random = source.randbytes(32), source.randbytes(32)  # M2
    assert comparison.commitment(*own_sender) == committed  # the receiver looks, at its M3
    return seen_by_sender, digits(*own_sender, receiver_key, receiver_random)


def guess_the_other_way_round(source: random.Random) -> tuple[str, str]:
    """Has the receiver answer first, and answers the sender knowing what the receiver will see."""
    own_sender = source.randbytes(32), source.randbytes(32)
    seen_by_receiver = digits(*own_sender, source.randbytes(32), source.randbytes(32))
    own_receiver = source.randbytes(32), source.randbytes(32)
    return digits(source.randbytes(32), source.randbytes(32), *own_receiver), seen_by_receiver


def tries() -> Iterator[bytes]:
    return (number.to_bytes(32, "big") for number in count())


def grind_without_commitment(source: random.Random) -> tuple[str, str]:
    """What it could do if the receiver did not look at the commitment: try until the digits fit."""
    seen_by_sender = digits(*(source.randbytes(32) for _ in range(4)))
    own_key, receiver = source.randbytes(32), (source.randbytes(32), source.randbytes(32))
    fitting = next(number for number in tries() if digits(own_key, number, *receiver) == seen_by_sender)
    return seen_by_sender, digits(own_key, fitting, *receiver)


def grind_with_a_predictable_receiver(source: random.Random) -> tuple[str, str]:
    """What it could do if M2 were known beforehand: commit to what will fit."""
    known = bytes(32), bytes(32)
    seen_by_sender = digits(*(source.randbytes(32) for _ in range(4)))
    own_key = source.randbytes(32)
    fitting = next(number for number in tries() if digits(own_key, number, *known) == seen_by_sender)
    return seen_by_sender, digits(own_key, fitting, *known)


def grind_with_a_second_answer(source: random.Random) -> tuple[str, str]:
    """What it could do if the sender took another M2 after it has shown its M3."""
    sender = source.randbytes(32), source.randbytes(32)
    seen_by_receiver = digits(*(source.randbytes(32) for _ in range(4)))
    own_key = source.randbytes(32)
    fitting = next(number for number in tries() if digits(*sender, own_key, number) == seen_by_receiver)
    return digits(*sender, own_key, fitting), seen_by_receiver


@pytest.mark.parametrize("attack", [guess, guess_the_other_way_round])
def test_a39_ten_thousand_attackers_in_the_middle_are_all_seen(attack: Attack) -> None:
    source = replayable(39)
    unseen = [seen for seen in (attack(source) for _ in range(RUNS)) if seen[0] == seen[1]]
    assert unseen == []


@pytest.mark.parametrize("attack", [guess, guess_the_other_way_round])
def test_a39_an_attacker_has_one_guess_in_as_many_as_there_are_digits(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two digits one in a hundred goes unseen, so with six one in a million: no order gives more."""
    monkeypatch.setattr(comparison, "DIGITS", 2)
    source = replayable(39)
    unseen = sum(sender == receiver for sender, receiver in (attack(source) for _ in range(RUNS)))
    assert 60 <= unseen <= 140  # 100 expected; four standard deviations are 40


@pytest.mark.parametrize(
    "attack", [grind_without_commitment, grind_with_a_predictable_receiver, grind_with_a_second_answer]
)
def test_a39_without_commitment_or_random_answer_or_with_a_second_one_the_attacker_always_wins(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three digits, because a thousand tries are cheap here; a million are a second's work."""
    monkeypatch.setattr(comparison, "DIGITS", 3)
    source = replayable(39)
    assert all(sender == receiver for sender, receiver in (attack(source) for _ in range(10)))


def test_both_sides_have_the_same_confirmation_key_and_nobody_else() -> None:
    sender, receiver, other = (AgreementKey.generate("X25519") for _ in range(3))

    key = comparison.confirmation_key(sender, receiver.public, context=CONTEXT)

    assert key == comparison.confirmation_key(receiver, sender.public, context=CONTEXT)
    assert key != comparison.confirmation_key(other, sender.public, context=CONTEXT)
    assert key != comparison.confirmation_key(sender, receiver.public, context=bytes(32))
    shared = sender.exchange(receiver.public)
    assert key == reference.hkdf(shared, CONTEXT, b"sct/2 approve")


def test_a_confirmation_is_of_both_parts_of_what_was_sealed() -> None:
    expected = hmac.digest(SECRET, b"AAAA.BBBB", "sha256")
    assert comparison.confirmation(SECRET, "AAAA", "BBBB") == expected
    others = {
        comparison.confirmation(SECRET, *parts)
        for parts in (("AAAA", "BBBA"), ("AAAB", "BBB"), ("", "AAAABBBB"))
    }
    assert expected not in others
    assert len(others) == 3


def test_a_key_of_small_order_confirms_nothing() -> None:
    with pytest.raises(Rejected) as caught:
        comparison.confirmation_key(
            AgreementKey.generate("X25519"), AgreementPublicKey.from_raw(bytes(32), "X25519"), context=CONTEXT
        )
    assert caught.value.code == "shared_secret_invalid"
