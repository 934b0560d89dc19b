"""The wallet as its user meets it."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from safeconduct.clock import Clock
from safeconduct.crypto.keys import Key
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.settings import WalletSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET
from safeconduct.wallet import accept, listing, present, store
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.listing import Shown
from safeconduct.wallet.present import Outcome
from safeconduct.wallet.store import Held

__all__ = ["Held", "Notice", "Outcome", "Shown", "Wallet", "open_wallet"]


def _unheard(_notice: Notice) -> None:
    """Takes notices where nobody asked for them."""


class Wallet:
    """A holder's credentials. An id may be given as any beginning that only one credential has."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
        return await self._context.database.run(store.list_held)

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
        await self._context.database.run(store.remove_credential, credential)


@asynccontextmanager
async def open_wallet(
    settings: WalletSettings,
    *,
    clock: Clock,
    fetcher: Fetcher | None = None,
    random: Random = secrets.token_bytes,
    new_key: Callable[[str], Key] = Key.generate,
    report: Callable[[Notice], None] = _unheard,
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
        url = store.database_url(settings.store)
        database = await stack.enter_async_context(await Database.open(url, branch=WALLET))
        yield Wallet(
            Context(
                database=database,
                fetcher=fetcher,
                clock=clock,
                random=random,
                new_key=new_key,
                report=report,
                allow_http_loopback=settings.allow_loopback_http,
            )
        )
