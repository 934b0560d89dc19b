"""The receiver of what its sender signs itself: it proves a key, and checks what comes against what was said.

The key is made for it, or in a PKCS#11 token, and kept before the proof is sent. The PIN goes to the sender
alone, sealed, and only after issuer and content were shown. `receive` goes on wherever it was.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.delegation import HeldDelegation
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.transfer import delegation as messages
from safeconduct.protocols.transfer.content import Content
from safeconduct.protocols.transfer.delegation import Announced, Answer, Claimed, Proposal
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.wallet import issuers, store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.formats import DELEGATED
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import Held, StoredCredential, StoredInstance, key_text
from safeconduct.wallet.requests import CLOCK_LEEWAY
from safeconduct.wallet.sharing import exchanging, register
from safeconduct.wallet.sharing.records import Taken
from safeconduct.wallet.sharing.relay_line import RelayLine

ALGORITHM = "ES256"
"""Of the keys that are made here: every verifier has it."""

Agree = Callable[[Announced], bool]
"""Shows the user who would be believed for what; whether to go on."""

AskPin = Callable[[Announced], str | None]
"""Asks the user for the PIN; None gives up."""


async def receive(
    context: Context,
    taken: Taken,
    content: Content | None,
    *,
    agree: Agree,
    pin: AskPin,
    key: str | None,
    wait: int,
) -> Held | None:
    """Go on with a transfer by which a credential is passed on; return that, None while it is not here.

    content: the first message, if it was read just now. key: URI of a holder key in a token. wait: seconds
    for the sender. Raises Rejected: declined, tx_code_missing, pin_wrong (answer again with the right one),
    delegation_refused, delegation_not_as_announced, delegation_foreign, mailbox_gone; and what
    `issuers.trust_in`, `delegation.check_issued` and `exchanging.receive` raise.
    """
    taken = await exchanging.flush(context, taken)
    if not is_begun(taken):
        if content is None:
            taken, content = await _heard(context, taken, wait=wait)
        if content is None:
            return None
        taken = await _agreed(context, taken, content, agree, key)
        content = None
    if not _kept(taken).answered:
        taken, content = await _answer(context, taken, pin), None
    if content is None:
        taken, content = await _heard(context, taken, wait=wait)
    if content is None:
        return None
    return await _settle(context, taken, content)


def is_begun(taken: Taken) -> bool:
    """Tell whether the first message was taken, so that the mailbox need not be claimed again."""
    return _ANSWER in taken.extra


_ANSWER = "authority"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the record keeps besides. holder_key: as in a StoredInstance. answered: whether M2 was made."""

    proposal: dict[str, Any]
    holder_key: str
    answered: bool = False

    @property
    def proposed(self) -> Proposal:
        return wire.read(self.proposal, Proposal, what="The kept proposal")

    def __repr__(self) -> str:
        return "<_Kept>"


def _kept(taken: Taken) -> _Kept:
    return wire.read(taken.extra.get(_ANSWER), _Kept, what="The kept delegation")


def _with(taken: Taken, kept: _Kept) -> Taken:
    return msgspec.structs.replace(taken, extra={**taken.extra, _ANSWER: msgspec.to_builtins(kept)})


async def _heard(context: Context, taken: Taken, *, wait: int) -> tuple[Taken, Content | None]:
    taken, content = await exchanging.receive(context, taken, seconds=wait)
    return (taken if content is not None else await exchanging.keep(context, taken)), content


async def _agreed(context: Context, taken: Taken, content: Content, agree: Agree, key: str | None) -> Taken:
    """Show what the sender proposes, and keep it with the key that it is for."""
    proposal = messages.read_step(content, Proposal)
    if proposal.audience != messages.audience_of(derive_keys(taken.secret).context):
        raise Rejected("delegation_foreign", "The sender asks for a proof that would be good elsewhere.")
    if not agree(proposal.credential):
        raise Rejected("declined", "You did not agree, so nothing more was done.")
    place = key or taken.key or key_text(context.new_key(ALGORITHM))
    kept = _Kept(proposal={**wire.plain(proposal), "step": 1}, holder_key=place)
    stage: Literal["claimed"] = "claimed"
    changed = msgspec.structs.replace(_with(taken, kept), stage=stage, issuer=proposal.credential.issuer)
    return await exchanging.keep(context, changed)


async def _answer(context: Context, taken: Taken, pin: AskPin) -> Taken:
    kept = _kept(taken)
    proposal = kept.proposed
    code = pin(proposal.credential) if proposal.pin else None
    if proposal.pin and not code:
        raise Rejected("tx_code_missing", "The sender wants the PIN that it told you by another way.")
    proof = create_proof(
        key=signer_of(kept.holder_key),
        audience=proposal.audience,
        now=context.clock(),
        nonce=proposal.nonce,
    )
    made = _with(taken, msgspec.structs.replace(kept, answered=True))
    return await exchanging.send(context, made, messages.write_step(Claimed(proof=proof, tx_code=code)))


async def _settle(context: Context, taken: Taken, content: Content) -> Held:
    said = messages.read_step(content, Answer)
    if said.error == "pin_wrong" and said.tries_left:
        again = msgspec.structs.replace(_kept(taken), answered=False)
        counted = msgspec.structs.replace(_with(taken, again), tries=taken.tries + 1)
        await exchanging.keep(context, counted)
        raise Rejected("pin_wrong", f"The PIN is wrong; {said.tries_left} more can be tried.")
    if said.credential is None:
        await _leave(context, taken)
        raise Rejected("delegation_refused", "The sender has not signed it; ask for a new share.")
    stored, instance = await _checked(context, taken, said.credential.encode("utf-8", "replace"))
    held = await context.safe.run(store.keep_credential, taken.id, stored, [instance])
    await _leave(context, taken)
    return held


async def _checked(context: Context, taken: Taken, token: bytes) -> tuple[StoredCredential, StoredInstance]:
    """What may be kept: signed by whom the issuer confirmed, for our key, and what was announced."""
    kept = _kept(taken)
    announced, now = kept.proposed.credential, context.clock()
    checked = delegation.check_issued(
        token,
        holder=signer_of(kept.holder_key).public,
        trust=await issuers.trust_in(context, announced.issuer),
        now=now,
        types=[announced.vct],
        leeway=CLOCK_LEEWAY,
    )
    if not _as_announced(checked, announced):
        raise Rejected(
            "delegation_not_as_announced", "The sender has signed something else than it showed you."
        )
    stored = StoredCredential(
        issuer=announced.issuer,
        configuration="",
        vct=announced.vct,
        format=DELEGATED,
        received=now,
        expires=checked.verified.links[-1].expires,
    )
    return stored, StoredInstance(token=token, holder_key=kept.holder_key)


def _as_announced(checked: HeldDelegation, announced: Announced) -> bool:
    link = checked.verified.links[-1]
    return (
        checked.verified.issuer == announced.issuer
        and (link.not_before, link.expires) == (announced.not_before, announced.expires)
        and link.further == announced.further
        and {name: tuple(left) for name, left in link.rights.items()} == announced.rights
        and checked.claims.keys() >= set(announced.claims)
    )


async def _leave(context: Context, taken: Taken) -> None:
    """Delete the mailbox and forget the transfer: there is nothing more to come."""
    try:
        await RelayLine(context, exchanging.box_of(taken)).delete()
    except SafeconductError as error:
        context.report(Notice("mailbox_left", f"The mailbox could not be deleted: {error.reason}"))
    await context.safe.run(register.drop, taken.id)
    await context.safe.erase_traces()
