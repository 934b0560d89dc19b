"""An application around a service's routes: a public one, or one for management on a listener of its own."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from inspect import iscoroutinefunction

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from safeconduct import limits
from safeconduct.settings import Secret
from safeconduct.telemetry import Telemetry
from safeconduct.telemetry.metrics import CONTENT_TYPE
from safeconduct.web import responses
from safeconduct.web.auth import require_bearer
from safeconduct.web.middleware import Guard, Observer
from safeconduct.web.problems import RFC9457, Problems

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""What the management listener answers without its token, as probes and scrapers expect."""


def public_app(
    routes: Sequence[Route],
    *,
    telemetry: Telemetry,
    problems: Problems,
    max_body: int = limits.HTTP_BODY_BYTES,
) -> ASGIApp:
    """Build the application that strangers reach.

    routes: Starlette's, whose endpoints raise SafeconductErrors and never word an error themselves.
    problems: OAUTH or RFC9457. max_body: longest request body in bytes.
    """
    return _application(_Routes(routes), telemetry=telemetry, problems=problems, max_body=max_body)


def admin_app(
    routes: Sequence[BaseRoute],
    *,
    telemetry: Telemetry,
    token: Secret | None,
    healthy: Callable[[], Awaitable[bool]] | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
) -> ASGIApp:
    """Build the application for management: the routes for bearers of the token, health and `/metrics`.

    token: None refuses all management. healthy: says for `/healthz` whether the service can do its work.
    ready: says for `/readyz` whether requests should be sent to it; `healthy` unless given.
    """
    health = [
        _health_route("/healthz", healthy),
        _health_route("/readyz", ready or healthy),
        _metrics_route(telemetry),
    ]
    inner = _BearerOnly(_Routes([*health, *routes]), token=token)
    return _application(inner, telemetry=telemetry, problems=RFC9457, max_body=limits.HTTP_BODY_BYTES)


def _application(inner: ASGIApp, *, telemetry: Telemetry, problems: Problems, max_body: int) -> ASGIApp:
    guard = Guard(inner, telemetry=telemetry, problems=problems, max_body=max_body)
    return Observer(guard, telemetry=telemetry)


class _Routes:
    """Starlette's router, which raises for what it has no route for, and redirects nowhere.

    Paths that have no parameter, or end in their only one, are looked up before it is asked: it would try one
    pattern after the other.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._router = Router(routes, redirect_slashes=False)
        self._fixed = _fixed_routes(routes)
        self._folders = _folder_routes(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None if scope.get("root_path") else self._find(scope["method"], scope["path"])
        if found is not None:
            route, scope["path_params"] = found
            scope["route"] = route
            response = await route.endpoint(Request(scope, receive, send))
            await response(scope, receive, send)
            return
        asked = dict(scope)  # the router writes into its scope
        scope["app"] = self  # with an "app" in the scope, the router raises instead of answering itself
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
                raise
            # RFC 9110 §15.5.6: all methods of the path, not those of one route
            allowed = ", ".join(sorted(_methods(self._router.routes, asked)))
            raise HTTPException(error.status_code, headers={"Allow": allowed}) from None

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        route = self._fixed.get((method, path))
        if route is not None:
            return route, {}
        folder, _, name = path.rpartition("/")
        route = self._folders.get((method, folder)) if name else None
        return None if route is None else (route, {next(iter(route.param_convertors)): name})


def _fixed_routes(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], Route]:
    """The routes of one path each, by method and path, that no route before them could take."""
    fixed: dict[tuple[str, str], Route] = {}
    for place, route in enumerate(routes):
        before = [other for other in routes[:place] if not isinstance(other, Route)]
        if not isinstance(route, Route) or route.param_convertors or before:
            continue
        rivals = [other.path_regex for other in routes[:place] if isinstance(other, Route)]
        if iscoroutinefunction(route.endpoint) and not any(regex.match(route.path) for regex in rivals):
            fixed |= {(method, route.path): route for method in route.methods or ()}
    return fixed


def _folder_routes(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], Route]:
    """The routes whose path is a fixed folder and one text below it, by method and folder.

    None of them could take the path of another one's folder. After the first route of any other kind with
    parameters there are no more: what that one takes is not known here.
    """
    folders: dict[tuple[str, str], Route] = {}
    for route in routes:
        if not isinstance(route, Route) or not iscoroutinefunction(route.endpoint):
            break
        folder, _, last = route.path.rpartition("/")
        names = list(route.param_convertors)
        if names and (len(names) > 1 or last != f"{{{names[0]}}}"):
            break
        for method in route.methods or () if names else ():
            folders.setdefault((method, folder), route)
    return folders


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    found: set[str] = set()
    for route in routes:
        match, below = route.matches(scope)
        if isinstance(route, Route) and match is not Match.NONE:
            found |= route.methods or set()
        elif isinstance(route, Mount) and match is Match.FULL:
            found |= _methods(route.routes, {**scope, **below})
    return found


class _BearerOnly:
    def __init__(self, app: ASGIApp, *, token: Secret | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN_PATHS:
            require_bearer(Request(scope), token=self._token)
        await self._app(scope, receive, send)


def _health_route(path: str, healthy: Callable[[], Awaitable[bool]] | None) -> Route:
    async def health(_request: Request) -> Response:
        if healthy is None or await healthy():
            return responses.json({"status": "ok"})
        return responses.json({"status": "unavailable"}, status=503)

    return Route(path, health, methods=["GET"])


def _metrics_route(telemetry: Telemetry) -> Route:
    async def metrics(_request: Request) -> Response:
        return responses.body(telemetry.metrics.render(), media_type=CONTENT_TYPE)

    return Route("/metrics", metrics, methods=["GET"])
