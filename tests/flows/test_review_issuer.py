"""Attacks on a whole issuer that once worked, each against the running service."""

import asyncio
from pathlib import Path

from tests.flows.code_flow import code_wallet, login_house


def test_the_same_keys_for_another_configuration_are_no_repeat(tmp_path: Path) -> None:
    """By scope both deliveries are under one access token: the second must cost, and be noted, by itself."""

    async def main() -> None:
        async with login_house(tmp_path, credentials_per_identifier=1, batch_size=1) as house:
            wallet = code_wallet(house)
            code = await wallet.authorized(house, authorization_details=None, scope="identity diploma")
            wallet.keep(await wallet.redeem_code(code))
            answers = []
            for name in ("identity", "diploma"):
                answer = await wallet.ask(credential_identifier=None, credential_configuration_id=name)
                answers.append(wallet.given(answer))
            issued = (await house.manage("GET", "/issued")).json()["issued"]
            assert sorted(one["configuration_id"] for one in issued) == ["diploma", "identity"]
            assert answers[0].notification_id != answers[1].notification_id

    asyncio.run(main())
