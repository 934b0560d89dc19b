"""Deferred issuance (OpenID4VCI 1.0 §9): a promise, polls with an encryption of their own, one delivery."""

import asyncio
import contextlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import CLAIMS, ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.deferred import DeferredRequest, encode_deferred_request
from safeconduct.protocols.openid4vci.request import ResponseParameters, encode_credential_request
from safeconduct.services.issuer import deferral, delivery_store, retention_store
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH

LONG = {"access_token_lifetime": 86400}


def _refused(answer: Response, error: str, *, status: int = 400) -> None:
    assert (answer.status, answer.json()["error"]) == (status, error), answer.body
    assert answer.headers["cache-control"] == "no-store"


async def _waiting(house: House, **bent: Any) -> tuple[SmallWallet, str]:
    wallet = await house.holder(await house.offer(deferred=True))
    promise = wallet.promised(await wallet.ask(**bent))
    return wallet, promise.transaction_id


async def _decide(house: House, decision: str) -> None:
    (waiting,) = (await house.manage("GET", "/deferred?state=waiting")).json()["deferred"]
    answer = await house.manage("POST", f"/deferred/{waiting['transaction_id']}/{decision}")
    assert answer.status == 204, answer.body


def test_a_promise_is_kept_once_management_approves(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, deferred_interval=7, **LONG) as house:
            offer = await house.offer(deferred=True)
            wallet = await house.holder(offer)
            promise = wallet.promised(await wallet.ask())
            assert promise.interval == 7
            for _ in range(2):  # polling early is no fault
                again = wallet.promised(await wallet.poll(promise.transaction_id))
                assert again == promise
            assert await house.state(offer) == "redeemed"
            await _decide(house, "approve")
            response = wallet.given(await wallet.poll(promise.transaction_id))
            assert response.notification_id is None
            assert await house.state(offer) == "issued"
            text = wallet.open(await wallet.poll(promise.transaction_id))[0]
            held = sd_cwt.check_issued(text, holder=wallet.holder.public, trust=await house.trust(), now=NOW)
            shown = held.claims.to_json()
            assert {name: shown[name] for name in CLAIMS} == dict(CLAIMS)

    asyncio.run(main())


def test_a_batch_can_be_deferred(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            holders = [Key.generate("ES256") for _ in range(3)]
            wallet, transaction = await _waiting(house, holders=holders)
            await _decide(house, "approve")
            texts = wallet.open(await wallet.poll(transaction), keys=3)
            trust = await house.trust()
            for text, key in zip(texts, holders, strict=True):
                sd_cwt.check_issued(text, holder=key.public, trust=trust, now=NOW)

    asyncio.run(main())


def test_a_lost_promise_is_given_again_and_is_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            wallet, transaction = await _waiting(house)
            assert wallet.promised(await wallet.ask()).transaction_id == transaction
            assert len((await house.manage("GET", "/deferred")).json()["deferred"]) == 1
            other = await wallet.ask(holders=[Key.generate("ES256")])
            _refused(other, "credential_request_denied")

    asyncio.run(main())


def test_a_lost_delivery_can_be_fetched_again_for_a_moment_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, retry_window=30, **LONG) as house:
            wallet, transaction = await _waiting(house)
            await _decide(house, "approve")
            assert (await wallet.poll(transaction)).status == 200
            house.clock.now += 29
            assert (await wallet.poll(transaction)).status == 200
            house.clock.now += 1
            _refused(await wallet.poll(transaction), "invalid_transaction_id")
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert len(issued) == 1

    asyncio.run(main())


def test_what_is_denied_is_denied_for_good_and_its_keys_are_erased(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}", **LONG) as house:
            wallet, transaction = await _waiting(house)
            await _decide(house, "deny")
            for _ in range(2):
                _refused(await wallet.poll(transaction), "credential_request_denied")
            with contextlib.closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT holders FROM issuer_transactions").fetchall() == [(None,)]

    asyncio.run(main())


def test_holder_keys_are_kept_until_the_end_and_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    def pages() -> bytes:
        return b"".join(page.read_bytes() for page in tmp_path.glob("issuer.db*"))

    async def main() -> None:
        database = f"sqlite:///{file}"
        async with issuer_house(tmp_path, database=database, **LONG) as house:
            wallet, transaction = await _waiting(house)
            x = str(wallet.holder.public.to_jwk()["x"]).encode()
            assert x in pages()
            await _decide(house, "approve")
            assert (await wallet.poll(transaction)).status == 200
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(delivery_store.forget, NOW + house.settings.retry_window)
            with contextlib.closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("VACUUM")
                rows = connection.execute("SELECT count(*) FROM issuer_transactions").fetchone()
                claims = connection.execute("SELECT claims FROM issuer_grants").fetchone()
            assert rows == (0,)
            assert claims == (None,)
            _refused(await wallet.poll(transaction), "invalid_transaction_id")

    asyncio.run(main())


def test_a_cancelled_offer_keeps_no_holder_keys(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        database = f"sqlite:///{file}"
        async with issuer_house(tmp_path, database=database, **LONG) as house:
            offer = await house.offer(deferred=True)
            wallet = await house.holder(offer)
            transaction = wallet.promised(await wallet.ask()).transaction_id
            assert (await house.manage("DELETE", f"/offers/{offer['offer_id']}")).status == 204
            async with await Database.open(database, branch=BRANCH) as other:
                await other.run(retention_store.purge, now=NOW, keep_events_since=0)
            with contextlib.closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT count(*) FROM issuer_transactions").fetchone() == (0,)
            _refused(await wallet.poll(transaction), "invalid_token", status=401)

    asyncio.run(main())


def test_a_transaction_belongs_to_its_grant(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            victim, transaction = await _waiting(house)
            thief = await house.holder(await house.offer())
            await _decide(house, "approve")
            _refused(await thief.poll(transaction), "invalid_transaction_id")
            _refused(await victim.poll("unknown"), "invalid_transaction_id")
            assert (await victim.poll(transaction)).status == 200

    asyncio.run(main())


def test_a_transaction_ends_with_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, deferred_lifetime=600, **LONG) as house:
            wallet, transaction = await _waiting(house)
            house.clock.now += 600
            await wallet.nonces()
            _refused(await wallet.poll(transaction), "invalid_transaction_id")

    asyncio.run(main())


def test_each_poll_says_how_it_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            wallet, transaction = await _waiting(house)
            metadata = await wallet.metadata()
            assert metadata.response_encryption is not None
            sizes = set()
            for curve, enc in itertools.product(("P-256", "X25519"), ("A128GCM", "A256GCM")):
                key = AgreementKey.generate(curve, kid="k")  # type: ignore[arg-type]
                answer = await wallet.poll(transaction, response=ResponseParameters(key.public, enc))
                assert answer.status == 202
                assert answer.content_type == "application/jwt"
                sizes.add((curve, len(answer.body)))
            assert len(sizes) == 2  # padded: the size tells the curve only

    asyncio.run(main())


def test_envelopes_of_polls_are_as_strict_as_those_of_requests(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            wallet, transaction = await _waiting(house)
            plain = encode_deferred_request(DeferredRequest(transaction_id=transaction))
            answers = [
                await wallet.poll(transaction, response=None),
                await wallet.send(plain, path="/deferred_credential"),
                await wallet.send(plain, path="/deferred_credential", content_type="application/json"),
                await wallet.send(await wallet.seal(plain) + b"x", path="/deferred_credential"),
            ]
            good = await wallet.seal(plain)
            at_credential = await wallet.send(good + b"x")
            for answer in answers:
                _refused(answer, "invalid_encryption_parameters")
                assert answer.body == at_credential.body
            _refused(
                await wallet.send(await wallet.seal(b"{}"), path="/deferred_credential"),
                "invalid_credential_request",
            )
            assert (await wallet.poll(transaction)).status == 202

    asyncio.run(main())


def test_a_lenient_issuer_answers_plain_polls_plainly(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, require_encryption=False, **LONG) as house:
            wallet = await house.holder(await house.offer(deferred=True))
            body = encode_credential_request(await wallet.request(response=None))
            answer = await wallet.send(body, content_type="application/json")
            assert answer.status == 202
            promise = answer.json()
            assert promise.keys() == {"transaction_id", "interval"}
            poll = json.dumps({"transaction_id": promise["transaction_id"], "something": "else"})
            answer = await wallet.send(poll, path="/deferred_credential", content_type="application/json")
            assert (answer.status, answer.json()) == (202, promise)
            # And one who wants secrecy has it, whatever the request before was like.
            assert wallet.promised(await wallet.poll(promise["transaction_id"])).interval > 0

    asyncio.run(main())


def test_polls_may_be_signed_by_the_dpop_key_and_must_if_the_issuer_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, signed_requests="required", **LONG) as house:
            wallet, transaction = await _waiting(house, signed=True)
            _refused(await wallet.poll(transaction), "invalid_credential_request")
            assert (await wallet.poll(transaction, signed=True)).status == 202

    asyncio.run(main())


def test_a_proof_for_one_endpoint_is_not_good_at_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **LONG) as house:
            wallet, _ = await _waiting(house)
            headers = wallet.credential_headers("/credential")
            answer = await wallet.send(b"x", path="/deferred_credential", **headers)
            _refused(answer, "invalid_dpop_proof", status=401)
            answer = await wallet.send(b"x", path="/deferred_credential", authorization=None)
            _refused(answer, "invalid_token", status=401)

    asyncio.run(main())


def test_where_the_issuer_is_set_so_a_deferred_credential_can_be_notified_of(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, deferred_notifications=True, **LONG) as house:
            wallet, transaction = await _waiting(house)
            await _decide(house, "approve")
            first = wallet.given(await wallet.poll(transaction))
            second = wallet.given(await wallet.poll(transaction))
            assert first.notification_id == second.notification_id
            assert first.notification_id is not None
            assert (await wallet.notify(first.notification_id, "credential_accepted")).status == 204

    asyncio.run(main())


CSV = """
[[configurations]]
id = "identity"
vct = "https://issuer.example/identity"
[configurations.claims]
given_name = {{}}
[configurations.source]
kind = "csv"
path = "{path}"
key = "id"
missing = "{missing}"
claims = {{ given_name = "first" }}
"""


def _sourced(folder: Path, missing: str) -> dict[str, Any]:
    (folder / "people.csv").write_text("id,first\n1,Ada\n")
    (folder / "kinds.toml").write_text(CSV.format(path=folder / "people.csv", missing=missing))
    return {"configurations": folder / "kinds.toml", **LONG}


def test_a_source_that_is_not_ready_is_asked_again_at_each_poll(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_sourced(tmp_path, "deferred")) as house:
            wallet = await house.holder(await house.offer(claims=None, subject="2"))
            promise = wallet.promised(await wallet.ask())
            assert (await wallet.poll(promise.transaction_id)).status == 202
            (tmp_path / "people.csv").write_text("id,first\n1,Ada\n2,Grace Hopper\n")
            (text,) = wallet.open(await wallet.poll(promise.transaction_id))
            held = sd_cwt.check_issued(text, holder=wallet.holder.public, trust=await house.trust(), now=NOW)
            assert held.claims.to_json()["given_name"] == "Grace Hopper"

    asyncio.run(main())


def test_a_source_that_never_will_be_ready_denies(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_sourced(tmp_path, "denied")) as house:
            wallet = await house.holder(await house.offer(claims=None, subject="2"))
            _refused(await wallet.ask(), "credential_request_denied")
            known = await house.holder(await house.offer(claims=None, subject="1"))
            assert (await known.ask()).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(("state", "event"), list(itertools.product(deferral.STATES, deferral.EVENTS)))
def test_the_table_has_an_arrow_or_an_error(state: deferral.State, event: deferral.Event) -> None:
    expected = deferral.TRANSITIONS.get((state, event))
    if expected is not None:
        assert deferral.advance(state, event) == expected
        return
    with pytest.raises(SafeconductError) as error:
        deferral.advance(state, event)
    assert error.value.code == "transition_refused"


def test_the_metadata_says_where_to_ask(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            metadata = await house.wallet().metadata()
            assert metadata.deferred_credential_endpoint == f"{ISSUER}/deferred_credential"
            assert metadata.notification_endpoint == f"{ISSUER}/notification"

    asyncio.run(main())
