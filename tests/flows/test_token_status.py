"""A credential's status from issuance to refusal: issued, shown, changed, published, and shown again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import ADMIN_TOKEN, ISSUER, NOW, Clock, House, issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.errors import Rejected
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.redaction import redact
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.protocols.openid4vci.response import sd_cwt_bytes
from safeconduct.services.status.publishing import publish
from safeconduct.services.verifier import open_verifier
from safeconduct.settings import DatabaseUrl, Secret, Settings, StatusSettings, VerifierSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.telemetry import Telemetry

VERIFIER = "https://verifier.example"
STATUS_HOST = "https://status.example"
LISTS = f"{STATUS_HOST}/.well-known/status-lists"
KINDS = """
[[configurations]]
id = "identity"
vct = "https://issuer.example/identity"
status = true
format = "{format}"
redact = ["given_name"]
[configurations.claims]
given_name = {{ mandatory = true }}
"""
FORMATS = ["application/sd-cwt", "dc+sd-jwt"]
TYPES = {"application/sd-cwt": "application/kb+cwt", "dc+sd-jwt": "application/dc+sd-jwt"}


class TreeHost:
    """A static host of the published tree, which notes what it is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.down = False
        self.kept: dict[str, bytes] = {}

    async def request(self, method: str, url: str, **_: Any) -> Response:
        assert method == "GET"
        name = url.removeprefix(f"{STATUS_HOST}/.well-known/")
        self.asked.append(name)
        path = self.root / name
        body = self.kept.get(name) or (path.read_bytes() if path.is_file() else None)
        if self.down or body is None:
            return Response(503 if self.down else 404, {}, b"")
        return Response(200, {"content-type": f"application/statuslist+{path.suffix[1:]}"}, body)

    async def get_json(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


@dataclass
class Scene:
    """An issuer, a host of what it publishes, and a verifier that trusts it."""

    house: House
    host: TreeHost
    settings: Settings
    verifier: Fetcher
    clock: Clock
    format: str

    async def publish(self) -> int:
        async with await Database.open(self.settings.issuer.database, branch=BRANCH) as database:
            return (await publish(self.settings, database, now=self.clock())).changed

    async def issue(self, count: int = 1) -> list[tuple[Key, str]]:
        wallet = await self.house.holder(await self.house.offer(claims={"given_name": "Erika"}))
        holders = [Key.generate("ES256") for _ in range(count)]
        answer = wallet.given(await wallet.ask(holders=holders), keys=count)
        return list(zip(holders, answer.credentials, strict=True))

    async def change(self, verb: str) -> int:
        issued = (await self.house.manage("GET", "/issued")).json()["issued"]
        answer = await self.house.manage("POST", f"/issued/{issued[0]['issued_id']}/{verb}")
        assert answer.status == 200, answer.body
        return int(answer.json()["changed"])

    async def show(self, holder: Key, credential: str) -> Response:
        answer = await self.verifier.request("POST", f"{VERIFIER}/nonces", content=b"")
        nonce = answer.json()["nonce"]
        if self.format == "dc+sd-jwt":
            shown: bytes = sd_jwt.present(
                credential,
                holder=holder,
                disclose=["given_name"],
                audience=VERIFIER,
                nonce=nonce,
                now=self.clock(),
            ).encode()
        else:
            shown = sd_cwt.present(
                sd_cwt_bytes(credential),
                holder=holder,
                disclose=["given_name"],
                audience=VERIFIER,
                nonce=b64.decode(nonce),
                now=self.clock(),
            )
        headers = {"Content-Type": TYPES[self.format]}
        return await self.verifier.request(
            "POST", f"{VERIFIER}/presentations", headers=headers, content=shown
        )


@contextlib.asynccontextmanager
async def scene(folder: Path, format_: str, **of_verifier: Any) -> AsyncIterator[Scene]:
    (folder / "kinds.toml").write_text(KINDS.format(format=format_))
    clock = Clock()
    async with issuer_house(
        folder,
        clock=clock,
        database=DatabaseUrl(f"sqlite:///{folder}/issuer.db"),
        configurations=folder / "kinds.toml",
        status_list_uri=LISTS,
        status_list_size=4096,
    ) as house:
        keys = await house.fetcher.get_json(f"{ISSUER}/.well-known/jwt-vc-issuer")
        (folder / "trust.json").write_bytes(json.dumps({ISSUER: keys["jwks"]}))
        settings = Settings(issuer=house.settings, status=StatusSettings(tree=folder / "tree"))
        chosen = VerifierSettings(
            **{
                "identifier": VERIFIER,
                "database": DatabaseUrl("sqlite://"),
                "trust": folder / "trust.json",
                "admin_token": Secret(ADMIN_TOKEN),
                **of_verifier,
            }
        )
        host = TreeHost(folder / "tree")
        telemetry = Telemetry.silent("verifier")
        async with (
            open_verifier(chosen, telemetry=telemetry, clock=clock, fetcher=host) as [public, _],
            HttpFetcher(allow_loopback=False, transport=InProcess({VERIFIER: public.app})) as fetcher,
        ):
            yield Scene(house, host, settings, fetcher, clock, format_)


def _refused(answer: Response, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (400, code), answer.body


@pytest.mark.parametrize("format_", FORMATS)
def test_a_credential_is_good_until_its_revocation_is_published(tmp_path: Path, format_: str) -> None:
    async def main() -> None:
        async with scene(tmp_path, format_) as play:
            [(holder, credential)] = await play.issue()
            assert await play.publish() > 1
            good = await play.show(holder, credential)
            assert (good.status, good.json()["status"]) == (200, "valid")
            assert good.json()["claims"]["given_name"] == "Erika"
            assert "status" not in good.json()["claims"]  # where it stands would be recognised again

            assert await play.change("revoke") == 1
            assert (await play.show(holder, credential)).status == 200  # not published yet
            assert await play.publish() > 0
            play.clock.now += 3601  # the ttl of the list that the verifier has
            _refused(await play.show(holder, credential), "status_invalid")

    asyncio.run(main())


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_suspended_can_be_reinstated_and_what_is_revoked_cannot(tmp_path: Path, format_: str) -> None:
    async def main() -> None:
        async with scene(tmp_path, format_) as play:
            [(holder, credential)] = await play.issue()
            for verb, code in (
                ("suspend", "status_suspended"),
                ("reinstate", None),
                ("revoke", "status_invalid"),
            ):
                assert await play.change(verb) == 1
                assert await play.change(verb) == 0
                await play.publish()
                play.clock.now += 3601
                answer = await play.show(holder, credential)
                if code is None:
                    assert answer.status == 200
                else:
                    _refused(answer, code)
            issued = (await play.house.manage("GET", "/issued")).json()["issued"][0]
            assert issued["status"] == "invalid"
            for verb in ("reinstate", "suspend"):
                answer = await play.house.manage("POST", f"/issued/{issued['issued_id']}/{verb}")
                assert (answer.status, answer.json()["code"]) == (409, "status_final")
            unknown = await play.house.manage("POST", "/issued/none/revoke")
            assert (unknown.status, unknown.json()["code"]) == (404, "issued_unknown")

    asyncio.run(main())


def test_without_a_list_a_credential_is_refused_unless_the_verifier_is_told_otherwise(tmp_path: Path) -> None:
    async def main() -> None:
        for setting in ("fail-closed", "fail-open", "ignore"):
            folder = tmp_path / setting
            folder.mkdir()
            async with scene(folder, "dc+sd-jwt", status=setting) as play:
                [(holder, credential)] = await play.issue()
                answer = await play.show(holder, credential)  # nothing is published
                if setting == "fail-closed":
                    _refused(answer, "fetch_status")
                    continue
                told = {"fail-open": "unknown", "ignore": "unchecked"}
                assert (answer.status, answer.json()["status"]) == (200, told[setting])
                await play.change("revoke")
                await play.publish()
                play.clock.now += 61
                after = await play.show(holder, credential)
                if setting == "ignore":
                    assert after.status == 200
                    assert play.host.asked == []
                else:
                    _refused(after, "status_invalid")

    asyncio.run(main())


def test_a_list_is_asked_for_once_and_used_until_it_expires_though_its_host_is_down(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "dc+sd-jwt") as play:
            [(holder, credential)] = await play.issue()
            await play.publish()
            answers = await asyncio.gather(*[play.show(holder, credential) for _ in range(5)])
            assert {answer.status for answer in answers} == {200}
            assert len(play.host.asked) == 1
            play.clock.now += 3599
            assert (await play.show(holder, credential)).status == 200
            assert len(play.host.asked) == 1
            play.host.down = True
            play.clock.now += 2
            assert (await play.show(holder, credential)).status == 200
            assert (await play.show(holder, credential)).status == 200
            assert len(play.host.asked) == 2  # and not again at once
            play.clock.now = NOW + 86400 + 60
            _refused(await play.show(holder, credential), "status_list_expired")

    asyncio.run(main())


def test_a_host_cannot_roll_a_list_back_or_put_another_in_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "dc+sd-jwt") as play:
            [(holder, credential)] = await play.issue()
            await play.publish()
            assert (await play.show(holder, credential)).status == 200
            [name] = play.host.asked
            old = (tmp_path / "tree" / name).read_bytes()
            await play.change("revoke")
            play.clock.now += 3601
            await play.publish()
            _refused(await play.show(holder, credential), "status_invalid")
            play.host.kept[name] = old
            play.clock.now += 3601
            _refused(await play.show(holder, credential), "status_invalid")
            others = [
                path for path in (tmp_path / "tree/status-lists").glob("*.jwt") if path.name not in name
            ]
            play.host.kept[name] = others[0].read_bytes()
            play.clock.now += 3601
            _refused(await play.show(holder, credential), "status_invalid")

    asyncio.run(main())


def test_nobody_but_a_trusted_issuer_makes_the_verifier_fetch(tmp_path: Path) -> None:
    """A stranger's credential may name any URL; nothing is asked before its issuer is known."""

    async def main() -> None:
        async with scene(tmp_path, "dc+sd-jwt") as play:
            holder = Key.generate("ES256")
            forged = sd_jwt.issue(
                {
                    "iss": ISSUER,
                    "vct": "https://issuer.example/identity",
                    "exp": NOW + 1000,
                    "given_name": redact("Mallory"),
                    "status": {"status_list": {"idx": 0, "uri": f"{LISTS}/x.jwt"}},
                },
                issuer=Key.generate("ES256"),
                holder=holder.public,
                now=NOW,
            )
            _refused(await play.show(holder, forged), "signature_invalid")
            assert play.host.asked == []

    asyncio.run(main())


def test_publishing_again_changes_nothing_until_half_of_the_lifetime_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "dc+sd-jwt") as play:
            await play.issue()
            assert await play.publish() == 9  # four lists in two forms, and their names
            before = {path: path.read_bytes() for path in (tmp_path / "tree/status-lists").iterdir()}
            play.clock.now += 86400 // 2 - 1
            assert await play.publish() == 0
            assert {path: path.read_bytes() for path in before} == before
            play.clock.now += 1
            assert await play.publish() == 8

    asyncio.run(main())


def test_an_old_copy_of_the_database_brings_no_credential_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "dc+sd-jwt") as play:
            await play.issue()
            await play.publish()
            await play.change("revoke")
            await play.publish()
            async with await Database.open(play.settings.issuer.database, branch=BRANCH) as database:
                await database.run(
                    lambda connection: connection.exec_driver_sql(
                        "UPDATE issuer_status SET value = 0 WHERE issued_id IS NOT NULL"
                    )
                )
            with pytest.raises(Rejected) as error:
                await play.publish()
            assert error.value.code == "status_tree_newer"

    asyncio.run(main())
