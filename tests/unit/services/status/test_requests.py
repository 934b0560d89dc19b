"""What a request for a file asks, read as RFC 9110 has it."""

import pytest

from safeconduct.services.status.faults import RangeNotSatisfiable
from safeconduct.services.status.requests import Span, asked_span, asks_for_change, takes_gzip

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        (None, True),
        ('"abc"', False),
        ('W/"abc"', False),
        ('"x", "abc"', False),
        ('"x","abc"', False),
        ('"x,y" , W/"abc"', False),
        ("*", False),
        (" * ", False),
        ('"abc-gzip"', True),
        ('"ABC"', True),
        ("abc", True),
        ('"abc', True),
        ("", True),
        ('"*"', True),
    ],
)
def test_who_has_the_tag_needs_nothing(field: str | None, changed: bool) -> None:
    assert asks_for_change(field, ETAG) is changed


@pytest.mark.parametrize(
    ("field", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-", Span(0, 100)),
        ("bytes=99-99", Span(99, 100)),
        ("bytes=50-1000", Span(50, 100)),
        ("bytes=-1", Span(99, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("BYTES=1-2", Span(1, 3)),
        ("  bytes=1-2 ", Span(1, 3)),
        ("bytes=2-1", None),
        ("bytes=-", None),
        ("bytes=1-2,4-5", None),
        ("bytes = 1-2", None),
        ("bytes=+1-2", None),
        ("bytes=1-2x", None),
        ("bytes=\u0661-\u0662", None),
        ("items=1-2", None),
        ("bytes=" + "1" * 20 + "-", None),
        ("", None),
    ],
)
def test_spans(field: str | None, span: Span | None) -> None:
    assert asked_span(field, None, etag=ETAG, size=100) == span


@pytest.mark.parametrize(
    ("field", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-1", 0)]
)
def test_spans_that_are_not_there(field: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        asked_span(field, None, etag=ETAG, size=size)
    assert refused.value.code == "range_not_satisfiable"
    assert refused.value.http_headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    ("condition", "partial"), [(ETAG, True), ('"x"', False), (f"W/{ETAG}", False), ("*", False), ("", False)]
)
def test_a_part_of_the_same_alone(condition: str, partial: bool) -> None:
    span = asked_span("bytes=0-0", condition, etag=ETAG, size=100)
    assert span == (Span(0, 1) if partial else None)


@pytest.mark.parametrize(
    ("field", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br, *", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.001", True),
        ("gzip; q=0.5", True),
        ("*, gzip;q=0", False),
        ("identity", False),
        ("gzip;q=2", False),
        ("gzip;q=nan", False),
        ("gzipped", False),
    ],
)
def test_gzip_for_who_takes_it(field: str | None, taken: bool) -> None:
    assert takes_gzip(field) is taken
