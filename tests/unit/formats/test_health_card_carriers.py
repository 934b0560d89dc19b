"""Cards in whatever form a person has them."""

import io
import json

import pytest
from PIL import Image

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import carriers, drawing, files, links, qr

JWS = "eyJhbGciOiJFUzI1NiJ9." + "AZaz09-_" * 12 + "." + "B" * 86
OTHER = "eyJhbGciOiJFUzI1NiJ9." + "9" * 40 + "." + "C" * 86
LONG = "e." + "0123456789" * 300 + "." + "D" * 85


def _chunks(jws: str, sizes: list[int]) -> list[bytes]:
    parts, at = [], 0
    for place, size in enumerate(sizes, 1):
        parts.append(f"shc:/{place}/{len(sizes)}/{qr.jws_to_digits(jws[at : at + size])}".encode())
        at += size
    assert at == len(jws)
    return parts


def _codes(carried: carriers.Carried) -> list[str]:
    return [finding.code for finding in carried.findings]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (JWS.encode(), "jws"),
        (JWS.encode() + b"\r\n", "jws"),
        (qr.write(JWS).encode(), "qr"),
        (qr.write(JWS).encode() + b"\n", "qr"),
        (drawing.draw(JWS, form="png"), "image"),
        (drawing.draw(JWS, form="svg"), "image"),
        (files.write([JWS]), "file"),
        (json.dumps({"verifiableCredential": [JWS]}, indent=1).encode() + b"\n", "file"),
        (links.write("https://a.example/SMARTHealthCard/", [JWS]).encode(), "link"),
    ],
)
def test_a_card_is_found_in_each_form(data: bytes, kind: str) -> None:
    carried = carriers.unwrap(data)
    assert (carried.kind, carried.cards, carried.findings) == (kind, (JWS,), ())
    assert JWS not in repr(carried)


@pytest.mark.parametrize(
    "data", [b" " + JWS.encode(), JWS.encode() + b"\n\n", qr.write(JWS).encode() + b" \n"]
)
def test_white_space_around_a_card_is_remarked(data: bytes) -> None:
    carried = carriers.unwrap(data)
    assert carried.cards == (JWS,)
    assert _codes(carried) == ["card_trailing_space"]


def test_several_cards_may_come_together() -> None:
    assert carriers.unwrap(files.write([JWS, OTHER])).cards == (JWS, OTHER)
    assert carriers.unwrap(qr.write(JWS).encode(), drawing.draw(OTHER, form="png")).cards == (JWS, OTHER)
    assert carriers.unwrap(qr.write(JWS).encode(), qr.write(JWS).encode()).cards == (JWS,)
    page = Image.new("L", (900, 450), 255)
    for place, card in enumerate((JWS, OTHER)):
        page.paste(Image.open(io.BytesIO(drawing.draw(card, form="png"))).convert("L"), (450 * place, 0))
    stream = io.BytesIO()
    page.save(stream, "PNG")
    assert set(carriers.unwrap(stream.getvalue()).cards) == {JWS, OTHER}


def test_the_parts_of_a_card_come_from_one_file_or_several() -> None:
    first, second, third = _chunks(LONG, [1030, 1029, 1029])
    for data in ([third, first, second], [b"\n".join((second, third, first))]):
        carried = carriers.unwrap(*data)
        assert (carried.kind, carried.cards) == ("qr", (LONG,))
        assert _codes(carried) == ["card_qr_chunked"]
    assert carriers.unwrap(third, first, second, examine=False).findings == ()


def test_parts_that_are_not_as_they_should_be_are_remarked() -> None:
    assert _codes(carriers.unwrap(*_chunks(LONG, [1191, 1191, 706]))) == [
        "card_qr_chunked",
        "card_qr_chunks_unbalanced",
    ]
    assert _codes(carriers.unwrap(*_chunks(LONG, [1544, 1544]))) == ["card_qr_chunked", "card_qr_chunk_long"]
    assert _codes(carriers.unwrap(*_chunks(JWS, [len(JWS)]))) == ["card_qr_chunked", "card_qr_chunk_unneeded"]


def _refusal(*data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        carriers.unwrap(*data)
    return caught.value.code


def test_only_qr_codes_are_read_together() -> None:
    assert _refusal(JWS.encode(), OTHER.encode()) == "card_carrier_mixed"
    assert _refusal(files.write([JWS]), qr.write(JWS).encode()) == "card_carrier_mixed"
    assert _refusal() == "card_carrier_mixed"
    first, second, third = _chunks(LONG, [1030, 1029, 1029])
    assert _refusal(first, second, qr.write(JWS).encode()) == "card_qr_header"
    assert _refusal(first, third) == "card_qr_chunk_missing"


def test_what_is_no_text_of_a_card_is_refused() -> None:
    assert _refusal("é".encode()) == "card_carrier_text"
    assert _refusal(b"SHC:/5676") == "card_qr_header"
    assert _refusal(b"{") == "json_malformed"
    assert _refusal(b"shlink:/eyJ1cmwi") == "card_shlink_unsupported"
    assert _refusal(b"https://viewer.example/#shlink:/eyJ1cmwi") == "card_shlink_unsupported"
    assert _refusal(b"https://viewer.example/") == "card_link_malformed"


def test_more_than_CARD_FILE_BYTES_and_CARD_CHUNKS_are_not_taken() -> None:
    assert carriers.unwrap(b"e" * limits.CARD_FILE_BYTES).kind == "jws"
    assert _refusal(b"e" * (limits.CARD_FILE_BYTES + 1)) == "card_carrier_too_large"
    assert len(carriers.unwrap(*[qr.write(JWS).encode()] * limits.CARD_CHUNKS).cards) == 1
    assert _refusal(*[qr.write(JWS).encode()] * (limits.CARD_CHUNKS + 1)) == "card_carrier_too_large"
    lines = b"\n".join([qr.write(JWS).encode()] * (limits.CARD_CHUNKS + 1))
    assert _refusal(lines) == "card_carrier_too_large"
