"""Publishing of ribbons, `crl/<kid>.ribbon`, beside the lists that they stand for."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import msgspec

from safeconduct.crypto.signing import Signer
from safeconduct.errors import SafeconductError
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.services.status.tree import Tree
from safeconduct.settings import IssuerSettings, Settings
from safeconduct.status.compact import ribbon_file, ribbon_seal
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.storage import Database
from safeconduct.storage.status import card_store, issued_rids
from safeconduct.storage.status.issued_rids import Issued

SETTLED = 300
"""Seconds after which the rid of a card is in the database for certain; later cards are not counted."""


class PublishedRibbons(msgspec.Struct, frozen=True):
    """What a run did. written: ribbons that are new. left_out: keys whose cards were not all made here."""

    written: int
    left_out: int


async def publish_ribbons(
    settings: Settings, database: Database, *, now: int, tree: Path | None = None
) -> PublishedRibbons:
    """Writes a ribbon for each key of cards whose list or time asks for one; run it after `publish`.

    A ribbon is left as it is while its list is the newest and half of its lifetime, that of heads, is still
    to come. Arguments and errors as of `publishing.publish`.
    """
    root = settings.status.tree if tree is None else tree
    written = left_out = 0
    for issuer in settings.issuer.issuers:
        done = await _publish(settings, issuer, database, Tree(root / issuer.name), now)
        written, left_out = written + done.written, left_out + done.left_out
    return PublishedRibbons(written, left_out)


async def _publish(
    settings: Settings, issuer: IssuerSettings, database: Database, tree: Tree, now: int
) -> PublishedRibbons:
    url = settings.card_issuer_of(issuer)
    stored = await database.run(card_store.stored_keys, url) if url else ()
    kids = [key.kid for key in stored if key.ctr and not key.removed]
    if not kids:
        return PublishedRibbons(0, 0)
    signer, left_out = SigningKeys(settings.status.key).signer, 0
    turn = ExitStack()
    await asyncio.to_thread(turn.enter_context, tree.alone())
    with turn:
        for kid in kids:
            issued = await database.run(issued_rids.read_issued, url, kid)
            if not issued.complete:
                left_out += 1
                continue
            await asyncio.to_thread(
                _write, tree, issued, url=url, signer=signer, lifetime=settings.status.head_lifetime, now=now
            )
    return PublishedRibbons(tree.written, left_out)


def _write(tree: Tree, issued: Issued, *, url: str, signer: Signer, lifetime: int, now: int) -> None:
    name = f"crl/{issued.newest.kid}.ribbon"
    if _is_current(tree.read(name), issued, url=url, signer=signer, now=now):
        return
    ribbon = Ribbon.build(issued.newest, issued.rids, issuer=url, as_of=now - SETTLED, about=len(issued.rids))
    data = ribbon_file.encode(ribbon)
    tree.write(name, ribbon_seal.seal(data, signer=signer, now=now, lifetime=lifetime))


def _is_current(data: bytes | None, issued: Issued, *, url: str, signer: Signer, now: int) -> bool:
    """Whether a ribbon of ours is there, of the newest list, and its seal is in its first half."""
    try:
        ribbon = ribbon_seal.verify(data or b"", keys=(signer.public,), now=now)
        _, seal = ribbon_seal.read_unverified(data or b"")
    except SafeconductError:
        return False
    if (ribbon.issuer, ribbon.digest) != (url, issued.newest.digest()):
        return False
    return 2 * (seal.exp - now) >= seal.exp - seal.iat
