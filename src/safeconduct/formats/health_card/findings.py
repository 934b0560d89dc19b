"""What is to be said of a card beside its verdict: rules that bind issuers, and advice.

A verifier refuses no card for these; an issuer who looks at its own cards wants to know all of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import fhir
from safeconduct.formats.health_card.claims import CARD_TYPE
from safeconduct.formats.health_card.finding import Finding
from safeconduct.formats.health_card.parsing import ParsedCard
from safeconduct.formats.health_card.qr import MAX_JWS_CHARS

BUNDLE_PATH = "vc.credentialSubject.fhirBundle"
"""The place of the FHIR bundle in a payload."""


def of_card(card: ParsedCard, claims: Mapping[str, Any], *, now: float) -> tuple[Finding, ...]:
    """Returns what is to be said of a card.

    claims: its payload, as it was read from the card. now: seconds since 1970.
    """
    characters = len(card.signing_input) + 1 + (len(card.signature) * 4 + 2) // 3
    return (*of_length(characters), *_of_minification(card), *of_payload(claims, now=now))


def of_length(characters: int) -> tuple[Finding, ...]:
    """Returns what is to be said of the length of a JWS."""
    if characters <= MAX_JWS_CHARS["L"]:
        return ()
    return (Finding("card_jws_long", "warning", "The card is too long for one QR code of version 22."),)


def of_payload_text(payload: bytes) -> tuple[Finding, ...]:
    """Returns what is to be said of a payload's text, which is JSON."""
    if payload.strip(_JSON_SPACE) != payload:
        return (Finding("card_trailing_space", "error", "White space stands around the payload."),)
    if _SPACE_BETWEEN.search(_STRING.sub(b"", payload)):
        return (Finding("card_not_minified", "error", "White space stands within the payload."),)
    return ()


def of_payload(claims: Mapping[str, Any], *, now: float) -> tuple[Finding, ...]:
    """Returns what is to be said of the claims of a card and the bundle in them.

    Members that are missing or of a wrong type are not mentioned: a card with such is refused.
    """
    vc = claims.get("vc")
    vc = vc if isinstance(vc, Mapping) else {}
    subject = vc.get("credentialSubject")
    subject = subject if isinstance(subject, Mapping) else {}
    bundle = subject.get("fhirBundle")
    found = [*_of_times(claims, now), *_of_vc(vc, bundle)]
    version = subject.get("fhirVersion")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        text = "The version of FHIR is not written as digits and dots."
        found.append(Finding("card_fhir_version", "warning", text, "vc.credentialSubject.fhirVersion"))
    return (*found, *fhir.examine(bundle, path=BUNDLE_PATH))


def _of_minification(card: ParsedCard) -> tuple[Finding, ...]:
    try:
        return of_payload_text(card.unverified_payload())
    except SafeconductError:
        return ()


_JSON_SPACE = b" \t\r\n"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SPACE_BETWEEN = re.compile(rb"[ \t\r\n]")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,2}(-[A-Za-z0-9.]+)?", re.ASCII)


def _of_times(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    nbf, exp = claims.get("nbf"), claims.get("exp")
    if _is_time(nbf) and nbf > _MILLISECONDS:
        text = "The time of issuance looks like milliseconds; it is given in seconds."
        yield Finding("card_nbf_milliseconds", "warning", text, "nbf")
    elif _is_time(nbf) and nbf > now:
        yield Finding("not_yet_valid", "warning", "The card is not valid yet.", "nbf")
    if not _is_time(exp):
        return
    if exp > _MILLISECONDS:
        text = "The time of expiry looks like milliseconds; it is given in seconds."
        yield Finding("card_exp_milliseconds", "warning", text, "exp")
    if exp < now:
        yield Finding("expired", "warning", "The card has expired.", "exp")
    if _is_time(nbf) and exp < nbf:
        yield Finding("card_times", "error", "The card expires before it is valid.", "exp")


def _is_time(value: object) -> TypeGuard[float]:
    return type(value) in (int, float)


_MILLISECONDS = 100_000_000_000
"""The year 5138 in seconds, or 1973 in milliseconds."""


def _of_vc(vc: Mapping[str, Any], bundle: object) -> Iterator[Finding]:
    if "@context" in vc:
        text = "A context is not needed here and makes the card larger."
        yield Finding("card_vc_context", "warning", text, "vc.@context")
    types = vc.get("type")
    types = types if isinstance(types, list) else []
    if CARD_TYPE not in types:
        yield Finding(
            "card_type_missing", "error", "The credential is not typed as a health card.", "vc.type"
        )
    if "VerifiableCredential" in types:
        text = "The type VerifiableCredential is not needed here and makes the card larger."
        yield Finding("card_type_unneeded", "warning", text, "vc.type")
    missing = _resources(bundle) & _DEPRECATED_TYPES.keys()
    if any(_DEPRECATED_TYPES[kind] not in types for kind in missing):
        text = "Readers older than release 1.4.0 look for a type that says what the card is about."
        yield Finding("card_type_old_absent", "note", text, "vc.type")
    if any(isinstance(name, str) and name in _OLD_TYPES for name in types):
        text = "Since release 1.4.0 a card needs no type that says what it is about."
        yield Finding("card_type_old", "note", text, "vc.type")


_DEPRECATED_TYPES = {
    "Immunization": "https://smarthealth.cards#immunization",
    "Observation": "https://smarthealth.cards#laboratory",
}
_OLD_TYPES = frozenset({*_DEPRECATED_TYPES.values(), "https://smarthealth.cards#covid19"})


def _resources(bundle: object) -> set[str]:
    """The types of the resources in a bundle."""
    entries = bundle.get("entry") if isinstance(bundle, Mapping) else None
    resources = [
        entry.get("resource")
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    ]
    kinds = [resource.get("resourceType") for resource in resources if isinstance(resource, Mapping)]
    return {kind for kind in kinds if isinstance(kind, str)}
