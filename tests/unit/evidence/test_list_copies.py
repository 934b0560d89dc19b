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
            (*named, "https://down.example"), folder=tmp_path / "lists", fetcher=host, progress=told.append
        )

    codes = [one.code for one in asyncio.run(main())]
    assert codes == [None, "fetch_status", "status_list_mismatch", None, "fetch_failed"]
    assert told == [1] * 5
    assert set(list_copies.read_copies(tmp_path / "lists")) == {token(ONE), token(FOUR, "cwt")}
    assert {path.suffix for path in (tmp_path / "lists").iterdir()} == {".jwt", ".cwt"}


def test_a_later_copy_replaces_an_earlier_and_a_failure_leaves_it(tmp_path: Path) -> None:
    host = Host()

    async def main() -> None:
        await list_copies.copy_lists([ONE], folder=tmp_path, fetcher=host)

    host.answers = {ONE: (200, token(ONE))}
    asyncio.run(main())
    [name] = tmp_path.iterdir()
    newer = ListToken(key=ISSUER_KEY, claims={"sub": ONE, "iat": 1}).encoded()
    host.answers = {ONE: (200, newer)}
    asyncio.run(main())
    assert name.read_bytes() == newer
    host.answers = {ONE: (500, b"")}
    asyncio.run(main())
    assert name.read_bytes() == newer


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
