"""What is kept of files: within bounds, made once, and never of a file that was there before."""

import asyncio
import gzip
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from safeconduct.services.status import representations
from safeconduct.services.status.answers import FileAnswer
from safeconduct.services.status.files import open_file
from safeconduct.services.status.representations import Known, Representations

TEXT = b"0123456789abcdef" * 1000


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


async def known(files: Representations, path: str, *, compressed: bool = False) -> Known:
    file, found = await files.open(path, compressed=compressed)
    file.close()
    return found


def test_the_same_content_has_the_same_tag(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT)
    (tmp_path / "c").write_bytes(TEXT[:-1] + b"x")

    async def work() -> None:
        files = Representations(tmp_path)
        tags = [(await known(files, name)).etag for name in ("a", "b", "c")]
        assert tags[0] == tags[1] != tags[2]

    run(work)


def test_gzip_is_made_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(TEXT)
    made = []
    packed = representations._packed

    def counted(file: object) -> bytes | None:
        made.append(file)
        return packed(file)  # type: ignore[arg-type]

    monkeypatch.setattr(representations, "_packed", counted)

    async def work() -> None:
        files = Representations(tmp_path)
        found = await asyncio.gather(*(known(files, "a", compressed=True) for _ in range(20)))
        assert {one.gzip for one in found} == {found[0].gzip}
        assert found[0].gzip is not None
        assert gzip.decompress(found[0].gzip) == TEXT
        assert len(made) == 1

    run(work)


def test_what_does_not_get_shorter_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(os.urandom(5000))

    async def work() -> None:
        files = Representations(tmp_path)
        assert (await known(files, "a", compressed=True)).gzip is None
        monkeypatch.setattr(representations, "_packed", lambda _file: pytest.fail("tried again"))
        assert (await known(files, "a", compressed=True)).gzip is None

    run(work)


def test_what_is_kept_in_gzip_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(name.encode() + TEXT)

    async def work() -> None:
        files = Representations(tmp_path)
        size = len((await known(files, "a", compressed=True)).gzip or b"")
        monkeypatch.setattr(representations, "GZIP_CACHE_BYTES", 2 * size + 10)
        for name in "bcdbcd":
            assert (await known(files, name, compressed=True)).gzip is not None
            kept = sum(len(one.gzip or b"") for one in files._known.values())
            assert kept == files._gzip_bytes <= 2 * size + 10

    run(work)


def test_a_single_file_larger_than_the_bound_is_still_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(representations, "GZIP_CACHE_BYTES", 10)
    (tmp_path / "a").write_bytes(TEXT)

    async def work() -> None:
        files = Representations(tmp_path)
        for _ in range(2):
            assert (await known(files, "a", compressed=True)).gzip is not None

    run(work)


def test_too_long_a_file_is_not_held_in_memory_to_be_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(representations, "GZIP_SOURCE_BYTES", len(TEXT) - 1)
    (tmp_path / "a").write_bytes(TEXT)

    async def work() -> None:
        assert (await known(Representations(tmp_path), "a", compressed=True)).gzip is None

    run(work)


def test_files_that_are_remembered_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representations, "KNOWN_FILES", 3)
    for number in range(10):
        (tmp_path / f"f{number}").write_bytes(TEXT)

    async def work() -> None:
        files = Representations(tmp_path)
        for number in range(10):
            await known(files, f"f{number}", compressed=True)
            assert len(files._known) <= 3

    run(work)


def test_an_answer_is_of_the_file_that_it_announced(tmp_path: Path) -> None:
    """Another file is renamed to its place between the head and the body of the answer."""
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "b").write_bytes(b"another")

    async def work() -> None:
        file, _ = await Representations(tmp_path).open("a", compressed=False)
        sent = bytearray()

        async def send(message: object) -> None:
            if message["type"] == "http.response.start":  # type: ignore[index]
                (tmp_path / "b").rename(tmp_path / "a")
            else:
                sent.extend(message["body"])  # type: ignore[index]

        answer = FileAnswer(file, None, media_type="x/y", headers={})
        await answer({"type": "http", "method": "GET"}, _nothing, send)  # type: ignore[arg-type]
        assert sent == TEXT
        assert file.file.closed

    run(work)


def test_a_file_is_closed_when_the_client_goes_away(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TEXT)

    async def work() -> None:
        file, _ = await Representations(tmp_path).open("a", compressed=False)

        async def send(_message: object) -> None:
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            await FileAnswer(file, None, media_type="x/y", headers={})({"method": "GET"}, _nothing, send)  # type: ignore[arg-type]
        assert file.file.closed

    run(work)


def test_a_file_that_is_cut_short_breaks_the_connection(tmp_path: Path) -> None:
    """It was announced longer: half an answer must not look whole."""
    place = tmp_path / "a"
    place.write_bytes(TEXT)

    async def work() -> None:
        file, _ = await Representations(tmp_path).open("a", compressed=False)
        os.truncate(place, 10)

        async def send(_message: object) -> None:
            """It arrives."""

        with pytest.raises(EOFError):
            await FileAnswer(file, None, media_type="x/y", headers={})({"method": "GET"}, _nothing, send)  # type: ignore[arg-type]

    run(work)


async def _nothing() -> None:
    raise AssertionError("nothing is received")


def test_no_link_is_followed_below_the_folder(tmp_path: Path) -> None:
    """As an attacker who may write into the tree would do it; here is what the check is worth."""
    (tmp_path / "secret").write_bytes(b"marker")
    tree = tmp_path / "tree"
    (tree / "crl").mkdir(parents=True)
    (tree / "crl" / "real").write_bytes(b"real")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "folder").symlink_to(tmp_path)
    (tree / "inner").symlink_to(tree / "crl")
    opened = open_file(tree, "crl/real")
    assert opened.read(0, 10) == b"real"
    opened.close()
    for path in ("link", "folder/secret", "inner/real", "crl/../link", "crl"):
        with pytest.raises(Exception, match="no such file") as refused:
            open_file(tree, path)
        assert refused.value.code == "file_unknown"  # type: ignore[attr-defined]
