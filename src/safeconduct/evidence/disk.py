"""Files that processes read and write: each is whole at any time, and one process at a time writes."""

import asyncio
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
"""The mode of a file that is meant to be served."""

_TURN_SECONDS = 0.05


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, with those above it, if it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write(path: Path, data: bytes, *, lasting: bool = True, mode: int = PRIVATE) -> None:
    """Write a file so that at any time it has its old content or all of the new.

    lasting: also after a power cut; otherwise it may be empty then. mode: who may read it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if lasting:
        _settle(path.parent)


def read(path: Path, *, max_bytes: int) -> bytes | None:
    """Return a file's content; None if there is no file, or a longer one."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    return data if len(data) <= max_bytes else None


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[None]:
    """Wait until no other process or task works in a folder, then keep others out.

    The lock goes with the process, however that ends.
    """
    make_folder(folder)
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not _taken(descriptor):  # noqa: ASYNC110  another process tells nobody when it is done
            await asyncio.sleep(_TURN_SECONDS)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def turn(file: Path) -> Iterator[None]:
    """Keep out others that take a turn at this file, which is made for it; blocks. For moments only."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
