"""Which form and language of the metadata a wallet wants.

Sources: OpenID4VCI 1.0 §12.2.2, RFC 9110 §12.5, RFC 4647 §3.4.

These headers only express wishes. What cannot be read is no wish, never an error.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from safeconduct import limits

_ITEM = re.compile(r"([^\s;,]{1,100})((?:\s*;[^;,]{0,200})*)")
_QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|\Z)", re.IGNORECASE)


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str:
    """Returns the one of `offered` that a request accepts best; the first if it does not say.

    accept: the values of its Accept headers, joined by commas. offered: media types, the usual one first.
    """
    wishes = _wishes(accept)
    scored = [(_quality_of(media_type, wishes), media_type) for media_type in offered]
    best = max(quality for quality, _ in scored)
    return next(media_type for quality, media_type in scored if quality == best)


def choose_language(accept_language: str | None, available: Collection[str]) -> str | None:
    """Returns the one of the available language tags that a request wants most; None if it wants none.

    accept_language: the values of its Accept-Language headers, joined by commas.
    """
    known = {tag.lower(): tag for tag in sorted(available)}
    wishes = sorted(_wishes(accept_language), key=lambda wish: -wish[1])
    for wanted, quality in wishes:
        tag = wanted.lower()
        while tag and quality > 0:
            if tag in known:
                return known[tag]
            tag = tag.rpartition("-")[0]
    return None


def in_language(document: dict[str, Any], language: str) -> dict[str, Any]:
    """Returns metadata with only those `display` objects that are in the language, where there are any.

    document: the JSON members of issuer metadata; it is not changed.
    """
    return {name: _in_language(name, value, language) for name, value in document.items()}


def languages(document: dict[str, Any]) -> frozenset[str]:
    """Returns the language tags of all `display` objects in the metadata."""
    found: set[str] = set()

    def note(entries: Sequence[Any]) -> Sequence[Any]:
        found.update(entry["locale"] for entry in entries if "locale" in entry)
        return entries

    for name, value in document.items():
        _walk(name, value, note)
    return frozenset(found)


def _in_language(name: str, value: Any, language: str) -> Any:
    def keep(entries: Sequence[Any]) -> Sequence[Any]:
        return [entry for entry in entries if entry.get("locale") == language] or entries

    return _walk(name, value, keep)


def _walk(name: str, value: Any, change: Callable[[Sequence[Any]], Sequence[Any]]) -> Any:
    if name == "display" and isinstance(value, list | tuple):
        return change(value)
    if isinstance(value, dict):
        return {key: _walk(key, item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walk("", item, change) for item in value]
    return value


def _wishes(header: str | None) -> list[tuple[str, float]]:
    """What is named, and how much it is wanted, from 0 to 1; in the order of the header."""
    wishes = []
    for item in (header or "").split(",")[: limits.LIST_ITEMS]:
        found = _ITEM.fullmatch(item.strip())
        if found is None:
            continue
        quality = _QUALITY.search(found[2])
        wishes.append((found[1], 1.0 if quality is None else float(quality[1])))
    return wishes


def _quality_of(media_type: str, wishes: list[tuple[str, float]]) -> float:
    """The quality of the most specific wish that covers the media type (RFC 9110 §12.5.1)."""
    for covering in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        for wanted, quality in wishes:
            if wanted.lower() == covering:
                return quality
    return 0.0
