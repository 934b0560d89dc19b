"""What a browser or a preview bot gets for a link: the sender's words, and what to do with the link.

The page runs no script, has no form, and asks no host for anything, this one included. However often it is
loaded, by whomever, nothing is bound and nothing is counted (A3, A4). The picture for previews is named in
the page's head and not shown on it.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct.errors import SafeconductError
from safeconduct.services.relay.addresses import Endpoint, Gate
from safeconduct.services.relay.display import PICTURE_PATH, Display, picture_of
from safeconduct.web import html, responses

MAILBOX_PATH = "/v1/m/{id}"
"""Where a mailbox lies, below the base URL."""

ALLOWED = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
"""The methods of a mailbox."""

UNTITLED = "Something was sent to you"
"""Title of a page to which its sender gave none."""

PICTURE_SECONDS = 86400
"""How long the relay's own picture may be kept: it is the same for every mailbox, and tells nothing."""


class PreviewPages:
    """The pages of one relay."""

    def __init__(self, find: Callable[[str], Awaitable[Display]], *, base: str, gate: Gate) -> None:
        """find: gives what may be shown of a live mailbox, by the id in the path.

        For every other id it raises one and the same SafeconductError. base: the relay's public URL.
        """
        self._find = find
        self._base = base
        self._gate = gate
        self._relay = urlsplit(base).netloc

    def routes(self) -> list[Route]:
        """Returns the routes: the page, what may be asked of a mailbox, and the picture."""
        page = self._shown(self._gate.guarding(self.preview, may_navigate=True))
        return [
            Route(MAILBOX_PATH, page, methods=["GET", "HEAD"]),
            Route(MAILBOX_PATH, _options, methods=["OPTIONS"]),
            Route(PICTURE_PATH, _picture, methods=["GET", "HEAD"]),
        ]

    async def preview(self, request: Request) -> Response:
        """Shows what the sender wrote of a mailbox."""
        mailbox = str(request.path_params["id"])
        display = await self._find(mailbox)
        return html.page(
            "relay.html",
            form_actions=None,
            relay=self._relay,
            title=display.title or UNTITLED,
            description=display.description,
            link=f"{self._base}/v1/m/{mailbox.lower()}",
            picture=picture_of(display, base=self._base),
            own_picture=not display.image_url,
        )

    def _shown(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, whose errors are pages: a person may be at the other end."""

        async def shown(request: Request) -> Response:
            try:
                return await endpoint(request)
            except SafeconductError as error:
                request.scope["state"]["code"] = error.code
                return self._refused(error)

        return shown

    def _refused(self, error: SafeconductError) -> Response:
        gone = error.http_status == 404
        response = html.page(
            "notice.html",
            status=error.http_status,
            form_actions=None,
            issuer=self._relay,
            heading="This link does not work" if gone else "This does not work now",
            text="It is unknown, has expired, or was used or withdrawn." if gone else error.reason,
            advice="Ask for a new link where you were given this one." if gone else "",
            wrong=True,
        )
        response.headers.update(getattr(error, "http_headers", {}))
        return response


async def _options(_request: Request) -> Response:
    """The same for every id, and nothing for pages of other origins (CORS): a mailbox is for wallets."""
    return responses.empty(headers={"Allow": ALLOWED})


async def _picture(_request: Request) -> Response:
    headers = {"Cache-Control": f"public, max-age={PICTURE_SECONDS}"}
    return responses.body(_picture_bytes(), media_type="image/png", headers=headers)


@cache
def _picture_bytes() -> bytes:
    return resources.files("safeconduct.web").joinpath("static/relay.png").read_bytes()
