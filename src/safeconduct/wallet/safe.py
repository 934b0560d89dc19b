"""The wallet's database together with the vault that reads it: opened, made, and locked anew."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, delete, insert, select

from safeconduct.encoding import json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.ids import Random
from safeconduct.settings import DatabaseUrl, WalletSettings
from safeconduct.storage import Database
from safeconduct.storage.erasure import erase_traces, rewrite
from safeconduct.storage.migrations import WALLET
from safeconduct.wallet import guards, personas, plain, store, tables, vault
from safeconduct.wallet.guards import Guard, Passphrase
from safeconduct.wallet.vault import Locked, Vault

FILE = "wallet.db"
"""Name of the database in the wallet's directory."""

P = ParamSpec("P")
T = TypeVar("T")


class Safe:
    """An open wallet database: `await safe.run(function, …)` is one transaction with the vault at hand."""

    def __init__(self, database: Database, opened: Vault, locked: Locked) -> None:
        self._database = database
        self._vault = opened
        self._locked = locked

    @property
    def guard(self) -> str:
        """Name of the guard that locks it."""
        return self._locked.guard

    @property
    def parameters(self) -> dict[str, Any]:
        """What its guard finds its key by; no secret."""
        return self._locked.parameters

    async def run(
        self, fn: Callable[Concatenate[Connection, Vault, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn(connection, vault, *args, **kwargs)` as one transaction.

        Raises Rejected: wallet_locked_anew if another process did that meanwhile, so that nothing is written
        under a key that is gone; StorageUnavailable.
        """

        def checked(connection: Connection, vault: Vault, locked: Locked) -> T:
            _check_lock(connection, locked)
            return fn(connection, vault, *args, **kwargs)

        return await self._database.run(checked, self._vault, self._locked)

    async def erase_traces(self) -> None:
        """Let nothing of what was deleted stay in the files."""
        await erase_traces(self._database)

    async def lock_anew(self, guard: Guard, old: Guard, *, random: Random) -> None:
        """Encrypt everything under a new master key, and that under a new key of a guard.

        old: the guard so far, whose key is destroyed when all is done. Raises as `run`, and what the guards
        raise.
        """
        key, parameters = guard.new(random)
        new = vault.new_vault(random)
        locked = new.lock(key, guard=guard.name, parameters=parameters)
        try:
            await self.run(_replace, new, locked)
        except BaseException:
            guard.forget(parameters)
            raise
        before, self._vault, self._locked = self._locked, new, locked
        await rewrite(self._database)
        if before.guard == old.name:
            old.forget(before.parameters)


def database_url(directory: Path) -> DatabaseUrl:
    """Return the URL of the wallet's database, in a directory that only its owner may enter.

    Raises Rejected: store_exposed if others may enter a directory that is there already.
    """
    return DatabaseUrl(f"sqlite:///{personas.private_directory(directory).absolute() / FILE}")


@asynccontextmanager
async def open_safe(
    settings: WalletSettings, *, passphrase: Passphrase | None = None, random: Random = secrets.token_bytes
) -> AsyncIterator[Safe]:
    """Open the database of the settings' persona, which is made and locked on first use.

    passphrase: gets it from the user, where the settings do not have it.
    Raises Rejected: persona_unknown, store_exposed, passphrase_needed, passphrase_wrong, guard_unavailable;
    StorageUnavailable, MigrationError.
    """
    url = database_url(personas.store_of(settings))
    async with await Database.open(url, branch=WALLET) as database:
        locked = await database.run(_locked)
        if locked is None:
            locked = await _lock_first(database, new_guard(settings, passphrase), random)
        guard = guard_of(locked.guard, settings, passphrase)
        opened = vault.unlock(locked, guard.key(locked.parameters), random=random)
        if opened is None:
            raise _not_opened(locked.guard)
        safe = Safe(database, opened, locked)
        if await safe.run(plain.encrypt_plain):
            await rewrite(database)
        yield safe


async def forget(settings: WalletSettings, *, passphrase: Passphrase | None = None) -> None:
    """Destroy the key that opens the store of the settings' persona, so that nobody reads what is left of it.

    Only who can open the store may do so. Raises as `open_safe`.
    """
    async with open_safe(settings, passphrase=passphrase) as safe:
        guard_of(safe.guard, settings, passphrase).forget(safe.parameters)


def guard_of(name: str, settings: WalletSettings, passphrase: Passphrase | None) -> Guard:
    """Return a guard by its name. passphrase: goes before that of the settings."""
    return guards.guard_named(
        name,
        directory=personas.store_of(settings),
        passphrase=passphrase or passphrase_of(settings),
        pkcs11_key=settings.pkcs11_key,
    )


def new_guard(settings: WalletSettings, passphrase: Passphrase | None = None) -> Guard:
    """Return the guard that a new wallet gets: that of the settings; else a passphrase, if there is one."""
    name = settings.protection or ("key-file" if passphrase_of(settings) is None else "passphrase")
    return guard_of(name, settings, passphrase)


def passphrase_of(settings: WalletSettings) -> Passphrase | None:
    """Return what gets the passphrase that the settings have, None if they have none."""
    secret, file = settings.passphrase, settings.passphrase_file
    if secret is not None:
        return secret.reveal
    return None if file is None else lambda: read_passphrase(file)


def read_passphrase(file: Path) -> str:
    """Return the first line of a file. Raises Rejected: passphrase_unreadable."""
    with suppress(OSError, UnicodeDecodeError), file.open(encoding="utf-8") as stream:
        line = stream.readline(_LINE).rstrip("\r\n")
        if line:
            return line
    raise Rejected("passphrase_unreadable", "The passphrase file cannot be read, or its first line is empty.")


_LINE = 2048


async def _lock_first(database: Database, guard: Guard, random: Random) -> Locked:
    key, parameters = guard.new(random)
    locked = vault.new_vault(random).lock(key, guard=guard.name, parameters=parameters)
    kept = await database.run(_lock_if_open, locked)
    if kept != locked:  # another process was first
        guard.forget(parameters)
    return kept


def _lock_if_open(connection: Connection, locked: Locked) -> Locked:
    there = _locked(connection)
    if there is None:
        _write(connection, locked)
    return there or locked


def _replace(connection: Connection, old: Vault, new: Vault, locked: Locked) -> None:
    store.seal_again(connection, old, new)
    connection.execute(delete(tables.vault))
    _write(connection, locked)


def _check_lock(connection: Connection, locked: Locked) -> None:
    now = _locked(connection)
    if now is None:
        raise Rejected("wallet_damaged", "The wallet's master key is gone; restore it from a backup.")
    if now != locked:
        raise Rejected(
            "wallet_locked_anew", "Another program has locked the wallet anew meanwhile; try again."
        )


def _locked(connection: Connection) -> Locked | None:
    row = connection.execute(select(tables.vault)).mappings().one_or_none()
    if row is None:
        return None
    try:
        parameters = json.loads_object(row["parameters"])
    except SafeconductError:
        raise _not_opened(row["guard"]) from None
    return Locked(row["guard"], parameters, row["wrapped"])


def _write(connection: Connection, locked: Locked) -> None:
    values = {
        "id": 1,
        "guard": locked.guard,
        "parameters": json.dumps(locked.parameters).decode(),
        "wrapped": locked.wrapped,
    }
    connection.execute(insert(tables.vault).values(values))


def _not_opened(guard: str) -> Rejected:
    if guard == "passphrase":
        return Rejected("passphrase_wrong", "The passphrase does not open the wallet; try again.")
    return Rejected("wallet_damaged", "The wallet's key does not open it; restore it from a backup.")
