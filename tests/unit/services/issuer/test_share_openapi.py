"""The description of the endpoints for shares: the routes that there are, and the errors that they answer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import sharing_errors
from safeconduct.protocols.openid4vci.errors import InvalidNonce
from safeconduct.services.issuer import share_errors, share_openapi, share_routes, sharing

ISSUER = "https://issuer.example/one"


class _Shares:
    url = ISSUER


def test_each_route_is_described_and_nothing_else() -> None:
    routes = share_routes.share_routes(_Shares())  # type: ignore[arg-type]
    served = {
        (route.path.removeprefix("/one"), method.lower())
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = share_openapi.shares(ISSUER)["paths"]
    described = {(path, method) for path, item in paths.items() for method in item if method != "parameters"}
    assert served == described
    endpoints = sharing.sharing_endpoints(ISSUER)
    for url in (endpoints.challenge_endpoint, endpoints.shares_endpoint, endpoints.access_endpoint):
        assert (url.removeprefix(ISSUER), "post") in served


def _errors() -> Iterator[type[SafeconductError]]:
    yield InvalidNonce
    for module in (share_errors, sharing_errors):
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield getattr(module, node.name)


@pytest.mark.parametrize("error", list(_errors()))
def test_each_error_is_described_under_its_status(error: type[SafeconductError]) -> None:
    answers = [
        item[method]["responses"].get(str(error.http_status))
        for item in share_openapi.shares(ISSUER)["paths"].values()
        for method in item
        if method != "parameters"
    ]
    told = [
        answer["content"]["application/json"]["schema"]["properties"]["error"]["enum"]
        for answer in answers
        if answer is not None
    ]
    assert any(error.oauth_error in errors for errors in told)
