"""Files in and out: reading is bounded, writing is whole or not at all."""

import errno
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from safeconduct.cli.faults import WrongUse, printable

STANDARD_STREAM = "-"


def read(place: str, *, max_bytes: int) -> bytes:
    """Read a file, or standard input for "-".

    max_bytes: of a longer one, one byte more than this is returned, for the parser to refuse.
    Raises WrongUse for what cannot be read.
    """
    if place == STANDARD_STREAM:
        return _read(_standard_input(), "standard input", max_bytes)
    try:
        with Path(place).open("rb") as stream:
            return _read(stream, shown(place), max_bytes)
    except (OSError, ValueError) as error:
        raise WrongUse(f"{shown(place)} cannot be read: {_why(error)}") from None


def read_whole(place: str, *, max_bytes: int) -> bytes:
    """As `read`, for a file that is of no use when it is longer: raises WrongUse."""
    data = read(place, max_bytes=max_bytes)
    if len(data) > max_bytes:
        raise WrongUse(f"{shown(place)} is longer than {max_bytes} bytes and not read")
    return data


def written_at(place: str) -> int | None:
    """Return when a file was last written, in seconds since 1970; None for standard input."""
    try:
        return None if place == STANDARD_STREAM else int(Path(place).stat().st_mtime)
    except (OSError, ValueError):
        return None


def write(place: str, data: bytes, *, secret: bool = False) -> None:
    """Write a file so that at any time it has its old content or all of the new.

    secret: only its owner may read it. Devices and pipes are written to directly. Raises WrongUse.
    """
    target = Path(place)
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            _write_special(target, data)
            return
        # A link stays a link: what it leads to is replaced.
        target = Path(os.path.realpath(target))
        temporary = _temporary(target, data, secret=secret)
        try:
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise WrongUse(f"{shown(place)} cannot be written: {_why(error)}") from None


def write_new(place: str, data: bytes) -> None:
    """Write a private file that must not be there yet. Raises WrongUse."""
    target = Path(place)
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            _write_special(target, data)
            return
        temporary = _temporary(target, data, secret=True)
        try:
            # Unlike a rename, a link never replaces a file that came into being meanwhile.
            os.link(temporary, target)
        finally:
            temporary.unlink()
    except FileExistsError:
        raise WrongUse(f"{shown(place)} is there already: choose another name or give --force") from None
    except (OSError, ValueError) as error:
        raise WrongUse(f"{shown(place)} cannot be written: {_why(error)}") from None


def shown(place: str) -> str:
    """Return a file name as it can be printed."""
    return (
        "standard input" if place == STANDARD_STREAM else printable(place.encode("utf-8", "replace").decode())
    )


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise WrongUse("standard input is closed: name a file or send it in through a pipe")
    return sys.stdin.buffer


def _read(stream: BinaryIO, name: str, max_bytes: int) -> bytes:
    try:
        return stream.read(max_bytes + 1)
    except OSError as error:
        raise WrongUse(f"{name} cannot be read: {_why(error)}") from None


def _write_special(target: Path, data: bytes) -> None:
    with target.open("wb") as stream:
        stream.write(data)


def _temporary(target: Path, data: bytes, *, secret: bool) -> Path:
    """Write the data to a new file beside the target: only within one file system is a rename atomic."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}")
    mode = stat.S_IRUSR | stat.S_IWUSR if secret else _mode_of(target)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _mode_of(target: Path) -> int:
    """The mode of the file that is replaced, or the usual one, from which the umask takes."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except OSError:
        return 0o666


def _why(error: OSError | ValueError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "not a file name"
