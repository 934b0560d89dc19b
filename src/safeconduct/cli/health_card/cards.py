"""Reading cards from files of any kind, and drawing them, for the commands that do either."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from safeconduct.formats.health_card.carriers import Carried

CardFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE...|-",
        help="A card: as a JWS, the text or picture (PNG, JPEG, WebP, BMP, SVG) of its QR code, a "
        ".smart-health-card file, a link, or a FHIR server's answer; - for standard input. Several files are "
        "QR codes that hold one card together, or a card each.",
    ),
]


def read(places: Sequence[str] | None) -> list[bytes]:
    """Read files, or standard input if none is named. Raises WrongUse for what cannot be read."""
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.limits import CARD_CHUNKS, CARD_IMAGE_BYTES

    if places and len(places) > CARD_CHUNKS:
        raise WrongUse(f"more than {CARD_CHUNKS} files are not read together: give fewer at a time")
    return [files.read(place, max_bytes=CARD_IMAGE_BYTES) for place in places or (files.STANDARD_STREAM,)]


def unwrap(data: Sequence[bytes], *, examine: bool = True) -> "Carried":
    """Return the cards in files, also those in a FHIR server's answer; raises as `carriers.unwrap`.

    examine: whether to look for findings.
    """
    from safeconduct.formats.health_card import carriers
    from safeconduct.formats.health_card.carriers import Carried
    from safeconduct.protocols import health_cards_issue

    if is_answer(data):
        return Carried("file", health_cards_issue.read_response(data[0]).cards)
    return carriers.unwrap(*data, examine=examine)


def is_answer(data: Sequence[bytes]) -> bool:
    """Tell whether a file is a FHIR server's answer to `$health-cards-issue`."""
    return len(data) == 1 and data[0].lstrip()[:1] == b"{" and b'"Parameters"' in data[0]


def chosen(cards: Sequence[str], number: int | None) -> str:
    """Return the only card, or the one of that number, from 1. Raises WrongUse."""
    from safeconduct.cli.faults import WrongUse

    if number is None and len(cards) == 1:
        return cards[0]
    if number is None or number > len(cards):
        raise WrongUse(f"this holds {len(cards)} cards: choose one with --number")
    return cards[number - 1]


def form_of(place: str) -> Literal["svg", "png"] | None:
    """Return the form of picture that the end of a file's name asks for."""
    ending = place.lower().rpartition(".")[2]
    return "svg" if ending == "svg" else "png" if ending == "png" else None
