"""Asking a service's management API."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from safeconduct.cli import operating
from safeconduct.cli.faults import WrongUse
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.settings import IssuerSettings

_PAGE = 100
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def ask(
    method: str,
    path: str,
    body: dict[str, Any] | None,
    *,
    url: str | None,
    config: str | None,
    tenant: str | None = None,
) -> dict[str, Any]:
    """Send one request to the issuer's management API and return its answer.

    path: with query. url: of the API, None for that of the settings. config: the settings file.
    tenant: which of several issuers.
    Raises WrongUse; Rejected with the code that the service gave, and as `HttpFetcher.request`.
    """
    issuer = operating.settings(config).issuer
    if issuer.admin_token is None:
        raise WrongUse("the management token is missing: set SAFECONDUCT_ISSUER__ADMIN_TOKEN")
    headers = {"Authorization": f"Bearer {issuer.admin_token.reveal()}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    base = (url or _admin_url(issuer)).rstrip("/")
    if tenant is not None:
        base += f"/tenants/{quote(tenant, safe='')}"
    content = None if body is None else json.dumps(body)
    response = operating.carry_out(_send(method, base + path, headers, content))
    if not 200 <= response.status < 300:
        raise _refusal(response, tenant)
    return response.json() if response.body else {}


def pages(
    path: str,
    name: str,
    query: Mapping[str, str | int | None],
    *,
    limit: int,
    url: str | None,
    config: str | None,
    tenant: str | None,
) -> list[dict[str, Any]]:
    """Read a list page by page, until it ends or has as many entries as wanted.

    name: of the list in the answer. query: parameters, None for those not given. limit: most entries.
    Raises as `ask`.
    """
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        asked = {**query, "limit": min(limit - len(found), _PAGE), "cursor": cursor}
        parameters = urlencode({key: value for key, value in asked.items() if value is not None})
        answer = ask("GET", f"{path}?{parameters}", None, url=url, config=config, tenant=tenant)
        found += answer.get(name, [])
        cursor = answer.get("next")
        if cursor is None or not answer.get(name):
            break
    return found[:limit]


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


def _refusal(response: Response, tenant: str | None) -> Rejected:
    try:
        problem = response.json()
    except Malformed:
        problem = {}
    code, detail = problem.get("code"), problem.get("detail")
    if code == "not_found" and tenant is None:
        return Rejected(
            code, "There is nothing at this path. If the process serves several issuers, name one: --tenant."
        )
    if isinstance(code, str) and _CODE.fullmatch(code) and isinstance(detail, str):
        return Rejected(code, detail)
    return Rejected("request_refused", f"The service answered with HTTP status {response.status}.")
