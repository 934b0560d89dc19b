"""What the issuer says about itself (OpenID4VCI 1.0 §12.2): JSON or signed, in one language, for anyone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.flows.small_wallet import ISSUER, NOW, House, issuer_house
from tests.flows.test_issuer_formats import KINDS, LISTS

from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.metadata import parse_issuer_metadata
from safeconduct.protocols.openid4vci.signed_metadata import verify_signed_metadata
from safeconduct.trust import Trust

ADDRESS = f"{ISSUER}/.well-known/openid-credential-issuer"
JSON, JWT = "application/json", "application/jwt"
ROOT = pki.Authority.root()


def _settings(folder: Path, *, certified: bool = True) -> dict[str, Any]:
    key = Key.generate("ES256")
    (folder / "kinds.toml").write_text(KINDS)
    (folder / "issuer.pem").write_text(key.to_pem(private=True))
    (folder / "chain.pem").write_text(pki.pem(*ROOT.authority("CA").chain(key, uris=[ISSUER])))
    settings: dict[str, Any] = {"configurations": folder / "kinds.toml", "status_list_uri": LISTS}
    return {**settings, "signing_certificate": folder / "chain.pem"} if certified else settings


async def _get(house: House, **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await house.fetcher.request("GET", ADDRESS, headers=fields)
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json, text/plain, */*", JSON),
        ("application/jwt", JWT),
        ("application/jwt, application/json;q=0.9", JWT),
        ("application/jwt;q=0.1, application/json", JSON),
        ("application/xml", JSON),
        ("\xe4\xf6, ;;q=x", JSON),
    ],
)
def test_the_form_follows_the_accept_header(tmp_path: Path, accept: str | None, media_type: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            answer = await _get(house, **({} if accept is None else {"Accept": accept}))
            assert answer.content_type == media_type
            assert answer.headers["vary"] == "Accept, Accept-Language"
            assert answer.headers["cache-control"] == "max-age=300"
            assert answer.headers["access-control-allow-origin"] == "*"

    asyncio.run(main())


def test_signed_metadata_says_the_same_and_is_the_issuers(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            plain = await _get(house)
            signed = (await _get(house, Accept=JWT)).body.decode()
            trust = Trust.certified(ROOT.certificate)
            members = verify_signed_metadata(signed, credential_issuer=ISSUER, trust=trust, now=NOW)
            own = {name: value for name, value in members.items() if name not in ("iss", "sub", "iat", "exp")}
            assert own == plain.json()
            # Whoever keeps it as long as the headers allow still has a document that is valid.
            kept = NOW - NOW % 300 + 299 + 300
            verify_signed_metadata(signed, credential_issuer=ISSUER, trust=trust, now=kept)
            with pytest.raises(SafeconductError) as error:
                verify_signed_metadata(signed, credential_issuer=ISSUER, trust=trust, now=NOW + 86400)
            assert error.value.code == "jwt_expired"
            other = Trust.certified(pki.Authority.root().certificate)
            with pytest.raises(SafeconductError):
                verify_signed_metadata(signed, credential_issuer=ISSUER, trust=other, now=NOW)

    asyncio.run(main())


def test_without_a_certificate_there_is_only_json(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path, certified=False)) as house:
            assert (await _get(house, Accept=JWT)).content_type == JSON

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wanted", "language", "names"),
    [
        (None, None, ["The Issuer", "Der Aussteller"]),
        ("de", "de", ["Der Aussteller"]),
        ("de-AT, en;q=0.5", "de", ["Der Aussteller"]),
        ("fr, en;q=0.1", "en", ["The Issuer"]),
        ("fr", None, ["The Issuer", "Der Aussteller"]),
    ],
)
def test_what_is_shown_to_people_is_in_their_language(
    tmp_path: Path, wanted: str | None, language: str | None, names: list[str]
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            answer = await _get(house, **({} if wanted is None else {"Accept_Language": wanted}))
            assert answer.headers.get("content-language") == language
            document = answer.json()
            assert [entry["name"] for entry in document["display"]] == names
            metadata = parse_issuer_metadata(answer.body, credential_issuer=ISSUER)
            assert len(metadata.configurations) == 2
            signed = await _get(house, Accept=JWT, **({} if wanted is None else {"Accept_Language": wanted}))
            assert signed.headers.get("content-language") == language

    asyncio.run(main())


def test_every_member_of_the_specification_is_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            document = (await _get(house)).json()
            assert document.keys() == {
                *(
                    "credential_issuer",
                    "credential_endpoint",
                    "nonce_endpoint",
                    "deferred_credential_endpoint",
                ),
                *("notification_endpoint", "credential_request_encryption", "credential_response_encryption"),
                *("batch_credential_issuance", "credential_configurations_supported", "display"),
            }
            for block in ("credential_request_encryption", "credential_response_encryption"):
                assert document[block]["encryption_required"] is True
                assert document[block]["enc_values_supported"] == ["A128GCM", "A256GCM"]
                assert "zip_values_supported" not in document[block]
            jwks = document["credential_request_encryption"]["jwks"]["keys"]
            assert [key["crv"] for key in jwks] == ["P-256", "X25519"]
            assert len({key["kid"] for key in jwks}) == 2
            for key in jwks:
                assert key["alg"] == "ECDH-ES"
                assert "d" not in key

    asyncio.run(main())


def test_new_request_keys_are_in_the_document_at_once(tmp_path: Path) -> None:
    """The document is kept between requests, but not longer than it is true."""

    async def main() -> None:
        async with issuer_house(tmp_path, encryption_epoch=600) as house:
            first = await _get(house)
            assert (await _get(house)).body == first.body
            house.clock.now += 600
            second = await _get(house)
            assert second.body != first.body

    asyncio.run(main())


def test_the_keys_of_an_issuer_may_be_read_by_web_wallets(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/jwt-vc-issuer")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.json().keys() == {"issuer", "jwks"}
            assert [key for key in answer.json()["jwks"]["keys"] if "d" in key] == []

    asyncio.run(main())


def test_endpoints_that_a_token_opens_are_not_for_other_web_pages(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            answer = await house.fetcher.request("POST", f"{ISSUER}/nonce", content=b"")
            assert "access-control-allow-origin" not in answer.headers

    asyncio.run(main())
