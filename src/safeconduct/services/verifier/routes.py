"""The verifier's HTTP: nonces and presentations for holders, requests and results for management."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.protocols import wire
from safeconduct.services.verifier.formats import judges
from safeconduct.services.verifier.service import Challenge, Verifier, nonce_text
from safeconduct.services.verifier.store import Keep, Result
from safeconduct.web import responses
from safeconduct.web.body import content_type, read_body

_REQUEST_BYTES = 4096


def routes(verifier: Verifier) -> list[Route]:
    """Returns the public routes."""
    settings = verifier.settings
    found = judges(settings.profiles, delegated=settings.delegation_depth > 0)

    async def nonces(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        return responses.json(_challenge_json(await verifier.challenge_stranger()))

    async def presentations(request: Request) -> Response:
        body = await read_body(request, max_bytes=limits.TOKEN_BYTES, content_types=set(found))
        shown = await verifier.judge(body, found[content_type(request)])
        status = {} if shown.status is None else {"status": shown.status.state}
        passed_on = {"delegations": shown.delegations} if shown.delegations else {}
        return responses.json(
            {"claims": shown.claims, "key_binding": shown.key_binding, **status, **passed_on}
        )

    return [
        Route("/nonces", nonces, methods=["POST"]),
        Route("/presentations", presentations, methods=["POST"]),
    ]


def admin_routes(verifier: Verifier) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token."""

    async def create(request: Request) -> Response:
        body = await read_body(request, max_bytes=_REQUEST_BYTES, content_types={"application/json"})
        wanted = wire.read_json(body, _Wanted, what="Request")
        challenge = await verifier.challenge(keep=wanted.keep)
        members = {"request_id": challenge.request_id, **_challenge_json(challenge)}
        return responses.json(members, status=201)

    async def show(request: Request) -> Response:
        return responses.json(_result_json(await verifier.result(_request_id(request))))

    async def forget(request: Request) -> Response:
        await verifier.forget(_request_id(request))
        return responses.empty()

    return [
        Route("/requests", create, methods=["POST"]),
        Route("/requests/{request_id}", show, methods=["GET"]),
        Route("/requests/{request_id}", forget, methods=["DELETE"]),
    ]


def _request_id(request: Request) -> str:
    """The id in the path; one that cannot be any is "" and so unknown: not every database takes any text."""
    text = str(request.path_params["request_id"])
    return text if text.isascii() and text.isprintable() else ""


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep: Keep = "verdict"


def _challenge_json(challenge: Challenge) -> dict[str, Any]:
    return {
        "nonce": nonce_text(challenge.nonce),
        "audience": challenge.audience,
        "expires_in": challenge.expires_in,
    }


def _result_json(result: Result) -> dict[str, Any]:
    members = {
        "state": result.state,
        "code": result.code,
        "issuer": result.issuer,
        "claims": None if result.claims is None else json.loads(result.claims),
    }
    return {name: value for name, value in members.items() if value is not None}
