"""A fetch stays within its bounds, and its errors repeat nothing."""

import asyncio
import ipaddress
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpcore2
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.net.addresses import may_connect
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.net.recording import Exchange, RecordingFetcher

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer | bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads the head of each request and answers as told; gives its URL and the heads."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(head := await _request(reader))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(head, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads


async def _request(reader: asyncio.StreamReader) -> bytes:
    first = await reader.readexactly(1)
    if first == b"\x16":  # a TLS handshake, which this server does not understand
        return first
    head = first + await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, "Connection: close", "", "")
    return "\r\n".join(lines).encode() + body


def fetched(reply: Answer | bytes, *, path: str = "/", timeout: float = 5.0, **options: object) -> Response:
    async def main() -> Response:
        async with server(reply) as (url, _), HttpFetcher(allow_loopback=True, timeout=timeout) as fetcher:
            return await fetcher.request("GET", url + path, **options)

    return asyncio.run(main())


def refused_code(url: str, *, allow_loopback: bool = False, allow_private: bool = False) -> str:
    async def main() -> None:
        async with HttpFetcher(
            allow_loopback=allow_loopback, allow_private=allow_private, timeout=2
        ) as fetcher:
            await fetcher.request("GET", url)

    with pytest.raises(SafeconductError) as error:
        asyncio.run(main())
    assert "hidden" not in str(error.value)
    assert "example" not in str(error.value)
    return error.value.code


def test_an_answer_comes_back_whole_with_lower_case_headers() -> None:
    response = fetched(
        answer(b'{"a":1}', "Content-Type: Application/JSON; charset=utf-8", "X-A: 1", "X-A: 2")
    )
    assert response.status == 200
    assert response.body == b'{"a":1}'
    assert response.content_type == "application/json"
    assert response.headers["x-a"] == "1, 2"
    assert response.json() == {"a": 1}


def test_any_status_but_a_redirect_is_an_answer() -> None:
    assert fetched(answer(b"no", "Content-Length: 2", status="404 Not Found")).status == 404


@pytest.mark.parametrize("name", ["If-None-Match", "if-modified-since"])
def test_not_modified_is_an_answer_to_whoever_asked_for_changes(name: str) -> None:
    same = answer(b"", 'ETag: "a"', status="304 Not Modified")
    assert fetched(same, headers={name: '"a"'}).status == 304
    with pytest.raises(SafeconductError) as error:
        fetched(answer(b"", status="302 Found"), headers={name: '"a"'})
    assert error.value.code == "fetch_redirect"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "304 Same"]
)
def test_redirects_are_not_followed(status: str) -> None:
    with pytest.raises(SafeconductError) as error:
        fetched(answer(b"", "Location: http://127.0.0.1:1/", "Content-Length: 0", status=status))
    assert error.value.code == "fetch_redirect"


def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    async def announce(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", "Content-Length: 101"))
        await writer.drain()
        await asyncio.sleep(5)

    with pytest.raises(SafeconductError) as error:
        fetched(announce, max_bytes=100, timeout=30)
    assert error.value.code == "fetch_too_large"


def test_without_a_bound_of_the_caller_the_limit_holds() -> None:
    body = b"x" * limits.FETCH_BYTES
    assert fetched(answer(body, f"Content-Length: {len(body)}")).body == body
    with pytest.raises(SafeconductError) as error:
        fetched(answer(body + b"x", f"Content-Length: {len(body) + 1}"))
    assert error.value.code == "fetch_too_large"


def test_a_body_that_grows_too_large_is_cut_off() -> None:
    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b""))
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    with pytest.raises(SafeconductError) as error:
        fetched(endless, max_bytes=100_000)
    assert error.value.code == "fetch_too_large"


def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    assert fetched(answer(b"x" * 100, "Content-Length: 100"), max_bytes=100).body == b"x" * 100


def test_a_trickling_answer_runs_out_of_time() -> None:
    async def trickle(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b""))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(SafeconductError) as error:
        fetched(trickle, timeout=0.3)
    assert error.value.code == "fetch_timeout"
    assert error.value.http_status == 504


def test_a_connection_that_is_never_made_can_be_told_from_an_answer_that_never_comes() -> None:
    class Silence(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            waiting.update(request.extensions["timeout"])
            raise failure

    waiting: dict[str, float] = {}

    async def cause(late: Exception) -> BaseException | None:
        nonlocal failure
        failure = late
        line = HttpFetcher(allow_loopback=False, timeout=9.0, connect_timeout=2.0, transport=Silence())
        with pytest.raises(SafeconductError) as error:
            await line.request("GET", "https://issuer.example/")
        assert error.value.code == "fetch_timeout"
        return error.value.__cause__

    failure: Exception
    assert isinstance(asyncio.run(cause(httpx2.ConnectTimeout("a"))), httpx2.ConnectTimeout)
    assert isinstance(asyncio.run(cause(httpcore2.ConnectTimeout("a"))), httpcore2.ConnectTimeout)
    assert asyncio.run(cause(httpcore2.ReadTimeout("a"))) is None
    assert waiting == {"connect": 2.0, "read": 9.0, "write": 9.0, "pool": 9.0}


def test_another_media_type_than_asked_for_is_refused_on_success_only() -> None:
    page = answer(b"<p>", "Content-Type: text/html", "Content-Length: 3")
    with pytest.raises(SafeconductError) as error:
        fetched(page, content_types={"application/json"})
    assert error.value.code == "fetch_content_type"
    gone = page.replace(b"200 OK", b"410 Gone")
    assert fetched(gone, content_types={"application/json"}).status == 410


def test_compression_is_neither_asked_for_nor_unpacked() -> None:
    async def main() -> None:
        reply = answer(b"\x1f\x8b", "Content-Encoding: gzip", "Content-Length: 2")
        async with server(reply) as (url, heads), HttpFetcher(allow_loopback=True) as fetcher:
            with pytest.raises(SafeconductError) as error:
                await fetcher.request("GET", url)
            assert error.value.code == "fetch_content_type"
            assert b"accept-encoding: identity" in heads[0].lower()

    asyncio.run(main())


def test_cookies_are_not_kept_and_nothing_names_the_client() -> None:
    async def main() -> None:
        reply = answer(b"", "Set-Cookie: a=1; Path=/", "Content-Length: 0")
        async with server(reply) as (url, heads), HttpFetcher(allow_loopback=True) as fetcher:
            await fetcher.request("GET", url)
            await fetcher.request("GET", url)
        assert len(heads) == 2
        assert b"cookie" not in heads[1].lower()
        assert b"user-agent" not in heads[1].lower()

    asyncio.run(main())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetched(answer(b"", "Content-Length: 0")).status == 200


def test_a_request_carries_its_method_headers_and_body() -> None:
    async def main() -> None:
        async with server(answer(b"", "Content-Length: 0")) as (url, heads):
            async with HttpFetcher(allow_loopback=True) as fetcher:
                await fetcher.request("POST", f"{url}/a?b=1", headers={"DPoP": "proof"}, content=b"12345")
            assert heads[0].startswith(b"POST /a?b=1 HTTP/1.1\r\n")
            assert b"dpop: proof" in heads[0].lower()
            assert b"content-length: 5" in heads[0].lower()

    asyncio.run(main())


@pytest.mark.parametrize(
    "header", [("A", "x\r\nB: y"), ("A", "€"), ("A", "\ud800"), ("A b", "x"), ("é", "x"), ("", "x")]
)
def test_a_header_that_cannot_be_sent_is_malformed(header: tuple[str, str]) -> None:
    with pytest.raises(SafeconductError) as error:
        fetched(answer(b"", "Content-Length: 0"), headers=dict([header]))
    assert error.value.code == "fetch_header_invalid"


def test_header_values_pass_unchanged_both_ways() -> None:
    async def main() -> None:
        reply = answer(b"", "X-Latin: \u00e9", "Content-Length: 0").decode().encode("latin-1")
        async with server(reply) as (url, heads), HttpFetcher(allow_loopback=True) as fetcher:
            response = await fetcher.request("GET", url, headers={"X-Latin": "\u00e9"})
            assert response.headers["x-latin"] == "\u00e9"
            assert b"x-latin: \xe9" in heads[0].lower()

    asyncio.run(main())


@given(
    st.one_of(
        st.text(),
        st.text().map("https://{}".format),
        st.text("[]:/@#?%.019axv-\u2025").map("https://{}".format),
    )
)
def test_any_text_in_place_of_a_url_is_judged_without_another_error(url: str) -> None:
    async def main() -> None:
        async with HttpFetcher(allow_loopback=False, transport=InProcess({})) as fetcher:
            with pytest.raises(SafeconductError):
                await fetcher.request("GET", url)

    asyncio.run(main())


def test_plain_http_is_for_this_machine_only() -> None:
    assert refused_code("http://hidden.example/?hidden") == "fetch_insecure"
    assert refused_code("http://hidden.example/", allow_loopback=True) == "fetch_insecure"
    assert refused_code("http://10.0.0.1/", allow_loopback=True, allow_private=True) == "fetch_insecure"


def test_plain_http_to_this_machine_must_be_allowed() -> None:
    assert refused_code("http://127.0.0.1:1/") == "fetch_insecure"
    assert refused_code("http://localhost:1/") == "fetch_insecure"


@pytest.mark.parametrize(
    "url", ["ftp://hidden.example/", "file:///etc/passwd", "data:,x", "HTTP://hidden.example"]
)
def test_other_schemes_are_refused(url: str) -> None:
    assert refused_code(url, allow_loopback=True) in {"fetch_insecure", "fetch_url_invalid"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hidden",
        "https://",
        "https:///hidden",
        "https://user:hidden@127.0.0.1/",
        "https://127.0.0.1/#hidden",
        "https://127.0.0.1:hidden/",
        "https://127.0.0.1:99999/",
        "https://[::1/",
        "https://127.0.0.1/\x00",
        "https://127.0.0.1/" + "x" * 5000,
    ],
)
def test_what_is_no_good_url_is_malformed(url: str) -> None:
    assert refused_code(url) == "fetch_url_invalid"


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "0.0.0.0",  # noqa: S104
    ],
)
def test_private_addresses_are_refused(host: str) -> None:
    assert refused_code(f"https://{host}/", allow_loopback=True) == "fetch_address_refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "[::ffff:127.0.0.1]"])
def test_this_machine_is_refused_by_https_as_well(host: str) -> None:
    assert refused_code(f"https://{host}/", allow_private=True) == "fetch_address_refused"


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "[::]", "[ff02::1]"])  # noqa: S104
def test_addresses_that_are_nobodys_are_always_refused(host: str) -> None:
    code = refused_code(f"https://{host}/", allow_loopback=True, allow_private=True)
    assert code == "fetch_address_refused"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::1", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
        ("::a00:1", False),
        ("::ffff:0:a00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("fec0::1", False),
        ("127.0.0.1", False),
        ("192.0.2.1", False),
    ],
)
def test_an_address_is_judged_by_where_it_leads(address: str, *, allowed: bool) -> None:
    parsed = ipaddress.ip_address(address)
    assert may_connect(parsed, allow_loopback=False, allow_private=False) is allowed


def test_a_name_that_resolves_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("10.0.0.1", 443)), (2, 1, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    assert refused_code("https://hidden.example/") == "fetch_address_refused"


def test_localhost_must_be_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("93.184.216.34", 80))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    assert refused_code("http://localhost/", allow_loopback=True) == "fetch_address_refused"


def test_a_server_that_is_not_there_is_unreachable() -> None:
    assert refused_code("http://127.0.0.1:1/hidden", allow_loopback=True) == "fetch_failed"


@pytest.mark.parametrize(
    "reply", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
def test_a_server_that_breaks_http_is_unreachable(reply: bytes) -> None:
    with pytest.raises(SafeconductError) as error:
        fetched(reply)
    assert error.value.code == "fetch_failed"
    assert error.value.http_status == 502


def test_a_server_without_tls_is_unreachable_by_https() -> None:
    async def main() -> None:
        async with (
            server(b"HTTP/1.1 200 OK\r\n\r\n") as (url, _),
            HttpFetcher(allow_loopback=True) as fetcher,
        ):
            with pytest.raises(SafeconductError) as error:
                await fetcher.request("GET", url.replace("http:", "https:"))
            assert error.value.code == "fetch_failed"

    asyncio.run(main())


def got_json(reply: bytes) -> dict[str, object]:
    async def main() -> dict[str, object]:
        async with server(reply) as (url, _), HttpFetcher(allow_loopback=True) as fetcher:
            return await fetcher.get_json(url)

    return asyncio.run(main())


def test_get_json_wants_status_200_and_a_strict_json_object() -> None:
    typed = "Content-Type: application/json"
    assert got_json(answer(b'{"a":[1]}', typed)) == {"a": [1]}
    for reply, code in [
        (answer(b"{}", typed, status="201 Created"), "fetch_status"),
        (answer(b"{}", typed, status="404 Not Found"), "fetch_status"),
        (answer(b"{}"), "fetch_content_type"),
        (answer(b'{"a":1,"a":2}', typed), "json_duplicate_member"),
        (answer(b"[]", typed), "json_not_object"),
    ]:
        with pytest.raises(SafeconductError) as error:
            got_json(reply)
        assert error.value.code == code


async def _echo(scope: dict, receive: Callable, send: Callable) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode() + message["body"]})


def test_in_process_applications_answer_by_origin() -> None:
    async def main() -> None:
        transport = InProcess({"https://issuer.example": _echo})
        async with HttpFetcher(allow_loopback=False, transport=transport) as fetcher:
            response = await fetcher.request("POST", "https://issuer.example:443/a", content=b"b")
            assert response.body == b"/ab"
            for url, code in [
                ("https://other.example/", "fetch_failed"),
                ("http://issuer.example/", "fetch_insecure"),
            ]:
                with pytest.raises(SafeconductError) as error:
                    await fetcher.request("GET", url)
                assert error.value.code == code

    asyncio.run(main())


def test_a_recording_holds_all_that_was_sent_and_answered() -> None:
    async def main() -> None:
        tape: list[Exchange] = []
        inner = HttpFetcher(allow_loopback=False, transport=InProcess({"https://issuer.example": _echo}))
        fetcher: Fetcher = RecordingFetcher(inner, party="wallet", tape=tape)
        await fetcher.request(
            "POST", "https://issuer.example/a?q=1", headers={"DPoP": "proof"}, content=b"body"
        )
        await fetcher.close()
        (exchange,) = tape
        assert (exchange.party, exchange.direction, exchange.status) == ("wallet", "sent", 200)
        for seen in (b"q=1", b"dpop: proof", b"body", b"/abody", b"text/plain"):
            assert seen in exchange.everything()

    asyncio.run(main())


def test_no_thread_or_connection_is_left_after_close() -> None:
    before = threading.active_count()
    fetched(answer(b"", "Content-Length: 0"))
    assert threading.active_count() <= before + 1  # the resolver's pool of the loop ends with the loop
