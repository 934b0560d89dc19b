"""Answers that endpoints give when all went well. The safe headers are added around them."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from safeconduct.encoding import json as encoding_json


def json(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, compact and in UTF-8."""
    return body(encoding_json.dumps(value), media_type="application/json", status=status, headers=headers)


def body(
    content: bytes, *, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with these bytes."""
    if headers is None:
        return _Plain(content, media_type=media_type, status=status)
    return Response(content, status_code=status, headers={"Content-Type": media_type, **(headers or {})})


class _Plain(Response):
    """An answer without fields of its own, put together sooner than Starlette's."""

    def __init__(self, content: bytes, *, media_type: str, status: int) -> None:
        self.status_code = status
        self.body = content
        self.background = None
        self.raw_headers = [
            (b"content-type", media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(content)),
        ]


def empty(*, status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)
