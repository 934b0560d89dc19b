"""Which rids were ever given to cards of a key, for a list in a form that needs all of them."""

import msgspec
from sqlalchemy import Connection, and_, func, select

from safeconduct.status.card_revocation import RID
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.storage.status import card_lists
from safeconduct.storage.status.card_tables import card_rids, card_versions


class Issued(msgspec.Struct, frozen=True):
    """The newest list of a key and the rids of all its cards.

    complete: whether nothing speaks against these being all: cards are named by rids, the lists of the key
    begin here, with the first counter, and name no rid that was not given here.
    """

    newest: RevocationList
    rids: tuple[str, ...]
    complete: bool

    def __repr__(self) -> str:
        return f"<Issued {len(self.rids)} rids>"


def read_issued(connection: Connection, tenant: str, kid: str) -> Issued:
    """Returns what was issued under a key, sorted. Raises Rejected "card_key_not_ours"."""
    newest = card_lists.history(connection, tenant, kid).newest
    given = and_(card_rids.c.tenant == tenant, card_rids.c.kid == kid)
    rids = tuple(connection.execute(select(card_rids.c.rid).where(given).order_by(card_rids.c.rid)).scalars())
    taken = and_(card_versions.c.tenant == tenant, card_versions.c.kid == kid)
    first = connection.execute(select(func.min(card_versions.c.ctr)).where(taken)).scalar()
    complete = newest.method == RID and first == 1 and newest.entries.keys() <= set(rids)
    return Issued(newest, rids, complete)
