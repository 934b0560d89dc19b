"""From the first message of a transfer to its offer, however a share is bound to its receiver.

link, pin: the message is the offer. key: it is sealed for one of the wallet's cards. approve: it begins the
comparison, after which the offer comes. As a text, without a relay, it is always sealed for a card.
"""

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols.transfer.content import Offer
from safeconduct.protocols.transfer.sealed import FILE_PREFIX
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.sharing import addressed, approved, contacts, exchanging, receiving, register, relays
from safeconduct.wallet.sharing.approved import Awaited, awaited
from safeconduct.wallet.sharing.receiving import Terms
from safeconduct.wallet.sharing.records import Taken
from safeconduct.wallet.sharing.relay_line import RelayLine

__all__ = ["Awaited", "awaited", "begin_text", "hear_offer", "is_sealed_text"]

UNTRUSTWORTHY = frozenset(
    {"commitment_mismatch", "approval_not_compared", "offer_not_of_approver", "offer_not_as_announced"}
)
"""Codes of messages that only a careless sender or somebody in the middle sends: nothing may come of the
transfer any more."""


async def hear_offer(context: Context, taken: Taken, terms: Terms) -> tuple[Taken, Offer | None]:
    """Return the offer of a transfer; None where the sender has not approved it in time.

    Raises Rejected: sealed_for_another (the mailbox is given back), share_withdrawn, those of
    UNTRUSTWORTHY (the mailbox is deleted); and as `receiving.claim`, `approved.receive`.
    """
    if taken.level == "approve":
        return await _approved(context, taken, terms)
    taken, content = await receiving.claim(context, taken)
    if taken.level != "key":
        return taken, receiving.offer_in(content)
    try:
        return await addressed.open_message(context, taken, content)
    except Rejected as error:
        if error.code == "sealed_for_another":
            await _leave(context, taken, give_back=True)
        raise


def is_sealed_text(text: str) -> bool:
    """Tell whether a text is a share that came without a relay."""
    return text.strip().startswith(FILE_PREFIX)


async def begin_text(context: Context, text: str, terms: Terms) -> Taken:
    """Return the record of a share that came as a text: that of before, or a new one, with its offer.

    Raises Rejected: sealed_for_another; Malformed: sealed_file_malformed; and as `receiving.take_offer`.
    """
    card, offer = await addressed.open_text(context, text)
    before = await _opened_before(context, offer)
    if before is not None:
        return before
    taken = await receiving.new_taken(context, secret=b"", version=2, level="key", box=None)
    try:
        taken = await receiving.take_offer(context, addressed.bound_to(taken, card.proof_key), offer, terms)
    except SafeconductError:
        await receiving.forget(context, taken)
        raise
    await contacts.count_use(context, card)
    return taken


async def known_text(context: Context, text: str) -> Taken | None:
    """Return the record of a share that came as a text, None if it is new. Raises as `begin_text`."""
    _, offer = await addressed.open_text(context, text)
    return await _opened_before(context, offer)


async def _opened_before(context: Context, offer: Offer) -> Taken | None:
    share = offer.share
    for before in await context.safe.run(register.list_taken):
        if share and before.box is None and (before.issuer, before.share_id) == (share.issuer, share.id):
            return before
    return None


async def _approved(context: Context, taken: Taken, terms: Terms) -> tuple[Taken, Offer | None]:
    content = None
    if not taken.received:
        taken, content = await receiving.claim(context, taken)
    try:
        return await approved.receive(
            context, taken, content, key=terms.key, show=terms.show, wait=terms.wait_sender
        )
    except Rejected as error:
        if error.code == "mailbox_gone":
            await receiving.forget(context, taken)
            raise Rejected(
                "share_withdrawn",
                "The sender took the share back, or did not approve it in time. If the digits were not the "
                "same, somebody is in the middle: let it be sent again by another way.",
            ) from None
        if error.code in UNTRUSTWORTHY:
            await _leave(context, taken, give_back=False)
        raise


async def _leave(context: Context, taken: Taken, *, give_back: bool) -> None:
    """Let go of a mailbox, and forget the transfer. A relay out of reach only means that it has to expire."""
    line = RelayLine(context, exchanging.box_of(taken))
    try:
        if give_back:
            await line.relinquish(request_id=relays.new_id(context))
        else:
            await line.delete()
    except SafeconductError as error:
        context.report(Notice("mailbox_left", f"The mailbox could not be let go: {error.reason}"))
    await receiving.forget(context, taken)
