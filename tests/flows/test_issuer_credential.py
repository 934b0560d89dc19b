"""The credential endpoint: what it refuses, in which order, and what a refusal costs."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.small_wallet import ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.openid4vci.request import Proofs
from safeconduct.services.issuer import opening
from safeconduct.settings import SettingsError


def _refused(answer: Response, error: str, *, status: int = 400) -> None:
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert answer.content_type == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def _with_token(house: House) -> SmallWallet:
    wallet = house.wallet()
    await wallet.take_token((await house.offer())["offer_uri"])
    return wallet


def test_a_request_without_a_token_gets_a_challenge_without_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answer = await wallet.send(b"x", authorization=None)
            _refused(answer, "invalid_token", status=401)
            assert answer.headers["www-authenticate"].startswith("DPoP ")
            assert "error" not in answer.headers["www-authenticate"]

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["DPoP unknown-token", "Bearer unknown-token"])
def test_an_unknown_token_is_refused(tmp_path: Path, scheme: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answer = await wallet.send(b"x", authorization=scheme)
            _refused(answer, "invalid_token", status=401)
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    asyncio.run(main())


def test_a_bound_token_is_not_taken_as_a_bearer_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answer = await wallet.send(b"x", authorization=f"Bearer {wallet.access_token}")
            _refused(answer, "invalid_token", status=401)

    asyncio.run(main())


def test_a_token_in_the_query_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answer = await house.fetcher.request(
                "POST", f"{ISSUER}/credential?access_token={wallet.access_token}", content=b"x"
            )
            _refused(answer, "invalid_request")

    asyncio.run(main())


def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, access_token_lifetime=60) as house:
            wallet = await _with_token(house)
            house.clock.now += 60
            _refused(await wallet.ask(), "invalid_token", status=401)

    asyncio.run(main())


@pytest.mark.parametrize("proof", [None, "rubbish", "a,b"])
def test_a_request_without_a_good_proof_is_refused(tmp_path: Path, proof: str | None) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answer = await wallet.send(b"x", dpop=proof)
            _refused(answer, "invalid_dpop_proof", status=401)
            assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "bent",
    [
        {"access_token": "another-token"},
        {"access_token": None},
        {"url": f"{ISSUER}/token"},
        {"method": "PUT"},
        {"now": NOW - 1000},
    ],
)
def test_a_proof_for_another_request_or_token_is_refused(tmp_path: Path, bent: dict[str, object]) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            arguments = {"access_token": wallet.access_token, **bent}
            proof = wallet.proof_of_possession("/credential", **arguments)  # type: ignore[arg-type]
            _refused(await wallet.send(b"x", dpop=proof), "invalid_dpop_proof", status=401)

    asyncio.run(main())


def test_a_proof_without_our_nonce_is_challenged_and_the_identifier_lives(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            for nonce in (None, "made-up"):
                proof = wallet.proof_of_possession(
                    "/credential", access_token=wallet.access_token, nonce=nonce
                )
                answer = await wallet.send(b"x", dpop=proof)
                _refused(answer, "use_dpop_nonce", status=401)
                assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
                assert answer.headers["dpop-nonce"]
            assert (await wallet.ask()).status == 200

    asyncio.run(main())


def test_a_credential_request_cannot_be_replayed(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=5) as house:
            wallet = await _with_token(house)
            await wallet.nonces()
            headers = wallet.credential_headers()
            body = await wallet.sealed(credential_identifier="x")
            _refused(await wallet.send(body, **headers), "unknown_credential_identifier")
            _refused(await wallet.send(body, **headers), "invalid_dpop_proof", status=401)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("bent", "error"),
    [
        ({"credential_identifier": "unknown"}, "unknown_credential_identifier"),
        ({"credential_identifier": None}, "invalid_credential_request"),
        (
            {"credential_identifier": None, "credential_configuration_id": "identity"},
            "invalid_credential_request",
        ),
        (
            {"credential_identifier": None, "credential_configuration_id": "unknown"},
            "unknown_credential_configuration",
        ),
        ({"credential_configuration_id": "identity"}, "invalid_credential_request"),
        ({"proofs": None}, "invalid_proof"),
        ({"proofs": Proofs("attestation", ("x",))}, "invalid_proof"),
        ({"proofs": Proofs("jwt", ("rubbish",))}, "invalid_proof"),
        ({"proofs": Proofs("jwt", ("a",) * 11)}, "invalid_credential_request"),
        ({"proofs": Proofs("jwt", ())}, "invalid_credential_request"),
        ({"c_nonce": "made-up"}, "invalid_nonce"),
        ({"response": None}, "invalid_encryption_parameters"),
    ],
)
def test_what_is_wrong_inside_is_named_and_costs_nothing(
    tmp_path: Path, bent: dict[str, object], error: str
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            _refused(await wallet.ask(**bent), error)
            assert (await wallet.ask()).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("bent", "error"),
    [
        ({"audience": "https://other.example"}, "invalid_proof"),
        ({"now": NOW - 10_000}, "invalid_proof"),
        ({"now": NOW + 10_000}, "invalid_proof"),
        ({"nonce": None}, "invalid_proof"),
        ({"client_id": "someone"}, "invalid_proof"),
    ],
)
def test_a_key_proof_must_be_fresh_and_for_this_issuer(
    tmp_path: Path, bent: dict[str, object], error: str
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            arguments = {
                "key": wallet.holder,
                "audience": ISSUER,
                "now": NOW,
                "nonce": await wallet.nonces(),
                **bent,
            }
            proof = create_proof(**arguments)  # type: ignore[arg-type]
            _refused(await wallet.ask(proofs=Proofs("jwt", (proof,))), error)

    asyncio.run(main())


def test_a_proof_by_another_key_than_it_names_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            nonce = await wallet.nonces()
            proof = create_proof(key=wallet.holder, audience=ISSUER, now=NOW, nonce=nonce)
            other = create_proof(key=Key.generate("ES256"), audience=ISSUER, now=NOW, nonce=nonce)
            forged = ".".join([*proof.split(".")[:2], other.split(".")[2]])
            _refused(await wallet.ask(proofs=Proofs("jwt", (forged,))), "invalid_proof")

    asyncio.run(main())


def test_a_nonce_is_used_up_by_an_issuance_and_not_by_a_failure(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet, second = await _with_token(house), await _with_token(house)
            nonce = await wallet.nonces()
            _refused(
                await wallet.ask(c_nonce=nonce, credential_identifier="x"), "unknown_credential_identifier"
            )
            assert (await wallet.ask(c_nonce=nonce)).status == 200
            _refused(await second.ask(c_nonce=nonce), "invalid_nonce")
            assert (await second.ask()).status == 200

    asyncio.run(main())


def test_a_stale_nonce_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, nonce_lifetime=30) as house:
            wallet = await _with_token(house)
            nonce = await wallet.nonces()
            house.clock.now += 31
            _refused(await wallet.ask(c_nonce=nonce), "invalid_nonce")

    asyncio.run(main())


def test_an_identifier_is_good_for_its_number_of_credentials(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=2) as house:
            wallet = await _with_token(house)
            for _ in range(2):
                assert (await wallet.ask(holders=[Key.generate("ES256")])).status == 200
            _refused(await wallet.ask(holders=[Key.generate("ES256")]), "credential_request_denied")

    asyncio.run(main())


def test_of_requests_at_once_as_many_win_as_the_identifier_allows(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=2) as house:
            wallet = await _with_token(house)
            bodies = []
            for _ in range(5):
                wallet.holder = Key.generate("ES256")
                bodies.append(await wallet.sealed())
            answers = await asyncio.gather(*[wallet.send(body) for body in bodies])
            assert sorted(answer.status for answer in answers) == [200, 200, 400, 400, 400]

    asyncio.run(main())


def test_an_identifier_belongs_to_its_own_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            victim, thief = await _with_token(house), await _with_token(house)
            answer = await thief.ask(credential_identifier=victim.identifiers[0])
            _refused(answer, "unknown_credential_identifier")

    asyncio.run(main())


def _body_swap(house: House, wallet: SmallWallet) -> SmallWallet:
    """A hostile wallet server: it has the victim's headers, and everything that is public."""
    thief = house.wallet()
    thief.access_token = wallet.access_token
    return thief


def test_a_hostile_wallet_server_gets_nothing_with_a_body_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            victim = await _with_token(house)
            await victim.nonces()
            headers = victim.credential_headers()
            thief = _body_swap(house, victim)
            thief.identifiers = ("identity",)  # all it can do is guess
            _refused(await thief.send(await thief.sealed(), **headers), "unknown_credential_identifier")
            # The victim notices that its own proof is spent, and can go on with a new one.
            _refused(await victim.send(await victim.sealed(), **headers), "invalid_dpop_proof", status=401)
            assert (await victim.ask()).status == 200

    asyncio.run(main())


def test_with_identifiers_that_can_be_guessed_the_body_swap_would_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the test above can fail: the random identifier is what stops the theft."""

    class Guessable(opening.AuthorizationServer):
        def __init__(self, tenant: opening.Tenant) -> None:
            super().__init__(tenant, new_identifier=lambda *_: "identity")

    monkeypatch.setattr(opening, "AuthorizationServer", Guessable)

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            victim = await _with_token(house)
            await victim.nonces()
            headers = victim.credential_headers()
            thief = _body_swap(house, victim)
            thief.identifiers = ("identity",)
            assert len(thief.open(await thief.send(await thief.sealed(), **headers))) == 1

    asyncio.run(main())


def test_an_issuer_that_demands_signed_requests_refuses_unsigned_and_foreign_ones(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, signed_requests="required") as house:
            wallet = await _with_token(house)
            _refused(await wallet.ask(), "invalid_credential_request")
            thief = _body_swap(house, wallet)
            thief.identifiers = wallet.identifiers
            await wallet.nonces()
            _refused(await wallet.send(await thief.sealed(signed=True)), "invalid_credential_request")
            assert (await wallet.ask(signed=True)).status == 200

    asyncio.run(main())


KIND = """
[[configurations]]
id = "ID"
vct = "https://issuer.example/kind"
[configurations.claims]
given_name = {}
"""


def test_a_kind_of_credential_that_is_no_longer_issued_is_named(tmp_path: Path) -> None:
    kinds = tmp_path / "kinds.toml"

    async def main() -> None:
        settings = {"database": f"sqlite:///{tmp_path}/issuer.db", "configurations": kinds}
        kinds.write_text(KIND)
        async with issuer_house(tmp_path, **settings) as house:
            wallet = house.wallet()
            offer = await house.offer(configuration_id="ID", claims={"given_name": "Erika"})
            await wallet.take_token(offer["offer_uri"])
        kinds.write_text(KIND.replace("ID", "other"))
        async with issuer_house(tmp_path, **settings) as house:
            wallet.fetcher = house.fetcher
            _refused(await wallet.ask(), "unknown_credential_configuration")

    asyncio.run(main())


def test_an_identifier_is_needed_where_the_port_is_open(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, identifier="", port=0):
            pytest.fail("started")

    with pytest.raises(SettingsError, match=r"issuer\.identifier"):
        asyncio.run(main())
