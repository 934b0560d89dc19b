"""The vectors of RFC 9180 for P-256 and X25519, base and PSK modes: every value, in both directions."""

import json
from pathlib import Path
from typing import Any

import pytest

from safeconduct.crypto import hpke
from safeconduct.crypto.agreement import AgreementKey

Entry = dict[str, Any]
COUNT = 12


@pytest.fixture(params=range(COUNT))
def entry(vectors: Path, request: pytest.FixtureRequest) -> Entry:
    entries = json.loads((vectors / "hpke/rfc9180.json").read_bytes())
    assert len(entries) == COUNT
    chosen: Entry = entries[request.param]
    return chosen


def raw(entry: Entry, name: str) -> bytes:
    return bytes.fromhex(entry[name])


def suite_of(entry: Entry) -> hpke.Suite:
    return hpke.Suite(kem=entry["kem_id"], kdf=entry["kdf_id"], aead=entry["aead_id"])


def psk_of(entry: Entry) -> hpke.Psk | None:
    return hpke.Psk(raw(entry, "psk"), raw(entry, "psk_id")) if entry["mode"] == 1 else None


def sender_of(entry: Entry) -> tuple[bytes, hpke.SenderContext]:
    suite = suite_of(entry)
    return hpke.setup_sender(
        suite,
        AgreementKey.from_raw(raw(entry, "skRm"), suite.curve).public,
        info=raw(entry, "info"),
        psk=psk_of(entry),
        ephemeral=AgreementKey.from_raw(raw(entry, "skEm"), suite.curve),
    )


def recipient_of(entry: Entry) -> hpke.RecipientContext:
    suite = suite_of(entry)
    key = AgreementKey.from_raw(raw(entry, "skRm"), suite.curve)
    return hpke.setup_recipient(suite, key, enc=raw(entry, "enc"), info=raw(entry, "info"), psk=psk_of(entry))


def test_key_pairs_derive_from_their_seeds(entry: Entry) -> None:
    for seed, private, public in (("ikmE", "skEm", "pkEm"), ("ikmR", "skRm", "pkRm")):
        key = hpke.derive_key_pair(entry["kem_id"], raw(entry, seed))
        assert key.to_raw(private=True) == raw(entry, private)
        assert key.public.to_raw() == raw(entry, public)


def test_the_key_schedule_gives_the_published_secrets(entry: Entry) -> None:
    enc, sender = sender_of(entry)
    recipient = recipient_of(entry)
    assert enc == raw(entry, "enc")
    for secrets in (sender._secrets, recipient._secrets):
        assert secrets.key == raw(entry, "key")
        assert secrets.base_nonce == raw(entry, "base_nonce")
        assert secrets.exporter_secret == raw(entry, "exporter_secret")


def test_the_sender_seals_to_the_published_ciphertexts(entry: Entry) -> None:
    _, sender = sender_of(entry)
    for message in entry["encryptions"]:
        assert sender.seal(raw(message, "pt"), raw(message, "aad")) == raw(message, "ct")


def test_the_recipient_opens_the_published_ciphertexts(entry: Entry) -> None:
    recipient = recipient_of(entry)
    for message in entry["encryptions"]:
        assert recipient.open(raw(message, "ct"), raw(message, "aad")) == raw(message, "pt")


def test_both_sides_export_the_published_values(entry: Entry) -> None:
    _, sender = sender_of(entry)
    recipient = recipient_of(entry)
    for item in entry["exports"]:
        context, length = raw(item, "exporter_context"), item["L"]
        assert sender.export(context, length) == raw(item, "exported_value")
        assert recipient.export(context, length) == raw(item, "exported_value")
