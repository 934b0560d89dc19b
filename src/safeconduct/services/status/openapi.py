"""The OpenAPI 3.1 description of the status service's management API, as data."""

from typing import Any

Schema = dict[str, Any]

_PROBLEMS = {
    400: "The request is not acceptable.",
    401: "The bearer token is missing or wrong.",
    403: "No management token is set, so nobody may manage.",
    405: "The path does not take this method.",
    409: "Nothing is published here: `refresh` is 0.",
    413: "The body is too large.",
    503: "The database cannot be reached.",
}


def management() -> dict[str, Any]:
    """Returns the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safeconduct status: management",
            "version": "1",
            "description": "The published files themselves are plain files on the public listener.",
        },
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _SCHEMAS,
        },
    }


def _paths() -> dict[str, Any]:
    health = {"200": _answer("It does.", "Health"), "503": _answer("It does not.", "Health")}
    metrics = {"200": {"description": "Metrics.", "content": {"text/plain": {}}}}
    return {
        "/healthz": {"get": _open("health", "Whether the tree is there.", health)},
        "/readyz": {"get": _open("readiness", "Whether requests may be sent.", health)},
        "/metrics": {"get": _open("metrics", "Metrics for Prometheus.", metrics)},
        "/openapi.json": {"get": _managed("describe", "This description.", {"type": "object"})},
        "/publish": {
            "post": _managed("publish", "Publish now what has changed.", "Publication", (409, 413, 503))
        },
    }


def _open(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {**answers, "405": _problem(405)},
    }


def _managed(name: str, summary: str, answer: str | Schema, problems: tuple[int, ...] = ()) -> dict[str, Any]:
    faults = {str(status): _problem(status) for status in sorted({400, 401, 403, 405, *problems})}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _answer("Done.", answer), **faults},
    }


def _answer(text: str, schema: str | Schema) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _schema(schema)}}}


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": _schema("Problem")}},
    }


def _schema(schema: str | Schema) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema


_SCHEMAS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457, with the code of the fault.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "rule": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "code"],
    },
    "Health": {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "unavailable"]}},
        "required": ["status"],
        "additionalProperties": False,
    },
    "Publication": {
        "type": "object",
        "properties": {"written": {"type": "integer", "minimum": 0, "description": "Files."}},
        "required": ["written"],
        "additionalProperties": False,
    },
}
