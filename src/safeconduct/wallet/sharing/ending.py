"""Taking a share back, on the sender's side: at the issuer first, then at the relay, each told for itself.

Deleting the mailbox alone would not do: the receiver may have the offer already. And once it was redeemed,
only the issuer can end what came of it. That the share is being taken back is kept before either is asked.
"""

from collections.abc import Awaitable, Callable

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.wallet import store
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import register, share_line
from safeconduct.wallet.sharing.records import ENDED_AT_ISSUER, Ended, Given
from safeconduct.wallet.sharing.relay_line import RelayLine


async def revoke_share(context: Context, share: str) -> Ended:
    """Take a share back, whatever became of it. share: any beginning of its id, here or at the issuer.

    What cannot be done now is told by the code of its fault; the same call, or `resuming.resume`, tries it
    again.
    Raises Rejected: transfer_unknown, transfer_ambiguous.
    """
    given = await find_given(context, share)
    if given is None:
        return Ended(issuer=await _foreign(context, share), relay="none")
    return await end(context, given)


async def end(context: Context, given: Given) -> Ended:
    """Take a share back by its record. It stays until both have answered."""
    if given.stage == "over":
        return Ended(issuer="already_over", relay="none" if given.box is None else "gone")
    before = given.outcome
    given = msgspec.structs.replace(given, stage="ending")
    given = await _certain(context, given)
    at_issuer = before or await _told(lambda: _at_issuer(context, given))
    if at_issuer in ENDED_AT_ISSUER:
        given = msgspec.structs.replace(given, outcome=at_issuer)
        given = await _certain(context, given)
    ended = Ended(issuer=at_issuer, relay=await _told(lambda: _at_relay(context, given)))
    if ended.complete:
        await close(context, given, outcome=at_issuer)
    return ended


async def close(context: Context, given: Given, *, outcome: str) -> Given:
    """Keep of a share that is over only what became of it, without its secrets."""
    over = msgspec.structs.replace(
        given.wiped(), stage="over", outcome=outcome, ended=context.clock(), parent=None
    )
    over = await _certain(context, over)
    await context.safe.erase_traces()
    return over


async def _certain(context: Context, given: Given) -> Given:
    """Keep what nobody can change any more, whatever another process was about to do with the share."""
    return await context.safe.run(register.overrule, given) or given


async def find_given(context: Context, share: str) -> Given | None:
    """Return the share whose id begins so, here or at the issuer; None if this wallet made none such.

    Raises Rejected: transfer_ambiguous; transfer_unknown for one that somebody else made.
    """
    records = await context.safe.run(register.list_given)
    found = [given for given in records if share and given.id.startswith(share)]
    found = found or [given for given in records if share and given.share_id.startswith(share)]
    if len(found) > 1:
        raise Rejected("transfer_ambiguous", "Several shares have ids that begin so; give more of it.")
    return found[0] if found else None


async def _at_issuer(context: Context, given: Given) -> str:
    line = await share_line.open_line(context, given.credential)
    return await line.end(given.share_id)


async def _at_relay(context: Context, given: Given) -> str:
    if given.box is None or given.stage == "begun":
        return "none"
    if not given.box.id:
        return await _unseen(context, given)
    return await RelayLine(context, given.box).delete()


async def _unseen(context: Context, given: Given) -> str:
    """Delete a mailbox whose name was lost with the answer: asked for once more, the relay tells it."""
    if given.box is None or given.body is None:
        return "none"
    mailbox = await RelayLine(context, given.box).create(given.body)
    return await RelayLine(context, msgspec.structs.replace(given.box, id=mailbox)).delete()


async def _foreign(context: Context, share: str) -> str:
    """End a share that another wallet of the same holder made of a credential that is here as well."""
    for held in await context.safe.run(store.list_held):
        try:
            line = await share_line.open_line(context, held.id)
            views = await line.views()
        except SafeconductError:
            continue
        found = [view.share_id for view in views if share and view.share_id.startswith(share)]
        if len(found) == 1:
            return await line.end(found[0])
    raise Rejected("transfer_unknown", "No issuer of a credential here knows such a share; list the shares.")


async def _told(work: Callable[[], Awaitable[str]]) -> str:
    """What came of it, or the code of its fault."""
    try:
        return await work()
    except SafeconductError as error:
        return _COMES_TO.get(error.code, error.code)


_COMES_TO = {"credential_unknown": "credential_gone", "credential_expired": "already_expired"}
"""Why the wallet cannot ask, as what it comes to: what a credential gave does not outlive it."""
