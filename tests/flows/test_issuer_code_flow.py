"""The authorization code flow over HTTP: push, log in, decide, redeem (RFC 9126, FAPI 2.0, OpenID4VCI §5).

Where the OpenID Foundation's test suite has a module for a rule, the test names it.
"""

import asyncio
from pathlib import Path

from tests.flows.code_flow import CALLBACK, browser, code_wallet, login_house, parameters_of
from tests.flows.small_wallet import ISSUER


def test_the_whole_flow_ends_with_a_credential(tmp_path: Path) -> None:
    """fapi2-security-profile-final-happy-flow, oid4vci-1_0-issuer-happy-flow"""

    async def main() -> None:
        async with login_house(tmp_path) as house, browser(house) as person:
            wallet = code_wallet(house)
            pushed = await wallet.push()
            assert pushed.status == 201, pushed.body
            assert pushed.headers["cache-control"] == "no-store"
            assert pushed.json().keys() == {"request_uri", "expires_in"}

            page = await person.open(wallet.url())
            assert page.status_code == 200
            assert "Example Wallet" in page.text
            page = await person.sign_in()
            assert "Identity" in page.text
            assert "urn:example:person:1" in page.text
            target = await person.decide()
            assert target.startswith(f"{CALLBACK}?")
            answer = parameters_of(target)
            assert answer.keys() == {"code", "state", "iss"}
            assert (answer["state"], answer["iss"]) == ("the state", ISSUER)

            wallet.keep(await wallet.redeem_code(answer["code"]))
            assert len(wallet.open(await wallet.ask())) == 1

    asyncio.run(main())
