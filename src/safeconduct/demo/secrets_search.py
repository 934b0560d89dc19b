"""Looking for secrets in what a party has: every form that a value can take on its way, in every byte it saw.

A value is searched as it is, in hex, and in base64url at each of the three alignments that it can have inside
something longer; a text also as JSON and URLs escape it; and what is text of these once more in base64url, as
a key inside a JWT stands. (Base64 of the other alphabet is covered where both agree, and tried where not.)
"""

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

import msgspec

SHORTEST = 6
"""Bytes that a value, and a form of it, must have: shorter ones occur by chance."""


class Needle(msgspec.Struct, frozen=True):
    """A secret under its name, in all its forms."""

    name: str
    forms: frozenset[bytes]

    def __repr__(self) -> str:
        return f"<Needle {self.name}: {len(self.forms)} forms>"


class Finding(msgspec.Struct, frozen=True):
    """That a secret is in one of the places that were searched."""

    needle: str
    place: str


def needle(name: str, value: bytes | str) -> Needle:
    """Make a needle of a secret. Raises ValueError for one that is too short to be looked for."""
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) < SHORTEST:
        raise ValueError(f"{name} is too short to be looked for")
    texts = set(_hex(raw))
    if isinstance(value, str):
        texts |= {
            raw,
            json.dumps(value)[1:-1].encode(),
            quote(value, safe="").encode(),
            quote_plus(value).encode(),
        }
    encoded = base64.urlsafe_b64encode(raw).rstrip(b"=")
    again = {form for text in (encoded, *texts) for form in _base64_forms(text)}
    return Needle(name, frozenset({raw} | texts | set(_base64_forms(raw)) | again))


def search(places: Mapping[str, bytes], needles: Iterable[Needle]) -> tuple[Finding, ...]:
    """Return which needles are where. places: what was recorded, by a name for it."""
    wanted = tuple(needles)
    return tuple(
        Finding(needle.name, place)
        for place, content in places.items()
        for needle in wanted
        if any(form in content for form in needle.forms)
    )


def _hex(raw: bytes) -> tuple[bytes, bytes]:
    return raw.hex().encode(), raw.hex().upper().encode()


def _base64_forms(raw: bytes) -> Iterable[bytes]:
    """The characters that `raw` alone decides, for each place it can have in a longer text."""
    for before in range(3):
        shifted = base64.urlsafe_b64encode(bytes(before) + raw)
        first = -(-8 * before // 6)
        last = 8 * (before + len(raw)) // 6
        form = shifted[first:last]
        if len(form) >= SHORTEST:
            yield form
            yield form.translate(_STANDARD)


_STANDARD = bytes.maketrans(b"-_", b"+/")
