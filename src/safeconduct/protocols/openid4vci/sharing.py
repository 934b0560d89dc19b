"""Sharing a credential at its issuer: the messages of both sides.

A holder shows its credential, made out to the issuer and with a nonce of the issuer's, and gets a credential
offer for another person: a new credential, bound to that person's key, with no more rights and no longer life
than its own. Redeemed is the offer as any other (OpenID4VCI 1.0 §4.1, §6, §8). With another presentation it
gets an access token for the list of its shares, where it may cancel and revoke them.

All are JSON; presentations stand in them as text, one in CBOR in base64url.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT
from safeconduct.protocols.openid4vci.offer import parse_offer
from safeconduct.protocols.openid4vci.sharing_errors import InvalidPresentation, InvalidShareRequest
from safeconduct.protocols.openid4vci.sharing_terms import ShareLevel, ShareMode

FORMATS = (SD_JWT, SD_CWT)
"""Formats of credentials that can be shared."""

_JKT_BYTES = 32
_ID_BYTES = 16
_ID_LABEL = "safeconduct share"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{16,128}")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Rights = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=limits.LIST_ITEMS)]


class ShareChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder needs to show its credential to the issuer. expires_in: seconds."""

    nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NONCE_CHARS)]
    audience: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
    expires_in: _Seconds

    def __repr__(self) -> str:
        return f"<ShareChallenge expires_in={self.expires_in}>"


class ShareBinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To whom the share is bound. jkt: thumbprint of the receiver's key (RFC 7638, SHA-256), in base64url."""

    level: ShareLevel
    jkt: str | None = None

    def __repr__(self) -> str:
        return f"<ShareBinding {self.level}>"


class ShareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a share.

    presentation: of the credential, with whatever the new one shall say disclosed. format: of it.
    entitlements: what of the rights is given; None: all that are disclosed.
    not_before, expires: of the new credential, Unix seconds. lifetime: of the offer, seconds.
    request_id: names the share beforehand; see `share_id_of`.
    """

    presentation: bytes
    format: str
    mode: ShareMode
    binding: ShareBinding
    entitlements: tuple[str, ...] | None = None
    not_before: int | None = None
    expires: int | None = None
    lifetime: int | None = None
    request_id: str | None = None

    def __repr__(self) -> str:
        return f"<ShareRequest {self.mode} {self.binding.level}>"


class CreatedShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new share. credential_offer: for its receiver. tx_code: also, by another way. expires_at: of both."""

    share_id: _Text
    credential_offer: dict[str, Any]
    tx_code: _Text | None = None
    expires_at: _Seconds
    level: _Text
    mode: _Text

    def __repr__(self) -> str:
        return f"<CreatedShare {self.mode} {self.level}>"


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for access to the shares of a credential; nothing need be disclosed."""

    presentation: bytes
    format: str

    def __repr__(self) -> str:
        return f"<AccessRequest of {len(self.presentation)} bytes>"


class SharesAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Access to the shares of a credential, by a bearer token. expires_in: seconds."""

    access_token: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.TOKEN_CHARS)]
    expires_in: _Seconds

    def __repr__(self) -> str:
        return f"<SharesAccess expires_in={self.expires_in}>"


class ShareView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A share, as its sender sees it: nothing of the receiver.

    expires_at: of the offer. credential_expires: latest end of the new credential. pinned: whether only one
    key can redeem it.
    """

    share_id: _Text
    state: _Text
    mode: _Text
    level: _Text
    created_at: _Seconds
    expires_at: _Seconds
    pinned: bool
    entitlements: _Rights | None = None
    credential_expires: _Seconds | None = None

    def __repr__(self) -> str:
        return f"<ShareView {self.state}>"


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What cancelling came to.

    outcome: "cancelled" before anything was issued, "revoked" after, "already_expired", "already_over".
    """

    outcome: _Text
    state: _Text


def share_id_of(issuer: str, request_id: str) -> str:
    """Returns the name of the share that a request with this id makes, or has made.

    So its sender can cancel it even if the answer is lost. Whoever does not know the request id, which is
    random, cannot tell the name.
    """
    digest = hashlib.sha256(f"{_ID_LABEL}\0{issuer}\0{request_id}".encode()).digest()
    return digest[:_ID_BYTES].hex()


def challenge_json(challenge: ShareChallenge) -> dict[str, Any]:
    """Returns the JSON members of a challenge; send them with `Cache-Control: no-store`."""
    return wire.plain(challenge)


def parse_challenge(body: bytes) -> ShareChallenge:
    """Reads a challenge. Raises Malformed."""
    return wire.read_json(body, ShareChallenge, what="Share challenge")


def encode_share_request(request: ShareRequest) -> bytes:
    """Returns the JSON of a request for a share."""
    message = _ShareRequest(
        **{name: getattr(request, name) for name in ShareRequest.__struct_fields__ if name != "presentation"},
        presentation=_presented_text(request.presentation, request.format),
    )
    return wire.encode(wire.plain(message))


def parse_share_request(body: bytes) -> ShareRequest:
    """Reads a request for a share; unknown members are ignored.

    Raises InvalidShareRequest "message_malformed", "share_format_unknown", "jkt_missing", "jkt_malformed",
    "jkt_unexpected", "share_request_id_malformed", "share_entitlements_empty", "share_entitlements_repeated",
    and what JSON is not; InvalidPresentation (no base64url).
    """
    with reported_as(InvalidShareRequest):
        message = wire.read_json(
            body, _ShareRequest, what="Share request", max_bytes=limits.SHARE_REQUEST_BYTES
        )
    _check_binding(message.binding)
    if message.request_id is not None and not _REQUEST_ID.fullmatch(message.request_id):
        raise InvalidShareRequest(
            "share_request_id_malformed", "A request_id has 16 to 128 letters, digits and ._~- here."
        )
    if message.entitlements == ():
        raise InvalidShareRequest("share_entitlements_empty", "A share without any right is none.")
    if message.entitlements and len(set(message.entitlements)) != len(message.entitlements):
        raise InvalidShareRequest("share_entitlements_repeated", "An entitlement is named twice.")
    members = {name: getattr(message, name) for name in _ShareRequest.__struct_fields__}
    return ShareRequest(**{**members, "presentation": _presented(message.presentation, message.format)})


def created_json(share: CreatedShare) -> dict[str, Any]:
    """Returns the JSON members of a new share; send them with `Cache-Control: no-store`."""
    return wire.plain(share)


def parse_created_share(body: bytes, *, allow_http_loopback: bool = False) -> CreatedShare:
    """Reads a new share and what it offers. Raises Malformed, and what `parse_offer` raises."""
    share = wire.read_json(body, CreatedShare, what="Share", max_bytes=2 * limits.OFFER_BYTES)
    parse_offer(json.dumps(share.credential_offer), allow_http_loopback=allow_http_loopback)
    return share


def encode_access_request(request: AccessRequest) -> bytes:
    """Returns the JSON of a request for access."""
    text = _presented_text(request.presentation, request.format)
    return wire.encode({"presentation": text, "format": request.format})


def parse_access_request(body: bytes) -> AccessRequest:
    """Reads a request for access. Raises InvalidShareRequest, InvalidPresentation."""
    with reported_as(InvalidShareRequest):
        message = wire.read_json(
            body, _AccessRequest, what="Access request", max_bytes=limits.SHARE_REQUEST_BYTES
        )
    return AccessRequest(presentation=_presented(message.presentation, message.format), format=message.format)


def access_json(access: SharesAccess) -> dict[str, Any]:
    """Returns the JSON members of a token response (RFC 6749 §5.1)."""
    return {"access_token": access.access_token, "token_type": "Bearer", "expires_in": access.expires_in}


def parse_access(body: bytes) -> SharesAccess:
    """Reads the token response. Raises Malformed."""
    return wire.read_json(body, SharesAccess, what="Access to shares")


def shares_json(views: Sequence[ShareView]) -> dict[str, Any]:
    """Returns the JSON members of the list of shares."""
    return {"shares": [wire.plain(view) for view in views]}


def parse_shares(body: bytes) -> tuple[ShareView, ...]:
    """Reads the list of shares. Raises Malformed."""
    return wire.read_json(body, _Shares, what="Shares").shares


def view_json(view: ShareView) -> dict[str, Any]:
    """Returns the JSON members of one share."""
    return wire.plain(view)


def parse_view(body: bytes) -> ShareView:
    """Reads one share. Raises Malformed."""
    return wire.read_json(body, ShareView, what="Share")


def encode_pin(jkt: str) -> bytes:
    """Returns the JSON that pins a share to the key with this thumbprint."""
    return wire.encode({"jkt": jkt})


def parse_pin(body: bytes) -> str:
    """Reads the thumbprint of the key that a share is to be pinned to.

    Raises InvalidShareRequest "message_malformed", "jkt_malformed", and what JSON is not.
    """
    with reported_as(InvalidShareRequest):
        jkt = wire.read_json(body, _Pin, what="Pin", max_bytes=limits.SHARE_PIN_BYTES).jkt
    _check_jkt(jkt)
    return jkt


def cancelled_json(cancelled: Cancelled) -> dict[str, Any]:
    """Returns the JSON members of what cancelling came to."""
    return wire.plain(cancelled)


def parse_cancelled(body: bytes) -> Cancelled:
    """Reads what cancelling came to. Raises Malformed."""
    return wire.read_json(body, Cancelled, what="Cancelled share")


class _AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    presentation: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.SHARE_REQUEST_BYTES)]
    format: _Text


class _ShareRequest(_AccessRequest, frozen=True, kw_only=True, omit_defaults=True):
    mode: ShareMode
    binding: ShareBinding
    entitlements: _Rights | None = None
    not_before: _Seconds | None = None
    expires: _Seconds | None = None
    lifetime: Annotated[int, msgspec.Meta(ge=1, le=limits.OFFER_SECONDS)] | None = None
    request_id: _Text | None = None


class _Shares(msgspec.Struct, frozen=True):
    shares: Annotated[tuple[ShareView, ...], msgspec.Meta(max_length=limits.SHARES_REMEMBERED)]


class _Pin(msgspec.Struct, frozen=True):
    jkt: str


def _check_binding(binding: ShareBinding) -> None:
    if binding.level == "key" and binding.jkt is None:
        raise InvalidShareRequest("jkt_missing", "A share for a key names the key's thumbprint.")
    if binding.level != "key" and binding.jkt is not None:
        raise InvalidShareRequest("jkt_unexpected", "Only a share for a key names one when it is made.")
    if binding.jkt is not None:
        _check_jkt(binding.jkt)


def _check_jkt(jkt: str) -> None:
    """A thumbprint has one spelling: others would never fit a key."""
    try:
        fits = len(b64.decode(jkt, max_bytes=_JKT_BYTES)) == _JKT_BYTES
    except Malformed:
        fits = False
    if not fits:
        raise InvalidShareRequest(
            "jkt_malformed", "A thumbprint is a SHA-256 digest in base64url.", rule="RFC 7638 §3.1"
        )


def _presented_text(presentation: bytes, format_: str) -> str:
    return b64.encode(presentation) if format_ == SD_CWT else presentation.decode("ascii")


def _presented(text: str, format_: str) -> bytes:
    if format_ not in FORMATS:
        raise InvalidShareRequest("share_format_unknown", "Credentials of this format are not shared.")
    with reported_as(InvalidPresentation):
        if format_ == SD_CWT:
            return b64.decode(text, max_bytes=limits.TOKEN_BYTES)
        if len(text) > limits.TOKEN_BYTES or not text.isascii():
            raise Malformed("sd_jwt_malformed", "The presentation is no SD-JWT.")
        return text.encode("ascii")
