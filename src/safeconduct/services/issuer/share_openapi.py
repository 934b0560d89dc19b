"""The OpenAPI 3.1 description of the endpoints for shares, as data; OpenID4VCI describes the others."""

from collections.abc import Mapping
from typing import Any, get_args

from safeconduct import limits
from safeconduct.protocols.openid4vci.sharing import FORMATS
from safeconduct.protocols.openid4vci.sharing_terms import ShareLevel, ShareMode
from safeconduct.services.issuer.shares import STATES

Schema = dict[str, Any]

_REFUSALS: Mapping[int, tuple[str, ...]] = {
    400: (
        "invalid_request",
        "invalid_share_request",
        "invalid_presentation",
        "invalid_nonce",
        "entitlement_exceeds_parent",
        "validity_exceeds_parent",
    ),
    401: ("invalid_token",),
    403: ("parent_invalid", "sharing_not_allowed"),
    404: ("share_unknown",),
    405: ("invalid_request",),
    408: ("invalid_request",),
    409: ("share_exists", "share_refused"),
    413: ("invalid_request",),
    414: ("invalid_request",),
    415: ("invalid_request",),
    429: ("too_many_shares",),
    431: ("invalid_request",),
    503: ("temporarily_unavailable",),
}
"""What `error` may be, by status; the form is that of OAuth (RFC 6749 §5.2)."""

_ALWAYS = (400, 405, 408, 413, 414, 431, 503)


def shares(issuer: str) -> dict[str, Any]:
    """Returns the description. issuer: its identifier, below which the paths stand."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safeconduct issuer: shares",
            "version": "1",
            "description": "A holder shows its credential and gets a credential offer for somebody else.",
        },
        "servers": [{"url": issuer}],
        "paths": {
            "/share-challenge": {
                "post": _operation("challengeSharer", "A nonce for a presentation.", answer=_CHALLENGE)
            },
            "/shares": {
                "post": _operation(
                    "createShare",
                    "Make a share.",
                    body=_REQUEST,
                    status=201,
                    answer=_CREATED,
                    refusals=(403, 409, 415, 429),
                ),
                "get": _operation("listOwnShares", "The shares of one's credential.", answer=_LIST, own=True),
            },
            "/shares/access": {
                "post": _operation(
                    "openShares",
                    "Access to the shares of one's credential.",
                    body=_object(_PRESENTED),
                    answer=_ACCESS,
                    refusals=(403, 415),
                )
            },
            "/shares/{share_id}": {
                "parameters": [
                    {"name": "share_id", "in": "path", "required": True, "schema": _text(limits.CODE_CHARS)}
                ],
                "patch": _operation(
                    "pinShare",
                    "Approve a share for one key.",
                    body=_object({"jkt": _JKT}),
                    answer=_VIEW,
                    refusals=(404, 409, 415),
                    own=True,
                ),
                "delete": _operation(
                    "endShare", "Cancel or revoke a share.", answer=_ENDED, refusals=(404,), own=True
                ),
            },
            "/shares/openapi.json": {
                "get": _operation("describeShares", "This description.", answer={"type": "object"})
            },
        },
        "components": {"securitySchemes": {"access": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(
    name: str,
    summary: str,
    *,
    answer: Schema,
    body: Schema | None = None,
    status: int = 200,
    refusals: tuple[int, ...] = (),
    own: bool = False,
) -> dict[str, Any]:
    """own: whether it is for the bearer of an access token."""
    said: dict[str, Any] = {"operationId": name, "summary": summary}
    if body is not None:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if own:
        said["security"] = [{"access": []}]
    faults = sorted({*_ALWAYS, *refusals, *((401,) if own else ())})
    done = {"description": "Done.", "content": {"application/json": {"schema": answer}}}
    return {**said, "responses": {str(status): done, **{str(fault): _refusal(fault) for fault in faults}}}


def _refusal(status: int) -> Schema:
    errors = list(_REFUSALS[status])
    members = {"error": {"enum": errors}, "error_description": {"type": "string"}}
    schema = _object(members, optional=("error_description",))
    return {
        "description": f"Refused: {', '.join(errors)}.",
        "content": {"application/json": {"schema": schema}},
    }


def _object(members: Mapping[str, Any], *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": dict(members), "required": required}


def _text(most: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most}


_STRING: Schema = {"type": "string"}
_SECONDS: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "integer", "minimum": 0, "exclusiveMaximum": 1 << 53}
_JKT: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"}
_RIGHTS: Schema = {
    "type": "array",
    "items": _text(limits.CODE_CHARS),
    "minItems": 1,
    "maxItems": limits.LIST_ITEMS,
    "uniqueItems": True,
}
_PRESENTED: Schema = {
    "presentation": {
        "type": "string",
        "minLength": 1,
        "description": "As text; one in CBOR in base64url. A request is bounded as a whole.",
    },
    "format": {"enum": list(FORMATS)},
}
_REQUEST = _object(
    {
        **_PRESENTED,
        "mode": {"enum": list(get_args(ShareMode))},
        "binding": _object({"level": {"enum": list(get_args(ShareLevel))}, "jkt": _JKT}, optional=("jkt",)),
        "entitlements": _RIGHTS,
        "not_before": _TIME,
        "expires": _TIME,
        "lifetime": {"type": "integer", "minimum": 1, "maximum": limits.OFFER_SECONDS},
        "request_id": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{16,128}$"},
    },
    optional=("entitlements", "not_before", "expires", "lifetime", "request_id"),
)
_CHALLENGE = _object({"nonce": _STRING, "audience": _STRING, "expires_in": _SECONDS})
_CREATED = _object(
    {
        "share_id": _STRING,
        "credential_offer": {"type": "object"},
        "tx_code": _STRING,
        "expires_at": _SECONDS,
        "level": {"enum": list(get_args(ShareLevel))},
        "mode": {"enum": list(get_args(ShareMode))},
    },
    optional=("tx_code",),
)
_ACCESS = _object({"access_token": _STRING, "token_type": {"const": "Bearer"}, "expires_in": _SECONDS})
_VIEW = _object(
    {
        "share_id": _STRING,
        "state": {"enum": list(STATES)},
        "mode": {"enum": list(get_args(ShareMode))},
        "level": {"enum": list(get_args(ShareLevel))},
        "created_at": _SECONDS,
        "expires_at": _SECONDS,
        "pinned": {"type": "boolean"},
        "entitlements": {"type": "array", "items": _STRING},
        "credential_expires": _SECONDS,
    },
    optional=("entitlements", "credential_expires"),
)
_LIST = _object({"shares": {"type": "array", "items": _VIEW, "maxItems": limits.SHARES_REMEMBERED}})
_ENDED = _object(
    {
        "outcome": {"enum": ["cancelled", "revoked", "already_expired", "already_over"]},
        "state": {"enum": list(STATES)},
    }
)
