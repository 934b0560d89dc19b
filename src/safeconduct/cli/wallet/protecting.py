"""`safeconduct wallet backup`, `restore`, `rekey`: how credentials outlast a device, and what locks them."""

from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import PassphraseFile

if TYPE_CHECKING:
    from safeconduct.wallet.guards import Guard
    from safeconduct.wallet.wallet import Wallet


Protect = Annotated[
    str | None,
    typer.Option(
        "--protect",
        metavar="WHERE",
        help="Where the wallet's key lies from now on: key-file, passphrase, keyring or pkcs11 (the key of "
        "wallet.pkcs11_key); as before, if not said.",
    ),
]


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it; it must not be there yet.")],
    passphrase_file: PassphraseFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that the wallet keeps into one file, encrypted under a passphrase of its own.

    \b
    Example:
      safeconduct wallet backup wallet.backup
    """
    from safeconduct.cli import files, output

    passphrase = common.new_passphrase(passphrase_file, of="backup")

    async def work(wallet: "Wallet") -> bytes:
        return await wallet.backup(passphrase)

    data = common.with_wallet(config, work)
    files.write_new(file, data)
    if as_json:
        output.write_json({"out": file, "bytes": len(data)})


def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup.")],
    passphrase_file: PassphraseFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take in what a backup has and the wallet has not. What is in the wallet stays as it is.

    \b
    Example:
      safeconduct wallet restore wallet.backup
    """
    from safeconduct.cli import files, output
    from safeconduct.limits import WALLET_BACKUP_BYTES

    data = files.read_whole(file, max_bytes=WALLET_BACKUP_BYTES)
    passphrase = common.passphrase(passphrase_file, of="backup")

    async def work(wallet: "Wallet") -> int:
        return await wallet.restore(data, passphrase)

    records = common.with_wallet(config, work)
    if as_json:
        output.write_json({"records": records})
    else:
        output.note(f"{records} records were taken in.")


def rekey(
    protect: Protect = None,
    passphrase_file: PassphraseFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lock the wallet anew: everything is encrypted again, under new keys.

    With --passphrase-file, or on a terminal, a new passphrase is taken where the wallet has one.

    \b
    Example:
      safeconduct wallet rekey --protect keyring
    """
    from safeconduct.cli import output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.wallet.safe import guard_of

    settings = common.wallet_settings(config)
    if protect not in (None, "key-file", "passphrase", "keyring", "pkcs11"):
        raise WrongUse("--protect knows key-file, passphrase, keyring and pkcs11")

    def guard() -> "Guard | None":
        if protect is None and passphrase_file is None:
            return None
        if protect in (None, "passphrase"):
            chosen = common.new_passphrase(passphrase_file, of="wallet")
            return guard_of("passphrase", settings, lambda: chosen)
        return guard_of(protect, settings, None)

    new = guard()

    async def work(wallet: "Wallet") -> None:
        await wallet.rekey(new)

    common.with_wallet(config, work)
    if as_json:
        output.write_json({"rekeyed": True})
