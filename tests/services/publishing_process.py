"""A process that revokes and publishes, to be killed. Arguments: folder, database, kid, its name, rounds."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from tests.services.publishing_stage import CARD_ISSUER, NOW, settings_for

from safeconduct.services.card_register import CardRegister
from safeconduct.services.status.publishing import publish
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER


async def main(folder: str, url: str, kid: str, name: str, rounds: int) -> None:
    """Print a line after each round; rounds: 0 for no end."""
    settings = settings_for(Path(folder), url)
    async with await Database.open(url, branch=ISSUER) as database:
        register = CardRegister(database, CARD_ISSUER)
        for turn in count() if rounds == 0 else range(rounds):
            await register.revoke_rid(f"{name}-{turn}", kid=kid, before=None)
            if turn % 3 == 2:
                await register.reinstate_rid(f"{name}-{turn - 1}", kid=kid)
            await publish(settings, database, now=NOW)
            print(turn, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5], int(sys.argv[5])))
