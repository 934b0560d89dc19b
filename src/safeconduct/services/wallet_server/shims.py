"""Named leniencies for issuers of other versions, on the envelope only, each off until it is asked for.

A shim sees the status and the media type, and whether the body looks sealed or is an error. It never sees,
let alone changes, the body, `Authorization` or `DPoP`.
"""

from collections.abc import Callable, Collection, Mapping

import msgspec

from safeconduct.services.wallet_server.envelope import SEALED
from safeconduct.settings import Shim

OLD_SEALED = "application/jose"
ERROR = "application/json"

_VAGUE = frozenset({"", "text/plain", "application/octet-stream"})


class Head(msgspec.Struct, frozen=True):
    """What a shim sees of an issuer's answer. sealed, error: what its body looks like."""

    status: int
    media_type: str
    sealed: bool
    error: bool


def request_media_type(shims: Collection[Shim]) -> str:
    """Return the media type that a sealed request is sent under."""
    return OLD_SEALED if "request_as_jose" in shims else SEALED


def accepted_media_types(shims: Collection[Shim]) -> str:
    """Return the `Accept` header of a request."""
    old = f", {OLD_SEALED}" if "answer_as_jose" in shims else ""
    return f"{SEALED}, {ERROR}{old}"


def applied(head: Head, shims: Collection[Shim]) -> Head:
    """Return the head as it is passed on."""
    for name, shim in ANSWER_SHIMS.items():
        if name in shims:
            head = shim(head)
    return head


def _answer_as_jose(head: Head) -> Head:
    """Older drafts call sealed answers `application/jose`."""
    if head.sealed and head.media_type == OLD_SEALED:
        return msgspec.structs.replace(head, media_type=SEALED)
    return head


def _answer_untyped(head: Head) -> Head:
    """Some frameworks send no Content-Type, or a vague one, for what they do not know."""
    if head.sealed and head.status < 400 and head.media_type in _VAGUE:
        return msgspec.structs.replace(head, media_type=SEALED)
    return head


def _created_as_ok(head: Head) -> Head:
    """Some issuers regard a credential as a resource they created."""
    return msgspec.structs.replace(head, status=200) if head.sealed and head.status == 201 else head


def _error_untyped(head: Head) -> Head:
    """As `_answer_untyped`, for errors in JSON."""
    if head.error and head.status >= 400 and head.media_type in _VAGUE:
        return msgspec.structs.replace(head, media_type=ERROR)
    return head


ANSWER_SHIMS: Mapping[Shim, Callable[[Head], Head]] = {
    "answer_as_jose": _answer_as_jose,
    "answer_untyped": _answer_untyped,
    "created_as_ok": _created_as_ok,
    "error_untyped": _error_untyped,
}
"""In the order in which they are applied."""
