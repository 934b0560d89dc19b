"""The wallet with the real issuer: batches, formats, credentials that come later, lost answers, logins."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from tests import pki
from tests.flows.code_flow import ACCOUNTS, Browser

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.demo.holder import Holder, open_holder
from safeconduct.demo.parties import Parties, Room, open_parties
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.net.fetch import Fetcher, Response, Unreachable
from safeconduct.settings import KeyPlace, WalletSettings
from safeconduct.trust import Policy, Trust
from safeconduct.wallet import later, store
from safeconduct.wallet.records import Held
from safeconduct.wallet.safe import open_safe

NOON = 1_800_014_400
VERIFIER = "https://verifier.elsewhere.example"
CLAIMS = {"given_name": "Leokadia", "family_name": "Ostrzewska"}
CONFIGURATIONS = """
[[configurations]]
id = "identity"
vct = "https://issuer.example/identity"
also = { identity_sd_jwt = "dc+sd-jwt" }
[configurations.claims]
given_name = {}
family_name = {}
"""

Scene = Callable[[Parties, Holder], Awaitable[Any]]


class Clock:
    """One clock for everybody, which sleeping moves."""

    now = NOON

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(int(seconds), 1)


class Line:
    """The wallet's line, which loses the answers that a test wants lost: the request arrives all the same."""

    def __init__(self, line: Fetcher, lose: list[str]) -> None:
        self._line = line
        self._lose = lose

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        response = await self._line.request(method, url, **arguments)
        if self._lose and url.endswith(self._lose[0]):
            self._lose.pop(0)
            raise Unreachable("fetch_failed", "The answer was lost.")
        return response

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return await self._line.get_json(url, **arguments)

    async def close(self) -> None:
        await self._line.close()


class Stage:
    """Opens parties and a wallet for a scene. lose: ends of URLs whose next answers get lost."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.lose: list[str] = []
        self.urls: asyncio.Queue[str] = asyncio.Queue()
        self.settings: dict[str, Any] = {"credentials_per_identifier": 10}

    def play(self, scene: Scene, **settings: Any) -> Any:
        (self.directory / "kinds.toml").write_text(CONFIGURATIONS)
        wanted = {"configurations": self.directory / "kinds.toml", **self.settings, **settings}

        async def main() -> Any:
            opened = open_parties(self.directory, network=Room(), clock=self.clock, issuer_settings=wanted)
            async with (
                opened as parties,
                open_holder(
                    parties,
                    self.directory / "wallet",
                    through=lambda line: Line(line, self.lose),
                    sleep=self.clock.sleep,
                    browse=self.urls.put_nowait,
                ) as holder,
            ):
                return await scene(parties, holder)

        return asyncio.run(main())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with its files in a temporary directory."""
    return Stage(tmp_path)


async def refusal(work: Awaitable[Any]) -> str:
    with pytest.raises(SafeconductError) as error:
        await work
    return error.value.code


def codes(holder: Holder) -> list[str]:
    return [notice.code for notice in holder.notices]


async def issued(parties: Parties) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await parties.manage("GET", "/issued")).json()["issued"]
    return found


async def instances(holder: Holder, name: str) -> Any:
    async with open_safe(WalletSettings(store=holder.directory)) as safe:
        return await safe.run(store.list_instances, name)


def sent(holder: Holder, end: str) -> list[Any]:
    """What the wallet sent there, without what was only asked for a nonce."""
    found = [exchange for exchange in holder.tape if exchange.url.endswith(end)]
    return [exchange for exchange in found if b"use_dpop_nonce" not in exchange.response_body]


# Batches.


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through the server"])
def test_a_batch_is_one_credential_for_many_presentations(stage: Stage, through: bool) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        wallet = holder.wallet
        via = parties.wallet_server.url if through else None
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await wallet.accept(offer.uri, batch=3, via=via)
        assert (held.instances, held.unused) == (3, 3)
        kept = await instances(holder, held.id)
        assert len({instance.holder_key for instance in kept}) == 3
        assert len({instance.token for instance in kept}) == 3
        shown = []
        for left in (2, 1, 0):
            outcome = await wallet.present_to(held.id, verifier=parties.verifier.url, disclose=["given_name"])
            assert outcome.accepted
            shown.append(json.dumps(outcome.claims["cnf"]))
            [now] = await wallet.list()
            assert now.unused == left
        assert len(set(shown)) == 3
        assert codes(holder) == ["instances_used_up"]
        again = wallet.present_to(held.id, verifier=parties.verifier.url, disclose=[])
        assert await refusal(again) == "instances_used_up"
        outcome = await wallet.present_to(held.id, verifier=parties.verifier.url, disclose=[], reuse=True)
        assert outcome.accepted
        assert codes(holder) == ["instances_used_up", "instance_reused"]

    stage.play(scene)


def test_a_batch_is_no_larger_than_the_issuer_gives(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, batch=9)
        assert held.instances == 4
        assert codes(holder) == ["batch_capped"]
        offer = await parties.offer(CLAIMS, tx_code=False)
        assert (await holder.wallet.accept(offer.uri, batch=0)).instances == 4

    stage.play(scene, batch_size=4)


def test_two_who_present_at_once_show_two_instances(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, batch=2)
        present = {"disclose": [], "audience": VERIFIER, "nonce": b"n" * 16}
        shown = await asyncio.gather(*(holder.wallet.present(held.id, **present) for _ in range(2)))
        kept = await instances(holder, held.id)
        assert [instance.used for instance in kept] == [1, 1]
        assert shown[0] != shown[1]

    stage.play(scene)


def test_a_presentation_that_fails_uses_nothing(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, batch=2)
        wrong = holder.wallet.present(held.id, disclose=["iban"], audience=VERIFIER, nonce=None)
        assert await refusal(wrong) == "claim_not_found"
        [now] = await holder.wallet.list()
        assert now.unused == 2

    stage.play(scene)


# SD-JWT VC.


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through the server"])
def test_an_sd_jwt_vc_is_accepted_shown_and_presented(stage: Stage, through: bool) -> None:
    async def scene(parties: Parties, holder: Holder) -> tuple[bytes, Any]:
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        via = parties.wallet_server.url if through else None
        held = await holder.wallet.accept(offer.uri, via=via)
        assert (held.format, codes(holder)) == ("dc+sd-jwt", [])
        shown = await holder.wallet.show(held.id)
        assert shown.claims["family_name"] == "Ostrzewska"
        assert set(shown.withholdable) == {"given_name", "family_name"}
        presenting = {"disclose": ["given_name"], "audience": VERIFIER}
        missing = holder.wallet.present(held.id, **presenting, nonce=None)
        assert await refusal(missing) == "nonce_missing"
        presentation = await holder.wallet.present(held.id, **presenting, nonce=b"nonce-of-theirs")
        async with parties.network.fetcher() as line:
            published = await line.get_json(f"{parties.issuer.url}/.well-known/jwt-vc-issuer")
        return presentation, published

    presentation, published = stage.play(scene)
    keys = [PublicKey.from_jwk(jwk) for jwk in published["jwks"]["keys"]]
    trust = Trust.of({"https://issuer.example": keys})
    policy = Policy(audience=VERIFIER, nonce="nonce-of-theirs")
    verified = sd_jwt.verify(presentation.decode(), trust=trust, policy=policy, now=NOON)
    assert verified.claims["given_name"] == "Leokadia"
    assert "family_name" not in verified.claims


# Later.


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through the server"])
def test_a_credential_that_comes_later_is_waited_for(stage: Stage, through: bool) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False, deferred=True)
        via = parties.wallet_server.url if through else None
        waiting = await holder.wallet.accept(offer.uri, via=via)
        assert (waiting.stage, waiting.not_before) == ("deferred", NOON + 1)
        assert await holder.wallet.list() == ()
        assert await holder.wallet.pending() == (waiting,)
        [early] = await holder.wallet.fetch()
        assert early == waiting
        stage.clock.now += 1
        [still] = await holder.wallet.fetch(waiting.id)
        assert (still.id, still.not_before) == (waiting.id, NOON + 2)
        await parties.approve()
        [held] = await holder.wallet.fetch(waiting.id, wait=10)
        assert held.id == waiting.id
        assert await holder.wallet.list() == (held,)
        assert await holder.wallet.pending() == ()
        assert codes(holder) == []
        way = "/forward/deferred" if through else "/deferred_credential"
        polls = [exchange.request_body for exchange in sent(holder, way)]
        assert len(set(polls)) == len(polls) == 2
        assert bool(sent(holder, "/deferred_credential")) is not through

    stage.play(scene, deferred_interval=1)


def test_accepting_waits_as_long_as_it_is_told(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False, deferred=True)
        waiting = await holder.wallet.accept(offer.uri, wait=25)
        assert waiting.stage == "deferred"
        assert stage.clock.now == NOON + 25
        assert len(sent(holder, "/deferred_credential")) == 2

    stage.play(scene, deferred_interval=10)


def test_a_credential_that_is_denied_in_the_end_is_forgotten(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False, deferred=True)
        waiting = await holder.wallet.accept(offer.uri)
        [row] = (await parties.manage("GET", "/deferred")).json()["deferred"]
        await parties.manage("POST", f"/deferred/{row['transaction_id']}/deny")
        stage.clock.now += 60
        assert await refusal(holder.wallet.fetch(waiting.id)) == "credential_denied"
        assert await holder.wallet.pending() == ()

    stage.play(scene)


def test_a_token_that_ends_while_the_issuer_takes_its_time_is_renewed(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False, deferred=True)
        await holder.wallet.accept(offer.uri)
        await parties.approve()
        stage.clock.now += 86400
        [held] = await holder.wallet.fetch()
        assert await holder.wallet.list() == (held,)
        assert len(sent(holder, "/token")) >= 2

    stage.play(scene, refresh_token_lifetime=30 * 86400)


# Lost answers.


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_keys(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        assert await refusal(holder.wallet.accept(offer.uri, batch=2)) == "fetch_failed"
        [waiting] = await holder.wallet.pending()
        assert waiting.stage == "requested"
        async with open_safe(WalletSettings(store=holder.directory)) as safe:
            [pending] = await safe.run(store.list_pending)
        [held] = await holder.wallet.resume()
        assert (held.id, held.instances) == (waiting.id, 2)
        kept = await instances(holder, held.id)
        assert {instance.holder_key for instance in kept} == set(pending.holder_keys)
        assert [row["count"] for row in await issued(parties)] == [2]
        assert await holder.wallet.pending() == ()

    stage.play(scene)


def test_after_a_crash_the_next_command_asks_again(stage: Stage) -> None:
    async def crash(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))

    async def next_day(parties: Parties, holder: Holder) -> None:
        stage.clock.now += 121
        offer = await parties.offer(CLAIMS, tx_code=False)
        await holder.wallet.accept(offer.uri)
        assert len(await holder.wallet.list()) == 2
        assert [row["count"] for row in await issued(parties)] == [1, 1]

    stage.play(crash)
    stage.play(next_day)


def test_a_request_whose_token_has_ended_is_given_up(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))
        stage.clock.now += 301
        assert await holder.wallet.resume() == ()
        assert codes(holder) == ["token_refused"]
        assert await holder.wallet.pending() == ()

    stage.play(scene)


def test_a_request_can_be_deleted(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))
        [waiting] = await holder.wallet.pending()
        await holder.wallet.delete(waiting.id[:4])
        assert await holder.wallet.pending() == ()
        assert await refusal(holder.wallet.delete(waiting.id)) == "credential_unknown"

    stage.play(scene)


def test_an_issuer_that_never_answers_does_not_hear_of_every_use_of_the_wallet(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))
        stage.clock.now += later.GIVEN_UP + 1
        heard = len(holder.tape)
        assert await holder.wallet.fetch() == ()
        assert len(holder.tape) == heard
        [held] = await holder.wallet.resume()  # as the user says so
        assert await holder.wallet.list() == (held,)

    stage.play(scene, access_token_lifetime=2 * later.GIVEN_UP)


def test_a_token_that_is_lost_is_asked_for_again(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        # The first answer is the challenge for a nonce, which the wallet has to see.
        stage.lose.extend(["/token"])
        held = await holder.wallet.accept(offer.uri)
        assert await holder.wallet.list() == (held,)

    stage.play(scene)


def test_a_request_that_another_process_took_up_is_left_to_it_for_a_while(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))
        [waiting] = await holder.wallet.pending()
        async with open_safe(WalletSettings(store=holder.directory)) as safe:
            assert await safe.run(store.claim_pending, waiting.id, now=stage.clock.now, seconds=120)
        heard = len(holder.tape)
        assert await holder.wallet.resume() == (waiting,)
        assert len(holder.tape) == heard
        stage.clock.now += later.ABANDONED
        stage.lose.extend(["/credential"])
        assert await holder.wallet.resume() == ()  # what fails is left to the next at once
        [held] = await holder.wallet.resume()
        assert await holder.wallet.list() == (held,)

    stage.play(scene)


def test_two_processes_that_resume_at_once_keep_one_credential(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/credential"])
        await refusal(holder.wallet.accept(offer.uri))
        async with open_holder(parties, holder.directory, sleep=stage.clock.sleep) as other:
            found = await asyncio.gather(holder.wallet.resume(), other.wallet.resume())
        [held] = await holder.wallet.list()
        assert held in {outcome for [outcome] in found if isinstance(outcome, Held)}
        assert len(await instances(holder, held.id)) == 1
        assert [row["count"] for row in await issued(parties)] == [1]

    stage.play(scene)


# Notifications.


def test_the_issuer_is_told_directly_what_became_of_it(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)
        assert [row["state"] for row in await issued(parties)] == ["accepted"]
        await holder.wallet.delete(held.id)
        assert [row["state"] for row in await issued(parties)] == ["deleted"]
        told = sent(holder, "/notification")
        events = [json.loads_object(exchange.request_body)["event"] for exchange in told]
        assert events == ["credential_accepted", "credential_deleted"]
        assert all(exchange.url.startswith(parties.issuer.url) for exchange in told)
        assert codes(holder) == []

    stage.play(scene)


def test_a_credential_that_does_not_stand_the_checks_is_reported_to_the_issuer(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        await holder.wallet.trust(parties.issuer.url, keys=[Key.generate("ES256").public])
        offer = await parties.offer(CLAIMS, tx_code=False)
        assert await refusal(holder.wallet.accept(offer.uri)) == "signature_invalid"
        assert [row["state"] for row in await issued(parties)] == ["failed"]
        assert await holder.wallet.list() == ()
        assert await holder.wallet.pending() == ()

    stage.play(scene)


def test_an_issuer_that_cannot_be_told_is_left_alone(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        stage.lose.extend(["/notification", "/notification"])
        held = await holder.wallet.accept(offer.uri)
        await holder.wallet.delete(held.id)
        assert codes(holder) == ["notification_failed", "notification_failed"]
        assert await holder.wallet.list() == ()

    stage.play(scene)


# Renewal.


def test_a_credential_is_renewed_without_an_offer(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, batch=2)
        before = {instance.token for instance in await instances(holder, held.id)}
        stage.clock.now += 86400
        renewed = await holder.wallet.renew(held.id, via=parties.wallet_server.url)
        assert await holder.wallet.list() == (renewed,)
        after = {instance.token for instance in await instances(holder, renewed.id)}
        assert len(after) == 2
        assert not before & after

    stage.play(scene, refresh_token_lifetime=30 * 86400)


def test_a_refresh_token_goes_to_nobody_but_the_server_that_gave_it(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri)
        async with open_safe(WalletSettings(store=holder.directory)) as safe:
            _, stored = await safe.run(store.find_stored, held.id)
            assert stored.access is not None
            access = msgspec.structs.replace(stored.access, token_endpoint=f"{VERIFIER}/token")
            changed = msgspec.structs.replace(stored, access=access)
            await safe.run(store.replace_credential, held.id, changed)
        stage.clock.now += 86400
        asked = len(sent(holder, f"{parties.issuer.url}/token"))
        assert await refusal(holder.wallet.renew(held.id)) == "fetch_failed"
        assert len(sent(holder, f"{parties.issuer.url}/token")) == asked

    stage.play(scene, refresh_token_lifetime=30 * 86400)


def test_without_a_refresh_token_nothing_is_renewed(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri)
        assert await refusal(holder.wallet.renew(held.id)) == "renewal_impossible"

    stage.play(scene)


# Whom to believe.


def certified(stage: Stage) -> tuple[pki.Authority, dict[str, Any]]:
    root = pki.Authority.root()
    key = Key.generate("ES256")
    chain = root.chain(key, uris=("https://issuer.example",))
    (stage.directory / "key.pem").write_text(key.to_pem(private=True))
    (stage.directory / "chain.pem").write_text(pki.pem(*chain))
    (stage.directory / "key.pem").chmod(0o600)
    files = {
        "signing_key": KeyPlace(stage.directory / "key.pem"),
        "signing_certificate": stage.directory / "chain.pem",
    }
    return root, files


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through the server"])
def test_a_pinned_authority_vouches_for_metadata_and_credentials(stage: Stage, through: bool) -> None:
    root, files = certified(stage)

    async def scene(parties: Parties, holder: Holder) -> None:
        await holder.wallet.trust(parties.issuer.url, certificates=[pki.pem(root.certificate)])
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        via = parties.wallet_server.url if through else None
        held = await holder.wallet.accept(offer.uri, via=via)
        assert (held.format, codes(holder)) == ("dc+sd-jwt", [])
        described = [exchange.url for exchange in holder.tape if "openid-credential-issuer" in exchange.url]
        passed = [exchange.url for exchange in holder.tape if "/metadata?issuer=" in exchange.url]
        assert (len(described), len(passed)) == ((0, 1) if through else (1, 0))
        assert not sent(holder, "/.well-known/jwt-vc-issuer")

    stage.play(scene, **files)


def test_another_authority_is_believed_in_nothing(stage: Stage) -> None:
    _root, files = certified(stage)

    async def scene(parties: Parties, holder: Holder) -> None:
        other = pki.pem(pki.Authority.root().certificate)
        await holder.wallet.trust(parties.issuer.url, certificates=[other])
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        assert await refusal(holder.wallet.accept(offer.uri)) == "x5c_untrusted"
        assert not sent(holder, "/token")

    stage.play(scene, **files)


def test_an_issuer_that_stops_signing_is_refused(stage: Stage) -> None:
    root, files = certified(stage)

    async def accept(parties: Parties, holder: Holder) -> Any:
        await holder.wallet.trust(parties.issuer.url, certificates=[pki.pem(root.certificate)])
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        return await holder.wallet.accept(offer.uri)

    async def accept_again(parties: Parties, holder: Holder) -> str:
        return await refusal(accept(parties, holder))

    stage.play(accept, **files)
    assert stage.play(accept_again, signing_key=files["signing_key"]) == "signature_downgraded"


@pytest.mark.parametrize("keys", [False, True], ids=["its own word", "a key"])
def test_an_issuer_whose_authority_is_not_pinned_any_more_need_not_sign(stage: Stage, keys: bool) -> None:
    root, files = certified(stage)
    key = Key.from_pem((stage.directory / "key.pem").read_text()).public

    async def scene(parties: Parties, holder: Holder) -> None:
        await holder.wallet.trust(parties.issuer.url, certificates=[pki.pem(root.certificate)])
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        await holder.wallet.accept(offer.uri)
        await holder.wallet.trust(parties.issuer.url, keys=[key] if keys else [])
        offer = await parties.offer(CLAIMS, tx_code=False, configuration="identity_sd_jwt")
        await holder.wallet.accept(offer.uri)
        assert len(await holder.wallet.list()) == 2

    stage.play(scene, **files)


# Logging in.


async def log_in(stage: Stage, parties: Parties, decision: str = "allow") -> str:
    """Be the user in the browser; return where the browser is sent in the end."""
    url = await stage.urls.get()
    async with (
        parties.network.fetcher() as fetcher,
        httpx2.AsyncClient(transport=fetcher._transport) as client,
    ):
        browser = Browser(client)
        await browser.open(url)
        await browser.sign_in()
        return await browser.decide(decision)


async def come_back(url: str) -> int:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).status_code


def login_settings(stage: Stage, policy: str = "loopback") -> dict[str, Any]:
    (stage.directory / "accounts.toml").write_text(ACCOUNTS)
    return {"accounts": stage.directory / "accounts.toml", "unregistered_clients": policy}


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through the server"])
def test_a_credential_is_asked_for_by_logging_in(stage: Stage, through: bool) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        via = parties.wallet_server.url if through else None
        wish = holder.wallet.request(parties.issuer.url, configuration="identity", via=via, batch=2)
        asking = asyncio.create_task(wish)
        back = await log_in(stage, parties)
        assert back.startswith("http://127.0.0.1:")
        assert await come_back(back.replace("/callback", "/favicon.ico")) == 404
        # Nor can another program, or a page in the browser, end the login: it does not know the state.
        assert await come_back(back.replace("state=", "state=x")) == 404
        assert await come_back(back) == 200
        held = await asking
        assert held.instances == 2
        shown = await holder.wallet.show(held.id)
        assert shown.claims["given_name"] == "Erika"
        assert codes(holder) == []

    stage.play(scene, **login_settings(stage))


def test_an_offer_may_want_a_login(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False, grants=["authorization_code"])
        asking = asyncio.create_task(holder.wallet.accept(offer.uri))
        await come_back(await log_in(stage, parties))
        held = await asking
        shown = await holder.wallet.show(held.id)
        assert shown.claims["given_name"] == "Leokadia"

    stage.play(scene, **login_settings(stage))


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (lambda url: url.replace("iss=https", "iss=https%3A%2F%2Fevil"), "iss_mismatch"),
        (lambda url: url.partition("&iss=")[0], "iss_missing"),
    ],
    ids=["another server's", "nobody's"],
)
def test_an_answer_that_is_another_s_is_refused(stage: Stage, bend: Any, code: str) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        wish = holder.wallet.request(parties.issuer.url, configuration="identity")
        asking = asyncio.create_task(wish)
        await come_back(bend(await log_in(stage, parties)))
        assert await refusal(asking) == code
        tokens = [exchange for exchange in holder.tape if exchange.url.endswith("/token")]
        assert tokens == []

    stage.play(scene, **login_settings(stage))


def test_a_user_who_says_no_is_heard(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        wish = holder.wallet.request(parties.issuer.url, configuration="identity")
        asking = asyncio.create_task(wish)
        await come_back(await log_in(stage, parties, "deny"))
        assert await refusal(asking) == "authorization_refused"

    stage.play(scene, **login_settings(stage))


def test_an_issuer_that_does_not_know_the_wallet_says_so(stage: Stage) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        wish = holder.wallet.request(parties.issuer.url, configuration="identity")
        assert await refusal(wish) == "client_refused"

    stage.play(scene, **login_settings(stage, "refused"))
