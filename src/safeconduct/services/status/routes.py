"""The HTTP of a published tree: plain files, for anybody, and as any static host serves them."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct.services.status.answers import FileAnswer
from safeconduct.services.status.faults import READABLE
from safeconduct.services.status.files import OpenFile
from safeconduct.services.status.representations import Known, Representations
from safeconduct.services.status.requests import asked_span, asks_for_change, takes_gzip
from safeconduct.web import responses

DELTA_SECONDS = 86400
"""How long a delta may be kept by caches: it never changes, and a wrong one is found out by its digest."""

PREFLIGHT_SECONDS = 86400

_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "If-None-Match, If-Range, Range",
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}

_COMPRESSIBLE = (".json", ".jwt")
_MEDIA_TYPES = {
    ".json": "application/json",
    ".jws": "application/jwt",
    ".jwt": "application/statuslist+jwt",
    ".cwt": "application/statuslist+cwt",
}
_ANY_BYTES = "application/octet-stream"
_DELTA = re.compile(r"crl/[A-Za-z0-9_-]{43}-\d+(-\d+)?\.json")


def routes(files: Representations, *, base: str, max_age: int) -> list[Route]:
    """Returns the routes of a tree.

    base: the path of the URL that the tree is known by, below which it stands in `/.well-known/`.
    max_age: seconds for which caches may use a file without asking again.
    """

    async def serve(request: Request) -> Response:
        return await _answer(files, request, str(request.path_params["path"]), max_age=max_age)

    async def preflight(_request: Request) -> Response:
        return responses.empty(headers=_PREFLIGHT)

    place = f"{base}/.well-known/{{path:path}}"
    return [Route(place, serve, methods=["GET"]), Route(place, preflight, methods=["OPTIONS"])]


async def _answer(files: Representations, request: Request, path: str, *, max_age: int) -> Response:
    """1. A part of a file is sent as it is; else it is compressed for those who take that.

    2. Who has what would be sent is told so. 3. The part that is asked for is sent, or all.
    """
    range_ = request.headers.get("Range") if request.method == "GET" else None
    compressible = path.endswith(_COMPRESSIBLE)
    compressed = compressible and range_ is None and takes_gzip(_joined(request, "Accept-Encoding"))
    file, known = await files.open(path, compressed=compressed)
    try:
        return _chosen(request, path, file, known, compressed=compressed, max_age=max_age)
    except BaseException:
        file.close()
        raise


def _chosen(
    request: Request, path: str, file: OpenFile, known: Known, *, compressed: bool, max_age: int
) -> Response:
    packed = known.gzip if compressed else None
    etag = known.etag if packed is None else known.gzip_etag
    headers = {**READABLE, **_cached(path, max_age), "ETag": etag, "Accept-Ranges": "bytes"}
    if not asks_for_change(_joined(request, "If-None-Match"), etag):
        file.close()
        return responses.empty(status=304, headers=headers)
    if packed is not None:
        file.close()
        return responses.body(
            packed, media_type=_media_type(path), headers={**headers, "Content-Encoding": "gzip"}
        )
    range_ = request.headers.get("Range") if request.method == "GET" else None
    span = asked_span(range_, request.headers.get("If-Range"), etag=etag, size=file.size)
    return FileAnswer(file, span, media_type=_media_type(path), headers=headers)


def _cached(path: str, max_age: int) -> Mapping[str, str]:
    seconds = DELTA_SECONDS if _DELTA.fullmatch(path) else max_age
    caching = {"Cache-Control": f"public, max-age={seconds}"}
    return {**caching, "Vary": "Accept-Encoding"} if path.endswith(_COMPRESSIBLE) else caching


def _media_type(path: str) -> str:
    return next((kind for end, kind in _MEDIA_TYPES.items() if path.endswith(end)), _ANY_BYTES)


def _joined(request: Request, name: str) -> str | None:
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
