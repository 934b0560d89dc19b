"""What looking into a token gives, in every format: a tree of lines for people, nothing in it to obey."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

_TEXT_CHARACTERS = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

State = Literal["", "clear", "disclosed", "redacted", "decoy", "encrypted", "unreferenced"]


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the tree.

    name: of the part, header parameter or claim. text: its value. note: what the value means. state: whether
    a claim was disclosed. size: bytes, of parts that are byte strings. path: the claim path of what can be
    withheld.
    """

    name: str
    text: str = ""
    note: str = ""
    state: State = ""
    size: int | None = None
    path: str = ""
    children: tuple["Node", ...] = ()


class Inspection(msgspec.Struct, frozen=True):
    """What `inspect` returns.

    kind: of the token, such as "presentation" or "issued SD-CWT". profile: the wire profile that the
    structure suggests, "" if none. size: bytes. counts: of claims by state. verified: never.
    """

    kind: str
    profile: str
    size: int
    parts: tuple[Node, ...]
    counts: Mapping[str, int] = {}
    verified: Literal[False] = False


def date(value: Any) -> str:
    """Write seconds since 1970 as a date; nothing for what is none."""
    if type(value) not in (int, float):
        return ""
    try:
        moment = _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        return ""
    return moment.isoformat().replace("+00:00", "Z")


def escaped(text: str) -> str:
    """Escape all that a terminal would obey instead of showing, and cut what is long."""
    cut = text[:_TEXT_CHARACTERS]
    shown = "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in cut)
    return shown if len(text) <= _TEXT_CHARACTERS else f"{shown}… ({len(text)} characters)"
