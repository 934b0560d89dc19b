"""Giving a credential, or a part of its rights, to somebody else.

1. What is wanted is checked against the issuer's terms, and kept.
2. The issuer makes the share: an offer of a new credential, for whoever gets it.
3. The offer is sealed, and left at a relay under a claim that only this wallet has.
4. The link to it, with the secret, is returned; the PIN separately, for another way.

Each step is kept before the next, so that after a crash the same share goes on (`resume`), under the same
claim and the same secret. Whatever the relay answers, the fragment of the link never leaves the wallet.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats import paths
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci import sharing
from safeconduct.protocols.openid4vci.sharing import CreatedShare, ShareBinding, ShareRequest
from safeconduct.protocols.transfer import content as contents
from safeconduct.protocols.transfer import link as links
from safeconduct.protocols.transfer.content import Content
from safeconduct.protocols.transfer.keys import claim_key_text, derive_keys, new_secret
from safeconduct.protocols.transfer.link import ShareLink
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.wallet import listing
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.obtain import ID_BYTES
from safeconduct.wallet.sharing import (
    addressed,
    approving,
    channels,
    delegating,
    exchanging,
    register,
    relays,
    share_line,
)
from safeconduct.wallet.sharing.records import Box, Given, Level, Mode, Shared
from safeconduct.wallet.sharing.relay_line import RelayLine
from safeconduct.wallet.sharing.share_line import SharesLine

TITLE = "A credential is being shared with you"
DESCRIPTION = "Open this link with your wallet. Whoever opens it first can answer it."
"""What a relay shows to everybody: the same for all shares, so that it tells nothing of this one."""

DRAFT_LEVELS: frozenset[Level] = frozenset({"link", "pin"})
"""Levels of which a receiver that knows only the drafts need not know."""

_REQUEST_BYTES = 24
_NEVER = 1 << 53


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How the user wants to share.

    level: None for the best that needs no contact. disclose: claim paths that the new credential may be made
    of; None: all that the issuer puts into it. entitlements: of the rights; None: all. not_before, expires:
    of the new credential, seconds since 1970. lifetime: of the offer, seconds. relay: base URL; None: the one
    that is set. place: "file" without a relay. payloads: "draft" for a receiver that knows the drafts' only.
    jkt: thumbprint of the receiver's key. contact: whom it is for. extra: what the steps of a level need.
    agree: asked right before the issuer is, with the record; a place to unlock the wallet once more (P20).
    """

    level: Level | None = None
    mode: Mode = "share"
    disclose: tuple[str, ...] | None = None
    entitlements: tuple[str, ...] | None = None
    not_before: int | None = None
    expires: int | None = None
    lifetime: int | None = None
    relay: str | None = None
    place: Literal["relay", "file"] = "relay"
    payloads: Literal["own", "draft"] = "own"
    jkt: str | None = None
    contact: str | None = None
    extra: dict[str, Any] = {}
    agree: Callable[[Given], bool] | None = None


async def share(context: Context, credential: str, wish: Wish) -> Shared:
    """Share a credential by a link. credential: any beginning of its id that only it has.

    Raises Rejected: credential_unknown, credential_ambiguous, sharing_not_allowed, share_level_not_allowed,
    share_mode_not_allowed, relay_missing, declined; what `SharesLine.grant` and `RelayLine.create` raise.
    What is under way then is kept, and goes on with `resume`.
    """
    given = await begin(context, credential, wish)
    try:
        return await resume(context, given)
    except SafeconductError:
        if await context.safe.run(register.get, given.id) is not None:
            context.report(unfinished(given))
        raise


def unfinished(given: Given) -> Notice:
    """What the user is told of a share that stopped on its way."""
    return Notice(
        "share_unfinished",
        f"Nobody has the link to share {given.id} yet: `wallet link {given.id}` goes on (elsewhere with "
        f"--relay), `wallet revoke {given.id}` takes it back.",
    )


async def resume(context: Context, given: Given) -> Shared:
    """Go on with a share where it stopped, by the same request, claim and secret; then return it again.

    Raises as `share`; Rejected: share_over if it is being taken back.
    """
    if given.stage == "begun":
        given = await ask_issuer(context, given)
    if given.stage == "granted":
        given = await _left(context, given)
    return shared_of(given)


async def _left(context: Context, given: Given) -> Given:
    if given.box is None:
        text = addressed.seal_text(given, offer_of(given))
        return await _kept(context, msgspec.structs.replace(given, stage="left", link=text))
    return await leave(context, *first_content(context, given))


def first_content(context: Context, given: Given) -> tuple[Given, Content]:
    """Return the first message of a share, and the record that goes with it.

    Raises Rejected: share_over, contact_missing (a share for a contact that is not named).
    """
    if given.level == "authority":
        return given, delegating.first_message(given)
    offer = offer_of(given)
    if given.level == "key":
        return given, addressed.seal(given, offer)
    if given.level == "approve" and offer.share is not None and given.body is None:
        return approving.begin(context, given, offer.share)
    return given, contents.offer_content(offer)


def offer_of(given: Given) -> contents.Offer:
    """Return the offer with what its receiver holds against it. Raises Rejected: share_over without one."""
    if given.offer is None:
        raise _over()
    about = contents.Share(
        id=given.share_id,
        issuer=given.issuer,
        expires=given.offer_expires,
        mode=given.mode,
        configuration_ids=(given.configuration,),
    )
    return contents.Offer(given.offer, about)


def shared_of(given: Given) -> Shared:
    """Return what the user needs of a share that is left. Raises Rejected: share_over."""
    if given.stage != "left":
        raise _over()
    return Shared(
        id=given.id,
        share_id=given.share_id,
        level=given.level,
        mode=given.mode,
        link=given.link,
        tx_code=given.tx_code,
        expires=given.offer_expires,
    )


# Step 1.


async def begin(context: Context, credential: str, wish: Wish) -> Given:
    """Check a wish against the issuer's terms, and keep it under a name of its own. Nothing is asked yet."""
    relay = relays.relay_to_leave_at(context, wish.relay) if wish.place == "relay" else None
    line = await share_line.open_line(context, credential)
    held, terms = line.credential.held, line.terms
    level = _level(wish, terms.levels)
    if wish.payloads == "draft" and level not in DRAFT_LEVELS:
        raise Rejected(
            "share_level_not_allowed",
            "The drafts know only links, with or without a PIN: choose such a level, or do not write as they "
            "do.",
        )
    if wish.mode not in terms.modes:
        raise Rejected("share_mode_not_allowed", "The issuer does not let this credential be shared so.")
    request_id = _new_request_id(context)
    given = Given(
        id=context.random(ID_BYTES).hex(),
        stage="begun",
        since=context.clock(),
        level=level,
        mode=wish.mode,
        credential=held.id,
        instance=line.credential.instance,
        issuer=held.issuer,
        configuration=held.configuration,
        vct=held.vct,
        disclose=_disclosed(line, wish.disclose, terms.claims),
        request_id=request_id,
        share_id=sharing.share_id_of(held.issuer, request_id),
        secret=new_secret(random=context.random),
        entitlements=wish.entitlements,
        not_before=wish.not_before,
        expires=wish.expires,
        lifetime=wish.lifetime,
        jkt=wish.jkt,
        version=1 if wish.payloads == "draft" else 2,
        box=None if relay is None else relays.new_box(context, relay),
        contact=wish.contact,
        extra=wish.extra,
    )
    if wish.agree is not None and not wish.agree(given):
        raise Rejected("declined", "You did not agree, so nothing was shared.")
    await context.safe.run(register.put, given)
    return given


def _level(wish: Wish, allowed: Sequence[str]) -> Level:
    """The level that is wanted, or the best that needs no contact: the PIN, else the comparison."""
    preferred: tuple[Level, ...] = ("pin", "approve") if wish.level is None else (wish.level,)
    for level in preferred:
        if level in allowed:
            return level
    raise Rejected(
        "share_level_not_allowed",
        "The issuer does not let this credential be shared in this way; choose another level.",
    )


def _disclosed(
    line: SharesLine, wanted: Sequence[str] | None, claims: Sequence[str] | None
) -> tuple[str, ...]:
    """The claim paths that the issuer is shown: all that the new credential can have, or those wanted."""
    if wanted is not None:
        return tuple(wanted)
    shown = listing.open_credential(line.credential)
    return tuple(path for path in shown.withholdable if claims is None or _top(path) in claims)


def _top(path: str) -> str:
    first = paths.parse(path)[0]
    return "" if isinstance(first, paths.Index) else first.text


def _new_request_id(context: Context) -> str:
    return context.random(_REQUEST_BYTES).hex()


# Step 2.


async def ask_issuer(context: Context, given: Given) -> Given:
    """Have the issuer make the share, and keep the offer.

    Where an answer was lost, what may have been made is taken back first, and another is made: nobody saw the
    first offer, so that none stays open. A refusal forgets the wish.
    Raises as `SharesLine.grant`; Rejected: credential_unknown if the credential has been deleted,
    share_answer_foreign.
    """
    line = await share_line.open_line(context, given.credential)
    try:
        return await _granted(context, line, given)
    except SafeconductError as error:
        if not share_line.is_open(error):
            await _forget(context, line, given, error)
            raise
    await line.end(given.share_id)
    given = await _renamed(context, given)
    try:
        return await _granted(context, line, given)
    except SafeconductError as error:
        if not share_line.is_open(error):
            await _forget(context, line, given, error)
        raise


async def _forget(context: Context, line: SharesLine, given: Given, error: SafeconductError) -> None:
    """Forget a share that was refused, or answered in a way that nobody can use; then it is taken back."""
    if error.code not in share_line.REFUSED:
        await line.end(given.share_id)
    await context.safe.run(register.drop, given.id)


async def _granted(context: Context, line: SharesLine, given: Given) -> Given:
    if given.level == "authority":
        raise Unsupported("level_unsupported", "No issuer makes a share whose sender signs itself.")
    request = ShareRequest(
        presentation=b"",
        format=line.credential.held.format,
        mode=given.mode,
        binding=ShareBinding(level=given.level, jkt=given.jkt),
        entitlements=given.entitlements,
        not_before=given.not_before,
        expires=given.expires,
        lifetime=given.lifetime,
        request_id=given.request_id,
    )
    made = await line.grant(request, disclose=given.disclose)
    _check_made(given, made)
    return await _kept(
        context,
        msgspec.structs.replace(
            given,
            stage="granted",
            offer=made.credential_offer,
            tx_code=made.tx_code,
            offer_expires=made.expires_at,
        ),
    )


def _check_made(given: Given, made: CreatedShare) -> None:
    """The issuer must not bind the share less tightly than was asked for, nor offer for somebody else."""
    same = made.level == given.level and made.mode == given.mode
    bound = (made.tx_code is not None) == (given.level == "pin")
    if not same or not bound or made.credential_offer.get("credential_issuer") != given.issuer:
        raise Rejected("share_answer_foreign", "The issuer made another share than it was asked for.")


async def _renamed(context: Context, given: Given) -> Given:
    request_id = _new_request_id(context)
    share_id = sharing.share_id_of(given.issuer, request_id)
    return await _kept(context, msgspec.structs.replace(given, request_id=request_id, share_id=share_id))


# Step 3.


async def leave(context: Context, given: Given, content: Content) -> Given:
    """Leave the first message at the relay, and keep the link.

    content: sealed once; a repetition after a lost answer sends the same bytes.
    Raises as `RelayLine.create`; the share is kept at the stage "granted" then.
    """
    box = given.box
    if box is None:
        raise Rejected("relay_missing", "The share goes without a relay.")
    if given.body is None:
        sealed, payload = channels.seal_next(context, given, content)
        body = wire.encode(_mailbox(context, given, payload))
        given = await _kept(context, msgspec.structs.replace(sealed, body=body))
    mailbox = await RelayLine(context, box).create(given.body or b"")
    made = msgspec.structs.replace(box, id=mailbox)
    return await _kept(
        context,
        msgspec.structs.replace(given, stage="left", box=made, body=None, link=_link(given, made)),
    )


async def leave_elsewhere(context: Context, given: Given, relay: str) -> Given:
    """Leave a share at another relay, where the first is out of reach; the old link is good for nothing then.

    The mailbox there gets a claim and a secret of its own. Raises Rejected: share_over; and as `leave`.
    """
    if given.stage not in ("granted", "left") or given.box is None:
        raise _over()
    elsewhere = relays.new_box(context, relays.relay_to_leave_at(context, relay))
    abandoned = given.box
    moved = msgspec.structs.replace(
        given,
        stage="granted",
        box=elsewhere,
        body=None,
        sent=0,
        received=0,
        link=None,
        secret=new_secret(random=context.random),
    )
    moved, content = first_content(context, moved)
    left = await leave(context, await _kept(context, moved), content)
    await _abandon(context, abandoned)
    return left


async def _abandon(context: Context, box: Box) -> None:
    if not box.id:
        return
    try:
        await RelayLine(context, box).delete()
    except SafeconductError as error:
        context.report(
            Notice(error.code, f"The share could not be taken away from the old relay: {error.reason}")
        )


def _mailbox(context: Context, given: Given, payload: Payload) -> dict[str, Any]:
    ends = min(given.offer_expires or _NEVER, context.clock() + limits.OFFER_SECONDS)
    configuration = {"accessRights": "RWD", "expiration": _rfc3339(ends)}
    if given.version != 1:
        configuration["claimKey"] = claim_key_text(derive_keys(given.secret))
    return {
        "payload": {"type": payload.type, "data": payload.data},
        "displayInformation": {"title": TITLE, "description": DESCRIPTION, "imageURL": ""},
        "mailboxConfiguration": configuration,
    }


def _link(given: Given, box: Box) -> str:
    if given.version == 1:
        return links.draft_link_text(ShareLink(url=box.url, secret=given.secret, version=1))
    return links.link_text(ShareLink(url=box.url, secret=given.secret, level=given.level))


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _kept(context: Context, given: Given) -> Given:
    kept = await context.safe.run(register.change, given)
    if kept is not None:
        return kept
    there = await context.safe.run(register.get, given.id)
    if isinstance(there, Given) and there.stage not in ("ending", "over"):
        raise exchanging.changed()
    raise _over()


def _over() -> Rejected:
    return Rejected("share_over", "The share is over, or being taken back; share again.")
