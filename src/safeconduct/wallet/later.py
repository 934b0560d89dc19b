"""What is not here yet: credentials that an issuer gives later, and requests whose answers were lost."""

from collections.abc import Awaitable, Callable

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.wallet import answers, forwarding, obtain, store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.forwarding import Session
from safeconduct.wallet.obtain import Errand
from safeconduct.wallet.records import Held, Pending, Waiting

ABANDONED = 120
"""Seconds after which nobody waits for an answer any more, so that the next command may ask again."""

GIVEN_UP = 86400
"""Seconds after which the wallet asks again only if the user says so: else an issuer that never answers would
hear from the wallet, as long as it lives, whenever it is used."""


async def wait(context: Context, outcome: Held | Waiting, *, seconds: int) -> Held | Waiting:
    """Wait for a credential that the issuer gives later, no longer than so many seconds."""
    deadline = context.clock() + seconds
    while isinstance(outcome, Waiting) and outcome.stage == "deferred" and context.clock() < deadline:
        pending = await context.safe.run(store.find_pending, outcome.id)
        await _pause(context, pending, min(outcome.not_before, deadline) - context.clock())
        if outcome.not_before <= context.clock():
            outcome = await _polled(context, pending)
    return outcome


async def fetch(context: Context, prefix: str | None, *, seconds: int) -> tuple[Held | Waiting, ...]:
    """Ask for what issuers give later: the one whose id begins so, or all. seconds: to wait for it.

    Raises Rejected: credential_unknown, credential_ambiguous; for a single one, as `obtain.poll`. Of all,
    one that fails is reported.
    """
    if prefix is not None:
        pending = await context.safe.run(store.find_pending, prefix)
        work = _polled if pending.stage == "deferred" else _asked_again
        return (await wait(context, await work(context, pending), seconds=seconds),)
    found = await _each(context, "deferred", _polled)
    return tuple([await wait(context, outcome, seconds=seconds) for outcome in found])


async def resume(context: Context) -> tuple[Held | Waiting, ...]:
    """Ask again, directly and for the same keys, where no answer came. What fails is reported."""
    return await _each(context, "requested", _asked_again)


async def resume_abandoned(context: Context) -> None:
    """As `resume`, for requests that no other process can still be at."""
    now = context.clock()
    await _each(context, "requested", _asked_again, since=range(now - GIVEN_UP, now - ABANDONED + 1))


async def _each(
    context: Context,
    stage: str,
    work: Callable[[Context, Pending], Awaitable[Held | Waiting]],
    *,
    since: range | None = None,
) -> tuple[Held | Waiting, ...]:
    found = []
    for pending in await context.safe.run(store.list_pending):
        if pending.stage != stage or (since is not None and pending.since not in since):
            continue
        try:
            found.append(await work(context, pending))
        except SafeconductError as error:
            context.report(Notice(error.code, f"Asking again ({pending.id}): {error.reason}"))
    return tuple(found)


async def _polled(context: Context, pending: Pending) -> Held | Waiting:
    if pending.not_before > context.clock():
        return pending.waiting
    return await obtain.poll(context, await obtain.take_up(context, pending))


async def _asked_again(context: Context, pending: Pending) -> Held | Waiting:
    """Ask again, unless another process is at it: an issuer that was told of the one would make a second."""
    claimed = await context.safe.run(store.claim_pending, pending.id, now=context.clock(), seconds=ABANDONED)
    if claimed is None:
        return pending.waiting
    try:
        return await obtain.ask_directly(context, await _usable(context, claimed))
    except BaseException:
        await context.safe.run(store.release_pending, pending.id)
        raise


async def _usable(context: Context, pending: Pending) -> Errand:
    """The errand with a token that is still good. Raises Rejected: token_refused."""
    access = pending.access
    if access.refresh_token is None and access.expires is not None and access.expires <= context.clock():
        await obtain.forget(context, pending)
        raise answers.token_over()
    return await obtain.with_good_token(context, await obtain.take_up(context, pending))


async def _pause(context: Context, pending: Pending, seconds: int) -> None:
    """Sleep, or let the wallet server wake the wallet; a server that wakes it early gains nothing."""
    until = context.clock() + seconds
    if pending.via is not None and pending.session is not None and pending.session_until > context.clock():
        session = Session(base=pending.via.rstrip("/"), token=pending.session, until=pending.session_until)
        await forwarding.wait_for_wakeup(context, session, seconds=seconds)
    left = until - context.clock()
    if left > 0:
        await context.sleep(min(left, limits.WAIT_SECONDS))
