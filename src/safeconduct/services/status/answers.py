"""A file as an answer: all of it or a part, in pieces, from the one file that was opened for it."""

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from safeconduct.services.status.files import OpenFile
from safeconduct.services.status.representations import CHUNK_BYTES
from safeconduct.services.status.requests import Span


class FileAnswer(Response):
    """Sends bytes of an open file, and closes it whatever happens.

    Starlette's own opens the path only after it has announced length and tag, when another file may have been
    renamed to its place; and its tag is made of the time of the last change.
    """

    def __init__(
        self, file: OpenFile, span: Span | None, *, media_type: str, headers: Mapping[str, str]
    ) -> None:
        """span: None for the whole file."""
        self._file = file
        self._span = span or Span(0, file.size)
        partial = {} if span is None else {"Content-Range": f"bytes {span.start}-{span.end - 1}/{file.size}"}
        length = {"Content-Length": str(self._span.end - self._span.start)}
        super().__init__(
            status_code=200 if span is None else 206,
            headers={**headers, **partial, **length, "Content-Type": media_type},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Serve the request that was made."""
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            place, end = self._span.start, self._span.end
            while scope["method"] != "HEAD" and place < end:
                chunk = await asyncio.to_thread(self._file.read, place, min(CHUNK_BYTES, end - place))
                if not chunk:
                    raise EOFError("A file that is served has been cut short.")
                place += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._file.close()
