"""Whatever is changed in a card, or sent instead of one, it is refused; what is issued reads back."""

import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.negative.health_card_builder import BUNDLE, ISSUER, KEY, NOW, TRUST, card, claims

from safeconduct import health_card
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.formats.health_card import qr
from safeconduct.formats.health_card.deflate import deflate, inflate
from safeconduct.status.card_keys import read_key_set

CARD = health_card.issue(BUNDLE, issuer=ISSUER, key=KEY, now=NOW - 1, rid="MKyCxh7p6uQ", expires=NOW + 9.5)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def verdict(data: str | bytes) -> str:
    judgement = health_card.judge(data, trust=TRUST, status=None, now=NOW)
    assert (judgement.card is None) == (judgement.verdict != "valid")
    return judgement.verdict


def test_every_bit_of_a_card_that_is_turned_over_makes_it_invalid() -> None:
    data = CARD.encode()
    assert verdict(data) == "valid"
    for place in range(len(data)):
        for bit in range(8):
            turned = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            assert verdict(turned) == "invalid", (place, bit)


def test_every_decoded_byte_that_is_changed_makes_a_card_invalid() -> None:
    parts = CARD.split(".")
    for number, part in enumerate(parts):
        decoded = b64.decode(part)
        for place in range(len(decoded)):
            changed = decoded[:place] + bytes([decoded[place] ^ 0x55]) + decoded[place + 1 :]
            text = ".".join([*parts[:number], b64.encode(changed), *parts[number + 1 :]])
            assert verdict(text) == "invalid", (number, place)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_card_that_is_cut_off_anywhere_is_invalid(part: int) -> None:
    parts = CARD.split(".")
    for length in range(len(parts[part])):
        assert verdict(".".join([*parts[:part], parts[part][:length], *parts[part + 1 :]])) == "invalid"


@given(st.data())
def test_digits_of_a_code_that_are_changed_make_a_card_invalid(data: st.DataObject) -> None:
    text = qr.write(CARD)
    assert verdict(text) == "valid"
    place = data.draw(st.integers(5, len(text) - 1))
    digit = data.draw(st.sampled_from("0123456789 /a").filter(lambda digit: digit != text[place]))
    assert verdict(text[:place] + digit + text[place + 1 :]) == "invalid"


@given(
    st.text(max_size=60)
    | st.binary(max_size=60)
    | st.text("eyJ.AQgw_-shc:/0123456789", max_size=60)
    | st.lists(st.binary(max_size=40).map(b64.encode), max_size=4).map(".".join)
)
def test_garbage_is_an_invalid_card(data: str | bytes) -> None:
    assert verdict(data) == "invalid"
    with pytest.raises(SafeconductError):
        health_card.verify(data, trust=TRUST, status=None, now=NOW)


@given(st.dictionaries(st.sampled_from(["iss", "nbf", "exp", "vc"]), values, min_size=1))
def test_claims_of_any_kind_get_a_verdict(changes: dict[str, Any]) -> None:
    assert verdict(card(claims(**changes))) in ("invalid", "expired", "not-yet-valid", "valid")


@given(st.dictionaries(texts, values, max_size=4), st.text("Aa0_-", min_size=1, max_size=24) | st.none())
def test_what_is_issued_reads_back(members: dict[str, Any], rid: str | None) -> None:
    bundle = {**members, "resourceType": "Bundle"}
    text = health_card.issue(bundle, issuer=ISSUER, key=KEY, now=NOW, rid=rid)
    for form in (text, qr.write(text)):
        found = health_card.verify(form, trust=TRUST, status=None, now=NOW)
        assert (found.bundle, found.claims.rid, found.claims.nbf) == (bundle, rid, NOW)


@given(st.binary(max_size=5000))
def test_what_is_deflated_inflates(payload: bytes) -> None:
    assert inflate(deflate(payload), max_bytes=len(payload)) == payload


@settings(max_examples=200)
@given(st.binary(max_size=40), st.binary(min_size=1, max_size=3), st.integers(1, 9000), st.integers(0, 9))
def test_repetitions_inflate_whole_and_one_byte_too_many_is_told(
    start: bytes, unit: bytes, times: int, level: int
) -> None:
    """Where output ends within a repetition, zlib may have taken all of its input and still hold output."""
    payload = start + unit * times
    compressor = zlib.compressobj(level=level, wbits=-15)
    data = compressor.compress(payload) + compressor.flush()
    assert inflate(data) == inflate(data, max_bytes=len(payload)) == payload
    with pytest.raises(Malformed) as error:
        inflate(data, max_bytes=len(payload) - 1)
    assert error.value.code == "card_too_large"


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_inflates_within_the_bound_or_is_refused(data: bytes) -> None:
    with suppress(Malformed):
        assert len(inflate(data, max_bytes=1000)) <= 1000


@given(st.binary(max_size=60) | values.map(lambda value: repr(value).encode()))
def test_garbage_is_no_key_set(data: bytes) -> None:
    with suppress(SafeconductError):
        assert read_key_set(data).keys == ()
