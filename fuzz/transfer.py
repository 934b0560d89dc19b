"""Targets: links, payloads, messages of transfers, sealed offers and receiving cards."""

from collections.abc import Callable
from typing import Any

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.envelopes import signed, text
from fuzz.judgement import Target
from fuzz.keys import key
from fuzz.tokens import ISSUER, NOW
from fuzz.trees import mutate
from safeconduct import limits
from safeconduct.crypto import hpke
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import b64, json
from safeconduct.protocols import jwt
from safeconduct.protocols.transfer import approval, contact, content, draft_payload, link, sealed
from safeconduct.protocols.transfer.channel import PAYLOAD_TYPE, Channel
from safeconduct.protocols.transfer.payload import Payload

_SECRET = bytes(range(32))
_KEY = AgreementKey.from_raw(_SECRET, "X25519")
_KEYS = Channel(_SECRET, "sender").keys
_SUITE = hpke.Suite(kem=hpke.KEM_X25519, aead=hpke.AEAD_AES_256_GCM)
_MAILBOX = "https://relay.example/v1/m/12345678-9abc-4def-8123-456789abcdef"
_LINKS = (
    f"{_MAILBOX}?v=a#{b64.encode(_SECRET)}.2p",
    f"{_MAILBOX}?v=c#{b64.encode_standard(bytes([251] * 32))}",
    f"{_MAILBOX}?x=%zz&v=h#{'%2B' * 22}",
    f"http://[::1]:80/a/v1/m/{_MAILBOX[-36:].upper()}",
)
_SHARE = content.Share(id="s", issuer=ISSUER, expires=NOW, configuration_ids=("card",))
_OFFER = content.Offer({"credential_issuer": ISSUER, "credential_configuration_ids": ["card"]}, _SHARE)


def _always(length: int) -> bytes:
    return bytes(range(1, length + 1))


_BEGUN, _FIRST = approval.begin_approval(_SHARE, random=_always)
_ANSWERED, _SECOND = approval.answer(_FIRST, proof_key_thumbprint=bytes(32), random=_always)
_SENDER, _THIRD = approval.take_answer(_BEGUN, _SECOND, context=_KEYS.context)
_RECEIVER = approval.take_reveal(_ANSWERED, _THIRD, context=_KEYS.context)
_FOURTH = approval.release(approval.confirm(_SENDER), _OFFER, keys=_KEYS)
_MESSAGES: tuple[Any, ...] = tuple(
    json.loads(content.encode_content(message))
    for message in (content.offer_content(_OFFER), _FIRST, _SECOND, _THIRD, _FOURTH)
)
_RECORDS: tuple[Any, ...] = tuple(
    json.loads(json.dumps(approval.approval_record(state))) for state in (_SENDER, _RECEIVER)
)
_CLAIMS = {"iat": NOW, "name": "Ann", "x": b64.encode(_KEY.public.to_raw())}
_HEADER = {"alg": "ES256", "typ": contact.TYPE, "jwk": jwt.public_jwk(key("ES256"))}


def _link(received: str) -> None:
    read = link.parse_link(received, allow_http_loopback=True)
    again = link.parse_link(link.link_text(read), allow_http_loopback=True)
    assert again == read
    link.with_fragment(read, received)


def _payload(data: bytes) -> Payload:
    """Garbage, or what begins as a payload does."""
    choices = Choices(data)
    type_ = choices.pick((PAYLOAD_TYPE, "AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "x"))
    if choices.number(2):
        return Payload(type_, text(choices.rest()))
    return Payload(type_, b64.encode_standard(b"\x02" + choices.rest()))


def _open(payload: Payload) -> None:
    if payload.type in draft_payload.DRAFT_TYPES:
        draft_payload.open_draft(_SECRET, payload)
    Channel(_SECRET, "receiver").open(payload)


def _take(received: bytes) -> None:
    """Every step gets the message; which it belongs to, the steps say themselves."""
    message = content.parse_content(received)
    steps: tuple[Callable[[], object], ...] = (
        lambda: content.read_offer(message),
        lambda: approval.answer(message, proof_key_thumbprint=bytes(32)),
        lambda: approval.take_answer(_BEGUN, message, context=_KEYS.context),
        lambda: approval.take_reveal(_ANSWERED, message, context=_KEYS.context),
        lambda: approval.take_offer(_RECEIVER, message, keys=_KEYS),
    )
    step = message.content.get("step")
    if message.format == content.OFFER_FORMAT:
        steps[0]()
    elif message.format == content.SEALED_FORMAT:
        steps[4]()
    else:
        steps[step if type(step) is int and 1 <= step <= 3 else 1]()


def _seal(data: bytes) -> bytes:
    """A sealed offer that opens and then is wrong somewhere; or one that is wrong outside."""
    choices = Choices(data)
    inside = json_trees.changed(_MESSAGES[0], choices)
    psk = hpke.Psk(_KEYS.psk.secret, _KEYS.context)
    enc, ciphertext = hpke.seal(
        _SUITE, _KEY.public, plaintext=inside, info=b"sct/2 offer" + _KEYS.context, psk=psk
    )
    members = {**_MESSAGES[4]["content"], "enc": b64.encode(enc), "ciphertext": b64.encode(ciphertext)}
    return json.dumps({"format": content.SEALED_FORMAT, "content": members})


def _file(data: bytes) -> str:
    choices = Choices(data)
    if choices.number(2):
        return text(sealed.FILE_PREFIX.encode() + choices.rest())
    inside = json_trees.changed(_MESSAGES[0], choices)
    enc, ciphertext = hpke.seal(_SUITE, _KEY.public, plaintext=inside, info=b"sct/2 file")
    return sealed.FILE_PREFIX + b64.encode(enc + ciphertext)


def _card(data: bytes) -> str:
    choices = Choices(data)
    kind = choices.number(4)
    if kind == 0:
        return text(contact.CONTACT_PREFIX.encode() + choices.rest())
    if kind == 1:
        header = mutate(_HEADER, choices, json_trees.POOL)
        return contact.CONTACT_PREFIX + signed(header, json.dumps(_CLAIMS), choices)
    return contact.CONTACT_PREFIX + signed(_HEADER, json_trees.changed(_CLAIMS, choices), choices)


def _read_card(received: str) -> None:
    card = contact.parse_contact(received, now=NOW)
    assert card.fingerprint + card.jkt + card.algorithm


def _read_record(received: bytes) -> None:
    record = json.loads_object(received)
    if "commitment" in record:
        approval.read_receiver_approval(record)
    else:
        approval.read_sender_approval(record)


TARGETS = (
    Target(
        name="transfer.link",
        read=_link,
        prepare=text,
        seeds=lambda: [each.encode() for each in _LINKS],
        large=lambda: [
            _MAILBOX.encode() + b"?" + b"&" * limits.TRANSFER_LINK_CHARS,
            _MAILBOX.encode() + b"#" + b"%3D" * 1300,
            b"https://" + b"/v1/m/" * 600 + b"#",
        ],
    ),
    Target(
        name="transfer.payload",
        read=_open,
        prepare=_payload,
        seeds=lambda: [bytes([kind, how]) + bytes(60) for kind in range(4) for how in range(2)],
        large=lambda: [b"\0\1" + b"A" * limits.TRANSFER_DATA_CHARS, b"\0\1" + b"=" * 30_000],
    ),
    Target(
        name="transfer.message",
        read=_take,
        prepare=json_trees.preparing(*_MESSAGES),
        seeds=json_trees.seeding(*_MESSAGES),
    ),
    Target(
        name="transfer.sealed_offer",
        read=lambda received: sealed.open_offer(content.parse_content(received), key=_KEY, keys=_KEYS),
        prepare=_seal,
    ),
    Target(
        name="transfer.sealed_file",
        read=lambda received: sealed.open_file(received, key=_KEY),
        prepare=_file,
        large=lambda: [b"\1" + b"A" * limits.TRANSFER_DATA_CHARS],
    ),
    Target(name="transfer.contact", read=_read_card, prepare=_card),
    Target(
        name="transfer.approval_record",
        read=_read_record,
        prepare=json_trees.preparing(*_RECORDS),
        seeds=json_trees.seeding(*_RECORDS),
    ),
)
