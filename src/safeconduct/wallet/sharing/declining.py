"""Not taking a share, on the receiver's side: giving the mailbox back to another receiver, or refusing it."""

from typing import Literal

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import exchanging, levels, receiving, redeeming, register, relays
from safeconduct.wallet.sharing.receiving import Terms
from safeconduct.wallet.sharing.records import Taken
from safeconduct.wallet.sharing.relay_line import RelayLine

Way = Literal["refuse", "give_back"]
"""refuse: nobody can open the link any more. give_back: whoever opens it next can have it, such as another
wallet of the same person."""


async def decline(context: Context, link_or_transfer: str, *, way: Way, terms: Terms) -> str:
    """Decline what a link leads to, or a transfer whose id begins so; return what came of it.

    "refused": the mailbox is deleted; "given_back"; "gone": there was nothing any more; "forgotten": of one
    that was never claimed, or came without a relay. A link that was not opened before has to be claimed to be
    refused. The issuer is not asked: only the sender can cancel there, and sees that the mailbox is gone.
    Raises Rejected: transfer_unknown, transfer_ambiguous, transfer_over (the credential is here already:
    delete it), and as `receiving.begin` and `RelayLine.read`.
    """
    if "/" in link_or_transfer:
        taken = await receiving.begin(context, link_or_transfer, terms)
    elif levels.is_sealed_text(link_or_transfer):
        known = await levels.known_text(context, link_or_transfer)
        if known is None:
            return "forgotten"
        taken = known
    else:
        taken = await redeeming.find_taken(context, link_or_transfer)
    redeeming.check_free(context, taken)
    if taken.stage == "held":
        raise Rejected("transfer_over", "You have the credential already; delete it if you do not want it.")
    if taken.box is None or (way == "give_back" and taken.stage == "begun"):
        await receiving.forget(context, taken)
        return "forgotten"
    if taken.stage == "begun":
        taken = await _claimed(context, taken)
    return await go_on(context, await _decided(context, taken, way))


async def go_on(context: Context, taken: Taken) -> str:
    """Do what was decided, perhaps once more, and forget the transfer. Raises as `RelayLine.read`."""
    line = RelayLine(context, exchanging.box_of(taken))
    outcome = "refused"
    try:
        if taken.extra.get(_REQUEST):
            await line.relinquish(request_id=taken.extra[_REQUEST])
            outcome = "given_back"
        elif await line.delete() == "gone":
            outcome = "gone"
    except Rejected as error:
        if error.code not in receiving.UNCLAIMED:
            raise
        outcome = "gone"
    await receiving.forget(context, taken)
    return outcome


_REQUEST = "relinquish"
"""Member of a record's `extra`: id of the request that gives the mailbox back."""


async def _claimed(context: Context, taken: Taken) -> Taken:
    """Claim the mailbox, whatever lies there: it need not open to be refused."""
    try:
        claimed, _content = await receiving.claim(context, taken)
    except SafeconductError:
        record = await context.safe.run(register.get, taken.id)
        if isinstance(record, Taken) and record.stage == "claimed":
            return record
        raise
    return claimed


async def _decided(context: Context, taken: Taken, way: Way) -> Taken:
    request = {_REQUEST: relays.new_id(context)} if way == "give_back" else {}
    if taken.stage == "declining":
        return taken
    return await exchanging.keep(
        context,
        msgspec.structs.replace(taken, stage="declining", offer=None, dpop_key="", extra=request),
    )
