"""SD-CWT against the published examples: what they say, and every byte of how they are written."""

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.crypto import aead
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import Decoys, redact
from safeconduct.trust import AeadKey, Policy, Trust

ISSUER = "https://issuer.example"
AUDIENCE = "https://verifier.example/app"
NONCE = bytes.fromhex("8c0f5f523b95bea44a9a48c649240803")
NOW = 1725244240
PRESENTED_AT = 1725244237
DRAFTS = {"draft-main": "https://device.example", "draft-08": "https://holder.example"}
AEAD_KEY = bytes.fromhex("a061c27a3273721e210d031863ad81b6")

CNF = {
    1: {
        1: 2,
        -1: 1,
        -2: bytes.fromhex("8554eb275dcd6fbd1c7ac641aa2c90d92022fd0d3024b5af18c7cc61ad527a2d"),
        -3: bytes.fromhex("4dc7ae2c677e96d0cc82597655ce92d5503f54293d87875d1e79ce4770194343"),
    }
}
COMMON = {1: ISSUER, 4: 1725330600, 5: 1725243900, 6: 1725244200, 8: CNF}

ISSUED: dict[str, dict[int, Any]] = {
    "issuer_cwt": {
        500: True,
        501: "ABCD-123456",
        502: [1549560720, 1612560720, 1674004740],
        503: {"country": "us", "region": "ca", "postal_code": "94188"},
    },
    "nested_issuer_cwt": {
        504: [
            {500: True, 501: "DCBA-101777", 502: 1549560720, 503: {1: "us", 2: "co", 3: "80302"}},
            {500: True, 501: "EFGH-789012", 502: 1612560720, 503: {1: "us", 2: "nv", 3: "89155"}},
            {500: True, 501: "ABCD-123456", 502: 1674004740, 503: {1: "us", 2: "ca", 3: "94188"}},
        ]
    },
    "decoy": {98: ["fr"], 500: True},
}

PRESENTED: dict[str, dict[int, Any]] = {
    "kbt": {
        500: True,
        501: "ABCD-123456",
        502: [1549560720, 1674004740],
        503: {"country": "us", "region": "ca"},
    },
    "nested_kbt": {
        504: [
            {500: True, 501: "DCBA-101777", 502: 1549560720, 503: {1: "us"}},
            {500: True, 501: "ABCD-123456", 502: 1674004740, 503: {1: "us", 2: "ca"}},
        ]
    },
}

drafts = pytest.mark.parametrize("draft", DRAFTS)


class Draft(msgspec.Struct, frozen=True):
    """The keys and examples of one revision."""

    folder: Path
    subject: str
    issuer: Key
    holder: Key

    def example(self, name: str) -> bytes:
        return (self.folder / "examples" / f"{name}.cbor").read_bytes()


@pytest.fixture
def published(vectors: Path, draft: str) -> Draft:
    folder = vectors / "sd-cwt" / draft
    issuer, holder = (
        Key.from_pem((folder / f"{who}_privkey.pem").read_text()).deterministic()
        for who in ("issuer", "holder")
    )
    return Draft(folder, DRAFTS[draft], issuer, holder)


@pytest.fixture
def salts(vectors: Path) -> Any:
    """The published salts: by digest of [key, value], of [null, value] for elements, decoys by number."""
    folder = vectors / "sd-cwt" / "draft-main" / "examples"
    with (folder / "salt_list.csv").open() as values, (folder / "decoy_list.csv").open() as numbers:
        by_value = {digest: bytes.fromhex(salt) for digest, salt in csv.reader(values)}
        by_number = {int(number): bytes.fromhex(salt) for number, salt in csv.reader(numbers)}

    def salt(kind: str, key: Any, value: Any) -> bytes:
        if kind == "decoy":
            return by_number[value]
        return by_value[hashlib.sha256(cbor.dumps([key, value])).hexdigest()]

    return salt


def policy(**changes: Any) -> Policy:
    return Policy(**{"audience": AUDIENCE, "nonce": NONCE, **changes})


# What the examples say


@drafts
@pytest.mark.parametrize("name", PRESENTED)
def test_a_published_presentation_verifies_to_its_claims(published: Draft, name: str) -> None:
    trust = Trust.of({ISSUER: published.issuer.public})
    shown = sd_cwt.verify(published.example(name), trust=trust, policy=policy(), now=NOW)
    assert shown.claims.wire == {**COMMON, 2: published.subject, **PRESENTED[name]}
    assert shown.key_binding.wire == {3: AUDIENCE, 6: PRESENTED_AT, 39: NONCE}
    assert (shown.issuer, shown.profile) == (ISSUER, "ietf-08")
    assert shown.holder == published.holder.public
    assert shown.issuer_key == published.issuer.public


@drafts
@pytest.mark.parametrize(
    ("name", "decoys", "redactable"), [("issuer_cwt", 0, 5), ("nested_issuer_cwt", 0, 15), ("decoy", 2, 2)]
)
def test_a_published_issued_token_passes_the_holders_check(
    published: Draft, name: str, decoys: int, redactable: int
) -> None:
    kept = sd_cwt.check_issued(
        published.example(name),
        holder=published.holder.public,
        trust=Trust.of({ISSUER: published.issuer.public}),
        now=NOW,
        nonce=None,
        subject=published.subject,
        decoys=decoys,
    )
    assert kept.claims.wire == {**COMMON, 2: published.subject, **ISSUED[name]}
    assert (kept.decoys, len(kept.redactable)) == (decoys, redactable)


@drafts
def test_the_published_token_with_some_disclosures_is_not_an_issued_one(published: Draft) -> None:
    with pytest.raises(SafeconductError) as error:
        sd_cwt.check_issued(
            published.example("nested_cwt"),
            holder=published.holder.public,
            trust=Trust.key(published.issuer.public),
            now=NOW,
        )
    assert error.value.code == "disclosure_missing"


@drafts
@pytest.mark.parametrize("name", PRESENTED)
@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({"nonce": NONCE[::-1]}, NOW, "nonce_mismatch"),
        ({"audience": "https://other.example/app"}, NOW, "kbt_audience_mismatch"),
        ({}, 1725330600, "expired"),
        ({}, 1725243899, "not_yet_valid"),
        ({}, PRESENTED_AT - 1, "kbt_from_future"),
    ],
)
def test_a_published_presentation_fails_another_verifier(
    published: Draft, name: str, changes: dict[str, Any], now: int, code: str
) -> None:
    with pytest.raises(SafeconductError) as error:
        sd_cwt.verify(
            published.example(name),
            trust=Trust.of({ISSUER: published.issuer.public}),
            policy=policy(**changes),
            now=now,
        )
    assert error.value.code == code


# How they are written


@drafts
@pytest.mark.parametrize("name", ISSUED)
def test_a_published_token_is_issued_byte_for_byte(published: Draft, salts: Any, name: str) -> None:
    assert issued(published, salts, name) == published.example(name)


@drafts
def test_the_published_presentation_is_made_byte_for_byte(published: Draft, salts: Any) -> None:
    token = issued(published, salts, "issuer_cwt")
    assert presented(published, token, ["501", "502[0]", "503.region"]) == published.example("kbt")


# A path takes everything inside it along, so the choice is made by place.
NESTED_PLACES = {
    (504, 0),
    (504, 0, 501),
    (504, 0, 503),
    (504, 2),
    (504, 2, 501),
    (504, 2, 503),
    (504, 2, 503, 2),
}


@drafts
def test_the_published_nested_presentation_is_made_byte_for_byte(published: Draft, salts: Any) -> None:
    """A holder may order disclosures (SD-CWT-08 §8); the published order is of the draft's own."""
    token = in_the_order_of(published.example("nested_cwt"), issued(published, salts, "nested_issuer_cwt"))

    assert presented(published, token, in_nested_places) == published.example("nested_kbt")


@drafts
def test_the_published_nested_token_stands_inside_its_presentation(published: Draft, salts: Any) -> None:
    token = in_the_order_of(published.example("nested_cwt"), issued(published, salts, "nested_issuer_cwt"))
    shown = presented(published, token, in_nested_places)
    protected = cbor.loads(cbor.loads(shown).value[0])
    assert cbor.dumps(protected[13]) == published.example("nested_cwt")


def in_nested_places(path: tuple[Any, ...], _value: Any) -> bool:
    return tuple(getattr(key, "position", key) for key in path) in NESTED_PLACES


def issued(published: Draft, salts: Any, name: str) -> bytes:
    return sd_cwt.issue(
        {1: ISSUER, 2: published.subject, 4: 1725330600, 5: 1725243900, 6: 1725244200, **MARKED[name]()},
        issuer=published.issuer,
        holder=published.holder.public,
        now=None,
        kid=b"https://issuer.example/cose-key3",
        salts=salts,
        digest_order=list,
    )


def presented(published: Draft, token: bytes, disclose: Any) -> bytes:
    return sd_cwt.present(
        token,
        holder=published.holder,
        disclose=disclose,
        audience=AUDIENCE,
        nonce=NONCE,
        now=PRESENTED_AT,
    )


def in_the_order_of(example: bytes, token: bytes) -> bytes:
    """Move the disclosures that `example` shows to the front, in its order; the issuer signs none."""
    wanted = cbor.loads(example).value[1][17]
    protected, unprotected, payload, signature = cbor.loads(token).value
    rest = [disclosure for disclosure in unprotected[17] if disclosure not in wanted]
    assert len(rest) + len(wanted) == len(unprotected[17])
    return cbor.dumps(Tag(18, [protected, {17: wanted + rest}, payload, signature]))


def _record(licence: str, date: int, region: str, postcode: str) -> Any:
    return redact(
        {
            500: True,
            501: redact(licence),
            502: date,
            503: redact({1: "us", 2: redact(region), 3: redact(postcode)}),
        }
    )


MARKED = {
    "issuer_cwt": lambda: {
        500: True,
        501: redact("ABCD-123456"),
        502: [redact(1549560720), redact(1612560720), 1674004740],
        503: {"country": "us", "region": redact("ca"), "postal_code": redact("94188")},
    },
    "nested_issuer_cwt": lambda: {
        504: [
            _record("DCBA-101777", 1549560720, "co", "80302"),
            _record("EFGH-789012", 1612560720, "nv", "89155"),
            _record("ABCD-123456", 1674004740, "ca", "94188"),
        ]
    },
    "decoy": lambda: {98: [redact("fr"), Decoys(1, 1)], 500: redact(True), Decoys(1, 2): None},
}


@drafts
def test_the_first_digest_is_over_the_disclosure_wrapped_in_a_byte_string(published: Draft) -> None:
    first = (published.folder.parent / "draft-main/examples/first-disclosure.cborseq").read_bytes()
    _, unprotected, payload, _ = cbor.loads(published.example("issuer_cwt")).value
    assert first.hex() == "8350bae611067bb823486797da1ebbb52f836b414243442d3132333435361901f5"
    assert unprotected[17][0] == first
    (digest,) = cbor.loads(payload)[cbor.Simple(59)]
    assert digest.hex() == "af375dc3fba1d082448642c00be7b2f7bb05c9d8fb61cfc230ddfdfb4616a693"
    assert digest == hashlib.sha256(b"\x58\x21" + first).digest()


def test_the_digest_that_the_draft_prints_apart_is_of_the_unwrapped_disclosure(vectors: Path) -> None:
    """The one printed example that contradicts every token of the draft: what `raw-digest` is for."""
    folder = vectors / "sd-cwt/draft-main/examples"
    first = (folder / "first-disclosure.cborseq").read_bytes()
    assert hashlib.sha256(first).hexdigest() == (folder / "first-blinded-hash.txt").read_text().strip()


# The interop case: claims with To Be Redacted tags, an issuer key in PKCS#8 v2

MANIFEST = {
    1: "https://issuer.example",
    2: "https://device.example/manifests/ap8GhizU0",
    Tag(58, 300): [
        Tag(58, {1: 144, 2: Tag(58, [15.78, "EUR"]), 3: "de", 4: [0.790, "kg"], 5: [12.5, 4.8, 2.0, "cm"]}),
        Tag(58, {1: 6, 2: Tag(58, [25.80, "EUR"]), 3: "nl", 4: [9.2, "kg"], 5: [14.5, 21.8, 30.0, "cm"]}),
    ],
    Tag(58, 301): "EXW",
    Tag(58, 302): [51.949564, 4.147359],
    Tag(58, 303): 1760449111,
}


def issued_manifest(vectors: Path, accept: frozenset[str]) -> bytes:
    folder = vectors / "sd-cwt/interop/shipping_manifest4"
    return sd_cwt.issue(
        sd_cwt.read_preissued(cbor.dumps(MANIFEST), accept=accept),
        issuer=Key.from_pem((folder / "issuer_priv.pem").read_text()),
        holder=PublicKey.from_pem((folder / "holder_pub.pem").read_text()),
        now=NOW,
    )


def test_the_interop_claims_tag_map_values_for_which_the_draft_has_no_rule(vectors: Path) -> None:
    with pytest.raises(SafeconductError) as error:
        issued_manifest(vectors, frozenset())
    assert error.value.code == "claim_value"


def test_the_interop_case_is_issued_presented_and_verified(vectors: Path) -> None:
    token = issued_manifest(vectors, frozenset({"tag-58-on-value"}))
    folder = vectors / "sd-cwt/interop/shipping_manifest4"
    issuer = Key.from_pem((folder / "issuer_priv.pem").read_text())
    assert issuer.algorithm.name == "Ed25519"
    shown = sd_cwt.present(
        token,
        holder=Key.from_pem((vectors / "sd-cwt/draft-main/holder_privkey.pem").read_text()),
        disclose=["300[0].2", "300[1]", "303"],
        audience=AUDIENCE,
        nonce=NONCE,
        now=NOW,
    )
    result = sd_cwt.verify(shown, trust=Trust.of({ISSUER: issuer.public}), policy=policy(), now=NOW)
    assert {label: result.claims.wire[label] for label in result.claims.wire if label >= 300} == {
        300: [
            {1: 144, 2: [15.78, "EUR"], 3: "de", 4: [0.79, "kg"], 5: [12.5, 4.8, 2.0, "cm"]},
            {1: 6, 2: [25.8, "EUR"], 3: "nl", 4: [9.2, "kg"], 5: [14.5, 21.8, 30.0, "cm"]},
        ],
        303: 1760449111,
    }


# Encrypted disclosures


def test_the_published_encrypted_disclosure_opens_to_the_first_one(vectors: Path) -> None:
    folder = vectors / "sd-cwt/draft-main/examples"
    key = bytes.fromhex((folder / "aead-key.txt").read_text().strip())
    nonce, ciphertext, tag = byte_strings((folder / "aead-claim-array.edn").read_text())
    assert key == AEAD_KEY
    plaintext = aead.open_(1, key, nonce, ciphertext, tag)
    assert cbor.loads(plaintext) == (folder / "first-disclosure.cborseq").read_bytes()


def test_a_verifier_with_the_key_reads_the_published_encrypted_disclosure(vectors: Path) -> None:
    data = (vectors / "sd-cwt/cases/ok_aead_keycontext.cbor").read_bytes()
    trust = Trust.key(Key.from_pem((vectors / "sd-cwt/draft-08/issuer_privkey.pem").read_text()).public)
    entry = cbor.loads(cbor.loads(data).value[0])[13].value[1][171][0]
    folder = vectors / "sd-cwt/draft-main/examples"
    assert entry[3] == 7
    assert entry[:3] == list(byte_strings((folder / "aead-claim-array.edn").read_text()))
    assert 501 not in sd_cwt.verify(data, trust=trust, policy=policy(), now=NOW).claims
    keys = (AeadKey(AEAD_KEY, context=7),)
    assert sd_cwt.verify(data, trust=trust, policy=policy(aead_keys=keys), now=NOW).claims[501] == (
        "ABCD-123456"
    )


def byte_strings(edn: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex("".join(found.split())) for found in re.findall(r"h'([0-9a-f\s]*)'", edn))


# The derived cases

CASES = {
    "ok_base": None,
    "ok_reordered": None,
    "ok_aead_keycontext": None,
    "ok_kbt_text_typ": None,
    "ok_suffix_typ": None,
    "ok_sd_alg_sha384": None,
    "aead_bad_tag": "aead_authentication_failed",
    "aead_empty": "aead_claims_empty",
    "duplicate_disclosure": "disclosure_duplicate",
    "tampered_disclosure": "disclosure_unreferenced",
    "bad_issuer_sig": "signature_invalid",
    "disclosure_swapped_after_sign": "signature_invalid",
    "kbt_has_sub": "kbt_claim_forbidden",
    "kbt_no_iat_no_cti": "kbt_iat_or_cti_missing",
    "kbt_iat_before_nbf": "kbt_times",
    "kbt_iat_after_cwt_exp": "kbt_times",
    "kbt_no_typ": "kbt_typ",
    "kbt_cwt_claims_header": "kbt_cwt_claims",
    "element_disclosure_under_59": "disclosure_misplaced",
    "no_cnf": "claim_missing",
    "exp_redacted": "claim_not_redactable",
    "exp_infinity": "time_not_finite",
    "cwt_nbf_eq_exp": "cwt_times",
    "bstr_key": "claim_key",
    "indefinite_payload": "cbor_not_preferred",
    "sdcwt_typ_missing": "sd_cwt_typ",
    "sd_alg_unknown": "sd_alg_unsupported",
    "issued_token_presented": "key_binding_missing",
    "lenient_kcwt_bstr": "kcwt_malformed",
    "lenient_raw_hash": "disclosure_unreferenced",
    "duplicate_redacted_hash": "digest_duplicate",
    "depth_over_16": "claim_too_deep",
}

LENIENT = {"lenient_kcwt_bstr": "kcwt-bstr", "lenient_raw_hash": "raw-digest"}

SHOWN = {**COMMON, 2: "https://holder.example", **PRESENTED["kbt"]}


def test_every_case_of_the_manifest_has_its_verdict_here(vectors: Path) -> None:
    cases = json.loads((vectors / "sd-cwt/cases/manifest.json").read_text())["cases"]
    accepted = {case["name"] for case in cases if case["expect"] == "accept"}
    lenient = {case["name"] for case in cases if case["expect"] == "accept-lenient"}
    assert {case["name"] for case in cases} == set(CASES)
    assert accepted == {name for name, code in CASES.items() if code is None}
    assert lenient == set(LENIENT)


def verified_case(vectors: Path, name: str, **changes: Any) -> sd_cwt.VerifiedPresentation:
    issuer = Key.from_pem((vectors / "sd-cwt/draft-08/issuer_privkey.pem").read_text()).public
    return sd_cwt.verify(
        (vectors / f"sd-cwt/cases/{name}.cbor").read_bytes(),
        trust=Trust.of({ISSUER: issuer}),
        policy=policy(**{"aead_keys": (AeadKey(AEAD_KEY),), **changes}),
        now=NOW,
    )


@pytest.mark.parametrize("name", [name for name, code in CASES.items() if code is None])
def test_a_case_to_accept_gives_its_claims(vectors: Path, name: str) -> None:
    assert verified_case(vectors, name).claims.wire == SHOWN


@pytest.mark.parametrize(("name", "code"), [pair for pair in CASES.items() if pair[1] is not None])
def test_a_case_to_reject_is_rejected_for_its_reason(vectors: Path, name: str, code: str) -> None:
    with pytest.raises(SafeconductError) as error:
        verified_case(vectors, name)
    assert error.value.code == code


@pytest.mark.parametrize(("name", "leniency"), LENIENT.items())
def test_a_lenient_case_is_accepted_under_its_leniency_alone(vectors: Path, name: str, leniency: str) -> None:
    assert verified_case(vectors, name, accept=frozenset({leniency})).claims.wire == SHOWN
    with pytest.raises(SafeconductError) as error:
        verified_case(vectors, name, accept=frozenset(sd_cwt.LENIENCIES) - {leniency})
    assert error.value.code == CASES[name]


def test_a_verifier_without_the_key_ignores_an_entry_that_would_not_open(vectors: Path) -> None:
    assert 501 not in verified_case(vectors, "aead_bad_tag", aead_keys=()).claims
