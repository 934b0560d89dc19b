"""On which terms a kind of credential is shared: `[configurations.sharing]`, and what of claims it lets pass.

[configurations.sharing]                # without it, credentials of the kind are not shared
modes = ["share", "move"]               # without it, "share"; "move" gives the receiver the sender's place
levels = ["link", "pin", "key", "approve"]   # how a receiver may be bound; without it, any of these
rights = "access_rights"                # a claim, an array of texts, of which a share may give a part
claims = ["vehicle", "access_rights"]   # what goes into the new credential; without it, all that is disclosed
max_receivers = 5                       # shares of one credential that are open or in use
max_depth = 1                           # how often in a row; with 1, what was received is not shared on
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import msgspec

from safeconduct.protocols.openid4vci.configuration import ClaimDescription, ClaimPath
from safeconduct.protocols.openid4vci.sharing_terms import ShareLevel, ShareMode, SharingTerms
from safeconduct.services.issuer.claim_paths import is_there

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SharingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table of the configuration; the module says what its members are."""

    modes: Annotated[tuple[ShareMode, ...], msgspec.Meta(min_length=1)] = ("share",)
    levels: Annotated[tuple[ShareLevel, ...], msgspec.Meta(min_length=1)] = ("link", "pin", "key", "approve")
    rights: _Name | None = None
    claims: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1)] | None = None
    max_receivers: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    max_depth: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1

    def terms(self) -> SharingTerms:
        """Returns what wallets are told."""
        return SharingTerms(modes=self.modes, levels=self.levels, rights=self.rights, claims=self.claims)

    def check(self, described: Collection[ClaimPath], *, status: bool, status_list_bits: int) -> None:
        """Checks the rules against the kind of credential that they are for.

        described: paths of its claims. status: whether it has a place in a status list. Raises ValueError.
        """
        names = {path[0] for path in described}
        if not status:
            raise ValueError("sharing needs status = true, or nothing could be revoked")
        if "move" in self.modes and status_list_bits < _BITS_TO_SUSPEND:
            raise ValueError("the mode move needs the setting status_list_bits = 2: it suspends")
        if any(len(set(one)) < len(one) for one in (self.modes, self.levels, self.claims or ())):
            raise ValueError("sharing names something twice")
        if not set(self.claims or ()) <= names:
            raise ValueError("sharing.claims names a claim that is not described")
        if self.rights is not None and not {(self.rights,), (self.rights, None)} & set(described):
            raise ValueError("sharing.rights names no claim that is described as a whole or an array")
        if self.rights is not None and self.claims is not None and self.rights not in self.claims:
            raise ValueError("sharing.rights is not among sharing.claims")

    def passes(self, claims: Mapping[str, Any], described: Collection[ClaimDescription]) -> dict[str, Any]:
        """Returns those of the claims that go into a new credential.

        What only holds claims that were withheld is left out as well.
        """
        names = {claim.path[0] for claim in described} if self.claims is None else set(self.claims)
        holders = {claim.path[:length] for claim in described for length in range(1, len(claim.path))}
        cut = {name: _emptied(value, (name,), holders) for name, value in claims.items() if name in names}
        return {name: value for name, value in cut.items() if not _is_bare(value, (name,), holders)}

    def lacks(self, claims: Mapping[str, Any], described: Collection[ClaimDescription]) -> bool:
        """Returns whether a claim is missing that is mandatory, and is one of those that are passed on."""
        return any(
            claim.mandatory
            and (self.claims is None or claim.path[0] in self.claims)
            and not is_there(claims, claim.path)
            for claim in described
        )

    def rights_in(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Returns the rights that the claims name; None if the kind has no such claim."""
        if self.rights is None:
            return None
        found = claims.get(self.rights)
        return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()

    def narrowed(self, claims: Mapping[str, Any], rights: Collection[str] | None) -> dict[str, Any]:
        """Returns the claims with no other rights than these; None: without any, if the kind knows rights."""
        if self.rights is None:
            return dict(claims)
        kept = [right for right in self.rights_in(claims) or () if right in (rights or ())]
        others = {name: value for name, value in claims.items() if name != self.rights}
        return {**others, self.rights: kept} if kept else others


_BITS_TO_SUSPEND = 2


def _emptied(value: Any, path: ClaimPath, holders: Collection[ClaimPath]) -> Any:
    """The value without what has nothing left in it."""
    if isinstance(value, Mapping):
        inner = {name: _emptied(item, (*path, name), holders) for name, item in value.items()}
        return {name: item for name, item in inner.items() if not _is_bare(item, (*path, name), holders)}
    if isinstance(value, list):
        items = [_emptied(item, (*path, None), holders) for item in value]
        return [item for item in items if not _is_bare(item, (*path, None), holders)]
    return value


def _is_bare(value: Any, path: ClaimPath, holders: Collection[ClaimPath]) -> bool:
    return path in holders and isinstance(value, Mapping | list) and not value
