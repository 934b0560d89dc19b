"""`safeconduct status` for issuers of health cards: from a rid to a list that verification heeds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from typer.testing import Result

from safeconduct.crypto.keys import Key
from safeconduct.status.card_keys import thumbprint
from safeconduct.status.card_revocation import SIGNED_TEXT, RevocationList

URL = "https://health.example/shc"
BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": []}
KEY = "safeconduct-data/card-key.pem"


@pytest.fixture
def shell(tmp_path: Path, run: Run) -> Run:
    """The command line in a folder with settings that say who the issuer is."""
    (tmp_path / "safeconduct.toml").write_text(f'[issuer]\ncard_issuer = "{URL}"\n')
    (tmp_path / "bundle.json").write_text(json.dumps(BUNDLE))
    return run


def done(result: Result, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return result.stdout


def answer(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(done(result))
    return found


Verdict = Callable[[str], str]


@pytest.fixture
def verdict(shell: Run, tmp_path: Path) -> Verdict:
    """What verification says of a card after publishing."""

    def judge(card: str) -> str:
        done(shell("status", "publish", "web"))
        kid = answer(shell("status", "keys", "--json"))["keys"][0]["kid"]  # type: ignore[index]
        trusted = ("--jwks", "web/jwks.json", "--crl", f"web/crl/{kid}.json")
        judged = shell("health-card", "verify", card, *trusted, "--json")
        found: str = json.loads(judged.stdout)["verdict"]
        assert judged.exit_code == (0 if found == "valid" else 1)
        return found

    return judge


def issue(shell: Run, name: str, rid: str | None, *, now: int = 1_790_000_000) -> str:
    named = ("--rid", rid) if rid else ()
    where = ("--issuer", URL, "--key", KEY, "--now", str(now), "--out", name)
    done(shell("health-card", "issue", "bundle.json", *where, *named))
    return name


def allocated(shell: Run, *subjects: str) -> list[str]:
    return done(shell("status", "allocate", *subjects)).split()


def test_a_person_s_cards_are_revoked_and_taken_back(shell: Run, verdict: Verdict) -> None:
    (rid,) = allocated(shell, "alice")
    card = issue(shell, "card.jws", rid)
    assert verdict(card) == "valid"

    done(shell("status", "revoke", "--subject", "alice"))
    assert verdict(card) == "revoked"

    done(shell("status", "revoke", "--subject", "alice", "--reinstate"))
    assert verdict(card) == "valid"


def test_revoking_by_time_leaves_later_cards(shell: Run, verdict: Verdict) -> None:
    (rid,) = allocated(shell, "alice")
    early, late = issue(shell, "a", rid, now=1_790_000_000), issue(shell, "b", rid, now=1_790_000_500)

    done(shell("status", "revoke", "--subject", "alice", "--before", "1790000500"))

    assert (verdict(early), verdict(late)) == ("revoked", "valid")


def test_revoking_a_card_takes_in_those_before_it(shell: Run, verdict: Verdict) -> None:
    (rid,) = allocated(shell, "alice")
    cards = [issue(shell, name, rid, now=1_790_000_000 + n) for n, name in enumerate("abc")]

    done(shell("status", "revoke", "--card", "b"))

    assert [verdict(card) for card in cards] == ["revoked", "revoked", "valid"]


def test_revoking_a_rid_takes_in_all_its_cards(shell: Run, verdict: Verdict) -> None:
    (rid,) = allocated(shell, "alice")
    cards = [issue(shell, name, rid, now=1_790_000_000 + n) for n, name in enumerate("ab")]

    said = answer(shell("status", "revoke", "--rid", rid, "--json"))

    assert said == {"changed": 1}
    assert [verdict(card) for card in cards] == ["revoked", "revoked"]


def test_a_revoked_key_takes_all_its_cards_with_it(shell: Run, verdict: Verdict) -> None:
    card = issue(shell, "card.jws", *allocated(shell, "alice"))
    assert verdict(card) == "valid"
    kid = thumbprint(Key.from_pem(Path(KEY).read_bytes()).public)

    done(shell("status", "revoke-key", "--", kid))

    assert verdict(card) == "invalid"
    assert "already" in shell("status", "revoke-key", "--", kid).stderr
    assert done(shell("status", "keys")) == f"{kid}\trevoked\t1\trid\n"
    again = shell("status", "allocate", "bob")
    assert again.exit_code == 1
    assert "card_key_revoked" in again.stderr


def test_subjects_come_from_standard_input_too(shell: Run) -> None:
    found = answer(shell("status", "allocate", "-", "--json", stdin="änne\nbob\r\n\nänne\n".encode()))

    rids = found["rids"]
    assert isinstance(rids, list)
    assert len(rids) == 3
    assert rids[0] == rids[2] != rids[1]
    assert answer(shell("status", "revoke", "--subject", "-", "--json", stdin="bob\nänne".encode())) == {
        "changed": 2
    }


def test_a_second_publication_changes_nothing(shell: Run) -> None:
    allocated(shell, "alice")

    assert answer(shell("status", "publish", "web", "--json")) == {"tree": "web", "changed": 5, "lists": 1}
    assert answer(shell("status", "publish", "web", "--json")) == {"tree": "web", "changed": 0, "lists": 1}


def test_before_the_first_card_publishing_says_what_to_do(shell: Run) -> None:
    said = shell("status", "publish", "web").stderr

    assert "0 lists" in said
    assert "status allocate" in said


def test_a_key_of_another_system_goes_on_with_its_list(shell: Run, tmp_path: Path, verdict: Verdict) -> None:
    old = Key.generate("ES256")
    kid = thumbprint(old.public)
    (tmp_path / "old.pem").write_text(old.public.to_pem())
    known = RevocationList(kid=kid, ctr=41, entries={"theirs": 1_700_000_000})
    (tmp_path / "old.json").write_bytes(known.encode())

    assert done(shell("status", "add-key", "old.pem", "--crl", "old.json")) == f"{kid}\n"
    done(shell("status", "revoke", "--rid", "another", "--kid", kid))
    done(shell("status", "publish", "web"))

    found = RevocationList.parse((tmp_path / f"web/crl/{kid}.json").read_bytes())
    assert (found.ctr, found.entries) == (42, {"theirs": 1_700_000_000, "another": None})
    twice = shell("status", "add-key", "old.pem", "--crl", "old.json")
    assert (twice.exit_code, "card_list_older" in twice.stderr) == (1, True)


def test_cards_without_a_rid_are_revoked_by_their_signed_text(shell: Run, verdict: Verdict) -> None:
    Path(KEY).parent.mkdir()
    Path(KEY).write_text(Key.generate("ES256").to_pem(private=True))
    done(shell("status", "add-key", KEY, "--without-rid"))
    revoked, other = issue(shell, "a", None), issue(shell, "b", None, now=1_790_000_001)

    done(shell("status", "revoke", "--card", "a"))

    assert (verdict(revoked), verdict(other)) == ("revoked", "valid")
    assert f"\t{SIGNED_TEXT}\n" in done(shell("status", "keys"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what to revoke"),
        (("--subject", "a", "--rid", "b"), "what to revoke"),
        (("--subject", "a", "--kid", "b"), "--kid goes with --rid"),
        (("--subject", "a", "--before", "5", "--reinstate"), "--before"),
        (("--subject", "a", "--before", "0"), "--before"),
        (("--subject", ""), "characters"),
        (("--subject", "x" * 257), "characters"),
        (("--rid", "not a rid"), "24 characters"),
        (("--card", "missing"), "cannot be read"),
        (("--subject", "a", "--tenant", "north"), "tenant"),
    ],
)
def test_wrong_use_says_what_to_do(shell: Run, arguments: tuple[str, ...], said: str) -> None:
    result = shell("status", "revoke", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("revoke", "--subject", "nobody"), "card_subject_unknown"),
        (("revoke", "--rid", "abc", "--kid", "A" * 43), "card_key_not_ours"),
        (("revoke-key", "A" * 43), "card_key_not_ours"),
        (("allocate", "alice", "--kid", "A" * 43), "card_key_not_ours"),
        (("revoke", "--card", "bundle.json"), "jws_malformed"),
    ],
)
def test_what_is_not_acceptable_is_named(shell: Run, arguments: tuple[str, ...], code: str) -> None:
    result = shell("status", *arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{code}: ")
    assert json.loads(shell("status", *arguments, "--json").stdout)["code"] == code


def test_nobody_is_named_in_an_error(shell: Run) -> None:
    said = shell("status", "revoke", "--subject", "urn:patient:4711").output

    assert "4711" not in said


def test_without_the_issuer_s_url_it_is_said_which_setting_is_missing(run: Run) -> None:
    result = run("status", "allocate", "alice")

    assert result.exit_code == 2
    assert "card_issuer" in result.stderr


def test_of_several_issuers_one_is_named(run: Run, tmp_path: Path) -> None:
    tenants = "".join(
        f'[[issuer.tenants]]\nname = "{name}"\nidentifier = "https://i.example/{name}"\n'
        f'signing_key = "{name}.pem"\ncard_issuer = "https://cards.example/{name}"\n'
        for name in ("north", "south")
    )
    (tmp_path / "safeconduct.toml").write_text(tenants)

    assert "--tenant" in run("status", "allocate", "alice").stderr
    done(run("status", "allocate", "alice", "--tenant", "north"))
    assert (tmp_path / "safeconduct-data/card-key-north.pem").exists()
    done(run("status", "publish", "web"))
    assert (tmp_path / "web/north/jwks.json").exists()
    assert not (tmp_path / "web/south/jwks.json").exists()
