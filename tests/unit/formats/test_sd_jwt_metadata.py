"""What issuers and types publish beside their credentials: whose keys, which claims, which hashes."""

import json
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    GOOD,
    HOLDER_KEY,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    PLAIN,
    VCT,
    check_issued,
    verify,
)

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_jwt import integrity, issuer_metadata, type_metadata
from safeconduct.trust import Trust

# Issuer metadata


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/jwt-vc-issuer"),
        ("https://a.example/", "https://a.example/.well-known/jwt-vc-issuer"),
        ("https://a.example/tenant/1234", "https://a.example/.well-known/jwt-vc-issuer/tenant/1234"),
        ("https://a.example:8443/t/", "https://a.example:8443/.well-known/jwt-vc-issuer/t"),
        ("https://[2001:db8::1]/t", "https://[2001:db8::1]/.well-known/jwt-vc-issuer/t"),
    ],
)
def test_the_well_known_path_stands_between_host_and_path(issuer: str, url: str) -> None:
    assert issuer_metadata.url_for(issuer) == url


@pytest.mark.parametrize(
    "issuer",
    [
        *("http://a.example", "http://localhost", "https://", "https://u@a.example", "https://a.example?q"),
        *("https://a.example#f", "did:web:a.example", "urn:x", "", "https://a.example/ b"),
        *("HTTPS://a.example", "https://a.example\n", "https://a.example/" + "a" * limits.URL_CHARS),
    ],
)
def test_other_identifiers_have_no_well_known_place(issuer: str) -> None:
    assert _code(issuer_metadata.url_for, issuer) == "issuer_not_url"


def test_http_is_for_the_local_machine_and_only_if_said() -> None:
    url = "http://127.0.0.1:8000/.well-known/jwt-vc-issuer"
    assert issuer_metadata.url_for("http://127.0.0.1:8000", allow_http_loopback=True) == url
    for issuer in ("http://a.example", "http://localhost.a.example", "http://127.0.0.1.a.example"):
        assert _code(issuer_metadata.url_for, issuer, allow_http_loopback=True) == "issuer_not_url"


def test_what_is_written_is_read_and_verifies() -> None:
    keys = (ISSUER_KEY.public.with_kid("a"), HOLDER_KEY.public.with_kid("b"))
    written = json.dumps(issuer_metadata.write(ISSUER, keys)).encode()
    read = issuer_metadata.parse(written, issuer=ISSUER)
    assert (read.issuer, read.keys, read.jwks_uri) == (ISSUER, keys, None)
    trust = Trust.of({ISSUER: read.keys})
    assert verify(GOOD.headed({"kid": "a"}), trust=trust).issuer_key == ISSUER_KEY.public


def test_keys_may_stand_elsewhere() -> None:
    document = {"issuer": ISSUER, "jwks_uri": "https://keys.example/jwks?v=1", "more": 1}
    read = issuer_metadata.parse(json.dumps(document).encode(), issuer=ISSUER)
    assert (read.keys, read.jwks_uri) == ((), "https://keys.example/jwks?v=1")
    jwks = {"keys": [ISSUER_KEY.public.to_jwk(), {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"use": "enc"}, 1]}
    assert issuer_metadata.parse_jwks(json.dumps(jwks).encode()) == (ISSUER_KEY.public,)


_JWKS = {"keys": [ISSUER_KEY.public.to_jwk()]}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"issuer": "https://other.example", "jwks": _JWKS}, "issuer_metadata_other"),
        ({"issuer": ISSUER + "/", "jwks": _JWKS}, "issuer_metadata_other"),
        ({"jwks": _JWKS}, "issuer_metadata_other"),
        ({"issuer": ISSUER}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks": _JWKS, "jwks_uri": "https://k.example"}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks": []}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks": {"keys": {}}}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks": {"keys": [{}] * 257}}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks_uri": 1}, "issuer_metadata_malformed"),
        ({"issuer": ISSUER, "jwks_uri": "http://k.example"}, "issuer_not_url"),
        ([], "json_not_object"),
    ],
)
def test_issuer_metadata_names_itself_and_its_keys_in_one_way(document: Any, code: str) -> None:
    data = json.dumps(document).encode()
    assert _code(issuer_metadata.parse, data, issuer=ISSUER) == code


# Type metadata


def _type(**members: Any) -> bytes:
    return json.dumps({"vct": VCT, **members}).encode()


def _claim(*path: Any, **members: Any) -> dict[str, Any]:
    return {"path": [*path], **members}


def test_a_type_says_how_it_is_shown() -> None:
    document = _type(
        name="Card",
        display=[{"locale": "de", "name": "Karte", "rendering": {"simple": {"background_color": "#000"}}}],
        claims=[_claim("given_name", display=[{"locale": "de", "label": "Vorname"}], svg_id="n")],
        unknown={"ignored": True},
    )
    metadata = type_metadata.parse(document, vct=VCT)
    assert metadata.display[0].name == "Karte"
    assert metadata.claims[0].display[0].label == "Vorname"
    assert (metadata.claims[0].sd, metadata.claims[0].mandatory) == ("allowed", False)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (_type(vct="https://other.example"), "type_metadata_other"),
        (_type(vct=1), "type_metadata_malformed"),
        (b"{}", "type_metadata_malformed"),
        (_type(claims={}), "type_metadata_malformed"),
        (_type(claims=[{}]), "type_metadata_malformed"),
        (_type(claims=[_claim()]), "type_metadata_malformed"),
        (_type(claims=[_claim(-1)]), "type_metadata_malformed"),
        (_type(claims=[_claim(1.5)]), "type_metadata_malformed"),
        (_type(claims=[_claim("a", sd="sometimes")]), "type_metadata_malformed"),
        (_type(claims=[_claim("a"), _claim("a")]), "type_metadata_malformed"),
        (_type(claims=[_claim(*["a"] * (limits.CLAIM_DEPTH + 1))]), "type_metadata_malformed"),
        (_type(claims=[_claim(f"c{n}") for n in range(limits.LIST_ITEMS + 1)]), "type_metadata_malformed"),
        (_type(display=[{"locale": "de"}]), "type_metadata_malformed"),
        (b"[]", "json_not_object"),
    ],
)
def test_other_documents_are_malformed(document: bytes, code: str) -> None:
    assert _code(type_metadata.parse, document, vct=VCT) == code


BASE = "https://issuer.example/types/base"


def test_a_type_inherits_claims_and_may_narrow_them() -> None:
    base = json.dumps(
        {
            "vct": BASE,
            "display": [{"locale": "en", "name": "Base"}],
            "claims": [_claim("name"), _claim("age", sd="always"), _claim("city", mandatory=True)],
        }
    ).encode()
    child = _type(
        extends=BASE,
        claims=[_claim("name", sd="never", mandatory=True), _claim("city", mandatory=True), _claim("new")],
    )
    documents = {VCT: child, BASE: base}
    whole = type_metadata.resolve(VCT, documents)
    rules = {claim.path: (claim.sd, claim.mandatory) for claim in whole.claims}
    assert rules == {
        ("name",): ("never", True),
        ("age",): ("always", False),
        ("city",): ("allowed", True),
        ("new",): ("allowed", False),
    }
    assert whole.display[0].name == "Base"
    assert whole.vct == VCT


@pytest.mark.parametrize(
    ("older", "newer"),
    [({"sd": "always"}, {"sd": "never"}), ({"sd": "never"}, {}), ({"mandatory": True}, {"mandatory": False})],
)
def test_a_type_loosens_nothing(older: dict[str, Any], newer: dict[str, Any]) -> None:
    documents = {
        BASE: json.dumps({"vct": BASE, "claims": [_claim("a", **older)]}).encode(),
        VCT: _type(extends=BASE, claims=[_claim("a", **newer)]),
    }
    assert _code(type_metadata.resolve, VCT, documents) == "type_metadata_conflict"


def test_missing_documents_are_named_one_by_one() -> None:
    documents: dict[str, bytes] = {}
    assert type_metadata.needed(VCT, documents) == VCT
    documents[VCT] = _type(extends=BASE)
    assert type_metadata.needed(VCT, documents) == BASE
    assert _code(type_metadata.resolve, VCT, documents) == "type_metadata_missing"
    documents[BASE] = json.dumps({"vct": BASE}).encode()
    assert type_metadata.needed(VCT, documents) is None


def test_types_do_not_extend_one_another_in_a_circle() -> None:
    documents = {VCT: _type(extends=BASE), BASE: json.dumps({"vct": BASE, "extends": VCT}).encode()}
    assert _code(type_metadata.resolve, VCT, documents) == "type_metadata_circular"
    assert _code(type_metadata.needed, VCT, documents) == "type_metadata_circular"
    assert _code(type_metadata.resolve, VCT, {VCT: _type(extends=VCT)}) == "type_metadata_circular"


def test_TYPE_EXTENSIONS_types_may_extend_one_another_and_no_more() -> None:
    def chain(length: int) -> dict[str, bytes]:
        links: dict[str, dict[str, Any]] = {f"urn:t{n}": {"vct": f"urn:t{n}"} for n in range(length)}
        for number in range(length - 1):
            links[f"urn:t{number}"]["extends"] = f"urn:t{number + 1}"
        return {vct: json.dumps(document).encode() for vct, document in links.items()}

    assert type_metadata.resolve("urn:t0", chain(limits.TYPE_EXTENSIONS))
    too_long = chain(limits.TYPE_EXTENSIONS + 1)
    assert _code(type_metadata.resolve, "urn:t0", too_long) == "type_metadata_circular"


# Integrity


def test_a_document_has_the_hash_that_was_promised() -> None:
    base = json.dumps({"vct": BASE}).encode()
    child = _type(extends=BASE, **{"extends#integrity": integrity.checksum(base)})
    documents = {VCT: child, BASE: base}
    assert type_metadata.resolve(VCT, documents, checksum=integrity.checksum(child))
    wrong = integrity.checksum(base)
    assert _code(type_metadata.resolve, VCT, documents, checksum=wrong) == "integrity_mismatch"
    changed = {**documents, BASE: base + b" "}
    assert _code(type_metadata.resolve, VCT, changed) == "integrity_mismatch"


def test_the_strongest_hash_counts_and_one_of_it_suffices() -> None:
    weak = integrity.checksum(b"x")
    strong = "sha512-" + "A" * 86 + "=="
    assert integrity.check(b"x", f"{weak}?opt  sha256-{'A' * 43}=") is None  # type: ignore[func-returns-value]
    assert _code(integrity.check, b"x", f"{weak} {strong}") == "integrity_mismatch"
    assert _code(integrity.check, b"y", weak) == "integrity_mismatch"


@pytest.mark.parametrize("text", ["", "md5-AAAA", "sha256", "sha256-", "sha256-!", "x" * 1000, "sha256-AA-A"])
def test_integrity_without_a_readable_hash_of_a_known_kind_is_malformed(text: str) -> None:
    expected = "integrity_mismatch" if text in ("sha256", "sha256-") else "integrity_malformed"
    assert _code(integrity.check, b"x", text) == expected


# Credentials held against their type


def _metadata(*claims: dict[str, Any]) -> type_metadata.TypeMetadata:
    return type_metadata.parse(_type(claims=[*claims]), vct=VCT)


@pytest.mark.parametrize(
    "claim",
    [
        _claim("given_name", sd="always", mandatory=True),
        _claim("vct", sd="never", mandatory=True),
        _claim("address", "region", sd="always", mandatory=True),
        _claim("nationalities", None),
        _claim("nationalities", 0, sd="always"),
        _claim("nationalities", 1, sd="never", mandatory=True),
        _claim("nationalities", 9),
        _claim("absent", sd="never"),
        _claim("vct", "inside"),
        _claim("vct", None),
    ],
)
def test_a_credential_that_is_as_its_type_says_passes(claim: dict[str, Any]) -> None:
    type_metadata.check(check_issued(ISSUED), _metadata(claim))
    type_metadata.check(verify(GOOD), _metadata(claim))


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (_claim("absent", mandatory=True), "claim_missing"),
        (_claim("address", "absent", mandatory=True), "claim_missing"),
        (_claim("vct", "inside", mandatory=True), "claim_missing"),
        (_claim("vct", sd="always"), "claim_in_clear"),
        (_claim("nationalities", None, sd="always"), "claim_in_clear"),
        (_claim("given_name", sd="never"), "claim_not_redactable"),
        (_claim("nationalities", None, sd="never"), "claim_not_redactable"),
        (_claim("address", "region", sd="never"), "claim_not_redactable"),
    ],
)
def test_a_credential_that_is_not_as_its_type_says_is_rejected(claim: dict[str, Any], code: str) -> None:
    assert _code(type_metadata.check, check_issued(ISSUED), _metadata(claim)) == code


def test_of_a_presentation_only_what_is_shown_is_judged() -> None:
    nothing = verify(GOOD.showing())
    type_metadata.check(nothing, _metadata(_claim("given_name", mandatory=True, sd="always")))
    type_metadata.check(nothing, _metadata(_claim("nationalities", 2, mandatory=True)))
    plain = _metadata(_claim("absent", mandatory=True, sd="never"))
    assert _code(type_metadata.check, nothing, plain) == "claim_missing"
    assert _code(type_metadata.check, verify(GOOD), _metadata(_claim("given_name", sd="never"))) == (
        "claim_not_redactable"
    )
    whole = verify(GOOD.claiming({"_sd": [], "nationalities": []}).showing())
    assert _code(type_metadata.check, whole, _metadata(_claim("absent", mandatory=True))) == "claim_missing"


def test_metadata_of_another_type_says_nothing() -> None:
    other = verify(PLAIN.claiming({"vct": ...}))
    assert _code(type_metadata.check, other, _metadata()) == "type_metadata_other"


def _code(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        function(*arguments, **named)
    return error.value.code
