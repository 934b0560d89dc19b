"""Files of a published tree, opened so that nothing outside it is ever reached."""

import os
import re
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from safeconduct.services.status.faults import FileUnknown

LONGEST_PATH = 8
"""Folders that a path may go through; a published tree has one."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")
"""No hidden file: what is being written is hidden until it is whole, and is then renamed."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stamp(msgspec.Struct, frozen=True):
    """What changes when a file is replaced. Times in nanoseconds, size in bytes."""

    inode: int
    size: int
    modified: int
    changed: int


class OpenFile(msgspec.Struct, frozen=True):
    """A file that stays what it was, also when another is renamed to its place meanwhile."""

    file: BinaryIO
    stamp: Stamp

    @property
    def size(self) -> int:
        """Its bytes when it was opened; what is appended later is not looked at."""
        return self.stamp.size

    def read(self, start: int, count: int) -> bytes:
        """Returns up to `count` bytes from a place on, wherever the file stands; blocks on the disk."""
        return os.pread(self.file.fileno(), count, start)

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


def open_file(root: Path, path: str) -> OpenFile:
    """Opens a file below a folder; blocks on the disk.

    path: names with "/" between them, as a request has it. Each name is opened in the folder before it, and
    no symbolic link is followed: there is no moment in which a checked path could become another. The folder
    itself may be a link, so that whole trees can be exchanged. Raises FileUnknown "file_unknown".
    """
    names = path.split("/")
    if len(names) > LONGEST_PATH or not all(_NAME.fullmatch(name) for name in names):
        raise _unknown()
    with ExitStack() as folders:
        try:
            place = os.open(root, _FOLDER)
            folders.callback(os.close, place)
            for name in names[:-1]:
                place = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
                folders.callback(os.close, place)
            descriptor = os.open(names[-1], _FILE, dir_fd=place)
        except OSError:  # also: a link, a file for a folder, no right to read it
            raise _unknown() from None
    return _regular(descriptor)


def _regular(descriptor: int) -> OpenFile:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _unknown()
    stamp = Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return OpenFile(os.fdopen(descriptor, "rb", buffering=0), stamp)


def _unknown() -> FileUnknown:
    return FileUnknown("file_unknown", "There is no such file.")
