"""Copies of an issuer's status lists: all that can be had, each under a name of ours."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import ISSUER_KEY
from tests.negative.status_list_builder import ListToken

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.evidence import list_copies
from safeconduct.net.fetch import Response, Unreachable

NOW = 1_800_000_000
ITS_TIME = 1_750_000_000
ALL = "https://status.example/aggregation.json"
ONE, TWO, THREE, FOUR = (f"https://status.example/{number}" for number in range(4))


class Host:
    """Answers by URL; what it does not know it refuses."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers

    async def request(self, method: str, url: str, **asked: Any) -> Response:
        assert (method, "content_types" in asked) == ("GET", True)
        answer = self.answers.get(url)
        if answer is None:
            raise Unreachable("fetch_failed", "down")
        return Response(answer[0], {}, answer[1])

    async def get_json(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def token(uri: str, kind: str = "jwt") -> bytes:
    return ListToken(key=ISSUER_KEY, kind=kind, claims={"sub": uri}).encoded()


def issued_at(when: Any) -> bytes:
    return ListToken(key=ISSUER_KEY, claims={"sub": ONE, "iat": when}).encoded()


def copied(folder: Path, served: bytes) -> str | None:
    """The code with which a list that a host serves is not copied."""
    host = Host()
    host.answers = {ONE: (200, served)}
    [one] = asyncio.run(list_copies.copy_lists([ONE], folder=folder, fetcher=host, now=NOW))
    return one.code


def test_a_list_that_cannot_be_had_keeps_back_no_other(tmp_path: Path) -> None:
    host = Host()
    host.answers = {
        ALL: (200, json.dumps({"status_lists": [ONE, TWO, THREE, FOUR]}).encode()),
        ONE: (200, token(ONE)),
        TWO: (404, b""),
        THREE: (200, token(ONE)),
        FOUR: (200, token(FOUR, "cwt")),
    }
    told: list[int] = []

    async def main() -> tuple[list_copies.Copied, ...]:
        named = await list_copies.read_names(ALL, fetcher=host)
        assert named == (ONE, TWO, THREE, FOUR)
        return await list_copies.copy_lists(
            (*named, "https://down.example"),
            folder=tmp_path / "lists",
            fetcher=host,
            now=NOW,
            progress=told.append,
        )

    codes = [one.code for one in asyncio.run(main())]
    assert codes == [None, "fetch_status", "status_list_mismatch", None, "fetch_failed"]
    assert told == [1] * 5
    assert set(list_copies.read_copies(tmp_path / "lists")) == {token(ONE), token(FOUR, "cwt")}
    assert {path.suffix for path in (tmp_path / "lists").iterdir()} == {".jwt", ".cwt"}


def test_a_later_copy_replaces_an_earlier_and_a_failure_leaves_it(tmp_path: Path) -> None:
    host = Host()

    async def main() -> None:
        await list_copies.copy_lists([ONE], folder=tmp_path, fetcher=host, now=NOW)

    host.answers = {ONE: (200, token(ONE))}
    asyncio.run(main())
    [name] = tmp_path.iterdir()
    newer = issued_at(ITS_TIME + 1)
    host.answers = {ONE: (200, newer)}
    asyncio.run(main())
    assert name.read_bytes() == newer
    host.answers = {ONE: (500, b"")}
    asyncio.run(main())
    assert name.read_bytes() == newer


@pytest.mark.parametrize("older", [ITS_TIME, 0, -1, NOW + 10**6, "now", None, True])
def test_no_list_replaces_a_copy_that_is_newer(tmp_path: Path, older: Any) -> None:
    good = issued_at(ITS_TIME + 1)
    assert copied(tmp_path, good) is None
    assert copied(tmp_path, issued_at(older)) == "status_list_rolled_back"
    assert list(list_copies.read_copies(tmp_path)) == [good]
    assert copied(tmp_path, issued_at(ITS_TIME + 1)) is None


@pytest.mark.parametrize("forged", [NOW + 10**6, 10**15, "now", None])
def test_a_forged_list_does_not_keep_others_away(tmp_path: Path, forged: Any) -> None:
    assert copied(tmp_path, issued_at(forged)) is None
    assert copied(tmp_path, issued_at(ITS_TIME)) is None


def test_a_damaged_copy_is_replaced(tmp_path: Path) -> None:
    copied(tmp_path, issued_at(ITS_TIME))
    [place] = tmp_path.iterdir()
    place.write_bytes(b"damaged")
    assert copied(tmp_path, issued_at(1)) is None


def test_other_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jwt").write_bytes(token(ONE))
    (tmp_path / "aggregation.json").write_bytes(b"{}")
    (tmp_path / "b.cwt").write_bytes(bytes(limits.STATUS_TOKEN_BYTES + 1))
    assert list(list_copies.read_copies(tmp_path)) == [token(ONE)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [((404, b""), "fetch_status"), ((200, b"[]"), "json_not_object"), (None, "fetch_failed")],
)
def test_without_the_aggregation_nothing_is_copied(answer: Any, code: str) -> None:
    host = Host()
    host.answers = {ALL: answer}
    with pytest.raises(SafeconductError) as error:
        asyncio.run(list_copies.read_names(ALL, fetcher=host))
    assert error.value.code == code
