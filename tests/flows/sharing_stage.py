"""Holders who share what they hold, at an issuer in this process: protocol steps that tests can bend."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.flows.small_wallet import ISSUER, Clock, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT
from safeconduct.protocols.openid4vci.offer import CredentialOffer, parse_offer, uri_by_value
from safeconduct.protocols.openid4vci.response import sd_cwt_bytes
from safeconduct.services.issuer.fetchers import Fetchers

KINDS = """
[[configurations]]
id = "car_cwt"
also = {{ {also} }}
vct = "https://issuer.example/car"
validity = 2592000
status = {status}
{more}

[configurations.claims]
vehicle = {{ mandatory = true }}
"access_rights[]" = {{}}
owner = {{ mandatory = true }}
"garage.door" = {{}}

{sharing}
"""
SHARING = """
[configurations.sharing]
modes = ["share", "move"]
rights = "access_rights"
claims = ["vehicle", "access_rights", "garage"]
max_receivers = 3
"""
CLAIMS: Mapping[str, Any] = {
    "vehicle": "A 1",
    "access_rights": ["open", "start", "trunk"],
    "owner": "Erika",
    "garage": {"door": 4},
}
DISCLOSED = ("vehicle", "access_rights[0]", "access_rights[1]", "access_rights[2]")
"""All rights; neither owner nor garage."""

LISTS = "https://status.example/lists"
FORMATS = {"car_cwt": SD_CWT, "car_jwt": SD_JWT}


def sharing_settings(
    folder: Path,
    *,
    sharing: str = SHARING,
    status: bool = True,
    more: str = "",
    also: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Settings of an issuer whose cars can be shared; with `sharing` = "" they cannot.

    also: whether they come in both formats, or as SD-CWT only.
    """
    text = KINDS.format(
        sharing=sharing,
        status=str(status).lower(),
        more=more,
        also='car_jwt = "dc+sd-jwt"' if also else "",
    )
    (folder / "kinds.toml").write_text(text)
    return {"configurations": folder / "kinds.toml", "status_list_uri": LISTS, **settings}


def sharing_house(
    folder: Path, *, clock: Clock | None = None, **settings: Any
) -> contextlib.AbstractAsyncContextManager[House]:
    """An issuer of such cars. It asks no other servers; to prepare for that would take most of the time."""
    nowhere = HttpFetcher(allow_loopback=False, transport=InProcess({}))
    fetchers = Fetchers(timeout=1.0, public=nowhere, near=nowhere)
    return issuer_house(folder, clock=clock, fetchers=fetchers, **sharing_settings(folder, **settings))


def play(folder: Path, story: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    """Runs a story at such an issuer."""

    async def main() -> None:
        async with sharing_house(folder, **settings) as house:
            await story(house)

    asyncio.run(main())


@dataclass
class Holder:
    """Who has a credential, in a wallet that can show and share it."""

    house: House
    wallet: SmallWallet
    kind: str
    credential: str
    notification_id: str | None
    access: str = ""

    @property
    def key(self) -> Key:
        return self.wallet.holder

    async def claims(self) -> dict[str, Any]:
        """All claims, as its format's `check_issued` finds them good for this holder's key."""
        trust, now, holder = await self.house.trust(), self.house.clock(), self.key.public
        if self.kind == "car_jwt":
            held = sd_jwt.check_issued(self.credential, holder=holder, trust=trust, now=now)
            return held.claims.to_json()
        token = sd_cwt_bytes(self.credential)
        return sd_cwt.check_issued(token, holder=holder, trust=trust, now=now).claims.to_json()

    async def challenge(self) -> dict[str, Any]:
        answer = await self.house.fetcher.request("POST", f"{ISSUER}/share-challenge", content=b"")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    async def shown(self, disclose: Sequence[str] = DISCLOSED, **bent: Any) -> dict[str, Any]:
        """The members of a message that show the credential; `audience`, `nonce`, `now` can be bent."""
        challenge = await self.challenge()
        text = bent.get("nonce") or challenge["nonce"]
        members: dict[str, Any] = {
            "holder": self.key,
            "disclose": list(disclose),
            "audience": bent.get("audience", challenge["audience"]),
            "now": bent.get("now", self.house.clock()),
        }
        if self.kind == "car_jwt":
            credential = bent.get("credential", self.credential)
            shown = sd_jwt.present(credential, nonce=text, **members)
            return {"presentation": shown, "format": SD_JWT}
        token = bent.get("token") or sd_cwt_bytes(self.credential)
        presented = sd_cwt.present(token, nonce=b64.decode(text), **members)
        return {"presentation": b64.encode(presented), "format": SD_CWT}

    async def ask(
        self, *, mode: str = "share", level: str = "link", jkt: str | None = None, **members: Any
    ) -> Response:
        """A request for a share. shown: instead of a good presentation. disclose: what is shown."""
        shown = members.pop("shown", None) or await self.shown(members.pop("disclose", DISCLOSED))
        binding = {"level": level} if jkt is None else {"level": level, "jkt": jkt}
        return await self.post("/shares", {**shown, "mode": mode, "binding": binding, **members})

    async def share(self, **members: Any) -> dict[str, Any]:
        answer = await self.ask(**members)
        assert answer.status == 201, answer.body
        return dict(answer.json())

    async def post(self, path: str, body: Any) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        return await self.house.fetcher.request("POST", ISSUER + path, headers=headers, content=content)

    async def open_access(self) -> str:
        answer = await self.post("/shares/access", await self.shown(()))
        assert answer.status == 200, answer.body
        self.access = str(answer.json()["access_token"])
        return self.access

    async def call(self, method: str, path: str = "/shares", body: Any = None) -> Response:
        """A call with the access token, got first if there is none yet."""
        if not self.access:
            await self.open_access()
        headers = {"Authorization": f"Bearer {self.access}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        return await self.house.fetcher.request(method, ISSUER + path, headers=headers, content=content)

    async def listed(self) -> list[dict[str, Any]]:
        answer = await self.call("GET")
        assert answer.status == 200, answer.body
        return list(answer.json()["shares"])

    async def states(self) -> list[str]:
        return [one["state"] for one in await self.listed()]

    async def end(self, share: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.call("DELETE", f"/shares/{share['share_id']}")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    async def pin(self, share: Mapping[str, Any], key: Key) -> Response:
        return await self.call("PATCH", f"/shares/{share['share_id']}", {"jkt": thumbprint(key)})

    async def notify(self, event: str) -> Response:
        assert self.notification_id is not None
        return await self.wallet.notify(self.notification_id, event)

    async def says(self, event: str) -> None:
        """A notification that is taken."""
        assert (await self.notify(event)).status == 204


def tampered(shown: Mapping[str, str]) -> dict[str, str]:
    """The same presentation, but signed by nobody: its last signature is another."""
    text = shown["presentation"]
    return {**shown, "presentation": text[:-20] + ("A" if text[-20] != "A" else "B") + text[-19:]}


def thumbprint(key: Key) -> str:
    return b64.encode(key.public.jwk_thumbprint())


def offered(share: Mapping[str, Any]) -> CredentialOffer:
    return parse_offer(json.dumps(share["credential_offer"]))


def uri_of(share: Mapping[str, Any]) -> str:
    return uri_by_value(offered(share))


async def owner(house: House, kind: str = "car_cwt", **offer: Any) -> Holder:
    """Somebody whom the issuer itself has given a credential."""
    made = await house.offer(**{"configuration_id": kind, "claims": dict(CLAIMS), **offer})
    return await fetched(house, await house.holder(made), kind)


async def fetched(house: House, wallet: SmallWallet, kind: str) -> Holder:
    """Whoever has a token gets the credential."""
    given = wallet.given(await wallet.ask())
    return Holder(house, wallet, kind, given.credentials[0], given.notification_id)


async def with_token(
    house: House, share: Mapping[str, Any], *, tx_code: str | None = None, key: Key | None = None
) -> SmallWallet:
    """A receiver that has traded the offer of a share for a token. key: its own."""
    wallet = house.wallet()
    if key is not None:
        wallet.holder = key
    await wallet.take_token(uri_of(share), tx_code=tx_code)
    return wallet


async def receiver(
    house: House,
    share: Mapping[str, Any],
    *,
    kind: str = "car_cwt",
    tx_code: str | None = None,
    key: Key | None = None,
) -> Holder:
    """Somebody who has redeemed a share to the end."""
    return await fetched(house, await with_token(house, share, tx_code=tx_code, key=key), kind)


async def managed(house: House, **query: str) -> list[dict[str, Any]]:
    """Shares as management sees them, the newest first."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await house.manage("GET", f"/shares?{text}" if text else "/shares")
    assert answer.status == 200, answer.body
    return list(answer.json()["shares"])


async def standings(house: House, share: Mapping[str, Any]) -> tuple[str, str | None]:
    """How the sender's credential stands, and the receiver's; None before there is one."""
    (found,) = [one for one in await managed(house) if one["share_id"] == share["share_id"]]
    issued = (await house.manage("GET", "/issued")).json()["issued"]
    status = {entry["issued_id"]: entry["status"] for entry in issued}
    return status[found["parent_id"]], status.get(found["issued_id"])


async def parent_id(house: House, share: Mapping[str, Any]) -> str:
    """By which management knows what is shared."""
    answer = await house.manage("GET", f"/shares/{share['share_id']}")
    assert answer.status == 200, answer.body
    return str(answer.json()["parent_id"])


async def change(house: House, issued_id: str, verb: str) -> None:
    """Management revokes, suspends or reinstates."""
    answer = await house.manage("POST", f"/issued/{issued_id}/{verb}")
    assert answer.status == 200, answer.body


def refused(answer: Response, error: str, *, status: int = 400) -> None:
    """The answer is this error of OAuth's form, and says nothing else."""
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
