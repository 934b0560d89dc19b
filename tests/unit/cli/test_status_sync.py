"""`status sync` and `status check`: what they print, how they end, what they say to do next."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.status_host import Host, Publisher, card_key
from tests.unit.cli.conftest import Run

from safeconduct.crypto.keys import Key
from safeconduct.formats import health_card
from safeconduct.net import fetch
from safeconduct.status.card_revocation import heads

ISSUER = "https://issuer.example/shc"
NOW = 1_700_000_000


class Stage:
    """An issuer with one key, its host, and cards of it."""

    def __init__(self) -> None:
        self.host = Host()
        self.key = Key.generate("ES256")
        jwk = self.key.public.to_jwk()
        self.kid = heads.key_id(self.key.public)
        entry = {**card_key(), "x": jwk["x"], "y": jwk["y"], "kid": self.kid}
        self.status_key = Key.generate("ES256")
        self.publisher = Publisher(
            self.host, ISSUER, keys=[entry], status_key=self.status_key, head_lifetime=2_000_000_000
        )

    def card(self, rid: str | None, *, now: int = NOW) -> str:
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": []}
        return health_card.issue(bundle, issuer=ISSUER, key=self.key, now=now, rid=rid)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage()

    class Fetcher(Host):
        """The stage's host in the place of the network."""

        def __init__(self, **_options: Any) -> None:
            self.__dict__ = made.host.__dict__

        async def __aenter__(self) -> "Fetcher":
            return self

        async def __aexit__(self, *_error: object) -> None:
            pass

    monkeypatch.setattr(fetch, "HttpFetcher", Fetcher)
    return made


def test_a_store_is_filled_and_asked_offline(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {"revoked": None, "early": NOW}, now=NOW)
    done = run("status", "sync", ISSUER, "--store", "lists", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(one["kid"], one["way"], one["ctr"]) for one in told["outcomes"]] == [
        (stage.kid, "full", 1),
        (None, "full", None),
    ]
    stage.host.forget()
    for rid, made, state in (
        ("good", NOW, "good"),
        ("revoked", NOW, "revoked"),
        ("early", NOW, "good"),
        ("early", NOW - 1, "revoked"),
    ):
        Path("card.txt").write_text(stage.card(rid, now=made))
        done = run("status", "check", "card.txt", "--store", "lists", "--at", str(NOW), "--json")
        assert json.loads(done.stdout)["checked"][0]["status"] == {"state": state, "reason": None}
        assert done.exit_code == (0 if state == "good" else 1)
    assert stage.host.requests == []


def test_a_card_may_be_given_as_text_and_several_at_once(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {"revoked": None}, now=NOW)
    run("status", "sync", ISSUER, "--store", "lists")
    done = run("status", "check", stage.card("good"), stage.card("revoked"), "--store", "lists")
    assert done.stdout.splitlines() == ["good", "revoked"]
    assert done.exit_code == 1


def test_a_rid_is_looked_up_under_the_keys_of_its_issuer(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {"abc": None, "def": 5}, now=NOW)
    run("status", "sync", ISSUER, "--store", "lists")
    ask = ("status", "check", "--store", "lists", "--issuer", ISSUER, "--json")
    told = json.loads(run(*ask, "abc", "def", "ghi").stdout)["checked"]
    assert [(one["status"]["state"], one["before"]) for one in told] == [
        ("revoked", None),
        ("revoked", 5),
        ("good", None),
    ]
    assert run(*ask, "def", "--nbf", "5").exit_code == 0
    assert run(*ask, "def", "--nbf", "4").exit_code == 1
    assert run("status", "check", "abc", "--store", "lists").exit_code == 2
    elsewhere = run("status", "check", "abc", "--store", "lists", "--issuer", "https://other.example")
    assert elsewhere.exit_code == 2
    assert "status sync" in elsewhere.stderr


def test_what_is_not_known_is_not_good(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {}, now=NOW)
    done = run("status", "check", stage.card("any"), "--store", "lists")
    assert done.exit_code == 1
    assert "not authentic\tcard_" in done.stdout
    run("status", "sync", ISSUER, "--store", "lists")
    stage.host.files[stage.publisher.url(f"crl/{stage.kid}.json")] = b"{}"
    stage.publisher.announce(stage.kid, 9)
    done = run("status", "sync", ISSUER, "--store", "lists")
    assert done.exit_code == 1
    assert f"crl_malformed: {ISSUER} {stage.kid}: " in done.stderr
    check = ("status", "check", stage.card("any"), "--store", "lists")
    assert run(*check).exit_code == 1
    assert run(*check).stdout == "unknown\tmalformed\n"
    assert run(*check, "--status-policy", "fail-open").exit_code == 0


def test_old_knowledge_is_refused_by_age(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {}, now=NOW)
    run("status", "sync", ISSUER, "--store", "lists")
    check = ("status", "check", stage.card("any"), "--store", "lists", "--at", "4000000000")
    assert run(*check).exit_code == 0
    assert run(*check, "--max-age", "86400").stdout == "unknown\tstale\n"


def test_without_an_issuer_all_in_the_store_are_synchronised(stage: Stage, run: Run) -> None:
    empty = run("status", "sync", "--store", "lists")
    assert empty.exit_code == 2
    assert "--directory" in empty.stderr
    stage.publisher.publish(stage.kid, {}, now=NOW)
    Path("vci.json").write_text(json.dumps({"participating_issuers": [{"iss": ISSUER, "name": "I"}]}))
    assert run("status", "sync", "--store", "lists", "--directory", "vci.json").exit_code == 0
    stage.publisher.publish(stage.kid, {"a": None}, now=NOW)
    done = run("status", "sync", "--store", "lists")
    assert done.exit_code == 0
    assert f"{ISSUER}\t{stage.kid}\t" in done.stdout
    Path("vci.json").write_text("[]")
    assert run("status", "sync", "--store", "lists", "--directory", "vci.json").exit_code == 2


@pytest.mark.parametrize(("way", "taken"), [("full", "full"), ("delta", "delta"), ("log", "log")])
def test_the_way_can_be_chosen(stage: Stage, run: Run, way: str, taken: str) -> None:
    call = ("status", "sync", ISSUER, "--store", "lists", "--way", way, "--json")
    entries = dict.fromkeys(f"rid-{number}" for number in range(200))
    stage.publisher.publish(stage.kid, entries, now=NOW)
    run(*call)
    stage.publisher.publish(stage.kid, {**entries, "another": None}, now=NOW)
    assert json.loads(run(*call).stdout)["outcomes"][0]["way"] == taken


def test_a_pinned_status_key_demands_heads_until_it_is_taken_back(stage: Stage, run: Run) -> None:
    Path("right.pem").write_text(stage.status_key.public.to_pem())
    Path("wrong.pem").write_text(Key.generate("ES256").public.to_pem())
    stage.publisher.publish(stage.kid, {}, now=2_000_000_000)
    stage.publisher.sign(stage.kid, now=1_700_000_000, exp=4_000_000_000)
    call = ("status", "sync", ISSUER, "--store", "lists", "--refresh", "0")
    assert run(*call, "--status-key", "right.pem").exit_code == 0
    assert run(*call).exit_code == 0
    refused = run(*call, "--status-key", "wrong.pem")
    assert refused.exit_code == 1
    assert "head_key_unknown" in refused.stderr
    assert run(*call, "--unsigned").exit_code == 0
    assert run(*call, "--unsigned", "--status-key", "right.pem").exit_code == 2


def test_an_issuer_that_does_not_answer_stops_no_other(stage: Stage, run: Run) -> None:
    stage.publisher.publish(stage.kid, {}, now=NOW)
    done = run("status", "sync", "https://gone.example", "http://plain.example", ISSUER, "--store", "lists")
    assert done.exit_code == 1
    assert "card_keys_missing: https://gone.example" in done.stderr
    assert "card_issuer_url: http://plain.example" in done.stderr
    assert stage.kid in done.stdout


def test_authorities_that_are_none_are_wrong_use(stage: Stage, run: Run) -> None:
    Path("ca.pem").write_text("nothing")
    assert run("status", "sync", ISSUER, "--ca", "ca.pem").exit_code == 2
    assert run("status", "sync", ISSUER, "--ca", "absent.pem").exit_code == 2
