"""What messengers do with a link, by the libraries that they do it with: nothing is used up by it (A3, P13).

open-graph-scraper and unfurl.js (npm), linkpreview (PyPI). They load a link many times, fragment and all, and
show the sender's words as they are; then a receiver claims the mailbox as if nobody had been there.
"""

from collections.abc import Iterator

import pytest
from tests.interop.peer import Peer, Refused
from tests.relay_client import ClaimKey, Party
from tests.services.live import Live, live_relay

pytestmark = pytest.mark.interop

LOADS = 50
SECRET = "q83vASNFZ4mrze8BI0VniQ"
HOSTILE = {
    "title": "</title><script>alert(1)</script>",
    "description": "\"><img src=http://127.0.0.1:9/x onerror=alert(1)> & O'Hara",
    "imageURL": "https://tracker.example/pixel.png",
}
LIBRARIES = (
    ("previews_peer", "open-graph-scraper"),
    ("previews_peer", "unfurl.js"),
    ("linkpreview_peer", "preview"),
)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_relay(tmp_path_factory.mktemp("relay"), image_hosts=("pictures.example",)) as live:
        yield live
        assert live.failures == []


@pytest.fixture(params=LIBRARIES, ids=["open-graph-scraper", "unfurl.js", "linkpreview"])
def library(request: pytest.FixtureRequest) -> tuple[Peer, str]:
    fixture, operation = request.param
    return request.getfixturevalue(fixture), operation


def previewed(library: tuple[Peer, str], sender: Party) -> dict[str, str]:
    peer, operation = library
    found = peer.ask(operation, url=f"{sender.url}/v1/m/{sender.mailbox}?v=c#{SECRET}.2l")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("claim_key", [None, ClaimKey()], ids=["bare", "with claim key"])
def test_any_number_of_previews_leaves_a_mailbox_unclaimed(
    relay: Live, library: tuple[Peer, str], claim_key: ClaimKey | None
) -> None:
    sender = Party(relay.public)
    sender.create(configuration={} if claim_key is None else {"claimKey": claim_key.public})
    for _ in range(LOADS):
        found = previewed(library, sender)
        assert (found["title"], found["description"]) == ("Car key", "Of Erika's car")
        assert found["image"] == "https://pictures.example/a.png"
    read = sender.read().members
    assert (read["state"], read["sequence"]) == ("unclaimed", 1)
    receiver = sender.of(sender)
    proof = {} if claim_key is None else {"Mailbox_Claim_Proof": claim_key.proof(receiver)}
    assert receiver.read(**proof).status == 200
    assert sender.read().members["state"] == "claimed"


def test_hostile_words_arrive_as_words_and_no_picture_from_afar(
    relay: Live, library: tuple[Peer, str]
) -> None:
    sender = Party(relay.public)
    sender.create(display=HOSTILE)
    found = previewed(library, sender)
    assert (found["title"], found["description"]) == (HOSTILE["title"], HOSTILE["description"])
    assert "tracker" not in found["image"]
    assert found["image"].endswith("/v1/picture.png")


def test_what_is_no_more_has_no_preview(relay: Live, library: tuple[Peer, str]) -> None:
    sender = Party(relay.public)
    sender.create()
    sender.delete()
    try:
        found = previewed(library, sender)
    except Refused:
        return
    assert "Car key" not in str(found)
