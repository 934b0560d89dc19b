"""Whatever is sent to the wallet server, it answers with a client's error in JSON, and never breaks."""

import asyncio
import random
from pathlib import Path

from tests.flows.small_wallet import ISSUER, issuer_house
from tests.flows.test_wallet_server_forward import JWE, SERVER, between

SEED = 20261122
PATHS = ("/forward/credential", "/forward/credential", "/sessions", "/", "/records", "/forward/%2e%2e/token")
VALUES = {
    "Safeconduct-Session": ("x", "x" * 4000, "{}"),
    "Safeconduct-Issuer": (ISSUER, "http://127.0.0.1:22", "file:///etc/passwd", "x"),
    "Authorization": ("DPoP x", "Bearer x", "rubbish", "DPoP"),
    "DPoP": ("x", "a, b", "e30.e30.e30"),
    "Content-Type": ("application/jwt", "application/json", "x"),
}


def test_garbage_is_a_clients_error_and_is_not_sent_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            choose = random.Random(SEED)  # noqa: S311
            for _ in range(300):
                method = choose.choice(("POST", "POST", "POST", "GET", "DELETE"))
                path = choose.choice(PATHS)
                headers = {name: choose.choice(values) for name, values in VALUES.items()}
                # With a good session, whatever else is odd: what it can do without good credentials.
                if choose.random() < 0.5:
                    headers["Safeconduct-Session"] = server.session
                    headers["Authorization"] = "Bearer x"
                body = choose.choice((b"", b"{}", JWE, choose.randbytes(100), b"x" * 300_000))
                if (method, path) == ("DELETE", "/sessions"):
                    continue
                answer = await server.fetcher.request(method, SERVER + path, headers=headers, content=body)
                if answer.status < 300:
                    assert path == "/sessions"
                    continue
                assert 400 <= answer.status < 500, (method, path, headers, body, answer)
                assert answer.content_type == "application/problem+json"
            assert server.upstream.seen == []

    asyncio.run(main())
