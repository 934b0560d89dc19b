"""Identifiers of cards without a rid."""

import pytest

from safeconduct.crypto.keys import Key
from safeconduct.errors import Unsupported
from safeconduct.status.card_revocation import HASH_FHIR, RID, SIGNED_TEXT, legacy, rids

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BUNDLE = {"resourceType": "Bundle", "entry": [{"value": 1.50}]}
TEXT = b"header.payload"


def test_each_method_has_an_identifier_that_a_list_can_hold() -> None:
    by_bundle = legacy.identifier(HASH_FHIR, bundle=BUNDLE, signing_input=TEXT, signature=bytes(64))
    by_text = legacy.identifier(SIGNED_TEXT, bundle=BUNDLE, signing_input=TEXT, signature=bytes(64))

    assert (len(by_bundle), len(by_text)) == (11, 22)
    assert rids.is_rid(by_bundle)
    assert rids.is_rid(by_text)


@pytest.mark.parametrize("method", [RID, "hmac-patient", ""])
def test_other_methods_are_unknown_here(method: str) -> None:
    with pytest.raises(Unsupported) as caught:
        legacy.identifier(method, bundle=BUNDLE, signing_input=TEXT, signature=bytes(64))

    assert caught.value.code == "status_method_unknown"


def test_a_bundle_has_one_identifier_however_it_was_written() -> None:
    other = {"entry": [{"value": 15e-1}], "resourceType": "Bundle"}

    assert legacy.of_bundle(other) == legacy.of_bundle(BUNDLE)
    assert legacy.of_bundle({**BUNDLE, "id": "x"}) != legacy.of_bundle(BUNDLE)


def test_the_twin_of_a_signature_has_the_same_identifier() -> None:
    key = Key.generate("ES256")
    signature = key.sign(TEXT)
    twin = signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")

    key.public.verify(twin, TEXT)  # both are good signatures, which is why no digest of them will do
    assert twin != signature
    assert legacy.of_signed_text(TEXT, twin) == legacy.of_signed_text(TEXT, signature)


def test_another_card_has_another_identifier() -> None:
    assert legacy.of_signed_text(TEXT, bytes(64)) != legacy.of_signed_text(TEXT + b"x", bytes(64))
    assert legacy.of_signed_text(TEXT, bytes(64)) != legacy.of_signed_text(TEXT, b"\1" + bytes(63))


def test_the_method_of_our_own_has_a_name_that_nobody_else_gives() -> None:
    assert SIGNED_TEXT.startswith("urn:uuid:")
