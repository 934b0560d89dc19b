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
    return Response(content, status_code=status, headers={"Content-Type": media_type, **(headers or {})})


def empty(*, status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)
