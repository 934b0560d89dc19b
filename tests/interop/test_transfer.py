"""Wallets of other makers at the other end of a transfer, through our running relay and issuer.

A program in JavaScript, written from the description of the messages and from the drafts, opens links
and makes some; @openid4vc/openid4vci and @sphereon/oid4vci-client (npm) redeem what was in them, each for a
key of its own.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from tests.interop.peer import Peer, Refused
from tests.services.live import ADMIN_TOKEN, Live, live_issuer, live_relay, live_status

from safeconduct import Key, PublicKey, Trust, sd_jwt
from safeconduct.demo.parties import Sockets, port_of
from safeconduct.errors import Rejected
from safeconduct.settings import DatabaseUrl, IssuerSettings, KeyPlace, WalletSettings
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing.receiving import ShareQuestion, Terms
from safeconduct.wallet.sharing.records import Level, Shared, Standing
from safeconduct.wallet.sharing.sending import Wish
from safeconduct.wallet.wallet import Wallet, open_wallet

pytestmark = pytest.mark.interop

CONFIGURATIONS = """
[[configurations]]
id = "car_key"
format = "dc+sd-jwt"
vct = "https://issuer.example/car-key"
status = true
[configurations.claims]
vehicle = { mandatory = true }
owner = {}
"access_rights[]" = {}
[configurations.sharing]
rights = "access_rights"
claims = ["vehicle", "access_rights"]
max_receivers = 20
"""
CLAIMS = {"vehicle": "A 1", "owner": "Erika", "access_rights": ["unlock", "start"]}
SHARED = {"vehicle": "A 1", "access_rights": ["unlock"]}
LIBRARIES = ("openid4vc", "sphereon")
LETTERS: dict[Level, str] = {"link": "l", "pin": "p"}
BUCKETS = {512 << power for power in range(6)}
VALID, INVALID = 0, 1
MANAGEMENT = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass
class Site:
    """The running services, and somebody's wallet with a car key. key: which the issuer signs with."""

    issuer: Live
    relay: Live
    status: Live
    folder: Path
    key: PublicKey

    def offer(self, **members: Any) -> dict[str, Any]:
        """An offer that the issuer's management makes. offer: the object itself."""
        body = {"configuration_id": "car_key", "claims": CLAIMS, **members}
        answer = httpx2.post(f"{self.issuer.admin}/offers", headers=MANAGEMENT, json=body)
        assert answer.is_success, answer.text
        made = answer.json()
        (text,) = parse_qs(urlsplit(made["offer_uri"]).query)["credential_offer"]
        return {**made, "offer": json.loads(text)}

    @contextlib.asynccontextmanager
    async def wallet(self, name: str) -> AsyncIterator[Wallet]:
        settings = WalletSettings(store=self.folder / name, allow_loopback_http=True, relay=self.relay.public)
        async with open_wallet(settings, clock=now) as wallet:
            yield wallet

    async def car_key(self, wallet: Wallet) -> str:
        """The id of the wallet's car key, which it gets unless it has one."""
        held = await wallet.list()
        if held:
            return held[0].id
        return (await wallet.accept(self.offer()["offer_uri"])).id

    def claims(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The claims of a credential that is the issuer's and is bound to the key in `holder`."""
        key = PublicKey.from_jwk(answer["holder"])
        trust = Trust.of({self.issuer.public: self.key})
        held = sd_jwt.check_issued(answer["credential"], holder=key, trust=trust, now=now())
        return held.claims.to_json()

    def standing(self, reader: Peer, claims: dict[str, Any]) -> int:
        """How a credential stands in the published list, as a foreign library reads that."""
        assert httpx2.post(f"{self.status.admin}/publish", headers=MANAGEMENT).is_success
        place = claims["status"]["status_list"]
        answer = httpx2.get(place["uri"], headers={"Accept": "application/statuslist+jwt"})
        found = reader.ask("statuses", token=answer.text, indexes=[place["idx"]])
        return int(found["statuses"][0])


def now() -> int:
    return int(time.time())


def opened_site(folder: Path, *, require_encryption: bool) -> contextlib.AbstractContextManager[Site]:
    return contextlib.contextmanager(_site)(folder, require_encryption)


def _site(folder: Path, require_encryption: bool) -> Iterator[Site]:
    (folder / "kinds.toml").write_text(CONFIGURATIONS)
    key = Key.generate("ES256")
    (folder / "issuer.pem").write_text(key.to_pem(private=True))
    network = Sockets()
    issuer_url, relay_url, status_url = (network.address(name) for name in ("issuer", "relay", "status"))
    settings: dict[str, Any] = {
        "identifier": issuer_url,
        "port": port_of(issuer_url),
        "database": DatabaseUrl(f"sqlite:///{folder}/issuer.db"),
        "signing_key": KeyPlace(folder / "issuer.pem"),
        "configurations": folder / "kinds.toml",
        "status_list_uri": f"{status_url}/.well-known/status-lists",
        "status_list_size": 4096,
        "require_encryption": require_encryption,
    }
    with (
        live_issuer(folder, **settings) as issuer,
        live_relay(folder, identifier=relay_url, port=port_of(relay_url)) as relay,
        live_status(
            folder,
            issuer=IssuerSettings(**settings),
            identifier=status_url,
            port=port_of(status_url),
            key=KeyPlace(folder / "status.pem"),
        ) as status,
    ):
        yield Site(issuer, relay, status, folder, key.public)
        assert issuer.failures == relay.failures == status.failures == []


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """By library: an issuer as it is unless told otherwise, and one for wallets that encrypt nothing."""
    with (
        opened_site(tmp_path_factory.mktemp("strict"), require_encryption=True) as strict,
        opened_site(tmp_path_factory.mktemp("lenient"), require_encryption=False) as lenient,
    ):
        yield {"openid4vc": strict, "sphereon": lenient}


async def standing_of(wallet: Wallet, shared: Shared) -> Standing:
    return next(found for found in await wallet.shares() if found.id == shared.id)


def redeem_bound(site: Site, peer: Peer, library: str) -> None:
    """The offer that was opened is redeemed with the key that it is bound to, and with no other."""
    peer.ask("begin", library=library)
    with pytest.raises(Refused, match="invalid_proof"):
        peer.ask("redeem")
    claims = site.claims(peer.ask("redeemBound"))
    assert {name: claims.get(name) for name in CLAIMS} == {**SHARED, "owner": None}


def another(pin: str) -> str:
    """Another PIN of the same form."""
    return pin[:-1] + str((int(pin[-1]) + 1) % 10)


@pytest.mark.parametrize("level", LETTERS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_p21_a_wallet_of_another_maker_redeems_a_share(
    transfer_peer: Peer, health_card_peer: Peer, sites: dict[str, Site], library: str, level: Level
) -> None:
    site = sites[library]

    async def story() -> None:
        async with site.wallet("sender") as wallet:
            shared = await wallet.share(
                await site.car_key(wallet), Wish(level=level, entitlements=("unlock",))
            )
            opened = transfer_peer.ask("openLink", link=shared.link)
            assert (opened["suffix"], opened["n"]) == (f"2{LETTERS[level]}", 1)
            assert opened["size"] in BUCKETS
            assert opened["share"]["id"] == shared.share_id
            assert opened["share"]["issuer"] == opened["offer"]["credential_issuer"] == site.issuer.public
            assert (await standing_of(wallet, shared)).relay_state == "claimed"

            transfer_peer.ask("begin", library=library)
            if shared.tx_code is not None:
                with pytest.raises(Refused):
                    transfer_peer.ask("redeem", txCode=another(shared.tx_code))
            answer = transfer_peer.ask("redeem", txCode=shared.tx_code)
            claims = site.claims(answer)
            assert {name: claims.get(name) for name in CLAIMS} == {**SHARED, "owner": None}
            if library == "openid4vc":
                assert transfer_peer.ask("notify", id=answer["notificationId"]) == 204
            transfer_peer.ask("delete")

            seen = await standing_of(wallet, shared)
            assert (seen.issuer_state, seen.relay_state) == ("issued", "gone")
            assert site.standing(health_card_peer, claims) == VALID
            assert (await wallet.revoke_share(shared.id)).issuer == "revoked"
            assert site.standing(health_card_peer, claims) == INVALID

    asyncio.run(story())


@pytest.mark.parametrize("library", LIBRARIES)
def test_s3_a_wallet_of_another_maker_compares_digits_and_redeems_with_that_key_alone(
    transfer_peer: Peer, sites: dict[str, Site], library: str
) -> None:
    site = sites[library]

    async def story() -> None:
        async with site.wallet("sender") as wallet:
            wish = Wish(level="approve", entitlements=("unlock",))
            shared = await wallet.share(await site.car_key(wallet), wish)
            assert transfer_peer.ask("answer", link=shared.link) == "2a"
            ours = (await wallet.approve(shared.id, confirm=lambda _digits: None)).digits
            theirs = transfer_peer.ask("digits")
            assert ours == theirs
            await wallet.approve(shared.id, confirm=lambda digits: digits == theirs)
            opened = transfer_peer.ask("openReleased")
            assert opened["share"]["id"] == shared.share_id
            redeem_bound(site, transfer_peer, library)
            assert (await standing_of(wallet, shared)).issuer_state == "issued"

    asyncio.run(story())


@pytest.mark.parametrize("place", ["relay", "file"])
def test_s4_s9_what_is_shared_for_a_card_of_another_maker_is_opened_by_its_key(
    transfer_peer: Peer, sites: dict[str, Site], place: Literal["relay", "file"]
) -> None:
    site = sites["openid4vc"]

    async def story() -> None:
        async with site.wallet("sender") as wallet:
            await wallet.add_contact(transfer_peer.ask("card", name="Anna"), name=f"Anna {place}")
            wish = Wish(level="key", entitlements=("unlock",), place=place)
            shared = await wallet.share(await site.car_key(wallet), wish, to=f"Anna {place}")
            if place == "file":
                opened = transfer_peer.ask("openFile", text=shared.link)
            else:
                opened = transfer_peer.ask("openAddressed", link=shared.link)
                assert opened["suffix"] == "2k"
            assert opened["share"]["id"] == shared.share_id
            redeem_bound(site, transfer_peer, "openid4vc")
            assert (await standing_of(wallet, shared)).issuer_state == "issued"

    asyncio.run(story())


def test_a2_without_the_proof_that_the_description_asks_for_nothing_is_claimed(
    transfer_peer: Peer, sites: dict[str, Site]
) -> None:
    site = sites["openid4vc"]

    async def story() -> None:
        async with site.wallet("sender") as wallet:
            shared = await wallet.share(await site.car_key(wallet), Wish(level="link"))
            with pytest.raises(Refused, match="401 claim_proof_missing"):
                transfer_peer.ask("openLink", link=shared.link, proves=False)
            assert shared.link is not None
            mailbox, _, fragment = shared.link.partition("#")
            turned = ("B" if fragment[0] == "A" else "A") + fragment[1:]
            with pytest.raises(Refused, match="401 claim_proof_wrong"):
                transfer_peer.ask("openLink", link=f"{mailbox}#{turned}")
            assert (await standing_of(wallet, shared)).relay_state == "unclaimed"

    asyncio.run(story())


@pytest.mark.parametrize("secret_bytes", [16, 32])
def test_p21_a_wallet_that_knows_the_drafts_alone_shares_with_ours(
    transfer_peer: Peer, sites: dict[str, Site], secret_bytes: int
) -> None:
    site = sites["openid4vc"]
    made = site.offer(tx_code=True)
    link = transfer_peer.ask(
        "shareDraft", relay=site.relay.public, offer=made["offer"], title="A car key", bytes=secret_bytes
    )
    assert link.endswith("=")
    asked: list[ShareQuestion] = []

    def ask(question: ShareQuestion) -> bool:
        asked.append(question)
        return True

    async def story() -> None:
        async with site.wallet(f"receiver-{secret_bytes}") as wallet:
            held = await wallet.receive(link, Terms(ask=ask, tx_code=made["tx_code"]))
            assert isinstance(held, Held)
            claims = (await wallet.show(held.id)).claims
            assert {name: claims[name] for name in CLAIMS} == CLAIMS

    asyncio.run(story())
    assert [(question.step, question.legacy) for question in asked] == [("claim", True), ("redeem", True)]
    assert asked[0].title == "A car key"
    with pytest.raises(Refused, match="404 mailbox_unknown"):
        transfer_peer.ask("read")


def test_our_wallet_takes_nothing_of_the_drafts_that_its_user_does_not_want(
    transfer_peer: Peer, sites: dict[str, Site]
) -> None:
    site = sites["openid4vc"]
    link = transfer_peer.ask(
        "shareDraft", relay=site.relay.public, offer=site.offer()["offer"], title="A car key", bytes=16
    )

    async def story() -> None:
        async with site.wallet("wary") as wallet:
            with pytest.raises(Rejected, match="did not agree"):
                await wallet.receive(link, Terms(ask=lambda question: not question.legacy))
            assert not await wallet.list()

    asyncio.run(story())
    assert transfer_peer.ask("read")["state"] == "unclaimed"


@pytest.mark.parametrize("level", LETTERS)
def test_p21_our_wallet_shares_with_one_that_knows_the_drafts_alone(
    transfer_peer: Peer, sites: dict[str, Site], level: Level
) -> None:
    site = sites["openid4vc"]

    async def story() -> None:
        async with site.wallet("sender") as wallet:
            wish = Wish(level=level, entitlements=("unlock",), payloads="draft")
            shared = await wallet.share(await site.car_key(wallet), wish)
            opened = transfer_peer.ask("openDraftLink", link=shared.link)
            assert (opened.get("suffix"), opened["type"]) == (None, "AEAD_AES_256_GCM")
            transfer_peer.ask("begin", library="openid4vc")
            claims = site.claims(transfer_peer.ask("redeem", txCode=shared.tx_code))
            assert {name: claims.get(name) for name in CLAIMS} == {**SHARED, "owner": None}
            transfer_peer.ask("delete")
            assert (await standing_of(wallet, shared)).issuer_state == "issued"

    asyncio.run(story())


def test_what_the_client_of_sphereon_does_not_do(transfer_peer: Peer, sites: dict[str, Site]) -> None:
    """It sends one `proof` as drafts had it, proves no key where it notifies, and encrypts nothing."""

    async def story(site: Site, operation: str, because: str) -> None:
        async with site.wallet("sender") as wallet:
            shared = await wallet.share(await site.car_key(wallet), Wish(level="link"))
            transfer_peer.ask("openLink", link=shared.link)
            transfer_peer.ask("begin", library="sphereon")
            with pytest.raises(Refused, match=because):
                transfer_peer.ask(operation)

    asyncio.run(story(sites["sphereon"], "redeemWhole", "400"))
    asyncio.run(story(sites["sphereon"], "redeemAndNotify", "invalid_token"))
    asyncio.run(story(sites["openid4vc"], "redeem", "invalid_encryption_parameters"))
