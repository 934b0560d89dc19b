"""Publishing: a tree of files that is right at every moment, whoever publishes and whatever is killed."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.services.publishing_stage import CARD_ISSUER, NOW, Stage, check_deltas, check_tree, files_of

from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected
from safeconduct.services.card_register import CardRegister
from safeconduct.services.status import tree as tree_module
from safeconduct.services.status.publishing import publish
from safeconduct.services.status.tree import Tree
from safeconduct.settings import SettingsError, load
from safeconduct.status.card_keys import read_key_set
from safeconduct.status.card_revocation import heads
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.files import digest
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

PROCESS = Path(__file__).with_name("publishing_process.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    opened = asyncio.run(Stage.open(tmp_path, f"sqlite:///{tmp_path}/issuer.db"))
    yield opened
    opened.close()


def run(work: object) -> object:
    return asyncio.run(work)  # type: ignore[arg-type]


async def _in_order(stage: Stage, *rounds: tuple[str, ...]) -> None:
    for rids in rounds:
        await stage.revoke(*rids)
        await stage.publish()


def test_a_first_run_publishes_the_key_with_an_empty_list(stage: Stage) -> None:
    done = asyncio.run(stage.publish())

    files = files_of(stage.tree)
    kid = stage.kid
    assert set(files) == {
        "jwks.json",
        "status-keys.json",
        *(f"crl/{kid}.{ending}" for ending in ("json", "jws", "log")),
    }
    assert files[f"crl/{kid}.json"] == b'{"kid":"%s","method":"rid","ctr":1,"rids":[]}' % kid.encode()
    assert read_key_set(files["jwks.json"]).get(kid) is not None
    assert json.loads(files["jwks.json"])["keys"][0]["crlVersion"] == 1
    assert (done.changed, done.lists) == (5, 1)
    check_tree(files)


def test_a_run_without_change_changes_no_byte(stage: Stage) -> None:
    run(_in_order(stage, ("a", "b"), ("c",)))
    before = {path: path.stat().st_mtime_ns for path in stage.tree.rglob("*") if path.name[0] != "."}
    content = files_of(stage.tree)

    done = asyncio.run(stage.publish(NOW + 3600))

    assert done.changed == 0
    assert files_of(stage.tree) == content
    assert before == {path: path.stat().st_mtime_ns for path in stage.tree.rglob("*") if path.name[0] != "."}


def test_changes_between_two_runs_are_one_list(stage: Stage) -> None:
    run(_in_order(stage, (), ("a", "b", "c")))
    asyncio.run(stage.register.reinstate_rid("b", kid=stage.kid))
    asyncio.run(stage.revoke("a", before=None))
    asyncio.run(stage.publish())

    files = files_of(stage.tree)
    assert stage.listed().ctr == 3
    assert set(stage.listed().entries) == {"a", "c"}
    assert json.loads(files[f"crl/{stage.kid}-2.json"])["add"] == ["a", "b", "c"]
    assert json.loads(files[f"crl/{stage.kid}-3.json"])["remove"] == ["b"]
    check_tree(files)
    check_deltas(files, stage.kid)


def test_step_and_skip_deltas_lead_everywhere(stage: Stage) -> None:
    run(_in_order(stage, *((f"r{n}",) for n in range(34))))

    files = files_of(stage.tree)
    assert stage.listed().ctr == 34
    assert f"crl/{stage.kid}-16-32.json" in files
    assert f"crl/{stage.kid}-0-16.json" not in files
    check_tree(files)
    check_deltas(files, stage.kid)


def test_everything_of_a_key_is_there_before_it_is_announced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_in_order(stage, ("a",)))
    order: list[str] = []
    write = Tree.write

    def noting(tree: Tree, name: str, data: bytes) -> None:
        order.append(name)
        write(tree, name, data)
        check_tree(files_of(stage.tree))

    monkeypatch.setattr(Tree, "write", noting)
    run(_in_order(stage, ("b",)))

    kid = stage.kid
    assert order[-1] == "jwks.json"
    assert order[-5:-1] == [f"crl/{kid}-2.json", f"crl/{kid}.log", f"crl/{kid}.json", f"crl/{kid}.jws"]


def test_a_head_is_signed_anew_when_half_of_its_time_is_over(stage: Stage) -> None:
    lifetime = stage.settings.status.head_lifetime
    asyncio.run(stage.publish())
    name = f"crl/{stage.kid}.jws"
    first = files_of(stage.tree)

    assert asyncio.run(stage.publish(NOW + lifetime // 2)).changed == 0
    assert asyncio.run(stage.publish(NOW + lifetime // 2 + 1)).changed == 1

    second = files_of(stage.tree)
    assert {place for place in first if first[place] != second[place]} == {name}
    assert heads.read_unverified(second[name].decode()).exp == NOW + lifetime // 2 + 1 + lifetime


def test_a_file_that_was_lost_or_altered_is_restored(stage: Stage) -> None:
    run(_in_order(stage, ("a",), ("b",)))
    good = files_of(stage.tree)
    kid = stage.kid

    for name in (f"crl/{kid}.json", f"crl/{kid}.log", "jwks.json", "status-keys.json"):
        (stage.tree / name).write_bytes(b"altered")
        asyncio.run(stage.publish())
        (stage.tree / name).unlink()
        asyncio.run(stage.publish())
        restored = files_of(stage.tree)
        assert {place for place in good if good[place] != restored[place]} <= {f"crl/{kid}.jws"}
        check_tree(restored)


def test_another_tree_from_the_same_database_is_the_same_but_for_signatures(stage: Stage) -> None:
    run(_in_order(stage, *((f"r{n}",) for n in range(20))))
    first = files_of(stage.tree)
    elsewhere = stage.tree.with_name("elsewhere")

    asyncio.run(publish(stage.settings, stage.database, now=NOW, tree=elsewhere))

    second = files_of(elsewhere)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {f"crl/{stage.kid}.jws"}


def test_a_revoked_key_leaves_the_jwks(stage: Stage) -> None:
    other = Key.generate("ES256")
    kid = asyncio.run(stage.register.register(other.public, now=NOW))
    asyncio.run(stage.publish())

    asyncio.run(stage.register.revoke_key(stage.kid, now=NOW))
    asyncio.run(stage.publish())

    files = files_of(stage.tree)
    assert [key.kid for key in read_key_set(files["jwks.json"]).keys] == [kid]
    assert f"crl/{stage.kid}.json" in files
    check_tree(files)

    asyncio.run(stage.register.revoke_key(kid, now=NOW))
    asyncio.run(stage.publish())
    assert files_of(stage.tree)["jwks.json"] == b'{"keys":[]}'


def test_an_old_copy_of_the_database_does_not_take_a_tree_back(stage: Stage, tmp_path: Path) -> None:
    run(_in_order(stage, ("a",), ("b",)))
    good = files_of(stage.tree)

    async def of_an_old_copy() -> None:
        old = await Stage.open(tmp_path, f"sqlite:///{tmp_path}/old.db")
        try:
            await old.register.revoke_key(old.kid, now=NOW)
            await old.register.register(stage.key.public, now=NOW)
            await old.publish()
        finally:
            await old.database.close()

    with pytest.raises(Rejected) as caught:
        asyncio.run(of_an_old_copy())

    assert caught.value.code == "status_tree_newer"
    assert files_of(stage.tree) == good


def test_an_old_copy_of_the_database_does_not_pass_for_the_newest_by_its_counter(stage: Stage) -> None:
    """Its next list has the counter of the published one: neither may stand for the other in silence."""
    run(_in_order(stage, ("a",)))
    copy = stage.tree.parent / "copy.db"
    with (
        closing(sqlite3.connect(stage.tree.parent / "issuer.db")) as now,
        closing(sqlite3.connect(copy)) as then,
    ):
        now.backup(then)
    run(_in_order(stage, ("b",)))
    published, good = stage.listed(), files_of(stage.tree)

    async def of_the_copy() -> None:
        old = await Stage.open(stage.tree.parent, f"sqlite:///{copy}")
        try:
            await old.register.revoke_rid("c", kid=stage.kid, before=None)
            for _ in range(2):
                with pytest.raises(Rejected) as caught:
                    await publish(stage.settings, old.database, now=NOW)
                assert caught.value.code == "status_tree_newer"
                assert files_of(stage.tree) == good
            await old.register.register(stage.key.public, known=published, now=NOW)
            await publish(stage.settings, old.database, now=NOW)
        finally:
            await old.database.close()

    asyncio.run(of_the_copy())

    assert stage.listed().ctr == published.ctr + 1
    assert set(stage.listed().entries) == {"a", "b", "c"}
    check_tree(files_of(stage.tree))


def test_a_list_that_is_known_already_is_not_gone_on_from(stage: Stage) -> None:
    run(_in_order(stage, ("a",)))
    with pytest.raises(Rejected) as caught:
        run(stage.register.register(stage.key.public, known=stage.listed(), now=NOW))
    assert caught.value.code == "card_list_older"


def test_an_old_copy_of_the_database_goes_on_from_the_published_list(stage: Stage) -> None:
    run(_in_order(stage, ("a",), ("b",)))
    copy = stage.tree.parent / "copy.db"
    copy.write_bytes((stage.tree.parent / "issuer.db").read_bytes())
    run(_in_order(stage, ("c", "d")))
    published = stage.listed()

    async def of_the_copy() -> None:
        old = await Stage.open(stage.tree.parent, f"sqlite:///{copy}")
        try:
            await old.register.revoke_key(old.kid, now=NOW)
            await old.register.register(stage.key.public, known=published, now=NOW)
            await old.register.revoke_rid("e", kid=stage.kid, before=None)
            await old.publish()
            await old.register.revoke_rid("f", kid=stage.kid, before=None)
            await old.publish()
        finally:
            await old.database.close()

    asyncio.run(of_the_copy())

    files = files_of(stage.tree)
    assert stage.listed().ctr == published.ctr + 2
    assert set(stage.listed().entries) == set("abcdef")
    check_tree(files)
    assert f"crl/{stage.kid}-{published.ctr + 1}.json" not in files  # nobody knows what it would lead from
    step = Delta.parse(files[f"crl/{stage.kid}-{published.ctr + 2}.json"])
    assert (set(step.add), step.remove, step.digest) == ({"f"}, {}, stage.listed().digest())


def test_a_key_of_cards_signs_no_heads(stage: Stage) -> None:
    Path(stage.settings.status.key).write_text(stage.key.to_pem(private=True))

    with pytest.raises(SettingsError, match=r"status\.key"):
        asyncio.run(stage.publish())

    assert not (stage.tree / "jwks.json").exists()


def test_without_cards_there_is_nothing_to_announce(tmp_path: Path) -> None:
    async def nothing() -> dict[str, bytes]:
        stage = await Stage.open(
            tmp_path, f"sqlite:///{tmp_path}/issuer.db", SAFECONDUCT_ISSUER__CARD_ISSUER=""
        )
        try:
            assert (await stage.publish()).changed == 0
            return files_of(stage.tree)
        finally:
            await stage.database.close()

    assert asyncio.run(nothing()) == {}


def test_each_tenant_has_a_folder(tmp_path: Path) -> None:
    text = """
        [status]
        identifier = "https://status.example"
        [[issuer.tenants]]
        name = "north"
        identifier = "https://all.example/north"
        signing_key = "north.pem"
        [[issuer.tenants]]
        name = "south"
        identifier = "https://all.example/south"
        signing_key = "south.pem"
        card_issuer = "https://cards.south.example"
    """
    (tmp_path / "s.toml").write_text(text)
    settings = load(
        tmp_path / "s.toml",
        environ={
            "SAFECONDUCT_STATUS__KEY": str(tmp_path / "status.pem"),
            "SAFECONDUCT_STATUS__TREE": str(tmp_path / "tree"),
        },
    )
    urls = ["https://status.example/north", "https://cards.south.example"]
    assert [settings.card_issuer_of(one) for one in settings.issuer.issuers] == urls

    async def both() -> list[str]:
        async with await Database.open(f"sqlite:///{tmp_path}/i.db", branch=ISSUER) as database:
            kids = [
                await CardRegister(database, url).register(Key.generate("ES256").public, now=NOW)
                for url in urls
            ]
            assert (await publish(settings, database, now=NOW)).lists == 2
            return kids

    north, south = asyncio.run(both())
    files = files_of(tmp_path / "tree")
    assert {name for name in files if name.endswith(".log")} == {
        f"north/crl/{north}.log",
        f"south/crl/{south}.log",
    }
    assert heads.read_unverified(files[f"south/crl/{south}.jws"].decode()).iss == urls[1]


class Killed(BaseException):
    """As if the process were gone at once: nothing is cleaned up."""


@pytest.mark.parametrize("moment", ["before", "in the middle", "before the renaming"])
def test_a_publisher_that_dies_at_any_moment_leaves_a_tree_that_is_right(
    stage: Stage, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_in_order(stage, ("a",)))
    nth = 0
    died = True
    while died:
        nth += 1
        asyncio.run(stage.revoke(f"b{nth}"))
        with monkeypatch.context() as patch:
            _die_at(patch, nth, moment)
            try:
                asyncio.run(stage.publish())
                died = False
            except Killed:
                pass
        check_tree(files_of(stage.tree))
        asyncio.run(stage.publish())
        check_tree(files_of(stage.tree))
        assert set(stage.listed().entries) == {"a", *(f"b{n}" for n in range(1, nth + 1))}
        assert not list(stage.tree.rglob(".draft-*"))

    assert nth > 5
    check_deltas(files_of(stage.tree), stage.kid)


def _die_at(patch: pytest.MonkeyPatch, nth: int, moment: str) -> None:
    """Dies at the nth file that would be replaced or made."""
    left = nth
    replace = Path.replace

    def replacing(draft: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left:
            return replace(draft, target)
        if moment == "before":
            draft.unlink()
        if moment == "in the middle":
            draft.write_bytes(draft.read_bytes()[:10])
        raise Killed

    patch.setattr(Path, "replace", replacing)


def test_the_check_of_a_tree_finds_a_key_that_is_announced_too_early(stage: Stage) -> None:
    """Without the order of publishing, the test before would fail."""
    run(_in_order(stage, ("a",)))
    asyncio.run(stage.revoke("b"))
    early = stage.tree / "jwks.json"
    early.write_bytes(early.read_bytes().replace(b'"crlVersion":1', b'"crlVersion":2'))

    with pytest.raises(AssertionError):
        check_tree(files_of(stage.tree))


def start(stage: Stage, database: str, name: str, rounds: int) -> "subprocess.Popen[str]":
    folder = str(stage.tree.parent)
    command = [sys.executable, str(PROCESS), folder, database, stage.kid, name, str(rounds)]
    environ = {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ)


def test_a_publisher_that_is_killed_leaves_a_tree_that_is_right(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/issuer.db"
    stage = asyncio.run(Stage.open(tmp_path, url))
    asyncio.run(stage.publish())
    try:
        for victim in range(4):
            with start(stage, url, f"victim{victim}", 0) as process:
                assert process.stdout is not None
                for _ in range(victim + 2):
                    assert process.stdout.readline()
                process.kill()
            check_tree(files_of(stage.tree))
        asyncio.run(stage.publish())
        files = files_of(stage.tree)
        check_tree(files)
        check_deltas(files, stage.kid)
        for victim in range(4):
            assert f"victim{victim}-0" in stage.listed().entries
    finally:
        stage.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_two_processes_publish_one_tree(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    rounds = 12
    sqlite = f"sqlite:///{tmp_path}/issuer.db"
    url = sqlite if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    stage = asyncio.run(Stage.open(tmp_path, url))
    try:
        with start(stage, url, "one", rounds) as one, start(stage, url, "other", rounds) as other:
            while one.poll() is None or other.poll() is None:
                check_as_a_reader(stage.tree)
        assert (one.returncode, other.returncode) == (0, 0)

        asyncio.run(stage.publish())
        files = files_of(stage.tree)
        left = {f"{name}-{n}" for name in ("one", "other") for n in range(rounds) if n % 3 != 1}
        assert set(stage.listed().entries) == left
        check_tree(files)
        check_deltas(files, stage.kid)
    finally:
        stage.close()


def check_as_a_reader(tree: Path) -> None:
    """Reads as a verifier does, who reads `jwks.json` first while others publish."""
    if not (tree / "jwks.json").exists():
        return
    for key in read_key_set((tree / "jwks.json").read_bytes()).keys:
        listed = json.loads((tree / f"crl/{key.kid}.json").read_bytes())
        assert key.crl_version is not None
        assert listed["ctr"] >= key.crl_version


def test_the_files_can_be_read_by_a_host(stage: Stage) -> None:
    asyncio.run(stage.publish())

    assert all(path.stat().st_mode & 0o044 == 0o044 for path in stage.tree.rglob("*.json"))
    assert digest((stage.tree / f"crl/{stage.kid}.json").read_bytes()).startswith("sha-256:")
    assert heads.read_unverified((stage.tree / f"crl/{stage.kid}.jws").read_text()).iss == CARD_ISSUER
    assert tree_module.Tree(stage.tree).read("missing") is None
