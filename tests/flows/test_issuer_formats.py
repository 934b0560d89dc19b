"""One description, two formats: SD-CWT and SD-JWT VC of one dataset, and what a description can say."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.flows.small_wallet import ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64, json
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.protocols.openid4vci.key_attestation import create_key_attestation
from safeconduct.protocols.openid4vci.request import Proofs
from safeconduct.settings import SettingsError
from safeconduct.trust import WAIVED, Policy, Trust

KINDS = """
[[configurations]]
id = "id_cwt"
also = { id_jwt = "dc+sd-jwt" }
vct = "https://issuer.example/id"
scope = "id"
name = "Identity"
validity = 172800
decoys = 2
redact = ["name", "address", "address.region", "nationalities[]"]
status = true

[[configurations.display]]
name = "Identität"
locale = "de"
description = "Wer das ist"
text_color = "#fff"
background_color = "#123456"
background_image = { uri = "https://issuer.example/b.png" }
logo = { uri = "https://issuer.example/l.svg", alt_text = "Wappen" }

[configurations.claims]
name = { mandatory = true, name = "Name", display = [{ name = "Nachname", locale = "de" }] }
level = {}
"address.region" = {}
"nationalities[]" = {}

[[display]]
name = "The Issuer"
locale = "en"
[[display]]
name = "Der Aussteller"
locale = "de"
logo = { uri = "https://issuer.example/l.svg" }
"""
CLAIMS = {"name": "Ada", "level": 3, "address": {"region": "K"}, "nationalities": ["DE", "FR"]}
LISTS = "https://status.example/lists"


def _settings(folder: Path, text: str = KINDS) -> dict[str, Any]:
    (folder / "kinds.toml").write_text(text)
    return {"configurations": folder / "kinds.toml", "status_list_uri": LISTS}


async def _both(house: House) -> SmallWallet:
    return await house.holder(
        await house.offer(configuration_id=None, configuration_ids=["id_cwt", "id_jwt"], claims=CLAIMS)
    )


def test_both_formats_say_the_same_of_the_same_holder(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            wallet, trust = await _both(house), await house.trust()
            (cwt,) = wallet.open(await wallet.ask())
            answer = wallet.given(await wallet.ask(credential_identifier=wallet.identifiers[1]))
            (jwt,) = answer.credentials
            of_cwt = sd_cwt.check_issued(cwt, holder=wallet.holder.public, trust=trust, now=NOW)
            of_jwt = sd_jwt.check_issued(jwt, holder=wallet.holder.public, trust=trust, now=NOW)
            first, second = of_cwt.claims.to_json(), of_jwt.claims.to_json()
            for claims in (first, second):
                assert {name: claims[name] for name in CLAIMS} == CLAIMS
                assert claims["vct"] == "https://issuer.example/id"
                assert claims["iss"] == ISSUER
                day = NOW - NOW % 86400
                assert (claims["iat"], claims["nbf"]) == (day, day)
                assert claims["exp"] == NOW + 172800 - (NOW + 172800) % 86400
                assert claims["status"]["status_list"].keys() == {"idx", "uri"}
                assert claims["status"]["status_list"]["uri"].startswith(LISTS)
            assert first["sub"] != second["sub"]
            assert first["status"] != second["status"]

    asyncio.run(main())


def test_what_is_redactable_is_so_in_either_format(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            wallet, trust = await _both(house), await house.trust()
            (cwt,) = wallet.open(await wallet.ask())
            answer = wallet.given(await wallet.ask(credential_identifier=wallet.identifiers[1]))
            key = {"holder": wallet.holder, "audience": "https://verifier.example", "now": NOW}
            disclose = ["nationalities[1]"]
            shown = sd_cwt.present(cwt, disclose=disclose, nonce=None, **key)  # type: ignore[arg-type]
            policy = Policy(audience="https://verifier.example", nonce=WAIVED)
            seen = sd_cwt.verify(shown, trust=trust, policy=policy, now=NOW).claims.to_json()
            text = sd_jwt.present(answer.credentials[0], disclose=disclose, nonce="n", **key)  # type: ignore[arg-type]
            policy = Policy(audience="https://verifier.example", nonce="n")  # type: ignore[arg-type]
            also = sd_jwt.verify(text, trust=trust, policy=policy, now=NOW).claims.to_json()
            for claims in (seen, also):
                assert claims["level"] == 3
                assert claims["nationalities"] == ["FR"]
                assert "name" not in claims
                assert "address" not in claims

    asyncio.run(main())


def test_decoys_are_in_an_sd_jwt_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            wallet = await _both(house)
            answer = wallet.given(await wallet.ask(credential_identifier=wallet.identifiers[1]))
            payload = json.loads_object(b64.decode(answer.credentials[0].split(".")[1]))
            assert len(payload["_sd"]) == 2 + 2  # name and address; and two that are nothing

    asyncio.run(main())


def test_an_sd_jwt_names_its_key_or_carries_the_certificate(tmp_path: Path) -> None:
    key = Key.generate("ES256")
    (tmp_path / "issuer.pem").write_text(key.to_pem(private=True))
    root = pki.Authority.root()
    chain = root.authority("CA").chain(key, uris=[ISSUER])
    (tmp_path / "chain.pem").write_text(pki.pem(*chain))

    async def issued(**settings: Any) -> tuple[str, SmallWallet]:
        async with issuer_house(tmp_path, **_settings(tmp_path), **settings) as house:
            wallet = await _both(house)
            answer = wallet.given(await wallet.ask(credential_identifier=wallet.identifiers[1]))
            return answer.credentials[0], wallet

    text, _ = asyncio.run(issued())
    header = json.loads_object(b64.decode(text.split(".")[0]))
    assert header == {"alg": "ES256", "typ": "dc+sd-jwt", "kid": b64.encode(key.public.jwk_thumbprint())}

    text, wallet = asyncio.run(issued(signing_certificate=tmp_path / "chain.pem"))
    header = json.loads_object(b64.decode(text.split(".")[0]))
    assert header.keys() == {"alg", "typ", "x5c"}
    trust = Trust.certified(root.certificate)
    sd_jwt.check_issued(text, holder=wallet.holder.public, trust=trust, now=NOW)


def test_the_metadata_says_all_that_the_description_does(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path)) as house:
            answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/openid-credential-issuer")
            document = answer.json()
            assert [entry["name"] for entry in document["display"]] == ["The Issuer", "Der Aussteller"]
            kinds = document["credential_configurations_supported"]
            cwt, jwt = kinds["id_cwt"], kinds["id_jwt"]
            assert (cwt["format"], jwt["format"]) == ("application/sd-cwt", "dc+sd-jwt")
            assert (cwt["scope"], jwt["scope"]) == ("id", "id")
            assert cwt["vct"] == jwt["vct"] == "https://issuer.example/id"
            assert cwt["credential_signing_alg_values_supported"] == [-7]
            assert jwt["credential_signing_alg_values_supported"] == ["ES256"]
            assert cwt["cryptographic_binding_methods_supported"] == ["cose_key"]
            assert jwt["cryptographic_binding_methods_supported"] == ["jwk"]
            assert cwt["credential_metadata"] == jwt["credential_metadata"]
            english, german = jwt["credential_metadata"]["display"]
            assert english == {"name": "Identity", "locale": "en"}
            assert german["logo"]["alt_text"] == "Wappen"
            assert german.keys() == {
                *("name", "locale", "logo", "description"),
                *("background_color", "background_image", "text_color"),
            }
            name = jwt["credential_metadata"]["claims"][0]
            assert name["mandatory"] is True
            assert [entry["locale"] for entry in name["display"]] == ["en", "de"]
            assert jwt["credential_metadata"]["claims"][3]["path"] == ["nationalities", None]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('format = "x"', 'also = { id_jwt = "dc+sd-jwt" }', "format"),
        ("", 'also = { id_cwt = "dc+sd-jwt" }', "given twice"),
        ("", 'also = { id_jwt = "mso_mdoc" }', "also"),
        ("", 'proof_types = ["attestation"]', "key_attesters"),
        ("", "key_attestation = {}", "key_attesters"),
        ("", 'proof_types = ["di_vp"]', "proof_types"),
        ("", 'scope = "a b"', "scope"),
        ("", 'display = [{ locale = "de" }]', "display"),
        ("", 'display = [{ name = "a", locale = "EN" }]', "locale_repeated"),
        ("", 'display = [{ name = "a", locale = "de_AT" }]', "language tag"),
        (
            "",
            'display = [{ name = "a", locale = "de", logo = { uri = "http://a.example/l" } }]',
            "https or data",
        ),
    ],
)
def test_a_description_that_cannot_be_kept_is_refused_at_the_start(
    tmp_path: Path, before: str, after: str, problem: str
) -> None:
    text = f"""
[[configurations]]
id = "id_cwt"
vct = "v"
name = "N"
{before}
{after}
[configurations.claims]
name = {{}}
"""

    async def main() -> None:
        async with issuer_house(tmp_path, **_settings(tmp_path, text)):
            pytest.fail("started")

    with pytest.raises(SettingsError, match=problem):
        asyncio.run(main())


def test_the_issuers_display_has_one_entry_for_a_language(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(
            tmp_path, **_settings(tmp_path, KINDS + KINDS[KINDS.rindex("[[display]]") :])
        ):
            pytest.fail("started")

    with pytest.raises(SettingsError, match="locale_repeated"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ('locale = "en"', 'locale = "EN"', "language tag"),
        ("https://issuer.example/l", "http://i.example/l", "https"),
    ],
)
def test_the_issuers_display_names_languages_and_pictures_as_wallets_find_them(
    tmp_path: Path, good: str, bad: str, problem: str
) -> None:
    start = KINDS.index("[[display]]")

    async def main() -> None:
        async with issuer_house(
            tmp_path, **_settings(tmp_path, KINDS[:start] + KINDS[start:].replace(good, bad))
        ):
            pytest.fail("started")

    with pytest.raises(SettingsError, match=f"display: .*{problem}"):
        asyncio.run(main())


@pytest.mark.parametrize("locale", ["en", "pt-BR", "zh-Hant-TW", "es-419", "de-1996"])
def test_any_canonical_language_tag_will_do(tmp_path: Path, locale: str) -> None:
    async def main() -> None:
        text = KINDS.replace('name = "Identity"\n', "").replace('name = "Name", ', "")
        text = text.replace('locale = "en"', 'locale = "fr"').replace('locale = "de"', f'locale = "{locale}"')
        async with issuer_house(tmp_path, **_settings(tmp_path, text)) as house:
            address = f"{ISSUER}/.well-known/openid-credential-issuer"
            document = (await house.fetcher.request("GET", address)).json()
            assert [entry["locale"] for entry in document["display"]] == ["fr", locale]

    asyncio.run(main())


# Key attestations.

ATTESTED = """
[[configurations]]
id = "identity"
format = "dc+sd-jwt"
vct = "https://issuer.example/id"
proof_types = ["jwt", "attestation"]
key_attestation = { key_storage = ["iso_18045_high"] }
[configurations.claims]
name = {}
"""
ATTESTER = Key.generate("ES256")


def _attested(folder: Path) -> dict[str, Any]:
    trusted = {"https://attester.example": {"keys": [ATTESTER.public.to_jwk()]}}
    (folder / "attesters.json").write_bytes(json.dumps(trusted))
    return {**_settings(folder, ATTESTED), "key_attesters": folder / "attesters.json"}


def _attestation(attested: list[PublicKey], c_nonce: str, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "attester": ATTESTER,
        "keys": attested,
        "now": NOW,
        "lifetime": 600,
        "nonce": c_nonce,
        "issuer": "https://attester.example",
        "key_storage": ["iso_18045_high"],
    }
    return create_key_attestation(**arguments | changes)


def test_an_attestation_gets_a_credential_for_each_of_its_keys(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_attested(tmp_path)) as house:
            wallet, trust = await house.holder(await house.offer(claims={"name": "Ada"})), await house.trust()
            keys = [Key.generate("ES256").public for _ in range(3)]
            proof = Proofs("attestation", (_attestation(keys, await wallet.nonces()),))
            answer = wallet.given(await wallet.ask(proofs=proof), keys=3)
            for text, key in zip(answer.credentials, keys, strict=True):
                sd_jwt.check_issued(text, holder=key, trust=trust, now=NOW)

    asyncio.run(main())


def test_the_metadata_says_which_attestations_are_wanted(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_attested(tmp_path)) as house:
            (kind,) = (await house.wallet().metadata()).configurations
            assert kind.key_attestations.keys() == {"jwt", "attestation"}
            assert kind.key_attestations["jwt"].key_storage == ("iso_18045_high",)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"attester": Key.generate("ES256")}, "invalid_proof"),
        ({"key_storage": ["iso_18045_basic"]}, "invalid_proof"),
        ({"nonce": None}, "invalid_proof"),
        ({"nonce": "made-up"}, "invalid_nonce"),
        ({"issuer": "https://stranger.example"}, "invalid_proof"),
        ({"now": NOW - 7200}, "invalid_proof"),
        ({"keys": [Key.generate("ES256").public for _ in range(11)]}, "invalid_credential_request"),
    ],
)
def test_a_bad_attestation_is_refused_and_costs_nothing(
    tmp_path: Path, change: dict[str, Any], error: str
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_attested(tmp_path)) as house:
            wallet = await house.holder(await house.offer(claims={"name": "Ada"}))
            keys = [Key.generate("ES256").public]
            bad = _attestation(keys, await wallet.nonces(), **change)
            answer = await wallet.ask(proofs=Proofs("attestation", (bad,)))
            assert (answer.status, answer.json()["error"]) == (400, error), answer.body
            good = _attestation(keys, await wallet.nonces())
            assert (await wallet.ask(proofs=Proofs("attestation", (good,)))).status == 200

    asyncio.run(main())


def test_two_attestations_or_a_bare_proof_are_not_enough(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, **_attested(tmp_path)) as house:
            wallet = await house.holder(await house.offer(claims={"name": "Ada"}))
            one = _attestation([Key.generate("ES256").public], await wallet.nonces())
            for answer in (await wallet.ask(proofs=Proofs("attestation", (one, one))), await wallet.ask()):
                assert (answer.status, answer.json()["error"]) == (400, "invalid_proof"), answer.body

    asyncio.run(main())
