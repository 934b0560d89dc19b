"""`safeconduct issued shares` and `revoke-share`: what they print of what management answers."""

import json
from typing import Any

import pytest
from tests.unit.cli.conftest import Run

from safeconduct.cli import management

SHARE = {
    "share_id": "s1",
    "parent_id": "p1",
    "configuration_id": "car",
    "state": "pending",
    "mode": "move",
    "level": "pin",
    "entitlements": ["open"],
    "depth": 1,
    "pinned": False,
    "created_at": 1_800_000_000,
    "expires_at": 1_800_086_400,
    "not_before": None,
    "credential_expires": 1_800_086_400,
    "issued_id": None,
}


def test_a_share_is_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def pages(path: str, name: str, query: dict[str, Any], **_more: Any) -> list[dict[str, Any]]:
        asked.append((path, name, query))
        return [SHARE, {**SHARE, "state": "issued", "issued_id": "i1"}]

    monkeypatch.setattr(management, "pages", pages)
    told = run("issued", "shares", "--state", "pending", "--issued", "p1", "--since", "5")
    when = management.date(1_800_000_000)
    assert told.stdout.splitlines() == [
        f"s1\tpending\tmove\tpin\tp1\t\t{when}",
        f"s1\tissued\tmove\tpin\tp1\ti1\t{when}",
    ]
    query = {"state": "pending", "issued_id": "p1", "since": 5, "until": None}
    assert asked == [("/shares", "shares", query)]
    assert json.loads(run("issued", "shares", "--json").stdout)["shares"][0] == SHARE


def test_ending_a_share_says_what_it_came_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def ask(method: str, path: str, _body: None, **_more: Any) -> dict[str, str]:
        asked.append((method, path))
        return {"outcome": "revoked", "state": "revoked"}

    monkeypatch.setattr(management, "ask", ask)
    assert run("issued", "revoke-share", "s/1").stdout == "revoked\n"
    assert json.loads(run("issued", "revoke-share", "s1", "--json").stdout)["state"] == "revoked"
    assert asked == [("POST", "/shares/s%2F1/revoke"), ("POST", "/shares/s1/revoke")]
