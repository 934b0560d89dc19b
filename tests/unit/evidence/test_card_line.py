"""Answers of a host are taken for what they are, or not at all."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.evidence.card_line import Line
from safeconduct.evidence.card_records import Validators
from safeconduct.net.fetch import Response

ISSUER = "https://issuer.example/shc"


class Answering:
    """A fetcher with one answer."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.response = Response(status, headers or {}, body)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def request(self, _method: str, url: str, *, headers: Mapping[str, str], **_more: Any) -> Response:
        self.asked.append((url, headers))
        return self.response


def ranged(headers: Mapping[str, str], body: bytes, *, status: int = 206) -> tuple[bytes, bool]:
    line = Line(Answering(status, headers, body), ISSUER, conditional=True)  # type: ignore[arg-type]
    return asyncio.run(line.get_from("crl/a.log", 10, 20, max_bytes=100))


def test_a_range_is_what_was_asked_for() -> None:
    assert ranged({"content-range": "bytes 10-19/50"}, b"0123456789") == (b"0123456789", False)
    assert ranged({"content-range": "bytes 10-19/*"}, b"0123456789") == (b"0123456789", False)
    assert ranged({}, b"whole", status=200) == (b"whole", True)


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ("", b"0123456789"),
        ("bytes 0-9/50", b"0123456789"),
        ("bytes 11-20/50", b"0123456789"),
        ("bytes 10-20/50", b"0123456789a"),
        ("bytes 10-18/50", b"012345678"),
        ("bytes 10-19/50", b"012345678"),
        ("bytes 10-19/50", b"0123456789a"),
        ("bytes */50", b""),
        ("items 10-19/50", b"0123456789"),
        ("bytes 10-19/50, bytes 10-19/50", b"0123456789"),
        ("bytes -10-19/50", b"0123456789"),
        ("bytes ١٠-١٩/50", b"0123456789"),
        (f"bytes {'9' * 5000}-19/50", b"0123456789"),
    ],
)
def test_any_other_range_is_refused(told: str, body: bytes) -> None:
    with pytest.raises(SafeconductError) as error:
        ranged({"content-range": told}, body)
    assert error.value.code == "range_mismatch"


def test_other_statuses_have_their_meaning() -> None:
    for status, code in ((416, "range_mismatch"), (404, "fetch_status"), (500, "fetch_status")):
        with pytest.raises(SafeconductError) as error:
            ranged({}, b"", status=status)
        assert error.value.code == code


def got(status: int, headers: Mapping[str, str] | None = None) -> Any:
    line = Line(Answering(status, headers, b"body"), ISSUER, conditional=True)  # type: ignore[arg-type]
    return asyncio.run(line.get("jwks.json", max_bytes=100))


def test_a_document_is_new_the_same_or_absent() -> None:
    assert (got(200).state, got(200).body) == ("new", b"body")
    assert got(304).state == "same"
    assert got(404).state == got(410).state == "absent"
    for status in (201, 204, 206, 400, 403, 500, 503):
        with pytest.raises(SafeconductError) as error:
            got(status)
        assert error.value.code == "fetch_status"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ('"abc"', '"abc"'),
        ("x" * limits.VALIDATOR_CHARS, "x" * limits.VALIDATOR_CHARS),
        ("x" * (limits.VALIDATOR_CHARS + 1), ""),
        ("a\r\nb", ""),
        ("ä", ""),
    ],
)
def test_validators_are_short_and_plain(value: str, kept: str) -> None:
    assert got(200, {"etag": value}).validators.etag == kept
    assert got(200, {"last-modified": value}).validators.modified == kept


@pytest.mark.parametrize(
    ("known", "conditional", "headers"),
    [
        (None, True, {}),
        (Validators(), True, {}),
        (Validators(etag='"a"', modified="then"), True, {"If-None-Match": '"a"'}),
        (Validators(modified="then"), True, {"If-Modified-Since": "then"}),
        (Validators(etag='"a"'), False, {}),
    ],
)
def test_the_strongest_validator_is_sent_back(
    known: Validators | None, conditional: bool, headers: dict[str, str]
) -> None:
    fetcher = Answering(304)
    line = Line(fetcher, ISSUER, conditional=conditional)  # type: ignore[arg-type]
    asyncio.run(line.get("jwks.json", max_bytes=1, known=known))
    assert fetcher.asked == [(f"{ISSUER}/.well-known/jwks.json", headers)]


def test_a_host_that_takes_its_time_does_not_get_all_of_it() -> None:
    """A hundred keys, and each document as late as one may be."""
    answering, passed = Answering(200, {}, b"{}"), [0.0]
    line = Line(answering, ISSUER, conditional=True, timer=lambda: passed[0])  # type: ignore[arg-type]
    with pytest.raises(SafeconductError) as error:
        for number in range(100):
            asyncio.run(line.get(f"crl/{number}.json", max_bytes=100))
            passed[0] += 120
    assert error.value.code == "fetch_timeout"
    assert 15 <= len(answering.asked) <= 1 + limits.SYNC_SECONDS / 120
