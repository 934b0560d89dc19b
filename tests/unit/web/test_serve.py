"""Listeners over real sockets: ready when entered, gone when left, and not to be held open by anybody."""

import asyncio
import datetime
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from safeconduct import limits
from safeconduct.net.fetch import HttpFetcher
from safeconduct.telemetry import Telemetry
from safeconduct.web import responses
from safeconduct.web.app import public_app
from safeconduct.web.body import read_body
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import CannotListen, Listener, Tls, free_port, running


async def _echo(request: Request) -> Response:
    return responses.body(await read_body(request, max_bytes=1000), media_type="text/plain")


def app(*more: Route) -> ASGIApp:
    routes = [Route("/echo", _echo, methods=["GET", "POST"]), *more]
    return public_app(routes, telemetry=Telemetry.silent("issuer"), problems=RFC9457)


def listener(name: str = "issuer", *, host: str = "127.0.0.1", port: int = 0) -> Listener:
    return Listener(name, app(), host, port)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def raw(url: str, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port_of(url)), timeout=10)
    connection.sendall(sent)
    return connection


def test_several_listeners_answer_when_entered_and_are_gone_when_left() -> None:
    async def main() -> None:
        async with running([listener("issuer"), listener("issuer-admin")]) as urls:
            assert list(urls) == ["issuer", "issuer-admin"]
            async with HttpFetcher(allow_loopback=True) as fetcher:
                for url in urls.values():
                    assert (await fetcher.request("POST", f"{url}/echo", content=b"x")).body == b"x"
        for url in urls.values():
            with pytest.raises(ConnectionRefusedError):
                raw(url, b"")

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == before


def test_a_listener_can_run_in_a_thread_of_its_own() -> None:
    async def main() -> None:
        async with running([listener()]) as urls, HttpFetcher(allow_loopback=True) as fetcher:
            assert (await fetcher.request("GET", f"{urls['issuer']}/echo")).status == 200

    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  told to the main thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


def test_a_port_that_somebody_listens_on_is_refused_and_the_others_stop() -> None:
    async def main() -> None:
        async with running([listener()]) as urls:
            other = free_port()
            with pytest.raises(CannotListen, match="cannot be listened on"):
                async with running([listener(port=other), listener(port=port_of(urls["issuer"]))]):
                    pytest.fail("two listeners shared a port")
            with pytest.raises(ConnectionRefusedError):
                raw(f"http://127.0.0.1:{other}", b"")

    asyncio.run(main())


def test_a_port_can_be_used_again_at_once() -> None:
    async def main() -> None:
        port = free_port()
        for _ in range(3):
            async with running([listener(port=port)]) as urls, HttpFetcher(allow_loopback=True) as fetcher:
                assert urls["issuer"] == f"http://127.0.0.1:{port}"
                assert (await fetcher.request("GET", f"{urls['issuer']}/echo")).status == 200

    asyncio.run(main())


def test_a_request_under_way_is_answered_before_the_listener_stops() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def slow(_request: Request) -> Response:
            arrived.set()
            await asyncio.sleep(0.2)
            return responses.json({"done": True})

        slow_listener = Listener("issuer", app(Route("/slow", slow)), "127.0.0.1", 0)
        async with HttpFetcher(allow_loopback=True) as fetcher:
            async with running([slow_listener]) as urls:
                asked = asyncio.create_task(fetcher.request("GET", f"{urls['issuer']}/slow"))
                await arrived.wait()
            assert (await asked).json() == {"done": True}

    asyncio.run(main())


def test_a_client_that_sends_half_a_request_cannot_hold_the_listener_open() -> None:
    async def main() -> None:
        async with running([listener()], grace=0.1) as urls:
            half_body = raw(urls["issuer"], b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")
            idle = raw(urls["issuer"], b"")
            await asyncio.sleep(0.1)
            begun = time.monotonic()
        assert time.monotonic() - begun < limits.HTTP_BODY_SECONDS
        half_body.close()
        idle.close()

    asyncio.run(main())


def test_a_head_beyond_the_limit_is_cut_off_by_the_server() -> None:
    async def main() -> None:
        async with running([listener()]) as urls, HttpFetcher(allow_loopback=True) as fetcher:
            for size, status in [(1000, 200), (limits.HTTP_HEADER_BYTES, 431), (100_000, 431)]:
                answer = await fetcher.request("GET", f"{urls['issuer']}/echo", headers={"X-F": "x" * size})
                assert answer.status == status

    asyncio.run(main())


def test_the_answer_does_not_name_the_server() -> None:
    async def main() -> None:
        async with running([listener()]) as urls, HttpFetcher(allow_loopback=True) as fetcher:
            answer = await fetcher.request("GET", f"{urls['issuer']}/echo")
            assert answer.headers["server"] == "safeconduct"
            assert "date" in answer.headers

    asyncio.run(main())


def test_a_name_and_an_ipv6_address_can_be_listened_on() -> None:
    hosts = ["localhost", "::1"] if _has_ipv6() else ["localhost"]
    listeners = [listener(host, host=host) for host in hosts]

    async def main() -> None:
        async with running(listeners) as urls, HttpFetcher(allow_loopback=True) as fetcher:
            for url in urls.values():
                assert (await fetcher.request("GET", f"{url}/echo")).status == 200

    asyncio.run(main())


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_starting_a_listener_leaves_the_logging_of_the_process_alone() -> None:
    async def main() -> None:
        async with running([listener()]):
            pass

    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        asyncio.run(main())
        assert handler in logging.root.handlers
    finally:
        logging.root.removeHandler(handler)


def _certificate(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tls


def test_a_listener_with_a_certificate_speaks_tls_and_strangers_distrust_it(tmp_path: Path) -> None:
    tls = _certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(tls.certificate))

    async def status(url: str, context: ssl.SSLContext | None) -> int:
        async with HttpFetcher(allow_loopback=True, tls=context) as fetcher:
            return (await fetcher.request("GET", f"{url}/echo")).status

    async def main() -> None:
        async with running([Listener("issuer", app(), "localhost", 0, tls)]) as urls:
            url = urls["issuer"]
            assert url.startswith("https://localhost:")
            assert await status(url, trusting) == 200
            for address, context in [(url, None), (url.replace("localhost", "127.0.0.1"), trusting)]:
                with pytest.raises(Exception, match="could not be reached") as error:
                    await status(address, context)
                assert getattr(error.value, "code", "") == "fetch_failed"

    asyncio.run(main())


_PROGRAM = """
import asyncio
from starlette.routing import Route
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, until_signalled

app = public_app([], telemetry=Telemetry.silent("issuer"), problems=RFC9457)
listeners = [Listener("issuer", app, "127.0.0.1", 0)]
asyncio.run(until_signalled(listeners, announce=lambda line: print(line, flush=True)))
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_announces_its_listeners_and_stops_at_a_signal(number: signal.Signals) -> None:
    environ = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("issuer: http://127.0.0.1:")
        connection = raw(line.strip(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 404"
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        connection.close()
    assert (output, process.returncode) == ("stopped\n", 0)
    assert "Traceback" not in errors
