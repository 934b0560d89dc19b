"""Shares for a key that the sender knows already: nobody else can open them, nor redeem what is inside.

The offer is sealed for the key on the receiver's card, and the issuer takes a proof by the other key of that
card alone. So a link that is read by others gives them nothing; and as nothing hangs on how the text travels,
it may go as a file or a QR code, without any relay.
"""

from typing import Any

import msgspec

from safeconduct.errors import Rejected
from safeconduct.protocols.transfer import sealed
from safeconduct.protocols.transfer.contact import ContactCard, parse_contact
from safeconduct.protocols.transfer.content import Content, Offer
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import contacts
from safeconduct.wallet.sharing.contacts import OwnCard
from safeconduct.wallet.sharing.records import Given, Taken

_CARD, _ADDED, _PROOF_KEY = "card", "added", "proof_key"


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a share is for. contact: id of the contact. card: its text, kept with the share;
    added: when its signature was checked first, seconds. jkt: thumbprint of its proof key.
    """

    contact: str
    card: str
    added: int
    jkt: str

    @property
    def extra(self) -> dict[str, Any]:
        """What the record of the share has to keep."""
        return {_CARD: self.card, _ADDED: self.added}


async def addressee(context: Context, who: str) -> Addressee:
    """Return the contact of that name, or whose id begins so, as one to share with.

    Raises Rejected: contact_unknown, contact_ambiguous.
    """
    contact, card = await contacts.find(context, who)
    return Addressee(contact=contact.id, card=contact.text, added=contact.added, jkt=card.jkt)


def seal(given: Given, offer: Offer) -> Content:
    """Return the offer as the first message of a share for a contact. Raises as `sealed.seal_offer`."""
    recipient = _card(given).receiving_key
    return sealed.seal_offer(offer, recipient=recipient, keys=derive_keys(given.secret))


def seal_text(given: Given, offer: Offer) -> str:
    """Return the offer as a line of text, for a file or a QR code. Raises as `sealed.seal_file`."""
    return sealed.seal_file(offer, recipient=_card(given).receiving_key)


async def open_message(context: Context, taken: Taken, content: Content) -> tuple[Taken, Offer]:
    """Return the offer that was sealed for one of the wallet's cards, and the record with the key to prove.

    Raises Rejected: sealed_for_another, and as `sealed.open_offer`.
    """
    keys = derive_keys(taken.secret)
    for card in await contacts.cards(context):
        try:
            offer = sealed.open_offer(content, key=card.opener, keys=keys)
        except Rejected as error:
            _go_on(error)
        else:
            return await _for_card(context, taken, card), offer
    raise _for_another()


async def open_text(context: Context, text: str) -> tuple[OwnCard, Offer]:
    """Return the offer in a text that was sealed for one of the wallet's cards, and the card.

    Raises as `open_message`.
    """
    for card in await contacts.cards(context):
        try:
            return card, sealed.open_file(text, key=card.opener)
        except Rejected as error:
            _go_on(error)
    raise _for_another()


def bound_to(taken: Taken, key: str) -> Taken:
    """Return the record with the only key that can redeem the share, as records have it."""
    return msgspec.structs.replace(taken, extra={**taken.extra, _PROOF_KEY: key})


def proof_key(taken: Taken) -> str | None:
    """Return the only key that can redeem the share, as records have it; None if any can."""
    key = taken.extra.get(_PROOF_KEY)
    return key if isinstance(key, str) else None


async def _for_card(context: Context, taken: Taken, card: OwnCard) -> Taken:
    await contacts.count_use(context, card)
    return bound_to(taken, card.proof_key)


def _card(given: Given) -> ContactCard:
    text, added = given.extra.get(_CARD), given.extra.get(_ADDED)
    if not isinstance(text, str) or not isinstance(added, int):
        raise Rejected("contact_missing", "Say for whom the share is: --to CONTACT.")
    return parse_contact(text, now=added)


def _go_on(error: Rejected) -> None:
    if error.code != "sealed_not_for_this_key":
        raise error


def _for_another() -> Rejected:
    return Rejected(
        "sealed_for_another",
        "The share was sealed for a card that this wallet does not have: it is for somebody else, or for "
        "another persona of yours.",
    )
