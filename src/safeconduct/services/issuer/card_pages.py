"""The pages on which holders get their health cards: to download, to scan, to print. Without scripts.

The first page tells nothing of the card, so that what opens links by itself sees nothing. The holder asks
for the card with a form, which carries the code where one is wanted.
"""

import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import files
from safeconduct.protocols.oauth import form
from safeconduct.services.issuer.card_link_store import CardLinkUnknown
from safeconduct.services.issuer.card_links import CardLinks
from safeconduct.services.issuer.card_view import view
from safeconduct.web import html, responses
from safeconduct.web.body import read_body

FILE_NAME = f"health-card{files.EXTENSION}"

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class CardPages:
    """The pages of one issuer."""

    def __init__(self, links: CardLinks, *, issuer: str) -> None:
        """issuer: the issuer's identifier."""
        self._links = links
        parts = urlsplit(issuer)
        self._issuer = parts.netloc + parts.path
        self._base = parts.path

    def routes(self) -> list[Route]:
        """Returns the routes, below the path of the issuer's identifier."""
        place = f"{self._base}/cards/{{secret}}"
        return [Route(place, self.ask, methods=["GET"]), Route(place, self.give, methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """Shows a link's first page."""
        try:
            secret = _secret(request)
            return self._first_page(secret, wants_code=await self._links.wants_code(secret))
        except SafeconductError as error:
            return self._refused(request, error)

    async def give(self, request: Request) -> Response:
        """Takes the form of a page: the card is shown, downloaded, or removed from here."""
        try:
            secret = _secret(request)
            body = await read_body(request, max_bytes=limits.FORM_BYTES, content_types={form.MEDIA_TYPE})
            return await self._done(request, secret, form.parse_form(body))
        except SafeconductError as error:
            return self._refused(request, error)

    async def _done(self, request: Request, secret: str, fields: dict[str, str]) -> Response:
        code = "".join(fields.get("code", "").split())
        jws = await self._links.open(secret, code)
        if jws is None:
            request.scope["state"]["code"] = "card_code_wrong"
            return self._first_page(secret, wants_code=True, wrong=True)
        match fields.get("action", "show"):
            case "file":
                return _file(jws)
            case "remove":
                await self._links.remove(secret)
                return self._notice(
                    "The card is removed from here", "What you have saved or printed stays good."
                )
            case _:
                return html.page(
                    "card.html", issuer=self._issuer, card=view(jws), action=self._action(secret), code=code
                )

    def _first_page(self, secret: str, *, wants_code: bool, wrong: bool = False) -> Response:
        return html.page(
            "card_link.html",
            status=403 if wrong else 200,
            issuer=self._issuer,
            action=self._action(secret),
            wants_code=wants_code,
            wrong=wrong,
        )

    def _refused(self, request: Request, error: SafeconductError) -> Response:
        request.scope["state"]["code"] = error.code
        if isinstance(error, CardLinkUnknown):
            return self._notice(
                "This link does not work",
                "It is unknown, has expired, or the card was removed.",
                status=404,
            )
        return self._notice("This does not work", error.reason, status=error.http_status)

    def _notice(self, heading: str, text: str, *, status: int = 200) -> Response:
        advice = "Ask for a new link where you were given this one." if status != 200 else ""
        return html.page(
            "notice.html",
            status=status,
            issuer=self._issuer,
            heading=heading,
            text=text,
            advice=advice,
            wrong=status != 200,
        )

    def _action(self, secret: str) -> str:
        return f"{self._base}/cards/{secret}"


def _secret(request: Request) -> str:
    secret = str(request.path_params["secret"])
    if not _SECRET.fullmatch(secret):
        raise CardLinkUnknown("card_link_unknown", "The link is unknown, or has expired.")
    return secret


def _file(jws: str) -> Response:
    return responses.body(
        files.write([jws]),
        media_type=files.MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )
