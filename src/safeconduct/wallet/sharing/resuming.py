"""Going on with transfers that stopped, as far as that needs no person.

What was agreed to and begun is ended: a share that is being taken back, a credential that was asked for, a
mailbox that is to be deleted. What a person has to see first is only told of: a share whose link nobody saw
yet (`sending.resume` gives it), an offer that was not redeemed (`redeeming.receive` goes on).
"""

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.sharing import declining, ending, receiving, redeeming, register, sending
from safeconduct.wallet.sharing.records import ENDED_AT_ISSUER, Given, Taken


async def resume(context: Context) -> None:
    """Go on with all transfers. What fails, and what waits for the user, is reported."""
    for given in await context.safe.run(register.list_given):
        await _sent(context, given)
    for taken in await context.safe.run(register.list_taken):
        try:
            await _opened(context, taken)
        except SafeconductError as error:
            context.report(Notice(error.code, f"Going on with a transfer ({taken.id}): {error.reason}"))


async def _sent(context: Context, given: Given) -> None:
    if given.stage == "ending":
        ended = await ending.end(context, given)
        if not ended.complete:
            fault = ended.issuer if ended.issuer not in ENDED_AT_ISSUER else ended.relay
            context.report(
                Notice(fault, f"A share could not be taken back yet ({given.id}); it is tried again.")
            )
    elif given.stage in ("begun", "granted"):
        if _is_past(context, given.offer_expires, since=given.since):
            await ending.close(context, given, outcome="expired")
            return
        context.report(sending.unfinished(given))


async def _opened(context: Context, taken: Taken) -> None:
    if taken.stage == "declining":
        await declining.go_on(context, taken)
    elif taken.stage == "held":
        await redeeming.finish(context, taken)
    elif taken.stage != "redeeming" and _is_past(context, taken.offer_expires, since=taken.since):
        await receiving.forget(context, taken)
    elif await redeeming.settled(context, taken) is None:
        context.report(
            Notice(
                "transfer_unfinished",
                f"A share was opened but not taken: `wallet receive {taken.id}` goes on, "
                f"`wallet decline {taken.id}` refuses it.",
            )
        )


def _is_past(context: Context, expires: int | None, *, since: int) -> bool:
    """Whether an offer has ended, for certain where it does not say: the mailbox has by then, too."""
    return (expires or since + limits.OFFER_SECONDS) <= context.clock()
