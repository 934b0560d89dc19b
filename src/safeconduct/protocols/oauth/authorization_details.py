"""Authorization details of the type `openid_credential` (RFC 9396, OpenID4VCI 1.0 §5.1.1 and §6.2)."""

from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import InvalidAuthorizationDetails, reported_as

TYPE = "openid_credential"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
_Identifiers = Annotated[
    tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=limits.CREDENTIAL_IDENTIFIERS)
]


class CredentialDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wish for credentials of one configuration; `locations` names the issuers it is for."""

    credential_configuration_id: _Text
    locations: tuple[_Url, ...] = ()


class GrantedDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token is good for: datasets of one configuration, each with an identifier for requests."""

    credential_configuration_id: _Text
    credential_identifiers: _Identifiers


def parse_requested(text: str) -> tuple[CredentialDetail, ...]:
    """Reads the `authorization_details` parameter of a request.

    Raises InvalidAuthorizationDetails: not a non-empty JSON array of objects; a member is missing or of the
    wrong type; "details_type_unknown".
    """
    with reported_as(InvalidAuthorizationDetails):
        entries = _entries(json.loads(text, max_bytes=limits.FORM_BYTES))
        return tuple(wire.read(entry, CredentialDetail, what="Authorization detail") for entry in entries)


def requested_json(details: tuple[CredentialDetail, ...]) -> str:
    """Returns the value of the `authorization_details` parameter that asks for `details`."""
    return json.dumps([{"type": TYPE, **wire.plain(detail)} for detail in details]).decode()


def parse_granted(value: Any) -> tuple[GrantedDetail, ...]:
    """Reads the `authorization_details` member of a token response.

    value: the decoded JSON. Raises Malformed "message_malformed", "details_malformed"; Rejected
    "details_type_unknown", "identifier_repeated".
    """
    details = tuple(wire.read(entry, GrantedDetail, what="Authorization detail") for entry in _entries(value))
    identifiers = [name for detail in details for name in detail.credential_identifiers]
    if len(set(identifiers)) != len(identifiers):
        raise Rejected("identifier_repeated", "A credential identifier is given twice.")
    return details


def granted_json(details: tuple[GrantedDetail, ...]) -> list[dict[str, Any]]:
    """Returns the `authorization_details` member of a token response, as JSON values."""
    return [{"type": TYPE, **wire.plain(detail)} for detail in details]


def check_locations(details: tuple[CredentialDetail, ...], *, credential_issuer: str, required: bool) -> None:
    """Checks that each detail is for `credential_issuer`.

    required: whether the issuer's metadata names authorization servers, so that details must name the issuer;
    else one without `locations` is for it too.

    Source: OpenID4VCI 1.0 §5.1.1. Raises InvalidAuthorizationDetails "location_missing", "location_foreign".
    """
    for detail in details:
        if not detail.locations and required:
            raise InvalidAuthorizationDetails("location_missing", "The details do not name the issuer.")
        if detail.locations and credential_issuer not in detail.locations:
            raise InvalidAuthorizationDetails("location_foreign", "The details are for another issuer.")


def _entries(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= limits.AUTHORIZATION_DETAILS:
        raise Malformed("details_malformed", "Authorization details are not a fitting array.")
    for entry in value:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise Malformed("details_malformed", "An authorization detail has no type.")
        if entry["type"] != TYPE:
            raise Rejected("details_type_unknown", "An authorization detail is of an unknown type.")
    return value
