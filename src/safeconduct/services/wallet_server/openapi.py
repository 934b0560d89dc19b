"""The OpenAPI 3.1 documents of the wallet server, as data: the public interface, and that of management.

Every answer that an operation can give is named, with the codes of its problems; a test holds them against
the routes and the sources.
"""

from collections.abc import Mapping
from typing import Any

from safeconduct import limits
from safeconduct.services.wallet_server.reliability import ERRORS, HISTORY_HOURS, OUTCOMES
from safeconduct.web.openapi import (
    ANYWHERE,
    NUMBER,
    OF_JSON,
    OF_MANAGEMENT,
    PROBLEM,
    TEXT,
    Json,
    json_response,
    object_schema,
    probes,
    problems,
)

_OF_SESSION = {"session_unknown": 401, "rate_limited": 429}
_OF_ISSUER = {"issuer_metadata": 502, "issuer_unreachable": 502}
_OUTCOMES = {
    **_OF_ISSUER,
    "answer_unusable": 502,
    "deferred_unsupported": 404,
    "issuer_busy": 503,
    "issuer_resting": 503,
    "issuer_timeout": 504,
    "needs_fresh_proof": 409,
    "outcome_unknown": 504,
}
_OF_FORWARDING = {
    **_OF_SESSION,
    **_OUTCOMES,
    "issuer_not_allowed": 403,
    "token_missing": 401,
    "token_malformed": 400,
    "bearer_refused": 400,
    "dpop_missing": 400,
    "dpop_repeated": 400,
    "idempotency_key_malformed": 400,
    "plaintext_refused": 400,
    "delivery_gone": 410,
    "delivery_unknown": 404,
    "idempotency_key_reused": 422,
    "session_full": 429,
    "storage_full": 503,
}


def _text(most: int) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _header(name: str, description: str, *, required: bool = True, pattern: str = "") -> Json:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    if required:
        schema["minLength"] = 1
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _operation(
    summary: str, responses: Mapping[str, Json], codes: Mapping[str, int], **more: Any
) -> dict[str, Any]:
    return {"summary": summary, **more, "responses": {**_merged(problems(codes), responses)}}


def _merged(problems: Mapping[str, Json], responses: Mapping[str, Json]) -> dict[str, Json]:
    """Where issuer and server can answer with one status, both media types stand under it."""
    merged = dict(problems)
    for status, response in responses.items():
        other = problems.get(status)
        if other is not None:
            content = {**response.get("content", {}), **other["content"]}
            description = f"{response['description']} {other['description']}"
            response = {**response, "description": description, "content": content}
        merged[status] = response
    return merged


_SESSION = {"$ref": "#/components/parameters/Session"}
_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Seconds to wait for news.",
    "schema": {"type": "integer", "minimum": 0, "maximum": limits.WAIT_SECONDS, "default": 0},
}
_DELIVERY = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
}
_DONE = {"204": {"description": "Done."}}

_DELIVERY_LINKS = {
    name: {"operationId": name, "parameters": {"id": "$response.body#/delivery"}}
    for name in ("readDelivery", "deleteDelivery")
}
_PENDING = json_response(
    "No answer yet; ask for the delivery.",
    object_schema({"delivery": TEXT, "state": {"const": "pending"}}),
    headers={"Location": {"schema": TEXT}, "Retry-After": {"schema": TEXT}},
)
_SEALED = {"schema": {"type": "string", "description": "A compact JWE, which only the wallet can open."}}
_ISSUER_HEADERS = {
    "Safeconduct-From": {
        "description": "`issuer`: the answer is the issuer's.",
        "schema": {"const": "issuer"},
    },
    "Safeconduct-Delivery": {"description": "Where it can be had again.", "schema": TEXT},
    "Safeconduct-Wake": {"description": "The ticket for a wake-up.", "schema": TEXT},
    "DPoP-Nonce": {"schema": TEXT},
}
_OF_THE_ISSUER = {
    "200": {
        "description": "The issuer's sealed answer.",
        "headers": _ISSUER_HEADERS,
        "content": {"application/jwt": _SEALED},
    },
    "202": {
        "description": "Media type application/jwt: the issuer's sealed answer, the credential is deferred. "
        "Media type application/json: this server has no answer yet; ask for the delivery.",
        "headers": {**_ISSUER_HEADERS, **_PENDING["headers"]},
        "links": _DELIVERY_LINKS,
        "content": {"application/jwt": _SEALED, **_PENDING["content"]},
    },
    **{
        status: json_response("The issuer's error.", {"type": "object"}, headers=_ISSUER_HEADERS)
        for status in (
            "4XX",
            "5XX",
            *sorted({str(status) for status in {**_OF_FORWARDING, **ANYWHERE}.values()}),
        )
    },
}


def _forwarding(summary: str) -> dict[str, Any]:
    return _operation(
        summary,
        _OF_THE_ISSUER,
        _OF_FORWARDING,
        parameters=[
            _SESSION,
            {"$ref": "#/components/parameters/Issuer"},
            _header("DPoP", "The wallet's proof for the issuer's endpoint, passed on as it is."),
            _header(
                "Idempotency-Key",
                "Chosen by the wallet for this body; the same key never has a request sent twice.",
                required=False,
                pattern=r'^"?[A-Za-z0-9._~-]{16,128}"?$',
            ),
            _header("Prefer", "`respond-async`, `wait=SECONDS` (RFC 7240).", required=False),
        ],
        security=[{"accessToken": []}],
        requestBody={
            "required": True,
            "content": {"application/jwt": {"schema": {**TEXT, "description": "A compact JWE."}}},
        },
    )


_COMPONENTS: Json = {"schemas": {"Problem": PROBLEM}}

PUBLIC: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "Safeconduct wallet server",
        "version": "1",
        "description": "Forwards sealed requests of wallets to issuers, and keeps the answers for them.",
    },
    "paths": {
        "/sessions": {
            "post": _operation(
                "Begin an anonymous session; with a session's token, get it another one. A body is ignored.",
                {
                    "201": json_response(
                        "The token, and seconds that it and the session last.",
                        object_schema(
                            {
                                "session": TEXT,
                                "expires_in": NUMBER,
                                "renewable_for": NUMBER,
                                "issuers": {"type": "array", "items": TEXT},
                            }
                        ),
                        links={
                            "endSession": {
                                "operationId": "endSession",
                                "parameters": {"Safeconduct-Session": "$response.body#/session"},
                            }
                        },
                    )
                },
                _OF_SESSION,
                parameters=[_header("Safeconduct-Session", "The session to be renewed.", required=False)],
            ),
            "delete": _operation(
                "End the session; all that is kept for it is deleted.",
                _DONE,
                _OF_SESSION,
                operationId="endSession",
                parameters=[_SESSION],
            ),
        },
        "/forward/credential": {"post": _forwarding("Forward a sealed credential request.")},
        "/forward/deferred": {"post": _forwarding("Forward a sealed request for a deferred credential.")},
        "/forward/notification": {
            "post": _operation("Refused: notifications go direct.", {}, {"notification_direct": 403})
        },
        "/deliveries/{id}": {
            "get": _operation(
                "Fetch an answer; once, and again for a short while in case that the connection broke.",
                _OF_THE_ISSUER,
                {
                    **_OF_SESSION,
                    **_OUTCOMES,
                    "delivery_unknown": 404,
                    "not_found": 404,
                    "wait_malformed": 400,
                },
                operationId="readDelivery",
                parameters=[_DELIVERY, _SESSION, _WAIT],
            ),
            "delete": _operation(
                "Delete a delivery, if there is one.",
                _DONE,
                {**_OF_SESSION, "delivery_unknown": 404, "not_found": 404},
                operationId="deleteDelivery",
                parameters=[_DELIVERY, _SESSION],
            ),
        },
        "/wakeups": {
            "put": _operation(
                "Be reminded of an issuer that deferred a credential.",
                _DONE,
                {
                    **_OF_SESSION,
                    **OF_JSON,
                    "issuer_not_allowed": 403,
                    "ticket_refused": 403,
                    "session_full": 429,
                },
                parameters=[_SESSION],
                requestBody={
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": object_schema(
                                {
                                    "issuer": _text(limits.URL_CHARS),
                                    "after": {
                                        "type": "integer",
                                        "minimum": 1,
                                        "maximum": limits.WAKEUP_SECONDS,
                                    },
                                    "ticket": _text(limits.CODE_CHARS),
                                    "handle": {"type": "string", "pattern": "^(?:[A-Za-z0-9_-]{16,128})?$"},
                                },
                                optional=("handle",),
                            )
                        }
                    },
                },
            ),
            "get": _operation(
                "Take what is due; each wake-up is handed out once.",
                {
                    "200": json_response(
                        "Issuers to ask now, and seconds until the next one.",
                        object_schema(
                            {
                                "wakeups": {"type": "array", "items": object_schema({"issuer": TEXT})},
                                "next": {"type": ["integer", "null"]},
                            }
                        ),
                    )
                },
                {**_OF_SESSION, "wait_malformed": 400},
                parameters=[_SESSION, _WAIT],
            ),
            "delete": _operation("Forget all wake-ups.", _DONE, _OF_SESSION, parameters=[_SESSION]),
        },
        "/metadata": {
            "get": _operation(
                "An issuer's metadata, byte for byte. Trust only a signed one, and only with the key of a "
                "trust anchor that you have: this server verifies nothing and could change anything.",
                {
                    "200": {
                        "description": "Signed if `Accept` asks for it, else plain.",
                        "content": {
                            "application/jwt": {"schema": TEXT},
                            "application/json": {"schema": {"type": "object"}},
                        },
                    }
                },
                {**_OF_ISSUER, "rate_limited": 429, "issuer_not_allowed": 403, "metadata_unsigned": 406},
                parameters=[{"name": "issuer", "in": "query", "required": True, "schema": TEXT}],
            )
        },
        "/openapi.json": {
            "get": _operation("This document.", {"200": json_response("It.", {"type": "object"})}, {})
        },
    },
    "components": {
        **_COMPONENTS,
        "parameters": {
            "Session": _header("Safeconduct-Session", "The session's token."),
            "Issuer": _header("Safeconduct-Issuer", "The identifier of an issuer on the list."),
        },
        "securitySchemes": {
            "accessToken": {
                "type": "http",
                "scheme": "DPoP",
                "description": "The issuer's access token, bound to a key of the wallet; passed on as it is.",
            }
        },
    },
}

_COUNTS = {"type": "object", "additionalProperties": NUMBER}

MANAGEMENT: Json = {
    "openapi": "3.1.0",
    "info": {"title": "Safeconduct wallet server, management", "version": "1"},
    "security": [{"token": []}],
    "paths": {
        "/reliability": {
            "get": _operation(
                "How requests ended, by issuer, over whole hours; rounded down, to hide rare events.",
                {
                    "200": json_response(
                        "Counts. Outcomes: "
                        + ", ".join(OUTCOMES)
                        + ". Errors: none, other, "
                        + ", ".join(sorted(ERRORS))
                        + ".",
                        object_schema(
                            {
                                "since": NUMBER,
                                "before": NUMBER,
                                "rounded_to": NUMBER,
                                "issuers": {
                                    "type": "array",
                                    "items": object_schema(
                                        {
                                            "issuer": TEXT,
                                            "counts": {"type": "object", "additionalProperties": _COUNTS},
                                        }
                                    ),
                                },
                            }
                        ),
                    )
                },
                {**OF_MANAGEMENT, "hours_malformed": 400},
                parameters=[
                    {
                        "name": "hours",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": HISTORY_HOURS, "default": 24},
                    }
                ],
            )
        },
        "/issuers": {
            "get": _operation(
                "The issuers that requests are forwarded to.",
                {"200": json_response("Them.", object_schema({"issuers": {"type": "array", "items": TEXT}}))},
                OF_MANAGEMENT,
            )
        },
        "/openapi.json": {
            "get": _operation(
                "This document.", {"200": json_response("It.", {"type": "object"})}, OF_MANAGEMENT
            )
        },
        **probes(),
    },
    "components": {
        **_COMPONENTS,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    },
}
