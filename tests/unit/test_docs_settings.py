"""The tables of settings and metrics in the how-to guide are whole, and name the defaults that hold."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.settings import IssuerSettings, Settings, VerifierSettings, WalletServerSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/run-the-services.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| .+ \|$", re.MULTILINE)
SERVICES = {
    "issuer": IssuerSettings(),
    "wallet_server": WalletServerSettings(),
    "verifier": VerifierSettings(),
}
NOT_A_VALUE = {"identifier", "port", "admin_port", "database"}
"""Described in words: they differ from service to service."""


def rows(heading: str) -> dict[str, str]:
    """The settings below a heading, with the text of their defaults."""
    section = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    return dict(ROW.findall(section[1]))


def written(value: Any) -> str:
    """A default as the page writes it."""
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_common_settings_are_those_that_all_services_have() -> None:
    common = set.intersection(*({*service.__struct_fields__} for service in SERVICES.values()))
    # Those that only happen to have the same name stand with their section.
    assert rows("Of each service").keys() == common - {"clock_skew", "nonce_lifetime"}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_the_common_defaults_hold(service: msgspec.Struct) -> None:
    for name, default in rows("Of each service").items():
        if name not in NOT_A_VALUE:
            assert default == written(getattr(service, name)), name


def test_the_ports_hold() -> None:
    named = [f"{service.port}/{service.admin_port}" for service in SERVICES.values()]
    assert ", ".join(named) in PAGE


@pytest.mark.parametrize("section", Settings.__struct_fields__)
def test_every_setting_of_a_section_is_there_with_its_default(section: str) -> None:
    settings = getattr(Settings(), section)
    common = rows("Of each service").keys() if section in SERVICES else set()
    expected = {
        name: written(getattr(settings, name)) for name in settings.__struct_fields__ if name not in common
    }
    assert rows(f"`[{section}]`") == expected


def test_every_metric_is_there() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    metrics = {*re.findall(r'"(safeconduct_[a-z_]+(?:_total|_seconds))"', sources)}
    assert metrics
    assert {*re.findall(r"^\| `(safeconduct_\w+)` \|", PAGE, re.MULTILINE)} == metrics


def test_every_management_path_is_there() -> None:
    for file in (ROOT / "src/safeconduct/services").glob("*/*.py"):
        listed = re.search(r"def admin_routes\(.*", file.read_text(encoding="utf-8"), re.DOTALL)
        for path, method in re.findall(
            r'Route\("(.+?)", \w+, methods=\["(\w+)"\]\)', listed[0] if listed else ""
        ):
            assert f"`{method} {path}`" in PAGE
