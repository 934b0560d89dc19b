"""Issuing a health card: claims around a FHIR bundle, minified, compressed, signed."""

from collections.abc import Iterable, Mapping
from typing import Any

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.health_card.claims import CARD_TYPE, FHIR_VERSION, check_rid, open_claims
from safeconduct.formats.health_card.deflate import deflate
from safeconduct.status.card_keys import ALGORITHM, CardKey, check_issuer_url


def issue(
    bundle: Mapping[str, Any],
    *,
    issuer: str,
    key: Signer,
    now: float,
    rid: str | None = None,
    expires: float | None = None,
    types: Iterable[str] = (),
    fhir_version: str = FHIR_VERSION,
) -> str:
    """Return a health card as a compact JWS.

    bundle: a FHIR Bundle, as it is to stand in the card. issuer: the https URL under which the JWKS with the
    key is published. key: for ES256. now: becomes `nbf`, seconds since 1970, possibly with a fraction.
    rid: by which the card may be revoked. expires: last second at which it is accepted. types: further types
    of the credential.
    Raises Rejected: "card_issuer_url", "card_times", "card_bundle"; Malformed: "card_rid_malformed",
    "json_too_large", "json_too_deep", "jws_too_large"; Unsupported: "card_key_algorithm".
    """
    claims = payload(
        bundle,
        issuer=issuer,
        now=now,
        rid=rid,
        expires=expires,
        types=types,
        fhir_version=fhir_version,
    )
    return sign_payload(claims, key=key)


def payload(
    bundle: Mapping[str, Any],
    *,
    issuer: str,
    now: float,
    rid: str | None = None,
    expires: float | None = None,
    types: Iterable[str] = (),
    fhir_version: str = FHIR_VERSION,
) -> bytes:
    """Return the minified payload of a card; arguments and errors as of `issue`."""
    check_issuer_url(issuer)
    if bundle.get("resourceType") != "Bundle":
        raise Rejected("card_bundle", "What the card is to hold is not a FHIR Bundle.", rule=_CLAIMS)
    if expires is not None and not expires > now:
        raise Rejected("card_times", "The card would expire before it is valid.", rule=_CLAIMS)
    subject = {"fhirVersion": fhir_version, "fhirBundle": bundle}
    vc: dict[str, Any] = {"type": [CARD_TYPE, *types], "credentialSubject": subject}
    if rid is not None:
        vc["rid"] = check_rid(rid)
    # The order in which the framework's own examples stand.
    end = {} if expires is None else {"exp": expires}
    return json.dumps({"iss": issuer, "nbf": now, "vc": vc, **end})


def sign_payload(claims: bytes, *, key: Signer) -> str:
    """Return the card of a payload that is in its final form.

    claims: JSON, as `payload` makes it. key: for ES256.
    Raises what `claims.open_claims` raises, so that no card is issued that a verifier refuses; Unsupported:
    "card_key_algorithm"; Malformed: "jws_too_large".
    """
    open_claims(claims)
    header = json.dumps({"zip": "DEF", "alg": ALGORITHM, "kid": CardKey.of(key.public).kid})
    signing_input = f"{b64.encode(header)}.{b64.encode(deflate(claims))}"
    card = f"{signing_input}.{b64.encode(key.sign(signing_input.encode('ascii')))}"
    if len(card) > limits.TOKEN_BYTES:
        raise Malformed("jws_too_large", "The card would be longer than verifiers take.")
    return card


_CLAIMS = "SHC-1.4.0, Protocol details"
