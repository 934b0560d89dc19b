"""The values to test with in `docs/reference/transfer-messages.md`, by the code and by its second writing."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.protocols.transfer import reference

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import json
from safeconduct.protocols.transfer import comparison
from safeconduct.protocols.transfer.channel import PAYLOAD_TYPE, Channel
from safeconduct.protocols.transfer.contact import parse_contact
from safeconduct.protocols.transfer.content import encode_content, parse_content, read_offer
from safeconduct.protocols.transfer.draft_payload import open_draft
from safeconduct.protocols.transfer.link import parse_link
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.sealed import open_file, open_offer

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "transfer-messages.md"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    block = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    return json.loads_object(block[1])


def raw(values: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(values[name])


def test_the_link_has_the_secret_and_the_level(values: dict[str, Any]) -> None:
    link = parse_link(values["link"])
    assert (link.secret, link.version, link.level) == (raw(values, "secret"), 2, "approve")


def test_the_keys_are_those_of_the_page(values: dict[str, Any]) -> None:
    secret, keys = raw(values, "secret"), Channel(raw(values, "secret"), "sender").keys

    assert keys.claim.public.to_raw() == raw(values, "claim_public_key")
    assert keys.context == reference.context(secret) == raw(values, "context")
    assert keys.sender_to_receiver == reference.message_key(secret, "s2r") == raw(values, "key_s2r")
    assert keys.receiver_to_sender == reference.message_key(secret, "r2s") == raw(values, "key_r2s")
    assert keys.psk.secret == reference.hkdf(secret, b"", b"hpke psk") == raw(values, "hpke_psk")


def test_the_payloads_open_and_are_what_the_second_writing_makes(values: dict[str, Any]) -> None:
    secret, text, nonce = raw(values, "secret"), values["text"].encode(), raw(values, "iv")

    one, seven = Payload(PAYLOAD_TYPE, values["data_s2r_1"]), Payload(PAYLOAD_TYPE, values["data_r2s_7"])
    assert Channel(secret, "receiver").open(one) == text
    assert Channel(secret, "sender", received=6).open(seven) == text
    assert reference.seal(secret, "s2r", 1, text, nonce=nonce) == one.data
    assert reference.seal(secret, "r2s", 7, text, nonce=nonce) == seven.data
    assert open_draft(secret, Payload("AEAD_AES_256_GCM", values["draft_data"])) == text
    assert reference.seal_draft(secret, text, nonce=nonce) == values["draft_data"]


def test_commitment_and_digits_are_those_of_the_page(values: dict[str, Any]) -> None:
    compared = values["compared"]
    parts = {name: bytes.fromhex(compared[name]) for name in compared if name not in ("commitment", "digits")}

    committed = comparison.commitment(parts["sender_key"], parts["sender_random"])
    assert committed.hex() == compared["commitment"]
    assert comparison.digits(raw(values, "context"), **parts) == compared["digits"]
    assert reference.digits(raw(values, "secret"), **parts) == compared["digits"]


def test_what_is_sealed_opens_with_the_key_of_the_page(values: dict[str, Any]) -> None:
    key = AgreementKey.from_raw(raw(values, "receiving_key"), "X25519")
    offer = read_offer(parse_content(json.dumps(values["offer"])))
    message = parse_content(json.dumps(values["sealed"]))

    assert open_file(values["sealed_file"], key=key) == offer
    assert open_offer(message, key=key, keys=Channel(raw(values, "secret"), "receiver").keys) == offer
    assert json.loads(encode_content(message)) == values["sealed"]


def test_the_card_is_for_the_receiving_key_of_the_page(values: dict[str, Any]) -> None:
    card = parse_contact(values["card"], now=1_700_000_000)
    assert card.receiving_key == AgreementKey.from_raw(raw(values, "receiving_key"), "X25519").public
    assert card.name == "Ann"
