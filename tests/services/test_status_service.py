"""The status service around its files: publishing while it runs, management, health, hostile requests."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.services.live import ADMIN_TOKEN, Live, live_status
from tests.services.static import KID, LIST, ask, write_tree
from tests.services.test_hostile_requests import ODD_HEADS, Answer, asked, head, is_refusal, sent

from safeconduct.settings import IssuerSettings, SettingsError
from safeconduct.storage import StorageUnavailable

BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
PATIENCE = 20


class Publisher:
    """Stands for publishing from a database: writes the tree, or raises what it was told to."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.runs = 0
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        if self.fault is not None:
            raise self.fault
        write_tree(self.tree)
        return 11


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.02)


def published(site: Live) -> Answer:
    return asked(site.admin, "POST", "/publish", headers=BEARER, body=b"")


def metric(site: Live, line: str) -> bool:
    return line in asked(site.admin, "GET", "/metrics").body.decode()


def test_the_tree_is_there_before_the_first_request(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    with live_status(tmp_path, publish=publisher) as site:
        assert ask(site.public, f"crl/{KID}.json").body == LIST
        assert publisher.runs == 1
        assert ask(site.public, "jwks.json").headers["cache-control"] == "public, max-age=3600"


def test_it_publishes_again_and_again(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    with live_status(tmp_path, publish=publisher, refresh=1):
        eventually(lambda: publisher.runs >= 3)


def test_management_publishes_at_once(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    with live_status(tmp_path, publish=publisher) as site:
        answer = published(site)
        assert (answer.status, answer.members) == (200, {"written": 11})
        assert publisher.runs == 2
        assert asked(site.admin, "POST", "/publish", body=b"").status == 401
        assert asked(site.admin, "POST", "/publish", body=b"x", headers=BEARER).status == 413
        assert metric(site, 'safeconduct_status_publications_total{outcome="changed"} 2.0')
        assert metric(site, "safeconduct_status_files_written_total 22.0")
        assert metric(site, "safeconduct_status_published_seconds 1")


def test_a_service_that_only_gives_out_says_so(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        answer = published(site)
        assert (answer.status, answer.members["code"]) == (409, "published_elsewhere")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OSError(28, "No space left on device"), "publication_failed"),
        (StorageUnavailable("away"), "storage_unavailable"),
    ],
)
def test_files_are_given_out_while_publishing_fails(tmp_path: Path, fault: Exception, code: str) -> None:
    publisher = Publisher(tmp_path)
    with live_status(tmp_path, publish=publisher, refresh=1) as site:
        publisher.fault = fault
        runs = publisher.runs
        eventually(lambda: publisher.runs >= runs + 2)
        assert ask(site.public, f"crl/{KID}.json").body == LIST
        answer = published(site)
        assert (answer.status, answer.members["code"]) == (503, code)
        assert answer.headers["retry-after"]
        publisher.fault = None
        assert published(site).status == 200
        events = {json.loads(line)["event"] for line in site.log.getvalue().splitlines()}
        assert "status_publication_failed" in events
        assert "No space" not in site.log.getvalue()
        assert metric(site, 'safeconduct_status_publications_total{outcome="failed"}')


def test_a_first_publication_that_fails_stops_the_start(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    publisher.fault = OSError(13, "Permission denied")
    with pytest.raises(OSError, match="Permission denied"), live_status(tmp_path, publish=publisher):
        pass


def test_health_is_that_the_tree_is_there(tmp_path: Path) -> None:
    with live_status(tmp_path) as site:
        assert asked(site.admin, "GET", "/healthz").status == 503
        assert asked(site.admin, "GET", "/readyz").status == 503
        write_tree(tmp_path / "tree")
        assert asked(site.admin, "GET", "/healthz").status == 200
        assert asked(site.admin, "GET", "/readyz").status == 200


@pytest.mark.parametrize("name", ODD_HEADS)
def test_a_head_that_no_library_sends(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        for url in (site.public, site.admin):
            answer = sent(url, ODD_HEADS[name], timeout=10)
            assert answer.status == 0 or 400 <= answer.status < 500, answer
        assert ask(site.public, "jwks.json").status == 200
        assert site.failures == []


HOSTILE_FIELDS = (
    ("Range", "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))),
    ("Range", "bytes=0-" + "9" * 8000),
    ("Range", "bytes=" + "-" * 8000),
    ("If-None-Match", '"a",' * 3000),
    ("If-None-Match", '"' * 8000),
    ("If-None-Match", "\xff\xfe"),
    ("If-Range", "\xff" * 100),
    ("Accept-Encoding", "gzip;q=" + "9" * 8000),
    ("Accept-Encoding", "gzip;q=nan, *;q=inf"),
    ("Accept-Encoding", ";" * 8000),
)


@pytest.mark.parametrize(("name", "value"), HOSTILE_FIELDS)
def test_conditions_that_no_client_means(tmp_path: Path, name: str, value: str) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        fields = [(name, value), ("Range", "bytes=0-0")] if name == "If-Range" else [(name, value)]
        target = f"/.well-known/crl/{KID}.json"
        answer = sent(site.public, head("GET", target, [*fields, ("Connection", "close")]))
        assert answer.status == 200
        assert "content-encoding" not in answer.headers
        assert answer.body == LIST
        assert site.failures == []


def test_errors_are_problems_in_one_form(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    with live_status(tmp_path) as site:
        for target in ("/", "/jwks.json", "/.well-known/none", "/.well-known/../etc/passwd", "//x"):
            answer = asked(site.public, "GET", target)
            assert is_refusal(answer), target
            assert answer.headers["content-type"] == "application/problem+json"


def test_each_tenants_tree_stands_below_its_own_url(tmp_path: Path) -> None:
    def tenant(name: str, **own: str) -> IssuerSettings:
        return IssuerSettings(name=name, identifier=f"https://issuer.example/{name}", **own)

    tenants = (tenant("one"), tenant("two", card_issuer="https://two.example/cards"))
    for name in ("one", "two"):
        write_tree(tmp_path / "tree" / name)
        (tmp_path / "tree" / name / "jwks.json").write_text(name)
    settings = {"issuer": IssuerSettings(tenants=tenants), "refresh": 0}
    with live_status(tmp_path, identifier="https://cards.example", **settings) as site:
        assert ask(f"{site.public}/one", "jwks.json").body == b"one"
        assert ask(f"{site.public}/cards", "jwks.json").body == b"two"
        for path in ("", "/two"):
            assert ask(f"{site.public}{path}", "jwks.json").status == 404
        assert ask(site.public, "one/jwks.json").status == 404


def test_two_tenants_with_one_path_are_refused(tmp_path: Path) -> None:
    tenants = tuple(
        IssuerSettings(
            name=name, identifier=f"https://issuer.example/{name}", card_issuer=f"https://{name}.example"
        )
        for name in ("one", "two")
    )
    settings = {"issuer": IssuerSettings(tenants=tenants), "refresh": 0}
    with pytest.raises(SettingsError, match=r"tenants\.two\.card_issuer"), live_status(tmp_path, **settings):
        pass


def _begun(site: Live, target: str) -> socket.socket:
    host, port = site.public.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(head("GET", target))
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def test_who_reads_slowly_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A file larger than all buffers on the way, of which a client reads nothing."""
    write_tree(tmp_path / "tree")
    (tmp_path / "tree" / "large.pack").write_bytes(bytes(32 * 1024 * 1024))
    with live_status(tmp_path) as site:
        held = _begun(site, "/.well-known/large.pack")
        try:
            assert ask(site.public, "jwks.json").status == 200
        finally:
            held.close()
        eventually(lambda: ask(site.public, "jwks.json").status == 200)
    assert site.failures == []
