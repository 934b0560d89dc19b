"""The sender's approval: its steps, and who can put what in their way (S3, A14, A39)."""

import itertools
from typing import Any

import pytest
from tests.unit.protocols.transfer import reference

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer import approval as module
from safeconduct.protocols.transfer import comparison, sealed
from safeconduct.protocols.transfer.approval import (
    RECEIVER_STEPS,
    SENDER_STEPS,
    ReceiverApproval,
    ReceiverState,
    SenderApproval,
    SenderState,
    answer,
    approval_record,
    begin_approval,
    confirm,
    fail,
    give_up,
    preview,
    read_receiver_approval,
    read_sender_approval,
    release,
    take_answer,
    take_offer,
    take_reveal,
)
from safeconduct.protocols.transfer.channel import Channel
from safeconduct.protocols.transfer.content import (
    Content,
    Offer,
    Share,
    encode_content,
    offer_content,
    parse_content,
)

SECRET = bytes(range(32))
KEYS = Channel(SECRET, "sender").keys
CONTEXT = KEYS.context
SHARE = Share(id="s-1", issuer="https://issuer.example", expires=1_800_000_000, configuration_ids=("key",))
OFFER = Offer({"credential_issuer": "https://issuer.example", "grants": {"code": "c" * 43}}, SHARE)
EVIL = Offer({"credential_issuer": "https://issuer.example", "grants": {"code": "e" * 43}}, SHARE)
THUMBPRINT = bytes(range(50, 82))


def over(content: Content) -> Content:
    """A message as it comes out of the other end."""
    return parse_content(encode_content(content))


class Played:
    """An approval as far as both have shown their digits."""

    def __init__(self) -> None:
        self.begun, self.first = begin_approval(SHARE)
        self.answered, self.second = answer(over(self.first), proof_key_thumbprint=THUMBPRINT)
        self.sender, self.third = take_answer(self.begun, over(self.second), context=CONTEXT)
        self.receiver = take_reveal(self.answered, over(self.third), context=CONTEXT)


def code_of(act: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(SafeconductError) as caught:
        act(*given, **named)
    return caught.value.code


def changed(content: Content, **members: Any) -> Content:
    return Content(content.format, {**content.content, **members})


def test_s3_both_see_the_digits_of_the_description_and_the_offer_arrives() -> None:
    played = Played()

    expected = reference.digits(
        SECRET,
        b64.decode(played.third.content["public_key"]),
        b64.decode(played.third.content["random"]),
        b64.decode(played.second.content["public_key"]),
        b64.decode(played.second.content["random"]),
        THUMBPRINT,
    )
    assert played.sender.digits == played.receiver.digits == expected
    assert played.sender.thumbprint == b64.encode(THUMBPRINT)
    received, offer = take_offer(
        played.receiver, over(release(confirm(played.sender), OFFER, keys=KEYS)), keys=KEYS
    )
    assert offer == OFFER
    assert received.state == "received"


def test_s3_the_messages_are_those_of_the_description() -> None:
    played = Played()

    assert {message.format for message in (played.first, played.second, played.third)} == {"sct.approve/1"}
    assert json.loads(encode_content(played.first))["content"] == {
        "step": 1,
        "share": {
            "id": "s-1",
            "issuer": "https://issuer.example",
            "expires": 1_800_000_000,
            "credential_configuration_ids": ["key"],
        },
        "commit": played.first.content["commit"],
    }
    assert preview(over(played.first)) == SHARE
    commit = reference.commitment(
        b64.decode(played.third.content["public_key"]), b64.decode(played.third.content["random"])
    )
    assert b64.decode(played.first.content["commit"]) == commit
    assert played.second.content.keys() == {"step", "public_key", "random", "proof_key_thumbprint"}
    assert played.third.content.keys() == {"step", "public_key", "random"}
    assert release(confirm(played.sender), OFFER, keys=KEYS).format == "sct.sealed/1"


def test_the_sender_shows_nothing_of_its_key_before_it_has_an_answer() -> None:
    begun, first = begin_approval(SHARE)
    text = encode_content(first).decode()

    public = AgreementKey.from_raw(b64.decode(begun.key), "X25519").public.to_raw()
    assert b64.encode(public) not in text
    assert begun.random not in text
    assert begun.digits == ""


def test_nothing_is_released_before_the_digits_are_confirmed() -> None:
    played = Played()

    for state in (played.begun, played.sender, fail(played.sender), fail(confirm(played.sender))):
        assert code_of(release, state, OFFER, keys=KEYS) == "approval_step_unexpected"
    assert code_of(lambda: played.begun.thumbprint) == "approval_step_unexpected"


def test_a39_a_second_answer_is_never_taken() -> None:
    """After M3 it could be chosen so that the digits fit (see test_comparison)."""
    played = Played()
    _, another = answer(played.first, proof_key_thumbprint=THUMBPRINT)

    for state in (played.sender, confirm(played.sender), fail(played.sender)):
        assert code_of(take_answer, state, another, context=CONTEXT) == "approval_step_unexpected"


@pytest.mark.parametrize("member", ["public_key", "random"])
def test_a39_what_was_not_committed_to_is_refused(member: str) -> None:
    played = Played()
    other = changed(played.third, **{member: b64.encode(bytes(range(1, 33)))})
    assert code_of(take_reveal, played.answered, other, context=CONTEXT) == "commitment_mismatch"


def test_a39_the_commitment_is_what_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played()
    monkeypatch.setattr(comparison, "commitment", lambda _key, _random: bytes(32))
    _, first = begin_approval(SHARE)
    answered, _ = answer(first, proof_key_thumbprint=THUMBPRINT)
    assert take_reveal(answered, played.third, context=CONTEXT).state == "revealed"


def test_a39_somebody_in_the_middle_is_seen_with_the_real_messages() -> None:
    """It has the secret and the relay: it opens and seals every message as either side."""
    for _ in range(50):
        sender, _ = begin_approval(SHARE)
        own, own_first = begin_approval(SHARE)
        receiver, second = answer(own_first, proof_key_thumbprint=THUMBPRINT)
        _, own_second = answer(own_first, proof_key_thumbprint=bytes(32))
        sender, _ = take_answer(sender, own_second, context=CONTEXT)
        _, own_third = take_answer(own, second, context=CONTEXT)
        receiver = take_reveal(receiver, own_third, context=CONTEXT)
        assert sender.digits != receiver.digits


def test_a39_a_changed_thumbprint_is_seen_as_well() -> None:
    """Otherwise the offer would go to the receiver's key, and the credential to the attacker's."""
    played = Played()
    other = changed(played.second, proof_key_thumbprint=b64.encode(bytes(32)))
    sender, third = take_answer(played.begun, other, context=CONTEXT)
    receiver = take_reveal(played.answered, third, context=CONTEXT)
    assert sender.digits != receiver.digits


def test_a39_digits_of_one_transfer_say_nothing_of_another() -> None:
    played = Played()
    other = Channel(bytes(32), "receiver").keys.context
    assert take_reveal(played.answered, played.third, context=other).digits != played.sender.digits


def test_a14_who_has_the_link_and_the_relay_cannot_put_another_offer_there() -> None:
    played = Played()
    receiver_key = AgreementKey.from_raw(b64.decode(played.receiver.key), "X25519").public
    bare = sealed.seal_offer(EVIL, recipient=receiver_key, keys=KEYS)  # it knows this key and the secret
    genuine = release(confirm(played.sender), OFFER, keys=KEYS)

    for forged in (
        bare,
        changed(bare, confirmation=genuine.content["confirmation"]),
        changed(bare, confirmation=b64.encode(bytes(32))),
        changed(genuine, ciphertext=bare.content["ciphertext"], enc=bare.content["enc"]),
        changed(genuine, ciphertext=bare.content["ciphertext"]),
        changed(genuine, enc=bare.content["enc"]),
    ):
        assert code_of(take_offer, played.receiver, over(forged), keys=KEYS) == "offer_not_of_approver"


def test_a14_the_confirmation_is_what_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played()
    receiver_key = AgreementKey.from_raw(b64.decode(played.receiver.key), "X25519").public
    bare = sealed.seal_offer(EVIL, recipient=receiver_key, keys=KEYS)
    monkeypatch.setattr(module, "_confirmation", lambda _key, _content: "")
    assert take_offer(played.receiver, bare, keys=KEYS)[1] == EVIL


def test_an_offer_for_another_share_than_was_announced_is_refused() -> None:
    played = Played()
    for share in (
        None,
        Share(id="s-2", issuer=SHARE.issuer),
        Share(id="s-1", issuer="https://other.example"),
    ):
        other = release(confirm(played.sender), Offer(OFFER.credential_offer, share), keys=KEYS)
        assert code_of(take_offer, played.receiver, over(other), keys=KEYS) == "offer_not_as_announced"


def test_s3_who_has_the_link_alone_cannot_read_the_offer() -> None:
    played = Played()
    content = release(confirm(played.sender), OFFER, keys=KEYS)

    assert "c" * 43 not in encode_content(content).decode()
    stranger = AgreementKey.generate("X25519")
    assert code_of(sealed.open_offer, content, key=stranger, keys=KEYS) == "sealed_not_for_this_key"


# Every state meets every event; what is not in the table is an error.

SENDER_STATES = ("committed", "revealed", "confirmed", "failed")
RECEIVER_STATES = ("answered", "revealed", "received", "failed")


def test_the_tables_name_every_state() -> None:
    assert {state for state, _ in SENDER_STEPS} | set(SENDER_STEPS.values()) == set(SENDER_STATES)
    assert {state for state, _ in RECEIVER_STEPS} | set(RECEIVER_STEPS.values()) == set(RECEIVER_STATES)
    assert not any(state == "failed" for state, _ in [*SENDER_STEPS, *RECEIVER_STEPS])


@pytest.mark.parametrize(
    ("state", "event"), [*itertools.product(SENDER_STATES, ("answer", "confirm", "release", "fail"))]
)
def test_the_sender_takes_the_steps_of_its_table_and_no_others(state: SenderState, event: str) -> None:
    played = Played()
    made: dict[str, SenderApproval] = {
        "committed": played.begun,
        "revealed": played.sender,
        "confirmed": confirm(played.sender),
        "failed": fail(played.sender),
    }
    acts: dict[str, Any] = {
        "answer": lambda now: take_answer(now, played.second, context=CONTEXT)[0].state,
        "confirm": lambda now: confirm(now).state,
        "release": lambda now: release(now, OFFER, keys=KEYS) and "confirmed",
        "fail": lambda now: fail(now).state,
    }
    following = SENDER_STEPS.get((state, event))
    if following is None:
        assert code_of(acts[event], made[state]) == "approval_step_unexpected"
    else:
        assert acts[event](made[state]) == following


@pytest.mark.parametrize(
    ("state", "event"), [*itertools.product(RECEIVER_STATES, ("reveal", "offer", "fail"))]
)
def test_the_receiver_takes_the_steps_of_its_table_and_no_others(state: ReceiverState, event: str) -> None:
    played = Played()
    fourth = release(confirm(played.sender), OFFER, keys=KEYS)
    made: dict[str, ReceiverApproval] = {
        "answered": played.answered,
        "revealed": played.receiver,
        "received": take_offer(played.receiver, fourth, keys=KEYS)[0],
        "failed": give_up(played.receiver),
    }
    acts: dict[str, Any] = {
        "reveal": lambda now: take_reveal(now, played.third, context=CONTEXT).state,
        "offer": lambda now: take_offer(now, fourth, keys=KEYS)[0].state,
        "fail": lambda now: give_up(now).state,
    }
    following = RECEIVER_STEPS.get((state, event))
    if following is None:
        assert code_of(acts[event], made[state]) == "approval_step_unexpected"
    else:
        assert acts[event](made[state]) == following


# Messages that are none.


def test_messages_of_other_steps_are_refused_at_every_step() -> None:
    played = Played()
    fourth = release(confirm(played.sender), OFFER, keys=KEYS)
    messages = {1: played.first, 2: played.second, 3: played.third}

    for step, message in messages.items():
        if step != 1:
            assert code_of(preview, message) == "message_malformed"
            assert code_of(answer, message, proof_key_thumbprint=THUMBPRINT) == "message_malformed"
        if step != 2:
            assert code_of(take_answer, played.begun, message, context=CONTEXT) == "message_malformed"
        if step != 3:
            assert code_of(take_reveal, played.answered, message, context=CONTEXT) == "message_malformed"
        assert code_of(take_offer, played.receiver, message, keys=KEYS) == "content_format_unsupported"
    for foreign in (fourth, offer_content(OFFER)):
        assert code_of(preview, foreign) == "content_format_unsupported"
        assert code_of(take_answer, played.begun, foreign, context=CONTEXT) == "content_format_unsupported"
        assert code_of(take_reveal, played.answered, foreign, context=CONTEXT) == "content_format_unsupported"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "message_malformed"),
        ("A" * 42, "message_malformed"),
        ("A" * 44, "message_malformed"),
        (1, "message_malformed"),
        (None, "message_malformed"),
        ("!" * 43, "approval_value_malformed"),
        ("é" * 43, "approval_value_malformed"),
        ("A" * 42 + "B", "approval_value_malformed"),
    ],
)
def test_values_of_another_length_are_refused(value: object, code: str) -> None:
    played = Played()

    assert code_of(answer, changed(played.first, commit=value), proof_key_thumbprint=THUMBPRINT) == code
    for member in ("public_key", "random", "proof_key_thumbprint"):
        other = changed(played.second, **{member: value})
        assert code_of(take_answer, played.begun, other, context=CONTEXT) == code
    for member in ("public_key", "random"):
        other = changed(played.third, **{member: value})
        assert code_of(take_reveal, played.answered, other, context=CONTEXT) == code


def test_a_key_that_agrees_on_nothing_is_refused_before_anything_is_shown() -> None:
    played = Played()
    null = b64.encode(bytes(32))
    other = changed(played.second, public_key=null)
    assert code_of(take_answer, played.begun, other, context=CONTEXT) == "shared_secret_invalid"


@pytest.mark.parametrize("confirmation", [None, "", "é", "A" * 43, "A" * 65, 1])
def test_an_offer_without_a_good_confirmation_is_refused(confirmation: object) -> None:
    played = Played()
    other = changed(release(confirm(played.sender), OFFER, keys=KEYS), confirmation=confirmation)
    expected = {"offer_not_of_approver", "message_malformed"}
    assert code_of(take_offer, played.receiver, over(other), keys=KEYS) in expected


# What is kept between the steps.


def test_an_approval_comes_back_from_its_record_at_every_step() -> None:
    played = Played()

    for sender in (played.begun, played.sender, confirm(played.sender), fail(played.sender)):
        stored = json.loads(json.dumps(approval_record(sender)))
        assert read_sender_approval(stored) == sender
    for receiver in (played.answered, played.receiver, give_up(played.receiver)):
        stored = json.loads(json.dumps(approval_record(receiver)))
        assert read_receiver_approval(stored) == receiver


def test_a_record_that_is_none_is_refused() -> None:
    for record in ({}, {"state": "confirmed"}, {**approval_record(Played().sender), "state": "released"}):
        assert code_of(read_sender_approval, record) == "message_malformed"
        assert code_of(read_receiver_approval, record) == "message_malformed"


def test_no_key_number_or_digit_is_in_a_representation() -> None:
    played = Played()
    sender, receiver = played.sender, played.receiver
    shown = "".join(map(repr, (sender, receiver, receiver.answer, played.first, played.second, played.third)))

    for secret in (sender.key, sender.random, sender.digits, receiver.key, receiver.commitment, "s-1"):
        assert secret not in shown


def test_each_approval_has_keys_and_numbers_of_its_own() -> None:
    made = [Played() for _ in range(20)]
    values = [value for one in made for value in (one.begun.key, one.begun.random, one.answered.key)]
    values += [one.answered.answer.random for one in made]
    assert len(set(values)) == 80
