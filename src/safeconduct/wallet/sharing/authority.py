"""Passing a credential on without its issuer, as one call for each side: see `delegating` and `delegated`."""

from typing import Literal
from urllib.parse import urlsplit

from safeconduct.protocols.transfer.delegation import Announced
from safeconduct.wallet import store
from safeconduct.wallet.context import Context
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import delegated, delegating, receiving, sending
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.delegating import Answered, AuthorityWish, Confirm
from safeconduct.wallet.sharing.receiving import ShareQuestion, Terms
from safeconduct.wallet.sharing.records import Shared, Taken


async def share(context: Context, credential: str, wish: AuthorityWish) -> Shared:
    """Leave at a relay what somebody can answer, and return the link to it; the PIN apart, for another way.

    Raises as `delegating.begin` and `sending.leave`. Go on with `answer`.
    """
    given = await delegating.begin(context, credential, wish)
    left = await sending.leave(context, given, delegating.first_message(given))
    return sending.shared_of(left)


async def answer(context: Context, transfer: str, *, confirm: Confirm, wait: int) -> Answered:
    """Sign for whoever answered, if the user agrees. See `delegating.answer`."""
    return await delegating.answer(context, transfer, confirm=confirm, wait=wait)


async def receive(context: Context, taken: Taken, terms: Terms) -> Held | Awaited:
    """Take what a sender passes on, or go on with that; the same call goes on while the sender has to act.

    Raises as `receiving.claim`, `receiving.check_issuer` and `delegated.receive`.
    """
    content = None
    if taken.issuer is not None:
        receiving.check_issuer(taken.issuer, terms)
    if not delegated.is_begun(taken):
        taken, content = await receiving.claim(context, taken)
    issuers = await context.safe.run(store.list_issuers)
    known = frozenset(one.identifier for one in issuers if one.seen is not None or one.pinned)

    def agrees(about: Announced) -> bool:
        receiving.check_issuer(about.issuer, terms)
        return terms.ask is None or terms.ask(_question(about, "redeem", known))

    def pin(about: Announced) -> str | None:
        if terms.tx_code is not None or terms.pin is None:
            return terms.tx_code
        return terms.pin(_question(about, "pin", known))

    held = await delegated.receive(
        context, taken, content, agree=agrees, pin=pin, key=terms.key, wait=terms.wait_sender
    )
    return Awaited(id=taken.id, digits=None) if held is None else held


_SHOWN = 512


def _question(about: Announced, step: Literal["redeem", "pin"], known: frozenset[str]) -> ShareQuestion:
    return ShareQuestion(
        step=step,
        host=_printable(urlsplit(about.issuer).netloc),
        level="authority",
        description=_printable(_described(about)),
        issuer=_printable(about.issuer),
        configurations=(_printable(about.vct),),
        expires=about.expires,
        known=about.issuer in known,
    )


def _described(about: Announced) -> str:
    """What is passed on, in words of the sender's that anybody could have written."""
    rights = (f"{name}: {', '.join(left)}" for name, left in sorted(about.rights.items()))
    return "; ".join(("signed by its sender, not by the issuer", *about.claims, *rights))


def _printable(text: str) -> str:
    return "".join(character for character in text[:_SHOWN] if character.isprintable())
