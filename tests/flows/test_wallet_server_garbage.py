"""Whatever is sent to the wallet server, it answers with a client's error in JSON, and never breaks."""

import asyncio
import random

from tests.flows.wallet_server_stage import ISSUER, JWE, KEY, SERVER, stage

SEED = 20261122
PATHS = (
    "/forward/credential",
    "/forward/deferred",
    "/forward/notification",
    "/sessions",
    "/deliveries/x",
    "/deliveries/%00?wait=9999999999999999999",
    "/deliveries/%ff%2f..",
    "/wakeups?wait=%ff",
    "/wakeups",
    "/metadata?issuer=%ff",
    "/metadata?issuer=file:///etc/passwd&issuer=http://127.0.0.1",
    "/",
    "/reliability",
    "/forward/%2e%2e/token",
)
VALUES = {
    "Safeconduct-Session": ("x", "x" * 4000, "{}", "\N{LATIN SMALL LETTER SHARP S}"),
    "Safeconduct-Issuer": (ISSUER, "http://127.0.0.1:22", "file:///etc/passwd", "x"),
    "Authorization": ("DPoP x", "Bearer x", "rubbish", "DPoP"),
    "DPoP": ("x", "a, b", "e30.e30.e30"),
    "Content-Type": ("application/jwt", "application/json", "x"),
    "Idempotency-Key": (KEY, "x", '"', "\N{LATIN SMALL LETTER SHARP S}" * 20),
    "Prefer": ("wait=99999999999", "respond-async;;;,,=", "wait=-1"),
    "Accept": ("application/jwt", "*/*", ",,,"),
}


def test_garbage_is_a_clients_error_and_is_not_sent_on() -> None:
    async def main() -> None:
        async with stage(session_rate=10_000, global_rate=10_000) as wallet:
            choose = random.Random(SEED)  # noqa: S311
            for _ in range(600):
                method = choose.choice(("POST", "POST", "POST", "GET", "DELETE", "PUT", "PATCH"))
                path = choose.choice(PATHS)
                headers = {name: choose.choice(values) for name, values in VALUES.items()}
                # With a good session, whatever else is odd: what it can do without good credentials.
                good = choose.random() < 0.5
                if good:
                    headers["Safeconduct-Session"] = wallet.session
                    headers["Authorization"] = "Bearer x"
                body = choose.choice((b"", b"{}", JWE, choose.randbytes(100), b"x" * 300_000))
                if (method, path) == ("DELETE", "/sessions"):
                    continue
                answer = await wallet.fetcher.request(method, SERVER + path, headers=headers, content=body)
                if answer.status < 300:
                    assert good, (method, path, answer)
                    continue
                assert 400 <= answer.status < 500, (method, path, headers, body, answer)
                assert answer.content_type == "application/problem+json"
            assert wallet.issuer.seen == []

    asyncio.run(main())
