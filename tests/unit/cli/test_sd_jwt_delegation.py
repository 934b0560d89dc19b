"""S8: `safeconduct sd-jwt verify --delegation-depth`: off unless said, and for which types."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Run

from safeconduct import redact, sd_jwt
from safeconduct.crypto.keys import Key
from safeconduct.formats.sd_jwt import delegation

VCT = "https://issuer.example/types/key"
NOW = 1_750_000_000
VERIFY = (
    *("sd-jwt", "verify", "--issuer-key", "issuer-public.pem", "--audience", "https://verifier.example"),
    *("--nonce", "n-1", "--at", str(NOW)),
)
ALLOWED = ("--delegation-depth", "1", "--type", VCT)


@pytest.fixture
def presentations(tmp_path: Path) -> tuple[bytes, bytes]:
    """An ordinary presentation, and one of what its holder passed on."""
    issuer, holder, receiver = (Key.generate("ES256") for _ in range(3))
    (tmp_path / "issuer-public.pem").write_text(issuer.public.to_pem())
    claims = {"iss": "https://issuer.example", "vct": VCT, "name": redact("Zoë"), "rights": ["open", "drive"]}
    token = sd_jwt.issue({**claims, "exp": NOW + 900}, issuer=issuer, holder=holder.public, now=NOW - 60)
    passed_on = delegation.issue(
        token,
        delegator=holder,
        receiver=receiver.public,
        disclose=["name"],
        rights={"rights": ["open"]},
        not_before=NOW - 30,
        expires=NOW + 600,
        further=0,
        now=NOW - 30,
    )
    made_out: dict[str, Any] = {"audience": "https://verifier.example", "nonce": "n-1", "now": NOW}
    ordinary = sd_jwt.present(token, holder=holder, disclose=["name"], **made_out)
    delegated = delegation.present(passed_on, holder=receiver, disclose=["name"], **made_out)
    return ordinary.encode(), delegated.encode()


def test_a_delegated_credential_is_taken_where_that_is_said(
    presentations: tuple[bytes, bytes], run: Run
) -> None:
    done = run(*VERIFY, *ALLOWED, "--json", stdin=presentations[1])
    assert (done.exit_code, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["claims"]["name"], answer["claims"]["rights"]) == ("Zoë", ["open"])
    assert answer["delegations"] == [
        {"rights": {"rights": ["open"]}, "not_before": NOW - 30, "expires": NOW + 600}
    ]
    assert json.loads(run(*VERIFY, *ALLOWED, stdin=presentations[1]).stdout) == answer["claims"]


def test_it_is_not_taken_otherwise(presentations: tuple[bytes, bytes], run: Run) -> None:
    for arguments in ((), ("--delegation-depth", "0"), ("--type", VCT)):
        done = run(*VERIFY, *arguments, stdin=presentations[1])
        assert (done.exit_code, done.stderr.split(":")[0]) == (1, "sd_jwt_typ")
    done = run(*VERIFY, "--delegation-depth", "1", "--type", "https://else.example", stdin=presentations[1])
    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "type_not_accepted")


def test_a_depth_without_a_type_is_wrong_use(presentations: tuple[bytes, bytes], run: Run) -> None:
    done = run(*VERIFY, "--delegation-depth", "1", stdin=presentations[1])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--type" in done.stderr
    assert run(*VERIFY, "--delegation-depth", "9", "--type", VCT, stdin=presentations[1]).exit_code == 2


def test_an_ordinary_credential_verifies_beside(presentations: tuple[bytes, bytes], run: Run) -> None:
    done = run(*VERIFY, *ALLOWED, "--json", stdin=presentations[0])
    assert done.exit_code == 0
    assert "delegations" not in json.loads(done.stdout)
