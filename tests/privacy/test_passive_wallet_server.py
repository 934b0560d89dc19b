"""A wallet server that follows the protocol learns nothing: its traffic, log and files are searched."""

from typing import Any

from safeconduct.demo.attacks import Plan, fight
from safeconduct.demo.holder import Holder, open_holder, secrets_of
from safeconduct.demo.hostile import forward
from safeconduct.demo.parties import Parties
from safeconduct.demo.secrets_search import search
from safeconduct.demo.story import CLAIMS
from safeconduct.encoding import json
from safeconduct.net.fetch import Fetcher, Response
from safeconduct.wallet.issuers import Issuer


async def _issue(parties: Parties, holder: Holder) -> Any:
    offer = await parties.offer(CLAIMS, tx_code=True)
    held = await holder.wallet.accept(offer.uri, tx_code=offer.tx_code, via=parties.wallet_server.url)
    return secrets_of(holder, await holder.credential(held), offer, CLAIMS)


def test_nothing_secret_is_in_its_traffic_log_or_files(stage: Any) -> None:
    async def scene(parties: Parties) -> None:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            secrets = await _issue(parties, holder)
            assert holder.notices == []
            known = parties.wallet_server.known()
            needles = secrets.unshareable()
            assert {name: len(content) > 0 for name, content in known.items()} == dict.fromkeys(known, True)
            assert search(known, needles) == ()
            # The same search finds every one of them at the wallet, so it is not blind.
            assert {found.needle for found in search(await holder.known(), needles)} == {
                n.name for n in needles
            }
            # And it finds in the server's traffic what may be there.
            assert [found.place for found in search(known, secrets.access_token)] == ["traffic"]

    stage.play(scene)


def test_its_files_hold_nothing_after_it_has_stopped_either(stage: Any) -> None:
    async def scene(parties: Parties) -> Any:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            return await _issue(parties, holder), parties.wallet_server

    secrets, server = stage.play(scene)
    assert search(server.known(), (*secrets.unshareable(), *secrets.access_token)) == tuple(
        found for found in search({"traffic": server.known()["traffic"]}, secrets.access_token)
    )


def test_no_party_logs_a_secret(stage: Any) -> None:
    async def scene(parties: Parties) -> None:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            secrets = await _issue(parties, holder)
            [held] = await holder.wallet.list()
            await holder.wallet.present_to(held.id, verifier=parties.verifier.url, disclose=["given_name"])
            logs = {
                party.name: party.known()["log"]
                for party in (parties.issuer, parties.wallet_server, parties.verifier)
            }
            assert all(logs.values())
            assert search(logs, (*secrets.unshareable(), *secrets.access_token)) == ()

    stage.play(scene)


def test_the_sizes_it_sees_do_not_depend_on_the_claims(stage: Any) -> None:
    async def scene(parties: Parties) -> None:
        sizes = set()
        for number, name in enumerate(("Ada Lovelace-King", "Al")):
            async with open_holder(parties, stage.directory / f"wallet {number}") as holder:
                offer = await parties.offer({"given_name": name, "family_name": name}, tx_code=False)
                await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)
            exchange = [seen for seen in parties.wallet_server.tape if "credential" in seen.url][-1]
            sizes.add((len(exchange.request_body), len(exchange.response_body)))
        assert len(sizes) == 1

    stage.play(scene)


class WithoutEncryption:
    """A line over which the issuer seems to offer no encryption: the protection, taken away."""

    def __init__(self, line: Fetcher) -> None:
        self._line = line

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        response = await self._line.request(method, url, **arguments)
        if "openid-credential-issuer" not in url:
            return response
        members = response.json()
        del members["credential_request_encryption"], members["credential_response_encryption"]
        return Response(200, response.headers, json.dumps(members))

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return await self._line.get_json(url, **arguments)

    async def close(self) -> None:
        await self._line.close()


def test_without_encryption_the_same_search_finds_the_leak(stage: Any, monkeypatch: Any) -> None:
    stage.require_encryption = False
    monkeypatch.setattr(Issuer, "encrypts", True)  # else the wallet would not go through a server

    async def scene(parties: Parties) -> None:
        fought = await fight(
            parties,
            Plan("careless forwarding", "nothing", forward),
            stage.directory / "wallet",
            claims=CLAIMS,
            through=lambda _server: WithoutEncryption,
            accepting={"unencrypted": "allowed"},
        )
        seen = b"".join(part.body for part in (*fought.spoils.received, *fought.spoils.answers))
        credential = await fought.holder.credential(fought.held[0])
        secrets = secrets_of(fought.holder, credential, fought.offer, CLAIMS)
        found = {finding.needle for finding in search({"seen": seen}, secrets.unshareable())}
        expected = {needle.name for needle in secrets.unshareable()}
        assert expected - found == {"holder key, private", "pre-authorized code"}
        assert fought.attempt.obtained == 1

    stage.play(scene)
