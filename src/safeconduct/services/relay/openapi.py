"""The OpenAPI 3.1 documents of the relay, as data: the public interface, and that of management.

Every answer that an operation can give is named, with the codes of its problems.
"""

from collections.abc import Mapping
from typing import Any

from safeconduct import limits
from safeconduct.protocols.transfer import messages
from safeconduct.protocols.transfer.mailbox import ALREADY_CLAIMED, LIVE
from safeconduct.settings import RelaySettings
from safeconduct.web.openapi import (
    NUMBER,
    OF_JSON,
    OF_MANAGEMENT,
    PROBLEM,
    TEXT,
    Json,
    document_itself,
    json_response,
    object_schema,
    probes,
    problems,
)

_OF_HEADERS = {
    "claim_missing": 400,
    "claim_malformed": 400,
    "header_conflict": 400,
    "request_id_malformed": 400,
    "navigation_refused": 403,
    "rate_limited": 429,
}
_OF_BODY = {**OF_JSON, "request_id_missing": 400, "payload_too_large": 413}
_OF_MAILBOX = {**_OF_HEADERS, "mailbox_unknown": 404, "not_found": 404, "claim_refused": 401}
_OF_CREATION = {
    **_OF_HEADERS,
    **_OF_BODY,
    "mailbox_expiration_malformed": 400,
    "mailbox_expiration_past": 400,
    "access_rights_malformed": 400,
    "claim_key_malformed": 400,
    "creation_token_missing": 401,
    "too_much_open": 503,
}
_OF_READING = {
    **_OF_MAILBOX,
    "right_missing": 403,
    "claim_proof_missing": 401,
    "claim_proof_wrong": 401,
    "sequence_malformed": 400,
    "wait_malformed": 400,
}
_OF_WRITING = {
    **_OF_MAILBOX,
    **_OF_BODY,
    "right_missing": 403,
    "sequence_malformed": 400,
    "sequence_conflict": 409,
    "updates_used_up": 409,
}
_UUID = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"


def public(settings: RelaySettings) -> dict[str, Any]:
    """Returns the description of the interface for wallets, with the bounds of these settings."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safeconduct relay",
            "version": "1",
            "description": "Mailboxes through which two wallets pass each other what the relay cannot read.",
        },
        "paths": {
            "/v1": {"get": _operation("What this relay is and takes.", _described("It."), {})},
            "/v1/m": {"post": _create(settings)},
            "/v1/m/{id}": {
                "parameters": [_MAILBOX],
                "get": _operation("A page for people and preview bots. Nothing is bound.", _PAGE, {}),
                "post": _read(settings),
                "put": _put(settings),
                "patch": _RELINQUISH,
                "delete": _DELETE,
            },
            "/v1/picture.png": {"get": _operation("The picture of most previews.", _PICTURE, {})},
            "/openapi.json": document_itself({}),
        },
        "components": {"schemas": {"Problem": PROBLEM}},
    }


def _operation(
    summary: str, responses: Mapping[str, Json], codes: Mapping[str, int], **more: Any
) -> dict[str, Any]:
    return {"summary": summary, **more, "responses": {**problems(codes), **responses}}


def _described(description: str) -> dict[str, Json]:
    return {"200": json_response(description, {"type": "object"})}


def _header(name: str, description: str, *, required: bool, schema: Json | None = None) -> Json:
    found = {"type": "string", "pattern": _UUID} if schema is None else schema
    return {"name": name, "in": "header", "required": required, "description": description, "schema": found}


def _payload(settings: RelaySettings) -> Json:
    data = {"type": "string", "pattern": "^[A-Za-z0-9+/_-]+={0,2}$", "maxLength": settings.payload_chars}
    kind = {"type": "string", "pattern": "^[A-Za-z0-9._:+/-]+$", "maxLength": limits.PAYLOAD_TYPE_CHARS}
    return object_schema({"type": kind, "data": data})


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_MAILBOX: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Any other text is as unknown as a mailbox that is none any more.",
    "schema": {"type": "string", "pattern": _UUID},
}
_CLAIM = _header(
    messages.CLAIM, "Who sends it: a random UUID of the client's, of its own for each mailbox.", required=True
)
_REQUEST_ID = _header(messages.REQUEST_ID, "The same when a request is repeated; comes back.", required=True)
_ANY_REQUEST_ID = _header(messages.REQUEST_ID, "Comes back.", required=False)
_ATTESTATION = _header(
    messages.ATTESTATION, "A creation token, where the relay wants one.", required=False, schema=TEXT
)
_SEQUENCE = {"type": "string", "pattern": "^[0-9]{1,9}$"}
_TOKEN = {**object_schema({"type": TEXT, "tokenData": TEXT}), "description": "Taken and thrown away."}

_LINKS = {
    name: {
        "operationId": name,
        "parameters": {
            "id": "$response.body#/urlLink#regex:/v1/m/(.+)",
            messages.CLAIM: f"$request.header.{messages.CLAIM}",
        },
    }
    for name in ("readMailbox", "updateMailbox", "relinquishMailbox", "deleteMailbox")
}
_PUSH = {"const": False, "description": "Wait by long-polls instead."}
_CREATED = object_schema({"urlLink": TEXT, "isPushNotificationSupported": _PUSH})
_WRITTEN = object_schema({"isPushNotificationSupported": _PUSH, "sequence": NUMBER})
_DISPLAY = object_schema({"title": TEXT, "description": TEXT, "imageURL": TEXT})
_PAGE: dict[str, Json] = {
    status: {"description": description, "content": {"text/html": {"schema": TEXT}}}
    for status, description in (
        ("200", "What the sender says of the mailbox, with Open Graph tags."),
        ("404", "There is no such mailbox, or none any more."),
        ("429", "The address has failed too often."),
    )
}
_PICTURE: dict[str, Json] = {
    "200": {"description": "The same for every mailbox.", "content": {"image/png": {"schema": TEXT}}}
}


def _create(settings: RelaySettings) -> dict[str, Any]:
    shown = object_schema(
        {
            "title": {"type": "string", "maxLength": limits.DISPLAY_TITLE_CHARS},
            "description": {"type": "string", "maxLength": limits.DISPLAY_DESCRIPTION_CHARS},
            "imageURL": {"type": "string", "maxLength": limits.URL_CHARS},
        }
    )
    configuration = object_schema(
        {
            "expiration": {"type": "string", "format": "date-time"},
            "accessRights": {"type": "string", "pattern": "^[RWD]{1,3}$", "default": messages.DEFAULT_RIGHTS},
            "claimKey": {**TEXT, "description": "Raw Ed25519 public key in base64url."},
        },
        optional=("accessRights", "claimKey"),
    )
    members = {
        "payload": _payload(settings),
        "displayInformation": shown,
        "notificationToken": _TOKEN,
        "mailboxConfiguration": configuration,
    }
    return _operation(
        "Make a mailbox (CreateMailbox).",
        {
            "200": json_response("Its URL, to which the client adds the secret.", _CREATED, links=_LINKS),
            "201": json_response("The same request had made it.", _CREATED, links=_LINKS),
        },
        _OF_CREATION,
        operationId="createMailbox",
        parameters=[_CLAIM, _REQUEST_ID, _ATTESTATION],
        requestBody=_body(object_schema(members, optional=("notificationToken", "mailboxConfiguration"))),
    )


def _read(settings: RelaySettings) -> dict[str, Any]:
    answer = object_schema(
        {
            "payload": _payload(settings),
            "displayInformation": _DISPLAY,
            "expiration": {"type": "string", "format": "date-time"},
            "sequence": NUMBER,
            "state": {"enum": list(LIVE), "description": "For the sender only."},
        },
        optional=("state",),
    )
    return _operation(
        "Read the newest message (ReadSecureContent). The first who is not the sender becomes the receiver. "
        f"Problems of later ones have the type {ALREADY_CLAIMED}. A body is ignored.",
        {
            "200": json_response("It.", answer),
            "204": {"description": "Nothing has happened since the known sequence."},
        },
        _OF_READING,
        operationId="readMailbox",
        parameters=[
            _CLAIM,
            _ANY_REQUEST_ID,
            _header(
                messages.CLAIM_PROOF,
                "For the first read, where the sender left a claimKey: its Ed25519 signature, in base64url, "
                "over `sct-claim/1`, the mailbox's id and the claim, with a zero byte between them.",
                required=False,
                schema=TEXT,
            ),
            _header(messages.WAIT, "Seconds to wait for news.", required=False, schema=_SEQUENCE),
            _header(
                messages.KNOWN_SEQUENCE,
                "The sequence that was read last; only something newer is answered.",
                required=False,
                schema=_SEQUENCE,
            ),
        ],
    )


def _put(settings: RelaySettings) -> dict[str, Any]:
    members = {"payload": _payload(settings), "notificationToken": _TOKEN}
    return _operation(
        "Put a message into the place of the one that lies there (UpdateMailbox).",
        {
            "200": json_response("Done.", _WRITTEN),
            "201": json_response("The same request had done it.", _WRITTEN),
        },
        _OF_WRITING,
        operationId="updateMailbox",
        parameters=[
            _CLAIM,
            _REQUEST_ID,
            _header(
                messages.IF_SEQUENCE,
                "The sequence that was read last: nothing newer is overwritten.",
                required=False,
                schema=_SEQUENCE,
            ),
        ],
        requestBody=_body(object_schema(members, optional=("notificationToken",))),
    )


_RELINQUISH = _operation(
    "Step back as the receiver, so that the next reader is bound (RelinquishMailbox). A body is ignored.",
    {
        status: json_response(description, object_schema({"sequence": NUMBER}))
        for status, description in (("200", "Done."), ("201", "The same request had done it."))
    },
    {**_OF_MAILBOX, "request_id_missing": 400},
    operationId="relinquishMailbox",
    parameters=[_CLAIM, _REQUEST_ID],
)
_DELETE = _operation(
    "Delete the mailbox, as the sender or the bound receiver (DeleteMailbox). A body is ignored.",
    _described("It is gone."),
    {**_OF_MAILBOX, "right_missing": 403},
    operationId="deleteMailbox",
    parameters=[_CLAIM, _ANY_REQUEST_ID],
)
MANAGEMENT: Json = {
    "openapi": "3.1.0",
    "info": {"title": "Safeconduct relay, management", "version": "1"},
    "security": [{"token": []}],
    "paths": {
        "/mailboxes": {
            "get": _operation(
                "How many mailboxes there are in each state.",
                {
                    "200": json_response(
                        "Counts.", object_schema({"mailboxes": object_schema(dict.fromkeys(LIVE, NUMBER))})
                    )
                },
                OF_MANAGEMENT,
            )
        },
        "/openapi.json": document_itself(OF_MANAGEMENT),
        **probes(),
    },
    "components": {
        "schemas": {"Problem": PROBLEM},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    },
}
