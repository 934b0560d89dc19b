"""A published tree as its publisher writes it: each file whole or not at all, by one process at a time."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Tree:
    """A folder that hosts serve at `/.well-known/`.

    What is being written is hidden by a dot at the beginning of its name, and gets its own name once it is
    whole and on the disk. A reader sees the old file or the new one, also when the process is killed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.written = 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other publishers of the same tree waiting; makes the folder if it is not there. Blocks.

        What a publisher left unfinished that was killed is removed. Raises OSError.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield

    def exists(self, name: str) -> bool:
        """Whether a file of this name stands in the tree."""
        return (self._root / name).is_file()

    def read(self, name: str) -> bytes | None:
        """Returns a file's content, None if it is not there. Raises OSError."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Puts a file in place, unless it has this content already. Raises OSError."""
        if self.read(name) == data:
            return
        target = self._root / name
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _date_later(draft, target)
            draft.replace(target)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        _sync(target.parent)
        self.written += 1

    def _sweep(self) -> None:
        for place in (self._root, *(self._root / name for name in _FOLDERS)):
            for draft in place.glob(f"{_DRAFT}*"):
                draft.unlink(missing_ok=True)


_LOCK = ".publishing"
_DRAFT = ".draft-"
_FOLDERS = ("crl", "status-lists")


def _date_later(draft: Path, target: Path) -> None:
    """Gives a draft a later second than the file has that it will replace.

    Hosts such as nginx know a file by its length and the second of its last change: of two lists of one
    length written in one second, who has the first would be told that it is the newest.
    """
    try:
        before = int(target.stat().st_mtime)
    except FileNotFoundError:
        return
    if int(draft.stat().st_mtime) <= before:
        os.utime(draft, (before + 1, before + 1))


def _sync(folder: Path) -> None:
    """Puts a renaming on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
