"""The credential issuer's public HTTP: metadata, offers by reference, and the endpoints that wallets call."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.protocols.oauth.errors import InvalidRequest, OAuthError
from safeconduct.protocols.openid4vci.nonce import nonce_response_json
from safeconduct.protocols.openid4vci.offer import offer_json
from safeconduct.services.issuer.admission import Message
from safeconduct.services.issuer.challenges import NONCE_HEADER, at_resource
from safeconduct.services.issuer.offers import Offers
from safeconduct.services.issuer.publication import Publication
from safeconduct.services.issuer.service import Answer, Issuer
from safeconduct.web import responses
from safeconduct.web.body import read_body, single_header

_ANYONE = {"Access-Control-Allow-Origin": "*"}
"""What is public anyway may be read by wallets in browsers as well."""


def routes(issuer: Issuer, offers: Offers) -> list[Route]:
    """Returns the public routes of a credential issuer. If its identifier has a path, they stand below it."""
    path = urlsplit(issuer.url).path
    return [
        *_metadata_routes(issuer, path),
        *_offer_routes(offers, path),
        *_issuance_routes(issuer, path),
    ]


def _metadata_routes(issuer: Issuer, path: str) -> list[Route]:
    publication = Publication(issuer)
    caching = {"Cache-Control": f"max-age={issuer.settings.metadata_lifetime}", **_ANYONE}

    async def issuer_metadata(request: Request) -> Response:
        document = await publication.document(
            accept=_joined(request, "Accept"), accept_language=_joined(request, "Accept-Language")
        )
        headers = {**caching, "Vary": "Accept, Accept-Language"}
        if document.language is not None:
            headers["Content-Language"] = document.language
        return responses.body(document.body, media_type=document.media_type, headers=headers)

    async def signing_keys(_request: Request) -> Response:
        keys = [key.to_jwk() for key in issuer.signing_keys()]
        return responses.json({"issuer": issuer.url, "jwks": {"keys": keys}}, headers=caching)

    return [
        Route(f"/.well-known/openid-credential-issuer{path}", issuer_metadata, methods=["GET"]),
        Route(f"/.well-known/jwt-vc-issuer{path}", signing_keys, methods=["GET"]),
    ]


def _offer_routes(offers: Offers, path: str) -> list[Route]:
    async def offer(request: Request) -> Response:
        return responses.json(offer_json(await offers.by_reference(request.path_params["reference"])))

    return [Route(f"{path}/offers/{{reference}}", offer, methods=["GET"])]


def _issuance_routes(issuer: Issuer, path: str) -> list[Route]:
    async def nonce(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        nonces = await issuer.tenant.nonces()
        return responses.json(nonce_response_json(nonces.c_nonce), headers={NONCE_HEADER: nonces.dpop_nonce})

    async def credential(request: Request) -> Response:
        return await _answered(issuer, request, issuer.credential, max_bytes=limits.JWT_BYTES)

    async def deferred(request: Request) -> Response:
        return await _answered(issuer, request, issuer.deferred, max_bytes=limits.JWT_BYTES)

    async def notification(request: Request) -> Response:
        return await _answered(issuer, request, issuer.notification, max_bytes=limits.NOTIFICATION_BYTES)

    return [
        Route(f"{path}/nonce", nonce, methods=["POST"]),
        Route(f"{path}/credential", credential, methods=["POST"]),
        Route(f"{path}/deferred_credential", deferred, methods=["POST"]),
        Route(f"{path}/notification", notification, methods=["POST"]),
    ]


async def _answered(
    issuer: Issuer,
    request: Request,
    answer: Callable[[Message], Awaitable[Answer | None]],
    *,
    max_bytes: int,
) -> Response:
    """Passes a request to a protected endpoint on; gives its answer or challenge back with a fresh nonce."""
    message = Message(
        body=await read_body(request, max_bytes=max_bytes),
        content_type=single_header(request, "Content-Type"),
        authorization=single_header(request, "Authorization"),
        dpop=request.headers.getlist("DPoP"),
    )
    try:
        _check_no_query_token(request)
        answered = await answer(message)
    except OAuthError as error:
        raise at_resource(error, nonce=await issuer.tenant.dpop_nonce()) from error
    headers = {NONCE_HEADER: await issuer.tenant.dpop_nonce()}
    if answered is None:
        return responses.empty(headers=headers)
    return responses.body(
        answered.body, media_type=answered.media_type, status=answered.status, headers=headers
    )


def _joined(request: Request, name: str) -> str | None:
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None


def _check_no_query_token(request: Request) -> None:
    """An access token in a URL ends up in logs (RFC 6750 §5.3), so it is refused even if it is good."""
    if "access_token" in request.query_params:
        raise InvalidRequest(
            "token_in_query", "An access token must not be in the URL.", rule="RFC 6750 §2.3"
        )
