"""Status of credentials at the command line: looked up in files, changed in the issuer's database."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from tests.negative import builder, sd_jwt_builder
from tests.negative.status_list_builder import URI, ListToken
from tests.unit.cli.conftest import Run

from safeconduct import limits
from safeconduct.services.issuer.tables import issued
from safeconduct.status.token_list import StatusList
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.storage.status.places import read_lists, take_status_index
from safeconduct.storage.status.tables import status

CLAIM = {"status_list": {"idx": 5, "uri": URI}}
AT = str(sd_jwt_builder.NOW)
ISSUER = "https://issuer.example"


@pytest.fixture(params=["sd-jwt", "sd-cwt"])
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The arguments that verify a credential with a status."""
    (tmp_path / "issuer.pem").write_text(sd_jwt_builder.ISSUER_KEY.public.to_pem())
    if request.param == "sd-jwt":
        data = sd_jwt_builder.GOOD.claiming({"status": CLAIM}).text().encode()
    else:
        data = builder.GOOD.claiming({65535: CLAIM}).encoded()
    (tmp_path / "shown").write_bytes(data)
    return [
        *(str(request.param), "verify", str(tmp_path / "shown"), "--at", AT, "--json"),
        *("--issuer-key", str(tmp_path / "issuer.pem"), "--audience", sd_jwt_builder.AUDIENCE),
    ]


def listed(folder: Path, value: int, kind: str = "jwt", **changes: Any) -> str:
    made = StatusList.of({5: value}, size=64, bits=2)
    token = ListToken(key=sd_jwt_builder.ISSUER_KEY, data=made.data, kind=kind, **changes)
    (folder / "list").write_bytes(token.encoded())
    return str(folder / "list")


@pytest.mark.parametrize("kind", ["jwt", "cwt"])
def test_a_status_is_looked_up_in_the_lists_given(
    run: Run, shown: list[str], tmp_path: Path, kind: str
) -> None:
    good = run(*shown, "--status-list", listed(tmp_path, 0, kind))
    assert (good.exit_code, json.loads(good.stdout)["status"]) == (0, "valid")
    revoked = run(*shown, "--status-list", listed(tmp_path, 1, kind))
    assert (revoked.exit_code, json.loads(revoked.stdout)["code"]) == (1, "status_invalid")
    suspended = run(*shown, "--status-list", listed(tmp_path, 2, kind), "--status-policy", "fail-open")
    assert (suspended.exit_code, json.loads(suspended.stdout)["code"]) == (1, "status_suspended")


def test_without_lists_the_policy_decides(run: Run, shown: list[str], tmp_path: Path) -> None:
    unlooked = run(*shown)
    assert (unlooked.exit_code, json.loads(unlooked.stdout)["status"]) == (0, "unchecked")
    closed = run(*shown, "--status-policy", "fail-closed")
    assert (closed.exit_code, json.loads(closed.stdout)["code"]) == (1, "status_list_missing")
    opened = run(*shown, "--status-policy", "fail-open")
    assert (opened.exit_code, json.loads(opened.stdout)["status"]) == (0, "unknown")
    other = listed(tmp_path, 0, claims={"sub": "https://status.example/other"})
    missing = run(*shown, "--status-list", other)
    assert (missing.exit_code, json.loads(missing.stdout)["code"]) == (1, "status_list_missing")


def test_a_folder_of_lists_is_taken_whatever_else_lies_there(
    run: Run, shown: list[str], tmp_path: Path
) -> None:
    folder_of_lists = tmp_path / "lists"
    folder_of_lists.mkdir()
    (folder_of_lists / "junk.jwt").write_bytes(b"junk")
    (folder_of_lists / "readme.txt").write_bytes(b"junk")
    missing = run(*shown, "--status-list", str(folder_of_lists))
    assert (missing.exit_code, json.loads(missing.stdout)["code"]) == (1, "status_list_missing")
    Path(listed(tmp_path, 1)).rename(folder_of_lists / "one.jwt")
    revoked = run(*shown, "--status-list", str(folder_of_lists))
    assert (revoked.exit_code, json.loads(revoked.stdout)["code"]) == (1, "status_invalid")


def test_how_old_a_list_may_be(run: Run, shown: list[str], tmp_path: Path) -> None:
    name = listed(tmp_path, 0)
    assert run(*shown, "--status-list", name, "--status-max-age", "210").exit_code == 0
    old = run(*shown, "--status-list", name, "--status-max-age", "209")
    assert (old.exit_code, json.loads(old.stdout)["code"]) == (1, "status_list_too_old")


def test_a_file_that_is_no_list_is_wrong_use(run: Run, shown: list[str], tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    assert run(*shown, "--status-list", str(tmp_path / "junk")).exit_code == 2
    (tmp_path / "long").write_bytes(bytes(limits.STATUS_TOKEN_BYTES + 1))
    assert run(*shown, "--status-list", str(tmp_path / "long")).exit_code == 2
    assert run(*shown, "--status-list", str(tmp_path / "none")).exit_code == 2


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An issuer's database with two deliveries of two credentials each, and one without a status."""
    url = f"sqlite:///{tmp_path}/issuer.db"
    monkeypatch.setenv("SAFECONDUCT_ISSUER__DATABASE", url)
    monkeypatch.setenv("SAFECONDUCT_ISSUER__IDENTIFIER", ISSUER)

    def fill(connection: Any) -> None:
        places = take_status_index(connection, ISSUER, 4, secrets.token_bytes, size=4096, now=0)
        for number, place in enumerate(places):
            of_place = (status.c.list_id == place.list_id, status.c.idx == place.idx)
            connection.execute(status.update().where(*of_place).values(issued_id=f"delivery-{number // 2}"))
        row = {"tenant": ISSUER, "configuration_id": "c", "count": 2, "state": "delivered", "issued_at": 0}
        for name in ("delivery-0", "delivery-1", "plain"):
            values = {**row, "id": name, "purge_at": 1 << 40, "own_reference": "case 1"}
            connection.execute(issued.insert().values(**values))

    _in_database(url, fill)
    return url


def test_issued_credentials_are_revoked_suspended_and_reinstated(run: Run, issuer: str) -> None:
    def changed(*arguments: str) -> int:
        result = run("status", "revoke", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return int(json.loads(result.stdout)["changed"])

    assert changed("--issued", "delivery-0", "--suspend") == 2
    assert _values(issuer) == [0, 0, 2, 2]
    assert changed("--issued", "delivery-0", "--suspend") == 0
    assert changed("--issued", "delivery-0", "--reinstate") == 2
    assert changed("--issued", "delivery-0") == 2
    assert _values(issuer) == [0, 0, 1, 1]
    assert changed("--reference", "case 1") == 2
    assert _values(issuer) == [1, 1, 1, 1]


def test_what_cannot_be_changed_is_said(run: Run, issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(*arguments: str) -> str:
        result = run("status", "revoke", *arguments, "--json")
        assert result.exit_code == 1
        return str(json.loads(result.stdout)["code"])

    assert code("--issued", "nothing") == "issued_unknown"
    assert code("--reference", "nothing") == "issued_unknown"
    assert code("--issued", "plain") == "status_absent"
    assert run("status", "revoke", "--issued", "delivery-0").exit_code == 0
    assert code("--issued", "delivery-0", "--reinstate") == "status_final"
    # All or none: the second has not changed either.
    assert code("--issued", "delivery-1", "--issued", "delivery-0", "--suspend") == "status_final"
    assert _values(issuer) == [0, 0, 1, 1]
    monkeypatch.setenv("SAFECONDUCT_ISSUER__STATUS_LIST_BITS", "1")
    assert code("--issued", "delivery-1", "--suspend") == "status_not_expressible"


def test_wrong_use_says_what_to_give(run: Run, issuer: str) -> None:
    del issuer
    for arguments in (
        (),
        ("--issued", "x", "--rid", "y"),
        ("--rid", "x", "--suspend"),
        ("--issued", "x", "--suspend", "--reinstate"),
        ("--issued", "x", "--before", "7"),
    ):
        assert run("status", "revoke", *arguments).exit_code == 2


def _values(url: str) -> list[int]:
    """The values of places that credentials have."""
    found: list[int] = []

    def read(connection: Any) -> None:
        rows = connection.execute(status.select().where(status.c.issued_id.is_not(None)))
        found.extend(sorted(row.value for row in rows))
        assert read_lists(connection, ISSUER)

    _in_database(url, read)
    return found


def _in_database(url: str, work: Any) -> None:
    async def do() -> None:
        async with await Database.open(url, branch=BRANCH) as database:
            await database.run(work)

    asyncio.run(do())
