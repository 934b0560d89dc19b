"""Offers sealed to a key: through a relay with the transfer's secret (S4), and as a file without one (S9)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.approval import begin_approval, preview
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
from safeconduct.protocols.transfer.sealed import (
    FILE_PREFIX,
    open_file,
    open_offer,
    seal_file,
    seal_offer,
)

SECRET = bytes(range(32))
KEYS = Channel(SECRET, "sender").keys
KEY = AgreementKey.generate("X25519")
OTHER = AgreementKey.generate("X25519")
OFFER = Offer(
    {
        "credential_issuer": "https://issuer.example",
        "credential_configuration_ids": ["key"],
        "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c" * 43}},
    },
    Share(id="s" * 32, issuer="https://issuer.example", expires=1_800_000_000),
)
ORACLE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def code_of(act: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(SafeconductError) as caught:
        act(*given, **named)
    return caught.value.code


def oracle_key(key: AgreementKey) -> Any:
    members = key.to_jwk(private=True)
    return KEMKey.from_jwk({name: value for name, value in members.items() if name not in ("use", "alg")})


def oracle_public(key: AgreementPublicKey) -> Any:
    return KEMKey.from_jwk(dict(key.members()))


def sealed_members() -> dict[str, Any]:
    return seal_offer(OFFER, recipient=KEY.public, keys=KEYS).content


def test_s4_the_message_is_as_described_and_opens_for_the_key_and_the_secret() -> None:
    content = seal_offer(OFFER, recipient=KEY.public, keys=KEYS)

    assert content.format == "sct.sealed/1"
    assert content.content["hpke"] == {"mode": "psk", "kem": 0x20, "kdf": 1, "aead": 2}
    assert content.content.keys() == {"hpke", "enc", "ciphertext"}
    assert open_offer(parse_content(encode_content(content)), key=KEY, keys=KEYS) == OFFER


def test_s4_pyhpke_opens_it_by_the_description() -> None:
    members = sealed_members()
    theirs = ORACLE.create_recipient_context(
        b64.decode(members["enc"]),
        oracle_key(KEY),
        b"sct/2 offer" + KEYS.context,
        psk=KEYS.psk.secret,
        psk_id=KEYS.context,
    )
    text = theirs.open(b64.decode(members["ciphertext"]))
    assert json.loads(text) == json.loads(encode_content(offer_content(OFFER)))
    assert len(text) == 512


def test_s4_what_pyhpke_seals_by_the_description_opens() -> None:
    enc, theirs = ORACLE.create_sender_context(
        oracle_public(KEY.public),
        b"sct/2 offer" + KEYS.context,
        psk=KEYS.psk.secret,
        psk_id=KEYS.context,
    )
    members = {
        "hpke": {"mode": "psk", "kem": 32, "kdf": 1, "aead": 2},
        "enc": b64.encode(enc),
        "ciphertext": b64.encode(theirs.seal(encode_content(offer_content(OFFER)))),
    }
    assert open_offer(Content("sct.sealed/1", members), key=KEY, keys=KEYS) == OFFER


def test_a1_the_link_alone_opens_nothing() -> None:
    content = seal_offer(OFFER, recipient=KEY.public, keys=KEYS)

    assert code_of(open_offer, content, key=OTHER, keys=KEYS) == "sealed_not_for_this_key"
    assert "c" * 43 not in encode_content(content).decode()


def test_p1_the_key_alone_opens_nothing_either() -> None:
    content = seal_offer(OFFER, recipient=KEY.public, keys=KEYS)
    others = Channel(bytes(32), "receiver").keys
    assert code_of(open_offer, content, key=KEY, keys=others) == "sealed_not_for_this_key"


def test_a12_an_offer_of_one_transfer_does_not_open_in_another() -> None:
    """Even with the same pre-shared key: the context is part of what HPKE authenticates."""
    content = seal_offer(OFFER, recipient=KEY.public, keys=KEYS)

    class Other:
        context = bytes(32)
        psk = KEYS.psk

    assert code_of(open_offer, content, key=KEY, keys=Other()) == "sealed_not_for_this_key"


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "base"},
        {"mode": "auth_psk"},
        {"kem": 0x10},
        {"kdf": 2},
        {"aead": 1},
        {"aead": 3},
        {"aead": 2.5},
        {"extra": 1},
    ],
)
def test_a38_another_way_of_sealing_is_refused(changes: dict[str, Any]) -> None:
    members = sealed_members()
    other = {**members, "hpke": {**members["hpke"], **changes}}
    assert (
        code_of(open_offer, Content("sct.sealed/1", other), key=KEY, keys=KEYS) == "sealed_suite_unsupported"
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"enc": "é"}, "message_malformed"),
        ({"enc": "A" * 65}, "message_malformed"),
        ({"enc": 1}, "message_malformed"),
        ({"enc": "A"}, "base64url_malformed"),
        ({"enc": ""}, "sealed_not_for_this_key"),
        ({"enc": "A" * 43}, "sealed_not_for_this_key"),
        ({"ciphertext": ""}, "sealed_not_for_this_key"),
        ({"ciphertext": "AAAA"}, "sealed_not_for_this_key"),
        ({"ciphertext": "AAAA\n"}, "message_malformed"),
        ({"ciphertext": "A" * (limits.TRANSFER_DATA_CHARS + 1)}, "message_malformed"),
        ({"ciphertext": None}, "message_malformed"),
        ({"hpke": []}, "message_malformed"),
    ],
)
def test_what_is_no_sealed_offer_is_refused(changes: dict[str, Any], code: str) -> None:
    members = {**sealed_members(), **changes}
    assert code_of(open_offer, Content("sct.sealed/1", members), key=KEY, keys=KEYS) == code


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(deadline=None)
def test_p14_a_changed_byte_is_noticed(position: int, change: int) -> None:
    line = seal_file(OFFER, recipient=KEY.public)
    raw = bytearray(b64.decode(line.removeprefix(FILE_PREFIX)))
    raw[position % len(raw)] ^= change
    code = code_of(open_file, FILE_PREFIX + b64.encode(bytes(raw)), key=KEY)
    assert code == "sealed_not_for_this_key"


def test_the_bit_of_an_x25519_key_that_stands_for_nothing_is_authenticated_as_well() -> None:
    raw = bytearray(b64.decode(seal_file(OFFER, recipient=KEY.public).removeprefix(FILE_PREFIX)))
    raw[31] ^= 0x80
    assert code_of(open_file, FILE_PREFIX + b64.encode(bytes(raw)), key=KEY) == "sealed_not_for_this_key"


def test_s9_a_file_opens_for_its_key_and_no_other_and_fits_into_a_qr_code() -> None:
    line = seal_file(OFFER, recipient=KEY.public)

    assert line.startswith("sct:s1.")
    assert "\n" not in line
    assert len(line) <= 1700  # a QR code holds 2953 bytes
    for text in (line, f"{line}\n", f"  {line}\r\n"):
        assert open_file(text, key=KEY) == OFFER
    assert code_of(open_file, line, key=OTHER) == "sealed_not_for_this_key"


def test_s9_pyhpke_opens_a_file_by_the_description() -> None:
    raw = b64.decode(seal_file(OFFER, recipient=KEY.public).removeprefix(FILE_PREFIX))
    theirs = ORACLE.create_recipient_context(raw[:32], oracle_key(KEY), b"sct/2 file")
    assert json.loads(theirs.open(raw[32:])) == json.loads(encode_content(offer_content(OFFER)))


def test_s9_a_file_is_no_message_of_a_relay_and_the_other_way_round() -> None:
    raw = b64.decode(seal_file(OFFER, recipient=KEY.public).removeprefix(FILE_PREFIX))
    members = {**sealed_members(), "enc": b64.encode(raw[:32]), "ciphertext": b64.encode(raw[32:])}
    assert (
        code_of(open_offer, Content("sct.sealed/1", members), key=KEY, keys=KEYS) == "sealed_not_for_this_key"
    )

    members = sealed_members()
    data = b64.decode(members["enc"]) + b64.decode(members["ciphertext"])
    assert code_of(open_file, FILE_PREFIX + b64.encode(data), key=KEY) == "sealed_not_for_this_key"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sct:",
        "sct:s1.",
        "sct:s1.AAAA",
        "sct:s1." + "A" * 43,
        "sct:c1." + "A" * 400,
        "A" * 400,
        "sct:s1.!" + "A" * 400,
        "sct:s1." + "A" * 400 + "=",
        "sct:s1.é",
        "sct:s1." + "A" * limits.TRANSFER_DATA_CHARS,
    ],
)
def test_what_is_no_sealed_file_is_refused(text: str) -> None:
    assert code_of(open_file, text, key=KEY) == "sealed_file_malformed"


def test_what_opens_but_is_no_offer_is_refused() -> None:
    enc, theirs = ORACLE.create_sender_context(oracle_public(KEY.public), b"sct/2 file")
    line = FILE_PREFIX + b64.encode(enc + theirs.seal(b'{"format":"other","content":{}}'))
    assert code_of(open_file, line, key=KEY) == "content_format_unsupported"


def test_a_key_that_is_no_key_is_not_sealed_to() -> None:
    null = AgreementPublicKey.from_raw(bytes(32), "X25519")
    assert code_of(seal_file, OFFER, recipient=null) == "shared_secret_invalid"
    other_curve = AgreementKey.generate("P-256").public
    assert code_of(seal_offer, OFFER, recipient=other_curve, keys=KEYS) == "key_curve_mismatch"


def test_an_offer_that_no_payload_holds_is_refused() -> None:
    large = Offer({"x": "x" * limits.TRANSFER_CONTENT_BYTES})
    assert code_of(seal_file, large, recipient=KEY.public) == "content_too_large"


def test_two_offers_to_one_key_have_nothing_in_common() -> None:
    one, two = (seal_file(OFFER, recipient=KEY.public).removeprefix(FILE_PREFIX) for _ in range(2))
    assert not {one[at : at + 12] for at in range(700)} & {two[at : at + 12] for at in range(700)}


def test_a38_a_link_whose_level_somebody_lowered_opens_nothing() -> None:
    """With the letter of another level the receiver looks for another format, and finds none."""
    assert OFFER.share
    _, first = begin_approval(OFFER.share)
    key_sealed = seal_offer(OFFER, recipient=KEY.public, keys=KEYS)

    for message in (first, key_sealed):
        assert code_of(read_offer, message) == "content_format_unsupported"
    for message in (first, offer_content(OFFER)):
        assert code_of(open_offer, message, key=KEY, keys=KEYS) == "content_format_unsupported"
    for message in (key_sealed, offer_content(OFFER)):
        assert code_of(preview, message) == "content_format_unsupported"
