"""Ribbons beside the published lists: whole, sealed, and only where every card is known."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.publishing_stage import CARD_ISSUER, NOW, Stage, check_tree, files_of

from safeconduct import Key
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.services.status.ribbons import SETTLED, PublishedRibbons, publish_ribbons
from safeconduct.status.card_keys import thumbprint
from safeconduct.status.card_revocation import RevocationList
from safeconduct.status.compact import ribbon_seal
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.states import GOOD, REVOKED

LATER = NOW + 1000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    opened = asyncio.run(Stage.open(tmp_path, f"sqlite:///{tmp_path}/issuer.db"))
    yield opened
    opened.close()


async def allocated(stage: Stage, count: int, *, of: str = "subject") -> list[str]:
    return [await stage.register.allocate(stage.kid, f"{of} {n}", now=NOW) for n in range(count)]


async def both(stage: Stage, now: int = LATER) -> PublishedRibbons:
    await stage.publish(now)
    return await publish_ribbons(stage.settings, stage.database, now=now)


def ribbon(stage: Stage, now: int = LATER) -> Ribbon:
    entries = json.loads((stage.tree / "status-keys.json").read_bytes())["keys"]
    data = (stage.tree / f"crl/{stage.kid}.ribbon").read_bytes()
    return ribbon_seal.verify(data, keys=[PublicKey.from_jwk(entry) for entry in entries], now=now)


def test_it_says_of_every_card_made_here_what_the_list_says(stage: Stage) -> None:
    async def work() -> list[str]:
        rids = await allocated(stage, 60)
        await stage.revoke(*rids[:5])
        await stage.revoke(rids[5], before=NOW - 50)
        assert await both(stage) == PublishedRibbons(1, 0)
        return rids

    rids = asyncio.run(work())

    made = ribbon(stage)
    assert (made.issuer, made.kid, made.count) == (CARD_ISSUER, stage.kid, 6)
    assert made.digest == stage.listed().digest()
    assert made.as_of == LATER - SETTLED
    assert [made.status(rid, NOW - 60) for rid in rids] == [REVOKED] * 6 + [GOOD] * 54
    assert made.status(rids[5], NOW - 50) == GOOD
    check_tree(files_of(stage.tree), now=LATER)


def test_a_run_without_change_changes_no_byte_until_half_of_its_time_is_over(stage: Stage) -> None:
    half = stage.settings.status.head_lifetime // 2

    async def work() -> None:
        rids = await allocated(stage, 10)
        await both(stage)
        before = files_of(stage.tree)
        assert await both(stage, LATER + half) == PublishedRibbons(0, 0)
        assert files_of(stage.tree) == before
        assert await both(stage, LATER + half + 1) == PublishedRibbons(1, 0)
        await stage.revoke(rids[0])
        assert await both(stage, LATER + half + 2) == PublishedRibbons(1, 0)

    asyncio.run(work())

    assert ribbon(stage, LATER + half).count == 1


def test_a_key_with_cards_from_elsewhere_gets_none(stage: Stage) -> None:
    async def work() -> None:
        await allocated(stage, 10)
        await stage.revoke("of-another-system")
        assert await both(stage) == PublishedRibbons(0, 1)

    asyncio.run(work())

    assert not (stage.tree / f"crl/{stage.kid}.ribbon").exists()


def test_a_key_whose_list_began_elsewhere_gets_none(stage: Stage) -> None:
    async def work() -> None:
        other = Key.generate("ES256").public
        kid = await stage.register.register(other, now=NOW, known=None)
        await both(stage)
        assert (stage.tree / f"crl/{kid}.ribbon").exists()
        another = Key.generate("ES256").public
        known = RevocationList(kid=thumbprint(another), ctr=9, entries={})
        await stage.register.register(another, now=NOW, known=known)
        assert (await both(stage)).left_out == 1

    asyncio.run(work())


def test_a_damaged_ribbon_is_made_anew(stage: Stage) -> None:
    async def work() -> None:
        await allocated(stage, 10)
        await both(stage)
        (stage.tree / f"crl/{stage.kid}.ribbon").write_bytes(b"SCRIBON1")
        assert await both(stage) == PublishedRibbons(1, 0)

    asyncio.run(work())

    assert ribbon(stage).count == 0
