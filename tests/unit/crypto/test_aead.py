"""AEAD by registry number: exact lengths, published vectors, every flipped bit found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.crypto import aead
from safeconduct.errors import Malformed, Rejected, Unsupported

SIZES = {1: (16, 12, 16), 2: (32, 12, 16), 29: (32, 12, 16)}


def test_numbers_names_and_sizes_are_those_of_the_registry() -> None:
    assert {
        item.identifier: (item.key_bytes, item.nonce_bytes, item.tag_bytes) for item in aead.AEADS
    } == SIZES
    assert aead.by_identifier(29).name == "AEAD_CHACHA20_POLY1305"


def test_nothing_supported_is_forbidden_for_disclosures() -> None:
    assert not aead.SD_CWT_FORBIDDEN & set(SIZES)
    forbidden = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 19, 21, 22, 24, 25, 27, 28}
    assert forbidden == aead.SD_CWT_FORBIDDEN


def test_rfc_8439_2_8_2_vector() -> None:
    key, nonce = bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647")
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    ciphertext, tag = aead.seal(29, key, nonce, text, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert ciphertext[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert tag.hex() == "1ae10b594f09e26a7e902ecbd0600691"


@pytest.mark.parametrize(
    ("identifier", "key_bytes", "ciphertext", "tag"),
    [
        (1, 16, "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"),
        (2, 32, "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"),
    ],
)
def test_gcm_specification_vectors(identifier: int, key_bytes: int, ciphertext: str, tag: str) -> None:
    sealed = aead.seal(identifier, bytes(key_bytes), bytes(12), bytes(16))
    assert sealed == (bytes.fromhex(ciphertext), bytes.fromhex(tag))


@given(st.sampled_from(list(SIZES)), st.binary(max_size=80), st.binary(max_size=20), st.data())
def test_what_is_sealed_opens_and_nothing_else_does(
    identifier: int, plaintext: bytes, aad: bytes, data: st.DataObject
) -> None:
    key, nonce = bytes(SIZES[identifier][0]), bytes(12)
    ciphertext, tag = aead.seal(identifier, key, nonce, plaintext, aad)
    assert aead.open_(identifier, key, nonce, ciphertext, tag, aad) == plaintext
    parts = [key, nonce, ciphertext, tag, aad]
    index = data.draw(st.sampled_from([number for number, part in enumerate(parts) if part]))
    position = data.draw(st.integers(0, len(parts[index]) - 1))
    changed = bytearray(parts[index])
    changed[position] ^= data.draw(st.integers(1, 255))
    parts[index] = bytes(changed)
    with pytest.raises(Rejected) as error:
        aead.open_(identifier, *parts)
    assert error.value.code == "aead_authentication_failed"


@pytest.mark.parametrize("identifier", list(SIZES))
def test_keys_nonces_and_tags_have_exact_lengths(identifier: int) -> None:
    key, nonce = bytes(SIZES[identifier][0]), bytes(12)
    ciphertext, tag = aead.seal(identifier, key, nonce, b"text")
    for wrong in (
        (key[1:], nonce, tag),
        (key + b"\x00", nonce, tag),
        (key, nonce[1:], tag),
        (key, bytes(16), tag),
    ):
        with pytest.raises(Malformed) as error:
            aead.seal(identifier, wrong[0], wrong[1], b"text")
        assert error.value.code == "aead_malformed"
        with pytest.raises(Malformed) as error:
            aead.open_(identifier, wrong[0], wrong[1], ciphertext, wrong[2])
        assert error.value.code == "aead_malformed"
    for short in (b"", tag[:12], tag + b"\x00"):
        with pytest.raises(Malformed) as error:
            aead.open_(identifier, key, nonce, ciphertext, short)
        assert error.value.code == "aead_malformed"


def test_a_format_may_demand_another_nonce_length_of_gcm_only() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce = bytes(16), bytes(range(16))
    sealed = AESGCM(key).encrypt(nonce, b"text", b"")
    assert aead.open_(1, key, nonce, sealed[:-16], sealed[-16:], nonce_bytes=16) == b"text"
    with pytest.raises(Malformed) as error:
        aead.open_(1, key, nonce[:12], sealed[:-16], sealed[-16:], nonce_bytes=16)
    assert error.value.code == "aead_malformed"
    with pytest.raises(Malformed) as error:
        aead.open_(29, bytes(32), nonce, sealed[:-16], sealed[-16:], nonce_bytes=16)
    assert error.value.code == "aead_malformed"


@pytest.mark.parametrize("identifier", [0, 3, 5, 15, 20, 30, 31, 32, -1, True, 1.0, "1", None])
def test_other_numbers_are_unsupported(identifier: int) -> None:
    with pytest.raises(Unsupported) as error:
        aead.seal(identifier, bytes(16), bytes(12), b"")
    assert error.value.code == "aead_unsupported"
