"""The wallet as its user meets it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from safeconduct.clock import Clock
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.transfer.contact import ContactCard
from safeconduct.settings import WalletSettings
from safeconduct.wallet import accept, backup, keeping, later, listing, present, store
from safeconduct.wallet.accept import Terms
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.guards import Guard, Passphrase
from safeconduct.wallet.listing import Shown
from safeconduct.wallet.offers import Ask, Question
from safeconduct.wallet.present import Outcome
from safeconduct.wallet.records import Held, KnownIssuer, Waiting
from safeconduct.wallet.safe import guard_of, open_safe
from safeconduct.wallet.sharing import (
    addressed,
    approving,
    authority,
    contacts,
    declining,
    ending,
    receiving,
    redeeming,
    register,
    resuming,
    sending,
)
from safeconduct.wallet.sharing import listing as shared_listing
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.approving import Approval, Confirm
from safeconduct.wallet.sharing.contacts import Contact, OwnCard
from safeconduct.wallet.sharing.declining import Way
from safeconduct.wallet.sharing.delegating import Answered, AuthorityWish, Claimant
from safeconduct.wallet.sharing.records import Ended, Given, Shared, Standing, Taken
from safeconduct.wallet.sharing.sending import Wish

__all__ = [
    "Approval",
    "Awaited",
    "Contact",
    "ContactCard",
    "Held",
    "KnownIssuer",
    "Notice",
    "Outcome",
    "OwnCard",
    "Question",
    "Shown",
    "Waiting",
    "Wallet",
    "open_wallet",
]


def _unheard(_notice: Notice) -> None:
    """Takes notices where nobody asked for them."""


def _unseen(_url: str) -> None:
    """Takes URLs where nobody has a browser."""


class Wallet:
    """A holder's credentials. An id may be given as any beginning that only one credential has."""

    def __init__(self, context: Context, guard: Callable[[str], Guard]) -> None:
        self._context = context
        self._guard = guard

    async def accept(
        self,
        offer: str,
        *,
        tx_code: str | None = None,
        via: str | None = None,
        unencrypted: Unencrypted = "refused",
        configuration: str | None = None,
        batch: int = 1,
        wait: int = 0,
        key: str | None = None,
        ask: Ask | None = None,
    ) -> Held | Waiting:
        """Accept the offer in a URI. See `accept.accept` and `accept.Terms` for the arguments and errors."""
        await later.resume_abandoned(self._context)
        terms = Terms(via=via, unencrypted=unencrypted, batch=batch, wait=wait, key=key, ask=ask)
        return await accept.accept(self._context, offer, terms, tx_code=tx_code, configuration=configuration)

    async def request(
        self,
        issuer: str,
        *,
        configuration: str,
        via: str | None = None,
        unencrypted: Unencrypted = "refused",
        batch: int = 1,
        wait: int = 0,
        key: str | None = None,
        ask: Ask | None = None,
    ) -> Held | Waiting:
        """Ask an issuer for a credential by logging in there. See `accept.request` and `accept.Terms`."""
        await later.resume_abandoned(self._context)
        terms = Terms(via=via, unencrypted=unencrypted, batch=batch, wait=wait, key=key, ask=ask)
        return await accept.request(self._context, issuer, terms, configuration=configuration)

    async def list(self) -> tuple[Held, ...]:
        """Return what is held, the newest first."""
        return await self._context.safe.run(store.list_held)

    async def pending(self) -> tuple[Waiting, ...]:
        """Return what is not here yet, the oldest first."""
        return tuple(pending.waiting for pending in await self._context.safe.run(store.list_pending))

    async def fetch(self, credential: str | None = None, *, wait: int = 0) -> tuple[Held | Waiting, ...]:
        """Ask for what issuers give later. See `later.fetch` for the arguments and errors."""
        await later.resume_abandoned(self._context)
        return await later.fetch(self._context, credential, seconds=wait)

    async def resume(self) -> tuple[Held | Waiting, ...]:
        """Ask again, for the same keys, where no answer came. What fails is reported."""
        return await later.resume(self._context)

    async def renew(
        self, credential: str, *, via: str | None = None, batch: int | None = None
    ) -> Held | Waiting:
        """Get a credential once more, for new keys. See `keeping.renew` for the arguments and errors."""
        return await keeping.renew(self._context, credential, via=via, batch=batch)

    async def show(self, credential: str) -> Shown:
        """Open a credential for its holder. Raises Rejected: credential_unknown, credential_ambiguous."""
        return await listing.show(self._context, credential)

    async def present(
        self,
        credential: str,
        *,
        disclose: Sequence[str],
        audience: str,
        nonce: bytes | None,
        reuse: bool = False,
    ) -> bytes:
        """Return a presentation. See `present.present` for the arguments and errors."""
        return await present.present(
            self._context, credential, disclose=disclose, audience=audience, nonce=nonce, reuse=reuse
        )

    async def present_to(
        self, credential: str, *, verifier: str, disclose: Sequence[str], reuse: bool = False
    ) -> Outcome:
        """Present to a verifier service. See `present.present_to` for the arguments and errors."""
        return await present.present_to(
            self._context, credential, verifier=verifier, disclose=disclose, reuse=reuse
        )

    async def delete(self, credential: str) -> None:
        """Delete a credential and its keys, and tell the issuer if it wants to know.

        Raises Rejected: credential_unknown, credential_ambiguous.
        """
        await keeping.delete(self._context, credential)

    async def trust(
        self,
        issuer: str,
        *,
        keys: Sequence[PublicKey] = (),
        certificates: Sequence[str] = (),
        any_name: bool = False,
    ) -> None:
        """Believe of an issuer only what is signed by these keys or under these CAs; without any, all.

        certificates: PEM texts. any_name: the CAs certify this issuer alone, whatever name stands there.
        Raises Rejected: url_*; Malformed: certificate_malformed.
        """
        urls.check_identifier(
            issuer, what="of the issuer", allow_http_loopback=self._context.allow_http_loopback
        )
        for text in certificates:
            x509.chain_from_pem(text)
        known = await self._context.safe.run(store.known_issuer, issuer)
        pinned = msgspec.structs.replace(
            known,
            keys=tuple(key.to_jwk() for key in keys),
            certificates=tuple(certificates),
            names="any" if any_name else "san",
            signed=known.signed and bool(certificates),  # without a CA nobody looks at signatures
        )
        await self._context.safe.run(store.remember_issuer, pinned)

    async def trusted(self) -> tuple[KnownIssuer, ...]:
        """Return the issuers that the wallet knows, by identifier."""
        return await self._context.safe.run(store.list_issuers)

    async def own_card(
        self, *, name: str | None = None, new: bool = False, key: str | None = None
    ) -> tuple[OwnCard, ContactCard]:
        """Return the card that others share by, and what they read on it. See `contacts.own_card`."""
        return await contacts.own_card(self._context, name=name, new=new, key=key)

    async def add_contact(self, card: str, *, name: str | None = None) -> tuple[Contact, ContactCard]:
        """Keep somebody's card. See `contacts.add` for the arguments and errors."""
        return await contacts.add(self._context, card, name=name)

    async def contacts(self) -> tuple[tuple[Contact, ContactCard], ...]:
        """Return whose cards the wallet has, by name."""
        return await contacts.list_all(self._context)

    async def remove_contact(self, who: str) -> Contact:
        """Forget somebody's card. Raises Rejected: contact_unknown, contact_ambiguous."""
        return await contacts.remove(self._context, who)

    async def share(self, credential: str, wish: Wish, *, to: str | None = None) -> Shared:
        """Share a credential by a link. See `sharing.sending.share` and `Wish` for arguments and errors.

        to: name or id of a contact, whose keys alone can open and redeem it then; the level is "key".
        Raises Rejected also: contact_unknown, contact_ambiguous.
        """
        if to is not None:
            who = await addressed.addressee(self._context, to)
            wish = msgspec.structs.replace(
                wish, level="key", jkt=who.jkt, contact=who.contact, extra={**wish.extra, **who.extra}
            )
        return await sending.share(self._context, credential, wish)

    async def approve(self, share: str, *, confirm: Confirm, wait: int = 0) -> Approval:
        """Go on with a share that waits for a comparison. See `sharing.approving.approve`."""
        return await approving.approve(self._context, share, confirm=confirm, wait=wait)

    async def delegate(self, credential: str, wish: AuthorityWish, *, to: str | None = None) -> Shared:
        """Pass a credential on without its issuer. See `sharing.authority.share` and `AuthorityWish`.

        to: name or id of a contact, whose key alone is signed for. Raises Rejected also: contact_unknown,
        contact_ambiguous.
        """
        if to is not None:
            who = await addressed.addressee(self._context, to)
            wish = msgspec.structs.replace(wish, jkt=who.jkt, contact=who.contact)
        return await authority.share(self._context, credential, wish)

    async def answer(
        self, transfer: str, *, confirm: Callable[[Claimant], bool | None], wait: int = 0
    ) -> Answered:
        """Sign for whoever answered a delegation. See `sharing.authority.answer`."""
        return await authority.answer(self._context, transfer, confirm=confirm, wait=wait)

    async def resume_share(self, share: str) -> Shared:
        """Go on with a share that stopped, or return its link again. See `sharing.sending.resume`."""
        return await sending.resume(self._context, await self._given(share))

    async def share_elsewhere(self, share: str, *, relay: str) -> Shared:
        """Leave a share at another relay under a new link. See `sharing.sending.leave_elsewhere`."""
        left = await sending.leave_elsewhere(self._context, await self._given(share), relay)
        return sending.shared_of(left)

    async def shares(self, credential: str | None = None) -> tuple[Standing, ...]:
        """Return how shares stand at issuers and relays. See `sharing.listing.shares`."""
        return await shared_listing.shares(self._context, credential)

    async def revoke_share(self, share: str) -> Ended:
        """Take a share back, whatever became of it. See `sharing.ending.revoke_share`."""
        return await ending.revoke_share(self._context, share)

    async def receive(self, link_or_transfer: str, terms: receiving.Terms) -> Held | Waiting | Awaited:
        """Take what a link leads to. See `sharing.redeeming.receive` and `receiving.Terms`."""
        return await redeeming.receive(self._context, link_or_transfer, terms)

    async def opened(self) -> tuple[Taken, ...]:
        """Return what was opened of others' shares and is neither taken nor declined yet."""
        return await self._context.safe.run(register.list_taken)

    async def decline(self, link_or_transfer: str, *, way: Way, terms: receiving.Terms) -> str:
        """Decline what a link leads to. See `sharing.declining.decline` for the arguments and errors."""
        return await declining.decline(self._context, link_or_transfer, way=way, terms=terms)

    async def resume_transfers(self) -> None:
        """Go on with transfers as far as that needs no person. What fails, and what waits, is reported."""
        await resuming.resume(self._context)

    async def _given(self, share: str) -> Given:
        found = await ending.find_given(self._context, share)
        if found is None:
            raise Rejected("transfer_unknown", "The wallet made no share of this id; list the shares.")
        return found

    async def backup(self, passphrase: str) -> bytes:
        """Return everything that the wallet keeps, encrypted under a passphrase.

        Raises Rejected: passphrase_short, backup_too_large.
        """
        records = await self._context.safe.run(store.read_all)
        return backup.write_backup(records, passphrase, random=self._context.random)

    async def restore(self, data: bytes, passphrase: str) -> int:
        """Add what a backup has and the wallet has not; return how many records that were.

        What is in the wallet stays as it is. Raises Rejected: passphrase_wrong; Malformed: backup_malformed,
        backup_version, passphrase_parameters.
        """
        return await self._context.safe.run(store.add_missing, backup.read_backup(data, passphrase))

    async def rekey(self, guard: Guard | None = None) -> None:
        """Encrypt everything under a new master key, guarded by `guard`; None: as before, by a new key.

        Raises Rejected: passphrase_short, passphrase_needed, guard_unavailable.
        """
        safe = self._context.safe
        old = self._guard(safe.guard)
        await safe.lock_anew(guard or old, old, random=self._context.random)


@asynccontextmanager
async def open_wallet(
    settings: WalletSettings,
    *,
    clock: Clock,
    fetcher: Fetcher | None = None,
    random: Random = secrets.token_bytes,
    new_key: Callable[[str], Key] = Key.generate,
    report: Callable[[Notice], None] = _unheard,
    passphrase: Passphrase | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    browse: Callable[[str], None] = _unseen,
) -> AsyncIterator[Wallet]:
    """Open the wallet in the directory of the settings.

    fetcher: its connection, made after the settings unless given. random, new_key: its sources of randomness
    and of keys. report: is told what servers said that the wallet did not believe. passphrase: gets that of
    the user, where the settings have none. sleep: waits. browse: shows a URL to the user.
    Raises Rejected: store_exposed, passphrase_needed, passphrase_wrong, guard_unavailable, wallet_damaged;
    StorageUnavailable, MigrationError.
    """
    async with AsyncExitStack() as stack:
        if fetcher is None:
            fetcher = await stack.enter_async_context(
                HttpFetcher(allow_loopback=settings.allow_loopback_http, timeout=settings.fetch_timeout)
            )
        opened = open_safe(settings, passphrase=passphrase, random=random)
        safe = await stack.enter_async_context(opened)
        yield Wallet(
            Context(
                safe=safe,
                fetcher=fetcher,
                clock=clock,
                random=random,
                new_key=new_key,
                report=report,
                sleep=sleep,
                browse=browse,
                client_id=settings.client_id,
                allow_http_loopback=settings.allow_loopback_http,
                relay=settings.relay,
                relays=settings.relays,
                relay_token=settings.relay_token,
                patience=settings.fetch_timeout,
            ),
            lambda name: guard_of(name, settings, passphrase),
        )
