"""Attacks on a whole issuer that once worked, each against the running service."""

import asyncio
import contextlib
import secrets
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.flows.code_flow import browser, code_wallet, login_house
from tests.flows.small_wallet import issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.services.issuer import delivery_store
from safeconduct.services.issuer.tables import issued
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.storage.status.places import STOCK, take_status_index


def test_the_same_keys_for_another_configuration_are_no_repeat(tmp_path: Path) -> None:
    """By scope both deliveries are under one access token: the second must cost, and be noted, by itself."""

    async def main() -> None:
        async with login_house(tmp_path, credentials_per_identifier=1, batch_size=1) as house:
            wallet = code_wallet(house)
            code = await wallet.authorized(house, authorization_details=None, scope="identity diploma")
            wallet.keep(await wallet.redeem_code(code))
            answers = []
            for name in ("identity", "diploma"):
                answer = await wallet.ask(credential_identifier=None, credential_configuration_id=name)
                answers.append(wallet.given(answer))
            listed = (await house.manage("GET", "/issued")).json()["issued"]
            assert sorted(one["configuration_id"] for one in listed) == ["diploma", "identity"]
            assert answers[0].notification_id != answers[1].notification_id

    asyncio.run(main())


def test_the_same_keys_after_a_notification_are_a_delivery_of_their_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await house.holder(await house.offer())
            first = wallet.given(await wallet.ask()).notification_id
            assert first is not None
            assert (await wallet.notify(first, "credential_accepted")).status == 204
            second = wallet.given(await wallet.ask()).notification_id
            assert second not in (None, first)
            assert wallet.given(await wallet.ask()).notification_id == second  # a repeat of the second
            assert (await wallet.notify(first, "credential_deleted")).status == 204
            listed = (await house.manage("GET", "/issued")).json()["issued"]
            assert sorted(one["state"] for one in listed) == ["deleted", "delivered"]

    asyncio.run(main())


def test_the_same_keys_with_a_refreshed_token_are_a_delivery_of_their_own(tmp_path: Path) -> None:
    """The identifier outlives the access token, and with it what repeats are recognised by."""

    async def main() -> None:
        database = f"sqlite:///{tmp_path / 'issuer.db'}"
        async with login_house(tmp_path, database=database, refresh_token_lifetime=3600) as house:
            wallet = code_wallet(house)
            answer = await wallet.redeem_code(await wallet.authorized(house))
            wallet.keep(answer)
            first = wallet.given(await wallet.ask()).notification_id
            house.clock.now += house.settings.access_token_lifetime
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(delivery_store.forget, house.clock.now)
            await wallet.nonces()
            wallet.keep(await wallet.refresh(answer.json()["refresh_token"]))
            assert wallet.given(await wallet.ask()).notification_id not in (None, first)

    asyncio.run(main())


def test_a_code_that_comes_again_does_not_double_a_deferred_issuance(tmp_path: Path) -> None:
    """A wallet that was promised a credential has its token; another one would have credit of its own."""

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(deferred=True)
            wallet = await house.holder(offer)
            transaction = wallet.promised(await wallet.ask()).transaction_id
            again = await wallet.redeem(offer["offer_uri"])
            assert (again.status, again.json()["error"]) == (400, "invalid_grant")
            assert wallet.promised(await wallet.poll(transaction)).transaction_id == transaction

    asyncio.run(main())


def test_who_is_refused_takes_no_place_of_a_status_list(tmp_path: Path) -> None:
    """A request that is sent again with its used nonce draws places; 64 of them are taken at a time."""
    file = tmp_path / "issuer.db"
    (tmp_path / "card.toml").write_text(
        '[[configurations]]\nid = "identity"\nvct = "https://issuer.example/identity"\nstatus = true\n'
        "[configurations.claims]\ngiven_name = { mandatory = true }\n"
    )

    async def main() -> None:
        async with issuer_house(
            tmp_path,
            database=f"sqlite:///{file}",
            configurations=tmp_path / "card.toml",
            status_list_uri="https://status.example/lists",
        ) as house:
            wallet = await house.holder(await house.offer(claims={"given_name": "Erika"}))
            nonce = await wallet.nonces()
            assert (await wallet.ask(c_nonce=nonce)).status == 200
            for _ in range(STOCK // 8 + 1):
                holders = [Key.generate("ES256") for _ in range(8)]
                answer = await wallet.ask(c_nonce=nonce, holders=holders)
                assert (answer.status, answer.json()["error"]) == (400, "invalid_nonce")
            with contextlib.closing(sqlite3.connect(file)) as connection:
                taken = connection.execute("SELECT count(*) FROM issuer_status WHERE value = 0").fetchone()
            assert taken == (STOCK,)

    asyncio.run(main())


def test_a_status_list_of_an_odd_size_is_left_when_half_full() -> None:
    """Half of 5 is 2.5: a list with 2 places taken has no room for a third."""

    async def main() -> None:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            take = database.run(
                take_status_index, "tenant", 40, secrets.token_bytes, size=5, now=0, open_lists=1
            )
            per_list = Counter(place.list_id for place in await take)
            assert max(per_list.values()) == 2

    asyncio.run(main())


def test_any_number_of_issued_rows_can_be_purged_at_once() -> None:
    """As after a long standstill: databases take a bounded number of parameters, SQLite here only 50."""

    def fill(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        row = {"tenant": "t", "configuration_id": "c", "count": 1, "state": "delivered", "issued_at": 0}
        for number in range(100):
            connection.execute(issued.insert().values(id=str(number), purge_at=number // 99 + 1, **row))

    async def main() -> None:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            await database.run(fill)
            await database.run(delivery_store.forget, 1)
            left = await database.run(lambda connection: connection.execute(select(issued.c.id)).all())
            assert [row.id for row in left] == ["99"]

    asyncio.run(main())


def test_of_a_pushed_request_only_what_it_comes_to_is_kept(tmp_path: Path) -> None:
    """Strangers push requests of up to 32 kB; what is kept of them must stay small."""
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with login_house(tmp_path, database=f"sqlite:///{file}") as house:
            wallet = code_wallet(house)
            long = [f"{house.settings.url}/{'x' * 1000}{number}" for number in range(10)]
            detail = {
                "type": "openid_credential",
                "credential_configuration_id": "identity",
                "locations": [house.settings.url, *long],
            }
            answer = await wallet.push(authorization_details=json.dumps([detail]).decode())
            assert answer.status == 201, answer.body
            with contextlib.closing(sqlite3.connect(file)) as connection:
                ((size,),) = connection.execute("SELECT length(request) FROM issuer_authorizations")
            assert size < 1000

    asyncio.run(main())


def _waits_for_claims(folder: Path) -> Path:
    """Describes a credential whose claims come from a table, and returns the table, which is empty."""
    people = folder / "people.csv"
    people.write_text("id,given_name\n")
    (folder / "card.toml").write_text(
        '[[configurations]]\nid = "identity"\nvct = "https://issuer.example/identity"\n'
        "[configurations.claims]\ngiven_name = { mandatory = true }\n"
        f'[configurations.source]\nkind = "csv"\npath = "{people}"\nkey = "id"\nmissing = "deferred"\n'
    )
    return people


def test_a_lost_promise_is_given_again_when_the_claims_are_there_by_now(tmp_path: Path) -> None:
    """The promise took the credit: who does not know of it must not be told that none is left."""
    people = _waits_for_claims(tmp_path)

    async def main() -> None:
        async with issuer_house(tmp_path, configurations=tmp_path / "card.toml") as house:
            wallet = await house.holder(await house.offer(claims=None, subject="erika"))
            first = wallet.promised(await wallet.ask())
            (tmp_path / "new.csv").write_text("id,given_name\nerika,Erika\n")
            (tmp_path / "new.csv").rename(people)
            assert wallet.promised(await wallet.ask()) == first
            wallet.given(await wallet.poll(first.transaction_id))

    asyncio.run(main())


def test_who_is_denied_while_the_claims_are_looked_up_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _waits_for_claims(tmp_path)

    async def main() -> None:
        async with issuer_house(tmp_path, configurations=tmp_path / "card.toml") as house:
            wallet = await house.holder(await house.offer(claims=None, subject="erika"))
            promise = wallet.promised(await wallet.ask())

            async def slow(*_: Any, **__: Any) -> dict[str, str]:
                (waiting,) = (await house.manage("GET", "/deferred")).json()["deferred"]
                denied = await house.manage("POST", f"/deferred/{waiting['transaction_id']}/deny")
                assert denied.status == 204
                return {"given_name": "Erika"}

            monkeypatch.setattr(Tenant, "claims_for", slow)
            answer = await wallet.poll(promise.transaction_id)
            assert (answer.status, answer.json()["error"]) == (400, "credential_request_denied")

    asyncio.run(main())


def test_a_name_that_nobody_vouches_for_does_not_ask_people_to_sign_in(tmp_path: Path) -> None:
    """Strangers choose their client_id: the login page must not say that the bank's wallet asks."""

    async def main() -> None:
        async with login_house(tmp_path, unregistered_clients="any") as house:
            stranger = code_wallet(house, client_id="Wallet of the State")
            assert (await stranger.push()).status == 201
            async with browser(house) as person:
                page = (await person.open(stranger.url())).text
            assert "Wallet of the State" not in page
            assert "An unknown application" in page
            known = code_wallet(house)
            assert (await known.push()).status == 201
            async with browser(house) as person:
                assert "Example Wallet" in (await person.open(known.url())).text

    asyncio.run(main())
