"""Asking the host of an issuer's lists: documents if they changed, and the rest of a growing file."""

import re
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.evidence.card_records import Validators
from safeconduct.net.fetch import Fetcher, Response, TooSlow


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request. body: of a document that is new, empty for one that is the same or absent."""

    state: Literal["new", "same", "absent"]
    body: bytes = b""
    validators: Validators = Validators()


class Line:
    """Requests below `<issuer>/.well-known/`. They name lists, and nothing that is looked up in them."""

    def __init__(
        self,
        fetcher: Fetcher,
        issuer: str,
        *,
        conditional: bool,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """conditional: whether to send back what a host gave to recognise a document by.

        timer: seconds of a clock that does not jump.
        """
        self._fetcher = fetcher
        self._base = f"{issuer}/.well-known/"
        self.conditional = conditional
        self.received = 0
        self._timer = timer
        self._began = timer()

    async def get(self, path: str, *, max_bytes: int, known: Validators | None = None) -> Document:
        """Fetch a document. known: by which the host would recognise it, if what it gave is still there.

        Raises Rejected "fetch_status" for any answer but the document, "not changed" or "not there", and as
        `Fetcher.request`.
        """
        headers = _asking_for_changes(known) if known is not None and self.conditional else {}
        response = await self._request(path, headers, max_bytes)
        if response.status == _OK:
            return Document(state="new", body=response.body, validators=_validators(response))
        if response.status == _NOT_MODIFIED:
            return Document(state="same")
        if response.status in _ABSENT:
            return Document(state="absent")
        raise _unexpected()

    async def ask(self, path: str) -> tuple[int, Validators] | None:
        """Return how long a document is and by what the host recognises it; None if it does not say both.

        Raises as `Fetcher.request`.
        """
        response = await self._request(path, {}, limits.CRL_BYTES, method="HEAD")
        length, validators = response.headers.get("content-length", ""), _validators(response)
        if response.status != _OK or _LENGTH.fullmatch(length) is None or validators == Validators():
            return None
        return int(length), validators

    async def get_from(self, path: str, start: int, end: int, *, max_bytes: int) -> tuple[bytes, bool]:
        """Fetch the bytes of a file from `start` up to `end`; True beside them if they are the whole file.

        A host that does not know ranges gives all of it, which is taken. max_bytes: of a whole file.

        Raises Rejected "range_mismatch" for other bytes than asked for, "fetch_status", and as
        `Fetcher.request`.
        """
        response = await self._request(path, {"Range": f"bytes={start}-{end - 1}"}, max_bytes)
        if response.status == _OK:
            return response.body, True
        if response.status == _PARTIAL:
            if not _is_range(response, start, end):
                raise Rejected("range_mismatch", "The host answered with another range than asked for.")
            return response.body, False
        if response.status == _NO_RANGE:
            raise Rejected("range_mismatch", "The host's file is shorter than announced.")
        raise _unexpected()

    async def _request(
        self, path: str, headers: dict[str, str], max_bytes: int, *, method: str = "GET"
    ) -> Response:
        if self.received > limits.SYNC_BYTES:
            raise Rejected("sync_too_large", "The issuer's lists together are larger than accepted.")
        if self._timer() - self._began > limits.SYNC_SECONDS:
            raise TooSlow("fetch_timeout", "The issuer's lists together take longer than accepted.")
        response = await self._fetcher.request(
            method, self._base + path, headers=headers, max_bytes=max_bytes
        )
        self.received += len(response.body)
        return response


_OK: Final = 200
_PARTIAL: Final = 206
_NOT_MODIFIED: Final = 304
_ABSENT: Final = frozenset((404, 410))
_NO_RANGE: Final = 416
_LENGTH: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/(?:[0-9]{1,15}|\*)", re.ASCII)


def _asking_for_changes(known: Validators) -> dict[str, str]:
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _validators(response: Response) -> Validators:
    headers = response.headers
    return Validators(etag=_short(headers.get("etag", "")), modified=_short(headers.get("last-modified", "")))


def _short(value: str) -> str:
    return value if len(value) <= limits.VALIDATOR_CHARS and value.isprintable() and value.isascii() else ""


def _is_range(response: Response, start: int, end: int) -> bool:
    """Whether an answer is all of the range that was asked for (RFC 9110 §14.4, §15.3.7)."""
    told = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if told is None:
        return False
    first, last = int(told[1]), int(told[2])
    return (first, last) == (start, end - 1) and len(response.body) == end - start


def _unexpected() -> Rejected:
    return Rejected("fetch_status", "The server answered with another status than 200.")
