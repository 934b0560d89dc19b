"""A link in a real browser: hostile words are words, nothing runs, nothing is used up (A3, A4, A18).

Each text of the corpus stands in a mailbox of its own. So that what the browser finds can be believed, the
same corpus is shown by a page that does not escape, where most of it does run.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.hostile_texts import HOSTILE
from tests.relay_client import ClaimKey, Party
from tests.services import chromium
from tests.services.chromium import Browser, Page
from tests.services.live import Live, live_relay

from safeconduct.services.relay.display import clean_display

SECRET = "q83vASNFZ4mrze8BI0VniQ"
LOADS = 8


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_relay(tmp_path_factory.mktemp("relay"), image_hosts=("pictures.example",)) as live:
        yield live
        assert live.failures == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium.opened(tmp_path_factory.mktemp("browser")) as found:
        yield found


def link_of(sender: Party) -> str:
    """The link as its receiver opens it, with the secret."""
    return f"{sender.url}/v1/m/{sender.mailbox}?v=c#{SECRET}.2l"


def left_alone(sender: Party) -> bool:
    """Whether the mailbox is as it was made."""
    read = sender.read().members
    assert (read["state"], read["sequence"]) == ("unclaimed", 1)
    return True


def has_run(page: Page) -> bool:
    """Whether something of the corpus did what it is for."""
    return page.title == "PWNED" or bool(page.dialogs) or any("127.0.0.1:9/" in url for url in page.asked)


def test_A18_hostile_words_are_shown_as_words_and_nothing_of_them_runs(relay: Live, browser: Browser) -> None:
    plain = Party(relay.public)
    plain.create(display={"title": "t", "description": "d", "imageURL": ""})
    elements = browser.open(link_of(plain)).elements
    for place in range(0, len(HOSTILE), 3):
        title, text = HOSTILE[place], " ".join(HOSTILE[place + 1 : place + 3])
        sender = Party(relay.public)
        display = {"title": title[:128], "description": text, "imageURL": text}
        assert sender.create(display=display).status == 200
        link = link_of(sender)
        page = browser.open(link)
        assert not has_run(page), (title, text)
        assert page.elements == elements, (title, text)
        assert page.asked == (link.partition("#")[0],), (title, text)  # not even the relay's own picture
        shown = clean_display(title[:128], text, "", image_hosts=())
        assert shown.title in page.text, title
        assert shown.description in page.text, text
        assert left_alone(sender)


class Careless(BaseHTTPRequestHandler):
    """The page of a relay that puts a sender's words into HTML as they are."""

    def do_GET(self) -> None:
        text = HOSTILE[int(self.path[1:])] if self.path[1:].isdigit() else ""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>t</title><h1>{text}</h1>".encode("utf-8", "replace"))

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


def test_the_browser_would_have_run_what_a_careless_page_shows(browser: Browser) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_address[1]}"
        tried = range(0, 30, 2)  # those that stand in an element; others are for attributes and filters
        ran = [number for number in tried if has_run(browser.open(f"{place}/{number}"))]
        server.shutdown()
    assert len(ran) > len(tried) / 2


@pytest.mark.parametrize("claim_key", [None, ClaimKey()], ids=["bare", "with claim key"])
def test_A3_a_browser_may_load_a_link_as_often_as_it_likes(
    relay: Live, browser: Browser, claim_key: ClaimKey | None
) -> None:
    sender = Party(relay.public)
    sender.create(configuration={} if claim_key is None else {"claimKey": claim_key.public})
    for _ in range(LOADS):
        page = browser.open(link_of(sender))
        assert "Car key" in page.text
        for method in ("GET", "HEAD", "OPTIONS"):
            assert sender.preview(method).status in (200, 204)
    assert left_alone(sender)
    receiver = sender.of(sender)
    proof = {} if claim_key is None else {"Mailbox_Claim_Proof": claim_key.proof(receiver)}
    assert receiver.read(**proof).status == 200
    assert sender.read().members["state"] == "claimed"


def test_the_page_tells_what_to_do_with_the_link_and_that_nobody_has_checked_it(
    relay: Live, browser: Browser
) -> None:
    sender = Party(relay.public)
    sender.create()
    text = " ".join(browser.open(link_of(sender)).text.split())
    assert "Open the link in your wallet." in text
    assert "Do not paste the link anywhere else" in text
    assert "Nobody has checked them." in text


def test_a_browser_gets_a_page_for_a_link_that_does_not_work(relay: Live, browser: Browser) -> None:
    sender = Party(relay.public)
    sender.create()
    sender.delete()
    page = browser.open(link_of(sender))
    assert "This link does not work" in page.text
    assert SECRET not in page.text


def test_A17_no_part_of_a_link_comes_to_the_relay_but_its_path(relay: Live, browser: Browser) -> None:
    sender = Party(relay.public)
    sender.create()
    page = browser.open(link_of(sender))
    assert page.asked
    assert all(SECRET not in url for url in page.asked)
    assert SECRET not in relay.log.getvalue()
    assert sender.mailbox not in relay.log.getvalue()


def test_A21_a_browser_cannot_open_anything_but_the_page(relay: Live, tmp_path: Path) -> None:
    sender = Party(relay.public)
    sender.create()
    refused = sender.send("POST", Sec_Fetch_Mode="navigate")
    assert (refused.status, refused.code) == (403, "navigation_refused")
    assert left_alone(sender)
