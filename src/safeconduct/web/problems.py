"""The one place where an error becomes HTTP.

A SafeconductError says its OAuth name and status by its class; an instance or class may also carry
`http_headers`, and a `problem_type` (RFC 9457 §3.1.1) where clients have to tell it from its like. Whatever
else was raised is our fault, and the peer learns nothing about it.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.storage import StorageUnavailable


class BodyTooLarge(Malformed):
    """The request's body is longer than the endpoint reads."""

    http_status = 413


class TargetTooLong(Malformed):
    """The request's path and query are longer than any endpoint needs."""

    http_status = 414


class HeadersTooLarge(Malformed):
    """The request's header fields are larger than any endpoint needs."""

    http_status = 431


class BodyTooSlow(Malformed):
    """The request's body did not arrive in time."""

    http_status = 408


class MediaTypeUnsupported(Malformed):
    """The request's body is of another type than the endpoint reads."""

    http_status = 415


class Unauthorized(Rejected):
    """The request lacks the credential that the listener wants."""

    oauth_error = "invalid_token"
    http_status = 401
    http_headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class ManagementDisabled(Rejected):
    """No token is set for management, so nobody may manage."""

    oauth_error = "access_denied"
    http_status = 403


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What the peer is told. expected: whether this is an answer we mean to give."""

    status: int
    error: str
    code: str
    reason: str
    rule: str = ""
    headers: Mapping[str, str] = {}
    expected: bool = True
    type: str = "about:blank"


Problems = Callable[[Fault], Response]
"""How a listener words its faults: `OAUTH` or `RFC9457`."""


def fault_of(error: Exception) -> Fault:
    """Say what the peer is told about an error."""
    if isinstance(error, SafeconductError):
        return Fault(
            status=error.http_status,
            error=error.oauth_error,
            code=error.code,
            reason=error.reason,
            rule=error.rule,
            headers=getattr(error, "http_headers", {}),
            type=getattr(error, "problem_type", "about:blank"),
        )
    if isinstance(error, HTTPException):
        return _routing_fault(error)
    if isinstance(error, ClientDisconnect):
        return Fault(status=400, error="invalid_request", code="client_gone", reason="The client went away.")
    if isinstance(error, StorageUnavailable):
        return _BUSY
    return _UNEXPECTED


def OAUTH(fault: Fault) -> Response:  # noqa: N802  reads as the constant it is used as
    """An OAuth error (RFC 6749 §5.2): `error` and `error_description` and, as checkers want, nothing else."""
    content = {"error": fault.error, "error_description": _describable(fault.reason)}
    return _response(content, fault, media_type="application/json")


def RFC9457(fault: Fault) -> Response:  # noqa: N802
    """A problem document (RFC 9457), with the error's code and the clause that was broken."""
    content: dict[str, Any] = {
        "type": fault.type,
        "title": HTTPStatus(fault.status).phrase,
        "status": fault.status,
        "detail": fault.reason,
        "code": fault.code,
    }
    if fault.rule:
        content["rule"] = fault.rule
    return _response(content, fault, media_type="application/problem+json")


_BUSY = Fault(
    status=503,
    error="temporarily_unavailable",
    code="storage_unavailable",
    reason="The service cannot reach its storage.",
    headers={"Retry-After": "5"},
    expected=False,
)
_UNEXPECTED = Fault(
    status=500,
    error="server_error",
    code="unexpected_error",
    reason="The service failed.",
    expected=False,
)
_ROUTING = {
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take the request's method."),
}


def _routing_fault(error: HTTPException) -> Fault:
    code, reason = _ROUTING.get(error.status_code, ("http_error", "The request is not acceptable."))
    return Fault(
        status=error.status_code,
        error="invalid_request",
        code=code,
        reason=reason,
        headers=error.headers or {},
    )


def _response(content: dict[str, Any], fault: Fault, *, media_type: str) -> Response:
    return Response(
        json.dumps(content), status_code=fault.status, headers=dict(fault.headers), media_type=media_type
    )


def _describable(reason: str) -> str:
    """The reason in the characters that RFC 6749 §5.2 allows: printable ASCII without quote and backslash."""
    return "".join(
        character if " " <= character <= "~" and character not in '"\\' else "'" for character in reason
    )
