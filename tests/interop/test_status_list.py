"""@sd-jwt/jwt-status-list (npm) reads our Token Status Lists, and we read its lists."""

from collections.abc import Iterator

import pytest
from tests.interop.conftest import opened
from tests.interop.peer import Peer

from safeconduct import Key
from safeconduct.status.token_list import tokens
from safeconduct.status.token_list.lists import BITS, Bits, StatusList

pytestmark = pytest.mark.interop

NOW = 1_750_000_000
URI = "https://issuer.example/.well-known/status-lists/one.jwt"
SIZE = 4096


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    yield from opened("health_card")


def statuses(bits: Bits) -> dict[int, int]:
    """Every value at least once, at the edges of the list and of bytes as well."""
    places = {0, 1, 7, 8, 9, 63, 64, SIZE - 1, *range(1000, 1000 + (1 << bits))}
    return {place: place % (1 << bits) for place in places}


@pytest.mark.parametrize("bits", BITS)
def test_they_read_our_lists(peer: Peer, bits: Bits) -> None:
    given = statuses(bits)
    found = StatusList.of(given, size=SIZE, bits=bits)
    token = tokens.issue_jwt(
        found, uri=URI, signer=Key.generate("ES256"), now=NOW, expires=NOW + 600, ttl=300
    )

    read = peer.ask("statuses", token=token, indexes=list(range(SIZE)))

    assert read == {"bits": bits, "statuses": [given.get(place, 0) for place in range(SIZE)]}


@pytest.mark.parametrize("bits", BITS)
def test_we_read_their_lists(peer: Peer, bits: Bits) -> None:
    given = [statuses(bits).get(place, 0) for place in range(SIZE)]

    made = peer.ask("statusClaims", statuses=given, bits=bits, claims={"sub": URI, "iat": NOW})

    found = StatusList.from_json(made["payload"]["status_list"])
    assert made["header"]["typ"] == "statuslist+jwt"
    assert (found.bits, found.size) == (bits, SIZE)
    assert [found.status(place) for place in range(SIZE)] == given
