"""Revocation identifiers: what a health card names so that a list can name it too.

A card's `vc.rid` has at most 24 characters of the base64url alphabet and need not be base64url of anything
(SMART Health Cards 1.4.0, "Revocation"). A list holds a rid alone, which revokes all cards that name it, or
`rid.seconds`, which revokes those made before that second.
"""

import hmac
import re
from collections.abc import Collection, Mapping
from typing import Final

from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.ids import Random

RID_CHARS: Final = 24
"""Longest rid (SMART Health Cards 1.4.0)."""

SECRET_BYTES: Final = 32
"""Shortest secret that rids may be derived from: who guesses it links every card of every subject."""

LAST_SECOND: Final = 0xFFFF_FFFE
"""The latest second that a list may name (2106): as many as a record of a log has room for."""

Reach = int | None
"""Which cards an entry revokes: those made before a second since 1970, or with None all of them."""


def derive(secret: bytes, kid: str, subject: str) -> str:
    """Returns the rid that the framework recommends for a subject: 11 characters, 64 bits.

    secret: 32 random bytes or more, raw, not as text; the framework's own example hashes the UTF-8 of its
    secret's base64url text, so whoever continues its rids gives those 43 bytes. It may serve several keys,
    and must be remembered as long as a card lives. kid: thumbprint of the key that signs the card, so that
    one subject has another rid under each key. subject: by which the issuer knows the person, in any form.

    Raises ValueError for a short secret.
    Source: SMART Health Cards 1.4.0, "Revocation"; HMAC-SHA-256 with the key `secret || kid`, cut to 64 bits.
    """
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"the secret has at least {SECRET_BYTES} bytes")
    return b64.encode(hmac.digest(secret + kid.encode(), subject.encode(), "sha256")[:_DERIVED_BYTES])


def draw(random: Random) -> str:
    """Returns a rid at random, which the issuer has to remember: 22 characters, 128 bits."""
    return b64.encode(random(_DRAWN_BYTES))


def is_rid(text: object) -> bool:
    """Whether a value can be a rid."""
    return isinstance(text, str) and _RID.fullmatch(text) is not None


def entry(rid: str, reach: Reach) -> str:
    """Returns a list's entry for a rid. Raises ValueError for what cannot stand in a list."""
    if not is_rid(rid) or (reach is not None and not 0 < reach <= LAST_SECOND):
        raise ValueError("an entry has a rid, and a time after 1970 and before 2106 if any")
    return rid if reach is None else f"{rid}.{reach}"


def read_entries(entries: Collection[str]) -> dict[str, Reach]:
    """Returns what entries of a list say, by rid.

    A time has no leading zero, so that an entry has one text; it may lie beyond what is written here.

    Raises Malformed "crl_entry_malformed" if one is not `rid` or `rid.seconds`, and "crl_duplicate" if two
    speak of one rid, which readers would understand differently.
    """
    text = "\n".join((*entries, ""))
    if text.count("\n") != len(entries) or _ENTRIES.fullmatch(text) is None:
        raise Malformed("crl_entry_malformed", "An entry of the list is no rid, or its time is none.")
    if "." not in text:
        reaches: dict[str, Reach] = dict.fromkeys(entries)
    else:
        pairs = (one.partition(".") for one in entries)
        reaches = {rid: int(time) if mark else None for rid, mark, time in pairs}
    if len(reaches) != len(entries):
        raise Malformed("crl_duplicate", "The list names an identifier twice.")
    return reaches


def write_entries(entries: Mapping[str, Reach]) -> list[str]:
    """Returns entries as a list holds them, sorted bytewise."""
    return sorted([rid if reach is None else f"{rid}.{reach}" for rid, reach in entries.items()])


def wider(one: Reach, other: Reach) -> Reach:
    """Returns the reach that covers both."""
    return None if one is None or other is None else max(one, other)


def covers(reach: Reach, nbf: float) -> bool:
    """Whether a reach takes in a card made at `nbf`, in seconds, also of a fraction; its own second not."""
    return reach is None or nbf < reach


_DERIVED_BYTES = 8
_DRAWN_BYTES = 16
_RID = re.compile(r"[A-Za-z0-9_-]{1,24}", re.ASCII)
_ENTRIES = re.compile(r"(?:[A-Za-z0-9_-]{1,24}+(?:\.(?:0|[1-9][0-9]{0,14}))?+\n)*+", re.ASCII)
