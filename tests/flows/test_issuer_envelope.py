"""The envelope of credential requests: one answer to every fault, no work for strangers (OpenID4VCI §10)."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import House, SmallWallet, garbage, issuer_house

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.request import encode_credential_request
from safeconduct.services.issuer import opening


async def _with_token(house: House) -> SmallWallet:
    wallet = house.wallet()
    await wallet.take_token((await house.offer())["offer_uri"])
    return wallet


def _seen(answer: Response) -> tuple[int, bytes, dict[str, str]]:
    return answer.status, answer.body, dict(answer.headers)


def _bent_header(sealed: bytes, **members: Any) -> bytes:
    head, *rest = sealed.split(b".")
    header = {**json.loads_object(b64.decode(head.decode())), **members}
    header = {name: value for name, value in header.items() if value is not None}
    return b".".join([b64.encode(json.dumps(header)).encode(), *rest])


def _flipped(sealed: bytes, part: int) -> bytes:
    parts = sealed.split(b".")
    raw = bytearray(b64.decode(parts[part].decode()))
    raw[0] ^= 1
    parts[part] = b64.encode(bytes(raw)).encode()
    return b".".join(parts)


async def _faulty_bodies(wallet: SmallWallet) -> dict[str, bytes]:
    good = await wallet.sealed()
    payload = encode_credential_request(await wallet.request())
    metadata = await wallet.metadata()
    assert metadata.request_encryption is not None
    first, second = metadata.request_encryption.keys
    stranger = AgreementKey.generate("P-256", kid=first.kid).public
    parameters = encryption.ResponseParameters
    own = AgreementKey.generate("P-256", kid="k").public

    async def with_response(value: Any) -> bytes:
        members = {**json.loads_object(payload), "credential_response_encryption": value}
        return await wallet.seal(json.dumps(members))

    return {
        "garbage": garbage(200),
        "empty": b"",
        "not five parts": good.rsplit(b".", 1)[0],
        "unknown kid": _bent_header(good, kid="unknown"),
        "no kid": _bent_header(good, kid=None),
        "kid of the other curve": _bent_header(good, kid=second.kid),
        "alg dir": _bent_header(good, alg="dir"),
        "alg RSA1_5": _bent_header(good, alg="RSA1_5"),
        "enc not offered": _bent_header(good, enc="A192GCM"),
        "zip not offered": jwe.encrypt(payload, recipient=first, enc="A128GCM", zip="DEF").encode(),
        "crit": _bent_header(good, crit=["exp"]),
        "epk off the curve": _bent_header(good, epk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        "an encrypted key": good.replace(b"..", b".AAAA.", 1),
        "iv": _flipped(good, 2),
        "ciphertext": _flipped(good, 3),
        "tag": _flipped(good, 4),
        "to a stranger's key": jwe.encrypt(payload, recipient=stranger, enc="A128GCM").encode(),
        "no response encryption": await wallet.sealed(response=None),
        "response enc unknown": await wallet.sealed(response=parameters(own, "A192GCM")),
        "response zip not offered": await wallet.sealed(response=parameters(own, "A128GCM", "DEF")),
        "response jwk without alg": await with_response(
            {"jwk": {k: v for k, v in own.to_jwk().items() if k != "alg"}, "enc": "A128GCM"}
        ),
        "response jwk of another kind": await with_response(
            {"jwk": {"kty": "oct", "k": "AA"}, "enc": "A128GCM"}
        ),
        "response parameters no object": await with_response("x"),
    }


def test_every_fault_of_the_envelope_gets_the_same_answer_byte_for_byte(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            answers = {name: await wallet.send(body) for name, body in (await _faulty_bodies(wallet)).items()}
            plain = encode_credential_request(await wallet.request())
            for content_type in ("application/json", "application/jose", "text/plain", ""):
                answers[f"plain as {content_type}"] = await wallet.send(plain, content_type=content_type)
            differing = {
                name: answer for name, answer in answers.items() if _seen(answer) != _seen(answers["tag"])
            }
            assert differing == {}
            assert answers["tag"].json()["error"] == "invalid_encryption_parameters"
            assert answers["tag"].status == 400
            # None of it cost the wallet its credential.
            assert (await wallet.ask()).status == 200

    asyncio.run(main())


def test_a_request_to_either_published_key_is_opened(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=4) as house:
            wallet = await _with_token(house)
            metadata = await wallet.metadata()
            assert metadata.request_encryption is not None
            assert [key.curve for key in metadata.request_encryption.keys] == ["P-256", "X25519"]
            for key in metadata.request_encryption.keys:
                for enc in metadata.request_encryption.enc_values:
                    payload = encode_credential_request(await wallet.request())
                    body = encryption.seal_request(
                        payload, to=encryption.RequestKey(key, enc), signature=None
                    )
                    assert len(wallet.open(await wallet.send(body))) == 1

    asyncio.run(main())


def test_nothing_is_decrypted_for_who_shows_no_token_and_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreements: list[str] = []
    exchange = AgreementKey.exchange

    def counted(key: AgreementKey, peer: Any) -> bytes:
        agreements.append(key.curve)
        return exchange(key, peer)

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            body = await wallet.sealed()
            spent = wallet.credential_headers()
            await wallet.send(await wallet.sealed(credential_identifier="x"), **spent)
            stranger = house.wallet()
            stranger.access_token, stranger.dpop_nonce = wallet.access_token, wallet.dpop_nonce
            monkeypatch.setattr(AgreementKey, "exchange", counted)
            for headers in (
                {"authorization": None},
                {"authorization": "DPoP unknown"},
                {"authorization": f"Bearer {wallet.access_token}"},
                {"dpop": None},
                {"dpop": "rubbish"},
                {"dpop": wallet.proof_of_possession("/token", access_token=wallet.access_token)},
                {"dpop": wallet.proof_of_possession("/credential", access_token="other")},
                {
                    "dpop": wallet.proof_of_possession(
                        "/credential", access_token=wallet.access_token, nonce=None
                    )
                },
                stranger.credential_headers(),
                spent,
            ):
                answer = await wallet.send(body, **headers)
                assert answer.status == 401, headers
            assert agreements == []
            answer = await wallet.send(body)
            assert answer.status == 200
            assert len(agreements) == 2  # the request opened, the response sealed

    asyncio.run(main())


def test_a_body_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _with_token(house)
            for size in (300_000, 700_000):
                answer = await wallet.send(b"x" * size)
                assert answer.status == 413
                assert answer.json()["error"] == "invalid_request"

    asyncio.run(main())


def test_an_issuer_that_allows_plain_requests_answers_them_plainly(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, require_encryption=False) as house:
            wallet = await _with_token(house)
            with_key = encode_credential_request(await wallet.request())
            answer = await wallet.send(with_key, content_type="application/json")
            # A response key in a plain request could be anyone's.
            assert answer.json()["error"] == "invalid_encryption_parameters"
            plain = encode_credential_request(await wallet.request(response=None))
            answer = await wallet.send(plain, content_type="text/plain")
            assert answer.json()["error"] == "invalid_credential_request"
            answer = await wallet.send(plain, content_type="application/json")
            assert answer.status == 200
            assert answer.content_type == "application/json"
            assert len(answer.json()["credentials"]) == 1

    asyncio.run(main())


def test_the_sizes_of_responses_fall_into_buckets(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            sizes = set()
            for name in ("E", "Erika-Magdalena von und zu Mustermann-Musterfrau"):
                wallet = house.wallet()
                claims = {"given_name": name, "family_name": "M"}
                await wallet.take_token((await house.offer(claims=claims))["offer_uri"])
                sizes.add(len((await wallet.ask()).body))
            assert len(sizes) == 1

    asyncio.run(main())


def test_a_request_key_works_until_its_metadata_is_stale_and_is_then_destroyed(tmp_path: Path) -> None:
    file = tmp_path / "issuer.db"

    async def main() -> None:
        settings = {"encryption_epoch": 3600, "metadata_lifetime": 300, "clock_skew": 60}
        async with issuer_house(tmp_path, database=f"sqlite:///{file}", **settings) as house:
            start = house.clock.now - house.clock.now % 3600
            house.clock.now = start + 3599
            old = await (await _with_token(house)).metadata()
            assert old.request_encryption is not None
            secrets = {key.kid for key in old.request_encryption.keys}
            house.clock.now = start + 3600 + 299
            wallet = await _with_token(house)
            new = await wallet.metadata()
            assert new.request_encryption is not None
            assert secrets.isdisjoint(key.kid for key in new.request_encryption.keys)
            payload = encode_credential_request(await wallet.request())
            to = encryption.RequestKey(old.request_encryption.keys[0], "A128GCM")
            sealed = encryption.seal_request(payload, to=to, signature=None)
            assert (await wallet.send(sealed)).status == 200

            house.clock.now = start + 3600 + 300 + 60
            wallet = await _with_token(house)
            payload = encode_credential_request(await wallet.request())
            sealed = encryption.seal_request(payload, to=to, signature=None)
            answer = await wallet.send(sealed)
            assert answer.json()["error"] == "invalid_encryption_parameters"

    asyncio.run(main())


def test_destroyed_keys_and_issued_claims_are_in_no_page_of_the_running_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "issuer.db"
    running: list[opening.Housekeeping] = []

    class Caught(opening.Housekeeping):
        def __init__(self, *tenants: Any, **arguments: Any) -> None:
            super().__init__(*tenants, **arguments)
            running.append(self)

    def secrets() -> set[bytes]:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return {row[0] for row in connection.execute("SELECT secret FROM issuer_keys")}

    def left() -> bytes:
        return b"".join(page.read_bytes() for page in tmp_path.glob("issuer.db*"))

    monkeypatch.setattr(opening, "Housekeeping", Caught)

    async def main() -> None:
        async with issuer_house(tmp_path, database=f"sqlite:///{file}") as house:
            old = secrets()
            wallet = house.wallet()
            claims = {"given_name": "Name-of-the-holder", "family_name": "M"}
            await wallet.take_token((await house.offer(claims=claims))["offer_uri"])
            assert b"Name-of-the-holder" in left()
            assert all(secret in left() for secret in old)
            assert (await wallet.ask()).status == 200
            house.clock.now += 10 * 86400
            await running[0].sweep()
            assert old.isdisjoint(secrets())
            assert [secret for secret in old if secret in left()] == []
            assert b"Name-of-the-holder" not in left()

    asyncio.run(main())


def test_the_signing_key_file_is_private_and_kept(tmp_path: Path) -> None:
    async def key() -> Any:
        async with issuer_house(tmp_path) as house:
            answer = await house.fetcher.request("GET", f"{house.settings.url}/.well-known/jwt-vc-issuer")
            return answer.json()["jwks"]

    first, second = asyncio.run(key()), asyncio.run(key())
    assert first == second
    assert (tmp_path / "issuer.pem").stat().st_mode & 0o777 == 0o600
    assert Key.from_pem((tmp_path / "issuer.pem").read_bytes()).public.to_jwk()["x"] == first["keys"][0]["x"]
