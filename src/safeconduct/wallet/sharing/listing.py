"""How shares stand: what the issuer says of each, and what the relay says of its mailbox.

Looking also tidies up: what is over is kept without its secrets, a mailbox that nobody needs any more goes,
and a credential that was moved goes when its issuer says that the receiver has it.
"""

import msgspec

from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci.sharing import ShareView
from safeconduct.wallet import store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import ending, exchanging, register, share_line
from safeconduct.wallet.sharing.records import Given, RelayState, Standing
from safeconduct.wallet.sharing.relay_line import RelayLine

UNDECIDED = frozenset({"pending", "redeeming", "unreachable", "unknown", "credential_gone", "not_asked"})
"""Issuer's states in which the offer may still be redeemed, as far as the wallet knows."""

OVER = frozenset({"moved", "failed", "revoked", "expired", "cancelled", "locked"})
"""Issuer's states that nothing leads out of."""

MOVED = "moved"


class _Issuer(msgspec.Struct, frozen=True):
    """What an issuer says of the shares of one credential. fault: why it says nothing."""

    views: dict[str, ShareView] = {}
    held: Held | None = None
    fault: str | None = None


async def shares(context: Context, credential: str | None = None) -> tuple[Standing, ...]:
    """Return how each share stands, the newest first; then those that other wallets of this holder made.

    credential: any beginning of its id: its shares only, also if this wallet made none of it.
    Raises Rejected: credential_unknown, credential_ambiguous.
    """
    await context.safe.run(register.drop_old, now=context.clock())
    records = await context.safe.run(register.list_given)
    wanted = {given.credential for given in records if given.level != "authority"}
    if credential is not None:
        wanted = {(await context.safe.run(store.find_stored, credential))[0]}
        records = tuple(given for given in records if given.credential in wanted)
    asked = {name: await _ask(context, name) for name in sorted(wanted)}
    found = [await _standing(context, given, asked.get(given.credential, _UNASKED)) for given in records]
    known = {given.share_id for given in records}
    for said in asked.values():
        found += [
            _foreign(said.held, view)
            for view in said.views.values()
            if view.share_id not in known and said.held is not None
        ]
    return tuple(found)


_UNASKED = _Issuer(fault="not_asked")
"""Of a credential that was passed on without its issuer, who knows nothing of it."""


async def _ask(context: Context, credential: str) -> _Issuer:
    try:
        line = await share_line.open_line(context, credential)
        return _Issuer({view.share_id: view for view in await line.views()}, held=line.credential.held)
    except SafeconductError as error:
        return _Issuer(fault=_COMES_TO.get(error.code, "unreachable"))


_COMES_TO = {"credential_unknown": "credential_gone", "credential_expired": "expired"}
"""Why the wallet cannot ask, as what it comes to: what a credential gave does not outlive it."""


async def _standing(context: Context, given: Given, said: _Issuer) -> Standing:
    said = _UNASKED if given.level == "authority" else said
    view = said.views.get(given.share_id)
    state = view.state if view is not None else said.fault or "unknown"
    if given.stage == "over":
        relay: RelayState = "none" if given.box is None else "gone"
        state = given.outcome or state if view is None else state
    else:
        relay = await _at_relay(context, given)
        given = await _tidied(context, given, state, relay)
    return Standing(
        id=given.id,
        share_id=given.share_id,
        credential=given.credential,
        issuer=given.issuer,
        configuration=given.configuration,
        level=given.level,
        mode=given.mode,
        since=given.since,
        expires=view.expires_at if view is not None else given.offer_expires,
        stage=given.stage,
        relay_state=relay,
        issuer_state=state,
        entitlements=view.entitlements if view is not None else given.entitlements,
        credential_expires=view.credential_expires if view is not None else given.expires,
        pinned=view is not None and view.pinned,
        contact=given.contact,
    )


def _foreign(held: Held, view: ShareView) -> Standing:
    return Standing(
        id="",
        share_id=view.share_id,
        credential=held.id,
        issuer=held.issuer,
        configuration=held.configuration,
        level=view.level,
        mode=view.mode,
        since=view.created_at,
        expires=view.expires_at,
        stage=None,
        relay_state="unknown",
        issuer_state=view.state,
        entitlements=view.entitlements,
        credential_expires=view.credential_expires,
        pinned=view.pinned,
    )


async def _at_relay(context: Context, given: Given) -> RelayState:
    if given.box is None or not given.box.id:
        return "none"
    if given.link is None and given.stage == "left":
        return "gone"  # seen before: the link is wiped with the mailbox
    try:
        mail = await RelayLine(context, given.box).read()
    except SafeconductError as error:
        return "gone" if error.code == "mailbox_gone" else "unreachable"
    return "unknown" if mail is None or mail.state is None else mail.state


async def _tidied(context: Context, given: Given, state: str, relay: RelayState) -> Given:
    """The record after what the two have said, which loses what it needs no more."""
    if given.level == "authority" and relay == "gone" and given.stage == "left":
        return await ending.close(context, given, outcome="expired")  # declined, or nobody answered in time
    if state in UNDECIDED or given.stage not in ("granted", "left"):
        return given
    if relay not in ("gone", "none") and given.box is not None:
        await _delete(context, given)
    if state in OVER:
        given = await ending.close(context, given, outcome=state)
        if state == MOVED:
            await _drop_moved(context, given)
        return given
    wiped = given.wiped()  # issued: it can still be revoked
    return await context.safe.run(register.overrule, wiped) or wiped


async def _delete(context: Context, given: Given) -> None:
    """Delete a mailbox that its receiver did not, or could not."""
    try:
        await RelayLine(context, exchanging.box_of(given)).delete()
    except SafeconductError as error:
        context.report(Notice("mailbox_left", f"The mailbox could not be deleted: {error.reason}"))


async def _drop_moved(context: Context, given: Given) -> None:
    """Delete the sender's own credential, of which its issuer says that the receiver has the new one."""
    if await context.safe.run(store.held_by, given.credential) is None:
        return
    await context.safe.run(store.remove, given.credential)
    await context.safe.erase_traces()
    context.report(
        Notice(
            "credential_moved", "A credential that you moved is with its receiver now, and gone from here."
        )
    )
