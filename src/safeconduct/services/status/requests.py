"""What a request for a file asks: which bytes, in which coding, and only if they have changed (RFC 9110)."""

import re

import msgspec

from safeconduct.services.status.faults import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


class Span(msgspec.Struct, frozen=True):
    """Bytes from `start` up to, but without, `end`."""

    start: int
    end: int


def asks_for_change(if_none_match: str | None, etag: str) -> bool:
    """Whether the asker lacks what has this entity tag; False calls for 304 (RFC 9110 §13.1.2)."""
    if if_none_match is None:
        return True
    return if_none_match.strip() != "*" and etag not in _TAG.findall(if_none_match)


def asked_span(range_: str | None, if_range: str | None, *, etag: str, size: int) -> Span | None:
    """The bytes that are asked for; None for all of them.

    range_, if_range: the header fields. Several ranges, unknown units and malformed ones count as none
    (RFC 9110 §14.2), and so does a range of something older (§13.1.5). Raises RangeNotSatisfiable
    "range_not_satisfiable".
    """
    found = None if range_ is None else _RANGE.fullmatch(range_.strip())
    if found is None or if_range not in (None, etag):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        span = Span(max(0, size - int(suffix)), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = Span(int(first), min(int(last) + 1, size) if last else size)
    if span.start >= span.end:
        raise RangeNotSatisfiable(size)
    return span


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an answer in gzip is welcome (RFC 9110 §12.5.3)."""
    wanted: dict[str, bool] = {}
    for item in (accept_encoding or "").split(","):
        coding, _, parameter = item.partition(";")
        quality = _QUALITY.fullmatch(parameter.strip()) if parameter else None
        liked = not parameter or (quality is not None and float(quality[1]) > 0)
        wanted[coding.strip().lower()] = liked
    return wanted.get("gzip", wanted.get("x-gzip", wanted.get("*", False)))
