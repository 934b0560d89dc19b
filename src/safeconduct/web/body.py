"""What endpoints read from a request: one body of an expected type and size, headers that occur once."""

from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed
from safeconduct.net.fetch import media_type
from safeconduct.web.problems import BodyTooLarge, MediaTypeUnsupported

FORM_PARAMETERS = 64
"""Parameters that a form may have; OAuth's largest requests have some twenty."""


async def read_body(request: Request, *, max_bytes: int, content_types: Collection[str] = ()) -> bytes:
    """Read the body.

    max_bytes: longest that is read. content_types: what it may be, () for anything. Raises
    MediaTypeUnsupported "content_type_unsupported", BodyTooLarge "body_too_large".
    """
    if content_types and content_type(request) not in content_types:
        raise MediaTypeUnsupported("content_type_unsupported", "The body is of a type not accepted here.")
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise BodyTooLarge("body_too_large", "The request's body is larger than accepted.")
        more = message.get("more_body", False)
    return b"".join(parts)


async def read_json(request: Request, *, max_bytes: int = limits.JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object, strictly. Raises as `read_body` and `encoding.json.loads_object`."""
    body = await read_body(request, max_bytes=max_bytes, content_types={"application/json"})
    return json.loads_object(body, max_bytes=max_bytes)


async def read_form(request: Request, *, max_bytes: int = limits.HTTP_BODY_BYTES) -> dict[str, str]:
    """Read a form (application/x-www-form-urlencoded) as OAuth defines it.

    A parameter without a value counts as left out, and none may be repeated (RFC 6749 §3.2). Raises as
    `read_body`, and Malformed "form_malformed", "form_parameter_repeated".
    """
    body = await read_body(request, max_bytes=max_bytes, content_types={"application/x-www-form-urlencoded"})
    try:
        pairs = _pairs(body.decode("ascii"))
    except ValueError:
        raise Malformed("form_malformed", "The body is not a form.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Malformed("form_parameter_repeated", "A parameter is repeated.", rule="RFC 6749 §3.2")
    return {name: value for name, value in form.items() if value}


def single_header(request: Request, name: str) -> str | None:
    """The value of a header field, None without one. Raises Malformed "header_repeated"."""
    wanted = name.lower().encode("latin-1")
    values = [value for field, value in request.scope["headers"] if field == wanted]
    if len(values) > 1:
        raise Malformed("header_repeated", "A header field is repeated that may occur once.")
    return values[0].decode("latin-1") if values else None


def content_type(request: Request) -> str:
    """The body's media type in lower case, without parameters; "" without one."""
    return media_type(single_header(request, "Content-Type") or "")


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    return parse_qsl(
        text,
        keep_blank_values=True,
        strict_parsing=True,
        errors="strict",
        max_num_fields=FORM_PARAMETERS,
    )
