"""How issued credentials stand: changed in the issuer's database, which the next publishing shows."""

import secrets

from sqlalchemy import Connection

from safeconduct.cli import operating
from safeconduct.cli.status.desk import issuer_of
from safeconduct.services.issuer import management_store
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.storage.status.places import Standing, check_expressible


def change(
    *, issued: list[str], references: list[str], to: Standing, config: str | None, tenant: str | None
) -> int:
    """Revoke, suspend or reinstate credentials, all of them or none; return how many have changed.

    issued: ids of deliveries, as `safeconduct issued find` shows them. references: of the operator's own.
    Raises WrongUse, Rejected as `management_store.change_standing`.
    """
    settings = operating.settings(config)
    issuer = issuer_of(settings, tenant)
    check_expressible(to, bits=issuer.status_list_bits)

    def in_one(connection: Connection) -> int:
        random, now = secrets.token_bytes, operating.clock()
        changed = 0
        for one in issued:
            changed += management_store.change_standing(connection, issuer.url, one, to, random, now=now)
        for one in references:
            changed += management_store.change_standings_of(connection, issuer.url, one, to, random, now=now)
        return changed

    async def do() -> int:
        async with await Database.open(settings.issuer.database, branch=ISSUER) as database:
            return await database.run(in_one)

    return operating.carry_out(do())
