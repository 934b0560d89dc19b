"""An issuer in a process of its own: `issuer_process.py PORT IDENTIFIER DATABASE KEY [WHERE TO DIE]`."""

import asyncio
import os
import signal
import sys
import time
from typing import Any, NoReturn

from safeconduct.services.issuer import delivery_store, open_issuer, redemption_store
from safeconduct.services.issuer.service import Issuer
from safeconduct.settings import DatabaseUrl, IssuerSettings, KeyPlace, Secret
from safeconduct.telemetry import Telemetry
from safeconduct.web.serve import until_signalled

ADMIN_TOKEN = "management-token-of-the-test"


def main() -> None:
    port, identifier, database, key, *deaths = sys.argv[1:]
    for where in deaths:
        DEATHS[where]()
    settings = IssuerSettings(
        identifier=identifier,
        port=int(port),
        admin_port=0,
        admin_token=Secret(ADMIN_TOKEN),
        database=DatabaseUrl(database),
        signing_key=KeyPlace(key),
        tx_code_attempts=5,
    )
    asyncio.run(_serve(settings))


async def _serve(settings: IssuerSettings) -> None:
    telemetry = Telemetry.silent("issuer")
    async with open_issuer(settings, telemetry=telemetry, clock=lambda: int(time.time())) as listeners:
        await until_signalled(listeners, announce=lambda line: print(line, flush=True))


def _die(*_arguments: Any, **_named: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _die_while_redeeming() -> None:
    redemption_store._add_token = _die


def _die_before_delivery() -> None:
    delivery_store.deliver = _die


def _die_while_delivering() -> None:
    delivery_store.move_by_id = _die


def _die_after_delivery() -> None:
    answer = Issuer.credential

    async def credential(issuer: Issuer, message: Any) -> Any:
        await answer(issuer, message)
        _die()

    Issuer.credential = credential  # type: ignore[method-assign]


DEATHS = {
    "while redeeming": _die_while_redeeming,
    "before delivery": _die_before_delivery,
    "while delivering": _die_while_delivering,
    "after delivery": _die_after_delivery,
}

if __name__ == "__main__":
    main()
