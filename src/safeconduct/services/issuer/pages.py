"""The pages of the authorization endpoint: signing in, deciding, and what cannot be told to the wallet."""

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.errors import InvalidRequest
from safeconduct.protocols.oauth.redirect_uri import form_action_source, is_native
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.authorizations import Opened, Visit, Wrong
from safeconduct.services.issuer.digests import digest_of
from safeconduct.web import html
from safeconduct.web.body import read_body

Endpoint = Callable[[Request], Awaitable[Response]]

LINK_SECONDS = 600
"""How long a browser keeps the link that it has opened."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Pages:
    """The pages of one issuer."""

    def __init__(self, server: AuthorizationServer) -> None:
        self._server = server
        self._flow = server.authorizations
        parts = urlsplit(server.url)
        self._issuer = parts.netloc + parts.path
        self._base = parts.path
        self._secure = parts.scheme == "https"

    def routes(self) -> list[Route]:
        """Returns the routes, below the path of the issuer's identifier."""
        base = self._base
        return [
            Route(f"{base}/authorize", self._shown(self.authorize), methods=["GET"]),
            Route(f"{base}/authorize/login", self._shown(self.log_in), methods=["POST"]),
            Route(f"{base}/authorize/consent", self._shown(self.consent), methods=["GET"]),
            Route(f"{base}/authorize/consent", self._shown(self.decide), methods=["POST"]),
            Route(f"{base}/login/{{secret}}", self._shown(self.link), methods=["GET"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """Opens an authorization request: the page to sign in on, or to decide on after that."""
        reference, client_id = await self._flow.reference_of(request.url.query)
        opened = await self._flow.open(self._visit(request, reference), client_id=client_id)
        if opened.identity is None:
            response = await self._login_page(request, opened)
        else:
            response = self._consent_page(opened)
        self._set_cookie(response, self._cookie_name(reference), opened.cookie, self._login_seconds)
        return response

    async def log_in(self, request: Request) -> Response:
        """Takes the form of the login page."""
        fields = await _fields(request)
        visit = self._visit(request, fields.get("reference", ""))
        if "linked" in fields:
            fields = {**fields, "link": self._link_of(request) or ""}
        outcome = await self._flow.log_in(visit, fields)
        if isinstance(outcome, str):
            return html.redirect(outcome)
        if isinstance(outcome, Wrong):
            return await self._login_page(request, outcome.opened, reason=outcome.reason)
        query = urlencode({"reference": visit.reference})
        response = html.redirect(f"{self._base}/authorize/consent?{query}")
        self._set_cookie(response, self._cookie_name(visit.reference), outcome.cookie, self._login_seconds)
        if "link" in fields:
            self._set_cookie(response, self._link_cookie, "", 0)
        return response

    async def consent(self, request: Request) -> Response:
        """Shows the page to decide on."""
        reference = form.parse_form(request.url.query).get("reference", "")
        opened = await self._flow.find(self._visit(request, reference))
        if opened.identity is None:
            raise InvalidRequest("login_missing", "Nobody has logged in.")
        return self._consent_page(opened)

    async def decide(self, request: Request) -> Response:
        """Takes the decision, and sends the browser back to the wallet."""
        fields = await _fields(request)
        reference = fields.get("reference", "")
        response = html.redirect(await self._flow.decide(self._visit(request, reference), fields))
        self._set_cookie(response, self._cookie_name(reference), "", 0)
        return response

    async def link(self, request: Request) -> Response:
        """Keeps a login link in the browser that opens it, for the login page to come.

        It is not used up: mail scanners and previews open links, too.
        """
        secret = str(request.path_params["secret"])
        prompt = await self._flow.prompt(link=secret if _SECRET.fullmatch(secret) else None)
        if prompt.linked is None:
            return self._notice(
                "This link does not work",
                "It is unknown, was used before, or has expired.",
                "Ask for a new one.",
                status=404,
            )
        response = self._notice(
            f"You can now sign in as {prompt.linked}",
            "Go back to your wallet and ask for your credential there.",
            "When this site opens again in this browser, choose to continue under this name.",
            wrong=False,
        )
        self._set_cookie(response, self._link_cookie, secret, LINK_SECONDS)
        return response

    def _shown(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, whose errors are pages: a person is at the other end."""

        async def shown(request: Request) -> Response:
            try:
                return await endpoint(request)
            except SafeconductError as error:
                request.scope["state"]["code"] = error.code
                return self._notice(
                    "This does not work",
                    error.reason,
                    "Go back to your wallet and start again there.",
                    status=error.http_status,
                )

        return shown

    async def _login_page(self, request: Request, opened: Opened, *, reason: str = "") -> Response:
        return html.page(
            "login.html",
            status=403 if reason else 200,
            form_actions=[form_action_source(opened.pushed.request.redirect_uri)],
            issuer=self._issuer,
            client=opened.pushed.client_name,
            vouched=opened.pushed.vouched,
            prompt=await self._flow.prompt(link=self._link_of(request)),
            reason=reason,
            action=f"{self._base}/authorize/login",
            reference=opened.reference,
            csrf=opened.csrf,
        )

    def _consent_page(self, opened: Opened) -> Response:
        pushed, identity = opened.pushed, opened.identity
        assert identity is not None
        return html.page(
            "consent.html",
            form_actions=[form_action_source(pushed.request.redirect_uri)],
            issuer=self._issuer,
            client=pushed.client_name,
            vouched=pushed.vouched,
            credentials=[self._name_of(name) for name in pushed.configuration_ids],
            subject=identity.subject,
            target=_target(pushed.request.redirect_uri),
            action=f"{self._base}/authorize/consent",
            reference=opened.reference,
            csrf=opened.csrf,
        )

    def _notice(
        self, heading: str, text: str, advice: str, *, status: int = 200, wrong: bool = True
    ) -> Response:
        return html.page(
            "notice.html",
            status=status,
            issuer=self._issuer,
            heading=heading,
            text=text,
            advice=advice,
            wrong=wrong,
        )

    def _name_of(self, configuration_id: str) -> str:
        kind = self._server.tenant.catalogue.get(configuration_id)
        names = [display.name for display in kind.configuration.display] if kind else []
        return next((name for name in names if name), configuration_id)

    @property
    def _login_seconds(self) -> int:
        return self._server.settings.login_lifetime

    def _visit(self, request: Request, reference: str) -> Visit:
        cookie = request.cookies.get(self._cookie_name(reference), "")
        legal = _SECRET.fullmatch(reference) and _SECRET.fullmatch(cookie)
        return Visit(reference=reference, cookie=cookie if legal else None)

    def _link_of(self, request: Request) -> str | None:
        secret = request.cookies.get(self._link_cookie, "")
        return secret if _SECRET.fullmatch(secret) else None

    def _cookie_name(self, reference: str) -> str:
        """One for each request, so that two tabs do not disturb each other."""
        tag = digest_of(reference).hex()[:16] if reference.isascii() else ""
        return f"{self._cookie_prefix}safeconduct-{tag}"

    @property
    def _link_cookie(self) -> str:
        return f"{self._cookie_prefix}safeconduct-link"

    @property
    def _cookie_prefix(self) -> str:
        return "__Host-" if self._secure else ""

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        """A cookie for this origin alone (`__Host-`), out of reach for scripts; 0 seconds delete it."""
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
        )


async def _fields(request: Request) -> Mapping[str, str]:
    return form.parse_form(
        await read_body(request, max_bytes=limits.FORM_BYTES, content_types={form.MEDIA_TYPE})
    )


def _target(redirect_uri: str) -> str:
    """Where the browser will go, for people."""
    parts = urlsplit(redirect_uri)
    if is_native(redirect_uri):
        return "an application on this device"
    return parts.netloc if parts.scheme == "https" else f"the application {parts.scheme}"
