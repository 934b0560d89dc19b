"""Files are whole at any time, and one task or process at a time works in a folder."""

import asyncio
import os
from pathlib import Path

import pytest

from safeconduct.evidence import disk


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    disk.write(path, b"old")

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        disk.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert disk.read(path, max_bytes=3) is None
    disk.write(path, b"abc", lasting=False)
    assert disk.read(path, max_bytes=3) == b"abc"
    assert disk.read(path, max_bytes=2) is None


def test_who_waits_comes_in_when_the_other_is_out(tmp_path: Path) -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        async with disk.alone(tmp_path / "deep" / "folder"):
            seen.append(f"{name} in")
            await asyncio.sleep(0.01)
            seen.append(f"{name} out")

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    assert seen in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])
