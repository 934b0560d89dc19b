"""The receiver's side of a share by approval: its answer, the digits, and the offer that comes after them.

The answer names the key that the credential will be bound to, made for it or in a PKCS#11 token; the issuer
will take a proof by no other. Each step is kept with what it heard, so that `receive` goes on where it was.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from safeconduct.errors import Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import approval as steps
from safeconduct.protocols.transfer.approval import ReceiverApproval
from safeconduct.protocols.transfer.content import APPROVE_FORMAT, SEALED_FORMAT, Content, Offer
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.wallet.context import Context
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import key_text
from safeconduct.wallet.sharing import addressed, contacts, exchanging
from safeconduct.wallet.sharing.records import Taken

Show = Callable[[str, str], None]
"""Shows the digits to the user, with the issuer that the sender names."""

_APPROVAL, _OFFER = "approval", "approved_offer"


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that the sender has yet to go on with. digits: to compare, None before there are any."""

    id: str
    digits: str | None

    def __repr__(self) -> str:
        return f"<Awaited {self.id}>"


async def receive(
    context: Context, taken: Taken, content: Content | None, *, key: str | None, show: Show, wait: int
) -> tuple[Taken, Offer | None]:
    """Go on with a transfer by approval, from wherever it is; return the offer, None while it is not there.

    content: a message that was read already. key: a holder key, the URI of one in a token or a private JWK as
    text; None for a new one. show: gets the digits. wait: seconds for the sender, each time.
    Raises Rejected: commitment_mismatch (somebody is in the middle: decline), approval_not_compared,
    offer_not_of_approver, offer_not_as_announced, mailbox_gone, and as `exchanging.receive`.
    """
    if _OFFER in taken.extra:
        return taken, wire.read(taken.extra[_OFFER], Offer, what="The kept offer")
    if _APPROVAL not in taken.extra:
        content = None if content is None or _is_anothers(content) else content
        taken, content = await _heard(context, taken, content, wait=wait)
        if content is None:
            return taken, None
        taken, content = await _answer(context, taken, content, key), None
    if _approval(taken).state == "answered":
        taken, content = await _heard(context, taken, content, wait=wait)
        if content is None:
            return taken, None
        taken, content = await _compare(context, taken, content), None
    approval = _approval(taken)
    show(approval.digits, approval.share.issuer)
    taken, content = await _heard(context, taken, content, wait=wait)
    if content is None:
        return taken, None
    return await _accept(context, taken, content)


def awaited(taken: Taken) -> Awaited:
    """Return what there is to tell of a transfer that waits for its sender."""
    known = _APPROVAL in taken.extra
    return Awaited(id=taken.id, digits=_approval(taken).digits or None if known else None)


async def _heard(
    context: Context, taken: Taken, content: Content | None, *, wait: int
) -> tuple[Taken, Content | None]:
    """The next message, unless it was read already; what changes without one is kept."""
    taken = await exchanging.flush(context, taken)
    if content is not None:
        return taken, content
    taken, content = await exchanging.receive(context, taken, seconds=wait)
    return (taken if content is not None else await exchanging.keep(context, taken)), content


def _is_anothers(content: Content) -> bool:
    """Whether the message was for a receiver that has stepped back since; the sender will begin anew."""
    return content.format == APPROVE_FORMAT and content.content.get("step") != 1


async def _answer(context: Context, taken: Taken, content: Content, key: str | None) -> Taken:
    key = key or taken.key or key_text(context.new_key(contacts.ALGORITHM))
    thumbprint = signer_of(key).public.jwk_thumbprint()
    approval, answer = steps.answer(content, proof_key_thumbprint=thumbprint, random=context.random)
    return await exchanging.send(context, addressed.bound_to(_with(taken, approval), key), answer)


async def _compare(context: Context, taken: Taken, content: Content) -> Taken:
    if content.format == SEALED_FORMAT:
        raise Rejected(
            "approval_not_compared",
            "The sender let the share go before you could see the digits, so nobody has compared them. Ask "
            "for a new share.",
        )
    keys = derive_keys(taken.secret)
    approval = steps.take_reveal(_approval(taken), content, context=keys.context)
    return await exchanging.keep(context, _with(taken, approval))


async def _accept(context: Context, taken: Taken, content: Content) -> tuple[Taken, Offer]:
    approval, offer = steps.take_offer(_approval(taken), content, keys=derive_keys(taken.secret))
    taken = _with(taken, approval)
    kept = msgspec.structs.replace(taken, extra={**taken.extra, _OFFER: wire.plain(offer)})
    return await exchanging.keep(context, kept), offer


def _with(taken: Taken, approval: ReceiverApproval) -> Taken:
    extra: dict[str, Any] = {**taken.extra, _APPROVAL: steps.approval_record(approval)}
    return msgspec.structs.replace(taken, extra=extra)


def _approval(taken: Taken) -> ReceiverApproval:
    return steps.read_receiver_approval(taken.extra.get(_APPROVAL, {}))
