"""What the OpenAPI 3.1 documents of services have in common: problems by their codes, and schemas."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

ANYWHERE: Mapping[str, int] = {
    "headers_too_large": 431,
    "header_repeated": 400,
    "target_too_long": 414,
    "body_too_large": 413,
    "body_too_slow": 408,
    "client_gone": 400,
    "unexpected_error": 500,
    "storage_unavailable": 503,
}
"""Codes of problems that every operation can have, with their statuses."""

OF_JSON: Mapping[str, int] = {
    "content_type_unsupported": 415,
    "json_malformed": 400,
    "json_duplicate_member": 400,
    "json_too_large": 400,
    "json_too_deep": 400,
    "json_not_object": 400,
    "message_malformed": 400,
}
"""Codes of an operation that reads a JSON object."""

OF_MANAGEMENT: Mapping[str, int] = {"token_missing": 401, "token_wrong": 401, "management_disabled": 403}

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}

PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457. `code` is stable.",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "rule": TEXT,
    },
    "required": ["type", "title", "status", "detail", "code"],
}
"""The schema `Problem`, to which `problems` refers."""


def problems(codes: Mapping[str, int]) -> dict[str, Json]:
    """Returns the responses of an operation's own problems and of all others, by status.

    codes: its own, with their statuses; each response names those that it can have.
    """
    by_status: dict[int, list[str]] = {}
    for code, status in {**ANYWHERE, **codes}.items():
        by_status.setdefault(status, []).append(code)
    return {str(status): _problem(sorted(found)) for status, found in sorted(by_status.items())}


def json_response(description: str, schema: Json, **more: Any) -> Json:
    """Returns a response with a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": schema}}, **more}


def document_itself(codes: Mapping[str, int]) -> Json:
    """Returns the path item of the document. codes: of problems on its listener."""
    answer = {**problems(codes), "200": json_response("It.", {"type": "object"})}
    return {"get": {"summary": "This document.", "responses": answer}}


def object_schema(properties: Mapping[str, Json], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns the schema of an object, all of whose members are required but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def probes() -> dict[str, Json]:
    """Returns the paths of a management listener that want no token."""
    return {
        "/healthz": _probe("Whether the database answers.", {"200": "It does.", "503": "It does not."}),
        "/readyz": _probe(
            "Whether requests may be sent: the database answers, with tables of this version.",
            {"200": "They may.", "503": "They may not."},
        ),
        "/metrics": {
            "get": {
                "summary": "Metrics for Prometheus.",
                "security": [],
                "responses": {"200": {"description": "Them.", "content": {"text/plain": {"schema": TEXT}}}},
            }
        },
    }


def _probe(summary: str, answers: Mapping[str, str]) -> Json:
    body = object_schema({"status": TEXT})
    responses = {status: json_response(text, body) for status, text in answers.items()}
    return {"get": {"summary": summary, "security": [], "responses": responses}}


def _problem(codes: list[str]) -> Json:
    own = {"properties": {"code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, own]}
    content = {"application/problem+json": {"schema": schema}}
    return {"description": "Refused: " + ", ".join(codes), "content": content}
