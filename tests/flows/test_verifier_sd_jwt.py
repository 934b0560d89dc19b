"""The verifier judges SD-JWT VCs as it judges SD-CWTs: with its nonce, made out to it, once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import ISSUER
from tests.flows.test_verifier_presentations import NAME, VERIFIER_URL, Desk, desk

from safeconduct import redact, sd_jwt
from safeconduct.encoding import b64
from safeconduct.net.fetch import Response
from safeconduct.services.verifier.formats import SD_JWT
from safeconduct.settings import SettingsError


def shown(verifier: Desk, nonce: str, **bent: Any) -> bytes:
    claims = {
        "iss": ISSUER,
        "vct": "https://issuer.example/card",
        "given_name": redact(NAME),
        "age": redact(44),
        "exp": verifier.clock() + 1000,
    }
    token = sd_jwt.issue(
        claims, issuer=verifier.issuer, holder=verifier.holder.public, now=verifier.clock() - 10
    )
    arguments: dict[str, Any] = {
        "holder": verifier.holder,
        "disclose": ["given_name"],
        "audience": VERIFIER_URL,
        "nonce": nonce,
        "now": verifier.clock(),
    }
    return sd_jwt.present(token, **{**arguments, **bent}).encode()


async def show(verifier: Desk, body: bytes) -> Response:
    return await verifier.show(body, media_type=SD_JWT)


def code(answer: Response) -> str:
    assert answer.status == 400, answer.body
    assert NAME.encode() not in answer.body
    return str(answer.json()["code"])


def test_an_sd_jwt_gives_the_disclosed_claims_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            nonce = b64.encode(await verifier.nonce())
            presentation = shown(verifier, nonce)

            answer = await show(verifier, presentation)

            assert answer.status == 200, answer.body
            assert answer.json()["claims"]["given_name"] == NAME
            assert "age" not in answer.json()["claims"]
            assert answer.json()["key_binding"]["nonce"] == nonce
            assert code(await show(verifier, presentation)) == "nonce_unknown"

    asyncio.run(main())


@pytest.mark.parametrize("nonce", ["", "not-ours", "no base64url", "AAAA" * 400])
def test_a_nonce_of_others_is_refused(tmp_path: Path, nonce: str) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            assert code(await show(verifier, shown(verifier, nonce))) == "nonce_unknown"

    asyncio.run(main())


def test_a_presentation_for_others_or_without_key_binding_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            nonce = b64.encode(await verifier.nonce())
            foreign = shown(verifier, nonce, audience="https://other.example")
            assert code(await show(verifier, foreign)) == "kbt_audience_mismatch"
            unbound = shown(verifier, nonce).rpartition(b"~")[0] + b"~"
            assert code(await show(verifier, unbound)) == "key_binding_missing"

    asyncio.run(main())


def test_a_verifier_of_sd_cwts_alone_takes_no_sd_jwt(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, profiles=("ietf-08",)) as verifier:
            answer = await show(verifier, shown(verifier, b64.encode(await verifier.nonce())))
            assert answer.status == 415

    asyncio.run(main())


def test_a_profile_that_there_is_not_is_refused_at_start(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(SettingsError, match="sd-jwt-vc"):
            async with desk(tmp_path, profiles=("sd-jwt-vcc",)):
                pass

    asyncio.run(main())
