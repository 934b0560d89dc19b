"""Credential offers (OpenID4VCI 1.0 §4.1), by value and by reference.

An offer is untrusted: anyone can make one. It only says where to begin.
"""

import secrets
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import form, urls
from safeconduct.protocols.oauth.token import PRE_AUTHORIZED_CODE

SCHEME = "openid-credential-offer"

_DEFAULT_TX_CODE_LENGTH = 6
_LONGEST_TX_CODE = 64
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no I, O, 0, 1: a person reads and types these
_WHAT = "Credential offer"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]


class TxCode(msgspec.Struct, frozen=True, omit_defaults=True):
    """That a transaction code is needed, and how it looks.

    input_mode: "numeric" or "text". length: characters, if known. description: where to find the code.
    """

    input_mode: str = "numeric"
    length: Annotated[int, msgspec.Meta(ge=1, le=_LONGEST_TX_CODE)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=300)] | None = None


class PreAuthorizedGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code that needs no login; whoever holds it (and the transaction code) gets the credential.

    tx_code: None if no transaction code is needed.
    authorization_server: which of the issuer's servers takes the code.
    """

    code: _Text = msgspec.field(name="pre-authorized_code")
    tx_code: TxCode | None = None
    authorization_server: _Url | None = None

    def __repr__(self) -> str:
        return f"<PreAuthorizedGrant tx_code={self.tx_code is not None}>"


class AuthorizationCodeGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invitation to log in at the authorization server; `issuer_state` must be sent along."""

    issuer_state: _Text | None = None
    authorization_server: _Url | None = None


class CredentialOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer offers. Without a grant the wallet chooses one from the issuer's metadata."""

    credential_issuer: str
    credential_configuration_ids: tuple[str, ...]
    pre_authorized: PreAuthorizedGrant | None = None
    authorization_code: AuthorizationCodeGrant | None = None


class OfferReference(msgspec.Struct, frozen=True):
    """Where the offer is to be fetched; fetching tells the issuer that somebody has it."""

    url: str


def parse_offer(body: bytes | str, *, allow_http_loopback: bool = False) -> CredentialOffer:
    """Reads a credential offer object.

    allow_http_loopback: takes an issuer on the local machine without TLS.

    Raises Malformed (not JSON, "message_malformed"); Rejected "offer_configuration_repeated",
    "tx_code_mode_unknown", "url_not_https".
    """
    offer = wire.read_json(body, _Offer, what=_WHAT, max_bytes=limits.OFFER_BYTES)
    urls.check_identifier(
        offer.credential_issuer, what="credential_issuer", allow_http_loopback=allow_http_loopback
    )
    ids = offer.credential_configuration_ids
    if len(set(ids)) != len(ids):
        raise Rejected("offer_configuration_repeated", "The offer names a configuration twice.")
    grants = offer.grants or _Grants()
    _check_tx_code(grants.pre_authorized)
    return CredentialOffer(
        credential_issuer=offer.credential_issuer,
        credential_configuration_ids=ids,
        pre_authorized=grants.pre_authorized,
        authorization_code=grants.authorization_code,
    )


def offer_json(offer: CredentialOffer) -> dict[str, Any]:
    """Returns the JSON members of the offer object."""
    grants = _Grants(pre_authorized=offer.pre_authorized, authorization_code=offer.authorization_code)
    return wire.plain(
        _Offer(
            credential_issuer=offer.credential_issuer,
            credential_configuration_ids=offer.credential_configuration_ids,
            grants=None if grants == _Grants() else grants,
        )
    )


def uri_by_value(offer: CredentialOffer) -> str:
    """Returns the offer itself as a URI that opens a wallet."""
    return f"{SCHEME}://?credential_offer={quote(wire.encode(offer_json(offer)), safe='')}"


def uri_by_reference(url: str) -> str:
    """Returns the URI that makes a wallet fetch the offer from `url`; short enough for a small QR code."""
    return f"{SCHEME}://?credential_offer_uri={quote(url, safe='')}"


def parse_offer_uri(uri: str, *, allow_http_loopback: bool = False) -> CredentialOffer | OfferReference:
    """Reads the URI of an offer: `openid-credential-offer://`, or any other that opens a wallet.

    Raises Malformed "offer_uri_malformed"; Rejected "offer_uri_ambiguous" (not exactly one of
    `credential_offer` and `credential_offer_uri`), and what `parse_offer` raises.
    """
    parameters = _query(uri)
    by_value, by_reference = parameters.get("credential_offer"), parameters.get("credential_offer_uri")
    if by_value is not None and by_reference is None:
        return parse_offer(by_value, allow_http_loopback=allow_http_loopback)
    if by_reference is not None and by_value is None:
        urls.check_url(by_reference, what="credential_offer_uri", allow_http_loopback=allow_http_loopback)
        return OfferReference(by_reference)
    raise Rejected("offer_uri_ambiguous", "The URI holds not exactly one offer.", rule="OpenID4VCI §4.1")


def new_tx_code(tx_code: TxCode, *, random: Random = secrets.token_bytes) -> str:
    """Returns a fresh transaction code of the kind that `tx_code` announces."""
    alphabet = _LETTERS if tx_code.input_mode == "text" else _DIGITS
    length = tx_code.length or _DEFAULT_TX_CODE_LENGTH
    # 16 bytes more than needed: the remainder's bias is below 2^-128.
    number = int.from_bytes(random(length + 16), "big")
    characters = []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        characters.append(alphabet[index])
    return "".join(characters)


class _Grants(msgspec.Struct, frozen=True, omit_defaults=True):
    authorization_code: AuthorizationCodeGrant | None = None
    pre_authorized: PreAuthorizedGrant | None = msgspec.field(name=PRE_AUTHORIZED_CODE, default=None)


class _Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    credential_issuer: _Url
    credential_configuration_ids: Annotated[
        tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=limits.LIST_ITEMS)
    ]
    grants: _Grants | None = None


def _check_tx_code(grant: PreAuthorizedGrant | None) -> None:
    if grant and grant.tx_code and grant.tx_code.input_mode not in ("numeric", "text"):
        raise Rejected("tx_code_mode_unknown", "The transaction code is of an unknown kind.")


def _query(uri: str) -> dict[str, str]:
    if len(uri) > 4 * limits.OFFER_BYTES:
        raise Malformed("offer_uri_malformed", "The offer is longer than allowed here.")
    try:
        parts = urlsplit(uri)
        parameters = form.parse_form(parts.query)
    except (ValueError, SafeconductError) as error:
        raise Malformed("offer_uri_malformed", "The text is not the URI of an offer.") from error
    if not parts.scheme:
        raise Malformed("offer_uri_malformed", "The text is not the URI of an offer.")
    return parameters
