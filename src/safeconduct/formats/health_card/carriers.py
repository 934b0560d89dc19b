"""Cards in whatever form a person has them: a JWS, the text or the picture of a QR code, a file, a link."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Unsupported
from safeconduct.formats.health_card import files, links, qr, svg
from safeconduct.formats.health_card.finding import Finding

Kind = Literal["jws", "qr", "image", "file", "link"]


class Carried(msgspec.Struct, frozen=True):
    """The cards that something carried, unverified.

    kind: of what carried them. cards: each the text of a JWS that is not looked at. findings: what is to be
    said of how they were carried.
    """

    kind: Kind
    cards: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"<Carried {self.kind}: {len(self.cards)}>"


def unwrap(*data: bytes, examine: bool = True) -> Carried:
    """Returns the cards in a file of any kind; the kind is told from the content.

    data: one file, or several that are QR codes (texts or pictures) with parts of a card, or cards. White
    space around a text is not part of it. examine: whether to look for findings.

    Raises what the readers raise: `qr.read_all`, `images.read`, `files.read`, `links.read`; Malformed
    "card_carrier_mixed" (several files that are not all QR codes), "card_carrier_too_large",
    "card_carrier_text" (neither a picture nor ASCII); Unsupported "card_shlink_unsupported".
    """
    if len(data) > limits.CARD_CHUNKS:
        raise _too_large()
    found = [_opened(item, examine=examine) for item in data]
    texts = [text for one in found for text in one.texts]
    remarks = tuple(remark for one in found for remark in one.findings)
    if len(found) == 1 and not texts:
        return Carried(found[0].kind, found[0].cards, remarks)
    if not found or any(one.cards for one in found):
        raise Malformed("card_carrier_mixed", "Several files are read together only where all are QR codes.")
    kind: Kind = "image" if any(one.kind == "image" for one in found) else "qr"
    if not any(map(qr.is_chunk, texts)):
        return Carried(kind, tuple(dict.fromkeys(map(qr.read, texts))), remarks)
    parts = qr.chunks(texts)
    return Carried(kind, ("".join(parts),), (*remarks, *(_of_chunks(parts) if examine else ())))


class _Opened(msgspec.Struct, frozen=True):
    """One file: its cards, or the texts of QR codes that hold cards or parts of one."""

    kind: Kind
    cards: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"<_Opened {self.kind}>"


_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM")
_SPACE = " \t\r\n"


def _opened(data: bytes, *, examine: bool) -> _Opened:
    if data.startswith(_PICTURES) or svg.looks_like(data):
        return _picture(data, examine=examine)
    if len(data) > limits.CARD_FILE_BYTES:
        raise _too_large()
    if data.lstrip()[:1] == b"{":
        return _Opened("file", cards=files.read(data), findings=_of_space(data))
    try:
        text = data.decode("ascii").strip(_SPACE)
    except UnicodeError:
        raise Malformed("card_carrier_text", "This is neither a picture nor the text of a card.") from None
    if text.startswith("shlink:/") or "#shlink:/" in text:
        raise Unsupported("card_shlink_unsupported", "This is a SMART Health Link, which is not a card.")
    if text.startswith("https://"):
        return _Opened("link", cards=links.read(text), findings=_of_space(data))
    if text[:3].lower() == "shc":
        return _Opened("qr", texts=_lines(text), findings=_of_space(data))
    return _Opened("jws", cards=(text,), findings=_of_space(data))


def _picture(data: bytes, *, examine: bool) -> _Opened:
    # The decoders of pictures are large and native: a process has them only once it is given a picture.
    from safeconduct.formats.health_card import drawing, images

    codes = images.read(data)
    remarks = [remark for code in codes for remark in drawing.examine(code)] if examine else []
    return _Opened("image", texts=tuple(code.text for code in codes), findings=tuple(remarks))


def _lines(text: str) -> tuple[str, ...]:
    lines = tuple(text.split(None, limits.CARD_CHUNKS))
    if len(lines) > limits.CARD_CHUNKS:
        raise _too_large()
    return lines


def _of_space(data: bytes) -> tuple[Finding, ...]:
    """One end of line is how text files are written."""
    kept = data.removesuffix(b"\n").removesuffix(b"\r")
    if kept.strip(_SPACE.encode()) == kept:
        return ()
    return (Finding("card_trailing_space", "error", "White space stands around the card."),)


def _of_chunks(parts: Sequence[str]) -> Iterator[Finding]:
    text = "Cards in several QR codes are deprecated since release 1.3.0."
    yield Finding("card_qr_chunked", "warning", text)
    if any(len(part) > qr.MAX_CHUNK_CHARS for part in parts):
        yield Finding("card_qr_chunk_long", "error", "A QR code holds a longer part than it may.")
    length = sum(map(len, parts))
    if length <= qr.MAX_JWS_CHARS["L"]:
        yield Finding("card_qr_chunk_unneeded", "warning", "The card would go into one QR code.")
    elif any(abs(len(part) - length / len(parts)) > 1 + length / len(parts) / 200 for part in parts):
        yield Finding("card_qr_chunks_unbalanced", "warning", "The parts of the card differ in length.")


def _too_large() -> Malformed:
    return Malformed("card_carrier_too_large", "This is more than is read here.")
