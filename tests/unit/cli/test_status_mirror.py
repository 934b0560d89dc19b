"""`status mirror` and `status pull`: what they print, how they end, and verifying from a pack."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.snapshots import der, snapshot
from tests.status_host import Host, Publisher, card_key
from tests.unit.cli.conftest import Run

from safeconduct.crypto.keys import Key
from safeconduct.formats import health_card
from safeconduct.net import fetch
from safeconduct.status.card_revocation import heads

ISSUER = "https://issuer.example/shc"
URL = "https://mirror.example/status.pack"
NOW = 1_700_000_000


class Stage:
    """An issuer with one key on a host, which serves a mirror's folder as well."""

    def __init__(self, folder: Path) -> None:
        self.host, self.folder = Host(), folder
        self.fetches_here: list[bool] = []
        self.key, mirror = Key.generate("ES256"), Key.generate("ES256")
        jwk = self.key.public.to_jwk()
        self.kid = heads.key_id(self.key.public)
        self.entry = {**card_key(), "x": jwk["x"], "y": jwk["y"], "kid": self.kid}
        self.publisher = Publisher(self.host, ISSUER, keys=[self.entry])
        (folder / "mirror.pem").write_text(mirror.to_pem(private=True))
        (folder / "mirror-public.pem").write_text(mirror.public.to_pem())

    def publish(self, *revoked: str) -> None:
        self.publisher.publish(self.kid, dict.fromkeys(revoked), now=NOW)

    def serve(self) -> None:
        """Let the host have what the mirror wrote."""
        for path in (self.folder / "out").rglob("*"):
            if path.is_file():
                url = f"https://mirror.example/{path.relative_to(self.folder / 'out')}"
                self.host.files[url] = path.read_bytes()

    def card(self, rid: str) -> str:
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": []}
        return health_card.issue(bundle, issuer=ISSUER, key=self.key, now=NOW, rid=rid)


MIRROR = ("status", "mirror", ISSUER, "--out", "out", "--key", "mirror.pem")
PULL = ("status", "pull", URL, "copy.pack", "--pack-key", "mirror-public.pem")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(tmp_path)

    class Fetcher(Host):
        """The stage's host in the place of the network."""

        def __init__(self, **options: Any) -> None:
            made.fetches_here.append(options["allow_loopback"])
            self.__dict__ = made.host.__dict__

        async def __aenter__(self) -> "Fetcher":
            return self

        async def __aexit__(self, *_error: object) -> None:
            pass

    monkeypatch.setattr(fetch, "HttpFetcher", Fetcher)
    made.publish("revoked")
    return made


def _verdict(run: Run, stage: Stage, rid: str, *options: str) -> dict[str, Any]:
    done = run("health-card", "verify", "-", "--json", *options, stdin=stage.card(rid).encode())
    said: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if said["verdict"] == "valid" else 1)
    return said


def test_a_pack_is_made_pulled_and_verified_from_without_any_network(stage: Stage, run: Run) -> None:
    done = run(*MIRROR, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["version"], told["issuers"], told["lists"], told["entries"]) == (1, 1, 1, 1)
    assert told["faults"] == []
    stage.serve()
    pulled = run(*PULL, "--json")
    assert pulled.exit_code == 0, pulled.output
    assert json.loads(pulled.stdout)["way"] == "full"
    stage.host.forget()

    pack = ("--pack", "copy.pack", "--pack-key", "mirror-public.pem")

    assert _verdict(run, stage, "other", *pack)["verdict"] == "valid"
    revoked = _verdict(run, stage, "revoked", *pack)
    assert (revoked["verdict"], revoked["status"]) == ("revoked", {"state": "revoked", "reason": "confirm"})
    assert stage.host.requests == []


def test_a_change_reaches_the_copy_by_a_delta(stage: Stage, run: Run) -> None:
    run(*MIRROR)
    stage.serve()
    run(*PULL)
    stage.publish("revoked", "other")
    again = run(*MIRROR)
    assert again.exit_code == 0
    assert "version 2: 1 issuers, 1 lists, 2 entries" in again.stderr
    assert again.stdout == "out/status.pack\n"
    stage.serve()

    pulled = run(*PULL)

    assert pulled.exit_code == 0
    assert "version 2, delta" in pulled.stderr
    assert _verdict(run, stage, "other", "--pack", "copy.pack")["verdict"] == "revoked"


def test_a_pack_older_than_one_verified_before_says_nothing(stage: Stage, run: Run, tmp_path: Path) -> None:
    run(*MIRROR)
    old = (tmp_path / "out" / "status.pack").read_bytes()
    stage.publish("revoked", "other")
    run(*MIRROR)
    pack = ("--pack", "out/status.pack", "--pack-key", "mirror-public.pem")
    assert _verdict(run, stage, "other", *pack)["verdict"] == "revoked"

    (tmp_path / "out" / "status.pack").write_bytes(old)

    # Without its keys nobody is believed; with them at hand the status is what is not known.
    assert _verdict(run, stage, "other", *pack)["verdict"] != "valid"
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [{**stage.entry, "crlVersion": 1}]}))
    said = _verdict(run, stage, "other", *pack, "--jwks", "jwks.json")
    assert (said["verdict"], said["status"]) == ("unknown", {"state": "unknown", "reason": "stale"})


def test_a_forged_pack_says_nothing(stage: Stage, run: Run, tmp_path: Path) -> None:
    run(*MIRROR)
    (tmp_path / "other.pem").write_text(Key.generate("ES256").public.to_pem())
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [{**stage.entry, "crlVersion": 1}]}))

    said = _verdict(
        run, stage, "good", "--pack", "out/status.pack", "--pack-key", "other.pem", "--jwks", "jwks.json"
    )

    assert said["status"] == {"state": "unknown", "reason": "unverified"}


def test_an_issuer_that_cannot_be_reached_is_told_and_kept(stage: Stage, run: Run) -> None:
    run(*MIRROR)
    stage.host.broken.add(stage.publisher.url("jwks.json"))

    done = run(*MIRROR)

    assert done.exit_code == 0
    assert f"{ISSUER}: fetch_failed: " in done.stderr
    assert "1 issuers, 1 lists, 1 entries" in done.stderr


def test_a_mirror_that_had_nothing_at_all_fails(stage: Stage, run: Run, tmp_path: Path) -> None:
    stage.host.files.clear()

    done = run(*MIRROR)

    assert done.exit_code == 1
    assert "mirror_empty: " in done.stderr
    assert not (tmp_path / "out" / "status.pack").exists()


def test_a_directorys_snapshot_is_enough(stage: Stage, run: Run, tmp_path: Path) -> None:
    crl = {"kid": stage.kid, "method": "rid", "ctr": 1, "rids": ["revoked"]}
    issuer = {"issuer": {"iss": ISSUER, "name": "One"}, "keys": [stage.entry], "crls": [crl]}
    data = snapshot(issuer)
    signer = Key.generate("ES512")
    (tmp_path / "snapshot.json").write_bytes(data)
    (tmp_path / "snapshot.sig").write_bytes(der(signer.sign(data)))
    (tmp_path / "directory.crt").write_text(pki.pem(pki.Authority.root("D").chain(signer)[0]))
    parts = ("--snapshot", "snapshot.json", "--signature", "snapshot.sig", "--certificate", "directory.crt")

    done = run("status", "mirror", *parts, "--out", "out", "--key", "mirror.pem")

    assert done.exit_code == 0, done.output
    assert stage.host.requests == []
    assert _verdict(run, stage, "revoked", "--pack", "out/status.pack")["verdict"] == "revoked"
    (tmp_path / "snapshot.json").write_bytes(data + b"\n")
    forged = run("status", "mirror", *parts, "--out", "out", "--key", "mirror.pem")
    assert forged.exit_code == 1
    assert "signature_invalid: " in forged.stderr


def test_a_list_of_issuers_names_whom_to_fetch_from(stage: Stage, run: Run, tmp_path: Path) -> None:
    (tmp_path / "issuers.json").write_text(json.dumps({"participating_issuers": [{"iss": ISSUER}]}))

    done = run("status", "mirror", "--directory", "issuers.json", "--out", "out", "--key", "mirror.pem")

    assert done.exit_code == 0, done.output
    assert "1 issuers, 1 lists" in done.stderr
    assert stage.fetches_here == [False]  # whoever writes that list could name this machine


def test_an_issuer_that_is_named_by_hand_may_be_on_this_machine(stage: Stage, run: Run) -> None:
    assert run(*MIRROR).exit_code == 0
    assert stage.fetches_here == [True]


def test_the_version_before_may_be_elsewhere(stage: Stage, run: Run, tmp_path: Path) -> None:
    run(*MIRROR)
    (tmp_path / "out").rename(tmp_path / "old")
    stage.publish("revoked", "other")

    done = run(*MIRROR, "--previous", "old/status.pack", "--json")

    told = json.loads(done.stdout)
    assert told["version"] == 2
    assert told["delta_bytes"] > 0


def test_a_budget_that_is_too_small_is_said(stage: Stage, run: Run) -> None:
    done = run(*MIRROR, "--budget", "100")

    assert done.exit_code == 1
    assert "pack_budget: " in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name issuers"),
        ((ISSUER, "--snapshot", "s", "--signature", "s", "--certificate", "s"), "cannot be read"),
        (("--snapshot", "s"), "together"),
        (("http://issuer.example",), "is no issuer"),
        (("https://issuer.example/",), "is no issuer"),
        ((ISSUER, "--name", "a/b"), "--name wants"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    stage: Stage, run: Run, options: tuple[str, ...], said: str
) -> None:
    done = run("status", "mirror", *options, "--out", "out", "--key", "mirror.pem")

    assert done.exit_code == 2
    assert said in done.stderr


def test_a_host_that_goes_back_is_told_on(stage: Stage, run: Run) -> None:
    run(*MIRROR)
    stage.serve()
    first = dict(stage.host.files)
    stage.publish("revoked", "other")
    run(*MIRROR)
    stage.serve()
    run(*PULL)
    stage.host.files.update(first)

    done = run(*PULL, "--json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["code"] == "pack_rolled_back"
