"""SD-JWT against published examples and cases: RFC 9901, the reference implementation's, sd-jwt-js's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Path as ClaimPath
from safeconduct.formats.redaction import decoys, redact
from safeconduct.trust import WAIVED, Policy, Trust

AUDIENCE, NONCE = "https://verifier.example.org", "1234567890"
PRESENTED_AT = 1748537243
HASHES = ("sha-256", "sha-384", "sha-512")
CASES = "sd-jwt/testcases/tests/testcases"
EXAMPLES = "sd-jwt/testcases/examples"
FRAMES = "sd-jwt/disclosure-frames/packages"
CASE_NAMES = (
    *("array_data_types", "array_full_sd", "array_in_sd", "array_nested_in_plain", "array_none_disclosed"),
    *("array_of_nulls", "array_of_objects", "array_of_scalars", "array_recursive_sd"),
    *("array_recursive_sd_some_disclosed", "header_mod", "json_serialization_flattened"),
    *("json_serialization_general", "key_binding", "no_sd", "object_data_types", "recursions"),
)
EXAMPLE_NAMES = (
    *("address_only_flat", "address_only_recursive", "address_only_structured"),
    *("address_only_structured_one_open", "complex_eidas", "complex_eidas_proposal", "complex_ekyc"),
    *("json_serialization_flattened", "json_serialization_general", "jsonld", "simple", "simple_array"),
    *("simple_structured", "w3c-vc", "w3c-vc_for_slide_deck"),
)
FRAME_NAMES = (
    *("array_data_types", "array_full_sd", "array_in_sd", "array_nested_in_plain", "array_none_disclosed"),
    *("array_of_nulls", "array_of_objects", "array_of_scalars", "array_recursive_sd"),
    *("array_recursive_sd_some_disclosed", "complex", "header_mod", "json_serialization", "key_binding"),
    *("no_sd", "object_data_types", "recursions"),
)

# RFC 9901


@pytest.fixture(scope="module")
def published(vectors: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((vectors / "sd-jwt/rfc9901-examples/examples.json").read_text())
    return read


def _verified(published: dict[str, Any], text: str, **changes: Any) -> sd_jwt.VerifiedPresentation:
    usual: dict[str, Any] = {"audience": AUDIENCE, "nonce": NONCE, "key_binding": WAIVED}
    trust = Trust.key(PublicKey.from_jwk(published["issuer_jwk"]))
    return sd_jwt.verify(text, trust=trust, policy=Policy(**{**usual, **changes}), now=PRESENTED_AT)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_published_sd_jwt_verifies(number: int, published: dict[str, Any]) -> None:
    example = published["compact"][number]
    verified = _verified(published, example["value"])

    assert verified.profile == ("sd-jwt-vc" if example["header"]["typ"] == "dc+sd-jwt" else "sd-jwt")
    assert len(verified.disclosed_paths()) == example["n_disclosures"]
    if example["kind"] == "sd-jwt+kb":
        binding = {name: value for name, value in example["kb_payload"].items() if name != "sd_hash"}
        assert verified.key_binding == binding
        assert _verified(published, example["value"], key_binding="demanded").holder == verified.holder
    else:
        assert verified.key_binding is None
        with pytest.raises(SafeconductError) as error:
            _verified(published, example["value"], key_binding="demanded")
        assert error.value.code == "key_binding_missing"


def test_there_are_eight_sd_jwts_and_a_bare_jwt_that_is_none(published: dict[str, Any]) -> None:
    assert [example["kind"] == "jwt" for example in published["compact"]] == [True] + [False] * 8
    with pytest.raises(SafeconductError) as error:
        _verified(published, published["compact"][0]["value"])
    assert error.value.code == "sd_jwt_malformed"


def test_the_example_of_section_5_gives_what_the_text_says(published: dict[str, Any]) -> None:
    claims = _verified(published, published["compact"][2]["value"]).claims
    assert claims.keys() - {"cnf"} == {
        *("iss", "iat", "exp", "sub", "nationalities", "family_name", "address", "given_name")
    }
    assert (claims["family_name"], claims["given_name"], claims["nationalities"]) == ("Doe", "John", ["US"])
    assert claims["address"]["locality"] == "Anytown"


@pytest.mark.parametrize("name", ["flattened_sd_jwt", "flattened_sd_jwt_kb", "general_sd_jwt_kb"])
def test_a_published_json_form_verifies(name: str, published: dict[str, Any]) -> None:
    """The second signature of the general one is by a key that was never published."""
    verified = _verified(published, json.dumps(published["json"][name]))
    assert verified.claims["family_name"] == "Doe"
    assert (verified.key_binding is not None) == name.endswith("_kb")


def test_a_json_form_with_the_unpublished_signature_alone_does_not_verify(published: dict[str, Any]) -> None:
    general = json.loads(json.dumps(published["json"]["general_sd_jwt_kb"]))
    first, second = general["signatures"]
    general["signatures"] = [{**second, "header": {**first["header"], **second["header"]}}]
    with pytest.raises(SafeconductError) as error:
        _verified(published, json.dumps(general))
    assert error.value.code == "signature_invalid"


# The reference implementation's cases, in YAML with the tag !sd


class _Marked:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Marked) and self.value == other.value


class _Loader(yaml.SafeLoader):
    pass


def _marked(loader: Any, node: Any) -> _Marked:
    if isinstance(node, yaml.MappingNode):
        return _Marked(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return _Marked(loader.construct_sequence(node, deep=True))
    plain = yaml.ScalarNode(
        loader.resolve(yaml.ScalarNode, node.value, (node.style is None, True)), node.value
    )
    return _Marked(loader.construct_object(plain))


_Loader.add_constructor("!sd", _marked)


def _claims(value: Any, decoy_count: int = 0) -> Any:
    """Turn !sd into the marks of the engine."""
    if isinstance(value, dict):
        result: dict[Any, Any] = {}
        for key, item in value.items():
            inner = _claims(item, decoy_count)
            result[key.value if isinstance(key, _Marked) else key] = (
                redact(inner) if isinstance(key, _Marked) else inner
            )
        return {**result, **({decoys(decoy_count): None} if decoy_count else {})}
    if isinstance(value, list):
        return [_claims(item, decoy_count) for item in value]
    return redact(_claims(value.value, decoy_count)) if isinstance(value, _Marked) else value


def _chosen(frame: Any, path: ClaimPath) -> bool:
    """Whether a frame of names and truth values chooses a place."""
    for key in path:
        if frame is True:
            return True
        if isinstance(frame, list) and isinstance(key, Index):
            frame = frame[key.position] if key.position < len(frame) else None
        elif isinstance(frame, dict):
            frame = frame.get(str(key.position) if isinstance(key, Index) else key)
        else:
            return False
    return bool(frame)


ISSUER_NAME = "https://example.com/issuer"
ISSUER = Key.from_raw(bytes(31) + b"\x01", "ES256")
HOLDER = Key.from_raw(bytes(31) + b"\x02", "ES256")
COMMON = {"iss": ISSUER_NAME, "exp": 1883000000}


def _result(claims: dict[str, Any], frame: Any, **how: Any) -> dict[str, Any]:
    """Issue, check, present by a frame, verify; what is left without what every token has."""
    token = sd_jwt.issue(
        {**COMMON, **claims},
        issuer=ISSUER,
        holder=HOLDER.public,
        now=1683000000,
        profile=sd_jwt.SD_JWT,
        **how,
    )
    trust = Trust.of({ISSUER_NAME: ISSUER.public})
    held = sd_jwt.check_issued(token, holder=HOLDER.public, trust=trust, now=PRESENTED_AT)
    shown = sd_jwt.present(
        held,
        holder=HOLDER,
        disclose=lambda path, _value: _chosen(frame, path),
        audience=AUDIENCE,
        nonce=NONCE,
        now=PRESENTED_AT,
    )
    verified = sd_jwt.verify(
        shown, trust=trust, policy=Policy(audience=AUDIENCE, nonce=NONCE), now=PRESENTED_AT
    )
    own = {*COMMON, "iat", "cnf"} - claims.keys()
    return {name: value for name, value in verified.claims.to_json().items() if name not in own}


def _specification(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load((folder / "specification.yml").read_text(), _Loader)  # noqa: S506
    return read


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("name", CASE_NAMES)
def test_a_case_of_the_reference_gives_its_result(name: str, hash_name: str, vectors: Path) -> None:
    case = _specification(vectors / CASES / name)
    form = {"json_serialization_flattened": "flattened", "json_serialization_general": "general"}
    result = _result(
        _claims(case["user_claims"]),
        case["holder_disclosed_claims"],
        hash_name=hash_name,
        form=form.get(name, "compact"),
        header={key: str(value) for key, value in case.get("extra_header_parameters", {}).items()},
    )
    assert result == case["expect_verified_user_claims"]


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_an_example_of_the_reference_makes_the_round_trip(name: str, vectors: Path) -> None:
    case = _specification(vectors / EXAMPLES / name)
    marked = _claims(case["user_claims"], 2 if case.get("add_decoy_claims") else 0)
    replaced = {*COMMON, "cnf"}
    marked = {key: value for key, value in marked.items() if key not in replaced}

    assert _result(marked, True) == _plain(case["user_claims"], replaced)
    shown = _result(marked, case["holder_disclosed_claims"])
    assert shown.keys() <= _plain(case["user_claims"]).keys()


def _plain(value: Any, without: Any = ()) -> Any:
    if isinstance(value, dict):
        pairs = [(key.value if isinstance(key, _Marked) else key, item) for key, item in value.items()]
        return {key: _plain(item) for key, item in pairs if key not in without}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value.value) if isinstance(value, _Marked) else value


def test_every_case_is_tested(vectors: Path) -> None:
    assert {path.parent.name for path in (vectors / CASES).glob("*/specification.yml")} == {*CASE_NAMES}
    assert {path.parent.name for path in (vectors / EXAMPLES).glob("*/specification.yml")} == {*EXAMPLE_NAMES}
    for package in ("core", "sd-jwt-vc"):
        assert {path.stem for path in (vectors / FRAMES / package / "test").glob("*.json")} == {*FRAME_NAMES}


# sd-jwt-js's cases, as disclosure frames


def _framed(value: Any, frame: Any) -> Any:
    if not isinstance(frame, dict):
        return value
    hidden, count = frame.get("_sd", []), frame.get("_sd_decoy", 0)
    if isinstance(value, list):
        inner = [_framed(item, frame.get(str(place))) for place, item in enumerate(value)]
        marked = [redact(item) if place in hidden else item for place, item in enumerate(inner)]
        return [*marked, *([decoys(count)] if count else [])]
    entries = {key: _framed(item, frame.get(key)) for key, item in value.items()}
    entries = {key: redact(item) if key in hidden else item for key, item in entries.items()}
    return {**entries, **({decoys(count): None} if count else {})}


@pytest.mark.parametrize("package", ["core", "sd-jwt-vc"])
@pytest.mark.parametrize("name", FRAME_NAMES)
def test_a_disclosure_frame_gives_its_result(name: str, package: str, vectors: Path) -> None:
    case = json.loads((vectors / FRAMES / package / "test" / f"{name}.json").read_text())
    claims = _framed(case["claims"], case.get("disclosureFrame", {}))
    result = _result(claims, case.get("presentationFrames", {}))
    # RFC 9901 §7.1 step 3.5 leaves an empty object, as the same case of the reference does.
    expected = {"is_over": {}} if name == "array_none_disclosed" else case["presentedClaims"]
    assert result == expected
