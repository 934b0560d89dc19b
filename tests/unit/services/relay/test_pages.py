"""The preview of a mailbox as bytes: hostile text stays text, nothing runs or is fetched (A3, A4, A18)."""

import asyncio
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.hostile_texts import HOSTILE

from safeconduct.errors import Rejected
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.services.relay.addresses import Gate
from safeconduct.services.relay.display import Display, clean_display
from safeconduct.services.relay.pages import PreviewPages
from safeconduct.settings import RelaySettings
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import public_app
from safeconduct.web.problems import RFC9457

BASE = "https://relay.example"
MAILBOX = "0b9b4a5c-5a4b-4f0e-9a52-7a1e2b3c4d5e"
PLACE = f"{BASE}/v1/m/{MAILBOX}"
HOSTS = ("pictures.example",)


class Unknown(Rejected):
    http_status = 404


def line(pages: PreviewPages) -> HttpFetcher:
    """A way to the pages alone."""
    app = public_app(pages.routes(), telemetry=Telemetry.silent("relay"), problems=RFC9457)
    return HttpFetcher(allow_loopback=False, transport=InProcess({BASE: app}))


def asked(
    display: Display | None,
    place: str = PLACE,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> Response:
    """What the pages answer of a mailbox that shows this, or of none."""

    async def find(mailbox: str) -> Display:
        if display is None or mailbox.lower() != MAILBOX:
            raise Unknown("mailbox_unknown", "There is no such mailbox.")
        return display

    async def main() -> Response:
        pages = PreviewPages(find, base=BASE, gate=Gate(RelaySettings(**settings)))
        async with line(pages) as fetcher:
            return await fetcher.request(method, place, headers=headers or {})

    return asyncio.run(main())


class Seen(HTMLParser):
    """What a reader of HTML finds: elements, attributes, text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] != "style":
            self.texts.append(data)

    @property
    def graph(self) -> dict[str, str | None]:
        pairs = [attrs for tag, attrs in self.elements if tag == "meta" and "property" in attrs]
        return {str(pair["property"]): pair["content"] for pair in pairs}


def skeleton(display: Display) -> list[tuple[str, list[str]]]:
    """The page's elements with the names of their attributes."""
    return [(tag, list(attrs)) for tag, attrs in Seen(asked(display).body).elements]


def test_the_open_graph_of_a_mailbox() -> None:
    seen = Seen(asked(Display("Car key", "Of Erika's", "")).body)
    assert seen.graph == {
        "og:type": "website",
        "og:site_name": "relay.example",
        "og:title": "Car key",
        "og:description": "Of Erika's",
        "og:url": PLACE,
        "og:image": f"{BASE}/v1/picture.png",
        "og:image:type": "image/png",
        "og:image:width": "1200",
        "og:image:height": "630",
    }


def test_a_picture_that_may_be_shown_is_named_and_nothing_is_said_of_its_size() -> None:
    seen = Seen(asked(Display("a", "b", "https://pictures.example/a.png")).body)
    assert seen.graph["og:image"] == "https://pictures.example/a.png"
    assert "og:image:width" not in seen.graph


@pytest.mark.parametrize("text", HOSTILE)
def test_A18_a_hostile_text_changes_no_element_of_the_page(text: str) -> None:
    display = clean_display(text[:128], text, text, image_hosts=HOSTS)
    plain = Display("t", "d", "")
    assert skeleton(display) == skeleton(plain)
    seen = Seen(asked(display).body)
    assert seen.graph["og:title"] == (display.title or "Something was sent to you")
    assert seen.graph["og:description"] == display.description
    assert display.title in "".join(seen.texts)


def test_A18_a_template_that_does_not_escape_would_be_noticed() -> None:
    def changed(text: str) -> bool:
        page = f"<p>{text}</p>".encode()
        return [tag for tag, _ in Seen(page).elements] != ["p"]

    assert sum(map(changed, HOSTILE)) > len(HOSTILE) / 2


def test_the_page_has_nothing_that_runs_submits_or_is_fetched() -> None:
    found = {tag for tag, _ in Seen(asked(Display("a", "b", "https://pictures.example/a.png")).body).elements}
    assert found <= {"html", "head", "meta", "title", "style", "body", "main", "p", "h1", "strong"}


def test_the_head_of_the_answer() -> None:
    headers = asked(Display("a", "b", "")).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "form-action 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "sandbox" in policy.split("; ")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in headers


def test_the_page_says_what_to_do_with_the_link() -> None:
    text = " ".join(" ".join(Seen(asked(Display("a", "b", "")).body).texts).split())
    assert "Open the link in your wallet" in text
    assert "Do not paste the link anywhere else" in text
    assert "Nobody has checked them" in text


def test_hole_7_the_url_is_the_link_s_own_and_not_the_request_s() -> None:
    """In whatever spelling it was asked for, and whatever `Host` says (hole 11)."""
    hostile = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    answer = asked(Display("a", "b", ""), PLACE.replace(MAILBOX, MAILBOX.upper()) + "?v=c", headers=hostile)
    assert Seen(answer.body).graph["og:url"] == PLACE
    assert b"evil" not in answer.body


def test_A8_what_is_not_there_is_one_and_the_same_page() -> None:
    answers = [
        asked(None),
        asked(None, PLACE.replace("0", "1")),
        asked(Display("a", "b", ""), PLACE[:-1]),
        asked(Display("a", "b", ""), f"{BASE}/v1/m/%3Cscript%3E"),
    ]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert b"mailbox_unknown" not in answers[0].body


def test_HEAD_is_the_head_of_the_page() -> None:
    got, head = (asked(Display("a", "b", ""), method=method) for method in ("GET", "HEAD"))
    assert (head.status, head.headers) == (got.status, got.headers)


@pytest.mark.parametrize("display", [None, Display("a", "b", "")], ids=["unknown", "live"])
def test_OPTIONS_says_the_same_of_every_mailbox_and_lets_no_other_origin_in(display: Display | None) -> None:
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = asked(display, method="OPTIONS", headers=asking)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_the_relay_s_own_picture() -> None:
    answer = asked(None, f"{BASE}/v1/picture.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = answer.body[16:20], answer.body[20:24]
    assert (int.from_bytes(width, "big"), int.from_bytes(height, "big")) == (1200, 630)
    assert answer.headers["cache-control"] == "public, max-age=86400"


def test_a_guest_who_guesses_at_pages_has_to_wait() -> None:
    async def find(_mailbox: str) -> Display:
        raise Unknown("mailbox_unknown", "There is no such mailbox.")

    async def main() -> list[Response]:
        pages = PreviewPages(find, base=BASE, gate=Gate(RelaySettings(failure_rate=2)))
        async with line(pages) as fetcher:
            return [await fetcher.request("GET", PLACE) for _ in range(3)]

    answers = asyncio.run(main())
    assert [answer.status for answer in answers] == [404, 404, 429]
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[2].headers["content-type"].startswith("text/html")
