"""`status publish --ribbon`, and `health-card verify --crl` with a ribbon in place of the list."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

ISSUER = "https://issuer.example/shc"
MADE, PUBLISHED = "1800000000", "1800001000"


@pytest.fixture
def folder(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published tree in tree/, with good.txt and revoked.txt, cards of two subjects."""
    monkeypatch.setenv("SAFECONDUCT_ISSUER__CARD_ISSUER", ISSUER)
    bundle = tmp_path / "bundle.json"
    bundle.write_text('{"resourceType":"Bundle","type":"collection","entry":[]}')
    for subject in ("good", "revoked"):
        done = run("status", "allocate", subject, "--json")
        assert done.exit_code == 0, done.output
        (rid,) = json.loads(done.stdout)["rids"]
        key = str(tmp_path / "safeconduct-data" / "card-key.pem")
        given = ("--issuer", ISSUER, "--key", key, "--rid", rid, "--now", MADE, "--out", f"{subject}.txt")
        done = run("health-card", "issue", "bundle.json", *given)
        assert done.exit_code == 0, done.output
    assert run("status", "revoke", "--subject", "revoked").exit_code == 0
    return tmp_path


def published(run: Run, *options: str) -> dict[str, object]:
    done = run("status", "publish", "tree", "--now", PUBLISHED, "--json", *options)
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


def verdict(run: Run, folder: Path, card: str, crl: Path) -> tuple[str, int]:
    given = ("--jwks", str(folder / "tree" / "jwks.json"), "--crl", str(crl), "--at", PUBLISHED, "--json")
    done = run("health-card", "verify", card, *given)
    return json.loads(done.stdout)["verdict"], done.exit_code


def test_a_ribbon_is_published_on_demand_and_stands_for_the_list(folder: Path, run: Run) -> None:
    told = published(run, "--ribbon")

    assert (told["ribbons"], told["without_ribbon"]) == (1, 0)
    (ribbon,) = (folder / "tree" / "crl").glob("*.ribbon")
    assert verdict(run, folder, "good.txt", ribbon) == ("valid", 0)
    assert verdict(run, folder, "revoked.txt", ribbon) == ("revoked", 1)
    (listed,) = (folder / "tree" / "crl").glob("*" + ribbon.stem + ".json")
    assert verdict(run, folder, "revoked.txt", listed) == ("revoked", 1)


def test_none_is_published_unless_asked_for(folder: Path, run: Run) -> None:
    assert "ribbons" not in published(run)
    assert list((folder / "tree").rglob("*.ribbon")) == []


def test_a_key_with_other_cards_gets_none_and_that_is_said(folder: Path, run: Run) -> None:
    (kid,) = (one["kid"] for one in json.loads(run("status", "keys", "--json").stdout)["keys"])
    assert run("status", "revoke", "--rid", "of-another-system", "--kid", kid).exit_code == 0

    done = run("status", "publish", "tree", "--ribbon")

    assert done.exit_code == 0
    assert "1 keys have no ribbon" in done.output
    assert list((folder / "tree").rglob("*.ribbon")) == []


def test_a_damaged_ribbon_is_wrong_use(folder: Path, run: Run) -> None:
    published(run, "--ribbon")
    (ribbon,) = (folder / "tree" / "crl").glob("*.ribbon")
    ribbon.write_bytes(ribbon.read_bytes()[:100])

    done = run("health-card", "verify", "good.txt", "--crl", str(ribbon), "--jwks", "tree/jwks.json")

    assert done.exit_code == 2
    assert "is no whole ribbon" in done.output
