"""`$health-cards-issue`: how a FHIR server is asked for a patient's health cards, and how it answers.

Both ways are FHIR Parameters resources. Names that are not known are refused in a request, for each one
narrows what is asked for, and ignored in an answer.
Source: SHC-1.4.0, via FHIR $health-cards-issue Operation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, Unsupported

CAPABILITY = "health-cards"
"""What `.well-known/smart-configuration` lists among its capabilities."""

MEDIA_TYPE = "application/fhir+json"
"""The media type of both ways."""

_RULE = "SHC-1.4.0, $health-cards-issue Operation"
_OLD_TYPES = {
    "https://smarthealth.cards#immunization": "Immunization",
    "https://smarthealth.cards#laboratory": "Observation",
    "#immunization": "Immunization",
    "#laboratory": "Observation",
}
_TEXTS = ("valueUri", "valueString", "valueCanonical", "valueCode")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Which cards are asked for; a card must satisfy all that is said.

    types: what each card's bundle must hold, as asked for; at least one. value_sets: URLs of sets of which it
    must hold a code. identity_claims: what each card should say of the patient, such as "Patient.name".
    since: cards must hold something newer than this FHIR dateTime, None for any.
    """

    types: tuple[str, ...]
    value_sets: tuple[str, ...] = ()
    identity_claims: tuple[str, ...] = ()
    since: str | None = None

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The types as names of FHIR resources; the old names of card types mean some of these."""
        return tuple(_OLD_TYPES.get(name, name) for name in self.types)


class ResourceLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a resource in a card is hosted.

    bundled: its URL in the card, such as "resource:2". hosted: its URL on the server. card: the place of the
    card in the answer, from 0; None for all cards.
    """

    bundled: str
    hosted: str
    card: int | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: cards, each a JWS, and where their resources are hosted."""

    cards: tuple[str, ...] = ()
    links: tuple[ResourceLink, ...] = ()

    def __repr__(self) -> str:
        return f"<Response {len(self.cards)}>"


def write_request(request: Request) -> bytes:
    """Return a request as the body of the POST."""
    parameters = [{"name": "credentialType", "valueUri": name} for name in request.types]
    parameters += [{"name": "credentialValueSet", "valueUri": name} for name in request.value_sets]
    parameters += [{"name": "includeIdentityClaim", "valueString": name} for name in request.identity_claims]
    if request.since is not None:
        parameters.append({"name": "_since", "valueDateTime": request.since})
    return _parameters(parameters)


def read_request(data: bytes) -> Request:
    """Read the body of a request.

    Raises Malformed: json_*, "card_parameters_malformed"; Rejected "card_type_asked_missing" (no type of
    card is asked for); Unsupported "card_parameter_unsupported" (a name that is not known).
    """
    texts: dict[str, list[str]] = {name: [] for name in _REQUESTED}
    for parameter in _read(data):
        name = parameter["name"]
        if name not in texts:
            raise Unsupported(
                "card_parameter_unsupported", "The request has a parameter that is not known.", rule=_RULE
            )
        texts[name].append(_text(parameter, _REQUESTED[name]))
    if not texts["credentialType"]:
        raise Rejected("card_type_asked_missing", "The request names no type of card.", rule=_RULE)
    if len(texts["_since"]) > 1:
        raise _malformed()
    return Request(
        types=tuple(texts["credentialType"]),
        value_sets=tuple(texts["credentialValueSet"]),
        identity_claims=tuple(texts["includeIdentityClaim"]),
        since=texts["_since"][0] if texts["_since"] else None,
    )


def write_response(response: Response) -> bytes:
    """Return an answer; one without cards has no parameters."""
    parameters: list[dict[str, Any]] = [
        {"name": "verifiableCredential", "valueString": card} for card in response.cards
    ]
    for link in response.links:
        place = [] if link.card is None else [{"name": "vcIndex", "valueInteger": link.card}]
        bundled = {"name": "bundledResource", "valueUri": link.bundled}
        hosted = {"name": "hostedResource", "valueUri": link.hosted}
        parameters.append({"name": "resourceLink", "part": [*place, bundled, hosted]})
    return _parameters(parameters)


def read_response(data: bytes) -> Response:
    """Read an answer; the cards in it are not looked at.

    Raises Malformed: json_*, "card_parameters_malformed" (also for a link that leads to no card).
    """
    cards, links = [], []
    for parameter in _read(data):
        if parameter["name"] == "verifiableCredential":
            cards.append(_text(parameter, ("valueString",)))
        elif parameter["name"] == "resourceLink":
            links.append(_link(parameter))
    if any(link.card is not None and link.card >= len(cards) for link in links):
        raise _malformed()
    return Response(cards=tuple(cards), links=tuple(links))


_REQUESTED = {
    "credentialType": _TEXTS,
    "credentialValueSet": _TEXTS,
    "includeIdentityClaim": _TEXTS,
    "_since": ("valueDateTime", "valueInstant", "valueDate"),
}


def _parameters(parameters: list[dict[str, Any]]) -> bytes:
    # FHIR has no empty arrays.
    members: dict[str, Any] = {"resourceType": "Parameters"}
    return json.dumps({**members, "parameter": parameters} if parameters else members)


def _read(data: bytes) -> Iterator[Mapping[str, Any]]:
    """The named parameters of a resource, as many as are allowed."""
    members = json.loads_object(data, max_bytes=limits.CARD_FILE_BYTES)
    parameters = members.get("parameter", [])
    if members.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        raise _malformed()
    yield from _named(parameters)


def _named(parameters: list[Any]) -> Iterator[Mapping[str, Any]]:
    if len(parameters) > 2 * limits.CARD_FILE_CARDS:
        raise _malformed()
    for parameter in parameters:
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise _malformed()
        yield parameter


def _text(parameter: Mapping[str, Any], kinds: tuple[str, ...]) -> str:
    """The one value of a parameter; no text that a person or a program can mean is empty."""
    values = [value for name, value in parameter.items() if name in kinds]
    if len(values) != 1 or not isinstance(values[0], str) or not values[0]:
        raise _malformed()
    return values[0]


def _link(parameter: Mapping[str, Any]) -> ResourceLink:
    parts = parameter.get("part")
    if not isinstance(parts, list):
        raise _malformed()
    named = list(_named(parts))
    found = {part["name"]: part for part in named}
    if len(found) != len(named) or not {"bundledResource", "hostedResource"} <= found.keys():
        raise _malformed()
    place = found["vcIndex"].get("valueInteger") if "vcIndex" in found else None
    if place is not None and (type(place) is not int or place < 0):
        raise _malformed()
    return ResourceLink(
        bundled=_text(found["bundledResource"], _TEXTS),
        hosted=_text(found["hostedResource"], _TEXTS),
        card=place,
    )


def _malformed() -> Malformed:
    return Malformed(
        "card_parameters_malformed", "This is not a Parameters resource as the operation has it.", rule=_RULE
    )
