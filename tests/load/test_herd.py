"""Two processes on one PostgreSQL, many wallets, kill -9 in the middle: nothing twice, nothing lost.

`make load` lets 200 wallets come; without SAFECONDUCT_LOAD_WALLETS, a few show that all of it works.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from tests.load import herd

WALLETS = int(os.environ.get("SAFECONDUCT_LOAD_WALLETS", "20"))
BATCH = 2


@pytest.mark.postgres
def test_a_herd_of_wallets_and_dying_processes(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with herd.processes(tmp_path, postgres_url, 2) as site:
        outcome = asyncio.run(herd.run(site, wallets=WALLETS, batch=BATCH))
        known = asyncio.run(herd.issued(site))
    with capsys.disabled():
        print(
            f"\n{WALLETS} wallets, {outcome.kills} kills, {outcome.lost} answers lost, "
            f"{outcome.seconds:.1f} s; by status {dict(sorted(outcome.statuses.items()))}"
        )
    single = [fate for fate in outcome.fates if not fate.contended]
    contended = [fate for fate in outcome.fates if fate.contended]

    # Each code is redeemed once, also where it is in two hands; a wallet alone with its code gets everything.
    assert [fate.refusals for fate in single if fate.refusals] == []
    assert {fate.tokens for fate in single} == {1}
    assert {fate.tokens for fate in contended} <= {0, 1}
    assert {len(fate.credentials) for fate in single} == {BATCH}

    # Each status index is given once.
    places = Counter(place for fate in outcome.fates for place in fate.credentials)
    assert len(places) == sum(len(fate.credentials) for fate in outcome.fates)
    assert set(places.values()) == {1}

    # Whatever a wallet was told of is known to the issuer, as one issuance, and has arrived.
    told = [fate for fate in outcome.fates if fate.told]
    assert len(told) == sum(bool(fate.credentials) for fate in outcome.fates)
    assert len(known) == len(told)
    assert {row["count"] for row in known} == {BATCH}
    assert {row["state"] for row in known} == {"accepted"}

    # No request broke anything.
    assert [status for status in outcome.statuses if status >= 500 and status != 503] == []
