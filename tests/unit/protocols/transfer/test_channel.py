"""The channel: what a relay achieves that reflects, repeats, reorders or swaps (A12, A38, hole 3)."""

from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocols.transfer import reference

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer import channel as module
from safeconduct.protocols.transfer.channel import PAYLOAD_TYPE, Channel, Role
from safeconduct.protocols.transfer.draft_payload import open_draft, seal_draft
from safeconduct.protocols.transfer.keys import new_secret
from safeconduct.protocols.transfer.payload import Payload

SECRET = bytes(range(32))
ROLES: tuple[tuple[Role, Role, str], ...] = (("sender", "receiver", "s2r"), ("receiver", "sender", "r2s"))
TEXT = b'{"format": "f", "content": {}}'


def code_of(channel: Channel, payload: Payload) -> str:
    with pytest.raises(SafeconductError) as caught:
        channel.open(payload)
    return caught.value.code


@pytest.mark.parametrize(("one", "other", "direction"), ROLES)
@pytest.mark.parametrize("secret", [SECRET, SECRET[:16]], ids=["256", "128"])
def test_the_layout_is_that_of_the_description(secret: bytes, one: Role, other: Role, direction: str) -> None:
    payload = Channel(secret, one, sent=4).seal(TEXT)
    assert payload.type == PAYLOAD_TYPE
    assert reference.open_(secret, direction, payload.data) == (5, TEXT.ljust(512))

    theirs = Payload(PAYLOAD_TYPE, reference.seal(secret, direction, 1, TEXT))
    assert Channel(secret, other).open(theirs) == TEXT


def test_p7_any_number_of_messages_go_both_ways_also_two_in_a_row() -> None:
    sender, receiver = Channel(SECRET, "sender"), Channel(SECRET, "receiver")
    for number in range(20):
        for one, other in ((sender, receiver), (sender, receiver), (receiver, sender)):
            text = b'{"n": %d}' % number
            assert other.open(one.seal(text)).rstrip() == text
    assert (sender.sent, receiver.received, receiver.sent, sender.received) == (40, 40, 20, 20)


def test_the_counts_go_on_where_they_were_stored() -> None:
    receiver = Channel(SECRET, "receiver")
    sender = Channel(SECRET, "sender")
    for _ in range(3):
        receiver.open(sender.seal(TEXT))

    again = Channel(SECRET, "receiver", sent=receiver.sent, received=receiver.received)

    assert again.open(Channel(SECRET, "sender", sent=sender.sent).seal(TEXT)).rstrip() == TEXT
    assert code_of(again, Channel(SECRET, "sender", sent=2).seal(TEXT)) == "payload_rolled_back"


def test_hole_2_a_message_that_was_overwritten_unread_is_no_obstacle() -> None:
    sender, receiver = Channel(SECRET, "sender"), Channel(SECRET, "receiver")
    sender.seal(b'{"overwritten": 1}')
    assert receiver.open(sender.seal(TEXT)).rstrip() == TEXT


class Draft:
    """The same operations with payloads of the drafts."""

    def __init__(self, secret: bytes, _role: Role) -> None:
        self._secret = secret

    def seal(self, content: bytes) -> Payload:
        return seal_draft(self._secret, content)

    def open(self, payload: Payload) -> bytes:
        return open_draft(self._secret, payload)


def accepted(party: Channel | Draft, payload: Payload) -> bool:
    try:
        party.open(payload)
    except SafeconductError:
        return False
    return True


# What a relay may try. Each tells whether a message was accepted that was not the other party's next one.


def reflect(sender: Channel | Draft, receiver: Channel | Draft) -> bool:
    receiver.open(sender.seal(TEXT))
    return accepted(receiver, receiver.seal(TEXT))


def reflect_to_sender(sender: Channel | Draft, _receiver: Channel | Draft) -> bool:
    return accepted(sender, sender.seal(TEXT))


def roll_back(sender: Channel | Draft, receiver: Channel | Draft) -> bool:
    first, second = sender.seal(TEXT), sender.seal(TEXT)
    receiver.open(first)
    receiver.open(second)
    return accepted(receiver, first)


def repeat(sender: Channel | Draft, receiver: Channel | Draft) -> bool:
    payload = sender.seal(TEXT)
    receiver.open(payload)
    return accepted(receiver, payload)


def reorder(sender: Channel | Draft, receiver: Channel | Draft) -> bool:
    first, second = sender.seal(TEXT), sender.seal(TEXT)
    receiver.open(second)
    return accepted(receiver, first)


ATTACKS = (reflect, reflect_to_sender, roll_back, repeat, reorder)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a12_no_relay_gets_a_message_accepted_out_of_place(
    attack: Callable[[Channel | Draft, Channel | Draft], bool],
) -> None:
    assert not attack(Channel(SECRET, "sender"), Channel(SECRET, "receiver"))
    # The same attacks succeed with the payloads of the drafts: they are found where nothing protects.
    assert attack(Draft(SECRET, "sender"), Draft(SECRET, "receiver"))


def test_a12_the_error_says_which_attack_it_was() -> None:
    sender, receiver = Channel(SECRET, "sender"), Channel(SECRET, "receiver")
    payload = sender.seal(TEXT)
    receiver.open(payload)

    assert code_of(receiver, payload) == "payload_rolled_back"
    assert code_of(sender, payload) == "payload_reflected"
    assert sender.is_own(payload)
    assert not receiver.is_own(payload)


@pytest.mark.parametrize("protection", ["key", "direction"])
def test_a12_either_of_two_protections_stops_reflection(
    protection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {
        "key": ("_key", lambda _self, _direction: SECRET),
        "direction": ("_associated", lambda _self, _direction, count: count),
    }
    monkeypatch.setattr(Channel, *without.pop(protection))
    assert not reflect_to_sender(Channel(SECRET, "sender"), Channel(SECRET, "receiver"))

    monkeypatch.setattr(Channel, *without.popitem()[1])
    assert reflect_to_sender(Channel(SECRET, "sender"), Channel(SECRET, "receiver"))


def test_a12_the_count_is_authenticated(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_count(payload: Payload, count: int) -> Payload:
        raw = b64decode(payload.data)
        return Payload(payload.type, b64encode(raw[:1] + count.to_bytes(4, "big") + raw[5:]).decode())

    sender, receiver = Channel(SECRET, "sender"), Channel(SECRET, "receiver")
    old = sender.seal(TEXT)
    receiver.open(old)
    assert code_of(receiver, with_count(old, 2)) == "payload_authentication_failed"

    monkeypatch.setattr(Channel, "_associated", lambda _self, direction, _count: direction)
    sender, receiver = Channel(SECRET, "sender"), Channel(SECRET, "receiver")
    old = sender.seal(TEXT)
    receiver.open(old)
    assert accepted(receiver, with_count(old, 2))


def test_a12_messages_of_two_mailboxes_cannot_be_swapped() -> None:
    payload = Channel(new_secret(), "sender").seal(TEXT)

    assert code_of(Channel(new_secret(), "receiver"), payload) == "payload_authentication_failed"
    # It takes a sender that uses one secret twice.
    assert accepted(Channel(SECRET, "receiver"), Channel(SECRET, "sender").seal(TEXT))


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(deadline=None)
def test_p14_a_changed_byte_is_noticed(position: int, change: int) -> None:
    raw = bytearray(b64decode(reference.seal(SECRET, "s2r", 1, TEXT)))
    raw[position % len(raw)] ^= change
    channel = Channel(SECRET, "receiver")

    code = code_of(channel, Payload(PAYLOAD_TYPE, b64encode(bytes(raw)).decode()))

    assert code == ("payload_malformed" if position % len(raw) == 0 else "payload_authentication_failed")
    assert channel.received == 0


@pytest.mark.parametrize("type_", ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM"])
def test_a38_a_payload_of_the_drafts_is_no_answer_to_a_link_of_version_2(type_: str) -> None:
    """Even one that opens, which somebody with the link can make: nothing falls back by itself."""
    secret = SECRET[:16] if "128" in type_ else SECRET
    payload = Payload(type_, reference.seal_draft(secret, TEXT))
    assert open_draft(secret, payload) == TEXT  # it is a good one

    assert code_of(Channel(secret, "receiver"), payload) == "payload_downgraded"


def test_a38_nor_is_one_of_version_2_an_answer_to_a_link_of_the_drafts() -> None:
    with pytest.raises(SafeconductError) as caught:
        open_draft(SECRET, Channel(SECRET, "sender").seal(TEXT))
    assert caught.value.code == "payload_type_unsupported"


def test_a38_a_version_2_payload_under_the_drafts_key_does_not_open_either() -> None:
    """The secret itself is no key of version 2, so relabelling a payload gives nothing."""
    draft = b64decode(reference.seal_draft(SECRET, TEXT))
    relabelled = b64encode(b"\x02\0\0\0\x01" + draft).decode()
    payload = Payload(PAYLOAD_TYPE, relabelled)
    assert code_of(Channel(SECRET, "receiver"), payload) == "payload_authentication_failed"

    data = b64decode(Channel(SECRET, "sender").seal(TEXT).data)
    with pytest.raises(SafeconductError) as caught:
        open_draft(SECRET, Payload("AEAD_AES_256_GCM", b64.encode_standard(data[5:])))
    assert caught.value.code == "payload_authentication_failed"


@pytest.mark.parametrize(
    "data", ["", "AA==", "Ag==", "A" * 44, "AgAAAAE=", "no base64!", "Ag" + "A" * 41, "Aw" + "A" * 42]
)
def test_what_is_too_short_of_another_version_or_no_base64_is_malformed(data: str) -> None:
    assert code_of(Channel(SECRET, "receiver"), Payload(PAYLOAD_TYPE, data)) == "payload_malformed"


def test_an_empty_content_is_long_enough_to_be_looked_at() -> None:
    shortest = Payload(PAYLOAD_TYPE, "Ag" + "A" * 42)
    assert code_of(Channel(SECRET, "receiver"), shortest) == "payload_authentication_failed"


@pytest.mark.parametrize("type_", ["", "SCT3_AES_256_GCM", "sct2_aes_256_gcm", "x" * 9000])
def test_an_unknown_type_is_refused(type_: str) -> None:
    payload = Payload(type_, Channel(SECRET, "sender").seal(TEXT).data)
    assert code_of(Channel(SECRET, "receiver"), payload) == "payload_type_unsupported"


def test_more_than_transfer_data_chars_is_refused_unread() -> None:
    beyond = Payload(PAYLOAD_TYPE, "A" * (limits.TRANSFER_DATA_CHARS + 1))
    assert code_of(Channel(SECRET, "receiver"), beyond) == "payload_too_large"


def test_the_count_ends_and_does_not_begin_again() -> None:
    channel = Channel(SECRET, "sender", sent=(1 << 32) - 2)
    assert Channel(SECRET, "receiver").open(channel.seal(TEXT)).rstrip() == TEXT
    with pytest.raises(SafeconductError) as caught:
        channel.seal(TEXT)
    assert caught.value.code == "channel_exhausted"


def test_a_failure_to_seal_uses_up_no_number() -> None:
    channel = Channel(SECRET, "sender")
    with pytest.raises(SafeconductError) as caught:
        channel.seal(b"x" * (limits.TRANSFER_CONTENT_BYTES + 1))
    assert caught.value.code == "content_too_large"
    assert channel.sent == 0


def test_no_two_messages_have_the_same_bytes_or_iv() -> None:
    sealed = [Channel(SECRET, "sender").seal(TEXT).data for _ in range(100)]
    assert len({b64decode(data)[5:17] for data in sealed}) == 100


def test_no_secret_is_in_a_representation_or_an_error() -> None:
    channel = Channel(SECRET, "receiver")
    payload = Channel(SECRET, "sender").seal(TEXT)
    shown = repr(channel) + str(channel) + repr(payload) + repr(module)
    with pytest.raises(SafeconductError) as caught:
        Channel(bytes(32), "receiver").open(payload)
    shown += repr(caught.value) + str(caught.value) + caught.value.reason

    assert SECRET.hex() not in shown
    assert payload.data[:12] not in shown
