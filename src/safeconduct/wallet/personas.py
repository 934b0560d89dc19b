"""Several holders in one wallet: work and private, say. Each has a store, a master key and keys of its own.

Nothing in any protocol names a device: a party is a persona. The one without a name lives in the directory of
the settings, the others below it; the names of the folders are all that one of them tells of another.
"""

import re
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.settings import WalletSettings

FOLDER = "personas"
"""Where the personas with names are, in the wallet's directory."""

_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")


def store_of(settings: WalletSettings) -> Path:
    """Return the directory of the persona that the settings name. Raises Rejected: persona_unknown."""
    if not settings.persona:
        return settings.store
    directory = settings.store / FOLDER / settings.persona
    if not directory.is_dir():
        raise Rejected(
            "persona_unknown",
            "The wallet has no persona of this name; see `wallet persona list`, or add it with "
            "`wallet persona add`.",
        )
    return directory


def chosen(settings: WalletSettings, name: str) -> WalletSettings:
    """Return the settings for the persona of that name; "" is the one without. Raises as `check_name`."""
    if name:
        check_name(name)
    return msgspec.structs.replace(settings, persona=name)


def list_names(settings: WalletSettings) -> tuple[str, ...]:
    """Return the names of the personas that have one, in order."""
    folder = settings.store / FOLDER
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)))


def add(settings: WalletSettings, name: str) -> WalletSettings:
    """Make room for a persona, and return the settings that open it.

    name: small letters and digits, with single hyphens between. Nobody but the owner may enter its directory.
    Raises Malformed: persona_name; Rejected: persona_exists, personas_many, store_exposed.
    """
    check_name(name)
    names = list_names(settings)
    if name in names:
        raise Rejected("persona_exists", "The wallet has a persona of this name.")
    if len(names) >= limits.WALLET_PERSONAS:
        raise Rejected("personas_many", "The wallet has as many personas as it may have.")
    directory = settings.store / FOLDER / name
    for each in (settings.store, directory.parent, directory):
        private_directory(each)
    return chosen(settings, name)


async def remove(
    settings: WalletSettings, name: str, *, forget: Callable[[WalletSettings], Awaitable[None]]
) -> None:
    """Delete a persona with all its keys and credentials, for good.

    forget: destroys the key that opens its store, wherever that lies; a store that does not open stays.
    Raises Malformed: persona_name; Rejected: persona_unknown, and as `forget`.
    """
    wanted = chosen(settings, check_name(name))
    directory = store_of(wanted)
    await forget(wanted)
    shutil.rmtree(directory)


def check_name(name: str) -> str:
    """Return the name if it may be a persona's. Raises Malformed: persona_name."""
    if _NAME.fullmatch(name) is None:
        raise Malformed(
            "persona_name",
            "A persona's name has small letters and digits, at most 63, with single hyphens between.",
        )
    return name


def private_directory(directory: Path) -> Path:
    """Make a directory that only its owner may enter. Raises Rejected: store_exposed if others may."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:
        raise Rejected(
            "store_exposed",
            "Others may enter the wallet's directory; take their permissions away (chmod 700) and try again.",
        )
    return directory
