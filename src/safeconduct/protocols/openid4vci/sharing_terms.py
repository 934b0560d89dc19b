"""What issuer metadata say of sharing: where, and on which terms a kind of credential is shared.

Members `sharing` of the metadata and of a configuration. They are no part of OpenID4VCI, whose wallets ignore
members that they do not know (§12.2.4).
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.protocols import wire

T = TypeVar("T")

ShareMode = Literal["share", "move"]
"""Whether the sender keeps its credential, or the receiver's takes its place."""

ShareLevel = Literal["link", "pin", "key", "approve"]
"""How a share is bound to its receiver.

link: whoever has the offer. pin: and the transaction code. key: and a key that is known when the share is
made. approve: and a key that the sender names later.
"""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=limits.LIST_ITEMS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]


class SharingEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where shares are made: challenges, shares, and access to the list of one's own."""

    challenge_endpoint: _Url
    shares_endpoint: _Url
    access_endpoint: _Url


class SharingTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How credentials of a kind are shared; modes and levels that are not known here are tolerated.

    rights: the claim, an array of strings, of which a share may give a part. claims: names of those that go
    into the new credential; None: all that are disclosed.
    """

    modes: _Texts
    levels: _Texts
    rights: _Text | None = None
    claims: _Texts | None = None


def read_endpoints(value: Any) -> SharingEndpoints | None:
    """Reads the member of the metadata; None for what may be somebody else's member of that name."""
    return _read(value, SharingEndpoints)


def read_terms(value: Any) -> SharingTerms | None:
    """Reads the member of a configuration; None for what may be somebody else's member of that name."""
    return _read(value, SharingTerms)


def _read(value: Any, type_: type[T]) -> T | None:
    try:
        return wire.read(value, type_, what="sharing")
    except Malformed:
        return None
