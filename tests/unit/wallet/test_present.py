"""Presenting: what was chosen, to whom it was meant, and nobody else."""

from typing import Any

import pytest

from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.net.fetch import Response
from safeconduct.trust import Policy, Trust

VERIFIER = "https://verifier.example"
NOW = 1_800_000_000


def accepted(bench: Any) -> str:
    held = bench.run(lambda wallet: wallet.accept(bench.world.offer_uri))
    return str(held.id)


def verifier(bench: Any, *, audience: str = VERIFIER, nonce: str = "AAAAAAAAAAAAAAAAAAAAAA") -> None:
    def nonces(*_: Any) -> Response:
        return Response(200, {}, json.dumps({"nonce": nonce, "audience": audience, "expires_in": 300}))

    def judge(world: Any, _url: str, headers: Any, body: bytes) -> Response:
        assert headers["Content-Type"] == "application/kb+cwt"
        trust = Trust.of({"https://issuer.example/tenant": world.signing_key.public})
        policy = Policy(audience=VERIFIER, nonce=b64.decode(nonce))
        claims = sd_cwt.verify(body, trust=trust, policy=policy, now=NOW).claims
        return Response(200, {}, json.dumps({"claims": claims.to_json(), "key_binding": {}}))

    bench.world.handlers["POST verifier.example/nonces"] = nonces
    bench.world.handlers["POST verifier.example/presentations"] = judge


def code_of(bench: Any, steps: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        bench.run(steps)
    return error.value.code


def test_a_presentation_discloses_what_was_chosen_and_verifies(bench: Any) -> None:
    name = accepted(bench)
    shown = bench.run(
        lambda wallet: wallet.present(name, disclose=["family_name"], audience=VERIFIER, nonce=b"n" * 8)
    )
    verified = sd_cwt.verify(
        shown,
        trust=Trust.of({"https://issuer.example/tenant": bench.world.signing_key.public}),
        policy=Policy(audience=VERIFIER, nonce=b"n" * 8),
        now=NOW,
    )
    assert verified.claims["family_name"] == "Mustermann"
    assert "given_name" not in verified.claims


def test_a_verifier_service_gets_its_nonce_back_and_tells_the_claims(bench: Any) -> None:
    verifier(bench)
    name = accepted(bench)
    outcome = bench.run(
        lambda wallet: wallet.present_to(name, verifier=f"{VERIFIER}/", disclose=["given_name"])
    )
    assert outcome.accepted
    assert outcome.claims["given_name"] == "Erika"
    assert "family_name" not in outcome.claims


def test_a_verifier_that_wants_a_presentation_for_somebody_else_gets_none(bench: Any) -> None:
    verifier(bench, audience="https://bank.example")
    name = accepted(bench)
    code = code_of(bench, lambda wallet: wallet.present_to(name, verifier=VERIFIER, disclose=["given_name"]))
    assert code == "audience_foreign"
    assert not bench.world.to("/presentations")


def test_a_verifier_s_refusal_is_told_in_its_words(bench: Any) -> None:
    verifier(bench)
    bench.world.handlers["POST verifier.example/presentations"] = lambda *_: Response(
        400, {}, json.dumps({"code": "nonce_unknown", "detail": "The nonce is not ours."})
    )
    name = accepted(bench)
    outcome = bench.run(lambda wallet: wallet.present_to(name, verifier=VERIFIER, disclose=[]))
    assert (outcome.accepted, outcome.code, outcome.reason) == (
        False,
        "nonce_unknown",
        "The nonce is not ours.",
    )


def test_a_verifier_without_a_nonce_gets_nothing(bench: Any) -> None:
    bench.world.handlers["POST verifier.example/nonces"] = lambda *_: Response(500, {}, b"")
    name = accepted(bench)
    assert code_of(bench, lambda wallet: wallet.present_to(name, verifier=VERIFIER, disclose=[])) == (
        "nonce_missing"
    )


def test_a_claim_that_is_not_there_is_told(bench: Any) -> None:
    name = accepted(bench)
    code = code_of(
        bench, lambda wallet: wallet.present(name, disclose=["iban"], audience=VERIFIER, nonce=None)
    )
    assert code == "claim_not_found"


def test_an_expired_credential_is_shown_to_its_holder_only(bench: Any) -> None:
    bench.world.claims["exp"] = NOW + 1
    name = accepted(bench)
    bench.moments.append(NOW + 1)
    code = code_of(bench, lambda wallet: wallet.present(name, disclose=[], audience=VERIFIER, nonce=None))
    assert code == "credential_expired"
    assert bench.run(lambda wallet: wallet.show(name)).claims["given_name"] == "Erika"


def test_a_verifier_in_the_clear_is_refused(bench: Any) -> None:
    name = accepted(bench)
    code = code_of(
        bench,
        lambda wallet: wallet.present_to(name, verifier="http://verifier.example", disclose=["given_name"]),
    )
    assert code == "url_not_https"
