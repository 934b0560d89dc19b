"""Credential configurations (OpenID4VCI 1.0 §12.2.4, Appendix B) and the SD-CWT format profile."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.openid4vci import configuration as configurations
from safeconduct.protocols.openid4vci.configuration import ClaimDescription, CredentialConfiguration, Display
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestationsRequired

CARD = CredentialConfiguration(
    id="card",
    format=configurations.SD_CWT,
    vct="https://issuer.example/card",
    scope="card",
    signing_algorithms=(-7, -9),
    binding_methods=(configurations.COSE_KEY,),
    proof_algorithms={configurations.JWT_PROOF: ("ES256", "Ed25519")},
    display=(Display(name="Card", locale="en"), Display(name="Ausweis", locale="de")),
    claims=(
        ClaimDescription(("name",), mandatory=True, display=(Display(name="Name", locale="en"),)),
        ClaimDescription(("address", "region")),
        ClaimDescription(("nationalities", None)),
        ClaimDescription((500,)),
    ),
)


def parse(**changes: Any) -> CredentialConfiguration:
    members = {**configurations.configuration_json(CARD), **changes}
    return configurations.parse_configuration("card", _present(members))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}


def refused(kind: type[SafeconductError], code: str, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        parse(**changes)
    assert caught.value.code == code


def test_a_configuration_is_read_as_it_was_written() -> None:
    assert parse() == CARD


def test_the_names_on_the_wire_are_those_of_the_specification() -> None:
    written = json.loads(json.dumps(configurations.configuration_json(CARD)))

    assert written["format"] == "application/sd-cwt"
    assert written["credential_signing_alg_values_supported"] == [-7, -9]
    assert written["cryptographic_binding_methods_supported"] == ["cose_key"]
    assert written["proof_types_supported"] == {
        "jwt": {"proof_signing_alg_values_supported": ["ES256", "Ed25519"]}
    }
    assert [claim["path"] for claim in written["credential_metadata"]["claims"]] == [
        ["name"],
        ["address", "region"],
        ["nationalities", None],
        [500],
    ]


def test_what_the_issuer_redacts_is_not_published() -> None:
    private = CredentialConfiguration(id="x", format="application/sd-cwt", vct="x", redact=(("name",),))

    assert configurations.configuration_json(private) == {"format": "application/sd-cwt", "vct": "x"}
    assert parse(redact=[["name"]], id="other") == CARD


def test_a_configuration_of_an_unknown_format_is_tolerated() -> None:
    read = configurations.parse_configuration(
        "m", {"format": "mso_mdoc", "doctype": "org.iso.18013.5.1.mDL", "new": {}}
    )

    assert (read.format, read.vct) == ("mso_mdoc", None)


def test_binding_methods_and_proof_types_come_together() -> None:
    refused(Rejected, "binding_without_proof_types", proof_types_supported=...)
    refused(Rejected, "proof_types_without_binding", cryptographic_binding_methods_supported=...)
    unbound = parse(proof_types_supported=..., cryptographic_binding_methods_supported=...)
    assert unbound.proof_algorithms == {}


def test_an_sd_cwt_configuration_names_its_type_and_cose_algorithms() -> None:
    refused(Rejected, "vct_missing", vct=...)
    refused(Rejected, "signing_algorithm_not_cose", credential_signing_alg_values_supported=["ES256"])


@pytest.mark.parametrize(
    "changes",
    [
        {"format": ...},
        {"format": ""},
        {"format": 1},
        {"credential_signing_alg_values_supported": []},
        {"credential_signing_alg_values_supported": [1.5]},
        {"cryptographic_binding_methods_supported": []},
        {"cryptographic_binding_methods_supported": "cose_key"},
        {"proof_types_supported": {}},
        {"proof_types_supported": {"jwt": {}}},
        {"proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": []}}},
        {"credential_metadata": {"claims": []}},
        {"credential_metadata": {"display": []}},
        {"credential_metadata": {"display": [{"name": "a", "logo": {}}]}},
        {"credential_metadata": {"claims": [{}]}},
        {"credential_metadata": {"claims": [{"path": []}]}},
        {"credential_metadata": {"claims": [{"path": [1.5]}]}},
        {"credential_metadata": {"claims": [{"path": ["a"] * (limits.LIST_ITEMS + 1)}]}},
    ],
)
def test_members_that_are_missing_empty_or_of_another_type_are_malformed(changes: dict[str, Any]) -> None:
    refused(Malformed, "message_malformed", **changes)


@pytest.mark.parametrize("value", [None, [], "card", 1])
def test_what_is_not_an_object_is_malformed(value: object) -> None:
    with pytest.raises(Malformed) as caught:
        configurations.parse_configuration("card", value)
    assert caught.value.code == "message_malformed"


@pytest.mark.parametrize(
    "about",
    [
        {"display": [{"name": "a", "locale": "en"}, {"name": "b", "locale": "EN"}]},
        {"claims": [{"path": ["a"], "display": [{"locale": "de"}, {"locale": "de"}]}]},
    ],
)
def test_two_display_objects_for_one_language_are_refused(about: dict[str, Any]) -> None:
    refused(Rejected, "locale_repeated", credential_metadata=about)


def claims(*paths: list[Any]) -> dict[str, Any]:
    return {"credential_metadata": {"claims": [{"path": path} for path in paths]}}


def test_a_claim_described_twice_is_refused() -> None:
    refused(Rejected, "claim_path_repeated", **claims(["a", "b"], ["a", "b"]))


@pytest.mark.parametrize(
    "paths", [(["a", None], ["a", "b"]), (["a", None, "x"], ["a", 0]), (["a", 1], ["a", None])]
)
def test_paths_that_take_one_claim_for_an_array_and_a_map_are_refused(paths: tuple[list[Any], ...]) -> None:
    refused(Rejected, "claim_path_contradictory", **claims(*paths))


AS_JSON = {"format": "dc+sd-jwt", "credential_signing_alg_values_supported": ["ES256"]}


def test_an_integer_names_a_map_entry_in_cbor_but_an_index_in_json() -> None:
    paths = claims(["a", "b"], ["a", 1], ["a", -1])
    assert len(parse(**paths).claims) == 3

    refused(Rejected, "claim_path_contradictory", **AS_JSON, **claims(["a", "b"], ["a", 1]))
    refused(Rejected, "claim_path_negative", **AS_JSON, **claims(["a", -1]))


SD_JWT = CredentialConfiguration(
    id="id",
    format=configurations.SD_JWT,
    vct="https://issuer.example/id",
    signing_algorithms=("ES256",),
    binding_methods=(configurations.JWK,),
    proof_algorithms={"jwt": ("ES256",), "attestation": ("ES256",)},
    key_attestations={"jwt": KeyAttestationsRequired(key_storage=("iso_18045_high",))},
)


def test_an_sd_jwt_configuration_names_its_algorithms_as_jose_does() -> None:
    written = json.loads(json.dumps(configurations.configuration_json(SD_JWT)))
    assert written["format"] == "dc+sd-jwt"
    assert written["credential_signing_alg_values_supported"] == ["ES256"]
    assert written["cryptographic_binding_methods_supported"] == ["jwk"]
    assert configurations.parse_configuration("id", written) == SD_JWT
    for change, code in (
        ({"credential_signing_alg_values_supported": [-7]}, "signing_algorithm_not_jose"),
        ({"vct": None}, "vct_missing"),
    ):
        with pytest.raises(Rejected) as caught:
            configurations.parse_configuration("id", {**written, **change})
        assert caught.value.code == code


def test_demands_of_key_attestations_are_written_for_their_proof_type() -> None:
    written = json.loads(json.dumps(configurations.configuration_json(SD_JWT)))["proof_types_supported"]
    assert written["jwt"]["key_attestations_required"] == {"key_storage": ["iso_18045_high"]}
    assert "key_attestations_required" not in written["attestation"]


def test_an_empty_demand_is_one() -> None:
    written = json.loads(json.dumps(configurations.configuration_json(SD_JWT)))
    written["proof_types_supported"]["attestation"]["key_attestations_required"] = {}
    read = configurations.parse_configuration("id", written)
    assert read.key_attestations["attestation"] == KeyAttestationsRequired()
    again = json.loads(json.dumps(configurations.configuration_json(read)))
    assert again["proof_types_supported"]["attestation"]["key_attestations_required"] == {}
