"""The wallet at rest: what its files tell to whoever copies them, and what opens them."""

import asyncio
import pickle
import secrets
import sqlite3
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.settings import Secret, WalletSettings
from safeconduct.wallet import passphrases, safe, store, vault
from safeconduct.wallet.records import StoredCredential, StoredInstance, key_text
from safeconduct.wallet.safe import Safe, open_safe

PASSPHRASE = "correct horse battery"
TOKEN = b"a token that nobody may find on the disk"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passphrases no more than a reader demands: these tests are not about its cost."""
    monkeypatch.setattr(passphrases, "COST", 2**14)


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def ring() -> Any:
    before = keyring.get_keyring()
    made = Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def settings(directory: Path, **arguments: Any) -> WalletSettings:
    return WalletSettings(store=directory / "wallet", **arguments)


def by_passphrase(directory: Path, passphrase: str = PASSPHRASE) -> WalletSettings:
    return settings(directory, passphrase=Secret(passphrase))


def use(chosen: WalletSettings, steps: Callable[[Safe], Awaitable[Any]], **arguments: Any) -> Any:
    async def main() -> Any:
        async with open_safe(chosen, **arguments) as opened:
            return await steps(opened)

    return asyncio.run(main())


def code(chosen: WalletSettings, steps: Any = None, **arguments: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        use(chosen, steps or ids, **arguments)
    return error.value.code


async def ids(opened: Safe) -> list[str]:
    return [held.id for held in await opened.run(store.list_held)]


async def keep(opened: Safe) -> None:
    stored = StoredCredential(
        issuer="https://issuer.example",
        configuration="identity",
        vct="urn:example:identity",
        format="application/sd-cwt",
        received=1,
        expires=None,
    )
    instance = StoredInstance(token=TOKEN, holder_key=key_text(Key.generate("ES256")))
    await opened.run(store.keep_credential, "0a0a0a0a", stored, [instance])


def pages(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted((directory / "wallet").glob("wallet.db*")))


def rows(directory: Path, statement: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(directory / "wallet" / "wallet.db")
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


GUARDS = ["key-file", "passphrase", "keyring"]


def guarded(directory: Path, guard: str) -> WalletSettings:
    secret = Secret(PASSPHRASE) if guard == "passphrase" else None
    return settings(directory, protection=guard, passphrase=secret)


# At rest.


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("guard", GUARDS)
def test_the_files_tell_nothing_of_what_is_kept(tmp_path: Path, guard: str) -> None:
    async def scene(opened: Safe) -> bytes:
        await keep(opened)
        return pages(tmp_path)

    while_open = use(guarded(tmp_path, guard), scene)
    for found in (while_open, pages(tmp_path)):
        for secret in (TOKEN, b"issuer.example", b"urn:example", b"identity", b"ES256", b'"d"'):
            assert secret not in found
    assert use(guarded(tmp_path, guard), ids) == ["0a0a0a0a"]


def test_without_encryption_the_same_search_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.Vault, "seal", lambda _self, _place, plaintext: plaintext)
    monkeypatch.setattr(vault.Vault, "open", lambda _self, _place, sealed: sealed)
    use(settings(tmp_path), keep)
    assert b"issuer.example" in pages(tmp_path)


def test_the_key_file_is_its_owner_s_alone_and_opens_the_wallet(tmp_path: Path) -> None:
    use(settings(tmp_path), keep)
    [file] = (tmp_path / "wallet").glob("*.key")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    for bad in (b"", b"AAAA", b"\xff" * 43, b"A" * 43):
        file.write_bytes(bad)
        assert code(settings(tmp_path)) in ("guard_unavailable", "wallet_damaged")
    file.write_bytes(content)
    assert use(settings(tmp_path), ids) == ["0a0a0a0a"]
    file.unlink()
    assert code(settings(tmp_path)) == "guard_unavailable"


def test_a_key_file_outside_the_directory_is_not_looked_at(tmp_path: Path) -> None:
    use(settings(tmp_path), keep)
    [file] = (tmp_path / "wallet").glob("*.key")
    file.rename(tmp_path / "elsewhere.key")
    rows(tmp_path, "UPDATE wallet_vault SET parameters = ?", '{"file":"../elsewhere.key"}')
    assert code(settings(tmp_path)) == "guard_unavailable"


def test_records_cannot_change_places(tmp_path: Path) -> None:
    use(settings(tmp_path), keep)
    rows(tmp_path, "UPDATE wallet_records SET id = '0b0b0b0b' WHERE kind = 'credential'")
    assert code(settings(tmp_path)) == "wallet_damaged"


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 64])
def test_a_changed_record_is_told(tmp_path: Path, sealed: bytes) -> None:
    use(settings(tmp_path), keep)
    rows(tmp_path, "UPDATE wallet_records SET sealed = ? WHERE kind = 'instance'", sealed)
    assert code(settings(tmp_path)) == "wallet_damaged"


def test_equal_records_have_unequal_ciphertexts() -> None:
    made = vault.new_vault()
    assert made.seal("a", b"same") != made.seal("a", b"same")
    with pytest.raises(SafeconductError) as error:
        made.open("b", made.seal("a", b"same"))
    assert error.value.code == "wallet_damaged"


def test_nothing_of_a_vault_is_shown_or_pickled() -> None:
    made = vault.new_vault()
    assert repr(made) == "<Vault>"
    with pytest.raises(TypeError):
        pickle.dumps(made)
    with pytest.raises(ValueError, match="32 bytes"):
        vault.Vault(b"short")


# Passphrases.


def test_a_passphrase_opens_and_another_does_not(tmp_path: Path) -> None:
    use(by_passphrase(tmp_path), keep)
    assert use(by_passphrase(tmp_path), ids) == ["0a0a0a0a"]
    assert code(by_passphrase(tmp_path, "another one of this length")) == "passphrase_wrong"
    assert code(settings(tmp_path)) == "passphrase_needed"
    assert not list((tmp_path / "wallet").glob("*.key"))


def test_a_passphrase_from_an_environment_may_be_no_utf_8(tmp_path: Path) -> None:
    odd = "f\udcfcnfzehn Zeichen"  # as os.environ has the byte FC
    use(by_passphrase(tmp_path, odd), keep)
    assert use(by_passphrase(tmp_path, odd), ids) == ["0a0a0a0a"]
    assert code(by_passphrase(tmp_path, odd.replace("\udcfc", "\udcfd"))) == "passphrase_wrong"


def test_a_passphrase_may_stand_in_a_file_or_be_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\nnot this line\n")
    use(settings(tmp_path, passphrase_file=file), keep)
    assert use(settings(tmp_path), ids, passphrase=lambda: PASSPHRASE) == ["0a0a0a0a"]
    for bad in (b"", b"\n", b"\xff\xfe"):
        file.write_bytes(bad)
        assert code(settings(tmp_path, passphrase_file=file)) == "passphrase_unreadable"
    file.unlink()
    assert code(settings(tmp_path, passphrase_file=file)) == "passphrase_unreadable"


def test_a_short_or_endless_passphrase_is_refused(tmp_path: Path) -> None:
    chosen = settings(tmp_path, protection="passphrase")
    assert code(chosen, passphrase=lambda: "eleven char") == "passphrase_short"
    assert code(chosen, passphrase=lambda: "x" * (limits.PASSPHRASE_BYTES + 1)) == "passphrase_long"
    use(chosen, keep, passphrase=lambda: "x" * limits.PASSPHRASE_BYTES)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("n", 2**21),
        ("n", 2**13),
        ("n", 2**14 + 1),
        ("n", "x"),
        ("r", 9),
        ("p", 0),
        ("kdf", "md5"),
        ("salt", 5),
    ],
)
def test_whoever_changes_the_database_cannot_make_opening_dear_or_weak(
    tmp_path: Path, member: str, value: Any
) -> None:
    use(by_passphrase(tmp_path), keep)
    [(text,)] = rows(tmp_path, "SELECT parameters FROM wallet_vault")
    changed = {**json.loads_object(text), member: value}
    rows(tmp_path, "UPDATE wallet_vault SET parameters = ?", json.dumps(changed).decode())
    assert code(by_passphrase(tmp_path)) in ("passphrase_parameters", "message_malformed")


def test_changed_parameters_that_are_in_bounds_open_nothing(tmp_path: Path) -> None:
    use(by_passphrase(tmp_path), keep)
    [(text,)] = rows(tmp_path, "SELECT parameters FROM wallet_vault")
    changed = {**json.loads_object(text), "more": "than there was"}
    rows(tmp_path, "UPDATE wallet_vault SET parameters = ?", json.dumps(changed).decode())
    assert code(by_passphrase(tmp_path)) == "passphrase_wrong"
    rows(tmp_path, "UPDATE wallet_vault SET parameters = 'x'")
    assert code(by_passphrase(tmp_path)) == "passphrase_wrong"


def test_an_unknown_guard_is_told(tmp_path: Path) -> None:
    use(settings(tmp_path), keep)
    rows(tmp_path, "UPDATE wallet_vault SET guard = 'enclave'")
    assert code(settings(tmp_path)) == "guard_unknown"


# The keyring.


def test_the_keyring_keeps_the_key(tmp_path: Path, ring: Ring) -> None:
    chosen = settings(tmp_path, protection="keyring")
    use(chosen, keep)
    assert len(ring.kept) == 1
    assert use(settings(tmp_path), ids) == ["0a0a0a0a"]
    ring.kept.clear()
    assert code(settings(tmp_path)) == "guard_unavailable"


def test_without_a_keyring_or_its_library_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: Any) -> None:
        raise RuntimeError("no backend")

    chosen = settings(tmp_path, protection="keyring")
    monkeypatch.setattr(keyring, "set_password", unable)
    assert code(chosen) == "guard_unavailable"
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert code(chosen) == "guard_unavailable"


# Locking anew.


@pytest.mark.parametrize("before", GUARDS)
@pytest.mark.parametrize("after", GUARDS)
def test_everything_is_locked_anew(tmp_path: Path, ring: Ring, before: str, after: str) -> None:
    first, second = guarded(tmp_path, before), guarded(tmp_path, after)
    use(first, keep)
    [(old,)] = rows(tmp_path, "SELECT sealed FROM wallet_records WHERE kind = 'instance'")

    async def rekey(opened: Safe) -> list[str]:
        new, was = safe.guard_of(after, second, None), safe.guard_of(before, first, None)
        await opened.lock_anew(new, was, random=secrets.token_bytes)
        return await ids(opened)

    assert use(first, rekey) == ["0a0a0a0a"]
    assert use(second, ids) == ["0a0a0a0a"]
    assert old not in pages(tmp_path)
    kept = len(list((tmp_path / "wallet").glob("*.key"))) + len(ring.kept)
    assert kept == (0 if after == "passphrase" else 1)


def test_who_had_the_wallet_open_when_it_was_locked_anew_writes_nothing_more(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    guard = safe.guard_of("key-file", chosen, None)

    async def main() -> list[str]:
        async with open_safe(chosen) as one, open_safe(chosen) as other:
            await other.lock_anew(guard, guard, random=secrets.token_bytes)
            found = []
            for work in (keep(one), ids(one), one.lock_anew(guard, guard, random=secrets.token_bytes)):
                with pytest.raises(SafeconductError) as error:
                    await work
                found.append(error.value.code)
            await keep(other)
            return found

    assert asyncio.run(main()) == 3 * ["wallet_locked_anew"]
    assert use(chosen, ids) == ["0a0a0a0a"]  # else the one's record would be under a key that is gone
    assert len(list((tmp_path / "wallet").glob("*.key"))) == 1


def test_of_two_processes_that_make_a_wallet_at_once_both_get_the_same(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with open_safe(settings(tmp_path)) as one, open_safe(settings(tmp_path)) as other:
            await keep(one)
            return await ids(other)

    assert asyncio.run(main()) == ["0a0a0a0a"]
    assert len(list((tmp_path / "wallet").glob("*.key"))) == 1


def test_the_one_who_comes_second_gives_up_its_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings(tmp_path), keep)
    locked = safe._locked
    seen: list[bool] = []

    def blind_once(connection: Any) -> Any:
        seen.append(True)
        return None if len(seen) == 1 else locked(connection)

    monkeypatch.setattr(safe, "_locked", blind_once)
    assert use(settings(tmp_path), ids) == ["0a0a0a0a"]
    assert len(list((tmp_path / "wallet").glob("*.key"))) == 1


# A wallet of before.


def test_what_lay_in_the_clear_is_encrypted_and_erased(tmp_path: Path) -> None:
    async def nothing(_opened: Safe) -> None:
        return None

    use(settings(tmp_path), nothing)
    holder = key_text(Key.generate("ES256"))
    rows(
        tmp_path,
        "INSERT INTO wallet_credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *("0c0c0c0c", "https://old.example", "identity", "urn:old", TOKEN, holder, 5, 6),
    )
    rows(tmp_path, "INSERT INTO wallet_issuers VALUES ('https://old.example', 1, 5)")
    assert TOKEN in pages(tmp_path)
    assert b"old.example" in pages(tmp_path)

    async def scene(opened: Safe) -> tuple[Any, Any, bytes]:
        known = await opened.run(store.known_issuer, "https://old.example")
        return known, await opened.run(store.find_credential, "0c"), pages(tmp_path)

    known, credential, while_open = use(settings(tmp_path), scene)
    assert known.encryption_required
    assert (credential.token, credential.key, credential.held.expires) == (TOKEN, holder, 6)
    for found in (while_open, pages(tmp_path)):
        for secret in (TOKEN, b"old.example", b"urn:old", holder.encode()[-40:]):
            assert secret not in found
