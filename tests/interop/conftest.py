"""The foreign implementations: skipped with a reason where they are not installed, a failure there in CI."""

import os
from collections.abc import Iterator, Mapping

import pytest
from tests.interop.peer import Absent, Peer


def opened(name: str, *, environment: Mapping[str, str] | None = None) -> Iterator[Peer]:
    """A peer for as long as a fixture lives; arguments as of `Peer`."""
    try:
        peer = Peer(name, environment=environment)
    except Absent as absent:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, but {absent}", pytrace=False)
        pytest.skip(str(absent))
    with peer:
        yield peer


@pytest.fixture(scope="module")
def cose_peer() -> Iterator[Peer]:
    """pycose and python-cwt (PyPI)."""
    yield from opened("cose")


@pytest.fixture(scope="module")
def jose_peer() -> Iterator[Peer]:
    """jose (npm)."""
    yield from opened("jose")


@pytest.fixture(scope="module")
def cborg_peer() -> Iterator[Peer]:
    """cborg (npm)."""
    yield from opened("cborg")


@pytest.fixture(scope="module")
def hpke_peer() -> Iterator[Peer]:
    """@hpke/core (npm), and transfers written once more in JavaScript."""
    yield from opened("hpke")


@pytest.fixture(scope="module")
def oid4vc_peer() -> Iterator[Peer]:
    """@openid4vc/openid4vci (npm)."""
    yield from opened("oid4vc")


@pytest.fixture(scope="module")
def sd_jwt_peer() -> Iterator[Peer]:
    """@sd-jwt/core and @sd-jwt/sd-jwt-vc (npm)."""
    yield from opened("sd_jwt")


@pytest.fixture(scope="module")
def previews_peer() -> Iterator[Peer]:
    """open-graph-scraper and unfurl.js (npm)."""
    yield from opened("previews")


@pytest.fixture(scope="module")
def linkpreview_peer() -> Iterator[Peer]:
    """linkpreview (PyPI)."""
    yield from opened("linkpreview")


@pytest.fixture(scope="module")
def transfer_peer() -> Iterator[Peer]:
    """Another maker's side of transfers, with @sphereon/oid4vci-client and @openid4vc/openid4vci (npm)."""
    yield from opened("transfer")


@pytest.fixture(scope="module")
def health_card_peer() -> Iterator[Peer]:
    """@sd-jwt/jwt-status-list (npm), among others."""
    yield from opened("health_card")
