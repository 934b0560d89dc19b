"""Asking a service's management API."""

import re
from datetime import UTC, datetime
from typing import Any

from safeconduct.cli import operating
from safeconduct.cli.faults import WrongUse
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.settings import IssuerSettings

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def ask(
    method: str, path: str, body: dict[str, Any] | None, *, url: str | None, config: str | None
) -> dict[str, Any]:
    """Send one request to the issuer's management API and return its answer.

    path: with query. url: of the API, None for that of the settings. config: the settings file.
    Raises WrongUse; Rejected with the code that the service gave, and as `HttpFetcher.request`.
    """
    issuer = operating.settings(config).issuer
    if issuer.admin_token is None:
        raise WrongUse("the management token is missing: set SAFECONDUCT_ISSUER__ADMIN_TOKEN")
    headers = {"Authorization": f"Bearer {issuer.admin_token.reveal()}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    base = (url or _admin_url(issuer)).rstrip("/")
    content = None if body is None else json.dumps(body)
    response = operating.carry_out(_send(method, base + path, headers, content))
    if not 200 <= response.status < 300:
        raise _refusal(response)
    return response.json() if response.body else {}


def date(seconds: Any) -> str:
    """Write seconds since 1970 as a date, and anything else as it is."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return str(seconds)


async def _send(method: str, url: str, headers: dict[str, str], content: bytes | None) -> Response:
    # The operator named the address, so it may be in a private network.
    async with HttpFetcher(allow_loopback=True, allow_private=True) as fetcher:
        return await fetcher.request(method, url, headers=headers, content=content)


def _admin_url(issuer: IssuerSettings) -> str:
    host = f"[{issuer.admin_host}]" if ":" in issuer.admin_host else issuer.admin_host
    return f"http://{host}:{issuer.admin_port}"


def _refusal(response: Response) -> Rejected:
    try:
        problem = response.json()
    except Malformed:
        problem = {}
    code, detail = problem.get("code"), problem.get("detail")
    if isinstance(code, str) and _CODE.fullmatch(code) and isinstance(detail, str):
        return Rejected(code, detail)
    return Rejected("request_refused", f"The service answered with HTTP status {response.status}.")
