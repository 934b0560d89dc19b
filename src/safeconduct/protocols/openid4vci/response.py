"""Credential responses (OpenID4VCI 1.0 §8.3), as they are inside any encryption."""

import math
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct import limits as common
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, Unsupported
from safeconduct.protocols import wire

_RULE = "OpenID4VCI §8.3"
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Seconds = msgspec.Meta(gt=0, le=10**9)


class CredentialResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Issued credentials, as the text that their format has in JSON.

    notification_id: by which the wallet may tell what became of them.
    """

    credentials: tuple[str, ...]
    notification_id: str | None = None

    def __repr__(self) -> str:
        return f"<CredentialResponse of {len(self.credentials)}>"


class DeferredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The issuer needs time: ask again with `transaction_id`, not before `interval` seconds have passed."""

    transaction_id: str
    interval: int

    def __repr__(self) -> str:
        return f"<DeferredResponse interval={self.interval}>"


def http_status(response: CredentialResponse | DeferredResponse) -> int:
    """Returns the status that goes with a response: 200, or 202 for a deferred one."""
    return 200 if isinstance(response, CredentialResponse) else 202


def encode_credential_response(response: CredentialResponse | DeferredResponse) -> bytes:
    """Returns the JSON of a response."""
    if isinstance(response, DeferredResponse):
        return wire.encode({"transaction_id": response.transaction_id, "interval": response.interval})
    members: dict[str, Any] = {"credentials": [{"credential": text} for text in response.credentials]}
    if response.notification_id is not None:
        members["notification_id"] = response.notification_id
    return wire.encode(members)


def parse_credential_response(body: bytes, *, keys: int) -> CredentialResponse | DeferredResponse:
    """Reads the JSON of a response to a request with `keys` key proofs; unknown members are ignored.

    Raises Malformed; Rejected "response_ambiguous", "response_empty", "response_too_many",
    "response_interval_missing"; Unsupported "credential_not_text".
    """
    members = wire.read_json(body, _Response, what="Credential response")
    if members.credentials is None:
        return _deferred(members)
    if members.transaction_id is not None or members.interval is not None:
        raise Rejected("response_ambiguous", "The response both gives and defers.", rule=_RULE)
    if not members.credentials:
        raise Rejected("response_empty", "The response holds no credential.", rule=_RULE)
    # Each key binds at most one credential; a request without proofs asks for one.
    if len(members.credentials) > max(keys, 1):
        raise Rejected("response_too_many", "The response holds more credentials than keys sent.", rule=_RULE)
    return CredentialResponse(
        credentials=tuple(_text(entry.credential) for entry in members.credentials),
        notification_id=members.notification_id,
    )


def sd_cwt_text(token: bytes) -> str:
    """Returns an SD-CWT as a `credential`: base64url, as for every binary format (Appendix A)."""
    return b64.encode(token)


def sd_cwt_bytes(credential: str) -> bytes:
    """Returns the SD-CWT in a `credential`; raises Malformed if it is not base64url."""
    return b64.decode(credential, max_bytes=common.TOKEN_BYTES)


class _Issued(msgspec.Struct, frozen=True):
    credential: Any


class _Response(msgspec.Struct, frozen=True):
    credentials: Annotated[tuple[_Issued, ...], msgspec.Meta(max_length=limits.BATCH_SIZE)] | None = None
    notification_id: _Text | None = None
    transaction_id: _Text | None = None
    interval: Annotated[int, _Seconds] | Annotated[float, _Seconds] | None = None


def _deferred(members: _Response) -> DeferredResponse:
    if members.transaction_id is None:
        raise Rejected(
            "response_empty", "The response holds neither credentials nor a transaction.", rule=_RULE
        )
    if members.interval is None:
        raise Rejected(
            "response_interval_missing", "The response does not say when to ask again.", rule=_RULE
        )
    if members.notification_id is not None:
        raise Rejected("response_ambiguous", "A deferred response names a notification.", rule=_RULE)
    return DeferredResponse(transaction_id=members.transaction_id, interval=math.ceil(members.interval))


def _text(credential: Any) -> str:
    if not isinstance(credential, str):
        raise Unsupported("credential_not_text", "The credential is of a format written as a JSON object.")
    return credential
