"""The framework's own cards, cards that were malleated, and corner cases of revocation."""

import json
from pathlib import Path
from typing import Any

import pytest

from safeconduct import Key, health_card
from safeconduct.crypto import x509
from safeconduct.formats.health_card import CardTrust, Judgement, read_key_set
from safeconduct.status.card_keys import certified, check_issuer_url, read_keys
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.states import GOOD, REVOKED, Status

ISSUER = "https://spec.smarthealth.cards/examples/issuer"
NOW = 1_700_000_000
EXAMPLES = ("00", "01", "02", "03")
CASES = (
    *("not-listed", "ts-after-nbf", "ts-before-nbf", "ts-frac-nbf-before", "rid-24", "rid-bad-alphabet"),
    *("rid-listed-under-other-kid", "dup-old-ts-then-new-ts", "crl-missing", "crl-bad-ts", "crl-empty"),
    *("expired", "not-yet-valid", "alg-none", "zlib-wrapped", "payload-pretty-json", "missing-shc-type"),
    *("iss-http", "revoked-s-twin", "sig-r-zero", "payload-flip"),
)


@pytest.fixture(scope="module")
def examples(vectors: Path) -> Path:
    return vectors / "health-card" / "spec-examples"


@pytest.fixture(scope="module")
def cases(vectors: Path) -> dict[str, Any]:
    folder = vectors / "health-card" / "revocation-cases"
    return {case["id"]: case for case in json.loads((folder / "manifest.json").read_bytes())["cases"]}


def published(examples: Path) -> tuple[CardTrust, RevocationLists]:
    """What the issuer of the examples has at its URL."""
    keys = read_key_set((examples / "issuer/.well-known/jwks.json").read_bytes())
    assert keys.refused == ()
    lists = RevocationLists()
    for path in (examples / "issuer/.well-known/crl").glob("*.json"):
        lists.read(path.read_bytes(), issuer=ISSUER, kid=path.stem)
    return CardTrust({ISSUER: keys}), lists


def judged(text: str, examples: Path) -> Judgement:
    trust, lists = published(examples)
    return health_card.judge(text, trust=trust, status=lists, now=NOW)


def text_of(path: Path) -> str:
    return path.read_text("ascii").strip()


@pytest.mark.parametrize("number", EXAMPLES)
def test_the_examples_have_the_status_that_their_issuer_gives_them(number: str, examples: Path) -> None:
    judgement = judged(text_of(examples / f"example-{number}-d-jws.txt"), examples)

    expected = {"01": Status("unknown", "no-crl"), "03": REVOKED}.get(number, GOOD)
    assert judgement.status == expected
    assert judgement.verdict == ("revoked" if number == "03" else "valid")
    bundle = json.loads((examples / f"example-{number}-a-fhirBundle.json").read_bytes())
    assert judgement.card is None if number == "03" else judgement.card.bundle == bundle


@pytest.mark.parametrize("number", ["00", "01", "03"])
def test_the_examples_read_the_same_from_their_qr_codes(number: str, examples: Path) -> None:
    digits = text_of(examples / f"example-{number}-f-qr-code-numeric-value-0.txt")
    assert health_card.parse(digits) == health_card.parse(text_of(examples / f"example-{number}-d-jws.txt"))


@pytest.mark.parametrize("number", EXAMPLES)
def test_the_examples_are_issued_again_with_the_payload_that_was_published(
    number: str, examples: Path
) -> None:
    payload = (examples / f"example-{number}-c-jws-payload-minified.json").read_bytes()
    claims, bundle = json.loads(payload), (examples / f"example-{number}-a-fhirBundle.json").read_bytes()
    keys = json.loads((examples.parent / "spec-keys/issuer.jwks.private.json").read_bytes())["keys"]
    kid = health_card.parse(text_of(examples / f"example-{number}-d-jws.txt")).kid
    key = next(Key.from_jwk(jwk) for jwk in keys if jwk["kid"] == kid)

    card = health_card.issue(
        json.loads(bundle),
        issuer=ISSUER,
        key=key,
        now=claims["nbf"],
        rid=claims["vc"].get("rid"),
        expires=claims.get("exp"),
    )

    again, original = health_card.parse(card), text_of(examples / f"example-{number}-d-jws.txt")
    assert again.unverified_payload() == payload
    assert again.header == health_card.parse(original).header
    assert judged(card, examples).verdict == judged(original, examples).verdict


@pytest.mark.parametrize(
    ("subject", "rid"),
    [
        ("userid-00", "MKyCxh7p6uQ"),
        ("userid-02", "YjKhdFoxL_g"),
        ("userid-03", "vwAjHdarZuc"),
        ("fake-userid-1", "FKDIxsTCGlU"),
        ("fake-userid-2", "XkNHp2Iyk0Y"),
        ("fake-userid-3", "TqB_qu_6OtM"),
    ],
)
def test_the_published_rids_are_derived_from_the_published_secret(
    subject: str, rid: str, vectors: Path
) -> None:
    secret = json.loads((vectors / "health-card/spec-keys/issuer.hmac.private.json").read_bytes())["secret"]
    kid = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
    # The framework's own tool hashes the text of the secret, not the bytes that it stands for.
    assert rids.derive(secret.encode(), kid, subject) == rid


@pytest.mark.parametrize("name", ["example-03-s-twin", "example-03-b64-tail"])
def test_a_malleated_card_stays_revoked(name: str, vectors: Path, examples: Path) -> None:
    twin = text_of(vectors / "health-card" / "malleated" / f"{name}.jws.txt")
    assert twin != text_of(examples / "example-03-d-jws.txt")

    judgement = judged(twin, examples)

    assert (judgement.verdict, judgement.status, judgement.code) == ("revoked", REVOKED, "card_revoked")


def test_bits_that_stand_for_nothing_are_refused_in_a_card_that_is_not_revoked(examples: Path) -> None:
    text = text_of(examples / "example-00-d-jws.txt")
    assert text[-1] == "A"
    assert judged(text, examples).verdict == "valid"

    judgement = judged(text[:-1] + "B", examples)

    assert (judgement.verdict, judgement.code, judgement.card) == ("invalid", "jws_malformed", None)


def test_no_case_of_revocation_was_forgotten(cases: dict[str, Any]) -> None:
    assert set(CASES) == set(cases)


@pytest.mark.parametrize("policy", ["fail-closed", "fail-open"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_revocation_has_its_expected_verdict(
    name: str, policy: Any, cases: dict[str, Any], vectors: Path
) -> None:
    folder, case = vectors / "health-card" / "revocation-cases", cases[name]
    issuer = json.loads((folder / "manifest.json").read_bytes())["issuer"]
    lists = RevocationLists()
    for file in case["crl"]:
        lists.read((folder / file).read_bytes(), issuer=issuer)

    judgement = health_card.judge(
        text_of(folder / case["jws"]),
        trust=CardTrust({issuer: read_key_set((folder / case["jwks"]).read_bytes())}),
        status=lists,
        policy=health_card.CardPolicy(status=policy),
        now=case["now"],
    )

    let_pass = case["expected"] == "unknown" and policy == "fail-open"
    assert judgement.verdict == ("valid" if let_pass else case["expected"])
    if "status_reason" in case:
        assert judgement.status == Status("unknown", case["status_reason"])
    assert (judgement.card is not None) == (judgement.verdict == "valid")


def test_the_keys_of_real_issuers_are_read_but_two_that_cut_off_a_leading_zero(vectors: Path) -> None:
    snapshot = json.loads((vectors / "status/vci-directory/vci_snapshot.json").read_bytes())
    refused = {}
    for entry in snapshot["issuerInfo"]:
        check_issuer_url(entry["issuer"]["iss"])
        for key in read_keys(entry["keys"]).refused:
            refused[entry["issuer"]["iss"]] = (key.code, len(entry["keys"][key.place - 1]["x"]))
    assert len(snapshot["issuerInfo"]) == 651
    # 31 bytes, where RFC 7518 §6.2.1.2 wants 32: nobody who hashes the key as it is finds that name.
    assert [*refused.values()] == [("key_malformed", 42)] * 2


def test_the_chains_of_real_issuers_are_of_their_keys(vectors: Path) -> None:
    snapshot = json.loads((vectors / "status/vci-directory/vci_snapshot.json").read_bytes())
    entries = [key for entry in snapshot["issuerInfo"] for key in entry["keys"] if "x5c" in key]
    assert len(entries) == 11
    assert read_keys(entries).refused == ()


def test_the_example_is_certified_by_its_root_while_its_certificates_last(examples: Path) -> None:
    keys = read_key_set((examples / "issuer/.well-known/jwks.json").read_bytes())
    chain = x509.read_x5c(list(keys.keys[1].chains[0]))
    while_valid, after = chain[0].not_before, chain[0].not_after + 1

    now_certified = certified(keys, issuer=ISSUER, anchors=chain[-1:], now=while_valid)
    assert [key.kid for key in now_certified.keys] == [keys.keys[1].kid]
    assert [key.code for key in now_certified.refused] == ["card_key_uncertified"]
    late = certified(keys, issuer=ISSUER, anchors=chain[-1:], now=after)
    assert [key.code for key in late.refused] == ["card_key_uncertified", "x5c_expired"]
    other = certified(keys, issuer=f"{ISSUER}2", anchors=chain[-1:], now=while_valid)
    assert [key.code for key in other.refused] == ["card_key_uncertified", "x5c_name_mismatch"]
