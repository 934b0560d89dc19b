"""What a page shows of a health card to its holder: for whom it is, what it holds, its QR code."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from safeconduct.errors import Rejected
from safeconduct.formats import health_card
from safeconduct.formats.health_card import drawing

SHOWN_CHARS = 120
"""Longest name or date that is shown; a longer one is cut."""

SHOWN_NAMES = 3

_SIZE = re.compile(r'width="(\d+)" height="(\d+)"')
"""What keeps a picture from growing with the page."""


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """A card for people. qr: SVG to stand in a page, None if the card is too long for one QR code.

    names, births: of the patients. holds: the other resources by type, as "Immunization (2)". made, ends:
    days. All texts are the bundle's, to be escaped.
    """

    names: tuple[str, ...]
    births: tuple[str, ...]
    holds: tuple[str, ...]
    made: str
    ends: str | None
    qr: str | None

    def __repr__(self) -> str:
        return "<CardView>"


def view(jws: str) -> CardView:
    """Returns what to show of a card that this issuer has made."""
    claims = health_card.parse(jws).unverified_claims()  # our own
    resources = list(_resources(claims.bundle))
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    others = Counter(resource["resourceType"] for resource in resources)
    del others["Patient"]
    return CardView(
        names=tuple(name for patient in patients for name in _names(patient))[:SHOWN_NAMES],
        births=tuple(_text(patient.get("birthDate")) for patient in patients if patient.get("birthDate")),
        holds=tuple(_text(kind) + (f" ({count})" if count > 1 else "") for kind, count in others.items()),
        made=_day(claims.nbf),
        ends=None if claims.expires is None else _day(claims.expires),
        qr=_qr(jws),
    )


def _resources(bundle: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            yield resource


def _names(patient: Mapping[str, Any]) -> Iterator[str]:
    names = patient.get("name")
    for name in names if isinstance(names, list) else ():
        if not isinstance(name, dict):
            continue
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else []), name.get("family")]
        shown = _text(name.get("text") or " ".join(part for part in parts if isinstance(part, str)))
        if shown:
            yield shown


def _text(value: object) -> str:
    """A text on one line, no longer than people read."""
    line = " ".join(str(value).split()) if isinstance(value, str) else ""
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):  # beyond the calendar
        return ""


def _qr(jws: str) -> str | None:
    try:
        picture = drawing.draw(jws, form="svg").decode()
    except Rejected:
        return None
    drawing_alone = picture[picture.index("<svg") :]  # without the declaration of a document of its own
    return _SIZE.sub(r'viewBox="0 0 \1 \2"', drawing_alone, count=1)
