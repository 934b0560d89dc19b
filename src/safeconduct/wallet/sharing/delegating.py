"""The sender as authority: it signs the receiver's key itself, and no issuer is asked.

    M1  is left with the mailbox: what would be passed on, and a nonce
    M2  comes from whoever opened the link: a proof of its key, and the PIN that came by another way
        the user says whether that is to be signed
    M3  is sent: a credential for that key, made with the key of the sender's own

The PIN is checked here as by an issuer: it can be wrong a few times, then everything ends. What was signed
cannot be taken back: it ends with its time, or with the sender's own credential; and only verifiers whose
policy takes such credentials believe it. Each step is kept before the next, and `answer` goes on from there.
"""

import hmac
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats import paths
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.claims import resolve
from safeconduct.protocols import wire
from safeconduct.protocols.jwt import PROOF_ALGORITHMS
from safeconduct.protocols.openid4vci.offer import TxCode, new_tx_code
from safeconduct.protocols.openid4vci.proof import verify_proof
from safeconduct.protocols.transfer import delegation as messages
from safeconduct.protocols.transfer.content import Content
from safeconduct.protocols.transfer.delegation import Announced, Answer, Claimed, Proposal
from safeconduct.protocols.transfer.keys import derive_keys, new_secret
from safeconduct.wallet import listing, rows, store
from safeconduct.wallet.context import Context
from safeconduct.wallet.formats import DELEGATED, SD_JWT
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.obtain import ID_BYTES
from safeconduct.wallet.records import Credential, StoredInstance
from safeconduct.wallet.sharing import ending, exchanging, register, relays
from safeconduct.wallet.sharing.records import Given

LIFETIME = 7 * 86400
"""Seconds that a delegated credential is good for unless the user says otherwise: nobody can take it back."""

OPEN = 86400
"""Seconds for which somebody can answer, unless the user says otherwise."""

PIN_TRIES = 5
"""How many PINs may be wrong, as with an issuer (OpenID4VCI 1.0 §13.6)."""

_NONCE_BYTES = 16

State = Literal["waiting", "unconfirmed", "signed", "pin_wrong", "refused"]
"""waiting: nobody has answered. unconfirmed: somebody has, and the user did not say yet. signed: the
credential lies there. pin_wrong: it may be tried again. refused: nothing is signed, and all is over."""


class AuthorityWish(msgspec.Struct, frozen=True, kw_only=True):
    """How the user wants to pass a credential on.

    disclose: claim paths that go along. rights: what is left of claims that are arrays of texts. not_before,
    expires: seconds since 1970. further: how often the receiver may pass it on. pin: whether to ask for one.
    lifetime: seconds for which somebody can answer. relay: base URL; None: the one that is set. jkt:
    thumbprint of the only key that is signed for, None: any. agree: asked right before it is begun (P20).
    """

    disclose: tuple[str, ...] = ()
    rights: Mapping[str, tuple[str, ...]] = {}
    not_before: int | None = None
    expires: int | None = None
    further: int = 0
    pin: bool = True
    lifetime: int = OPEN
    relay: str | None = None
    jkt: str | None = None
    contact: str | None = None
    agree: Callable[[Given], bool] | None = None


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """Who has answered, for the user to decide on. jkt: thumbprint of its key, in base64url."""

    id: str
    jkt: str
    credential: Announced

    def __repr__(self) -> str:
        return f"<Claimant of {self.id}>"


Confirm = Callable[[Claimant], bool | None]
"""Asks the user whether to sign; None: not known yet."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How far a delegation has come. tries_left: of the PIN."""

    id: str
    state: State
    tries_left: int = 0


async def begin(context: Context, credential: str, wish: AuthorityWish) -> Given:
    """Keep what is to be passed on, after it was tried whether it can be. Nothing is sent yet.

    credential: any beginning of its id. The instance that is passed on counts as shown: the receiver's
    verifiers see it. Raises Unsupported: authority_unsupported; Rejected: credential_unknown,
    credential_ambiguous, relay_missing, declined, and what `delegation.issue` raises.
    """
    relay = relays.relay_to_leave_at(context, wish.relay)
    held = (await context.safe.run(store.find_credential, credential)).held
    if held.format not in (SD_JWT, DELEGATED):
        raise Unsupported("authority_unsupported", "Only an SD-JWT VC can be passed on without its issuer.")
    now, secret = context.clock(), new_secret(random=context.random)
    parent = await context.safe.run(store.take_instance, credential, reuse=True)
    proposal = Proposal(
        nonce=b64.encode(context.random(_NONCE_BYTES)),
        audience=messages.audience_of(derive_keys(secret).context),
        credential=_announced(parent, wish, now),
        pin=wish.pin,
    )
    given = Given(
        id=context.random(ID_BYTES).hex(),
        stage="granted",
        since=now,
        level="authority",
        mode="share",
        credential=held.id,
        instance=parent.instance,
        issuer=held.issuer,
        configuration=held.configuration,
        vct=held.vct,
        disclose=wish.disclose,
        request_id="",
        share_id="",
        secret=secret,
        not_before=proposal.credential.not_before,
        expires=proposal.credential.expires,
        lifetime=wish.lifetime,
        jkt=wish.jkt,
        tx_code=new_tx_code(TxCode(length=6), random=context.random) if wish.pin else None,
        offer_expires=now + wish.lifetime,
        box=relays.new_box(context, relay),
        contact=wish.contact,
        outcome="nothing",  # at the issuer, which is never asked
        extra={_DETAILS: msgspec.to_builtins(_Details(proposal=proposal))},
    )
    try:
        _signed(context, given, parent, signer_of(parent.key).public)
        if wish.agree is not None and not wish.agree(given):
            raise Rejected("declined", "You did not agree, so nothing was shared.")
    except SafeconductError:
        await context.safe.run(store.return_instance, parent)
        raise
    await context.safe.run(register.put, given)
    return given


def first_message(given: Given) -> Content:
    """Return M1."""
    return messages.write_step(_details(given).proposal)


async def answer(context: Context, transfer: str, *, confirm: Confirm, wait: int) -> Answered:
    """Go on with a delegation, from wherever it is; return how far it has come.

    transfer: any beginning of its id. confirm: is asked once somebody has proved a key. wait: seconds.
    Raises Rejected: transfer_unknown, transfer_ambiguous, authority_unwanted (a share of another kind),
    share_over, mailbox_gone; and as `exchanging.receive`.
    """
    given = await _found(context, transfer)
    if _details(given).verdict is not None:
        return await _sent(context, given)
    heard, content = await exchanging.receive(context, given, seconds=wait)
    if content is None:
        await exchanging.keep(context, heard)
        return Answered(id=given.id, state="waiting")
    key = _proved(context, heard, content)
    if isinstance(key, str):
        return await _refuse(context, heard, key)
    claimant = Claimant(id=given.id, jkt=_jkt(key), credential=_details(given).proposal.credential)
    said = confirm(claimant)
    if said is None:
        return Answered(id=given.id, state="unconfirmed")  # nothing is kept: the answer is read again
    if not said:
        return await _refuse(context, heard, "declined")
    parent = await _parent(context, heard)
    token = _signed(context, heard, parent, key)
    return await _send(context, heard, Answer(credential=token), state="signed")


_DETAILS = "authority"


class _Details(msgspec.Struct, frozen=True, kw_only=True):
    """What the record keeps besides. proposal: M1. wrong: PINs so far. verdict: of what was sent last."""

    proposal: Proposal
    wrong: int = 0
    verdict: Literal["signed", "refused"] | None = None


def _details(given: Given) -> _Details:
    return wire.read(given.extra.get(_DETAILS), _Details, what="The kept delegation")


def _with(given: Given, **changes: Any) -> Given:
    details = msgspec.structs.replace(_details(given), **changes)
    return msgspec.structs.replace(given, extra={**given.extra, _DETAILS: msgspec.to_builtins(details)})


async def _found(context: Context, transfer: str) -> Given:
    given = await context.safe.run(register.find, transfer)
    if not isinstance(given, Given) or given.level != "authority":
        raise Rejected("authority_unwanted", "Nothing has to be signed in this transfer.")
    if given.stage != "left":
        raise Rejected("share_over", "The share is over, or being taken back; share again.")
    return given


def _proved(context: Context, given: Given, content: Content) -> PublicKey | messages.Refusal:
    """The key that an answer proves; or what is wrong with it, the PIN looked at first."""
    try:
        claimed = messages.read_step(content, Claimed)
    except SafeconductError:
        return "proof_refused"
    if given.tx_code is not None and not hmac.compare_digest(
        (claimed.tx_code or "").encode(), given.tx_code.encode()
    ):
        return "pin_wrong"
    proposal, now = _details(given).proposal, context.clock()
    try:
        key = verify_proof(
            claimed.proof,
            audience=proposal.audience,
            now=now,
            nonce_ok=lambda received: hmac.compare_digest(received.encode(), proposal.nonce.encode()),
            client_id=None,
            algorithms=PROOF_ALGORITHMS,
            # The sender may look long after; the nonce is of this transfer, and good for one signature.
            max_age=now - given.since + limits.PROOF_LEEWAY,
        )
    except SafeconductError:
        return "proof_refused"
    wanted = given.jkt
    return key if wanted is None or hmac.compare_digest(_jkt(key), wanted) else "proof_refused"


async def _refuse(context: Context, given: Given, why: messages.Refusal) -> Answered:
    """Say why nothing is signed. A PIN can be tried again; who cannot prove a key, not."""
    wrong = _details(given).wrong + (why == "pin_wrong")
    left = max(0, PIN_TRIES - wrong)
    if why != "pin_wrong" or not left:
        return await _send(context, _with(given, wrong=wrong), Answer(error=why), state="refused")
    again = messages.write_step(Answer(error=why, tries_left=left))
    await exchanging.send(context, _with(given, wrong=wrong), again)
    return Answered(id=given.id, state="pin_wrong", tries_left=left)


async def _send(
    context: Context, given: Given, said: Answer, *, state: Literal["signed", "refused"]
) -> Answered:
    decided = _with(given, verdict=state)
    return await _sent(context, await exchanging.send(context, decided, messages.write_step(said)))


async def _sent(context: Context, given: Given) -> Answered:
    """End the transfer on this side: the receiver, or time, deletes the mailbox with the last message."""
    verdict = _details(given).verdict or "refused"
    try:
        await exchanging.flush(context, given)
    except Rejected as error:
        if error.code != "mailbox_gone":  # it had arrived: the receiver has taken it and tidied up
            raise
    await ending.close(context, given, outcome=verdict)
    return Answered(id=given.id, state=verdict)


def _signed(context: Context, given: Given, parent: Credential, receiver: PublicKey) -> str:
    about = _details(given).proposal.credential
    return delegation.issue(
        parent.token,
        delegator=signer_of(parent.key),
        receiver=receiver,
        disclose=given.disclose,
        rights=about.rights,
        not_before=about.not_before,
        expires=about.expires,
        further=about.further,
        now=given.since,
        random=context.random,
    )


async def _parent(context: Context, given: Given) -> Credential:
    """The instance that is passed on. Raises Rejected: credential_unknown if it is gone, or was renewed."""
    held = (await context.safe.run(store.find_credential, given.credential)).held
    kept = await context.safe.run(rows.get, store.INSTANCE, given.instance, StoredInstance)
    if kept is None:
        raise Rejected("credential_unknown", "The credential that was to be passed on is gone.")
    return Credential(held, kept.token, kept.holder_key, given.instance)


def _announced(parent: Credential, wish: AuthorityWish, now: int) -> Announced:
    claims = listing.open_credential(parent).claims
    begins, ends = claims.get("nbf", now), parent.held.expires
    named = {resolve(paths.parse(path))[0] for path in wish.disclose}
    return Announced(
        issuer=parent.held.issuer,
        vct=parent.held.vct,
        claims=tuple(name for name in sorted(claims) if name in named),
        rights=dict(wish.rights),
        not_before=max(now, math.ceil(begins)) if wish.not_before is None else wish.not_before,
        expires=min(now + LIFETIME, ends or now + LIFETIME) if wish.expires is None else wish.expires,
        further=wish.further,
    )


def _jkt(key: PublicKey) -> str:
    return b64.encode(key.jwk_thumbprint())
