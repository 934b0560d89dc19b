"""The sender's side of a share by approval: two people compare six digits before the offer is let go.

    M1  is left with the mailbox                                                        committed
    M2  comes from whoever opened the link; M3 is sent, and both see digits             revealed
        the user says that they are the same: the issuer binds the share to that key    confirmed
    M4  is sent, the offer sealed for that receiver
        the user says that they differ: everything is taken back                        failed

Each step keeps what it changes, with the message to be sent, before it sends anything: `approve` goes on
wherever it was interrupted. A second answer to one commitment is never taken; where a receiver steps
back, the approval begins anew.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import approval as steps
from safeconduct.protocols.transfer.approval import SenderApproval
from safeconduct.protocols.transfer.content import Content, Offer, Share
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import ending, exchanging, register, share_line
from safeconduct.wallet.sharing.records import Given

State = Literal["waiting", "compare", "released"]
"""waiting: nobody has answered. compare: there are digits, and nobody said whether they are the same."""

Confirm = Callable[[str], bool | None]
"""Shows the digits to the user; whether the receiver sees the same; None: not known yet."""

ROUNDS = 3
"""How often an approval begins anew for one share, because a receiver stepped back. Each time somebody in the
middle has another guess in a million; people step back once."""

_APPROVAL, _REVEAL, _ROUNDS, _RELEASED = "approval", "reveal", "rounds", "released"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """How far an approval has come. id: of the transfer. digits: to compare, None before there are any."""

    id: str
    share_id: str
    state: State
    digits: str | None

    def __repr__(self) -> str:
        return f"<Approval {self.id} {self.state}>"


def begin(context: Context, given: Given, about: Share) -> tuple[Given, Content]:
    """Return the first message of a share by approval, and the record that goes with it."""
    approval, first = steps.begin_approval(about, random=context.random)
    return _with(given, approval), first


async def approve(context: Context, transfer: str, *, confirm: Confirm, wait: int) -> Approval:
    """Go on with a share by approval, from wherever it is; return how far it has come.

    transfer: any beginning of its id. confirm: is asked once there are digits. wait: seconds for an answer.
    Raises Rejected: transfer_unknown, transfer_ambiguous, approval_unwanted (a share of another level),
    share_over, digits_differ (all is taken back then), mailbox_gone, and what the issuer's line raises.
    """
    given = await _revealed(context, await exchanging.flush(context, await _found(context, transfer)))
    if given.extra.get(_RELEASED):
        return _told(given, "released")
    given = await _answered(context, given, seconds=wait)
    approval = _approval(given)
    if approval.state == "committed":
        return _told(given, "waiting")
    if approval.state == "revealed":
        said = confirm(approval.digits)
        if said is None:
            return _told(given, "compare")
        if not said:
            await _refuse(context, given, approval)
        given = await exchanging.keep(context, _with(given, steps.confirm(approval)))
    return _told(await _release(context, given), "released")


async def _found(context: Context, transfer: str) -> Given:
    given = await context.safe.run(register.find, transfer)
    if not isinstance(given, Given) or given.level != "approve":
        raise Rejected("approval_unwanted", "Nothing has to be approved in this transfer.")
    if given.stage != "left" or _approval(given).state == "failed":
        raise _over()
    return given


async def _answered(context: Context, given: Given, *, seconds: int) -> Given:
    """Take the receiver's answer, if it comes in time; begin anew where the receiver has stepped back."""
    if _approval(given).state == "revealed" and await _stepped_back(context, given):
        given = await _begun_anew(context, given)
    if _approval(given).state != "committed":
        return given
    given, content = await exchanging.receive(context, given, seconds=seconds)
    if content is None:
        return await exchanging.keep(context, given)
    approval, reveal = steps.take_answer(_approval(given), content, context=derive_keys(given.secret).context)
    given = _with(given, approval)
    given = msgspec.structs.replace(given, extra={**given.extra, _REVEAL: wire.plain(reveal)})
    # Unless another process has taken one: two answers to one commitment bind nobody.
    return await _revealed(context, await exchanging.keep(context, given))


async def _revealed(context: Context, given: Given) -> Given:
    """Send M3, if an answer was taken and it was not sent yet."""
    reveal = given.extra.get(_REVEAL)
    if reveal is None:
        return given
    extra = {name: value for name, value in given.extra.items() if name != _REVEAL}
    content = wire.read(reveal, Content, what="The kept message")
    return await exchanging.send(context, msgspec.structs.replace(given, extra=extra), content)


async def _begun_anew(context: Context, given: Given) -> Given:
    rounds = int(given.extra.get(_ROUNDS, 1)) + 1
    if rounds > ROUNDS:
        raise Rejected(
            "approval_begun_often",
            "Receivers have stepped back too often: somebody may be trying digits. Revoke the share, and "
            "share again by another way.",
        )
    given, first = begin(context, given, _approval(given).share)
    # The next receiver counts its messages from one. Those of the last are answers to another commitment.
    given = msgspec.structs.replace(given, received=0, extra={**given.extra, _ROUNDS: rounds})
    return await exchanging.send(context, given, first)


async def _stepped_back(context: Context, given: Given) -> bool:
    """Whether the mailbox went on after there were digits, which only a receiver that leaves can cause."""
    if not exchanging.box_of(given).sequence:
        return False
    _, mail = await exchanging.look(context, given)
    return mail is not None


async def _refuse(context: Context, given: Given, approval: SenderApproval) -> None:
    """The digits differ: somebody is in the middle. Nothing stays that could be redeemed."""
    await exchanging.keep(context, _with(given, steps.fail(approval)))
    ended = await ending.revoke_share(context, given.id)
    raise Rejected(
        "digits_differ",
        f"Somebody may be in the middle, so the share was taken back (issuer: {ended.issuer}, relay: "
        f"{ended.relay}). Share again, and send the link by another way.",
    )


async def _release(context: Context, given: Given) -> Given:
    if given.offer is None:
        raise _over()
    approval = _approval(given)
    await _pin(context, given, approval.thumbprint)
    offer = Offer(given.offer, approval.share)
    sealed = steps.release(approval, offer, keys=derive_keys(given.secret))
    done = msgspec.structs.replace(given, jkt=approval.thumbprint, extra={**given.extra, _RELEASED: True})
    return await exchanging.send(context, done, sealed)


async def _pin(context: Context, given: Given, jkt: str) -> None:
    """Bind the share to the receiver's key. That is done once: where the answer was lost, it is looked up."""
    line = await share_line.open_line(context, given.credential)
    try:
        await line.pin(given.share_id, jkt)
    except SafeconductError as error:
        if error.code != "share_refused":
            raise
        pinned = [view for view in await line.views() if view.share_id == given.share_id and view.pinned]
        if not pinned or pinned[0].state != "pending":
            raise


def _with(given: Given, approval: SenderApproval) -> Given:
    extra: dict[str, Any] = {**given.extra, _APPROVAL: steps.approval_record(approval)}
    return msgspec.structs.replace(given, extra=extra)


def _approval(given: Given) -> SenderApproval:
    return steps.read_sender_approval(given.extra.get(_APPROVAL, {}))


def _told(given: Given, state: State) -> Approval:
    digits = _approval(given).digits or None
    return Approval(id=given.id, share_id=given.share_id, state=state, digits=digits)


def _over() -> Rejected:
    return Rejected("share_over", "The share is over, or being taken back; share again.")
