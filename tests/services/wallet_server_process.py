"""A wallet server in a process of its own: `wallet_server_process.py PORT ISSUER DATABASE`."""

import asyncio
import sys
import time

from safeconduct.services.wallet_server import open_wallet_server
from safeconduct.settings import DatabaseUrl, WalletServerSettings
from safeconduct.telemetry import Telemetry
from safeconduct.web.serve import until_signalled


def main() -> None:
    port, issuer, database = sys.argv[1:]
    settings = WalletServerSettings(
        port=int(port), admin_port=0, issuers=(issuer,), database=DatabaseUrl(database), forward_timeout=60
    )
    asyncio.run(_serve(settings))


async def _serve(settings: WalletServerSettings) -> None:
    telemetry = Telemetry.silent("wallet-server")
    opened = open_wallet_server(settings, telemetry=telemetry, clock=lambda: int(time.time()))
    async with opened as listeners:
        await until_signalled(listeners, announce=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
