"""The issuer's management HTTP: offers, issued credentials and their shares, login links, keys, health cards.

Of several tenants each has it below `/tenants/{name}`.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci.sharing import cancelled_json
from safeconduct.services.issuer import openapi
from safeconduct.services.issuer.card_admin import card_routes
from safeconduct.services.issuer.management import Management
from safeconduct.services.issuer.management_store import DeferredState, Verdict
from safeconduct.services.issuer.offers import ManagementText, Offer
from safeconduct.services.issuer.paging import LISTED, Page, Span, cursor_of
from safeconduct.services.issuer.shares import State as ShareState
from safeconduct.services.issuer.status_admin import status_routes
from safeconduct.web import responses
from safeconduct.web.body import read_body, single_header

Query = TypeVar("Query", bound=msgspec.Struct)
Value = TypeVar("Value")
View = TypeVar("View", bound=msgspec.Struct)

_JSON = {"application/json"}
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9._~-]{16,128}")
_LATEST = (1 << 53) - 1


class TenantUnknown(Rejected):
    """There is no tenant of this name."""

    http_status = 404


def admin_routes(managed: Mapping[str, Management]) -> list[BaseRoute]:
    """Returns the management routes; the listener they stand on asks for the token.

    managed: by the tenants' names; "" for an issuer that has no tenants.
    """

    def of(request: Request) -> Management:
        found = managed.get(request.path_params.get("tenant", ""))
        if found is None:
            raise TenantUnknown("tenant_unknown", "There is no such tenant.")
        return found

    async def create(request: Request) -> Response:
        offers = of(request).offers
        body = await read_body(request, max_bytes=limits.JSON_BYTES, content_types=_JSON)
        made = await offers.create(offers.parse_request(body), idempotency_key=_idempotency_key(request))
        return responses.json(_offer_json(made), status=201)

    async def listed(request: Request) -> Response:
        offers, query = of(request).offers, _query(request, _OfferQuery)
        page = Page.read(query.limit, _given(query.cursor))
        views = await offers.listed(
            state=_given(query.state),
            reference=_given(query.reference),
            span=_span(query),
            page=page,
        )
        return _page("offers", views, page, key=lambda view: (view.created_at, view.offer_id))

    async def show(request: Request) -> Response:
        return responses.json(msgspec.to_builtins(await of(request).offers.find(_id(request, "offer_id"))))

    async def cancel(request: Request) -> Response:
        await of(request).offers.cancel(_id(request, "offer_id"))
        return responses.empty()

    async def deferred(request: Request) -> Response:
        query = _query(request, _DeferredQuery)
        page = Page.read(query.limit, _given(query.cursor))
        views = await of(request).deferred(state=_given(query.state), page=page)
        return _page("deferred", views, page, key=lambda view: (view.created_at, view.transaction_id))

    async def decide(request: Request, verdict: Verdict) -> Response:
        await read_body(request, max_bytes=0)
        await of(request).decide(_id(request, "transaction_id"), verdict)
        return responses.empty()

    async def approve(request: Request) -> Response:
        return await decide(request, "approved")

    async def deny(request: Request) -> Response:
        return await decide(request, "denied")

    async def issued(request: Request) -> Response:
        query = _query(request, _IssuedQuery)
        page = Page.read(query.limit, _given(query.cursor))
        views = await of(request).issued(
            configuration_id=_given(query.configuration_id),
            reference=_given(query.reference),
            span=_span(query),
            page=page,
        )
        return _page("issued", views, page, key=lambda view: (view.issued_at, view.issued_id))

    async def shares(request: Request) -> Response:
        query = _query(request, _ShareQuery)
        page = Page.read(query.limit, _given(query.cursor))
        views = await of(request).shares(
            state=_given(query.state), issued_id=_given(query.issued_id), span=_span(query), page=page
        )
        return _page("shares", views, page, key=lambda view: (view.created_at, view.share_id))

    async def show_share(request: Request) -> Response:
        return responses.json(msgspec.to_builtins(await of(request).share(_id(request, "share_id"))))

    async def revoke_share(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        return responses.json(cancelled_json(await of(request).end_share(_id(request, "share_id"))))

    async def link(request: Request) -> Response:
        management = of(request)
        body = await read_body(request, max_bytes=limits.JSON_BYTES, content_types=_JSON)
        wanted = wire.read_json(body, _LinkRequest, what="Link request")
        made = await management.create_link(wanted.subject)
        return responses.json({"url": made.url, "expires_in": made.expires_in}, status=201)

    async def rotate(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        rotation = await of(request).rotate_encryption()
        return responses.json({"published_at": rotation.published_at, "destroyed_at": rotation.destroyed_at})

    async def configurations(request: Request) -> Response:
        return responses.json({"configurations": _configurations(of(request))})

    async def tenants(_request: Request) -> Response:
        known = [{"name": name, "identifier": one.url} for name, one in managed.items() if name]
        return responses.json({"tenants": known})

    async def described(_request: Request) -> Response:
        return responses.json(openapi.management(tenants="" not in managed))

    own = [
        Route("/offers", create, methods=["POST"]),
        Route("/offers", listed, methods=["GET"]),
        Route("/offers/{offer_id}", show, methods=["GET"]),
        Route("/offers/{offer_id}", cancel, methods=["DELETE"]),
        Route("/deferred", deferred, methods=["GET"]),
        Route("/deferred/{transaction_id}/approve", approve, methods=["POST"]),
        Route("/deferred/{transaction_id}/deny", deny, methods=["POST"]),
        Route("/issued", issued, methods=["GET"]),
        *status_routes(of),
        Route("/shares", shares, methods=["GET"]),
        Route("/shares/{share_id}", show_share, methods=["GET"]),
        Route("/shares/{share_id}/revoke", revoke_share, methods=["POST"]),
        Route("/links", link, methods=["POST"]),
        Route("/keys/rotate", rotate, methods=["POST"]),
        Route("/configurations", configurations, methods=["GET"]),
        *card_routes(lambda request: of(request).cards),
    ]
    for_all: list[BaseRoute] = [
        Route("/tenants", tenants, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
    ]
    if "" in managed:
        return [*for_all, *own]
    return [*for_all, Mount("/tenants/{tenant}", app=Router(own, redirect_slashes=False))]


_Time = Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
_Limit = Annotated[int, msgspec.Meta(ge=1, le=LISTED)]

# What is left out is UNSET: if None were a value, the text "null" would be read as it.


class _PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: _Limit = LISTED
    cursor: ManagementText | UnsetType = UNSET


class _OfferQuery(_PageQuery, frozen=True, kw_only=True):
    state: ManagementText | UnsetType = UNSET
    reference: ManagementText | UnsetType = UNSET
    since: _Time | UnsetType = UNSET
    until: _Time | UnsetType = UNSET


class _DeferredQuery(_PageQuery, frozen=True, kw_only=True):
    state: DeferredState | UnsetType = UNSET


class _IssuedQuery(_PageQuery, frozen=True, kw_only=True):
    configuration_id: ManagementText | UnsetType = UNSET
    reference: ManagementText | UnsetType = UNSET
    since: _Time | UnsetType = UNSET
    until: _Time | UnsetType = UNSET


class _ShareQuery(_PageQuery, frozen=True, kw_only=True):
    state: ShareState | UnsetType = UNSET
    issued_id: ManagementText | UnsetType = UNSET
    since: _Time | UnsetType = UNSET
    until: _Time | UnsetType = UNSET


class _LinkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: ManagementText


def _query(request: Request, kind: type[Query]) -> Query:
    """The parameters of the URL. Raises Malformed "parameter_repeated", "parameter_malformed"."""
    pairs = request.query_params.multi_items()
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Malformed("parameter_repeated", "A parameter of the URL is repeated.")
    try:
        return msgspec.convert(members, kind, strict=False)
    except msgspec.ValidationError:
        known = ", ".join(kind.__struct_fields__)
        raise Malformed(
            "parameter_malformed", f"A parameter of the URL has a wrong value, or is none of {known}."
        ) from None


def _given(value: Value | UnsetType) -> Value | None:
    return None if isinstance(value, UnsetType) else value


def _span(query: "_OfferQuery | _IssuedQuery | _ShareQuery") -> Span:
    return Span(_given(query.since), _given(query.until))


def _id(request: Request, name: str) -> str:
    """An id in the path; one that cannot be any is "" and so unknown: not every database takes any text."""
    text = str(request.path_params[name])
    return text if text.isascii() and text.isprintable() else ""


def _idempotency_key(request: Request) -> str | None:
    key = single_header(request, "Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key.strip('"')):
        raise Malformed(
            "idempotency_key_malformed", "An Idempotency-Key has 16 to 128 letters, digits and ._~- here."
        )
    return key and key.strip('"')


def _page(name: str, views: Sequence[View], page: Page, *, key: Any) -> Response:
    shown = views[: page.limit]
    members: dict[str, Any] = {name: [msgspec.to_builtins(view) for view in shown]}
    if len(views) > page.limit:
        members["next"] = cursor_of(*key(shown[-1]))
    return responses.json(members)


def _offer_json(offer: Offer) -> dict[str, Any]:
    members: dict[str, Any] = {
        "offer_id": offer.offer_id,
        "offer_uri": offer.uri,
        "expires_in": offer.expires_in,
    }
    if offer.tx_code is not None:
        members["tx_code"] = offer.tx_code
    if offer.qr is not None:
        picture = base64.b64encode(offer.qr.data).decode()
        members["qr"] = {"media_type": offer.qr.media_type, "data": picture}
    return members


def _configurations(management: Management) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "vct": kind.configuration.vct,
            "claims": [
                {"path": list(claim.path), "mandatory": claim.mandatory}
                for claim in kind.configuration.claims
            ],
        }
        for name, kind in management.catalogue.items()
    ]
