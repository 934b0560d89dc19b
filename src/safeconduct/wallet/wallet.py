"""The wallet as its user meets it."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from safeconduct.clock import Clock
from safeconduct.crypto.keys import Key
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.settings import WalletSettings
from safeconduct.wallet import accept, backup, listing, present, store
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.guards import Guard, Passphrase
from safeconduct.wallet.listing import Shown
from safeconduct.wallet.present import Outcome
from safeconduct.wallet.records import Held
from safeconduct.wallet.safe import guard_of, open_safe

__all__ = ["Held", "Notice", "Outcome", "Shown", "Wallet", "open_wallet"]


def _unheard(_notice: Notice) -> None:
    """Takes notices where nobody asked for them."""


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
    ) -> Held:
        """Accept the offer in a URI. See `accept.accept` for the arguments and errors."""
        return await accept.accept(
            self._context,
            offer,
            tx_code=tx_code,
            via=via,
            unencrypted=unencrypted,
            configuration=configuration,
        )

    async def list(self) -> tuple[Held, ...]:
        """Return what is held, the newest first."""
        return await self._context.safe.run(store.list_held)

    async def show(self, credential: str) -> Shown:
        """Open a credential for its holder. Raises Rejected: credential_unknown, credential_ambiguous."""
        return await listing.show(self._context, credential)

    async def present(
        self, credential: str, *, disclose: Sequence[str], audience: str, nonce: bytes | None
    ) -> bytes:
        """Return a presentation. See `present.present` for the arguments and errors."""
        return await present.present(
            self._context, credential, disclose=disclose, audience=audience, nonce=nonce
        )

    async def present_to(self, credential: str, *, verifier: str, disclose: Sequence[str]) -> Outcome:
        """Present to a verifier service. See `present.present_to` for the arguments and errors."""
        return await present.present_to(self._context, credential, verifier=verifier, disclose=disclose)

    async def remove(self, credential: str) -> None:
        """Delete a credential and its key. Raises Rejected: credential_unknown, credential_ambiguous."""
        await self._context.safe.run(store.remove_credential, credential)
        await self._context.safe.erase_traces()

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
) -> AsyncIterator[Wallet]:
    """Open the wallet in the directory of the settings.

    fetcher: its connection, made after the settings unless given. random, new_key: its sources of randomness
    and of keys. report: is told what servers said that the wallet did not believe.
    Raises Rejected: store_exposed; StorageUnavailable, MigrationError.
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
                allow_http_loopback=settings.allow_loopback_http,
            ),
            lambda name: guard_of(name, settings, passphrase),
        )
