"""Payloads of the drafts: base64 of IV, ciphertext and tag under one key, and no more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocols.transfer import reference

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.draft_payload import open_draft, seal_draft
from safeconduct.protocols.transfer.payload import Payload

KEYS = {"AEAD_AES_128_GCM": bytes(range(16)), "AEAD_AES_256_GCM": bytes(range(32))}
TEXT = b'{"format": "f", "content": {}}'
# NIST SP 800-38D's published test case 15 for AES-256 without associated data, as IV, ciphertext and tag.
NIST_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
NIST_DATA = bytes.fromhex(
    "cafebabefacedbaddecaf888"
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
    "b094dac5d93471bdec1a502270e3cc6c"
)
NIST_TEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)


def code_of(secret: bytes, payload: Payload) -> str:
    with pytest.raises(SafeconductError) as caught:
        open_draft(secret, payload)
    return caught.value.code


def test_a_published_vector_opens() -> None:
    assert open_draft(NIST_KEY, Payload("AEAD_AES_256_GCM", b64.encode_standard(NIST_DATA))) == NIST_TEXT


@pytest.mark.parametrize("type_", KEYS)
def test_the_key_length_chooses_the_type_and_the_layout_is_the_drafts(type_: str) -> None:
    payload = seal_draft(KEYS[type_], TEXT, random=lambda length: b"n" * length)

    assert payload.type == type_
    assert payload.data == reference.seal_draft(KEYS[type_], TEXT.ljust(512))
    assert open_draft(KEYS[type_], payload).rstrip() == TEXT


@pytest.mark.parametrize("type_", KEYS)
def test_what_another_program_sealed_opens_in_all_forms_of_base64(type_: str) -> None:
    data = reference.seal_draft(KEYS[type_], TEXT)

    for form in (data, data.rstrip("="), data.replace("+", "-").replace("/", "_")):
        assert open_draft(KEYS[type_], Payload(type_, form)) == TEXT


def test_each_message_has_an_iv_of_its_own() -> None:
    sealed = {seal_draft(KEYS["AEAD_AES_256_GCM"], TEXT).data[:16] for _ in range(100)}
    assert len(sealed) == 100


def test_a_type_that_is_not_for_the_key_is_refused() -> None:
    data = reference.seal_draft(KEYS["AEAD_AES_128_GCM"], TEXT)

    assert code_of(KEYS["AEAD_AES_128_GCM"], Payload("AEAD_AES_256_GCM", data)) == "payload_key_mismatch"
    assert code_of(KEYS["AEAD_AES_256_GCM"], Payload("AEAD_AES_128_GCM", data)) == "payload_key_mismatch"


@pytest.mark.parametrize("type_", ["SCT2_AES_256_GCM", "AES256", "", "aead_aes_256_gcm"])
def test_an_unknown_type_is_refused(type_: str) -> None:
    data = reference.seal_draft(KEYS["AEAD_AES_256_GCM"], TEXT)
    assert code_of(KEYS["AEAD_AES_256_GCM"], Payload(type_, data)) == "payload_type_unsupported"


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(deadline=None)
def test_p14_a_changed_byte_is_noticed(position: int, change: int) -> None:
    raw = bytearray(b64.decode_any(reference.seal_draft(KEYS["AEAD_AES_256_GCM"], TEXT), max_bytes=1000))
    raw[position % len(raw)] ^= change

    payload = Payload("AEAD_AES_256_GCM", b64.encode_standard(bytes(raw)))
    assert code_of(KEYS["AEAD_AES_256_GCM"], payload) == "payload_authentication_failed"


def test_p1_another_key_does_not_open() -> None:
    payload = seal_draft(KEYS["AEAD_AES_256_GCM"], TEXT)
    assert code_of(bytes(32), payload) == "payload_authentication_failed"


@pytest.mark.parametrize("data", ["", "AAAA", "A" * 36, "not base64!", "=", "é"])
def test_what_is_too_short_or_no_base64_is_malformed(data: str) -> None:
    assert code_of(KEYS["AEAD_AES_256_GCM"], Payload("AEAD_AES_256_GCM", data)) == "payload_malformed"


def test_more_than_transfer_data_chars_is_refused_unread() -> None:
    at_most = Payload("AEAD_AES_256_GCM", "A" * limits.TRANSFER_DATA_CHARS)
    beyond = Payload("AEAD_AES_256_GCM", "A" * (limits.TRANSFER_DATA_CHARS + 1))

    assert code_of(KEYS["AEAD_AES_256_GCM"], at_most) == "payload_authentication_failed"
    assert code_of(KEYS["AEAD_AES_256_GCM"], beyond) == "payload_too_large"


def test_hole_3_the_relay_can_reflect_and_repeat_which_is_why_the_channel_exists() -> None:
    """One key, and nothing besides authenticated: the weakness is that of the drafts."""
    key = KEYS["AEAD_AES_256_GCM"]
    own, old = seal_draft(key, b'{"own": 1}'), seal_draft(key, b'{"old": 1}')

    assert open_draft(key, own).rstrip() == b'{"own": 1}'
    assert [open_draft(key, old).rstrip() for _ in range(2)] == [b'{"old": 1}'] * 2
