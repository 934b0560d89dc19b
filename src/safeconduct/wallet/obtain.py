"""Asking for a credential until it is there: through the wallet server once, else of the issuer itself.

Before anything is sent, the request lies in the store with the keys it is for. So whatever breaks, the wallet
can ask again for the same keys, and an issuer that answered before answers again. The wallet server's word
counts for nothing: an answer is taken if it opens with the wallet's key and holds what stands every check.
Whatever else comes back is reported, and the wallet asks the issuer itself, with new proofs. The server never
sees a second one, and a request that it kept back is worth nothing: the identifier inside it is only good for
the keys that were asked for first, or is spent.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.protocols.openid4vci.notification import NotificationEvent
from safeconduct.protocols.openid4vci.response import CredentialResponse, DeferredResponse
from safeconduct.wallet import answers, forwarding, issuers, notify, requests, store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.forwarding import Session
from safeconduct.wallet.holder_keys import new_holder_keys, signer_of
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.line import Grant, IssuerLine
from safeconduct.wallet.records import Held, Pending, StoredCredential, StoredInstance, Waiting
from safeconduct.wallet.requests import PreparedRequest, Token, Wish

Answer = CredentialResponse | DeferredResponse

ID_BYTES = 4
"""Random bytes of the wallet's own names for credentials."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """A request under way: what is kept of it, the keys it is for, and whom it is put to."""

    pending: Pending
    holders: tuple[Signer, ...]
    issuer: Issuer
    configuration: CredentialConfiguration
    line: IssuerLine

    @property
    def wish(self) -> Wish:
        """What is asked for."""
        return Wish(
            issuer=self.issuer,
            configuration=self.configuration,
            access=self.pending.access,
            identifier=self.pending.identifier,
            dpop_key=self.line.dpop_key,
            holders=self.holders,
        )

    def __repr__(self) -> str:
        return f"<Errand {self.pending.id}>"


async def begin(
    context: Context,
    line: IssuerLine,
    issuer: Issuer,
    configuration: CredentialConfiguration,
    grant: Grant,
    *,
    server: str | None,
    via: str | None,
    batch: int,
    key: str | None,
    replaces: str | None = None,
    name: str | None = None,
) -> Errand:
    """Make the keys, and keep the request before it is sent.

    server: the authorization server that the offer named. via: the wallet server. batch: how many instances.
    key: URI of a holder key in a token. replaces: id of the credential that goes when this one comes.
    name: id of the credential to be, a new one unless given.
    """
    keys = new_holder_keys(context, configuration, count=batch, place=key)
    pending = Pending(
        id=name or context.random(ID_BYTES).hex(),
        stage="requested",
        issuer=issuer.identifier,
        server=server,
        configuration=configuration.id,
        access=grant.access,
        identifier=grant.identifier,
        holder_keys=tuple(made.text for made in keys),
        since=context.clock(),
        encrypted=issuer.encrypts,
        via=via,
        replaces=replaces,
    )
    await context.safe.run(store.put_pending, pending)
    holders = tuple(made.signer for made in keys)
    return Errand(pending=pending, holders=holders, issuer=issuer, configuration=configuration, line=line)


async def take_up(context: Context, pending: Pending) -> Errand:
    """Meet the issuer of a request again that was kept. Raises as `issuers.meet`."""
    issuer = await issuers.meet(
        context,
        pending.issuer,
        server=pending.server,
        unencrypted="refused" if pending.encrypted else "allowed",
    )
    configuration = issuers.usable_configuration(issuer.metadata, pending.configuration)
    line = IssuerLine.resumed(context, issuer, pending.access)
    holders = tuple(signer_of(text) for text in pending.holder_keys)
    return Errand(pending=pending, holders=holders, issuer=issuer, configuration=configuration, line=line)


async def ask(context: Context, errand: Errand) -> Held | Waiting:
    """Ask for the credential, through the wallet server if the errand has one, and else directly.

    Raises SafeconductErrors. The request is still kept, unless the issuer has refused it (`answers.FINAL`).
    """
    if errand.pending.via is None:
        return await ask_directly(context, errand)
    try:
        fetched = await _ask_through(context, errand, errand.pending.via)
    except SafeconductError as error:
        _report_server(context, error)
    else:
        return await _settle_through(context, errand, fetched)
    try:
        return await ask_directly(context, await _met_directly(context, errand))
    except Rejected as error:
        if error.code not in answers.SPENT:
            raise
        raise Rejected(
            "credential_withheld",
            "The issuer denies the credential. If it gave it before, the wallet server did not hand it over, "
            "and nobody else can use it; ask the issuer for a new offer.",
        ) from error


async def ask_directly(context: Context, errand: Errand) -> Held | Waiting:
    """Ask the issuer itself, once more if it calls its own nonce stale. Raises as `ask`."""
    async with _forgotten_if_refused(context, errand):
        try:
            return await _asked(context, errand)
        except Rejected as error:
            if error.code != _STALE:
                raise
        return await _asked(context, errand)


async def poll(context: Context, errand: Errand) -> Held | Waiting:
    """Ask for a credential that the issuer gives later, if it is time to.

    Raises SafeconductErrors, as `ask`; Rejected: transaction_changed; Unsupported: deferred_unsupported.
    """
    if errand.pending.not_before > context.clock():
        return errand.pending.waiting
    async with _forgotten_if_refused(context, errand):
        errand = await with_good_token(context, errand)
        if errand.pending.via is not None and errand.issuer.encrypts:
            try:
                fetched = await _poll_through(context, errand, errand.pending.via)
            except SafeconductError as error:
                _report_server(context, error)
            else:
                return await _settle_through(context, errand, fetched)
        prepared = _prepared_poll(context, errand)
        return await _settle(context, errand, await _sent(errand, prepared))


async def with_good_token(context: Context, errand: Errand) -> Errand:
    """Return the errand with a token that is good for a while, if the old one can be renewed."""
    access = await errand.line.refreshed(errand.pending.access)
    if access is errand.pending.access:
        return errand
    return await _changed(context, errand, access=access)


_STALE = "nonce_refused"


@asynccontextmanager
async def _forgotten_if_refused(context: Context, errand: Errand) -> AsyncIterator[None]:
    """Forget the request when the issuer has refused it, and not for what may have happened on the way."""
    try:
        yield
    except SafeconductError as error:
        if error.code in answers.FINAL:
            await forget(context, errand.pending)
        raise


async def forget(context: Context, pending: Pending) -> None:
    """Delete a request and its keys for good."""
    await context.safe.run(store.drop_pending, pending.id)
    await context.safe.erase_traces()


def _report_server(context: Context, error: SafeconductError) -> None:
    context.report(Notice(error.code, f"Through the wallet server: {error.reason}"))


async def _met_directly(context: Context, errand: Errand) -> Errand:
    """The errand with what the issuer itself says, if a server brought what was known so far."""
    if not errand.issuer.passed:
        return errand
    again = await take_up(context, errand.pending)
    return msgspec.structs.replace(errand, issuer=again.issuer, configuration=again.configuration)


# Directly.


async def _asked(context: Context, errand: Errand) -> Held | Waiting:
    prepared = requests.prepare(context, errand.wish, c_nonce=await errand.line.fetch_c_nonce())
    answer = await _sent(errand, prepared)
    return await _settle(context, errand, answer)


async def _sent(errand: Errand, prepared: PreparedRequest) -> Answer:
    response = await errand.line.send(
        errand.pending.access, prepared.body, url=prepared.url, content_type=prepared.content_type
    )
    return requests.open_answer(prepared, response, keys=len(errand.pending.holder_keys))


async def _settle(context: Context, errand: Errand, answer: Answer) -> Held | Waiting:
    """Keep what the issuer itself answered, and tell it what became of it."""
    if isinstance(answer, DeferredResponse):
        return await _put_off(context, errand, answer)
    try:
        tokens = requests.check_answer(context, errand.wish, answer)
    except SafeconductError:
        await _tell(context, errand, answer, "credential_failure")
        await forget(context, errand.pending)
        raise
    return await _keep(context, errand, answer, tokens)


# Through the wallet server.


class _Fetched(msgspec.Struct, frozen=True):
    """What the issuer answered, since it opens with the wallet's key. ticket: for a wake-up."""

    answer: Answer
    session: Session
    ticket: str | None


async def _ask_through(context: Context, errand: Errand, via: str) -> _Fetched:
    prepared = requests.prepare(context, errand.wish, c_nonce=await errand.line.fetch_c_nonce())
    session = await forwarding.open_session(context, via)
    return await _fetched(context, errand, session, prepared, path="credential")


async def _poll_through(context: Context, errand: Errand, via: str) -> _Fetched:
    pending = errand.pending
    prepared = _prepared_poll(context, errand)
    # The proof needs a nonce that is the issuer's own, and a fresh one.
    await errand.line.fetch_c_nonce()
    session = await forwarding.kept_session(context, via, token=pending.session, until=pending.session_until)
    return await _fetched(context, errand, session, prepared, path="deferred")


async def _fetched(
    context: Context, errand: Errand, session: Session, prepared: PreparedRequest, *, path: str
) -> _Fetched:
    headers = errand.line.headers(errand.pending.access, url=prepared.url, content_type=prepared.content_type)
    stays = False
    try:
        brought = await forwarding.forward(
            context, session, prepared, issuer=errand.issuer.identifier, headers=headers, path=path
        )
        answer = requests.open_answer(prepared, brought.response, keys=len(errand.pending.holder_keys))
        stays = isinstance(answer, DeferredResponse)
    finally:
        if not stays:
            await forwarding.close_session(context, session)
    return _Fetched(answer, session, brought.ticket)


async def _settle_through(context: Context, errand: Errand, fetched: _Fetched) -> Held | Waiting:
    """Keep what the issuer answered; who opened the request made the answer, so it is not asked for again."""
    if not isinstance(fetched.answer, DeferredResponse):
        return await _settle(context, errand, fetched.answer)
    waiting = await _put_off(context, errand, fetched.answer, session=fetched.session)
    if fetched.ticket is not None:
        await forwarding.ask_to_be_woken(
            context,
            fetched.session,
            issuer=errand.issuer.identifier,
            after=fetched.answer.interval,
            ticket=fetched.ticket,
        )
    return waiting


# What comes of it.


async def _put_off(
    context: Context, errand: Errand, answer: DeferredResponse, *, session: Session | None = None
) -> Waiting:
    before = errand.pending.transaction_id
    if before is not None and before != answer.transaction_id:
        raise Rejected("transaction_changed", "The issuer answers about another request.")
    if errand.issuer.metadata.deferred_credential_endpoint is None:
        raise Unsupported("deferred_unsupported", "The issuer promises it for later, but not where.")
    kept = await _changed(
        context,
        errand,
        stage="deferred",
        transaction_id=answer.transaction_id,
        not_before=context.clock() + answer.interval,
        session=None if session is None else session.token,
        session_until=0 if session is None else session.until,
    )
    return kept.pending.waiting


async def _changed(context: Context, errand: Errand, **changes: Any) -> Errand:
    pending = msgspec.structs.replace(errand.pending, **changes)
    await context.safe.run(store.change_pending, pending)
    return msgspec.structs.replace(errand, pending=pending)


async def _keep(
    context: Context, errand: Errand, answer: CredentialResponse, tokens: tuple[Token, ...]
) -> Held:
    pending = errand.pending
    if len(tokens) < len(pending.holder_keys):
        context.report(Notice("batch_shortened", "The issuer gave fewer instances than were asked for."))
    stored = StoredCredential(
        issuer=pending.issuer,
        configuration=pending.configuration,
        vct=str(errand.configuration.vct),
        format=errand.configuration.format,
        received=context.clock(),
        expires=requests.earliest(tokens),
        access=pending.access,
        identifier=pending.identifier,
        server=pending.server,
        encrypted=pending.encrypted,
        notification_endpoint=errand.issuer.metadata.notification_endpoint,
        notification_id=answer.notification_id,
    )
    instances = [
        StoredInstance(token=token.token, holder_key=pending.holder_keys[token.holder]) for token in tokens
    ]
    held = await context.safe.run(
        store.keep_credential, pending.id, stored, instances, replaces=pending.replaces
    )
    await context.safe.erase_traces()
    await _tell(context, errand, answer, "credential_accepted")
    return held


async def _tell(
    context: Context, errand: Errand, answer: CredentialResponse, event: NotificationEvent
) -> None:
    await notify.tell(
        context,
        errand.line,
        errand.pending.access,
        endpoint=errand.issuer.metadata.notification_endpoint,
        notification_id=answer.notification_id,
        event=event,
    )


def _prepared_poll(context: Context, errand: Errand) -> PreparedRequest:
    url, transaction_id = errand.issuer.metadata.deferred_credential_endpoint, errand.pending.transaction_id
    if url is None or transaction_id is None:
        raise Unsupported("deferred_unsupported", "The issuer does not say any more where to ask.")
    return requests.prepare_poll(context, errand.wish, transaction_id, url=url)
