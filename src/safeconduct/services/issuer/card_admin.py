"""The management HTTP of health cards: cards from bundles, links to them, and FHIR's `$health-cards-issue`.

The operation stands on the management listener, for the bearer of its token: the operator's FHIR server,
which knows who may read a patient's record (SMART on FHIR), and passes the request on.
"""

import base64
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import files
from safeconduct.protocols import health_cards_issue
from safeconduct.services.issuer.cards import Cards, MadeCard
from safeconduct.web import responses
from safeconduct.web.body import read_body

_FHIR = {health_cards_issue.MEDIA_TYPE, "application/json"}


def card_routes(of: Callable[[Request], Cards]) -> list[Route]:
    """Returns the routes. of: finds whose cards a request is about; raises if there is no such issuer."""

    async def create(request: Request) -> Response:
        cards = of(request)
        body = await read_body(request, max_bytes=limits.JSON_BYTES, content_types={"application/json"})
        made = await cards.make(cards.parse_request(body))
        return responses.json(_made_json(made), status=201)

    async def cancel(request: Request) -> Response:
        await of(request).links.cancel(_text(request, "link_id"))
        return responses.empty()

    async def issue(request: Request) -> Response:
        cards = of(request)
        try:
            body = await read_body(request, max_bytes=limits.JSON_BYTES, content_types=_FHIR)
            wanted = health_cards_issue.read_request(body)
            answer = await cards.make_for_patient(_text(request, "patient_id"), wanted)
        except SafeconductError as error:
            request.scope["state"]["code"] = error.code
            return _operation_outcome(error)
        content = health_cards_issue.write_response(answer)
        return responses.body(content, media_type=health_cards_issue.MEDIA_TYPE)

    return [
        Route("/cards", create, methods=["POST"]),
        Route("/cards/links/{link_id}", cancel, methods=["DELETE"]),
        Route("/fhir/Patient/{patient_id}/$health-cards-issue", issue, methods=["POST"]),
    ]


def _made_json(made: MadeCard) -> dict[str, Any]:
    members: dict[str, Any] = {"jws": made.jws, "file": _data(files.MEDIA_TYPE, files.write([made.jws]))}
    if made.qr is not None:
        members["qr"] = _data(made.qr.media_type, made.qr.data)
    if made.link is not None:
        link = made.link
        members["link"] = {"link_id": link.link_id, "url": link.url, "expires_in": link.expires_in}
        if link.code is not None:
            members["link"]["code"] = link.code
    return members


def _data(media_type: str, data: bytes) -> dict[str, str]:
    return {"media_type": media_type, "data": base64.b64encode(data).decode()}


def _operation_outcome(error: SafeconductError) -> Response:
    """The error as a FHIR server answers it (R4, OperationOutcome)."""
    issue = {
        "severity": "error",
        "code": _ISSUES.get(error.http_status, "invalid"),
        "details": {"coding": [{"code": error.code}]},
        "diagnostics": error.reason,
    }
    return responses.body(
        json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}),
        media_type=health_cards_issue.MEDIA_TYPE,
        status=error.http_status,
        headers=getattr(error, "http_headers", {}),
    )


_ISSUES = {404: "not-found", 409: "not-supported", 413: "too-long", 415: "not-supported", 503: "transient"}
"""FHIR's issue types by HTTP status."""


def _text(request: Request, name: str) -> str:
    """A text in the path; one that cannot be any is "" and so unknown: not every database takes any text."""
    text = str(request.path_params[name])
    return text if text.isascii() and text.isprintable() else ""
