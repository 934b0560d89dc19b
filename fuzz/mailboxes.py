"""Targets: what wallets send to a relay, header fields and bodies."""

from contextlib import suppress
from typing import Any

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.keys import key
from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer import claims, mailbox, messages
from safeconduct.protocols.transfer.uuids import parse_uuid, uuid_text

_NOW = 1_800_000_000
_MOST = 65_536
_CLAIM = "2f1c1e3e-7a0e-4c5b-8f44-0123456789ab"
_KEY = key("Ed25519")
_PROOF = b64.encode(_KEY.sign(claims.claim_message(_CLAIM, _CLAIM)))
_FIELDS = (_CLAIM, _CLAIM.upper(), _PROOF, "", "7", "30", "-1", "٣")
_PAYLOAD = {"type": "AEAD_AES_128_GCM", "data": "AAAA"}
_CREATE: dict[str, Any] = {
    "payload": _PAYLOAD,
    "displayInformation": {"title": "t", "description": "d", "imageURL": "https://a.example/a.png"},
    "notificationToken": {"type": "com.apple.apns", "tokenData": "x"},
    "mailboxConfiguration": {
        "accessRights": "RWD",
        "expiration": "2027-01-15T08:30:00.5+01:00",
        "claimKey": b64.encode(_KEY.public.to_raw()),
    },
}
_UPDATE: dict[str, Any] = {"payload": _PAYLOAD, "notificationToken": {"type": "a", "tokenData": "b"}}


def _fields(data: bytes) -> list[tuple[bytes, bytes]]:
    choices = Choices(data)
    names = [*messages.NAMES, b"host"]
    fields = []
    for _ in range(choices.number(5)):
        known = choices.pick(_FIELDS).encode()
        fields.append((choices.pick(names), known))
    return [*fields, (choices.pick(names), choices.rest())]


def _read_fields(fields: list[tuple[bytes, bytes]]) -> None:
    headers = messages.read_headers(fields)
    assert headers.echo is None or parse_uuid(headers.echo)
    headers.if_sequence()
    headers.known_sequence()
    headers.wait(most=30)
    proof = headers.proof()
    headers.optional_request_id()
    claim = headers.claim()
    assert parse_uuid(uuid_text(claim)) == claim
    claims.verify_proof(_KEY.public.to_raw(), proof, mailbox=claim, claim=claim)


def _read_create(body: bytes) -> None:
    wanted = messages.read_create(body, max_bytes=_MOST)
    messages.payload_json(wanted.payload, most_chars=limits.TRANSFER_DATA_CHARS)
    terms = messages.read_terms(wanted.configuration, now=_NOW, default=86_400, most=172_800)
    assert _NOW < terms.expires_at <= _NOW + 172_800
    assert 0 < terms.rights <= mailbox.READ + mailbox.WRITE + mailbox.DELETE
    assert messages.parse_time(messages.format_time(terms.expires_at)) == terms.expires_at


def _read_update(body: bytes) -> None:
    wanted = messages.read_update(body, max_bytes=_MOST)
    messages.payload_json(wanted.payload, most_chars=limits.TRANSFER_DATA_CHARS)


def _read_texts(received: str) -> None:
    """Each member by itself. read_rights, read_claim_key and read_proof take any text."""
    for read in (messages.read_rights, messages.parse_time, claims.read_claim_key, claims.read_proof):
        with suppress(SafeconductError):
            read(received)


TARGETS = (
    Target(name="relay.fields", read=_read_fields, prepare=_fields),
    Target(
        name="relay.create",
        read=_read_create,
        prepare=json_trees.preparing(_CREATE),
        seeds=json_trees.seeding(_CREATE),
    ),
    Target(
        name="relay.update",
        read=_read_update,
        prepare=json_trees.preparing(_UPDATE),
        seeds=json_trees.seeding(_UPDATE),
    ),
    Target(
        name="relay.texts",
        read=_read_texts,
        prepare=lambda data: data.decode("latin-1"),
        seeds=lambda: [b"RWD", b"2027-01-15T08:30:00.5+01:00", _PROOF.encode()],
    ),
)
