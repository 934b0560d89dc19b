"""Every service keeps what its OpenAPI document says, whatever it is sent: schemathesis over sockets.

The document is the one that the service itself serves. A run has the boundaries of every schema, random good
and bad requests, and sequences along the document's links, always the same ones; `make fuzz` has more.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.flows.card_stage import BUNDLE, CARDS
from tests.services.live import (
    ADMIN_TOKEN,
    Live,
    live_issuer,
    live_relay,
    live_status,
    live_wallet_server,
)

from safeconduct.settings import IssuerSettings, KeyPlace

HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
ROOT = HOOKS.parent.parent.parent
EXAMPLES = int(os.environ.get("SAFECONDUCT_SCHEMATHESIS_EXAMPLES", "5"))
"""Random requests for each operation."""

RUN_SECONDS = 120 + 20 * EXAMPLES
BEARER = f"Bearer {ADMIN_TOKEN}"

CURSORS = [
    line
    for operation in ("listOffers", "listDeferred", "findIssued", "findShares")
    for line in (
        "[[operations]]",
        f'include-operation-id = "{operation}"',
        # A cursor is good only if a page before gave it, which no schema can say.
        "checks.positive_data_acceptance.enabled = false",
    )
]

PUBLISHED_ELSEWHERE = [
    "[[operations]]",
    'include-operation-id = "publish"',
    # A good request is refused where something else publishes.
    "checks.positive_data_acceptance.enabled = false",
]

SEALED = [
    line
    for path in ("/forward/credential", "/forward/deferred", "/deliveries/{id}")
    for line in (
        "[[operations]]",
        f'include-path = "{path}"',
        # schemathesis takes application/jwt for a kind of JSON; the media types are held all the same.
        "checks.response_schema_conformance.enabled = false",
        # It counts some header fields as bad that are good, among them Prefer; see the tests of garbage.
        "checks.negative_data_rejection.enabled = false",
    )
]


def hold(
    site: Live,
    base: str,
    folder: Path,
    *,
    authorization: str,
    lines: Sequence[str] = (),
    phases: str = "coverage,fuzzing,stateful",
    session: str = "",
    document: str = "/openapi.json",
) -> None:
    """Hold the service at a URL against its document; fails with all that schemathesis found."""
    configuration = folder / "schemathesis.toml"
    general = [f'hooks = "{HOOKS}"', "[cache]", "enabled = false", *lines]
    configuration.write_text("\n".join(general))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)]
    command += ["run", base + document, "--header", f"Authorization: {authorization}"]
    command += ["--phases", phases, "--max-examples", str(EXAMPLES)]
    command += ["--generation-deterministic", "--no-color"]
    run = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_SESSION": session},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert site.failures == []


def with_cards(folder: Path) -> dict[str, Any]:
    """Settings of an issuer that makes health cards."""
    bundles = folder / "bundles"
    bundles.mkdir()
    (bundles / "0.json").write_text(json.dumps(BUNDLE))
    key = KeyPlace(folder / "card.pem")
    return {"card_issuer": CARDS, "card_signing_key": key, "card_bundles": str(bundles)}


def test_management_of_an_issuer(tmp_path: Path) -> None:
    with live_issuer(tmp_path, **with_cards(tmp_path)) as site:
        hold(site, site.admin, tmp_path, authorization=BEARER, lines=CURSORS)


def test_management_of_several_issuers(tmp_path: Path) -> None:
    tenant = IssuerSettings(
        name="one",
        identifier="http://127.0.0.1:9/one",
        signing_key=KeyPlace(tmp_path / "one.pem"),
        **with_cards(tmp_path),
    )
    # The boundaries of the schemas are those of one issuer.
    lines = ["[parameters]", 'tenant = "one"', *CURSORS]
    with live_issuer(tmp_path, identifier="", tenants=(tenant,)) as site:
        hold(site, site.admin, tmp_path, authorization=BEARER, lines=lines, phases="fuzzing,stateful")


PRESENTED = [
    line
    for operation in ("createShare", "openShares", "pinShare", "endShare", "listOwnShares")
    for line in (
        "[[operations]]",
        f'include-operation-id = "{operation}"',
        # Whoever asks must hold a credential and sign with its key, which no schema can say.
        "checks.positive_data_acceptance.enabled = false",
        # /shares/access is a path of its own, and as a share's name it has that path's methods too.
        "checks.allow_header_conformance.enabled = false",
    )
]


def test_the_shares_of_an_issuer(tmp_path: Path) -> None:
    with live_issuer(tmp_path) as site:
        hold(
            site,
            site.public,
            tmp_path,
            authorization="Bearer nobody",
            lines=PRESENTED,
            phases="coverage",  # without a credential, sequences lead nowhere
            document="/shares/openapi.json",
        )


def test_a_wallet_server(tmp_path: Path) -> None:
    with live_wallet_server(tmp_path) as site:
        session = _session(site)
        hold(site, site.public, tmp_path, authorization="DPoP token", lines=SEALED, session=session)


def test_management_of_a_wallet_server(tmp_path: Path) -> None:
    with live_wallet_server(tmp_path) as site:
        hold(site, site.admin, tmp_path, authorization=BEARER)


def test_a_relay(tmp_path: Path) -> None:
    with live_relay(tmp_path) as site:
        hold(site, site.public, tmp_path, authorization="none")


def test_management_of_a_relay(tmp_path: Path) -> None:
    with live_relay(tmp_path) as site:
        hold(site, site.admin, tmp_path, authorization=BEARER)


@pytest.mark.parametrize("publishes", [True, False])
def test_management_of_a_status_service(tmp_path: Path, publishes: bool) -> None:
    async def publish() -> int:
        return 1

    (tmp_path / "tree").mkdir()
    with live_status(tmp_path, publish=publish if publishes else None) as site:
        hold(site, site.admin, tmp_path, authorization=BEARER, lines=[] if publishes else PUBLISHED_ELSEWHERE)


def _session(site: Live) -> str:
    request = urllib.request.Request(f"{site.public}/sessions", method="POST")  # noqa: S310  a URL of ours
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["session"])
