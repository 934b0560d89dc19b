"""The files by which the status of credentials is published: Token Status Lists, made from the database.

Each list is there as JWT, which SD-JWTs name, and as CWT, which SD-CWTs name: a static host cannot choose
between the two. They are signed by the key that signs the credentials; their type keeps them apart.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.settings import SettingsError
from safeconduct.status import token_list
from safeconduct.status.token_list import INVALID, Owner, StatusList, VerifiedListToken, aggregation
from safeconduct.storage.status.places import ListRow
from safeconduct.trust import Trust

FOLDER = "status-lists"
"""Where the lists stand in a tree."""

_FORMS = ("jwt", "cwt")
_AGGREGATION = "aggregation.json"


class ListHeading(msgspec.Struct, frozen=True, kw_only=True):
    """What status lists say besides their statuses, and are signed with.

    issuer: the Credential Issuer Identifier. folder_url: what the list's names are appended to. bits: of a
    status. x5c: certificates of the signer's key. lifetime, ttl: seconds.
    """

    issuer: str
    folder_url: str
    bits: token_list.Bits
    signer: Signer
    x5c: Sequence[str]
    lifetime: int
    ttl: int
    now: int


def list_files(
    rows: Sequence[ListRow], *, heading: ListHeading, read: Callable[[str], bytes | None]
) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of files in the order in which they are to be written.

    read: gives a file of the tree. A list that says the same as the one there, and has more than half of its
    lifetime left, is left alone byte for byte. Raises SettingsError: a status has no room in
    `status_list_bits`; Rejected "status_tree_newer": a list in the tree revokes what the database does not.
    """
    for row in rows:
        statuses = _statuses(row, heading)
        for form in _FORMS:
            name = f"{FOLDER}/{row.list_id}.{form}"
            standing = _standing(read(name), _url(heading, row, form), heading)
            if standing is None or not _still_holds(standing, statuses, heading):
                yield name, _signed(statuses, _url(heading, row, form), form, heading)
    # Last: what it names is there.
    yield (
        f"{FOLDER}/{_AGGREGATION}",
        aggregation.write(_url(heading, row, form) for row in rows for form in _FORMS),
    )


def _url(heading: ListHeading, row: ListRow, form: str) -> str:
    return f"{heading.folder_url}/{row.list_id}.{form}"


def _statuses(row: ListRow, heading: ListHeading) -> StatusList:
    if any(value >> heading.bits for value in row.set.values()):
        raise SettingsError(("issuer.status_list_bits: expected 2, because credentials are suspended",))
    return StatusList.of(
        row.set, size=row.size, bits=heading.bits, aggregation_uri=f"{heading.folder_url}/{_AGGREGATION}"
    )


def _standing(data: bytes | None, url: str, heading: ListHeading) -> VerifiedListToken | None:
    """The list in the tree, None if it is none of ours under the key of today."""
    try:
        return token_list.verify(
            token_list.parse(data or b""),
            uri=url,
            owner=Owner(heading.issuer),
            trust=Trust.key(heading.signer.public),
            now=heading.now,
        )
    except SafeconductError:
        return None


def _still_holds(standing: VerifiedListToken, statuses: StatusList, heading: ListHeading) -> bool:
    if standing.statuses != statuses:
        _check_not_newer(standing.statuses, statuses)
        return False
    left = 0 if standing.expires is None else standing.expires - heading.now
    return (
        standing.ttl == heading.ttl
        and standing.issued_at <= heading.now
        and heading.lifetime < 2 * left <= 2 * heading.lifetime
    )


def _check_not_newer(standing: StatusList, statuses: StatusList) -> None:
    """What was revoked stays so; else the database is an old copy, and would bring credentials back."""
    entries = statuses.entries()
    if any(value == INVALID != entries.get(index) for index, value in standing.entries().items()):
        raise Rejected(
            "status_tree_newer", "The tree has later lists than the database, which may be an old copy."
        )


def _signed(statuses: StatusList, url: str, form: str, heading: ListHeading) -> bytes:
    signer, kid = heading.signer, heading.signer.kid
    expires = heading.now + heading.lifetime
    if form == "cwt":
        raw = kid.encode() if isinstance(kid, str) else kid
        return token_list.issue_cwt(
            statuses, uri=url, signer=signer, now=heading.now, expires=expires, ttl=heading.ttl, kid=raw
        )
    # As in the credentials: a certificate says whose key it is, else its name does.
    named = kid if isinstance(kid, str) and not heading.x5c else None
    return token_list.issue_jwt(
        statuses,
        uri=url,
        signer=signer,
        now=heading.now,
        expires=expires,
        ttl=heading.ttl,
        kid=named,
        x5c=heading.x5c,
    ).encode("ascii")
