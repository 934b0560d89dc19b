"""One kind of credential that an issuer offers (OpenID4VCI 1.0 §12.2.4), and its formats.

SD-JWT VC has a profile in OpenID4VCI (Appendix A.3), SD-CWT has none. Here is one after the rules for new
ones (Appendix A): the format's name is its media type, algorithms are COSE numbers as for mdoc, a binary
credential travels in base64url.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestationsRequired
from safeconduct.protocols.openid4vci.sharing_terms import SharingTerms, read_terms

SD_CWT: Final = "application/sd-cwt"
"""Format identifier of an SD-CWT."""

SD_JWT: Final = "dc+sd-jwt"
"""Format identifier of an SD-JWT VC."""

COSE_KEY = "cose_key"
"""The binding method of SD-CWTs: `cnf` holds a COSE_Key."""

JWK = "jwk"
"""The binding method of SD-JWT VCs: `cnf` holds a JWK."""

JWT_PROOF = "jwt"
"""The proof type that is a JWT signed by the holder's key."""

ClaimPath = tuple[str | int | None, ...]
"""A claims path pointer (OpenID4VCI 1.0 Appendix C): member names, indices, None for all elements."""

_JSON_FORMATS = frozenset({SD_JWT, "jwt_vc_json", "jwt_vc_json-ld", "ldp_vc"})
_ALGORITHM_KINDS: Mapping[str, type] = {SD_CWT: int, SD_JWT: str}
_CLAIMS_RULE = "OpenID4VCI §B.3"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.METADATA_BYTES)]
_Some = msgspec.Meta(min_length=1, max_length=limits.LIST_ITEMS)


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """A picture: an https or data URL, and its text for those who do not see it."""

    uri: _Url
    alt_text: str | None = None


class Display(msgspec.Struct, frozen=True, omit_defaults=True):
    """How something is shown to people of one language (BCP 47 `locale`); colours as in CSS."""

    name: str | None = None
    locale: str | None = None
    logo: Image | None = None
    description: str | None = None
    background_color: str | None = None
    background_image: Image | None = None
    text_color: str | None = None


class ClaimDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A claim that credentials of the configuration hold; their order is the order to show them in."""

    path: Annotated[ClaimPath, _Some]
    mandatory: bool = False
    display: Annotated[tuple[Display, ...], _Some] | None = None


class CredentialConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of credential, under the name that offers and requests use.

    id: that name. format: `SD_CWT`, or another that this library does not issue.
    vct: type of an SD-CWT or SD-JWT VC. scope: OAuth scope that asks for it.
    signing_algorithms: COSE numbers (other formats: JOSE names).
    binding_methods: how a credential names the holder's key; empty if it is bound to none.
    proof_algorithms: JOSE names for each proof type; empty if and only if `binding_methods` is.
    key_attestations: what is demanded of key attestations, for each proof type that demands any.
    display, claims: what a wallet may show before it has the credential.
    redact: claims that the issuer makes withholdable; its own affair, not published.
    sharing: how holders share such credentials; None: they do not.
    """

    id: str
    format: str
    vct: str | None = None
    scope: str | None = None
    signing_algorithms: tuple[int | str, ...] = ()
    binding_methods: tuple[str, ...] = ()
    proof_algorithms: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    key_attestations: Mapping[str, KeyAttestationsRequired] = msgspec.field(default_factory=dict)
    display: tuple[Display, ...] = ()
    claims: tuple[ClaimDescription, ...] = ()
    redact: tuple[ClaimPath, ...] = ()
    sharing: SharingTerms | None = None


def configuration_json(configuration: CredentialConfiguration) -> dict[str, Any]:
    """Returns the JSON members that describe the configuration in issuer metadata."""
    about = _CredentialMetadata(display=configuration.display or None, claims=configuration.claims or None)
    proofs = {
        name: _ProofType(values, configuration.key_attestations.get(name))
        for name, values in configuration.proof_algorithms.items()
    }
    return wire.plain(
        _Configuration(
            format=configuration.format,
            vct=configuration.vct,
            scope=configuration.scope,
            credential_signing_alg_values_supported=configuration.signing_algorithms or None,
            cryptographic_binding_methods_supported=configuration.binding_methods or None,
            proof_types_supported=proofs or None,
            credential_metadata=None if about == _CredentialMetadata() else about,
            sharing=configuration.sharing,
        )
    )


def parse_configuration(identifier: str, value: Any) -> CredentialConfiguration:
    """Reads one entry of `credential_configurations_supported`; unknown formats and members are tolerated.

    identifier: the entry's name. value: its decoded JSON.

    Raises Malformed "message_malformed"; Rejected "proof_types_without_binding",
    "binding_without_proof_types", "vct_missing", "signing_algorithm_not_cose", "signing_algorithm_not_jose",
    "locale_repeated", "claim_path_repeated", "claim_path_contradictory", "claim_path_negative".
    """
    wire_form = wire.read(value, _Configuration, what="Credential configuration")
    about = wire_form.credential_metadata or _CredentialMetadata()
    proof_types = wire_form.proof_types_supported or {}
    configuration = CredentialConfiguration(
        id=identifier,
        format=wire_form.format,
        vct=wire_form.vct,
        scope=wire_form.scope,
        signing_algorithms=wire_form.credential_signing_alg_values_supported or (),
        binding_methods=wire_form.cryptographic_binding_methods_supported or (),
        proof_algorithms={
            name: proof_type.proof_signing_alg_values_supported for name, proof_type in proof_types.items()
        },
        key_attestations={
            name: proof_type.key_attestations_required
            for name, proof_type in proof_types.items()
            if proof_type.key_attestations_required is not None
        },
        display=about.display or (),
        claims=about.claims or (),
        sharing=read_terms(wire_form.sharing),
    )
    check_configuration(configuration)
    return configuration


def check_configuration(configuration: CredentialConfiguration) -> None:
    """Checks the rules that tie members together; raises as `parse_configuration`.

    Source: OpenID4VCI 1.0 §12.2.4.
    """
    if configuration.proof_algorithms and not configuration.binding_methods:
        raise Rejected("proof_types_without_binding", "Proof types are named without a binding method.")
    if configuration.binding_methods and not configuration.proof_algorithms:
        raise Rejected("binding_without_proof_types", "Binding methods are named without a proof type.")
    if configuration.format in _ALGORITHM_KINDS:
        _check_typed(configuration)
    check_display(configuration.display)
    check_claims(configuration.claims, credential_format=configuration.format)


def check_display(display: tuple[Display, ...]) -> None:
    """Checks that there is one object for a language; raises Rejected "locale_repeated"."""
    locales = [entry.locale.lower() for entry in display if entry.locale is not None]
    if len(set(locales)) != len(locales):
        raise Rejected("locale_repeated", "Two display objects are for one language.")


def check_claims(claims: tuple[ClaimDescription, ...], *, credential_format: str) -> None:
    """Checks that no claim is described twice, and that paths agree on what is an array and what an object.

    In a JSON credential an integer is an index; in a CBOR credential it may name a map entry as well.

    Source: OpenID4VCI 1.0 Appendix B.3. Raises Rejected "claim_path_repeated", "claim_path_contradictory",
    "claim_path_negative", "locale_repeated".
    """
    if len({claim.path for claim in claims}) != len(claims):
        raise Rejected("claim_path_repeated", "A claim is described twice.", rule=_CLAIMS_RULE)
    in_json = credential_format in _JSON_FORMATS
    kinds: dict[ClaimPath, str] = {}
    for claim in claims:
        check_display(claim.display or ())
        for depth, step in enumerate(claim.path):
            if in_json and isinstance(step, int) and step < 0:
                raise Rejected(
                    "claim_path_negative", "A claim path holds a negative index.", rule=_CLAIMS_RULE
                )
            kind = _step_kind(step, in_json=in_json)
            if kinds.setdefault(claim.path[:depth], kind) != kind:
                raise Rejected(
                    "claim_path_contradictory", "Two claim paths contradict each other.", rule=_CLAIMS_RULE
                )


class _ProofType(msgspec.Struct, frozen=True, omit_defaults=True):
    proof_signing_alg_values_supported: Annotated[tuple[_Text, ...], _Some]
    key_attestations_required: KeyAttestationsRequired | None = None


class _CredentialMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    display: Annotated[tuple[Display, ...], _Some] | None = None
    claims: Annotated[tuple[ClaimDescription, ...], _Some] | None = None


class _Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    format: _Text
    vct: _Text | None = None
    scope: _Text | None = None
    credential_signing_alg_values_supported: Annotated[tuple[int | str, ...], _Some] | None = None
    cryptographic_binding_methods_supported: Annotated[tuple[_Text, ...], _Some] | None = None
    proof_types_supported: Annotated[dict[str, _ProofType], _Some] | None = None
    credential_metadata: _CredentialMetadata | None = None
    sharing: Any = None


def _step_kind(step: str | int | None, *, in_json: bool) -> str:
    if step is None:
        return "all elements"
    return "index" if in_json and isinstance(step, int) else "key"


def _check_typed(configuration: CredentialConfiguration) -> None:
    if configuration.vct is None:
        raise Rejected("vct_missing", "The configuration names no credential type.")
    kind = _ALGORITHM_KINDS[configuration.format]
    if all(isinstance(value, kind) for value in configuration.signing_algorithms):
        return
    if configuration.format == SD_CWT:
        raise Rejected("signing_algorithm_not_cose", "An SD-CWT algorithm is not a COSE number.")
    raise Rejected("signing_algorithm_not_jose", "An SD-JWT VC algorithm is not a JOSE name.")
