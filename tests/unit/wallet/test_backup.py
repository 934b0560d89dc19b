"""Backups: one file under a passphrase, that a new wallet takes in and nobody else reads."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.settings import WalletSettings
from safeconduct.wallet import backup, passphrases, store
from safeconduct.wallet.records import KnownIssuer, StoredCredential, StoredInstance
from safeconduct.wallet.safe import open_safe
from safeconduct.wallet.store import Raw

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrases, "COST", 2**14)


def accept(bench: Any) -> Any:
    bench.world.spent = False
    return bench.run(lambda wallet: wallet.accept(bench.world.offer_uri))


def made(bench: Any) -> bytes:
    data: bytes = bench.run(lambda wallet: wallet.backup(PASSPHRASE))
    return data


def lose(bench: Any) -> None:
    for file in bench.directory.iterdir():
        file.unlink()


def test_a_new_wallet_takes_a_backup_in(bench: Any) -> None:
    accepted = accept(bench)
    data = made(bench)
    lose(bench)
    restored = bench.run(lambda wallet: wallet.restore(data, PASSPHRASE))
    assert restored == 3  # the credential, its instance, the issuer
    assert bench.run(lambda wallet: wallet.list()) == (accepted,)
    shown = bench.run(lambda wallet: wallet.show(accepted.id))
    assert shown.claims["given_name"] == "Erika"


def test_what_was_known_of_issuers_is_restored_under_the_new_wallet_s_names(bench: Any) -> None:
    accept(bench)
    data = made(bench)
    lose(bench)
    bench.run(lambda wallet: wallet.restore(data, PASSPHRASE))
    bench.world.requires = False
    with pytest.raises(SafeconductError) as error:
        accept(bench)
    assert error.value.code == "encryption_downgraded"


def test_what_the_wallet_has_wins_over_the_backup(bench: Any) -> None:
    accepted = accept(bench)
    data = made(bench)
    present = {"disclose": [], "audience": "https://verifier.example", "nonce": None}
    bench.run(lambda wallet: wallet.present(accepted.id, **present))
    assert bench.run(lambda wallet: wallet.restore(data, PASSPHRASE)) == 0
    [held] = bench.run(lambda wallet: wallet.list())
    assert held.id == accepted.id
    second = accept(bench)
    later = made(bench)
    bench.run(lambda wallet: wallet.delete(second.id))
    assert bench.run(lambda wallet: wallet.restore(later, PASSPHRASE)) == 2


def test_the_file_tells_nothing(bench: Any) -> None:
    accept(bench)
    data = made(bench)
    for secret in (b"Erika", b"issuer.example", b"identity", PASSPHRASE.encode()):
        assert secret not in data
    assert data != made(bench)


def refused(data: bytes, passphrase: str = PASSPHRASE) -> str:
    with pytest.raises(SafeconductError) as error:
        backup.read_backup(data, passphrase)
    return error.value.code


def test_every_changed_byte_is_noticed(bench: Any) -> None:
    accept(bench)
    data = made(bench)
    start = len(backup.MAGIC)
    for position in [*range(start, data.index(b"\n", start) + 1, 7), len(data) // 2, len(data) - 1]:
        changed = bytearray(data)
        changed[position] ^= 1
        assert refused(bytes(changed)) != ""
    assert refused(data[:-1]) == "passphrase_wrong"
    assert refused(data + b"x") == "passphrase_wrong"


def test_another_passphrase_does_not_open_it(bench: Any) -> None:
    accept(bench)
    assert refused(made(bench), "another one of that length") == "passphrase_wrong"


def test_a_short_passphrase_is_refused(bench: Any) -> None:
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.backup("eleven char"))
    assert error.value.code == "passphrase_short"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "backup_malformed"),
        (b"safeconduct wallet backup 2\n{}\n", "backup_version"),
        (backup.MAGIC, "backup_malformed"),
        (backup.MAGIC + b"x" * 2000 + b"\n", "backup_malformed"),
        (backup.MAGIC + b"[]\n", "json_not_object"),
        (backup.MAGIC + b"{}\n", "backup_malformed"),
        (backup.MAGIC + b'{"nonce":"00"}\n', "message_malformed"),
    ],
)
def test_what_is_no_backup_is_told(data: bytes, code: str) -> None:
    assert refused(data) == code


@pytest.mark.parametrize("nonce", ["", "zz", "00" * 11, "00" * 13])
def test_a_nonce_of_another_form_is_refused(nonce: str) -> None:
    data = backup.write_backup((), PASSPHRASE, random=bytes)
    assert refused(data.replace(b"00" * 12, nonce.encode())) == "backup_malformed"


@pytest.mark.parametrize(
    "raw",
    [
        Raw("unheard-of", "1", "", b"{}"),
        Raw(store.CREDENTIAL, "1", "", b"{}"),
        Raw(store.INSTANCE, "1", "", b"x"),
    ],
)
def test_a_record_that_cannot_be_read_stops_everything(raw: Raw) -> None:
    assert refused(backup.write_backup((raw,), PASSPHRASE)) == "backup_malformed"


def _credential() -> bytes:
    held = StoredCredential(
        issuer="https://issuer.example", configuration="c", vct="v", format="f", received=1, expires=None
    )
    return msgspec.json.encode(held)


INSTANCE = msgspec.json.encode(StoredInstance(token=b"t", holder_key="{}"))


@pytest.mark.parametrize(
    "raws",
    [
        (Raw(store.CREDENTIAL, "0a", "", _credential()),),
        (Raw(store.INSTANCE, "0a-0000", "0a", INSTANCE),),
        (
            Raw(store.CREDENTIAL, "0a", "", _credential()),
            *2 * (Raw(store.INSTANCE, "0a-0000", "0a", INSTANCE),),
        ),
        (Raw(store.CREDENTIAL, "0a\n", "", _credential()), Raw(store.INSTANCE, "0a-0000", "0a\n", INSTANCE)),
        (Raw(store.ISSUER, "0a", "0a", msgspec.json.encode(KnownIssuer(identifier="https://i.example"))),),
    ],
    ids=["no instance", "no credential", "twice", "another name", "an issuer that belongs to something"],
)
def test_records_that_do_not_hang_together_are_not_taken_in(raws: tuple[Raw, ...]) -> None:
    assert refused(backup.write_backup(raws, PASSPHRASE)) == "backup_malformed"


def test_an_issuer_that_is_there_under_two_names_is_taken_in_once(bench: Any) -> None:
    known = msgspec.json.encode(KnownIssuer(identifier="https://issuer.example"))
    twice = (Raw(store.ISSUER, "0a", "", known), Raw(store.ISSUER, "0b", "", known))
    assert bench.run(lambda wallet: wallet.restore(backup.write_backup(twice, PASSPHRASE), PASSPHRASE)) == 1


def test_a_backup_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WALLET_BACKUP_BYTES", 2000)
    raw = Raw(store.CREDENTIAL, "1", "", b"x" * 2000)
    with pytest.raises(SafeconductError) as error:
        backup.write_backup((raw,), PASSPHRASE)
    assert error.value.code == "backup_too_large"
    assert refused(backup.MAGIC + b"{}\n" + b"x" * 2000) == "backup_malformed"


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80).map(lambda tail: backup.MAGIC + tail) | st.binary(max_size=80))
def test_rubbish_is_a_safeconduct_error(data: bytes) -> None:
    with pytest.raises(SafeconductError):
        backup.read_backup(data, PASSPHRASE)


def test_locking_anew_keeps_everything(bench: Any) -> None:
    accepted = accept(bench)

    async def rekey(wallet: Any) -> Any:
        await wallet.rekey()
        return await wallet.list()

    [before] = bench.directory.glob("*.key")
    assert bench.run(rekey) == (accepted,)
    [after] = bench.directory.glob("*.key")
    assert before != after

    async def records(_wallet: Any) -> Any:
        async with open_safe(WalletSettings(store=bench.directory)) as safe:
            return await safe.run(store.list_issuers)

    [known] = bench.run(records)
    assert known.encryption_required
