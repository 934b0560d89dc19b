"""Every row of the table of errors, over HTTP (OpenID4VCI 1.0 §8.3.1.2, §9.3, §11.3; RFC 6750 §3; RFC 9449).

Each answer has its exact status, `error` and `error_description` and no other member, the characters that
RFC 6749 §5.2 allows, `Cache-Control: no-store`, and WWW-Authenticate where the status is 401 or 403 and only
there. None is ever encrypted.
"""

import asyncio
import re
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from tests.flows.small_wallet import ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe, jws
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.openid4vci.request import (
    Proofs,
    ResponseParameters,
    encode_credential_request,
)
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH

LEGAL = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
PATHS = ("/credential", "/deferred_credential", "/notification")


def refused(answer: Response, error: str, *, status: int = 400) -> Response:
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert LEGAL.fullmatch(members["error_description"])
    assert answer.content_type == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    challenged = answer.headers.get("www-authenticate", "")
    assert (status in (401, 403)) == challenged.startswith("DPoP ")
    return answer


Case = Callable[[House, SmallWallet], Awaitable[None]]


def play(tmp_path: Path, case: Case, **settings: Any) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **settings) as house:
            wallet = await house.holder(await house.offer())
            await wallet.nonces()
            await case(house, wallet)

    asyncio.run(main())


# Token trouble is the same at the three endpoints (RFC 6750 §3.1, RFC 9449 §7.1).


@pytest.mark.parametrize("path", PATHS)
def test_no_credentials(tmp_path: Path, path: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        answer = refused(await wallet.send(b"x", path=path, authorization=None), "invalid_token", status=401)
        assert "error=" not in answer.headers["www-authenticate"]
        assert 'algs="ES256 ' in answer.headers["www-authenticate"]

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", ["DPoP unknown", "Bearer unknown"])
def test_invalid_token(tmp_path: Path, path: str, authorization: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        answer = await wallet.send(b"x", path=path, authorization=authorization)
        challenge = refused(answer, "invalid_token", status=401).headers["www-authenticate"]
        assert 'error="invalid_token"' in challenge

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
def test_a_token_presented_by_another_key_is_invalid(tmp_path: Path, path: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        thief = Key.generate("ES256")
        proof = wallet.proof_of_possession(path, access_token=wallet.access_token, key=thief)
        refused(await wallet.send(b"x", path=path, dpop=proof), "invalid_token", status=401)

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
def test_invalid_request_for_a_token_in_the_query(tmp_path: Path, path: str) -> None:
    async def case(house: House, wallet: SmallWallet) -> None:
        url = f"{ISSUER}{path}?access_token={wallet.access_token}"
        refused(await house.fetcher.request("POST", url, content=b"x"), "invalid_request")

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
def test_invalid_request_for_a_malformed_token(tmp_path: Path, path: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        refused(await wallet.send(b"x", path=path, authorization="DPoP {}"), "invalid_request")

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("proof", [None, "rubbish", "a, b"])
def test_invalid_dpop_proof(tmp_path: Path, path: str, proof: str | None) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        answer = await wallet.send(b"x", path=path, dpop=proof)
        challenge = refused(answer, "invalid_dpop_proof", status=401).headers["www-authenticate"]
        assert 'error="invalid_dpop_proof"' in challenge

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
def test_use_dpop_nonce(tmp_path: Path, path: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        proof = wallet.proof_of_possession(path, access_token=wallet.access_token, nonce=None)
        answer = refused(await wallet.send(b"x", path=path, dpop=proof), "use_dpop_nonce", status=401)
        assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
        assert answer.headers["dpop-nonce"]

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_refused(tmp_path: Path, path: str) -> None:
    async def case(house: House, _wallet: SmallWallet) -> None:
        refused(await house.fetcher.request("GET", f"{ISSUER}{path}"), "invalid_request", status=405)

    play(tmp_path, case)


def test_insufficient_scope(tmp_path: Path) -> None:
    kinds = tmp_path / "kinds.toml"
    kinds.write_text(
        "".join(
            f'[[configurations]]\nid = "{name}"\nvct = "v"\n[configurations.claims]\ngiven_name = {{}}\n'
            for name in ("one", "two")
        )
    )

    async def main() -> None:
        async with issuer_house(tmp_path, configurations=kinds) as house:
            offer = await house.offer(configuration_id="one", claims={"given_name": "Ada"})
            wallet = await house.holder(offer)
            answer = await wallet.ask(credential_identifier=None, credential_configuration_id="two")
            challenge = refused(answer, "insufficient_scope", status=403).headers["www-authenticate"]
            assert 'error="insufficient_scope"' in challenge

    asyncio.run(main())


# What a credential request can have wrong.


async def _store(database: str, statement: str, **values: Any) -> None:
    """What the authorization server would have stored."""
    async with await Database.open(database, branch=BRANCH) as other:
        await other.run(lambda connection: connection.execute(sqlalchemy.text(statement), values))


async def _by_scope(database: str) -> None:
    """Makes the grant one that was given by scope, as without authorization details."""
    statement = "UPDATE issuer_identifiers SET named = :no, digest = :any"
    await _store(database, statement, no=False, any=b"of nothing")


def test_a_proof_is_by_the_client_that_the_token_was_given_to(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/issuer.db"

    async def case(_house: House, wallet: SmallWallet) -> None:
        await _store(database, "UPDATE issuer_grants SET client_id = 'wallet-1'")

        async def ask(client_id: str | None) -> Response:
            nonce = await wallet.nonces()
            proof = create_proof(
                key=wallet.holder, audience=ISSUER, now=NOW, nonce=nonce, client_id=client_id
            )
            return await wallet.ask(proofs=Proofs("jwt", (proof,)))

        refused(await ask("wallet-2"), "invalid_proof")
        assert (await ask("wallet-1")).status == 200
        assert (await ask(None)).status == 200  # `iss` is optional

    play(tmp_path, case, database=database)


def test_a_token_may_be_good_for_less_than_its_grant(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/issuer.db"

    async def case(_house: House, wallet: SmallWallet) -> None:
        await _store(database, "UPDATE issuer_tokens SET configuration_ids = '[\"other\"]'")
        refused(await wallet.ask(), "unknown_credential_identifier")
        answer = await wallet.ask(credential_identifier=None, credential_configuration_id="identity")
        refused(answer, "insufficient_scope", status=403)

    play(tmp_path, case, database=database)


def test_a_token_that_was_granted_by_scope_asks_by_configuration(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/issuer.db"

    async def case(_house: House, wallet: SmallWallet) -> None:
        await _by_scope(database)
        by_name = {"credential_identifier": None, "credential_configuration_id": "identity"}
        refused(await wallet.ask(), "unknown_credential_identifier")
        unknown = {**by_name, "credential_configuration_id": "unknown"}
        refused(await wallet.ask(**unknown), "unknown_credential_configuration")
        first = await wallet.ask(**by_name)
        assert len(wallet.open(first)) == 1
        name = wallet.given(first).notification_id
        # The token keys what a retry is recognised by.
        assert wallet.given(await wallet.ask(**by_name)).notification_id == name

    play(tmp_path, case, database=database)


@pytest.mark.parametrize(
    ("bent", "error"),
    [
        ({"credential_identifier": "unknown"}, "unknown_credential_identifier"),
        (
            {"credential_identifier": None, "credential_configuration_id": "unknown"},
            "unknown_credential_configuration",
        ),
        (
            {"credential_identifier": None, "credential_configuration_id": "identity"},
            "invalid_credential_request",
        ),
        ({"credential_identifier": None}, "invalid_credential_request"),
        ({"credential_configuration_id": "identity"}, "invalid_credential_request"),
        ({"proofs": None}, "invalid_proof"),
        ({"proofs": Proofs("jwt", ())}, "invalid_credential_request"),
        ({"proofs": Proofs("jwt", ("x",) * 11)}, "invalid_credential_request"),
        ({"proofs": Proofs("jwt", ("x",))}, "invalid_proof"),
        ({"proofs": Proofs("attestation", ("x",))}, "invalid_proof"),
        ({"proofs": Proofs("di_vp", ("x",))}, "invalid_proof"),
        ({"c_nonce": "stale"}, "invalid_nonce"),
        ({"response": None}, "invalid_encryption_parameters"),
    ],
)
def test_a_wrong_request(tmp_path: Path, bent: dict[str, Any], error: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        refused(await wallet.ask(**bent), error)
        assert (await wallet.ask()).status == 200

    play(tmp_path, case)


def test_every_fault_of_a_proof(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        key, nonce = wallet.holder, await wallet.nonces()
        good = {"key": key, "audience": ISSUER, "now": NOW, "nonce": nonce}
        symmetric = b64.encode(json.dumps({"typ": "openid4vci-proof+jwt", "alg": "HS256", "jwk": {}}))
        none = b64.encode(json.dumps({"typ": "openid4vci-proof+jwt", "alg": "none", "jwk": {}}))
        claims = json.dumps({"aud": ISSUER, "iat": NOW, "nonce": nonce})
        typ = "openid4vci-proof+jwt"
        private = key.to_jwk(private=True)

        def made(**header: Any) -> str:
            return jws.sign(claims, signer=key, header={"typ": typ, **header})

        faults = {
            "of another issuer": create_proof(**{**good, "audience": "https://other.example"}),  # type: ignore[arg-type]
            "too old": create_proof(**{**good, "now": NOW - 3600}),  # type: ignore[arg-type]
            "from the future": create_proof(**{**good, "now": NOW + 3600}),  # type: ignore[arg-type]
            "without nonce": create_proof(**{**good, "nonce": None}),  # type: ignore[arg-type]
            "by a client of that name": create_proof(**good, client_id="c"),  # type: ignore[arg-type]
            "by another key": made(jwk=Key.generate("ES256").public.to_jwk()),
            "with a private key": made(jwk=private),
            "of another type": jws.sign(
                claims, signer=key, header={"typ": "jwt", "jwk": key.public.to_jwk()}
            ),
            "without a key": made(),
            "with two keys": made(jwk=key.public.to_jwk(), kid="0"),
            "with a DID": made(kid="did:example:1#0"),
            "with a certificate": made(x5c=["AA=="]),
            "by a MAC": f"{symmetric}.{b64.encode(claims)}.AAAA",
            "by nothing": f"{none}.{b64.encode(claims)}.",
            "no JWT": "x",
        }
        for name, proof in faults.items():
            answer = await wallet.ask(proofs=Proofs("jwt", (proof,)))
            assert answer.json()["error"] == "invalid_proof", name
            refused(answer, "invalid_proof")
        refused(
            await wallet.ask(proofs=Proofs("jwt", (create_proof(**{**good, "nonce": "n"}),))),  # type: ignore[arg-type]
            "invalid_nonce",
        )
        assert (await wallet.ask()).status == 200

    play(tmp_path, case)


def test_credential_request_denied(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        assert (await wallet.ask()).status == 200
        answer = await wallet.ask(holders=[Key.generate("ES256")])
        refused(answer, "credential_request_denied")

    play(tmp_path, case, credentials_per_identifier=1)


def test_an_error_is_never_encrypted_and_names_nothing_received(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        marker = "x5Zq-marker"
        for bent in (
            {"credential_identifier": marker},
            {"proofs": Proofs("jwt", (f"{marker}.{marker}.{marker}",))},
            {"proofs": Proofs(marker, ("x",))},
            {"c_nonce": marker},
        ):
            answer = await wallet.ask(**bent)
            assert answer.content_type == "application/json"
            assert marker not in str(answer)

    play(tmp_path, case)


# Deferred and notification: see also their own files.


def test_invalid_transaction_id(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        refused(await wallet.poll("unknown"), "invalid_transaction_id")

    play(tmp_path, case)


@pytest.mark.parametrize("body", [b"{}", b'{"transaction_id":1}', b"rubbish", b"[]"])
def test_an_invalid_deferred_request(tmp_path: Path, body: bytes) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        answer = await wallet.send(await wallet.seal(body), path="/deferred_credential")
        refused(answer, "invalid_credential_request")

    play(tmp_path, case)


def test_invalid_notification_id_and_request(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        refused(await wallet.notify("unknown", "credential_accepted"), "invalid_notification_id")
        answer = await wallet.send(b"{}", path="/notification", content_type="application/json")
        refused(answer, "invalid_notification_request")

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS[:2])
def test_nothing_is_decrypted_before_token_and_proof_are_good(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreements: list[str] = []
    exchange = AgreementKey.exchange

    def counted(key: AgreementKey, peer: Any) -> bytes:
        agreements.append(key.curve)
        return exchange(key, peer)

    async def case(_house: House, wallet: SmallWallet) -> None:
        body = await wallet.seal(b"{}")
        monkeypatch.setattr(AgreementKey, "exchange", counted)
        elsewhere = wallet.proof_of_possession("/notification", access_token=wallet.access_token)
        for headers in (
            {"authorization": None},
            {"authorization": "DPoP x"},
            {"dpop": None},
            {"dpop": elsewhere},
        ):
            assert (await wallet.send(body, path=path, **headers)).status == 401
        assert agreements == []
        assert (await wallet.send(body, path=path)).status == 400
        assert len(agreements) == 1

    play(tmp_path, case)


# What is too much (facts on abuse; the specification has no section about it).


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [300_000, 10 * 1024 * 1024])
def test_a_body_too_large_is_refused_and_not_kept(tmp_path: Path, path: str, size: int) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        refused(await wallet.send(b"x" * size, path=path), "invalid_request", status=413)

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS[:2])
def test_json_ten_thousand_deep(tmp_path: Path, path: str) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        for text in (b"[" * 10_000, b'{"a":' * 10_000, b'{"proofs":' * 10_000 + b"1" + b"}" * 10_000):
            answer = await wallet.send(await wallet.seal(text), path=path)
            refused(answer, "invalid_credential_request")

    play(tmp_path, case)


def test_a_deep_identifier_is_no_fault_of_ours(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        deep: Any = "x"
        for _ in range(20):
            deep = [deep]
        members = json.loads_object(encode_credential_request(await wallet.request()))
        body = json.dumps({**members, "credential_identifier": deep})
        refused(await wallet.send(await wallet.seal(body)), "invalid_credential_request")

    play(tmp_path, case)


@pytest.mark.parametrize("path", PATHS[:2])
def test_a_compressed_bomb_is_not_inflated(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated: list[int] = []
    real = zlib.decompressobj

    def counted(*arguments: Any, **named: Any) -> Any:
        inflated.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(zlib, "decompressobj", counted)

    async def case(_house: House, wallet: SmallWallet) -> None:
        bomb = b" " * 200_000
        metadata = await wallet.metadata()
        assert metadata.request_encryption is not None
        key = metadata.request_encryption.keys[0]
        body = jwe.encrypt(bomb, recipient=key, enc="A128GCM", zip="DEF").encode()
        assert len(body) < 2000
        refused(await wallet.send(body, path=path), "invalid_encryption_parameters")
        assert inflated == []

    play(tmp_path, case)


def test_a_thousand_proofs_cost_no_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = jws.parse

    def counted(text: str, **named: Any) -> Any:
        parsed.append(text)
        return parse(text, **named)

    async def case(_house: House, wallet: SmallWallet) -> None:
        proof = create_proof(key=wallet.holder, audience=ISSUER, now=NOW, nonce=await wallet.nonces())
        body = await wallet.sealed(proofs=Proofs("jwt", ("a.b.c",) * 999 + (proof,)))
        monkeypatch.setattr(jws, "parse", counted)
        refused(await wallet.send(body), "invalid_credential_request")
        assert proof not in parsed
        assert "a.b.c" not in parsed

    play(tmp_path, case)


def test_a_claim_with_a_long_number_is_bounded(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        body = b'{"credential_identifier":"x","a":' + b"9" * 100_000 + b"}"
        begun = time.process_time()
        refused(await wallet.send(await wallet.seal(body)), "invalid_credential_request")
        assert time.process_time() - begun < 30  # quadratic work would take minutes

    play(tmp_path, case)


# The envelope: one answer.


def test_every_fault_of_the_response_parameters_is_one_answer(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        own = AgreementKey.generate("P-256", kid="k").public
        rsa = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP-256", "kid": "k"}
        members = json.loads_object(encode_credential_request(await wallet.request()))
        bodies = []
        for parameters in (
            {"jwk": own.to_jwk(), "enc": "A192CBC-HS384"},
            {"jwk": own.to_jwk(), "enc": ["A128GCM"]},
            {"jwk": own.to_jwk()},
            {"enc": "A128GCM"},
            {"jwk": own.to_jwk(), "enc": "A128GCM", "zip": "DEF"},
            {"jwk": rsa, "enc": "A128GCM"},
            {"jwk": {**own.to_jwk(), "alg": "ECDH-ES+A128KW"}, "enc": "A128GCM"},
            {"jwk": {**own.to_jwk(), "x": own.to_jwk()["y"]}, "enc": "A128GCM"},
            {"jwk": {**own.to_jwk(), "use": "sig"}, "enc": "A128GCM"},
            {"jwk": {**own.to_jwk(), "d": "AA"}, "enc": "A128GCM"},
            [],
            "x",
        ):
            body = json.dumps({**members, "credential_response_encryption": parameters})
            answer = await wallet.send(await wallet.seal(body))
            refused(answer, "invalid_encryption_parameters")
            bodies.append((answer.body, {k: v for k, v in answer.headers.items() if k != "dpop-nonce"}))
        assert all(body == bodies[0] for body in bodies)
        # An alg beside the key, as before OpenID4VCI 1.0, is ignored.
        parameters = {"jwk": own.to_jwk(), "enc": "A128GCM", "alg": "ECDH-ES"}
        body = json.dumps({**members, "credential_response_encryption": parameters})
        assert (await wallet.send(await wallet.seal(body))).status == 200

    play(tmp_path, case)


def test_the_faults_of_an_envelope_are_counted_alike(tmp_path: Path) -> None:
    """Neither the answer nor the code in logs and metrics tells why."""

    async def case(house: House, wallet: SmallWallet) -> None:
        good = await wallet.sealed()
        parts = good.split(b".")
        flipped = bytearray(b64.decode(parts[3].decode()))
        flipped[0] ^= 1
        parts[3] = b64.encode(bytes(flipped)).encode()
        for body in (b"x", good[4:], b".".join(parts)):
            refused(await wallet.send(body), "invalid_encryption_parameters")
        codes = [
            sample.labels["code"]
            for family in house.telemetry.metrics.registry.collect()
            for sample in family.samples
            if sample.labels.get("route") == "/credential" and "code" in sample.labels
        ]
        assert set(codes) == {"invalid_encryption_parameters"}

    play(tmp_path, case)


def test_a_response_encrypted_as_asked_has_the_key_and_algorithms_asked_for(tmp_path: Path) -> None:
    async def case(_house: House, wallet: SmallWallet) -> None:
        for curve, enc in (("P-256", "A128GCM"), ("X25519", "A256GCM")):
            key = AgreementKey.generate(curve, kid=f"{curve}-1")  # type: ignore[arg-type]
            answer = await wallet.ask(response=ResponseParameters(key.public, enc))
            header = json.loads_object(b64.decode(answer.body.decode().split(".")[0]))
            assert (header["kid"], header["alg"], header["enc"]) == (f"{curve}-1", "ECDH-ES", enc)
            assert "zip" not in header
            assert answer.content_type == "application/jwt"

    play(tmp_path, case)
