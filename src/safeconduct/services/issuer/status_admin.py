"""Management HTTP of how issued credentials stand: revoke, suspend, reinstate."""

from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from safeconduct.storage.status.places import Standing
from safeconduct.web import responses
from safeconduct.web.body import read_body

VERBS: Mapping[str, Standing] = {"revoke": "invalid", "suspend": "suspended", "reinstate": "valid"}
"""What can be done with issued credentials, and how they stand afterwards."""


class Changes(Protocol):
    """What changes how the credentials of one delivery stand: the management of an issuer."""

    async def change_standing(self, issued_id: str, to: Standing) -> int:
        """Returns how many credentials have changed."""


def status_routes(of: Callable[[Request], Changes]) -> list[BaseRoute]:
    """Returns the routes. of: the management that a request is for."""

    def route(verb: str, to: Standing) -> Route:
        async def change(request: Request) -> Response:
            await read_body(request, max_bytes=0)
            issued_id = str(request.path_params["issued_id"])
            # Not every database takes any text; one that cannot be an id is unknown.
            known = issued_id if issued_id.isascii() and issued_id.isprintable() else ""
            return responses.json({"changed": await of(request).change_standing(known, to)})

        return Route(f"/issued/{{issued_id}}/{verb}", change, methods=["POST"])

    return [route(verb, to) for verb, to in VERBS.items()]
