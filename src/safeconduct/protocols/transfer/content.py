"""What a message says once it is opened, `{"format": …, "content": {…}}`, and the format of shared offers."""

from typing import Annotated, Any, Final, TypeVar

import msgspec

from safeconduct import limits
from safeconduct.errors import Unsupported
from safeconduct.protocols import wire

T = TypeVar("T")

OFFER_FORMAT: Final = "openid4vci.credential_offer"
APPROVE_FORMAT: Final = "sct.approve/1"
SEALED_FORMAT: Final = "sct.sealed/1"
DELEGATION_FORMAT: Final = "sct.delegation/1"

_WHAT: Final = "The message of a transfer"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Content(msgspec.Struct, frozen=True):
    """A message.

    format: what `content` is; this project's own formats are constants of this module. content: its members.
    """

    format: str
    content: dict[str, Any]

    def __repr__(self) -> str:
        return "<Content (not shown)>"


class Share(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which share of which issuer an offer is for; enough to show a person before anything is redeemed.

    id: the issuer's name of the share. issuer: its identifier. expires: when the offer ends, Unix time.
    mode: "share", or "move" if the sender's credential ends with it. configuration_ids: what is offered.
    """

    id: _Text
    issuer: _Url
    expires: _Time | None = None
    mode: _Text = "share"
    configuration_ids: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=limits.LIST_ITEMS)] = (
        msgspec.field(name="credential_configuration_ids", default=())
    )

    def __repr__(self) -> str:
        return "<Share (not shown)>"


class Offer(msgspec.Struct, frozen=True):
    """The content of the format "openid4vci.credential_offer".

    credential_offer: the offer object (OpenID4VCI 1.0 §4.1.1), unread. share: None if the sender said nothing
    of it.
    """

    credential_offer: dict[str, Any]
    share: Share | None = None

    def __repr__(self) -> str:
        return "<Offer (not shown)>"


def encode_content(content: Content) -> bytes:
    """Returns the JSON text of a message."""
    return wire.encode({"format": content.format, "content": content.content})


def parse_content(text: bytes) -> Content:
    """Reads the JSON text of a message, padding and unknown members included.

    Raises Malformed "message_malformed" and those of `encoding.json`.
    """
    message = wire.read_json(text, _Message, what=_WHAT, max_bytes=limits.TRANSFER_DATA_CHARS)
    return Content(message.format, message.content)


def offer_content(offer: Offer) -> Content:
    """Returns an offer as a message."""
    return Content(OFFER_FORMAT, wire.plain(offer))


def read_offer(content: Content) -> Offer:
    """Returns the offer that a message carries.

    Raises Unsupported "content_format_unsupported" for a message of another format, Malformed
    "message_malformed".
    """
    return read_members(content, OFFER_FORMAT, Offer)


def read_members(content: Content, format_: str, type_: type[T]) -> T:
    """Returns the content of a message of `format_` as `type_`; raises the errors of `read_offer`."""
    if content.format != format_:
        raise Unsupported("content_format_unsupported", "The message is not of the format expected here.")
    return wire.read(content.content, type_, what=_WHAT)


class _Message(msgspec.Struct, frozen=True):
    format: _Text
    content: dict[str, Any]
