"""The text of a card's QR code: pairs of digits, and codes that hold parts of a card."""

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.formats.health_card import qr

# From the framework's own words: each character is its code less 45, as two digits.
HEADER = "eyJ"
HEADER_DIGITS = "567629"


def _part(place: int, total: int, characters: str) -> str:
    return f"shc:/{place}/{total}/{qr.jws_to_digits(characters)}"


def test_each_character_is_two_digits() -> None:
    assert qr.write(HEADER) == "shc:/" + HEADER_DIGITS
    assert qr.read("shc:/" + HEADER_DIGITS) == HEADER
    assert qr.read("shc:/0077") == "-z"


def test_every_pair_up_to_77_is_a_character_and_no_other_is() -> None:
    for number in range(100):
        if number <= 77:
            assert qr.digits_to_jws(f"{number:02}") == chr(number + 45)
        else:
            with pytest.raises(Malformed) as caught:
                qr.digits_to_jws(f"{number:02}")
            assert caught.value.code == "card_qr_digits"


@pytest.mark.parametrize(
    "digits",
    [
        "5",
        "567",
        "5a",
        "a5",
        "ff",
        "56 76",
        " 5676",
        "5676\n",
        "56\t76",
        "५६",
        "+5",
        "-5",
        "5.",
        "5676\x00",
        "7F",
    ],
)
def test_what_is_no_pair_of_digits_is_malformed(digits: str) -> None:
    with pytest.raises(Malformed) as caught:
        qr.read("shc:/" + digits)
    assert caught.value.code == "card_qr_digits"


@pytest.mark.parametrize(
    "text", ["", "shc:", "shc/5676", "SHC:/5676", "shc://5676", " shc:/5676", "shlink:/5676"]
)
def test_a_code_begins_as_the_framework_says(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        qr.read(text)
    assert caught.value.code == "card_qr_header"


@pytest.mark.parametrize("character", [",", "{", "é", "\n"])
def test_only_what_has_a_pair_can_be_written(character: str) -> None:
    with pytest.raises(Malformed) as caught:
        qr.write("ab" + character)
    assert caught.value.code == "card_qr_digits"


def test_the_parts_of_a_card_may_be_scanned_in_any_order_and_twice() -> None:
    parts = [_part(3, 3, "cc"), _part(1, 3, "aa"), _part(2, 3, "bb"), _part(1, 3, "aa")]
    assert qr.read_all(parts) == "aabbcc"
    assert qr.read(_part(1, 1, "aa")) == "aa"


def test_all_parts_of_a_card_must_be_there() -> None:
    for texts in ([_part(1, 3, "aa"), _part(3, 3, "cc")], [_part(1, 2, "aa")]):
        with pytest.raises(Malformed) as caught:
            qr.read_all(texts)
        assert caught.value.code == "card_qr_chunk_missing"
    with pytest.raises(Malformed) as caught:
        qr.read(_part(1, 2, "aa"))
    assert caught.value.code == "card_qr_chunk_missing"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [_part(1, 2, "aa"), _part(2, 3, "bb")],
        [_part(1, 2, "aa"), _part(1, 2, "ab"), _part(2, 2, "bb")],
        [_part(1, 2, "aa"), "shc:/5676"],
        ["shc:/5676", "shc:/5676"],
        ["shc:/0/1/5676"],
        ["shc:/3/2/5676", _part(1, 2, "aa")],
        ["shc:/01/1/5676"],
        ["shc:/1/1/1/5676"],
        ["shc:/1/5676"],
    ],
)
def test_parts_must_agree_with_each_other(texts: list[str]) -> None:
    with pytest.raises(Malformed) as caught:
        qr.read_all(texts)
    assert caught.value.code in {"card_qr_header", "card_qr_digits"}


def test_CARD_QR_CHARS_is_the_longest_code() -> None:
    text = "shc:/" + "56" * ((limits.CARD_QR_CHARS - 5) // 2)
    assert qr.read(text)
    for longer in (text + "5656", "shc:/1/1/" + text[5:]):
        with pytest.raises(Malformed) as caught:
            qr.read(longer)
        assert caught.value.code == "card_qr_too_large"


def test_CARD_CHUNKS_is_the_most_codes_of_one_card() -> None:
    total = limits.CARD_CHUNKS
    assert len(qr.read_all([_part(place + 1, total, "ab") for place in range(total)])) == 2 * total
    with pytest.raises(Malformed) as caught:
        qr.read_all([_part(place + 1, total + 1, "ab") for place in range(total + 1)])
    assert caught.value.code == "card_qr_too_large"
