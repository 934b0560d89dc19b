"""Notifications (OpenID4VCI 1.0 §11): plain JSON from the wallet itself, and the same twice is once."""

import asyncio
import contextlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.flows.small_wallet import House, SmallWallet, issuer_house

from safeconduct.encoding import json
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.notification import NotificationEvent
from safeconduct.services.issuer.delivery_store import AFTER_NOTIFICATION
from safeconduct.settings import Secret

EVENTS: tuple[NotificationEvent, ...] = get_args(NotificationEvent)
STATES = ("delivered", "accepted", "failed", "deleted")
WEBHOOK = {
    "webhook_url": "https://operator.example/hook",
    "webhook_secret": Secret("secret-of-the-webhook-of-the-test"),
}


def _refused(answer: Response, error: str, *, status: int = 400) -> None:
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"


async def _issued(house: House) -> tuple[SmallWallet, str]:
    wallet = await house.holder(await house.offer(reference="case-1"))
    name = wallet.given(await wallet.ask()).notification_id
    assert name is not None
    return wallet, name


async def _state(house: House) -> str:
    (issued,) = (await house.manage("GET", "/issued")).json()["issued"]
    return str(issued["state"])


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("credential_accepted", "accepted"),
        ("credential_failure", "failed"),
        ("credential_deleted", "deleted"),
    ],
)
def test_what_the_wallet_says_is_noted_once(tmp_path: Path, event: str, state: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, name = await _issued(house)
            assert await _state(house) == "delivered"
            for _ in range(3):
                answer = await wallet.notify(name, event)
                assert (answer.status, answer.body) == (204, b"")
                assert await _state(house) == state

    asyncio.run(main())


@pytest.mark.parametrize(("first", "second"), list(itertools.product(EVENTS, EVENTS)))
def test_a_later_word_counts_where_the_table_has_an_arrow(
    tmp_path: Path, first: NotificationEvent, second: NotificationEvent
) -> None:
    after = AFTER_NOTIFICATION["delivered", first]
    expected = AFTER_NOTIFICATION.get((after, second), after)

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, name = await _issued(house)
            for event in (first, second):
                assert (await wallet.notify(name, event)).status == 204
            assert await _state(house) == expected

    asyncio.run(main())


def test_no_wallet_can_go_round_in_circles_and_flood_the_webhook() -> None:
    arrows = {(state, after) for (state, _), after in AFTER_NOTIFICATION.items()}
    for start in STATES:
        reached = {start}
        for _ in STATES:
            reached = {after for state, after in arrows if state in reached}
            assert start not in reached


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"notification_id": "unknown", "event": "credential_accepted"}, "invalid_notification_id"),
        ({"notification_id": ..., "event": "credential_stored"}, "invalid_notification_request"),
        ({"notification_id": ..., "event": "CREDENTIAL_ACCEPTED"}, "invalid_notification_request"),
        ({"notification_id": ...}, "invalid_notification_request"),
        ({"event": "credential_accepted"}, "invalid_notification_request"),
        ({"notification_id": 1, "event": "credential_accepted"}, "invalid_notification_request"),
        (b"rubbish", "invalid_notification_request"),
        (b"", "invalid_notification_request"),
        (b"[" * 10_000, "invalid_notification_request"),
    ],
)
def test_a_wrong_notification_is_named(tmp_path: Path, body: Any, error: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, name = await _issued(house)
            sent = body
            if isinstance(body, dict):
                sent = json.dumps({key: name if value is ... else value for key, value in body.items()})
            answer = await wallet.send(sent, content_type="application/json", path="/notification")
            _refused(answer, error)
            assert await _state(house) == "delivered"

    asyncio.run(main())


def test_unknown_members_and_a_description_are_no_fault(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, name = await _issued(house)
            members = {
                "notification_id": name,
                "event": "credential_failure",
                "event_description": "Could not store the Credential. Out of storage.",
                "more": [{}],
            }
            answer = await wallet.send(
                json.dumps(members), content_type="application/json; charset=utf-8", path="/notification"
            )
            assert answer.status == 204

    asyncio.run(main())


def test_a_notification_is_never_encrypted(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, name = await _issued(house)
            body = json.dumps({"notification_id": name, "event": "credential_accepted"})
            answer = await wallet.send(await wallet.seal(body), path="/notification")
            _refused(answer, "invalid_notification_request")

    asyncio.run(main())


def test_a_notification_needs_a_token_of_the_same_grant(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            _, name = await _issued(house)
            stranger = await house.holder(await house.offer())
            _refused(await stranger.notify(name, "credential_deleted"), "invalid_notification_id")
            _refused(
                await stranger.notify(name, "credential_deleted", authorization=None),
                "invalid_token",
                status=401,
            )
            _refused(
                await stranger.notify(name, "credential_deleted", dpop=None),
                "invalid_dpop_proof",
                status=401,
            )
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert [entry["state"] for entry in issued] == ["delivered"]

    asyncio.run(main())


def test_a_notification_is_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, _ = await _issued(house)
            answer = await wallet.send(b" " * 20_000, content_type="application/json", path="/notification")
            assert answer.status == 413

    asyncio.run(main())


def test_events_are_kept_for_the_webhook_in_the_order_of_their_happening(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}", **WEBHOOK) as house:
            wallet, name = await _issued(house)
            await wallet.ask()  # a retry is no second issuance
            for event in ("credential_failure", "credential_failure", "credential_accepted"):
                await wallet.notify(name, event)
            with contextlib.closing(sqlite3.connect(file)) as connection:
                rows = connection.execute("SELECT kind, body FROM issuer_events ORDER BY rowid").fetchall()
            assert [kind for kind, _ in rows] == ["issued", "failed", "accepted"]
            for _, body in rows:
                told = json.loads_object(body)
                assert (told["credential_configuration_id"], told["reference"]) == ("identity", "case-1")
                assert "Erika" not in str(told)
                assert name not in str(told)

    asyncio.run(main())


def test_without_a_webhook_no_event_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}") as house:
            wallet, name = await _issued(house)
            await wallet.notify(name, "credential_accepted")
            with contextlib.closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT count(*) FROM issuer_events").fetchone() == (0,)

    asyncio.run(main())


def test_the_id_of_a_notification_is_not_stored(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}") as house:
            _, name = await _issued(house)
            assert name.encode() not in _pages(file)

    asyncio.run(main())


def _pages(file: Path) -> bytes:
    return b"".join(page.read_bytes() for page in file.parent.glob(f"{file.name}*"))
