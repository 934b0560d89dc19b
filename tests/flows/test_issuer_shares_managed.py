"""The list of shares: for holders with an access token, and for management; and what is kept and counted."""

import contextlib
import io
import sqlite3
from pathlib import Path

import pytest
from tests.flows.sharing_stage import (
    DISCLOSED,
    managed,
    offered,
    owner,
    play,
    receiver,
    refused,
    standings,
    thumbprint,
)
from tests.flows.small_wallet import ISSUER, NOW, House

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.services.issuer import shared_claims, shown_parents
from safeconduct.services.issuer import sharing as shares_of_issuer
from safeconduct.services.issuer.sharing_rules import SharingRules
from safeconduct.telemetry import Telemetry


def test_a_holder_sees_its_own_shares_and_no_others(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        one, other = await owner(house), await owner(house)
        share = await one.share()
        assert await one.states() == ["pending"]
        assert await other.states() == []
        for method, body in (("DELETE", None), ("PATCH", {"jkt": thumbprint(Key.generate("ES256"))})):
            answer = await other.call(method, f"/shares/{share['share_id']}", body)
            refused(answer, "share_unknown", status=404)
        for name in ("0" * 32, "x", "%00", "%C3%A9", "%F0%9F%92%A9"):
            refused(await one.call("DELETE", f"/shares/{name}"), "share_unknown", status=404)
        assert await one.states() == ["pending"]

    play(tmp_path, story)


def test_a_receiver_does_not_look_after_the_share_that_gave_it_its_credential(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share()
        friend = await receiver(house, share)
        assert await friend.listed() == []
        refused(await friend.call("DELETE", f"/shares/{share['share_id']}"), "share_unknown", status=404)

    play(tmp_path, story)


def test_the_list_is_for_the_bearer_of_a_token_in_force(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        share = await holder.share()
        good = await holder.open_access()
        for method, path in (
            ("GET", "/shares"),
            ("PATCH", f"/shares/{share['share_id']}"),
            ("DELETE", f"/shares/{share['share_id']}"),
        ):
            for value in (
                None,
                "Bearer unknown",
                f"DPoP {good}",
                f"Basic {good}",
                f"Bearer {good}x",
            ):
                headers = {"Content-Type": "application/json"} | (
                    {} if value is None else {"Authorization": value}
                )
                answer = await house.fetcher.request(method, ISSUER + path, headers=headers)
                refused(answer, "invalid_token", status=401)
                assert answer.headers["www-authenticate"].startswith("Bearer")
        holder.access = holder.wallet.access_token  # one for credentials opens no list
        refused(await holder.call("GET"), "invalid_token", status=401)
        holder.access = good
        refused(await holder.wallet.send(b"{}", authorization=f"DPoP {good}"), "invalid_token", status=401)
        house.clock.now += 300
        refused(await holder.call("GET"), "invalid_token", status=401)

    play(tmp_path, story)


def test_bodies_are_bounded(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        share = await holder.share(level="approve")
        path = f"/shares/{share['share_id']}"
        answer = await holder.call("PATCH", path, {"jkt": "A" * limits.SHARE_PIN_BYTES})
        refused(answer, "invalid_request", status=413)
        refused(await holder.call("DELETE", path, {}), "invalid_request", status=413)

    play(tmp_path, story)


def test_management_lists_shares_and_ends_them(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender, other = await owner(house), await owner(house, "car_jwt")
        waiting, given = await sender.share(), await sender.share(entitlements=["open"])
        await receiver(house, given)
        house.clock.now += 1
        third = await other.share(mode="move", level="pin")
        newest, *_ = found = await managed(house)
        assert len(found) == 3
        assert newest["share_id"] == third["share_id"]
        assert (newest["configuration_id"], newest["mode"], newest["level"]) == ("car_jwt", "move", "pin")
        assert [one["state"] for one in await managed(house, state="issued")] == ["issued"]
        (parent,) = {one["parent_id"] for one in found if one["configuration_id"] == "car_cwt"}
        assert len(await managed(house, issued_id=parent)) == 2
        assert len(await managed(house, since=str(NOW + 1))) == 1
        page = (await house.manage("GET", "/shares?limit=2")).json()
        rest = (await house.manage("GET", f"/shares?limit=2&cursor={page['next']}")).json()
        assert [len(page["shares"]), len(rest["shares"])] == [2, 1]
        for share, outcome in ((waiting, "cancelled"), (given, "revoked"), (given, "already_over")):
            answer = await house.manage("POST", f"/shares/{share['share_id']}/revoke")
            assert (answer.status, answer.json()["outcome"]) == (200, outcome)
        assert await standings(house, given) == ("valid", "invalid")
        assert sorted(await sender.states()) == ["cancelled", "revoked"]

    play(tmp_path, story)


def test_management_is_told_what_is_wrong(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        for path, code in (
            ("/shares?state=stolen", "parameter_malformed"),
            ("/shares?more=1", "parameter_malformed"),
            ("/shares?cursor=x", "cursor_malformed"),
        ):
            answer = await house.manage("GET", path)
            assert (answer.status, answer.json()["code"]) == (400, code), path
        for name in ("0" * 32, "%00", "%C3%A9"):
            answer = await house.manage("GET", f"/shares/{name}")
            assert (answer.status, answer.json()["code"]) == (404, "share_unknown")
            answer = await house.manage("POST", f"/shares/{name}/revoke")
            assert (answer.status, answer.json()["code"]) == (404, "share_unknown")

    play(tmp_path, story)


def test_metrics_count_shares_and_name_nobody(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        shares = [await sender.share(level="pin"), await sender.share()]
        await sender.end(shares[1])
        text = (await house.manage("GET", "/metrics")).body.decode()
        told = [line for line in text.splitlines() if line.startswith("safeconduct_shares")]
        assert 'safeconduct_shares_made_total{level="pin",mode="share"} 1.0' in told
        assert 'safeconduct_shares_ended_total{outcome="cancelled"} 1.0' in told
        for share in shares:
            assert share["share_id"] not in text

    play(tmp_path, story)


@pytest.mark.parametrize("leaks", [False, True])
def test_nothing_that_opens_a_share_is_kept(
    tmp_path: Path, leaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes, tokens, nonces, request ids: digests. The same search finds a code that is kept as it is."""
    if leaks:
        monkeypatch.setattr(shares_of_issuer, "digest_of", lambda secret: secret.encode())
    file, log = tmp_path / "issuer.db", io.StringIO()
    telemetry = Telemetry.open("issuer", level="debug", stream=log)
    monkeypatch.setattr(Telemetry, "silent", lambda _service: telemetry)

    async def story(house: House) -> None:
        sender, friend = await owner(house), Key.generate("ES256")
        name = "a-request-of-the-test-0002"
        pinned = await sender.share(level="pin", request_id=name)
        keyed = await sender.share(level="key", jkt=thumbprint(friend))
        access = await sender.open_access()
        shown = await sender.shown()
        await sender.ask(shown=shown)
        secrets = [access, name, pinned["tx_code"], shown["presentation"]]
        for share in (pinned, keyed):
            grant = offered(share).pre_authorized
            assert grant is not None
            secrets.append(grant.code)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            kept = "\n".join(connection.iterdump())
        texts = [secret for secret in secrets if secret in kept or secret.encode().hex().upper() in kept]
        assert bool(texts) is leaks
        for name in (*secrets, pinned["share_id"], keyed["share_id"], thumbprint(friend), "Erika"):
            assert name not in log.getvalue()
        assert "/shares" in log.getvalue()

    play(tmp_path, story, database=f"sqlite:///{file}")


# Each protection, switched off: then the fault that it stops is there.


def test_without_using_nonces_up_a_presentation_would_be_good_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(shown_parents, "_use_up", nothing)

    async def story(house: House) -> None:
        holder = await owner(house)
        shown = await holder.shown()
        assert [(await holder.ask(shown=shown)).status for _ in range(2)] == [201, 201]

    play(tmp_path, story)


def test_without_bounds_the_new_credential_would_outlive_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_claims, "bounds_of", lambda _share, **_now: None)

    async def story(house: House) -> None:
        sender = await owner(house)
        house.clock.now += 20 * 86400
        friend = await receiver(house, await sender.share())
        assert (await friend.claims())["exp"] > (await sender.claims())["exp"]

    play(tmp_path, story)


def test_without_cutting_claims_the_new_credential_would_say_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharingRules, "passes", lambda _self, claims, _described: dict(claims))

    async def story(house: House) -> None:
        sender = await owner(house)
        friend = await receiver(house, await sender.share(disclose=[*DISCLOSED, "owner"]))
        assert (await friend.claims())["owner"] == "Erika"

    play(tmp_path, story)
