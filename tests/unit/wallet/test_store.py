"""The wallet's database: private to its owner, exact about what is meant, and equal to its migrations."""

import stat
from pathlib import Path
from typing import Any

import pytest

from safeconduct.errors import SafeconductError
from safeconduct.settings import WalletSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET, differences
from safeconduct.wallet import store
from safeconduct.wallet.safe import database_url, open_safe
from safeconduct.wallet.tables import metadata


def accept(bench: Any) -> Any:
    bench.world.spent = False
    return bench.run(lambda wallet: wallet.accept(bench.world.offer_uri))


def test_the_directory_and_the_files_are_the_owner_s_alone(bench: Any) -> None:
    async def modes(wallet: Any) -> dict[str, int]:
        await wallet.accept(bench.world.offer_uri)
        files = [bench.directory, *bench.directory.iterdir()]
        return {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}

    found = bench.run(modes)
    assert found.pop("wallet") == 0o700
    assert found.keys() >= {"wallet.db"}
    assert set(found.values()) == {0o600}


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(SafeconductError) as error:
        database_url(tmp_path)
    assert error.value.code == "store_exposed"


def test_the_schema_is_that_of_the_migrations(bench: Any) -> None:
    async def compare(_wallet: Any) -> list[object]:
        async with await Database.open(database_url(bench.directory), branch=WALLET) as database:
            return await database.run(lambda connection: differences(connection, metadata, prefix="wallet_"))

    assert bench.run(compare) == []


def test_what_is_held_outlives_the_wallet_that_accepted_it(bench: Any) -> None:
    accepted = accept(bench)
    shown = bench.run(lambda wallet: wallet.show(accepted.id))
    assert shown.held == accepted
    assert shown.claims["given_name"] == "Erika"
    assert shown.withholdable == ("family_name", "given_name")


def test_an_id_may_be_shortened_while_it_is_clear(bench: Any) -> None:
    accepted = accept(bench)
    assert bench.run(lambda wallet: wallet.show(accepted.id[:3])).held == accepted


@pytest.mark.parametrize("unknown", ["", "zzzz", "%", "_", "0' OR '1'='1"])
def test_an_unknown_id_is_told(bench: Any, unknown: str) -> None:
    accept(bench)
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.show(unknown))
    assert error.value.code == "credential_unknown"


def test_an_id_that_two_have_in_common_is_told(bench: Any) -> None:
    beginnings: set[str] = set()
    while True:
        first = accept(bench).id[0]
        if first in beginnings:
            break
        beginnings.add(first)
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.delete(first))
    assert error.value.code == "credential_ambiguous"


def test_a_removed_credential_leaves_no_trace_in_the_files(bench: Any) -> None:
    accepted = accept(bench)

    async def remove(wallet: Any) -> bytes:
        async with open_safe(WalletSettings(store=bench.directory)) as safe:
            token = (await safe.run(store.find_credential, accepted.id)).token
        await wallet.delete(accepted.id)
        return token

    token = bench.run(remove)
    assert bench.run(lambda wallet: wallet.list()) == ()
    assert all(token[-32:] not in file.read_bytes() for file in bench.directory.iterdir())


def test_no_repr_shows_a_secret(bench: Any) -> None:
    accepted = accept(bench)

    async def take(wallet: Any) -> tuple[str, str]:
        async with open_safe(WalletSettings(store=bench.directory)) as safe:
            credential = await safe.run(store.find_credential, accepted.id)
        return repr(credential), repr(await wallet.show(accepted.id))

    assert bench.run(take) == (f"<Credential {accepted.id}>", f"<Shown {accepted.id}>")
