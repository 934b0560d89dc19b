"""The bearer token of the management listener."""

from starlette.requests import Request

from safeconduct.settings import Secret
from safeconduct.web.body import single_header
from safeconduct.web.problems import ManagementDisabled, Unauthorized


def require_bearer(request: Request, *, token: Secret | None) -> None:
    """Check `Authorization: Bearer` in constant time.

    token: None when none is set. Raises ManagementDisabled "management_disabled", Unauthorized
    "token_missing", "token_wrong".
    """
    if token is None:
        raise ManagementDisabled("management_disabled", "No management token is set, so nobody may manage.")
    scheme, _, candidate = (single_header(request, "Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not candidate:
        raise Unauthorized("token_missing", "A bearer token is required here.", rule="RFC 6750 §3.1")
    if not token.matches(candidate.strip()):
        raise Unauthorized(
            "token_wrong", "The bearer token is not the one that is set.", rule="RFC 6750 §3.1"
        )
