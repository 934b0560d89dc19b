"""Targets: what a verifier's copy of lists reads beside the lists themselves."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fuzz import seeds
from fuzz.choices import Choices
from fuzz.judgement import Target
from safeconduct.evidence.card_line import Line
from safeconduct.evidence.card_records import IssuerRecord, KeyRecord, decode, encode
from safeconduct.evidence.directories import read_issuers
from safeconduct.net.fetch import Response

_STATUSES = (200, 206, 304, 404, 416)
_DIRECTORY = b'{"participating_issuers":[{"iss":"https://i.example","name":"I"}]}'
_RECORD = encode(KeyRecord(kid="A" * 43, seen=3))


class _Host:
    def __init__(self, response: Response) -> None:
        self._response = response

    async def request(self, *_arguments: Any, **_options: Any) -> Response:
        return self._response


def _response(data: bytes) -> Response:
    choices = Choices(data)
    status = _STATUSES[choices.number(len(_STATUSES))]
    body = choices.take(choices.number(12))
    named: Mapping[str, str] = {"etag": choices.rest().decode("latin-1")}
    return Response(status, {**named, "content-range": named["etag"], "content-length": named["etag"]}, body)


def _answer(response: Response) -> None:
    """Whatever comes as a range has its length, and validators can be sent back."""
    line = Line(_Host(response), "https://i.example", conditional=True)  # type: ignore[arg-type]
    asyncio.run(_all(line))


async def _all(line: Line) -> None:
    document = await line.get("jwks.json", max_bytes=100)
    assert "\n" not in document.validators.etag
    await line.ask("crl/a.json")
    body, whole = await line.get_from("crl/a.log", 3, 9, max_bytes=100)
    assert whole or len(body) == 6


def _records(data: bytes) -> None:
    """What is read of a damaged store is a record, or nothing."""
    for kind in (IssuerRecord, KeyRecord):
        record = decode(data, kind)
        if record is not None:
            assert decode(encode(record), kind) == record


def _directories() -> list[bytes]:
    return [_DIRECTORY, *seeds.files("status/vci-directory/vci-issuers.json", largest=4096)]


TARGETS = (
    Target(
        name="status.sync.answer",
        read=_answer,
        prepare=_response,
        seeds=lambda: [b"\x00\x00bytes 3-8/9", b"\x01\x06012345bytes 3-8/9"],
    ),
    Target(name="status.sync.records", read=_records, seeds=lambda: [_RECORD]),
    Target(
        name="status.sync.directory",
        read=read_issuers,
        seeds=_directories,
        large=lambda: [b'{"participating_issuers":[' + b'{"iss":"a"},' * 20_000 + b'{"iss":"a"}]}'],
    ),
)
