"""From the text of an offer to what the wallet may ask for. An offer proves nothing: anyone can make one."""

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, Unsupported
from safeconduct.protocols.openid4vci import offer as offers
from safeconduct.protocols.openid4vci.offer import CredentialOffer, OfferReference, PreAuthorizedGrant
from safeconduct.wallet.context import Context


class Invitation(msgspec.Struct, frozen=True):
    """An offer that the wallet can follow. tx_code: the one to send, None if none is asked for."""

    issuer: str
    configurations: tuple[str, ...]
    grant: PreAuthorizedGrant
    tx_code: str | None

    def __repr__(self) -> str:
        return "<Invitation>"


async def read_offer(context: Context, uri: str, *, tx_code: str | None) -> Invitation:
    """Read an offer, fetching it if the URI only refers to it.

    Raises Rejected: tx_code_needed, tx_code_unwanted, tx_code_form; Unsupported: grant_unsupported; and what
    reading and fetching raise. Nothing is spent.
    """
    offer = await _resolve(context, uri)
    grant = offer.pre_authorized
    if grant is None:
        raise Unsupported(
            "grant_unsupported",
            "The offer wants a login, which this wallet cannot do; ask for another.",
        )
    return Invitation(
        offer.credential_issuer, offer.credential_configuration_ids, grant, _tx_code(grant, tx_code)
    )


async def _resolve(context: Context, uri: str) -> CredentialOffer:
    parsed = offers.parse_offer_uri(uri, allow_http_loopback=context.allow_http_loopback)
    if not isinstance(parsed, OfferReference):
        return parsed
    response = await context.fetcher.request(
        "GET",
        parsed.url,
        headers={"Accept": "application/json"},
        max_bytes=limits.OFFER_BYTES,
        content_types={"application/json"},
    )
    if response.status != 200:
        raise Rejected("offer_gone", "The offer is not there any more; ask the issuer for a new one.")
    return offers.parse_offer(response.body, allow_http_loopback=context.allow_http_loopback)


def _tx_code(grant: PreAuthorizedGrant, given: str | None) -> str | None:
    expected = grant.tx_code
    if expected is None:
        if given is not None:
            raise Rejected(
                "tx_code_unwanted", "The offer asks for no transaction code; accept it without one."
            )
        return None
    if not given:
        raise Rejected(
            "tx_code_needed",
            "The offer needs the transaction code that the issuer sent on another way; give it as well.",
        )
    too_long = expected.length is not None and len(given) != expected.length
    if too_long or (expected.input_mode == "numeric" and not (given.isascii() and given.isdigit())):
        raise Rejected(
            "tx_code_form",
            "The transaction code has another form than the offer says; check it.",
        )
    return given
