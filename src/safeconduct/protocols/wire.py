"""From JSON to frozen structs and back: typed, unknown members ignored, no received value in an error."""

import re
from typing import Any, TypeVar

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed

T = TypeVar("T")

_PLACE = re.compile(r"at `(\$[^`]*)`\Z")
_MISSING = re.compile(r"missing required field `([A-Za-z0-9_.:-]+)`")


def read(value: Any, type_: type[T], *, what: str) -> T:
    """Returns decoded JSON as `type_`; members that the type does not know are ignored.

    what: names the message in the error, such as "Credential offer".

    Raises Malformed "message_malformed" (a member is missing or of the wrong type or length).
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise Malformed("message_malformed", _reason(str(error), what)) from error


def read_json(data: bytes | str, type_: type[T], *, what: str, max_bytes: int = limits.JSON_BYTES) -> T:
    """As `read`, from the bytes of a JSON object; raises the errors of `encoding.json` as well."""
    return read(json.loads_object(data, max_bytes=max_bytes), type_, what=what)


def plain(message: msgspec.Struct) -> dict[str, Any]:
    """Returns a struct as JSON values (arrays as tuples) by wire names, without members at their default."""
    members: dict[str, Any] = msgspec.to_builtins(message)
    return members


def encode(members: dict[str, Any]) -> bytes:
    """Returns JSON members as the bytes of a message."""
    return json.dumps(members)


def media_type(content_type: str | None) -> str:
    """Returns the media type that a Content-Type header names, lower case and without parameters."""
    return (content_type or "").partition(";")[0].strip(" \t").lower()


def _reason(text: str, what: str) -> str:
    # msgspec names the place by our own field names and by indices, never by received keys.
    place = _PLACE.search(text)
    where = f" at {place[1]}" if place else ""
    missing = _MISSING.search(text)
    if missing:
        return f"{what} lacks the member {missing[1]}{where}."
    return f"{what} holds a value of the wrong type or length{where}."
