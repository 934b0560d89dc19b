"""From an offer that was taken to a credential, through the issuer's ordinary endpoints.

The code is traded under a key that is kept before it is used: an issuer leases a code to the first key that
comes with it, so that an answer that was lost can be asked for again, by nobody else. The credential gets the
id of the transfer. So whatever breaks, `receive` finds how far it had come.
"""

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols.openid4vci.offer import TxCode
from safeconduct.wallet import accept, answers, later, offers, store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.line import DPOP_ALGORITHM
from safeconduct.wallet.offers import Invitation
from safeconduct.wallet.records import Held, Waiting, key_of, key_text
from safeconduct.wallet.sharing import addressed, authority, levels, receiving, register
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.receiving import Terms
from safeconduct.wallet.sharing.records import Taken
from safeconduct.wallet.sharing.relay_line import RelayLine

PIN_TRIES = 5
"""Wrong PINs after which issuers end a share."""


async def receive(context: Context, link_or_transfer: str, terms: Terms) -> Held | Waiting | Awaited:
    """Take what a link or a sealed text leads to, or go on with a transfer whose id begins so.

    Where the sender has to approve and has not yet, the result says so; the same call goes on.
    Raises Rejected: transfer_unknown, transfer_ambiguous, transfer_over, and as the steps of `receiving` and
    `redeem`. What is under way then is kept: the same call goes on with it.
    """
    if "/" in link_or_transfer:
        taken = await receiving.begin(context, link_or_transfer, terms)
    elif levels.is_sealed_text(link_or_transfer):
        taken = await levels.begin_text(context, link_or_transfer, terms)
    else:
        taken = await find_taken(context, link_or_transfer)
    return await proceed(context, taken, terms)


async def proceed(context: Context, taken: Taken, terms: Terms) -> Held | Waiting | Awaited:
    """Go on with a transfer where it stopped. Raises as `receive`."""
    there = await settled(context, taken)
    if there is not None:
        return there
    check_free(context, taken)
    if taken.stage == "declining":
        raise Rejected("transfer_over", "You declined this; ask the sender for a new share.")
    if taken.level == "authority":
        return await authority.receive(context, taken, terms)
    if taken.stage in ("begun", "claimed"):
        taken, offer = await levels.hear_offer(context, taken, terms)
        if offer is None:
            return levels.awaited(taken)
        taken = await receiving.take_offer(context, taken, offer, terms)
    return await redeem(context, taken, terms)


async def find_taken(context: Context, prefix: str) -> Taken:
    """Return the transfer that this wallet opened. Raises Rejected: transfer_unknown, transfer_ambiguous."""
    found = await context.safe.run(register.find, prefix)
    if not isinstance(found, Taken):
        raise Rejected("transfer_unknown", "That is a share of your own; only what others share is received.")
    return found


async def redeem(context: Context, taken: Taken, terms: Terms) -> Held | Waiting:
    """Redeem the offer of a transfer, tell the issuer, and delete the mailbox.

    1. If the offer needs a PIN, it is asked for: issuer and content were shown before (A30).
    2. The key for the code is kept, then the code is traded under it.
    3. The credential is requested for a fresh key, or that of the terms, and checked; the issuer is told.
    4. The mailbox goes, and with it the record.

    Raises Rejected: issuer_unexpected, pin_refused (wrong; how many tries are left is said), pin_locked (one
    wrong too many), tx_code_needed, tx_code_form, tx_code_unwanted; and as `accept.follow`.
    """
    if taken.offer is None:
        raise Rejected("transfer_over", "The transfer has no offer that could be redeemed.")
    offer = receiving.read_terms(context, taken.offer)
    grant = offer.pre_authorized
    if grant is None:
        raise Rejected("transfer_over", "The transfer has no offer that could be redeemed.")
    receiving.check_issuer(offer.credential_issuer, terms)  # the offer may lie here since an earlier call
    code = await _pin(context, taken, grant.tx_code, terms)
    taken = await _taken_up(context, taken)
    invitation = Invitation(
        offer.credential_issuer, offer.credential_configuration_ids, grant, code, gives="one"
    )
    try:
        outcome = await _followed(context, taken, invitation, terms)
    except Rejected as error:
        await context.safe.run(register.let_go, taken.id)
        if error.code != "grant_refused":
            raise
        raise await _refused(context, taken, pin=code is not None) from error
    except BaseException:
        await context.safe.run(register.let_go, taken.id)
        raise
    return await _outcome(context, taken, outcome)


def check_free(context: Context, taken: Taken) -> None:
    """Check that no other process is redeeming a transfer. Raises Rejected: transfer_busy."""
    if register.is_taken_up(taken, now=context.clock(), seconds=later.ABANDONED):
        raise _busy()


async def _taken_up(context: Context, taken: Taken) -> Taken:
    """Keep the key for the code, and that this process asks the issuer: of two, only one does (A27)."""
    if not taken.dpop_key:
        taken = msgspec.structs.replace(taken, dpop_key=key_text(context.new_key(DPOP_ALGORITHM)))
    kept = await context.safe.run(register.take_up, taken, now=context.clock(), seconds=later.ABANDONED)
    if kept is None:
        raise _busy()
    return kept


def _busy() -> Rejected:
    return Rejected(
        "transfer_busy",
        "Another program of yours is redeeming this, or was cut off while it did; look again in two minutes.",
    )


async def _followed(context: Context, taken: Taken, invitation: Invitation, terms: Terms) -> Held | Waiting:
    wanted = accept.Terms(
        via=terms.via,
        unencrypted=terms.unencrypted,
        wait=terms.wait,
        key=addressed.proof_key(taken) or terms.key or taken.key,
    )
    return await accept.follow(
        context,
        invitation,
        wanted,
        configuration=terms.configuration,
        dpop_key=key_of(taken.dpop_key),
        name=taken.id,
    )


async def settled(context: Context, taken: Taken) -> Held | Waiting | None:
    """Return what has come of a transfer, asking the issuer again if it was asked; None if nothing yet."""
    if taken.stage not in ("redeeming", "held"):
        return None
    held = await context.safe.run(store.held_by, taken.id)
    if held is not None:
        return await _outcome(context, taken, held)
    if any(pending.id == taken.id for pending in await context.safe.run(store.list_pending)):
        check_free(context, taken)
        return await _asked_again(context, taken)
    return None


async def _asked_again(context: Context, taken: Taken) -> Held | Waiting | None:
    """What the issuer answers now; None if it takes the token no more; then the code is traded again."""
    try:
        (outcome,) = await later.fetch(context, taken.id, seconds=0)
    except Rejected as error:
        if error.code not in answers.FINAL:
            raise
        return None
    return await _outcome(context, taken, outcome)


async def finish(context: Context, taken: Taken) -> None:
    """Delete the mailbox of a transfer whose credential is here, and forget the transfer.

    A relay out of reach ends nothing: the record stays until the next time, the mailbox until it expires.
    """
    if taken.box is not None:
        try:
            await RelayLine(context, taken.box).delete()
        except SafeconductError as error:
            context.report(Notice("mailbox_left", f"The mailbox could not be deleted: {error.reason}"))
            return
    await receiving.forget(context, taken)


async def _outcome(context: Context, taken: Taken, outcome: Held | Waiting) -> Held | Waiting:
    if isinstance(outcome, Held):
        held = msgspec.structs.replace(taken, stage="held", offer=None, dpop_key="", extra={}, taken_up=0)
        # The credential is here, whatever another process was about to do.
        kept = await context.safe.run(register.overrule, held)
        if kept is not None:
            await finish(context, kept)
    else:
        await context.safe.run(register.let_go, taken.id)
    return outcome


async def _pin(context: Context, taken: Taken, expected: TxCode | None, terms: Terms) -> str | None:
    if expected is not None and taken.tries >= PIN_TRIES:
        raise _locked()
    given = terms.tx_code
    if expected is not None and given is None and terms.pin is not None:
        given = terms.pin(await receiving.offer_question(context, taken, step="pin"))
    try:
        return offers.check_tx_code(expected, given)
    except Rejected as error:
        raise Rejected(error.code, _PIN_REASONS.get(error.code, error.reason)) from None


_PIN_REASONS = {
    "tx_code_needed": "Give the PIN as well (--tx-code); the sender tells you it by another way.",
    "tx_code_unwanted": "This share has no PIN; receive it without one.",
    "tx_code_form": "The PIN has another form than the offer says; check it.",
}


async def _refused(context: Context, taken: Taken, *, pin: bool) -> Rejected:
    """The error for a code that the issuer did not take; OpenID4VCI does not let it say what is wrong."""
    tries = taken.tries + 1 if pin else taken.tries
    free = msgspec.structs.replace(taken, stage="offered", tries=tries, taken_up=0)
    await context.safe.run(register.overrule, free)
    if not pin:
        return Rejected(
            "grant_refused",
            "The issuer refused: the share was taken back, has expired, or somebody has redeemed it. Ask the "
            "sender.",
        )
    if tries >= PIN_TRIES:
        return _locked()
    left = "one more wrong PIN" if tries == PIN_TRIES - 1 else f"{PIN_TRIES - tries} more wrong PINs"
    return Rejected(
        "pin_refused",
        "The issuer refused: the PIN was wrong, or the share was taken back or has expired. "
        f"Ask the sender; after {left} the share ends.",
    )


def _locked() -> Rejected:
    return Rejected(
        "pin_locked", "The PIN was wrong too often, so the share has ended; ask the sender for a new one."
    )
