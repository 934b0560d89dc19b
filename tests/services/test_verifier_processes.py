"""The atomic functions of the verifier with two hands on one database, of either kind."""

import asyncio
from pathlib import Path

import pytest

from safeconduct.services.verifier import store as verifier
from safeconduct.storage import Database
from safeconduct.storage.migrations import VERIFIER

NOW = 1_800_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    return str(request.getfixturevalue("postgres_url"))


def _request(nonce_digest: bytes) -> verifier.NewRequest:
    return verifier.NewRequest(
        id=nonce_digest.hex(),
        nonce_digest=nonce_digest,
        keep="claims",
        created_at=NOW,
        expires_at=NOW + 300,
    )


def test_a_nonce_is_burnt_once_however_many_hands_reach_for_it(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=VERIFIER) as first,
            await Database.open(url, branch=VERIFIER) as second,
        ):
            for number in range(10):
                digest = bytes([number]) * 32
                await first.run(verifier.add_request, _request(digest))
                burnt = await asyncio.gather(
                    *[
                        database.run(verifier.burn_nonce, digest, now=NOW)
                        for database in (first, second, first, second)
                    ]
                )
                assert sorted(burnt) == [False, False, False, True]

    asyncio.run(main())


def test_a_verdict_is_kept_and_swept_on_either_kind(url: str) -> None:
    async def main() -> None:
        async with await Database.open(url, branch=VERIFIER) as database:
            digest = b"x" * 32
            await database.run(verifier.add_request, _request(digest))
            assert await database.run(verifier.burn_nonce, digest, now=NOW)
            verdict = verifier.Verdict(event="accept", issuer="https://issuer.example", claims=b"{}")
            await database.run(verifier.record_verdict, digest, verdict)
            result = await database.run(verifier.find_result, digest.hex(), now=NOW)
            assert (result.state, result.claims) == ("verified", b"{}")
            await database.run(verifier.sweep, expired_before=NOW + 300)
            with pytest.raises(verifier.RequestUnknown):
                await database.run(verifier.find_result, digest.hex(), now=NOW)

    asyncio.run(main())
