"""A wallet server that attacks obtains no credential and is noticed; without the protection, it does."""

from pathlib import Path
from typing import Any

import pytest

from safeconduct.demo import hostile
from safeconduct.demo.attacks import GUESS, PLANS, Fight, Plan, fight
from safeconduct.demo.parties import Parties
from safeconduct.demo.story import CLAIMS
from safeconduct.encoding import b64, json
from safeconduct.net.fetch import Fetcher, Response
from safeconduct.protocols.openid4vci import proof
from safeconduct.services.issuer import delivery_store
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.service import Issuer
from safeconduct.wallet import answers, obtain, requests

BY_NAME = {plan.name: plan for plan in PLANS}


def attack(stage: Any, name: str, **arguments: Any) -> Fight:
    directory: Path = stage.directory / "wallet"
    return stage.play(lambda parties: fight(parties, BY_NAME[name], directory, claims=CLAIMS, **arguments))


# With every protection on.


@pytest.mark.parametrize(
    ("name", "wallet_codes", "issuer_codes", "held"),
    [
        ("body swap", ("forwarding_failed",), ("identifier_unknown", "dpop_replayed"), True),
        ("swapped issuer key", ("forwarding_failed",), ("identifier_unknown",), True),
        ("swapped response key", ("jwe_rejected",), (), True),
        ("faked nonce challenge", ("challenge_not_believed",), ("identifier_unknown", "dpop_replayed"), True),
        ("replayed request", (), ("dpop_replayed",), True),
        ("withheld answer", ("forwarding_failed",), ("dpop_replayed",), True),
    ],
)
def test_it_obtains_no_credential_and_is_noticed(
    stage: Any, name: str, wallet_codes: tuple[str, ...], issuer_codes: tuple[str, ...], held: bool
) -> None:
    fought = attack(stage, name)
    assert fought.attempt.obtained == 0
    assert (fought.wallet_codes, fought.issuer_codes) == (wallet_codes, issuer_codes)
    assert fought.attempt.held is held
    assert fought.attempt.repelled


NAMING_THE_CONFIGURATION = Plan("body swap", "a request for a configuration", hostile.swap_body(None))


def test_a_request_that_names_a_configuration_is_refused(stage: Any) -> None:
    fought = stage.play(
        lambda parties: fight(parties, NAMING_THE_CONFIGURATION, stage.directory / "wallet", claims=CLAIMS)
    )
    assert fought.attempt.obtained == 0
    assert fought.issuer_codes == ("identifier_missing",)


@pytest.mark.parametrize("name", BY_NAME)
def test_it_gets_one_proof_and_is_asked_for_no_metadata(stage: Any, name: str) -> None:
    spoils = attack(stage, name).spoils
    assert len({received.dpop for received in spoils.received}) == 1
    assert spoils.metadata_asked == 0


# With a protection taken away, the same attacks succeed, so these tests can fail.


@pytest.fixture
def guessable(monkeypatch: Any) -> None:
    """Credential identifiers that anybody can guess."""
    defaults = AuthorizationServer.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "new_identifier", lambda *_: GUESS)


@pytest.mark.usefixtures("guessable")
@pytest.mark.parametrize("name", ["body swap", "faked nonce challenge"])
def test_with_guessable_identifiers_it_obtains_the_credential(stage: Any, name: str) -> None:
    fought = attack(stage, name)
    assert fought.attempt.obtained == 1
    assert not fought.attempt.repelled
    assert not fought.attempt.held


@pytest.mark.usefixtures("guessable")
def test_without_identifiers_it_obtains_the_credential(stage: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Issuer, "_dataset", lambda _self, access, _request: access.datasets[0])
    fought = stage.play(
        lambda parties: fight(parties, NAMING_THE_CONFIGURATION, stage.directory / "wallet", claims=CLAIMS)
    )
    assert fought.attempt.obtained == 1
    assert not fought.attempt.held


async def _believing(context: Any, errand: Any, session: Any, prepared: Any, *, path: str) -> Any:
    """What the wallet would do if it took nonces from anybody."""
    for _ in range(2):
        headers = errand.line.headers(
            errand.pending.access, url=prepared.url, content_type=prepared.content_type
        )
        routed = {
            **headers,
            "Safeconduct-Session": session.token,
            "Safeconduct-Issuer": errand.issuer.identifier,
        }
        response = await context.fetcher.request(
            "POST", f"{session.base}/forward/{path}", headers=routed, content=prepared.body
        )
        if not answers.is_challenge(response):
            break
        errand.line._nonce = response.headers["dpop-nonce"]
    return obtain._Fetched(requests.open_answer(prepared, response, keys=1), session, None)


def test_if_the_wallet_believed_challenges_it_would_give_a_second_proof_unawares(
    stage: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(obtain, "_fetched", _believing)
    fought = attack(stage, "faked nonce challenge")
    assert len({received.dpop for received in fought.spoils.received}) == 2
    assert fought.wallet_codes == ()
    # The second layer still holds: a proof without the identifier is worth nothing.
    assert fought.attempt.obtained == 0


@pytest.mark.usefixtures("guessable")
def test_if_the_wallet_believed_challenges_guessing_would_be_covered_up(stage: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(obtain, "_fetched", _believing)
    stage.credentials_per_identifier = 2
    fought = attack(stage, "faked nonce challenge")
    assert fought.attempt.obtained >= 1
    assert fought.wallet_codes == ()
    assert fought.attempt.held


class MetadataFrom:
    """A line that asks a wallet server for the issuer's metadata: the protection, taken away."""

    def __init__(self, line: Fetcher, server: str, issuer: str) -> None:
        self._line, self._server, self._issuer = line, server, issuer

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        if "openid-credential-issuer" in url:
            url = url.replace(self._issuer, self._server)
        return await self._line.request(method, url, **arguments)

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return await self._line.get_json(url, **arguments)

    async def close(self) -> None:
        await self._line.close()


def test_if_metadata_came_from_it_a_swapped_issuer_key_would_succeed(stage: Any) -> None:
    async def scene(parties: Parties) -> Fight:
        return await fight(
            parties,
            BY_NAME["swapped issuer key"],
            stage.directory / "wallet",
            claims=CLAIMS,
            through=lambda server: lambda line: MetadataFrom(line, server, parties.issuer.url),
        )

    fought = stage.play(scene)
    assert fought.spoils.metadata_asked == 1
    assert fought.attempt.obtained == 1
    assert not fought.attempt.held


def forget_proofs(monkeypatch: Any) -> None:
    monkeypatch.setattr(delivery_store, "remember_proof", lambda *_, **__: None)


def test_without_a_memory_of_proofs_a_replay_meets_the_burnt_nonce(stage: Any, monkeypatch: Any) -> None:
    forget_proofs(monkeypatch)
    fought = attack(stage, "replayed request")
    assert fought.issuer_codes == ("proof_nonce_used",)
    assert fought.attempt.obtained == 0
    assert [answer.status for answer in fought.spoils.answers] == [200, 400]


def test_without_either_a_replay_is_answered_for_the_wallet_alone(stage: Any, monkeypatch: Any) -> None:
    forget_proofs(monkeypatch)
    monkeypatch.setattr(delivery_store, "_use_nonces", lambda *_: None)
    fought = attack(stage, "replayed request")
    assert [answer.status for answer in fought.spoils.answers] == [200, 200]
    assert fought.attempt.obtained == 0


# Answers withheld: the wallet gets its credential for the keys that it asked with, and nobody another.


def test_a_withheld_answer_is_given_again_for_the_same_keys(stage: Any) -> None:
    async def scene(parties: Parties) -> tuple[Fight, set[bytes]]:
        fought = await fight(parties, BY_NAME["withheld answer"], stage.directory / "wallet", claims=CLAIMS)
        keys = {signed.key.to_raw() for signed in fought.holder.signed if _is_key_proof(signed.data)}
        return fought, keys

    fought, keys = stage.play(scene)
    assert fought.wallet_codes == ("forwarding_failed",)
    assert fought.attempt.held
    assert fought.attempt.obtained == 0
    assert len(keys) == 1


def test_an_issuer_that_does_not_answer_twice_leaves_the_credential_withheld(
    stage: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(delivery_store, "_delivered_before", lambda *_: None)
    monkeypatch.setattr(delivery_store, "_delivered", lambda *_: {})
    fought = stage.play(
        lambda parties: fight(parties, BY_NAME["withheld answer"], stage.directory / "wallet", claims=CLAIMS)
    )
    assert fought.wallet_codes == ("forwarding_failed", "credential_withheld")
    assert not fought.attempt.held


def _is_key_proof(data: bytes) -> bool:
    header = json.loads_object(b64.decode(data.partition(b".")[0]))
    return header.get("typ") == proof.TYPE
