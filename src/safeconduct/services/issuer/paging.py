"""Long lists in pages: the newest first, each page beginning after the last row of the one before.

What is added meanwhile does not shift the pages, as it would if they were counted.
"""

import re
from typing import Any, Self

import msgspec
from sqlalchemy import Column, Select, and_, or_

from safeconduct.encoding import b64
from safeconduct.errors import Malformed, SafeconductError

LISTED = 100
"""Most rows in one page."""

_CURSOR = re.compile(r"([0-9]{1,15}) ([!-~]{1,128})")


class Span(msgspec.Struct, frozen=True):
    """Unix seconds: from `since` on, before `until`."""

    since: int | None = None
    until: int | None = None

    def of(self, query: Select[Any], time: Column[int]) -> Select[Any]:
        """Returns the query for rows of this span only."""
        if self.since is not None:
            query = query.where(time >= self.since)
        return query if self.until is None else query.where(time < self.until)


class Page(msgspec.Struct, frozen=True):
    """Which rows. limit: most of them; after: time and id of the last row of the page before."""

    limit: int = LISTED
    after: tuple[int, str] | None = None

    @classmethod
    def read(cls, limit: int, cursor: str | None) -> Self:
        """Returns the page that a cursor leads to, or the first. Raises Malformed "cursor_malformed"."""
        if cursor is None:
            return cls(limit)
        try:
            match = _CURSOR.fullmatch(b64.decode(cursor).decode("ascii"))
        except (SafeconductError, UnicodeDecodeError):
            match = None
        if match is None:
            raise Malformed("cursor_malformed", "The cursor is not one that a page before gave.")
        return cls(limit, (int(match[1]), match[2]))

    def of(self, query: Select[Any], time: Column[int], identity: Column[str]) -> Select[Any]:
        """Returns the query for the rows of this page, and one more to tell whether there is a next one."""
        if self.after is not None:
            last, name = self.after
            query = query.where(or_(time < last, and_(time == last, identity > name)))
        return query.order_by(time.desc(), identity).limit(self.limit + 1)


def cursor_of(time: int, identity: str) -> str:
    """Returns the cursor that leads to what comes after this row."""
    return b64.encode(f"{time} {identity}".encode())
