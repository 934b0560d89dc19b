"""Batches and retries: many credentials that have nothing in common, and no second ones for a lost answer."""

import asyncio
import contextlib
import itertools
import secrets
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.small_wallet import CLAIMS, ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor, json
from safeconduct.envelope import cose
from safeconduct.formats import sd_cwt
from safeconduct.formats.sd_cwt.labels import SD_CLAIMS
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci import proof as proofs
from safeconduct.protocols.openid4vci.metadata import parse_issuer_metadata
from safeconduct.protocols.openid4vci.request import Proofs
from safeconduct.services.issuer import delivery_store
from safeconduct.settings import SettingsError
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.storage.status.places import OPEN_LISTS, StatusStock, take_status_index
from safeconduct.storage.status.tables import status_lists

WITH_STATUS = """
[[configurations]]
id = "identity"
vct = "https://issuer.example/identity"
status = true
[configurations.claims]
given_name = {}
family_name = {}
birthdate = {}
address = {}
"nationalities[]" = {}
"""
LISTS = "https://status.example/lists"


def keys(count: int) -> list[Key]:
    return [Key.generate("ES256") for _ in range(count)]


def _with_status(folder: Path) -> dict[str, Any]:
    file = folder / "kinds.toml"
    file.write_text(WITH_STATUS)
    return {"configurations": file, "status_list_uri": LISTS}


def _refused(answer: Response, error: str) -> None:
    assert (answer.status, answer.json()["error"]) == (400, error), answer.body


async def _claims(house: House, wallet: SmallWallet, answer: Response, holders: list[Key]) -> list[Any]:
    trust = await house.trust()
    texts = wallet.open(answer, keys=len(holders))
    held = [
        sd_cwt.check_issued(text, holder=key.public, trust=trust, now=NOW)
        for text, key in zip(texts, holders, strict=True)
    ]
    return [entry.claims.to_json() for entry in held]


def _pages(file: Path) -> bytes:
    return b"".join(page.read_bytes() for page in file.parent.glob(f"{file.name}*"))


def _index(claims: Any) -> tuple[str, int]:
    reference = claims["status"]["status_list"]
    return reference["uri"], reference["idx"]


def test_a_batch_is_of_ten_unless_set_otherwise(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            assert (await house.wallet().metadata()).batch_size == 10
        async with issuer_house(tmp_path, batch_size=3) as house:
            assert (await house.wallet().metadata()).batch_size == 3
        async with issuer_house(tmp_path, batch_size=1) as house:
            address = f"{ISSUER}/.well-known/openid-credential-issuer"
            answer = await house.fetcher.request("GET", address)
            assert "batch_credential_issuance" not in answer.json()
            assert parse_issuer_metadata(answer.body, credential_issuer=ISSUER).batch_size == 1

    asyncio.run(main())


def test_the_credentials_of_a_batch_have_only_their_dataset_in_common(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_with_status(tmp_path)) as house:
            wallet = await house.holder(await house.offer())
            holders = keys(10)
            answer = await wallet.ask(holders=holders)
            texts = wallet.open(answer, keys=10)
            claims = await _claims(house, wallet, answer, holders)
            for one in claims:
                assert {name: one[name] for name in CLAIMS} == dict(CLAIMS)
                assert [one[name] % 86400 for name in ("iat", "nbf", "exp")] == [0, 0, 0]
            assert len({one["sub"] for one in claims}) == 10
            assert len({json.dumps(one["cnf"]) for one in claims}) == 10
            assert len({text[-64:] for text in texts}) == 10  # signatures
            salts = [_salts(text) for text in texts]
            assert sum(map(len, salts)) == len(set().union(*salts)) > 50
            indices = [_index(one)[1] for one in claims]
            assert len(set(indices)) == 10
            assert len({later - earlier for earlier, later in itertools.pairwise(indices)}) > 2
            assert {_index(one)[0].rpartition("/")[0] for one in claims} == {LISTS}

    asyncio.run(main())


def _salts(token: bytes) -> set[bytes]:
    """The first element of each disclosure, which the token carries under `sd_claims`."""
    return {cbor.loads(disclosure)[0] for disclosure in cose.parse(token).unprotected[SD_CLAIMS]}


def test_proofs_are_counted_before_any_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    verify = proofs.jws.verify

    def counted(parsed: Any, **arguments: Any) -> Any:
        if arguments["typ"] == proofs.TYPE:
            verified.append("proof")
        return verify(parsed, **arguments)

    monkeypatch.setattr(proofs.jws, "verify", counted)

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await house.holder(await house.offer())
            _refused(await wallet.ask(holders=keys(11)), "invalid_credential_request")
            assert verified == []
            assert (await wallet.ask(holders=keys(10))).status == 200
            assert len(verified) == 10

    asyncio.run(main())


def test_two_proofs_for_one_key_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await house.holder(await house.offer())
            (key,) = keys(1)
            _refused(await wallet.ask(holders=[key, key]), "invalid_proof")

    asyncio.run(main())


def test_more_credentials_than_are_left_are_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=5) as house:
            wallet = await house.holder(await house.offer())
            assert (await wallet.ask(holders=keys(3))).status == 200
            _refused(await wallet.ask(holders=keys(3)), "credential_request_denied")
            assert (await wallet.ask(holders=keys(2))).status == 200
            _refused(await wallet.ask(holders=keys(1)), "credential_request_denied")

    asyncio.run(main())


# A wallet whose answer was lost.


def test_the_same_keys_are_answered_again_at_no_cost(tmp_path: Path) -> None:
    async def main() -> None:
        settings = {"credentials_per_identifier": 3, **_with_status(tmp_path)}
        async with issuer_house(tmp_path, **settings) as house:
            wallet = await house.holder(await house.offer())
            holders = keys(3)
            lost = await wallet.ask(holders=holders)
            before = {_index(one) for one in await _claims(house, wallet, lost, holders)}
            name = wallet.given(lost, keys=3).notification_id
            again = holders[::-1]
            answer = await wallet.ask(holders=again)
            claims = await _claims(house, wallet, answer, again)
            assert {_index(one) for one in claims} == before
            assert wallet.given(answer, keys=3).notification_id == name
            _refused(await wallet.ask(holders=keys(1)), "credential_request_denied")
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert [entry["count"] for entry in issued] == [3]

    asyncio.run(main())


def test_each_key_keeps_its_place_in_the_status_list(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_with_status(tmp_path)) as house:
            wallet = await house.holder(await house.offer())
            holders = keys(4)
            places = []
            for order in (holders, holders[::-1], holders[2:] + holders[:2]):
                claims = await _claims(house, wallet, await wallet.ask(holders=order), order)
                places.append({json.dumps(one["cnf"]): _index(one) for one in claims})
            assert places[0] == places[1] == places[2]
            assert len(set(places[0].values())) == 4

    asyncio.run(main())


def test_a_retry_needs_a_fresh_nonce_and_proofs(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await house.holder(await house.offer())
            nonce = await wallet.nonces()
            holders = keys(1)
            assert (await wallet.ask(holders=holders, c_nonce=nonce)).status == 200
            _refused(await wallet.ask(holders=holders, c_nonce=nonce), "invalid_nonce")
            assert (await wallet.ask(holders=holders)).status == 200

    asyncio.run(main())


def test_some_of_the_keys_or_others_are_no_retry(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=3) as house:
            wallet = await house.holder(await house.offer())
            holders = keys(3)
            assert (await wallet.ask(holders=holders)).status == 200
            for others in (holders[:2], holders[:2] + keys(1), keys(3)):
                _refused(await wallet.ask(holders=others), "credential_request_denied")
            assert (await wallet.ask(holders=holders)).status == 200

    asyncio.run(main())


def test_another_identifier_of_the_same_keys_is_no_retry(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            first, second = await house.holder(await house.offer()), await house.holder(await house.offer())
            second.holder = first.holder
            await first.ask()
            await second.ask()
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert len(issued) == 2

    asyncio.run(main())


def test_a_retry_ends_with_the_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, access_token_lifetime=60) as house:
            wallet = await house.holder(await house.offer())
            assert (await wallet.ask()).status == 200
            house.clock.now += 60
            assert (await wallet.ask()).status == 401

    asyncio.run(main())


def test_the_same_request_twice_at_once_is_one_issuance(tmp_path: Path) -> None:
    async def main() -> None:
        settings = {"credentials_per_identifier": 2, **_with_status(tmp_path)}
        async with issuer_house(tmp_path, **settings) as house:
            wallet = await house.holder(await house.offer())
            twin = SmallWallet(house.fetcher, house.clock, dpop_key=wallet.dpop_key)
            twin.access_token, twin.identifiers = wallet.access_token, wallet.identifiers
            holders = keys(2)
            bodies = [await wallet.sealed(holders=holders), await twin.sealed(holders=holders)]
            answers = await asyncio.gather(wallet.send(bodies[0]), twin.send(bodies[1]))
            first = await _claims(house, wallet, answers[0], holders)
            second = await _claims(house, twin, answers[1], holders)
            assert [_index(one) for one in first] == [_index(one) for one in second]
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert len(issued) == 1

    asyncio.run(main())


def test_two_that_race_within_the_store_are_given_the_places_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has drawn places of its own, and must not let them out."""
    admit = delivery_store.admit

    def forgetful(*arguments: Any, **named: Any) -> Any:
        access = admit(*arguments, **named)
        # As if the other request had not been there yet.
        return msgspec.structs.replace(access, delivered={})

    monkeypatch.setattr(delivery_store, "admit", forgetful)

    async def main() -> None:
        async with issuer_house(tmp_path, **_with_status(tmp_path)) as house:
            wallet = await house.holder(await house.offer())
            holders = keys(2)
            first = await _claims(house, wallet, await wallet.ask(holders=holders), holders)
            second = await _claims(house, wallet, await wallet.ask(holders=holders), holders)
            assert [_index(one) for one in first] == [_index(one) for one in second]

    asyncio.run(main())


def test_what_a_retry_is_recognised_by_names_no_key(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}") as house:
            wallet = await house.holder(await house.offer())
            await wallet.ask()
            with contextlib.closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT count(*) FROM issuer_deliveries").fetchone() == (1,)
            pages = _pages(file)
            public = wallet.holder.public
            jwk = public.to_jwk()
            thumbprint = public.jwk_thumbprint()
            for trace in (thumbprint, thumbprint.hex().encode(), jwk["x"].encode(), jwk["y"].encode()):
                assert trace not in pages
            assert wallet.identifiers[0].encode() not in pages
            assert wallet.access_token.encode() not in pages

    asyncio.run(main())


def test_claims_are_erased_when_no_more_can_be_had(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    def claims() -> Any:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return connection.execute("SELECT claims FROM issuer_grants").fetchone()[0]

    async def main() -> None:
        database = f"sqlite:///{file}"
        async with issuer_house(tmp_path, database=database, credentials_per_identifier=1) as house:
            wallet = await house.holder(await house.offer())
            name = wallet.given(await wallet.ask()).notification_id
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(delivery_store.forget, NOW)
                assert claims() is not None  # the answer may have been lost
                assert (await wallet.notify(name or "", "credential_accepted")).status == 204
                await other.run(delivery_store.forget, NOW)
                assert claims() is None
            _refused(await wallet.ask(), "credential_request_denied")

    asyncio.run(main())


def test_claims_are_erased_when_a_retry_comes_too_late_though_the_grant_lives(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        database = f"sqlite:///{file}"
        settings = {"credentials_per_identifier": 1, "access_token_lifetime": 60}
        async with issuer_house(tmp_path, database=database, **settings) as house:
            wallet = await house.holder(await house.offer())
            assert (await wallet.ask()).status == 200
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(delivery_store.forget, NOW + 60)
            with contextlib.closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT claims FROM issuer_grants").fetchone() == (None,)

    asyncio.run(main())


# Status lists.


def test_status_needs_somewhere_to_stand(tmp_path: Path) -> None:
    async def main() -> None:
        settings = {**_with_status(tmp_path), "status_list_uri": ""}
        async with issuer_house(tmp_path, **settings):
            pytest.fail("started")

    with pytest.raises(SettingsError, match="status_list_uri"):
        asyncio.run(main())


YEAR = 365 * 86400


async def _taken(
    database: Database, count: int, *, size: int = 1024, tenant: str = ISSUER, open_lists: int = OPEN_LISTS
) -> list[Any]:
    return await database.run(
        take_status_index, tenant, count, secrets.token_bytes, size=size, now=NOW, open_lists=open_lists
    )


def test_a_list_is_left_when_half_of_it_is_taken() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            places = await _taken(database, 3000) + await _taken(database, 3000)
            assert len(set(places)) == 6000
            per_list = Counter(place.list_id for place in places)
            assert all(0 <= place.idx < 1024 for place in places)
            other = await _taken(database, 1, tenant="https://other.example")
            assert other[0].list_id not in per_list

            def noted(connection: Any) -> dict[str, int]:
                rows = connection.execute(status_lists.select().where(status_lists.c.tenant == ISSUER))
                return {row.id: row.taken for row in rows}

            full = {name: taken for name, taken in (await database.run(noted)).items() if taken == 512}
            assert len(per_list) - len(full) <= OPEN_LISTS
            # A quarter at most was set aside, in each another part: they end at different times.
            assert all(256 <= per_list[name] <= 512 for name in full)
            assert len({per_list[name] for name in full}) > 3

    asyncio.run(main())


def test_places_are_spread_over_the_list_and_tell_no_order() -> None:
    """Of 400 places in 4096, each sixteenth of the list holds some, and neighbours in time lie far apart."""

    async def main() -> None:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            taken = await _taken(database, 400, size=4096, open_lists=1)
            places = [place.idx for place in taken]
            buckets = [sum(idx // 256 == bucket for idx in places) for bucket in range(16)]
            # Each bucket has 25 on average; 0 or over 75 happen less often than once in 10^10 runs.
            assert 0 < min(buckets) <= max(buckets) < 75
            steps = [later - earlier for earlier, later in itertools.pairwise(places)]
            assert len(set(steps)) > 300
            rising = sum(step > 0 for step in steps)
            assert 100 < rising < 300

    asyncio.run(main())


def test_a_stock_gives_each_place_once_though_many_draw_at_once() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            stock = StatusStock(database, ISSUER, size=1 << 20)
            drawn = await asyncio.gather(*[stock.draw(7, now=NOW) for _ in range(60)])
            places = [place for one in drawn for place in one]
            assert len(set(places)) == 420

    asyncio.run(main())


def test_the_place_of_an_issued_credential_can_be_found_until_it_is_purged(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    def query(text: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return connection.execute(text).fetchall()

    async def main() -> None:
        database = f"sqlite:///{file}"
        settings = {"issued_retention": 3600, **_with_status(tmp_path)}
        async with issuer_house(tmp_path, database=database, **settings) as house:
            wallet = await house.holder(await house.offer())
            await wallet.ask(holders=keys(2))
            linked = "SELECT count(*) FROM issuer_status s JOIN issuer_issued i ON s.issued_id = i.id"
            assert query(linked) == [(2,)]
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(delivery_store.forget, NOW + YEAR - 1)
                assert query(linked) == [(2,)]  # as long as it could have to be revoked
                await other.run(delivery_store.forget, NOW + YEAR)
            assert query("SELECT count(*) FROM issuer_issued") == [(0,)]
            assert query("SELECT count(*) FROM issuer_status WHERE issued_id IS NOT NULL") == [(0,)]
            assert query("SELECT count(*) FROM issuer_status WHERE value = 0") == [(64,)]  # taken for ever

    asyncio.run(main())


def test_a_proof_for_another_type_than_the_configuration_takes_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await house.holder(await house.offer())
            _refused(await wallet.ask(proofs=Proofs("attestation", ("a.b.c",))), "invalid_proof")

    asyncio.run(main())
