"""The list of revoked cards of one key (`crl/<kid>.json`), read strictly and written in one way only.

The framework leaves the order of members and entries open, and some issuers change it with every download.
What is written here is canonical, so that equal lists are equal bytes and have one digest.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, SafeconductError, Unsupported
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.methods import METHODS, RID
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.states import GOOD, REVOKED, Status


class RevocationList(msgspec.Struct, frozen=True, kw_only=True):
    """The revoked cards of one key.

    kid: the key's thumbprint. method: how cards are named. ctr: goes up with each update, from 1.
    entries: which cards of each identifier are revoked; empty for a method that is not known, whatever the
    list holds. An identifier is a rid, or what the method makes in its place.
    """

    kid: str
    ctr: int
    entries: Mapping[str, Reach]
    method: str = RID

    @classmethod
    def parse(cls, data: bytes, *, kid: str | None = None) -> Self:
        """Reads a list as any issuer publishes it. kid: the key that it must be of.

        Raises Malformed: "crl_too_large" (bytes, entries or brackets), "crl_malformed", "crl_kid" (of another
        key), "crl_entry_malformed", "crl_duplicate".
        """
        _measure(data)
        members = _members(data)
        raw, names = _head(members, kid), members.get("rids")
        if not isinstance(names, list):
            raise _malformed("The list has no array of entries.")
        if raw["method"] not in METHODS:
            return cls(**raw, entries={})
        if not all(map(_is_text, names)):
            raise _malformed("An entry of the list is not text.")
        return cls(**raw, entries=rids.read_entries(names))

    @property
    def understood(self) -> bool:
        """Whether its method is known."""
        return self.method in METHODS

    def encode(self) -> bytes:
        """Returns the canonical file: members in fixed order, entries sorted bytewise, no spaces.

        Raises Unsupported "status_method_unknown".
        """
        if not self.understood:
            raise Unsupported(
                "status_method_unknown", "The list names cards in a way that is not known here."
            )
        names = sorted([name if reach is None else f"{name}.{reach}" for name, reach in self.entries.items()])
        return json.dumps({"kid": self.kid, "method": self.method, "ctr": self.ctr, "rids": names})

    def digest(self) -> str:
        """Returns the digest of the canonical file."""
        return digest(self.encode())

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Returns what the list says of a card: revoked or good.

        identifier: what the card is called under the list's method, None if it has no name there.
        nbf: when it was made, in seconds, also with a fraction.
        """
        if identifier is None or identifier not in self.entries:
            return GOOD
        return REVOKED if rids.covers(self.entries[identifier], nbf) else GOOD

    def __repr__(self) -> str:
        return f"<RevocationList {len(self.entries)} entries>"


def digest(data: bytes) -> str:
    """Returns the digest of a published file, with the name of the hash before it."""
    return f"sha-256:{b64.encode(hashlib.sha256(data).digest())}"


def is_kid(value: object) -> bool:
    """Whether a value can be a key's thumbprint (RFC 7638, SHA-256), and so part of a file's name."""
    return isinstance(value, str) and _KID.fullmatch(value) is not None


def named_kid(data: bytes) -> str | None:
    """Returns the kid that a list names, which need not be well formed otherwise; None if it names none."""
    try:
        _measure(data)
        kid = _members(data).get("kid")
    except SafeconductError:
        return None
    return kid if is_kid(kid) else None


_KID: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_BRACKETS: Final = 64  # a list has two; more are in members that mean nothing here
_METHOD_CHARS: Final = 256


def _measure(data: bytes) -> None:
    """Counts before anything is made of the bytes: three of them could become an object of fifty."""
    if len(data) > limits.CRL_BYTES or data.count(b",") > limits.CRL_ENTRIES:
        raise Malformed("crl_too_large", "The list is longer than allowed here.")
    if data.count(b"[") + data.count(b"{") > _BRACKETS:
        raise Malformed("crl_too_large", "The list holds more objects and arrays than allowed here.")


def _members(data: bytes) -> dict[str, Any]:
    try:
        return json.loads_object(data, max_bytes=limits.CRL_BYTES)
    except SafeconductError as error:
        raise _malformed("The list is not a JSON object with one meaning.") from error


def _head(members: dict[str, Any], expected: str | None) -> dict[str, Any]:
    kid, method, ctr = members.get("kid"), members.get("method"), members.get("ctr")
    if not is_kid(kid):
        raise _malformed("The list does not name its key by a thumbprint.")
    if expected is not None and kid != expected:
        raise Malformed("crl_kid", "The list is of another key.")
    if not isinstance(method, str) or not 0 < len(method) <= _METHOD_CHARS:
        raise _malformed("The list does not name its method.")
    if type(ctr) is not int or ctr < 1:
        raise _malformed("The list's counter is not a positive integer.")
    return {"kid": kid, "method": method, "ctr": ctr}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _malformed(reason: str) -> Malformed:
    return Malformed("crl_malformed", reason, rule='SMART Health Cards 1.4.0, "Revocation"')
