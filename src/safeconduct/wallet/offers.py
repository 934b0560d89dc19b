"""From the text of an offer to what the wallet may ask for. An offer proves nothing: anyone can make one."""

from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, Unsupported
from safeconduct.protocols.openid4vci import offer as offers
from safeconduct.protocols.openid4vci.offer import (
    AuthorizationCodeGrant,
    CredentialOffer,
    OfferReference,
    PreAuthorizedGrant,
)
from safeconduct.wallet.context import Context


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the wallet is about to do for an offer that anybody may have made.

    step: "fetch": get the offer itself; "follow": ask the issuer for the credentials. host: whom it would
    speak to first. issuer, configurations: as the offer says; "" and () while it is not fetched.
    login: whether the user is sent to log in.
    """

    step: Literal["fetch", "follow"]
    host: str
    issuer: str = ""
    configurations: tuple[str, ...] = ()
    login: bool = False


Ask = Callable[[Question], bool]
"""Puts a question to the user; whether the wallet may go on."""


class Invitation(msgspec.Struct, frozen=True):
    """An offer that the wallet can follow. tx_code: the one to send, None if none is asked for.

    gives: "each" of its configurations; or only "one", because they are one credential in several formats.
    """

    issuer: str
    configurations: tuple[str, ...]
    grant: PreAuthorizedGrant | AuthorizationCodeGrant
    tx_code: str | None
    gives: Literal["each", "one"] = "each"

    def __repr__(self) -> str:
        return "<Invitation>"


async def read_offer(context: Context, uri: str, *, tx_code: str | None, ask: Ask | None) -> Invitation:
    """Read an offer, fetching it if the URI only refers to it. Nothing is spent.

    ask: puts each step to the user before it is taken; None if the user has agreed beforehand.
    Raises Rejected: declined, tx_code_needed, tx_code_unwanted, tx_code_form; Unsupported: grant_unsupported;
    and what reading and fetching raise.
    """
    offer = await _resolve(context, uri, ask)
    grant = offer.pre_authorized or offer.authorization_code
    if grant is None:
        raise Unsupported(
            "grant_unsupported",
            "The offer names no way that this wallet knows; ask for another, or use `wallet request`.",
        )
    code = check_tx_code(grant.tx_code if isinstance(grant, PreAuthorizedGrant) else None, tx_code)
    _confirm(
        ask,
        Question(
            step="follow",
            host=_host(offer.credential_issuer),
            issuer=offer.credential_issuer,
            configurations=offer.credential_configuration_ids,
            login=isinstance(grant, AuthorizationCodeGrant),
        ),
    )
    return Invitation(offer.credential_issuer, offer.credential_configuration_ids, grant, code)


def confirm_login(ask: Ask | None, issuer: str, configuration: str) -> None:
    """Put a wish of the user's own to the user once more. Raises Rejected: declined."""
    _confirm(
        ask,
        Question(
            step="follow", host=_host(issuer), issuer=issuer, configurations=(configuration,), login=True
        ),
    )


async def _resolve(context: Context, uri: str, ask: Ask | None) -> CredentialOffer:
    parsed = offers.parse_offer_uri(uri, allow_http_loopback=context.allow_http_loopback)
    if not isinstance(parsed, OfferReference):
        return parsed
    _confirm(ask, Question(step="fetch", host=_host(parsed.url)))
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


def _confirm(ask: Ask | None, question: Question) -> None:
    if ask is not None and not ask(question):
        raise Rejected("declined", "You did not agree, so nothing more was done.")


def _host(url: str) -> str:
    return urlsplit(url).netloc


def check_tx_code(expected: offers.TxCode | None, given: str | None) -> str | None:
    """Return the transaction code to send, None where none is wanted.

    Raises Rejected: tx_code_needed, tx_code_unwanted, tx_code_form.
    """
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
