"""The list of revoked cards of one key (`crl/<kid>.json`), read strictly and written in one way only.

The framework leaves the order of members and entries open, and some issuers change it with every download.
What is written here is canonical, so that equal lists are equal bytes and have one digest.
"""

from collections.abc import Mapping
from typing import Self

import msgspec

from safeconduct.encoding import json
from safeconduct.errors import SafeconductError, Unsupported
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.files import (
    digest,
    is_kid,
    malformed,
    read_kid,
    read_members,
    read_method,
    read_names,
    read_version,
)
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
        members = read_members(data)
        named, method = read_kid(members, kid), read_method(members)
        ctr = read_version(members)
        if method in METHODS:
            entries = rids.read_entries(read_names(members, "rids"))
        elif isinstance(members.get("rids"), list):
            entries = {}
        else:
            raise malformed("The list has no array of entries.")
        return cls(kid=named, ctr=ctr, entries=entries, method=method)

    @property
    def understood(self) -> bool:
        """Whether its method is known."""
        return self.method in METHODS

    def encode(self) -> bytes:
        """Returns the canonical file: members in fixed order, entries sorted bytewise, no spaces.

        Raises Unsupported "status_method_unknown".
        """
        if not self.understood:
            raise Unsupported("status_method_unknown", "The list's method is not one that is known here.")
        names = rids.write_entries(self.entries)
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


def named_kid(data: bytes) -> str | None:
    """Returns the kid that a list names, which need not be well formed otherwise; None if it names none."""
    try:
        kid = read_members(data).get("kid")
    except SafeconductError:
        return None
    return kid if is_kid(kid) else None
