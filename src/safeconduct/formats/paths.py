"""Claim paths as people write them: `address.region`, `nationalities[0]`, `500`, `["odd.name"]`.

The same text means the same in Python, on the command line and in configuration. A format turns the parsed
segments into its own keys: only it knows whether `500` is an integer label or the text "500".
"""

import json
import re
from collections.abc import Iterable

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed


class Name(msgspec.Struct, frozen=True):
    """A bare segment: a name, or a decimal number that some formats read as an integer label."""

    text: str


class Text(msgspec.Struct, frozen=True):
    """A quoted segment: this exact text, never a label or a registered name."""

    text: str


class Index(msgspec.Struct, frozen=True):
    """The position of an array element, counted from 0 with everything disclosed."""

    position: int


Segment = Name | Text | Index

_BARE = re.compile(r"[^.\[\]\"\s][^.\[\]\"]*")
_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,8})\]")
_QUOTED = re.compile(r'\[("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")\]')
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,19})")


def parse(text: str) -> tuple[Segment, ...]:
    """Read a claim path. Raises Malformed: claim_path."""
    segments: list[Segment] = []
    offset = 0
    if len(text) > limits.CLAIM_PATH_CHARS:
        raise Malformed("claim_path", f"A claim path is longer than {limits.CLAIM_PATH_CHARS} characters.")
    while offset < len(text):
        segment, offset = _segment(text, offset, first=not segments)
        segments.append(segment)
    if not segments:
        raise Malformed("claim_path", "A claim path is empty.")
    return tuple(segments)


def _segment(text: str, offset: int, *, first: bool) -> tuple[Segment, int]:
    if text[offset] == "[":
        if found := _INDEX.match(text, offset):
            return Index(int(found[1])), found.end()
        if found := _QUOTED.match(text, offset):
            return Text(json.loads(found[1])), found.end()
    else:
        if not first:
            if text[offset] != ".":
                raise _unreadable()
            offset += 1
        if found := _BARE.match(text, offset):
            return Name(found[0]), found.end()
    raise _unreadable()


def _unreadable() -> Malformed:
    return Malformed(
        "claim_path", 'A claim path is written like address.region, nationalities[0], 500 or ["odd.name"].'
    )


def is_label(text: str) -> bool:
    """Tell whether a bare segment is a decimal number of at most 64 bits and a sign."""
    return _DECIMAL.fullmatch(text) is not None and text != "-0" and -(1 << 64) <= int(text) < 1 << 64


def write(segments: Iterable[Segment]) -> str:
    """Write segments so that `parse` reads the same ones."""
    result = ""
    for segment in segments:
        if isinstance(segment, Index):
            result += f"[{segment.position}]"
        elif isinstance(segment, Text) or not _BARE.fullmatch(segment.text):
            result += f"[{json.dumps(segment.text)}]"
        else:
            result += f".{segment.text}" if result else segment.text
    return result
