"""The status service's management HTTP: publish now, and what can be asked."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct.errors import Rejected
from safeconduct.services.status import openapi
from safeconduct.services.status.publication import Publication
from safeconduct.web import responses
from safeconduct.web.body import read_body


class PublishedElsewhere(Rejected):
    """This service only gives files out; something else publishes them."""

    http_status = 409


class PublicationFailed(Rejected):
    """The tree could not be written."""

    oauth_error = "temporarily_unavailable"
    http_status = 503
    http_headers: Mapping[str, str] = {"Retry-After": "30"}


def admin_routes(publication: Publication | None) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token.

    publication: None if something else publishes.
    """

    async def publish(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        if publication is None:
            raise PublishedElsewhere("published_elsewhere", "This service does not publish: refresh is 0.")
        try:
            written = await publication.now()
        except OSError:
            raise PublicationFailed("publication_failed", "The tree cannot be written.") from None
        return responses.json({"written": written})

    async def described(_request: Request) -> Response:
        return responses.json(openapi.management())

    return [
        Route("/publish", publish, methods=["POST"]),
        Route("/openapi.json", described, methods=["GET"]),
    ]
