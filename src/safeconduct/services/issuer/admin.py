"""The issuer's management HTTP: offers are made, listed and cancelled."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.services.issuer.offers import Offer, Offers
from safeconduct.web import responses
from safeconduct.web.body import read_body


def admin_routes(offers: Offers) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token."""

    async def create(request: Request) -> Response:
        body = await read_body(request, max_bytes=limits.JSON_BYTES, content_types={"application/json"})
        return responses.json(_offer_json(await offers.create(offers.parse_request(body))), status=201)

    async def listed(request: Request) -> Response:
        views = await offers.listed(request.query_params.get("state"))
        return responses.json({"offers": [msgspec.to_builtins(view) for view in views]})

    async def show(request: Request) -> Response:
        return responses.json(msgspec.to_builtins(await offers.find(request.path_params["offer_id"])))

    async def cancel(request: Request) -> Response:
        await offers.cancel(request.path_params["offer_id"])
        return responses.empty()

    async def configurations(_request: Request) -> Response:
        return responses.json({"configurations": _configurations(offers)})

    return [
        Route("/offers", create, methods=["POST"]),
        Route("/offers", listed, methods=["GET"]),
        Route("/offers/{offer_id}", show, methods=["GET"]),
        Route("/offers/{offer_id}", cancel, methods=["DELETE"]),
        Route("/configurations", configurations, methods=["GET"]),
    ]


def _offer_json(offer: Offer) -> dict[str, Any]:
    members = {"offer_id": offer.offer_id, "offer_uri": offer.uri, "expires_in": offer.expires_in}
    return members if offer.tx_code is None else {**members, "tx_code": offer.tx_code}


def _configurations(offers: Offers) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "vct": kind.configuration.vct,
            "claims": [
                {"path": list(claim.path), "mandatory": claim.mandatory}
                for claim in kind.configuration.claims
            ],
        }
        for name, kind in offers.catalogue.items()
    ]
