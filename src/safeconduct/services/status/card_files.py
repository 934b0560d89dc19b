"""The files by which the revocation of cards of one key is published, made from the issuer's database.

All of them can be made anew at any time, and come out the same, but for the head: its signature and times.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import msgspec

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.status.card_revocation import changes, deltas, heads, log
from safeconduct.status.card_revocation.changes import Change
from safeconduct.status.card_revocation.files import digest
from safeconduct.status.card_revocation.heads import Head, LogEnd
from safeconduct.storage.status.card_lists import History


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What the signed heads of an issuer's lists say and are signed with. lifetime: seconds."""

    issuer: str
    signer: Signer
    lifetime: int
    now: int


def head_name(kid: str) -> str:
    """Returns the name of the signed head of a list."""
    return f"crl/{kid}.jws"


def is_up_to_date(
    read: Callable[[str], bytes | None], *, kid: str, ctr: int, digests: Mapping[int, str], heading: Heading
) -> bool:
    """Whether a tree has the list of that counter, under a head that still holds for half of its time.

    The head is written last, so that whatever it names was there before. read: gives a file of the tree.
    digests: of the lists that the database has made, by counter.

    Raises Rejected "status_tree_newer" if the tree has a later list, or another one of the same counter:
    readers refuse what goes back, and what is revoked there alone would come back with the next list.
    """
    head = _standing_head(read(head_name(kid)), kid, heading)
    if head is not None and (head.ctr > ctr or digests.get(head.ctr, head.digest) != head.digest):
        raise Rejected(
            "status_tree_newer", "The tree has later lists than the database, which may be an old copy."
        )
    if head is None or head.ctr < ctr or not _is_fresh(head, heading):
        return False
    listed = read(f"crl/{kid}.json")
    if listed is None or digest(listed) != head.digest:
        return False
    return head.log is None or _log_end(read(f"crl/{kid}.log")) == head.log


def card_files(
    history: History, *, heading: Heading, exists: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of files in the order in which they are to be written.

    exists: whether the tree has a file; deltas that it has are left alone.
    """
    newest = history.newest
    for end in sorted(history.digests):
        for start in deltas.starts(end):
            name = deltas.file_name(newest.kid, start, end)
            if start in history.digests and not exists(name):
                yield name, _delta(history, start, end)
    logged = _log(history)
    if logged is not None:
        yield f"crl/{newest.kid}.log", logged
    listed = newest.encode()
    yield f"crl/{newest.kid}.json", listed
    head = Head(
        iss=heading.issuer,
        kid=newest.kid,
        method=newest.method,
        ctr=newest.ctr,
        iat=heading.now,
        exp=heading.now + heading.lifetime,
        count=len(newest.entries),
        digest=digest(listed),
        log=_log_end(logged),
    )
    yield head_name(newest.kid), heads.sign(head, signer=heading.signer).encode("ascii")


def _standing_head(data: bytes | None, kid: str, heading: Heading) -> Head | None:
    """The head in the tree if it is of this list and this status key has signed it, also an expired one."""
    try:
        text = (data or b"").decode("ascii")
        then = heads.read_unverified(text).iat
        return heads.verify(text, keys=(heading.signer.public,), issuer=heading.issuer, kid=kid, now=then)
    except (SafeconductError, UnicodeError):
        return None


def _is_fresh(head: Head, heading: Heading) -> bool:
    return head.iat <= heading.now and 2 * (head.exp - heading.now) >= heading.lifetime


def _delta(history: History, start: int, end: int) -> bytes:
    made = chain.from_iterable(history.changes.get(ctr, ()) for ctr in range(start + 1, end + 1))
    newest, digested = history.newest, history.digests[end]
    return changes.delta(
        made, kid=newest.kid, method=newest.method, start=start, end=end, digest=digested
    ).encode()


def _log(history: History) -> bytes | None:
    """All changes ever made, None if they are more than readers take."""
    if sum(map(len, history.changes.values())) > limits.LOG_RECORDS:
        return None
    made: Iterator[Change] = chain.from_iterable(history.changes[ctr] for ctr in sorted(history.changes))
    return log.header(history.newest.kid) + log.records(made)


def _log_end(data: bytes | None) -> LogEnd | None:
    return None if data is None else LogEnd(length=len(data), digest=digest(data))
