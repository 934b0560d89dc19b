"""Whatever is shown to the verifier, it answers with a client's error in JSON, and never breaks."""

import asyncio
import random
from pathlib import Path

from tests.flows.test_verifier_presentations import VERIFIER_URL, Desk, desk

SEED = 20261122


async def _check(verifier: Desk, method: str, path: str, media_type: str, body: bytes) -> None:
    answer = await verifier.fetcher.request(
        method, VERIFIER_URL + path, headers={"Content-Type": media_type}, content=body
    )
    if answer.status == 200:
        assert (method, path, body) == ("POST", "/nonces", b"")
        return
    assert 400 <= answer.status < 500, (method, path, media_type, body, answer)
    assert answer.content_type == "application/problem+json"
    assert answer.json()["code"]


def test_garbage_is_a_clients_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            choose = random.Random(SEED)  # noqa: S311
            paths = ("/presentations", "/nonces", "/", "/requests", "/presentations/x")
            media_types = ("application/kb+cwt", "application/json", "")
            for _ in range(200):
                body = choose.randbytes(choose.randrange(200))
                method = choose.choice(("POST", "POST", "GET", "PUT"))
                await _check(verifier, method, choose.choice(paths), choose.choice(media_types), body)

    asyncio.run(main())


def test_a_presentation_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            good = verifier.presentation(await verifier.nonce())
            choose = random.Random(SEED)  # noqa: S311
            for place in choose.sample(range(len(good)), 150):
                bent = bytearray(good)
                bent[place] ^= 1 << choose.randrange(8)
                await _check(verifier, "POST", "/presentations", "application/kb+cwt", bytes(bent))
            assert (await verifier.show(good)).status == 200

    asyncio.run(main())
