"""Sources of claims: found by subject or reference, missing as configured, and what is broken is no claim."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.services.issuer.stand_ins import Server, fetchers, refusing

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.services.issuer.signature import verify
from safeconduct.services.issuer.sources import ClaimRequest, ClaimSource, SourceSettings, open_source
from safeconduct.settings import Secret, SettingsError

NOW = 1_800_000_000
PEOPLE = "id,case,first,town\n7,a-1,Erika,Köln\n8,a-2,Max,\n"
MAPPING = {"given_name": "first", "address.locality": "town"}
CONFLICTING = "id,case,first,town\n7,a-1,Erika,Köln\n7,a-2,Max,\n"


def source(server: Server | None = None, **table: Any) -> ClaimSource:
    settings = msgspec.convert(table, SourceSettings)
    return open_source(settings, fetchers=fetchers(server or refusing), clock=lambda: NOW)


def asked(
    opened: ClaimSource, subject: str | None = "7", reference: str | None = None
) -> Mapping[str, Any] | None:
    wanted = ClaimRequest(configuration_id="identity", subject=subject, own_reference=reference)

    async def main() -> Mapping[str, Any] | None:
        return await opened.claims(wanted)

    return asyncio.run(main())


def code_of(opened: ClaimSource, **about: Any) -> tuple[str, int]:
    with pytest.raises(SafeconductError) as error:
        asked(opened, **about)
    return error.value.code, error.value.http_status


def written(folder: Path, text: str = PEOPLE) -> str:
    path = folder / "people.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def database(folder: Path, kind: str = "TEXT") -> str:
    path = folder / "people.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE person (id {kind}, 'case' TEXT, first TEXT, town TEXT, born DATE)")
        rows = [("7", "a-1", "Erika", "Köln", "1964-08-12"), ("8", "a-2", "Max", None, None)]
        connection.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?)", rows)
    return f"sqlite:///{path}"


TABLES: list[Any] = ["csv", "sql", "sql-integer"]


def table(folder: Path, kind: str, **more: Any) -> ClaimSource:
    if kind == "csv":
        return source(kind="csv", path=written(folder), key=more.pop("key", "id"), **more)
    url = database(folder, "INTEGER" if kind == "sql-integer" else "TEXT")
    return source(kind="sql", url=url, table="person", key=more.pop("key", "id"), **more)


@pytest.mark.parametrize("kind", TABLES)
def test_a_row_becomes_claims_where_their_paths_are(tmp_path: Path, kind: str) -> None:
    opened = table(tmp_path, kind, claims=MAPPING)
    assert asked(opened) == {"given_name": "Erika", "address": {"locality": "Köln"}}
    assert asked(opened, subject="8") == {"given_name": "Max"}


@pytest.mark.parametrize("kind", TABLES)
def test_without_a_mapping_columns_are_claims_but_for_the_key(tmp_path: Path, kind: str) -> None:
    expected = {"case": "a-1", "first": "Erika", "town": "Köln"}
    if kind != "csv":
        expected["born"] = "1964-08-12"
    assert asked(table(tmp_path, kind)) == expected


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_a_row_may_be_found_by_the_reference(tmp_path: Path, kind: str) -> None:
    opened = table(tmp_path, kind, key="case", by="reference", claims=MAPPING)
    assert asked(opened, subject=None, reference="a-2") == {"given_name": "Max"}
    assert code_of(opened, subject="a-2") == ("claims_missing", 400)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("subject", ["9", "", "7 OR 1=1", "7' OR '1'='1", "9" * 30, "٧"])
def test_a_missing_row_denies_or_defers_as_configured(tmp_path: Path, kind: str, subject: str) -> None:
    assert code_of(table(tmp_path, kind), subject=subject) == ("claims_missing", 400)
    (tmp_path / "people.db").unlink(missing_ok=True)
    if kind != "sql-integer" or subject == "9":
        assert asked(table(tmp_path, kind, missing="deferred"), subject=subject) is None


def test_a_replaced_file_is_read_again_and_a_broken_one_is_no_claim(tmp_path: Path) -> None:
    opened = source(kind="csv", path=written(tmp_path), key="id", claims=MAPPING)
    assert asked(opened) is not None
    for content in (PEOPLE.replace("Erika", "Anna"), CONFLICTING, "nothing"):
        (tmp_path / "new.csv").write_text(content, encoding="utf-8")
        (tmp_path / "new.csv").replace(tmp_path / "people.csv")
        if "Anna" in content:
            claims = asked(opened)
            assert claims is not None
            assert claims["given_name"] == "Anna"
        else:
            assert code_of(opened) == ("source_unavailable", 503)
    (tmp_path / "people.csv").unlink()
    assert code_of(opened) == ("source_unavailable", 503)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a column that is named is not there"),
        (PEOPLE.replace("first", "given"), "a column that is named is not there"),
        (CONFLICTING, "a key that was there before"),
        ("id,first,town,town\n", "two columns have one name"),
        (PEOPLE + "9,a-3\n", "line 4 has more or fewer columns"),
        (PEOPLE + "9,a-3,x,y,z\n", "line 4 has more or fewer columns"),
        (PEOPLE + '9,a-3,"x\n', "unexpected end of data"),
    ],
)
def test_a_broken_file_is_named_before_anything_starts(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        source(kind="csv", path=written(tmp_path, text), key="id", claims=MAPPING)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        source(kind="csv", path=str(tmp_path / "none"), key="id")
    (tmp_path / "latin.csv").write_bytes(b"id\n\xff\n")
    with pytest.raises(SettingsError, match="expected UTF-8 text"):
        source(kind="csv", path=str(tmp_path / "latin.csv"), key="id")
    monkeypatch.setattr(limits, "SOURCE_BYTES", 10)
    with pytest.raises(SettingsError, match="larger than"):
        source(kind="csv", path=written(tmp_path), key="id")


def test_a_table_is_only_read_and_one_key_of_two_rows_is_nobody(tmp_path: Path) -> None:
    url = database(tmp_path)
    with sqlite3.connect(tmp_path / "people.db") as connection:
        connection.execute("INSERT INTO person (id, first) VALUES ('7', 'Eve')")
    opened = source(kind="sql", url=url, table="person", key="id", claims=MAPPING)
    assert code_of(opened) == ("source_unavailable", 503)


@pytest.mark.parametrize("more", [{"table": "none"}, {"key": "none"}, {"claims": {"a": "none"}}])
def test_a_table_that_is_not_as_described_is_no_claim(tmp_path: Path, more: dict[str, Any]) -> None:
    settings = {"kind": "sql", "url": database(tmp_path), "table": "person", "key": "id", **more}
    assert code_of(source(**settings)) == ("source_unavailable", 503)


def test_a_url_without_driver_is_named_without_its_password() -> None:
    for url in ("nonsense", "oracle+none://me:geheim@db/x"):
        with pytest.raises(SettingsError) as error:
            source(kind="sql", url=url, table="person", key="id")
        assert "geheim" not in str(error.value)


def answer(status: int, body: Any = None, kind: str = "application/json") -> Server:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return Server(lambda *_: Response(status, {"content-type": kind}, content))


def test_another_server_is_asked_by_subject_and_reference(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret-of-both-servers\n")
    claims = {"given_name": "Erika"}
    url = "https://records.example/claims"
    server = answer(200, {"claims": claims})
    for auth in ("bearer", "hmac"):
        opened = source(server, kind="http", url=url, secret_file=str(tmp_path / "secret"), auth=auth)
        assert asked(opened, subject="7", reference="a-1") == claims
    plain = source(server, kind="http", url=url)
    assert asked(plain) == claims
    (first, bearer, body), (_, hmac, _), (_, none, _) = server.received
    assert first == url
    assert json.loads(body) == {"configuration_id": "identity", "subject": "7", "reference": "a-1"}
    assert bearer["Authorization"] == "Bearer a-secret-of-both-servers"
    verify(Secret("a-secret-of-both-servers"), hmac["Safeconduct-Signature"], body, now=NOW)
    assert not {"Authorization", "Safeconduct-Signature"} & none.keys()


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (answer(404), "claims_missing"),
        (answer(500), "source_unavailable"),
        (answer(204), "source_unavailable"),
        (answer(200, {"claims": {}}, "text/html"), "source_unavailable"),
        (answer(200, {"claims": []}), "source_unavailable"),
        (answer(200, {}), "source_unavailable"),
        (answer(200, {"claims": {}, "more": 1}), "source_unavailable"),
        (answer(200, b'{"claims":{},"claims":{}}'), "source_unavailable"),
        (answer(200, b"["), "source_unavailable"),
    ],
)
def test_what_another_server_may_not_answer(server: Server, code: str) -> None:
    assert code_of(source(server, kind="http", url="https://records.example"))[0] == code


def test_another_server_may_not_know_yet_or_not_answer() -> None:
    url = "https://records.example"
    assert asked(source(answer(202), kind="http", url=url)) is None
    assert asked(source(answer(404), kind="http", url=url, missing="deferred")) is None

    def broken(*_: Any) -> Response:
        raise Rejected("fetch_failed", "x")

    assert code_of(source(Server(broken), kind="http", url=url)) == ("source_unavailable", 503)


def test_a_server_nearby_is_asked_only_where_that_is_allowed() -> None:
    near, public = answer(200, {"claims": {}}), Server(refusing)
    settings = msgspec.convert(
        {"kind": "http", "url": "https://records.example", "private": True}, SourceSettings
    )
    opened = open_source(settings, fetchers=fetchers(public, near), clock=lambda: NOW)
    assert asked(opened) == {}


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"url": "http://records.example"}, "expected https"),
        ({"url": "https://records.example", "secret_file": "none"}, "cannot be read"),
        ({"url": "https://records.example", "secret_file": "short"}, "at least 16 characters"),
    ],
)
def test_a_wrong_server_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("short")
    with pytest.raises(SettingsError, match=problem):
        source(kind="http", **members)
