"""The address that the browser comes back to: one answer, of one kind, from who knows the state."""

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.wallet import redirect

STATE = "the state of this login"


def come(*requests: bytes, seconds: float = 5) -> tuple[list[bytes], Any]:
    """Send requests, one connection each; return the status lines and the answer, or the error's code."""

    async def main() -> tuple[list[bytes], Any]:
        async with redirect.listening(STATE) as back:
            port = urlsplit(back.uri).port
            lines = []
            for request in requests:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                await writer.drain()
                lines.append((await reader.read()).partition(b"\r\n")[0])
                writer.close()
            try:
                return lines, await back.answer(seconds=seconds)
            except SafeconductError as error:
                return lines, error.code

    return asyncio.run(main())


def get(target: str, *, state: str = "the+state+of+this+login") -> bytes:
    return f"GET {target}&state={state} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


OK, NOT_FOUND = b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found"


def test_the_first_answer_counts_and_no_second_is_taken() -> None:
    lines, answer = come(get("/callback?code=1"), get("/callback?code=2"))
    assert lines == [OK, NOT_FOUND]
    assert answer == "/callback?code=1&state=the+state+of+this+login"


def test_what_is_not_for_the_callback_changes_nothing() -> None:
    lines, answer = come(get("/favicon.ico"), get("/callbacks?code=1"), get("/callback?code=2"))
    assert lines == [NOT_FOUND, NOT_FOUND, OK]
    assert answer == "/callback?code=2&state=the+state+of+this+login"


@pytest.mark.parametrize("state", ["", "guessed", "%ff", "%ed%b0%80", "a&state=the+state+of+this+login"])
def test_who_does_not_know_the_state_cannot_end_the_login(state: str) -> None:
    lines, answer = come(get("/callback?error=access_denied", state=state), get("/callback?code=2"))
    assert lines == [NOT_FOUND, OK]
    assert answer == "/callback?code=2&state=the+state+of+this+login"


def test_an_endless_line_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        async with redirect.listening(STATE) as back:
            port = urlsplit(back.uri).port
            _reader, endless = await asyncio.open_connection("127.0.0.1", port)
            endless.write(b"x" * 4 * limits.HTTP_HEADER_BYTES)
            await asyncio.wait_for(_closed(_reader), 5)
            endless.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/callback?code=2"))
            answer = await back.answer(seconds=5)
            await _closed(reader)
            writer.close()
            return answer

    assert asyncio.run(main()).startswith("/callback?code=2")
    assert not caplog.records


async def _closed(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\r\n\r\n",
        b"GET /callback\r\n\r\n",
        b"POST /callback?code=1 HTTP/1.1\r\n\r\n",
        b"GET /callback?code=1 HTTP/2\r\n\r\n",
        b"GET /callback?\xff HTTP/1.1\r\n\r\n",
        b"GET /callback?" + b"x" * limits.HTTP_TARGET_BYTES + b" HTTP/1.1\r\n\r\n",
        b"x" * 2 * limits.HTTP_HEADER_BYTES,
    ],
)
def test_rubbish_is_dropped(rubbish: bytes) -> None:
    try:
        lines, answer = come(rubbish, get("/callback?code=2"))
    except ConnectionError:
        return
    assert lines[-1] == OK
    assert answer == "/callback?code=2&state=the+state+of+this+login"


def test_nobody_is_waited_for_longer_than_there_is_time() -> None:
    assert come(seconds=0.01) == ([], "login_timeout")


def test_it_listens_on_this_machine_alone() -> None:
    async def main() -> str:
        async with redirect.listening(STATE) as back:
            return back.uri

    assert urlsplit(asyncio.run(main())).hostname == "127.0.0.1"
