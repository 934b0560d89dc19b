"""Pictures of QR codes: drawn and read back, and hostile ones."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable

import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageOps

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import drawing, images, qr
from safeconduct.formats.health_card.symbol import Segment, segments

SHORT = "eyJ6aXAiOiJERUYifQ." + "abcXYZ_-09" * 20 + "." + "A" * 86
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def _jws(length: int) -> str:
    return (ALPHABET * (length // len(ALPHABET) + 1))[:length]


def _png(picture: Image.Image, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def _picture(jws: str = SHORT, *, scale: int = 3) -> Image.Image:
    return Image.open(io.BytesIO(drawing.draw(jws, form="png", scale=scale))).convert("L")


@pytest.mark.parametrize("form", ["svg", "png"])
@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
@pytest.mark.parametrize("share", [1.0, 0.63, 0.31])
def test_what_is_drawn_is_read_back_and_made_of_two_segments(
    form: drawing.Form, level: drawing.Level, share: float
) -> None:
    jws = _jws(int(qr.MAX_JWS_CHARS[level] * share))

    (code,) = images.read(drawing.draw(jws, form=form, level=level))

    assert code.text == qr.write(jws)
    assert qr.read(code.text) == jws
    assert code.version <= qr.MAX_VERSION
    assert not code.damaged
    digits = Segment("numeric", 2 * len(jws))
    assert segments(code.modules, version=code.version, level=code.level, mask=code.mask) == (
        Segment("byte", 5),
        digits,
    )
    assert drawing.examine(code) == ()


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
def test_another_reader_alone_reads_what_is_drawn(level: drawing.Level) -> None:
    jws = _jws(qr.MAX_JWS_CHARS[level])
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(drawing.draw(jws, form="png", level=level))))
    assert found.text == qr.write(jws)
    assert found.extra["Version"] == str(qr.MAX_VERSION)


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
def test_one_character_more_than_version_22_holds_is_refused(level: drawing.Level) -> None:
    with pytest.raises(SafeconductError) as caught:
        drawing.draw(_jws(qr.MAX_JWS_CHARS[level] + 1), level=level)
    assert caught.value.code == "card_qr_too_long"


def test_what_no_code_of_any_version_holds_is_refused() -> None:
    with pytest.raises(SafeconductError) as caught:
        drawing.draw(_jws(10_000))
    assert caught.value.code == "card_qr_too_long"


@pytest.mark.parametrize(
    "change",
    [
        ImageOps.mirror,
        ImageOps.invert,
        lambda picture: picture.rotate(90, expand=True),
        lambda picture: picture.rotate(11, expand=True, fillcolor=255),
        lambda picture: picture.convert("RGB"),
        lambda picture: picture.convert("1"),
        lambda picture: picture.convert("P"),
        lambda picture: picture.convert("I;16"),
        lambda picture: picture.convert("LA"),
    ],
)
def test_a_code_is_read_in_any_position_and_colours(change: Callable[[Image.Image], Image.Image]) -> None:
    (code,) = images.read(_png(change(_picture())))
    assert qr.read(code.text) == SHORT
    assert drawing.examine(code) == ()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_each_form_of_picture_is_read(form: str) -> None:
    (code,) = images.read(_png(_picture().convert("RGB"), form))
    assert qr.read(code.text) == SHORT


def test_what_is_transparent_is_white() -> None:
    picture = _picture()
    clear = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    clear.putalpha(ImageOps.invert(picture))  # black modules on nothing
    (code,) = images.read(_png(clear))
    assert qr.read(code.text) == SHORT


def test_a_damaged_code_is_corrected_and_one_too_damaged_is_not() -> None:
    picture = _picture()
    ImageDraw.Draw(picture).rectangle((100, 100, 108, 108), fill=255)
    (code,) = images.read(_png(picture))
    assert code.damaged
    assert qr.read(code.text) == SHORT
    assert drawing.examine(code) == ()
    ImageDraw.Draw(picture).rectangle((80, 80, 180, 180), fill=255)
    assert _refusal(_png(picture)) == "card_qr_unreadable"


def test_all_codes_of_cards_in_a_picture_are_read() -> None:
    page = Image.new("L", (900, 400), 255)
    page.paste(_picture("e.30." + "A" * 86), (0, 0))
    page.paste(_picture("e.31." + "A" * 86), (450, 0))
    assert {code.text for code in images.read(_png(page))} == {
        qr.write("e.30." + "A" * 86),
        qr.write("e.31." + "A" * 86),
    }


def _other_code(text: str, **options: object) -> bytes:
    import segno

    stream = io.BytesIO()
    segno.make(text, micro=False, **options).save(stream, kind="png", scale=4, border=4)
    return stream.getvalue()


@pytest.mark.parametrize("text", ["https://issuer.example", "shlink:/abc", "SHC:/1234", "Grüße"])
def test_another_code_is_none_of_a_card(text: str) -> None:
    assert _refusal(_other_code(text)) == "card_qr_header"


def test_a_code_in_one_segment_is_remarked() -> None:
    (code,) = images.read(_other_code(qr.write(SHORT)))
    assert [finding.code for finding in drawing.examine(code)] == ["card_qr_segments"]


def test_a_code_of_a_larger_version_than_it_needs_is_remarked() -> None:
    import segno
    from segno.consts import MODE_BYTE, MODE_NUMERIC

    content = [("shc:/", MODE_BYTE), (qr.write(SHORT)[5:], MODE_NUMERIC)]
    for version, codes in (
        (22, ["card_qr_version_unneeded"]),
        (25, ["card_qr_version", "card_qr_version_unneeded"]),
    ):
        stream = io.BytesIO()
        segno.make(content, version=version, error="l", boost_error=False, micro=False).save(
            stream, kind="png", scale=3, border=4
        )
        (code,) = images.read(stream.getvalue())
        assert [finding.code for finding in drawing.examine(code)] == codes


def _refusal(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        images.read(data)
    return caught.value.code


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _bomb(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of white pixels, of which each thousand takes a byte."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = _chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * width) * height, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + rows + _chunk(b"IEND", b"")


def test_CARD_IMAGE_PIXELS_are_the_most_and_no_more_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    side = 4096
    assert side * side == limits.CARD_IMAGE_PIXELS
    assert _refusal(_bomb(side, side)) == "card_qr_unreadable"
    too_large = _bomb(side, side + 1)
    assert len(too_large) < 30_000
    decoded = []
    monkeypatch.setattr(images, "_on_white", lambda picture: decoded.append(picture.size))
    assert _refusal(too_large) == "card_image_too_large"
    assert decoded == []
    # Without the bound, the same picture would be decoded.
    monkeypatch.undo()
    monkeypatch.setattr(limits, "CARD_IMAGE_PIXELS", 2 * side * side)
    assert _refusal(too_large) == "card_qr_unreadable"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 0x7FFFFFFF, 0x7FFFFFFF, 8, 6, 0, 0, 0))
        + _chunk(b"IDAT", b""),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        _png(Image.new("L", (64, 64)), "JPEG").replace(b"\0\x40\0\x40", b"\xff\xff\xff\xff"),
    ],
    ids=["png", "bmp", "jpeg"],
)
def test_the_size_that_a_head_claims_is_believed_before_anything_is_decoded(data: bytes) -> None:
    assert len(data) < 400
    assert _refusal(data) == "card_image_too_large"


def test_texts_within_a_picture_are_not_inflated_without_end() -> None:
    text = b"k\0\0" + zlib.compress(bytes(50_000_000), 9)
    assert _refusal(_bomb(8, 8, *[_chunk(b"zTXt", text)] * 20)) in {
        "card_image_malformed",
        "card_qr_unreadable",
    }


def test_CARD_IMAGE_BYTES_is_the_longest_file() -> None:
    data = _png(_picture())
    assert images.read(data + bytes(limits.CARD_IMAGE_BYTES - len(data)))
    assert _refusal(data + bytes(limits.CARD_IMAGE_BYTES - len(data) + 1)) == "card_image_too_large"


def test_CARD_IMAGE_SCANS_is_how_often_a_jpeg_may_pass_over_its_picture() -> None:
    stream = io.BytesIO()
    _picture().save(stream, "JPEG", progressive=True)
    head, mark, last = stream.getvalue().removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    scans = limits.CARD_IMAGE_SCANS - head.count(mark)

    assert images.read(head + (mark + last) * scans + b"\xff\xd9")
    assert _refusal(head + (mark + last) * (scans + 1) + b"\xff\xd9") == "card_image_too_large"


def test_a_fault_that_the_decoder_only_warns_of_does_not_raise_a_warning() -> None:
    chunk = b"acTL" + bytes(8)
    broken = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    still = _png(_picture())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert images.read(still[:33] + broken + still[33:])
    assert "APNG" in str(said[0].message)
    assert _refusal(still[:33] + broken + still[33:]) == "card_image_malformed"  # here warnings are errors


def test_codes_are_looked_for_among_CARD_SCAN_PIXELS_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    read = zxingcpp.read_barcodes

    def see(view: memoryview, **options: object) -> object:
        shapes.append(view.shape)
        return read(view, **options)

    monkeypatch.setattr(zxingcpp, "read_barcodes", see)
    page = Image.new("L", (2480, 3508), 255)  # A4 at 300 dots an inch
    page.paste(_picture(_jws(780), scale=4), (333, 777))
    (code,) = images.read(_png(page))
    assert qr.read(code.text) == _jws(780)
    ((height, width),) = shapes
    assert limits.CARD_SCAN_PIXELS * 0.99 < width * height <= limits.CARD_SCAN_PIXELS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        b"GIF89a",
        b"II*\0",
        b"x",
    ],
)
def test_what_is_no_picture_is_malformed(data: bytes) -> None:
    assert _refusal(data) == "card_image_malformed"


SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path stroke="#000" d="{}"/></svg>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<svg></svg>", "card_svg_unsupported"),
        (b"<svg><rect x='1' y='1'/></svg>", "card_svg_unsupported"),
        (SVG.format("M4 4.5h7C1 2 3 4").encode(), "card_image_malformed"),
        (SVG.format("M4 4.5h9999").encode(), "card_image_malformed"),
        (SVG.format("M-4 4.5h1").encode(), "card_image_malformed"),
        (SVG.format("M4 999h1").encode(), "card_image_malformed"),
        (SVG.format("M4").encode(), "card_image_malformed"),
        (SVG.format("").encode(), "card_qr_unreadable"),
        (b"<svg>\xff</svg>", "card_image_malformed"),
        (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;</svg>', "card_svg_unsupported"),
    ],
)
def test_svg_is_read_only_as_runs_of_modules(data: bytes, code: str) -> None:
    assert _refusal(data) == code


def test_CARD_SVG_RUNS_is_the_most_runs_of_a_path() -> None:
    assert _refusal(SVG.format("M4 4.5h1" * limits.CARD_SVG_RUNS).encode()) == "card_qr_unreadable"
    assert _refusal(SVG.format("M4 4.5h1" * (limits.CARD_SVG_RUNS + 1)).encode()) == "card_image_malformed"


def test_a_path_is_followed_without_going_over_its_end_for_each_run() -> None:
    """White space after 32 768 runs would be looked at 65 536 times, which takes hours for a file of 8 MB."""
    calls: list[object] = []
    data = SVG.format("M4 4.5h1" * 100 + " " * 100).encode()
    with pytest.raises(SafeconductError) as caught:
        sys.setprofile(lambda _frame, event, called: calls.append(called) if event == "c_call" else None)
        try:
            images.read(data)
        finally:
            sys.setprofile(None)
    assert caught.value.code == "card_qr_unreadable"
    assert 0 < sum(getattr(called, "__name__", "") == "rstrip" for called in calls) < 10


def test_no_decoder_of_pictures_is_loaded_before_there_is_a_picture() -> None:
    program = (
        "import sys\n"
        "from safeconduct.formats import health_card\n"
        "from safeconduct.formats.health_card import carriers, inspection\n"
        "assert carriers.unwrap(b'shc:/5676').cards == ('ey',)\n"
        "print(sorted({'PIL', 'zxingcpp', 'segno'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
