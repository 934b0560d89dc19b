"""The OpenAPI 3.1 description of the issuer's management API, as data."""

from collections.abc import Mapping
from typing import Any

from safeconduct import limits
from safeconduct.services.issuer.grants import STATES
from safeconduct.services.issuer.paging import LISTED
from safeconduct.services.issuer.shares import LEVELS, MODES
from safeconduct.services.issuer.shares import STATES as SHARE_STATES

Schema = dict[str, Any]

_LATEST = (1 << 53) - 1
_TEXT: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": limits.MANAGEMENT_TEXT_CHARS,
    "pattern": r"^[^\x00-\x1f\x7f]*$",
}
_TIME: Schema = {"type": "integer", "minimum": 0, "maximum": _LATEST, "description": "Unix seconds."}
_PROBLEMS = {
    400: "A parameter or the body is not as described, or cannot be carried out.",
    401: "The bearer token is missing or wrong.",
    403: "No management token is set, so nobody may manage.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    409: "Its state does not allow it, or it was done before.",
    413: "The body is too large.",
    415: "The body is of another type.",
    503: "The database cannot be reached.",
}
_ALWAYS = (400, 401, 403, 405, 503)


def management(*, tenants: bool) -> dict[str, Any]:
    """Returns the description. tenants: whether most paths stand below `/tenants/{tenant}`."""
    own = _paths()
    if tenants:
        own = {f"/tenants/{{tenant}}{path}": _below_a_tenant(item) for path, item in own.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safeconduct issuer: management",
            "version": "1",
            "description": "Offers, issued credentials, their shares, health cards, links, keys. Lists have "
            "the newest first; `next` is the cursor of the next page.",
        },
        "security": [{"token": []}],
        "paths": {**_paths_for_all(), **own},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _SCHEMAS,
        },
    }


def _paths_for_all() -> dict[str, Any]:
    health = {"200": _answer("It does.", "Health"), "503": _answer("It does not.", "Health")}
    return {
        "/healthz": {"get": {**_said("health", "Whether the database answers."), **_open(health)}},
        "/readyz": {"get": {**_said("readiness", "Whether requests may be sent."), **_open(health)}},
        "/metrics": {
            "get": {
                **_said("metrics", "Metrics for Prometheus."),
                **_open({"200": {"description": "Metrics.", "content": {"text/plain": {}}}}),
            }
        },
        "/tenants": {"get": _operation("listTenants", "The issuers of this process.", answer="Tenants")},
        "/openapi.json": {
            "get": _operation("describe", "This description.", answer={"type": "object"}),
        },
    }


def _paths() -> dict[str, Any]:
    span = [_query("since", _TIME), _query("until", _TIME)]
    return {
        "/offers": {
            "get": _operation(
                "listOffers",
                "Offers.",
                parameters=[
                    _query("state", {"enum": list(STATES)}),
                    _query("reference", _TEXT),
                    *span,
                    *_PAGE,
                ],
                answer="Offers",
            ),
            "post": _operation(
                "createOffer",
                "Make an offer.",
                parameters=[_IDEMPOTENCY_KEY],
                body="OfferRequest",
                status=201,
                answer="NewOffer",
                problems=(409, 413, 415),
                links=_links({"offer_id": "$response.body#/offer_id"}, "showOffer", "cancelOffer"),
            ),
        },
        "/offers/{offer_id}": {
            "get": _operation(
                "showOffer", "One offer.", parameters=[_path("offer_id")], answer="Offer", problems=(404,)
            ),
            "delete": _operation(
                "cancelOffer",
                "Cancel an offer; its tokens are revoked.",
                parameters=[_path("offer_id")],
                status=204,
                problems=(404, 409),
            ),
        },
        "/deferred": {
            "get": _operation(
                "listDeferred",
                "Deferred issuances.",
                parameters=[
                    _query("state", {"enum": ["waiting", "approved", "denied", "delivered"]}),
                    *_PAGE,
                ],
                answer="DeferredList",
                links=_links(
                    {"transaction_id": "$response.body#/deferred/0/transaction_id"},
                    "approveDeferred",
                    "denyDeferred",
                ),
            )
        },
        "/deferred/{transaction_id}/approve": {"post": _decision("approveDeferred", "Let it be issued.")},
        "/deferred/{transaction_id}/deny": {"post": _decision("denyDeferred", "Refuse to issue it.")},
        "/issued": {
            "get": _operation(
                "findIssued",
                "Issued credentials.",
                parameters=[
                    _query("configuration_id", _TEXT),
                    _query("reference", _TEXT),
                    *span,
                    *_PAGE,
                ],
                answer="IssuedList",
                links=_links(
                    {"issued_id": "$response.body#/issued/0/issued_id"},
                    "suspendIssued",
                    "reinstateIssued",
                    "revokeIssued",
                ),
            )
        },
        "/issued/{issued_id}/revoke": {
            "post": _change("revokeIssued", "Revoke the credentials of one delivery, for good.")
        },
        "/issued/{issued_id}/suspend": {
            "post": _change("suspendIssued", "Suspend the credentials of one delivery.")
        },
        "/issued/{issued_id}/reinstate": {
            "post": _change("reinstateIssued", "Let suspended credentials be valid again.")
        },
        "/shares": {
            "get": _operation(
                "findShares",
                "Shares that holders have made of issued credentials.",
                parameters=[
                    _query("state", {"enum": list(SHARE_STATES)}),
                    _query("issued_id", {**_TEXT, "description": "Of the credentials that are shared."}),
                    *span,
                    *_PAGE,
                ],
                answer="Shares",
                links=_links({"share_id": "$response.body#/shares/0/share_id"}, "showShare", "revokeShare"),
            )
        },
        "/shares/{share_id}": {
            "get": _operation(
                "showShare", "One share.", parameters=[_path("share_id")], answer="Share", problems=(404,)
            )
        },
        "/shares/{share_id}/revoke": {
            "post": _operation(
                "revokeShare",
                "Cancel the offer of a share, or revoke what it gave.",
                parameters=[_path("share_id")],
                answer="EndedShare",
                problems=(404, 413),
            )
        },
        "/links": {
            "post": _operation(
                "createLink",
                "Make a link by which a subject logs in once.",
                body="LinkRequest",
                status=201,
                answer="Link",
                problems=(413, 415),
            )
        },
        "/cards": {
            "post": _operation(
                "createCard",
                "Make a health card of a FHIR bundle.",
                body="CardRequest",
                status=201,
                answer="NewCard",
                problems=(409, 413, 415),
                links=_links({"link_id": "$response.body#/link/link_id"}, "cancelCardLink"),
            )
        },
        "/cards/links/{link_id}": {
            "delete": _operation(
                "cancelCardLink",
                "Delete the card that waits behind a link.",
                parameters=[_path("link_id")],
                status=204,
                problems=(404,),
            )
        },
        "/fhir/Patient/{patient_id}/$health-cards-issue": {"post": _health_cards_issue()},
        "/keys/rotate": {
            "post": _operation(
                "rotateKeys",
                "Replace the keys that requests are encrypted to.",
                answer="Rotation",
                problems=(413,),
            )
        },
        "/configurations": {
            "get": _operation("listConfigurations", "The kinds of credentials.", answer="Configurations")
        },
    }


def _health_cards_issue() -> dict[str, Any]:
    """FHIR's operation, whose requests, answers and refusals are FHIR resources."""
    media_type = "application/fhir+json"
    refused = {"content": {media_type: {"schema": _reference("OperationOutcome")}}}
    parameters = {media_type: {"schema": _reference("Parameters")}}
    return {
        **_said("issueHealthCards", "The health cards of a patient, as SMART Health Cards have it."),
        "parameters": [_path("patient_id")],
        "requestBody": {"required": True, "content": {**parameters, **_json("Parameters")}},
        "responses": {
            "200": {"description": "Cards, or none.", "content": parameters},
            **{str(status): {"description": _PROBLEMS[status], **refused} for status in (400, 409, 413, 415)},
            "503": {"description": "Records or database cannot be reached.", **refused},
            **{str(status): _problem(status) for status in (401, 403, 405)},
        },
    }


def _said(name: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary}


def _open(answers: dict[str, Any]) -> dict[str, Any]:
    return {"security": [], "responses": {**answers, "405": _problem(405)}}


def _operation(
    name: str,
    summary: str,
    *,
    parameters: list[Schema] | None = None,
    body: str | None = None,
    status: int = 200,
    answer: str | Schema | None = None,
    problems: tuple[int, ...] = (),
    links: Schema | None = None,
) -> dict[str, Any]:
    said: dict[str, Any] = _said(name, summary)
    if parameters:
        said["parameters"] = parameters
    if body is not None:
        said["requestBody"] = {"required": True, "content": _json(body)}
    success: Schema = {"description": "Done."} if answer is None else _answer("Done.", answer)
    if links is not None:
        success["links"] = links
    faults = {str(number): _problem(number) for number in sorted({*_ALWAYS, *problems})}
    return {**said, "responses": {str(status): success, **faults}}


def _links(parameters: Mapping[str, str], *names: str) -> Schema:
    """What can be asked next, with values of this answer."""
    return {name: {"operationId": name, "parameters": dict(parameters)} for name in names}


def _decision(name: str, summary: str) -> dict[str, Any]:
    return _operation(
        name, summary, parameters=[_path("transaction_id")], status=204, problems=(404, 409, 413)
    )


def _change(name: str, summary: str) -> dict[str, Any]:
    return _operation(
        name,
        f"{summary} Verifiers learn of it when the status is next published.",
        parameters=[_path("issued_id")],
        answer="Changed",
        problems=(400, 404, 409, 413),
    )


def _below_a_tenant(item: dict[str, Any]) -> dict[str, Any]:
    for operation in item.values():
        operation["responses"]["404"] = _problem(404)
    return {"parameters": [_path("tenant")], **item}


def _answer(text: str, schema: str | Schema) -> dict[str, Any]:
    return {"description": text, "content": _json(schema)}


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": _reference("Problem")}},
    }


def _json(schema: str | Schema) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema) if isinstance(schema, str) else schema}}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


_PAGE = [
    _query("limit", {"type": "integer", "minimum": 1, "maximum": LISTED, "default": LISTED}),
    _query("cursor", {**_TEXT, "description": "`next` of the page before."}),
]
_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Of two requests with the same one, the second is answered 409 `offer_exists`.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{16,128}$"},
}


def _object(members: Mapping[str, Any], *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def _list(name: str, item: str) -> Schema:
    members = {name: {"type": "array", "items": _reference(item)}, "next": {"type": "string"}}
    return _object(members, optional=("next",))


_NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
_STRING: Schema = {"type": "string"}
_SECONDS: Schema = {"type": "integer", "minimum": 0}
_PICTURE: Schema = _object({"media_type": _STRING, "data": {"type": "string", "contentEncoding": "base64"}})
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 128}
_TX_CODE: Schema = {
    "type": "object",
    "properties": {
        "length": {"type": "integer", "minimum": 4, "maximum": 32},
        "input_mode": {"enum": ["numeric", "text"]},
        "description": {"type": "string", "maxLength": 300},
    },
}

_SCHEMAS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457, with the code of the fault.",
        "properties": {
            "type": _STRING,
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "code": _STRING,
            "rule": _STRING,
        },
        "required": ["type", "title", "status", "detail", "code"],
    },
    "Health": _object({"status": {"enum": ["ok", "unavailable"]}}),
    "Tenants": _object(
        {"tenants": {"type": "array", "items": _object({"name": _STRING, "identifier": _STRING})}}
    ),
    "OfferRequest": {
        **_object(
            {
                "configuration_id": _NAME,
                "configuration_ids": {"type": "array", "items": _NAME, "minItems": 1, "maxItems": 16},
                "claims": {
                    "type": ["object", "null"],
                    "description": "Of all configurations together; none where they come from a source.",
                },
                "subject": {**_TEXT, "description": "Whom the source of claims is asked about."},
                "reference": {**_TEXT, "description": "By which you know the case."},
                "grants": {
                    "type": "array",
                    "items": {"enum": ["pre-authorized", "authorization_code"]},
                    "minItems": 1,
                    "maxItems": 2,
                    "default": ["pre-authorized"],
                },
                "tx_code": {"anyOf": [{"type": "boolean"}, _TX_CODE], "default": False},
                "by_reference": {"type": "boolean", "default": False},
                "deferred": {"type": "boolean", "default": False},
                "lifetime": {"type": "integer", "minimum": 1, "maximum": limits.OFFER_SECONDS},
                "qr": {"enum": ["svg", "png"]},
            }
        ),
        "required": [],
        "oneOf": [{"required": ["configuration_id"]}, {"required": ["configuration_ids"]}],
    },
    "NewOffer": _object(
        {
            "offer_id": _STRING,
            "offer_uri": _STRING,
            "expires_in": _SECONDS,
            "tx_code": _STRING,
            "qr": _PICTURE,
        },
        optional=("tx_code", "qr"),
    ),
    "Offer": _object(
        {
            "offer_id": _STRING,
            "state": {"enum": list(STATES)},
            "configuration_ids": {"type": "array", "items": _STRING},
            "reference": _NULLABLE_TEXT,
            "deferred": {"type": "boolean"},
            "created_at": _SECONDS,
            "expires_at": _SECONDS,
        }
    ),
    "Offers": _list("offers", "Offer"),
    "Deferred": _object(
        {
            "transaction_id": _STRING,
            "configuration_id": _STRING,
            "reference": _NULLABLE_TEXT,
            "state": {"enum": ["waiting", "approved", "denied", "delivered"]},
            "created_at": _SECONDS,
            "expires_at": _SECONDS,
        }
    ),
    "DeferredList": _list("deferred", "Deferred"),
    "Issued": _object(
        {
            "issued_id": _STRING,
            "configuration_id": _STRING,
            "reference": _NULLABLE_TEXT,
            "count": {"type": "integer", "minimum": 1},
            "state": {"enum": ["delivered", "accepted", "failed", "deleted"]},
            "issued_at": _SECONDS,
            "status": {"enum": ["valid", "suspended", "invalid", None]},
        }
    ),
    "IssuedList": _list("issued", "Issued"),
    "Changed": _object({"changed": {"type": "integer", "minimum": 0}}),
    "Share": _object(
        {
            "share_id": _STRING,
            "parent_id": {"type": "string", "description": "The issued_id of what is shared."},
            "configuration_id": _STRING,
            "state": {"enum": list(SHARE_STATES)},
            "mode": {"enum": list(MODES)},
            "level": {"enum": list(LEVELS)},
            "entitlements": {"type": ["array", "null"], "items": _STRING},
            "depth": {"type": "integer", "minimum": 0},
            "pinned": {"type": "boolean"},
            "created_at": _SECONDS,
            "expires_at": _SECONDS,
            "not_before": {"type": ["integer", "null"]},
            "credential_expires": _SECONDS,
            "issued_id": {**_NULLABLE_TEXT, "description": "Of what the receiver was given."},
        }
    ),
    "Shares": _list("shares", "Share"),
    "EndedShare": _object(
        {
            "outcome": {"enum": ["cancelled", "revoked", "already_expired", "already_over"]},
            "state": {"enum": list(SHARE_STATES)},
        }
    ),
    "LinkRequest": _object({"subject": _TEXT}),
    "Link": _object({"url": _STRING, "expires_in": _SECONDS}),
    "CardRequest": {
        **_object(
            {
                "bundle": {"type": "object", "description": "A FHIR Bundle: what the card is to say."},
                "subject": {**_TEXT, "description": "By whom the card can be revoked later."},
                "expires_at": {**_TIME, "description": "Unix seconds; most cards never expire."},
                "types": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 256},
                    "maxItems": 16,
                    "description": "Further types of the credential.",
                },
                "minimise": {
                    "type": "boolean",
                    "default": True,
                    "description": "Leave out what a QR code must not hold.",
                },
                "qr": {"enum": ["svg", "png"]},
                "link": {"type": "boolean", "default": False, "description": "Keep it for its holder."},
                "code": {"type": "boolean", "default": False, "description": "Behind a link with a code."},
            }
        ),
        "required": ["bundle", "subject"],
    },
    "NewCard": _object(
        {
            "jws": _STRING,
            "file": _PICTURE,
            "qr": _PICTURE,
            "link": _object(
                {"link_id": _STRING, "url": _STRING, "expires_in": _SECONDS, "code": _STRING},
                optional=("code",),
            ),
        },
        optional=("qr", "link"),
    ),
    "Parameters": {
        "type": "object",
        "properties": {"resourceType": {"const": "Parameters"}, "parameter": {"type": "array"}},
        "required": ["resourceType"],
    },
    "OperationOutcome": {
        "type": "object",
        "properties": {"resourceType": {"const": "OperationOutcome"}, "issue": {"type": "array"}},
        "required": ["resourceType", "issue"],
    },
    "Rotation": _object({"published_at": _TIME, "destroyed_at": _TIME}),
    "Configurations": _object(
        {
            "configurations": {
                "type": "array",
                "items": _object(
                    {
                        "id": _STRING,
                        "vct": _NULLABLE_TEXT,
                        "claims": {
                            "type": "array",
                            "items": _object(
                                {
                                    "path": {"type": "array", "items": _NULLABLE_TEXT},
                                    "mandatory": {"type": "boolean"},
                                }
                            ),
                        },
                    }
                ),
            }
        }
    ),
}
