"""What goes through a channel, a link or a sealed offer comes back; nothing else passes the channel."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.channel import Channel
from safeconduct.protocols.transfer.content import (
    Content,
    Offer,
    Share,
    encode_content,
    offer_content,
    parse_content,
    read_offer,
)
from safeconduct.protocols.transfer.link import Level, ShareLink, link_text, parse_link
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.sealed import open_file, open_offer, seal_file, seal_offer

KEYS = [AgreementKey.generate("X25519") for _ in range(2)]
LEVELS: list[Level] = ["link", "pin", "key", "approve", "authority"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=5)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
shares = st.builds(
    Share,
    id=names,
    issuer=names,
    expires=st.none() | st.integers(0, 2**53 - 1),
    mode=st.sampled_from(["share", "move"]),
    configuration_ids=st.lists(names, max_size=3).map(tuple),
)
offers = st.builds(Offer, objects, st.none() | shares)
secrets = st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16)


@given(secrets, names, objects)
@settings(max_examples=40, deadline=None)
def test_any_content_comes_back_through_a_channel(secret: bytes, name: str, members: dict[str, Any]) -> None:
    payload = Channel(secret, "sender").seal(encode_content(Content(name, members)))
    assert parse_content(Channel(secret, "receiver").open(payload)) == Content(name, members)


@given(offers)
@settings(max_examples=40, deadline=None)
def test_any_offer_comes_back_from_its_message(offer: Offer) -> None:
    assert read_offer(parse_content(encode_content(offer_content(offer)))) == offer


@given(offers, st.integers(0, 1), st.integers(0, 1), secrets)
@settings(max_examples=25, deadline=None)
def test_a_sealed_offer_opens_for_its_key_and_no_other(
    offer: Offer, sealed_to: int, opened_by: int, secret: bytes
) -> None:
    keys = Channel(secret, "sender").keys
    line = seal_file(offer, recipient=KEYS[sealed_to].public)
    message = parse_content(encode_content(seal_offer(offer, recipient=KEYS[sealed_to].public, keys=keys)))

    acts: tuple[Callable[[], Offer], ...] = (
        lambda: open_file(line, key=KEYS[opened_by]),
        lambda: open_offer(message, key=KEYS[opened_by], keys=keys),
    )
    for act in acts:
        if sealed_to == opened_by:
            assert act() == offer
        else:
            assert _code(act) == "sealed_not_for_this_key"


@given(
    st.uuids(), secrets, st.sampled_from(LEVELS), st.sampled_from(["", ":8443", "/a", "/a/b"]), st.booleans()
)
@settings(max_examples=50, deadline=None)
def test_any_link_comes_back_from_its_text(
    mailbox: Any, secret: bytes, level: Level, place: str, draft: bool
) -> None:
    link = ShareLink(
        url=f"https://relay.example{place}/v1/m/{mailbox}",
        secret=secret,
        version=1 if draft else 2,
        level=None if draft else level,
    )
    assert parse_link(f"\n{link_text(link)} ") == link


class Relay(RuleBasedStateMachine):
    """Two parties write when they like; the relay hands either of them any payload it has seen.

    What a party accepts is always a message of the other one, later than all that it accepted before.
    """

    payloads = Bundle("payloads")

    @initialize(secret=secrets)
    def begin(self, secret: bytes) -> None:
        self.secret = secret
        self.parties = {
            "sender": Channel(secret, "sender"),
            "receiver": Channel(secret, "receiver"),
        }
        self.accepted: dict[str, list[int]] = {"sender": [], "receiver": []}
        self.written = 0

    @rule(target=payloads, role=st.sampled_from(["sender", "receiver"]))
    def write(self, role: str) -> tuple[str, int, Payload]:
        self.written += 1
        return role, self.parties[role].sent + 1, self.parties[role].seal(b'{"n": %d}' % self.written)

    @rule(role=st.sampled_from(["sender", "receiver"]), item=payloads)
    def hand(self, role: str, item: tuple[str, int, Payload]) -> None:
        author, number, payload = item
        last = max(self.accepted[role], default=0)
        party = self.parties[role]
        if author == role:
            assert _code(lambda: party.open(payload)) == "payload_reflected"
        elif number <= last:
            assert _code(lambda: party.open(payload)) == "payload_rolled_back"
        else:
            party.open(payload)
            self.accepted[role].append(number)

    @rule(role=st.sampled_from(["sender", "receiver"]), item=consumes(payloads), at=st.integers(0, 10**6))
    def hand_changed(self, role: str, item: tuple[str, int, Payload], at: int) -> None:
        data = item[2].data
        place = at % (len(data) - 4)  # the last group may hold bits that stand for nothing
        other = "A" if data[place] != "A" else "B"
        changed = Payload(item[2].type, data[:place] + other + data[place + 1 :])
        assert _code(lambda: self.parties[role].open(changed)) in {
            "payload_authentication_failed",
            "payload_malformed",
        }

    @rule(role=st.sampled_from(["sender", "receiver"]))
    def die_and_come_back(self, role: Any) -> None:
        party = self.parties[role]
        self.parties[role] = Channel(self.secret, role, sent=party.sent, received=party.received)

    @invariant()
    def what_was_accepted_only_grows(self) -> None:
        for numbers in getattr(self, "accepted", {}).values():
            assert numbers == sorted(set(numbers))


TestRelay = Relay.TestCase
TestRelay.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


def _code(act: Callable[[], object]) -> str:
    try:
        act()
    except SafeconductError as error:
        return error.code
    return ""
