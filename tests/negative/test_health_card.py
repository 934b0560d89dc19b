"""A card with one fault is refused under the code of that fault, in the order of the checks."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from tests.negative.health_card_builder import (
    BUNDLE,
    ISSUER,
    KEY,
    KID,
    NOW,
    TRUST,
    card,
    claims,
    deflated,
    minified,
    subject,
    vc,
    without,
)

from safeconduct import health_card, limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import CardPolicy, CardTrust
from safeconduct.formats.health_card.deflate import inflate
from safeconduct.status.card_keys import ANY_ISSUER, CardKey, KeySet
from safeconduct.status.states import GOOD, CardId, Status, unknown

HEADER = {"zip": "DEF", "alg": "ES256", "kid": KID}


class Answer:
    """Evidence that says the same of every card."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.asked: list[tuple[str, str, float, int | None]] = []

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        assert now == NOW
        self.asked.append((card.issuer, card.kid, card.nbf, crl_version))
        return self.status


def judged(text: str | bytes, *, trust: Any = TRUST, **options: Any) -> health_card.Judgement:
    """The verdict, which `verify` shares."""
    options = {"status": None, "now": NOW, **options}
    judgement = health_card.judge(text, trust=trust, **options)
    if judgement.verdict == "valid":
        assert health_card.verify(text, trust=trust, **options) == judgement.card
    else:
        assert judgement.card is None
        with pytest.raises(SafeconductError) as error:
            health_card.verify(text, trust=trust, **options)
        assert (error.value.code, error.value.reason) == (judgement.code, judgement.reason)
    return judgement


def refused(text: str | bytes, **options: Any) -> str:
    judgement = judged(text, **options)
    assert (judgement.verdict, judgement.status) == ("invalid", None)
    return judgement.code


def test_what_the_builder_makes_is_right_until_it_is_damaged() -> None:
    assert judged(card()).verdict == "valid"
    assert judged(card().encode()).verdict == "valid"
    assert judged(health_card.parse(card())).verdict == "valid"


# The JWS.


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "shc",
        lambda text: text.rpartition(".")[0],
        lambda text: text + ".",
        lambda text: text + ".AA",
        lambda text: "." + text,
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace(".", ". ", 1),
        lambda text: text + "==",
        lambda text: "\ufeff" + text,
        lambda text: text[:-1] + "é",
        lambda text: text.replace(".", "..", 1),
        lambda text: "." + text.partition(".")[2],
    ],
)
def test_what_is_not_a_compact_jws_is_refused(change: Any) -> None:
    assert refused(change(card())) == "jws_malformed"


def test_the_standard_alphabet_of_base64_is_refused() -> None:
    header, payload, signature = card().split(".")
    texts = {base64.b64encode(b64.decode(part)).decode().rstrip("=") for part in (payload, signature)}
    spoilt = f"{header}.{payload[:-4]}+/+/.{signature}"
    assert texts
    assert refused(spoilt) == "jws_malformed"


def test_stray_bits_in_the_payload_are_refused_though_signed() -> None:
    header, payload, _ = card().split(".")
    while len(payload) % 4 != 2:
        payload = b64.encode(b64.decode(payload) + b"\0")
    stray = payload[:-1] + chr(ord(payload[-1]) + 1)
    signing_input = f"{header}.{stray}"
    assert refused(f"{signing_input}.{b64.encode(KEY.sign(signing_input.encode()))}") == "jws_malformed"


def test_a_card_is_measured_before_it_is_read() -> None:
    assert refused("A" * (limits.TOKEN_BYTES + 1)) == "jws_too_large"
    assert refused("." * limits.TOKEN_BYTES) == "jws_malformed"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "RS256", "es256", "", None, 7, ["ES256"]])
def test_another_algorithm_is_refused(algorithm: Any) -> None:
    assert refused(card(header={**HEADER, "alg": algorithm})) == "algorithm_unsupported"


@pytest.mark.parametrize(
    "header",
    [
        without(HEADER, "zip"),
        without(HEADER, "kid"),
        {**HEADER, "zip": "DEFLATE"},
        {**HEADER, "zip": "def"},
        {**HEADER, "zip": None},
        {**HEADER, "kid": 7},
        {**HEADER, "kid": None},
    ],
)
def test_a_header_without_kid_or_compression_is_refused(header: Mapping[str, Any]) -> None:
    assert refused(card(header=header)) == "card_header_malformed"


@pytest.mark.parametrize(
    "header", [{**HEADER, "crit": ["exp"]}, {**HEADER, "b64": False}, {**HEADER, "crit": []}]
)
def test_a_header_that_demands_an_extension_is_refused(header: Mapping[str, Any]) -> None:
    assert refused(card(header=header)) == "crit_unsupported"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'"ES256"',
        b"{",
        b"\xff",
        b"\xef\xbb\xbf" + minified(HEADER),
        minified(HEADER)[:-1] + b',"alg":"ES256"}',
        minified({**HEADER, "x": "A" * limits.JOSE_HEADER_BYTES}),
    ],
    ids=lambda _: "header",
)
def test_a_header_that_is_no_strict_json_object_is_refused(header: bytes) -> None:
    assert refused(card(header=header)) == "jws_malformed"


def test_keys_that_a_header_offers_are_not_used() -> None:
    forger = Key.generate("ES256")
    jwk = forger.public.to_jwk()
    header = {**HEADER, "jwk": jwk, "jku": "https://evil.example/jwks.json", "x5c": ["AA=="]}
    assert refused(card(header=header, sign=forger.sign)) == "signature_invalid"
    assert judged(card(header=header)).verdict == "valid"


# Key and signature.


def test_a_key_that_nobody_vouches_for_is_refused() -> None:
    assert refused(card(key=Key.generate("ES256"))) == "card_key_unknown"
    assert refused(card(header={**HEADER, "kid": ""})) == "card_key_unknown"
    assert refused(card(), trust=CardTrust({})) == "card_key_unknown"


def test_a_key_speaks_only_for_its_own_issuer() -> None:
    keys = KeySet((CardKey.of(KEY.public),))
    for other in (ISSUER + "/", ISSUER.upper(), "https://issuer.example", "https://issuer.example/card"):
        assert refused(card(), trust=CardTrust({other: keys})) == "card_issuer_untrusted"
    assert judged(card(), trust=CardTrust(pinned=keys)).verdict == "valid"
    assert judged(card(), trust=CardTrust({other: keys, ISSUER: keys})).verdict == "valid"


def test_an_issuer_that_is_listed_has_no_other_keys_than_those() -> None:
    class Directory:
        def keys_named(self, kid: str) -> Mapping[str, CardKey]:
            return {ISSUER: CardKey.of(KEY.public)} if kid == KID else {}

    assert judged(card(), trust=CardTrust(directories=[Directory()])).verdict == "valid"
    replaced = KeySet((CardKey.of(Key.generate("ES256").public),))
    trust = CardTrust({ISSUER: replaced}, directories=[Directory()])
    assert refused(card(), trust=trust) == "card_key_unknown"
    assert (
        refused(card(), trust=CardTrust({ISSUER: KeySet(())}, directories=[Directory()]))
        == "card_key_unknown"
    )
    assert KID not in str(trust) + str(TRUST.keys_named(KID))
    assert ANY_ISSUER not in trust.keys_named(KID)


def der(data: bytes) -> bytes:
    signature = KEY.sign(data)
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


@pytest.mark.parametrize(
    "sign",
    [
        Key.generate("ES256").sign,
        lambda data: KEY.sign(data + b" "),
        lambda _: b"",
        lambda _: bytes(64),
        lambda data: KEY.sign(data)[:63],
        lambda data: KEY.sign(data) + b"\0",
        lambda data: KEY.sign(data)[:32] + bytes(32),
        lambda data: bytes(32) + KEY.sign(data)[32:],
        lambda _: b"\xff" * 64,
        der,
    ],
)
def test_a_signature_of_another_kind_is_refused(sign: Any) -> None:
    assert refused(card(sign=sign)) == "signature_invalid"


def test_the_signature_covers_the_text_that_was_received() -> None:
    # The same header in other words: whoever verified a re-encoding would take it.
    signed = card()
    other = b64.encode(minified({"kid": KID, "alg": "ES256", "zip": "DEF"}))
    assert refused(f"{other}.{signed.partition('.')[2]}") == "signature_invalid"


def test_nothing_is_inflated_before_the_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from safeconduct.formats.health_card import verification

    seen: list[bytes] = []
    monkeypatch.setattr(verification, "inflate", lambda data: seen.append(data) or inflate(data))
    assert refused(card(sign=Key.generate("ES256").sign)) == "signature_invalid"
    assert seen == []
    assert judged(card()).verdict == "valid"
    assert len(seen) == 2


# Compression.


@pytest.mark.parametrize(
    "compress",
    [
        lambda data: data,
        lambda data: deflated(data, wbits=15),
        lambda data: deflated(data, wbits=31),
        lambda data: deflated(data)[:-1],
        lambda data: deflated(data)[: len(data) // 3],
        lambda _: b"",
        lambda data: deflated(data) + b"\0",
        lambda data: deflated(data) + deflated(data),
        lambda data: b"\x07" + deflated(data),
    ],
)
def test_what_is_not_one_raw_deflate_stream_is_refused(compress: Any) -> None:
    assert refused(card(compress=compress)) == "card_deflate_malformed"


def test_a_bomb_is_stopped_at_the_bound() -> None:
    bomb = deflated(bytes(100 * limits.CARD_PAYLOAD_BYTES))
    assert len(bomb) < limits.TOKEN_BYTES
    assert refused(card(compress=lambda _: bomb)) == "card_too_large"
    exact = b'"' + b"a" * (limits.CARD_PAYLOAD_BYTES - 2) + b'"'
    assert refused(card(exact)) == "claims_not_object"
    assert refused(card(exact + b" ")) == "card_too_large"


# Claims.


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "json_malformed"),
        (b"\xef\xbb\xbf" + minified(claims()), "json_malformed"),
        (minified(claims()) + b"}", "json_malformed"),
        (minified(claims())[:-1] + b',"x":"\xff"}', "json_malformed"),
        (minified(claims())[:-1] + b',"x":"\\ud800"}', "json_malformed"),
        (minified(claims())[:-1] + b',"x":NaN}', "json_malformed"),
        (minified(claims())[:-1] + b',"x":' + b"1" * 21 + b"}", "json_malformed"),
        (minified(claims())[:-1] + b',"iss":"https://issuer.example/cards"}', "json_duplicate_member"),
        (minified(claims()).replace(b'"entry":', b'"type":"batch","entry":'), "json_duplicate_member"),
        (minified([claims()]), "claims_not_object"),
        (b"null", "claims_not_object"),
        (minified(claims(x=0))[:-2] + b"[" * 64 + b"]" * 64 + b"}", "json_too_deep"),
    ],
)
def test_a_payload_that_is_no_strict_json_object_is_refused(payload: bytes, code: str) -> None:
    assert refused(card(payload)) == code


def test_as_much_depth_as_allowed_is_read() -> None:
    payload = minified(claims(x=0))[:-2] + b"[" * 63 + b"]" * 63 + b"}"
    assert judged(card(payload)).verdict == "valid"


def test_a_payload_with_space_in_it_is_read() -> None:
    import json

    assert judged(card(json.dumps(claims(), indent=1).encode())).verdict == "valid"


@pytest.mark.parametrize(
    "path",
    [
        ("iss",),
        ("nbf",),
        ("vc",),
        ("vc", "type"),
        ("vc", "credentialSubject"),
        ("vc", "credentialSubject", "fhirVersion"),
        ("vc", "credentialSubject", "fhirBundle"),
    ],
)
def test_a_claim_that_is_not_there_is_missed(path: tuple[str, ...]) -> None:
    judgement = judged(card(without(claims(), *path)))
    assert (judgement.verdict, judgement.code) == ("invalid", "claim_missing")
    assert path[-1] in judgement.reason


@pytest.mark.parametrize(
    "payload",
    [
        claims(iss=7),
        claims(iss=None),
        claims(iss=[ISSUER]),
        claims(nbf="1700000000"),
        claims(nbf=True),
        claims(nbf=None),
        claims(exp=None),
        claims(exp="2000000000"),
        claims(exp=False),
        claims(vc=None),
        claims(vc=[]),
        vc(type="https://smarthealth.cards#health-card"),
        vc(type=None),
        vc(type=["https://smarthealth.cards#health-card", 7]),
        vc(credentialSubject=[]),
        subject(fhirVersion=4),
        subject(fhirBundle=[BUNDLE]),
        subject(fhirBundle="{}"),
        subject(fhirBundle=None),
    ],
)
def test_a_claim_of_another_type_is_refused(payload: Mapping[str, Any]) -> None:
    assert refused(card(payload)) == "claim_type"


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "issuer.example",
        "http://issuer.example/cards",
        "https://issuer.example/cards/",
        "https://issuer.example/",
        "https://",
        "https:///cards",
        "HTTPS://issuer.example",
        "https://user@issuer.example",
        "https://issuer.example/cards?x=1",
        "https://issuer.example/cards#x",
        "https://issuer.example/ca rds",
        "https://issuer.example/cards\n",
        "https://issuer.example\\cards",
        "https://issuer.exämple",
        "https://issuer..example",
        "https://issuer.example:port",
        "https://issuer.example/" + "a" * limits.URL_CHARS,
    ],
)
def test_an_issuer_that_is_no_plain_https_url_is_refused(issuer: str) -> None:
    keys = KeySet((CardKey.of(KEY.public),))
    payload = card(claims(iss=issuer))
    assert refused(payload, trust=CardTrust({issuer: keys}, pinned=keys)) == "card_issuer_url"


@pytest.mark.parametrize(
    "issuer", ["https://a", "https://issuer.example:8443/a/b%20c", "https://127.0.0.1:1"]
)
def test_other_https_urls_are_issuers(issuer: str) -> None:
    keys = KeySet((CardKey.of(KEY.public),))
    assert judged(card(claims(iss=issuer)), trust=CardTrust({issuer: keys})).verdict == "valid"


@pytest.mark.parametrize(
    "types", [[], ["VerifiableCredential"], ["https://smarthealth.cards#immunization"], ["health-card"]]
)
def test_a_credential_that_is_no_health_card_is_refused(types: list[str]) -> None:
    assert refused(card(vc(type=types))) == "card_type_missing"


@pytest.mark.parametrize(
    "rid", ["", "a" * 25, "a.1", "a b", "a+b", "a/b", "a=", "é", "a\n", 7, False, ["abc"], {"rid": "abc"}]
)
def test_a_rid_that_is_none_is_refused(rid: Any) -> None:
    assert refused(card(vc(rid=rid))) == "card_rid_malformed"


def test_a_rid_that_is_null_is_no_rid() -> None:
    judgement = judged(card(vc(rid=None)))
    assert judgement.card is not None
    assert judgement.card.claims.rid is None


@pytest.mark.parametrize("rid", ["a", "a" * 24, "-_", "MKyCxh7p6uQ"])
def test_a_rid_need_not_be_the_base64url_of_anything(rid: str) -> None:
    judgement = judged(card(vc(rid=rid)))
    assert judgement.card is not None
    assert judgement.card.claims.rid == rid


# Times, status, and what comes first.


@pytest.mark.parametrize(
    ("payload", "verdict", "code"),
    [
        (claims(exp=NOW), "valid", ""),
        (claims(exp=NOW - 1), "expired", "expired"),
        (claims(exp=NOW - 0.001), "expired", "expired"),
        (claims(exp=NOW + 0.001), "valid", ""),
        (claims(exp=-5), "expired", "expired"),
        (claims(nbf=NOW), "valid", ""),
        (claims(nbf=NOW + 1), "not-yet-valid", "not_yet_valid"),
        (claims(nbf=NOW + 0.001), "not-yet-valid", "not_yet_valid"),
        (claims(nbf=NOW * 1000), "not-yet-valid", "not_yet_valid"),
        (claims(nbf=NOW + 1, exp=NOW - 1), "expired", "expired"),
        (claims(nbf=10**19), "not-yet-valid", "not_yet_valid"),
    ],
)
def test_the_times_of_a_card_are_kept_to_the_fraction(
    payload: Mapping[str, Any], verdict: str, code: str
) -> None:
    judgement = judged(card(payload))
    assert (judgement.verdict, judgement.code) == (verdict, code)
    assert judgement.status == unknown("no-crl")


@pytest.mark.parametrize("policy", ["fail-closed", "fail-open"])
@pytest.mark.parametrize("reason", [None, "stale", "confirm"])
def test_a_revoked_card_is_revoked_whatever_else_it_is(policy: Any, reason: Any) -> None:
    for payload in (claims(), claims(exp=NOW - 1), claims(nbf=NOW + 1)):
        evidence = Answer(Status("revoked", reason))
        judgement = judged(card(payload), status=evidence, policy=CardPolicy(status=policy))
        assert (judgement.verdict, judgement.code) == ("revoked", "card_revoked")
        assert judgement.status == evidence.status


@pytest.mark.parametrize(
    "reason", ["stale", "missing", "malformed", "unsupported-method", "unverified", "confirm"]
)
def test_an_unknown_status_is_refused_unless_the_policy_lets_it_pass(reason: Any) -> None:
    evidence = Answer(unknown(reason))
    closed = judged(card(), status=evidence)
    assert (closed.verdict, closed.code, closed.status) == ("unknown", "card_status_unknown", evidence.status)
    assert reason in closed.reason
    opened = judged(card(), status=evidence, policy=CardPolicy(status="fail-open"))
    assert (opened.verdict, opened.status) == ("valid", evidence.status)
    for late in (claims(exp=NOW - 1), claims(nbf=NOW + 1)):
        assert judged(card(late), status=evidence).verdict in ("expired", "not-yet-valid")


def test_an_issuer_who_revokes_nothing_is_believed_unless_a_list_is_demanded() -> None:
    evidence = Answer(unknown("no-crl"))
    for source in (evidence, None):
        assert judged(card(), status=source).verdict == "valid"
        demanding = judged(card(), status=source, policy=CardPolicy(require_list=True))
        assert (demanding.verdict, demanding.code) == ("unknown", "card_status_unknown")


def test_a_list_that_was_announced_is_missed_where_there_is_no_evidence() -> None:
    keys = KeySet((CardKey.of(KEY.public, crl_version=3),))
    judgement = judged(card(), trust=CardTrust({ISSUER: keys}))
    assert (judgement.verdict, judgement.status) == ("unknown", unknown("missing"))
    evidence = Answer(Status("good"))
    assert judged(card(), trust=CardTrust({ISSUER: keys}), status=evidence).verdict == "valid"
    assert evidence.asked[0] == (ISSUER, KID, NOW - 100, 3)


def test_evidence_that_holds_nothing_is_asked_all_the_same() -> None:
    class Empty(Answer):
        def __len__(self) -> int:
            return 0

    assert judged(card(), status=Empty(unknown("malformed"))).verdict == "unknown"


def test_nobody_is_asked_about_a_card_that_is_not_authentic() -> None:
    evidence = Answer(Status("good"))
    for text in (card(sign=Key.generate("ES256").sign), card(vc(rid="?")), card(claims(iss="http://a"))):
        refused(text, status=evidence)
    assert evidence.asked == []


def test_findings_are_made_only_when_asked_for_and_change_nothing() -> None:
    payload = claims(exp=NOW - 1)
    payload["vc"]["credentialSubject"]["fhirBundle"] = {**BUNDLE, "id": "x"}
    assert judged(card(payload)).findings == ()
    found = health_card.judge(card(payload), trust=TRUST, status=None, now=NOW, findings=True)
    assert found.verdict == "expired"
    assert found.findings != ()
    assert health_card.judge("garbage", trust=TRUST, status=None, now=NOW, findings=True).findings == ()


def test_errors_and_representations_tell_nothing_of_the_card() -> None:
    secret = "Q" + secrets.token_hex(8)
    payload = subject(fhirBundle={"resourceType": "Bundle", "id": secret})
    judgement = judged(card(payload))
    parsed = health_card.parse(card(payload))
    texts = [repr(judgement), repr(judgement.card), repr(parsed), repr(parsed.needs())]
    assert judgement.card is not None
    texts += [repr(judgement.card.claims), repr(TRUST), repr([*TRUST.keys_named(KID).values()])]
    texts += [repr(found) for found in _asked_about(card(payload))]
    faults = (vc(rid=secret + "!"), claims(iss=f"http://{secret}"), vc(type=[secret]), claims(exp=secret))
    for fault in faults:
        failed = judged(card(fault))
        assert failed.verdict == "invalid"
        texts += [failed.code, failed.reason, repr(failed)]
    assert [text for text in texts if secret in text or ISSUER in text] == []


def _asked_about(text: str) -> list[CardId]:
    """What evidence is asked about when a card is judged."""
    found: list[CardId] = []

    class Evidence:
        def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
            del crl_version, now
            found.append(card)
            return GOOD

    health_card.judge(text, trust=TRUST, status=Evidence(), now=NOW)
    assert len(found) == 1
    return found


def test_what_a_card_needs_is_told_without_trust() -> None:
    parsed = health_card.parse(card())
    assert (parsed.needs().issuer, parsed.needs().kid) == (ISSUER, KID)
    assert parsed.unverified_claims().bundle == BUNDLE
    with pytest.raises(SafeconductError) as error:
        health_card.parse(card(compress=lambda _: deflated(bytes(2 * limits.CARD_PAYLOAD_BYTES)))).needs()
    assert error.value.code == "card_too_large"
