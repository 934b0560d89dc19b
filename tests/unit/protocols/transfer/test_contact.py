"""Receiving cards: what they say, that their owner signed them, and names that lie (S4)."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.protocols import jwt
from safeconduct.protocols.transfer.contact import CONTACT_PREFIX, check_name, issue_contact, parse_contact

NOW = 1_700_000_000
RECEIVING = AgreementKey.generate("X25519")
PROOF = Key.generate("ES256")
CLAIMS = {"iat": NOW, "name": "Ann", "x": b64.encode(RECEIVING.public.to_raw())}


def made(name: str = "Ann", key: Key = PROOF) -> str:
    return issue_contact(receiving_key=RECEIVING.public, signer=key, name=name, now=NOW)


def forged(
    claims: object = CLAIMS, *, key: Key = PROOF, header: dict[str, Any] | None = None, payload: bytes = b""
) -> str:
    fields = {"typ": "sct-contact+jwt", "jwk": jwt.public_jwk(key)} | (header or {})
    return CONTACT_PREFIX + jws.sign(payload or json.dumps(claims), signer=key, header=fields)


def code_of(text: str, now: int = NOW) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_contact(text, now=now)
    return caught.value.code


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "Ed25519"])
def test_a_card_names_both_keys_and_its_owner(algorithm: str) -> None:
    key = Key.generate(algorithm)
    text = made(key=key)
    card = parse_contact(f" {text}\n", now=NOW)

    assert text.startswith("sct:c1.")
    assert len(text) <= 800  # a QR code holds 2953 bytes
    assert card.receiving_key == RECEIVING.public
    assert card.proof_key == key.public
    assert (card.name, card.issued_at, card.algorithm) == ("Ann", NOW, algorithm)
    assert card.jkt == b64.encode(key.public.jwk_thumbprint())


def test_the_card_is_the_jwt_that_is_described() -> None:
    parsed = jws.parse(made().removeprefix(CONTACT_PREFIX))

    assert parsed.header == {"alg": "ES256", "typ": "sct-contact+jwt", "jwk": jwt.public_jwk(PROOF)}
    assert json.loads(parsed.payload) == CLAIMS


def test_no_private_key_and_no_local_name_is_on_a_card() -> None:
    key = Key.generate("ES256", kid="my telephone")
    header = jws.parse(made(key=key).removeprefix(CONTACT_PREFIX)).header
    assert header["jwk"].keys() <= {"kty", "crv", "x", "y", "alg", "use"}
    assert "my telephone" not in str(header)


def test_a31_two_people_can_compare_a_card() -> None:
    card = parse_contact(made(), now=NOW)

    groups = card.fingerprint.split(" ")
    assert [len(group) for group in groups] == [5] * 5
    assert card.fingerprint.replace(" ", "").isdecimal()
    assert card.fingerprint == parse_contact(made("Bob"), now=NOW).fingerprint  # of the keys, not of the name
    other = issue_contact(
        receiving_key=AgreementKey.generate("X25519").public, signer=PROOF, name="Ann", now=NOW
    )
    assert card.fingerprint != parse_contact(other, now=NOW).fingerprint
    assert card.fingerprint != parse_contact(made(key=Key.generate("ES256")), now=NOW).fingerprint


def test_a31_a_card_whose_receiving_key_was_exchanged_is_refused() -> None:
    """The attack: Ann's proof key with a receiving key of somebody else's."""
    head, _, signature = made().removeprefix(CONTACT_PREFIX).split(".")
    own = AgreementKey.generate("X25519").public.to_raw()
    payload = b64.encode(json.dumps({**CLAIMS, "x": b64.encode(own)}))

    assert code_of(f"{CONTACT_PREFIX}{head}.{payload}.{signature}") == "signature_invalid"


def test_a_card_signed_by_another_key_than_it_names_is_refused() -> None:
    other = Key.generate("ES256")
    assert code_of(forged(header={"jwk": jwt.public_jwk(other)})) == "signature_invalid"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "contact_malformed"),
        ("sct:", "contact_malformed"),
        ("sct:s1.AAAA", "contact_malformed"),
        ("https://relay.example/", "contact_malformed"),
        ("sct:c1.", "jws_malformed"),
        ("sct:c1.a.b", "jws_malformed"),
        ("sct:c1.é.b.c", "jws_malformed"),
        (forged(header={"typ": "JWT"}), "jws_type"),
        (forged(header={"typ": "dpop+jwt"}), "jws_type"),
        (forged(header={"jwk": None}), "jwk_missing"),
        (forged(header={"jwk": PROOF.to_jwk(private=True)}), "private_key_where_public_expected"),
        (forged(header={"jwk": RECEIVING.public.to_jwk()}), "key_use_mismatch"),
        (forged(payload=b"[]"), "json_not_object"),
        (forged({}), "message_malformed"),
        (forged({**CLAIMS, "iat": -1}), "message_malformed"),
        (forged({**CLAIMS, "iat": 1.5}), "message_malformed"),
        (forged({**CLAIMS, "iat": NOW + 301}), "iat_in_future"),
        (forged({**CLAIMS, "x": "A"}), "base64url_malformed"),
        (forged({**CLAIMS, "x": "AAAA"}), "key_malformed"),
        (forged({**CLAIMS, "x": "A" * 44}), "message_malformed"),
        (forged({**CLAIMS, "name": ""}), "contact_name_unacceptable"),
        (forged({**CLAIMS, "name": "a\u202eb"}), "contact_name_unacceptable"),
        (forged({**CLAIMS, "name": "a" * 65}), "message_malformed"),
    ],
)
def test_what_is_no_card_is_refused(text: str, code: str) -> None:
    assert code_of(text) == code


def test_a_card_with_a_key_of_small_order_is_refused_when_something_is_sealed_to_it_at_the_latest() -> None:
    text = forged({**CLAIMS, "x": b64.encode(bytes(32))})
    card = parse_contact(text, now=NOW)
    with pytest.raises(SafeconductError) as caught:
        RECEIVING.exchange(card.receiving_key)
    assert caught.value.code == "shared_secret_invalid"


def test_clocks_may_differ_by_five_minutes() -> None:
    assert parse_contact(made(), now=NOW - 300).issued_at == NOW
    assert code_of(made(), now=NOW - 301) == "iat_in_future"


def test_a_text_beyond_transfer_link_chars_is_refused_unread() -> None:
    assert code_of(CONTACT_PREFIX + "A" * limits.TRANSFER_LINK_CHARS) == "contact_malformed"
    rest = limits.TRANSFER_LINK_CHARS - len(CONTACT_PREFIX)
    assert code_of(CONTACT_PREFIX + "A" * rest) == "jws_malformed"


def test_keys_that_no_card_holds_are_refused() -> None:
    for signer, receiving, code in (
        (Key.generate("ML-DSA-44"), RECEIVING, "algorithm_unsupported"),
        (PROOF, AgreementKey.generate("P-256"), "key_curve_mismatch"),
    ):
        with pytest.raises(SafeconductError) as caught:
            issue_contact(receiving_key=receiving.public, signer=signer, name="Ann", now=NOW)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "name", ["Ann", "Ännchen Müller", "李雷", "a" * limits.TRANSFER_NAME_CHARS, "O'Neil <x>"]
)
def test_names_of_people_are_taken(name: str) -> None:
    assert parse_contact(made(name), now=NOW).name == name


def test_a_name_has_one_spelling_and_no_space_round_it() -> None:
    assert check_name("  A\u0308nn ") == "\u00c4nn"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a" * (limits.TRANSFER_NAME_CHARS + 1),
        "a\nb",
        "a\x00b",
        "\x1b[31mAnn",
        "a\u200bb",
        "Ann\u202egnp.",
        "a\u2028b",
        "\ud800",
        "\ue000",
        "\u0378",
        "\u3164",  # Hangul filler: a letter that shows nothing
        "Ann\u3164",  # would stand beside "Ann" as a second one
        "Ann\uffa0\u115f",
        "A\u034fnn",
        "\u2800",
        "Ann\n",
        "\u20ddAnn",
        "\u0301Ann",  # would change what stands before it
    ],
)
def test_names_that_lists_cannot_show_are_refused(name: str) -> None:
    with pytest.raises(SafeconductError) as caught:
        check_name(name)
    assert caught.value.code == "contact_name_unacceptable"


def test_nothing_of_a_card_is_in_its_representation() -> None:
    card = parse_contact(made(), now=NOW)
    for part in ("Ann", card.jkt, card.fingerprint, b64.encode(RECEIVING.public.to_raw())):
        assert part not in repr(card)
