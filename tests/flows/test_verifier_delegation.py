"""S8: the verifier takes what holders passed on only where its settings say so, and how far."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import ISSUER
from tests.flows.test_verifier_presentations import NAME, VERIFIER_URL, Desk, desk

from safeconduct import redact, sd_jwt
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.formats.sd_jwt import delegation
from safeconduct.net.fetch import Response
from safeconduct.services.verifier.formats import SD_JWT
from safeconduct.settings import SettingsError

VCT = "https://issuer.example/key"
ON: dict[str, Any] = {"delegation_depth": 1, "delegation_types": (VCT,)}


async def shown(verifier: Desk, *, hands: int = 1, **bent: Any) -> bytes:
    """A presentation of a credential that so many holders passed on."""
    now, holder = verifier.clock(), verifier.holder
    claims = {"iss": ISSUER, "vct": VCT, "name": redact(NAME), "rights": ["open", "drive"], "exp": now + 900}
    token = sd_jwt.issue({**claims, **bent}, issuer=verifier.issuer, holder=holder.public, now=now - 9)
    for left in reversed(range(hands)):
        receiver = Key.generate("ES256")
        token = delegation.issue(
            token,
            delegator=holder,
            receiver=receiver.public,
            disclose=["name"],
            rights={"rights": ["open"]},
            not_before=now,
            expires=now + 600,
            further=left,
            now=now,
        )
        holder = receiver
    nonce = b64.encode(await verifier.nonce())
    return delegation.present(
        token, holder=holder, disclose=["name"], audience=VERIFIER_URL, nonce=nonce, now=now
    ).encode()


async def show(verifier: Desk, body: bytes) -> Response:
    return await verifier.show(body, media_type=delegation.MEDIA_TYPE)


def test_a_delegated_credential_gives_its_claims_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, **ON) as verifier:
            body = await shown(verifier)
            answer = await show(verifier, body)
            assert answer.status == 200, answer.body
            members = answer.json()
            assert (members["claims"]["name"], members["claims"]["rights"]) == (NAME, ["open"])
            assert members["delegations"] == 1
            again = await show(verifier, body)
            assert (again.status, again.json()["code"]) == (400, "nonce_unknown")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("hands", "bent", "code"),
    [
        (2, {}, "delegation_too_deep"),
        (1, {"vct": "https://issuer.example/other"}, "type_not_accepted"),
        (1, {"iss": "https://stranger.example"}, "issuer_unknown"),
    ],
)
def test_no_more_is_taken_than_the_settings_say(
    tmp_path: Path, hands: int, bent: dict[str, Any], code: str
) -> None:
    async def main() -> None:
        async with desk(tmp_path, **ON) as verifier:
            answer = await show(verifier, await shown(verifier, hands=hands, **bent))
            assert (answer.status, answer.json()["code"]) == (400, code), answer.body

    asyncio.run(main())


def test_a_delegated_credential_is_not_taken_unless_the_settings_say_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            body = await shown(verifier)
            assert (await show(verifier, body)).status == 415
            as_ordinary = await verifier.show(body, media_type=SD_JWT)
            assert (as_ordinary.status, as_ordinary.json()["code"]) == (400, "sd_jwt_typ")
        async with desk(tmp_path, **ON) as verifier:
            as_ordinary = await verifier.show(await shown(verifier), media_type=SD_JWT)
            assert (as_ordinary.status, as_ordinary.json()["code"]) == (400, "sd_jwt_typ")

    asyncio.run(main())


def test_the_status_of_the_parent_is_looked_at(tmp_path: Path) -> None:
    """Where its list cannot be had nothing passes; and its place is not told, which is the sender's."""

    async def main() -> None:
        status = {"status_list": {"idx": 3, "uri": "https://issuer.example/none"}}
        async with desk(tmp_path, **ON) as verifier:
            answer = await show(verifier, await shown(verifier, status=status))
            assert (answer.status, answer.json()["code"]) == (502, "fetch_failed"), answer.body
        async with desk(tmp_path, **ON, status="ignore") as verifier:
            answer = await show(verifier, await shown(verifier, status=status))
            assert answer.status == 200
            assert "status" not in answer.json()["claims"]

    asyncio.run(main())


def test_a_depth_without_types_stops_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(SettingsError, match="delegation_types"):
            async with desk(tmp_path, delegation_depth=1):
                raise AssertionError("it started")

    asyncio.run(main())
