"""What is wrong between settings of the wallet server, told before anything starts."""

from pathlib import Path

import pytest

from safeconduct.settings import SettingsError, load

GOOD = """
[wallet_server]
issuers = ["https://issuer.example"]
wake_url = "https://push.example/wake"
wake_secret = "secret-of-the-gateway"
[wallet_server.shims]
"https://issuer.example" = ["answer_as_jose", "created_as_ok"]
"""


def test_shims_and_a_gateway_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(GOOD)
    found = load(tmp_path / "s.toml", environ={}).wallet_server
    assert found.shims == {"https://issuer.example": ("answer_as_jose", "created_as_ok")}
    assert found.wake_secret is not None
    assert "secret-of-the-gateway" not in repr(found)


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ('wake_secret = "secret-of-the-gateway"', "", "wake_secret: expected together with wake_url"),
        ('wake_url = "https://push.example/wake"', "", "wake_secret: expected together with wake_url"),
        ("https://push.example/wake", "http://push.example/wake", "wake_url: expected https"),
        ('"https://issuer.example" =', '"*" =', "shims: expected an https URL"),
        ("created_as_ok", "anything_goes", "wallet_server.shims: "),
        ('"https://issuer.example"]', '"https://*.example/"]', "issuers: expected a URL without"),
    ],
)
def test_contradictions_are_told(tmp_path: Path, good: str, bad: str, problem: str) -> None:
    assert good in GOOD
    (tmp_path / "s.toml").write_text(GOOD.replace(good, bad))
    with pytest.raises(SettingsError) as error:
        load(tmp_path / "s.toml", environ={})
    assert problem in str(error.value)
    assert "secret-of-the-gateway" not in str(error.value)
