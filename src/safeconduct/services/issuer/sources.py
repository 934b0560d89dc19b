"""Where the claims of a credential come from, if not with its offer: a file, a table, or another server.

A source is asked when a credential is to be issued, by whom it is for: the `subject` (who logged in, or whom
the offer names) or the offer's own reference. In the description of a kind of credential, one of

[configurations.source]
kind = "csv"                    # a file in UTF-8, names in its first line; read again when it changes
path = "people.csv"
key = "id"                      # the column that holds the subject
by = "subject"                  # or "reference"
missing = "denied"              # or "deferred": the wallet asks again later
claims = { given_name = "first", "address.locality" = "town" }   # claim -> column; without it, same names

kind = "sql"                    # any URL of SQLAlchemy; one SELECT, in a transaction that is rolled back
url = "postgresql+psycopg://reader@db.example/people"
table = "person"
key = "id"

kind = "http"                   # POST {"configuration_id", "subject", "reference"} -> {"claims": {…}}, or 404
url = "https://records.example/claims"
secret_file = "records.secret"
auth = "bearer"                 # or "hmac": `Safeconduct-Signature`, as webhooks have it
"""

import asyncio
import csv
import io
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.encoding import json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.services.issuer.signature import SIGNATURE_HEADER, sign
from safeconduct.settings import SECRET_CHARACTERS, Secret, SettingsError, url_faults

By = Literal["subject", "reference"]
Missing = Literal["denied", "deferred"]

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class ClaimRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be issued, and for whom. own_reference: of the offer."""

    configuration_id: str
    subject: str | None
    own_reference: str | None

    def __repr__(self) -> str:
        return f"<ClaimRequest for {self.configuration_id}>"


class ClaimSource(Protocol):
    """Knows claims. Anything with these methods can be one."""

    async def claims(self, wanted: ClaimRequest) -> Mapping[str, Any] | None:
        """Returns the claims as JSON values; None: not ready, the wallet shall ask again later.

        Raises CredentialRequestDenied "claims_missing" (there will be none), SourceUnavailable.
        """

    async def close(self) -> None:
        """Let go of connections."""


class SourceUnavailable(Rejected):
    """The source of claims cannot be asked now, or answered nonsense."""

    oauth_error = "temporarily_unavailable"
    http_status = 503
    http_headers: Mapping[str, str] = {"Retry-After": "30"}


class CsvSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="csv", tag_field="kind"
):
    """A CSV file. claims: from claim to column; empty for columns named like claims."""

    path: _Text
    key: _Text
    by: By = "subject"
    missing: Missing = "denied"
    claims: dict[str, str] = {}


class SqlSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sql", tag_field="kind"
):
    """A table in a database. claims: as with CSV."""

    url: _Text
    table: _Text
    key: _Text
    by: By = "subject"
    missing: Missing = "denied"
    claims: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<SqlSource {self.table}>"


class HttpSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="http", tag_field="kind"
):
    """Another server. private: it may be on this machine or in a private network. timeout: seconds."""

    url: _Text
    secret_file: _Text | None = None
    auth: Literal["bearer", "hmac"] = "bearer"
    private: bool = False
    timeout: Annotated[float, msgspec.Meta(gt=0, le=30)] = 5.0
    missing: Missing = "denied"


SourceSettings = CsvSource | SqlSource | HttpSource
"""A table `[configurations.source]`."""


def open_source(settings: SourceSettings, *, fetchers: Fetchers, clock: Clock) -> ClaimSource:
    """Opens a source without asking it yet. Raises SettingsError for what is wrong with its description."""
    if isinstance(settings, CsvSource):
        return CsvClaims(settings)
    if isinstance(settings, SqlSource):
        return SqlClaims(settings)
    return HttpClaims(settings, fetchers=fetchers, clock=clock)


class CsvClaims:
    """Claims in a CSV file; it is replaced whole, never written in place."""

    def __init__(self, settings: CsvSource) -> None:
        """Read the file. Raises SettingsError."""
        self._settings = settings
        self._path = Path(settings.path)
        self._stamp: tuple[int, int] | None = None
        self._rows: Mapping[str, Mapping[str, str]] = {}
        try:
            self._read()
        except (OSError, ValueError, csv.Error) as error:
            raise SettingsError((f"{self._path}: {_csv_fault(error)}",)) from None

    async def claims(self, wanted: ClaimRequest) -> Mapping[str, Any] | None:
        """See `ClaimSource.claims`."""
        try:
            await asyncio.to_thread(self._read)
        except (OSError, ValueError, csv.Error):
            raise _unavailable() from None
        row = self._rows.get(_key(wanted, self._settings.by))
        if row is None:
            return _nothing(self._settings.missing)
        filled = {column: value for column, value in row.items() if value != ""}
        return _mapped(filled, self._settings.claims, key=self._settings.key)

    async def close(self) -> None:
        """See `ClaimSource.close`."""

    def _read(self) -> None:
        seen = self._path.stat()
        stamp = (seen.st_ino, seen.st_mtime_ns)
        if stamp == self._stamp:
            return
        if seen.st_size > limits.SOURCE_BYTES:
            raise ValueError("larger than a file of claims may be")
        rows = _csv_rows(self._path.read_text(encoding="utf-8-sig"), self._settings)
        self._rows, self._stamp = rows, stamp


class SqlClaims:
    """Claims in a table, or a view, that is only ever read."""

    def __init__(self, settings: SqlSource) -> None:
        """Raises SettingsError for a URL that no driver is there for."""
        self._settings = settings
        try:
            self._engine = _engine(settings.url)
        except (ArgumentError, ModuleNotFoundError):
            raise SettingsError((f"source {settings.table}: the database's URL cannot be used",)) from None
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="safeconduct-source")
        self._table: Table | None = None

    async def claims(self, wanted: ClaimRequest) -> Mapping[str, Any] | None:
        """See `ClaimSource.claims`."""
        key = _key(wanted, self._settings.by)
        loop = asyncio.get_running_loop()
        try:
            row = await loop.run_in_executor(self._threads, self._find, key)
        except (SQLAlchemyError, OSError, KeyError):  # the last: a column is not there
            raise _unavailable() from None
        if row is None:
            return _nothing(self._settings.missing)
        return _mapped(row, self._settings.claims, key=self._settings.key)

    async def close(self) -> None:
        """See `ClaimSource.close`."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _find(self, key: str) -> dict[str, Any] | None:
        settings = self._settings
        with self._engine.connect() as connection:  # never committed
            if self._table is None:
                self._table = Table(settings.table, MetaData(), autoload_with=connection)
            columns = self._table.c
            wanted = [columns[name] for name in settings.claims.values()] or list(columns)
            value = _as_column(key, columns[settings.key])
            rows = connection.execute(select(*wanted).where(columns[settings.key] == value).limit(2)).all()
        if len(rows) > 1:
            raise _unavailable()  # one key of two people
        if not rows:
            return None
        return {name: _plain(value) for name, value in rows[0]._mapping.items() if value is not None}


class HttpClaims:
    """Claims that another server knows."""

    def __init__(self, settings: HttpSource, *, fetchers: Fetchers, clock: Clock) -> None:
        """Read the secret. Raises SettingsError."""
        faults = url_faults(settings.url)
        if faults:
            raise SettingsError(tuple(f"source url: {fault}" for fault in faults))
        self._settings = settings
        self._secret = None if settings.secret_file is None else _read_secret(Path(settings.secret_file))
        self._fetcher = fetchers.of(private=settings.private)
        self._clock = clock

    async def claims(self, wanted: ClaimRequest) -> Mapping[str, Any] | None:
        """See `ClaimSource.claims`. 404: no such row; 202: not ready."""
        body = json.dumps(
            {
                "configuration_id": wanted.configuration_id,
                "subject": wanted.subject,
                "reference": wanted.own_reference,
            }
        )
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = await self._fetcher.request(
                    "POST",
                    self._settings.url,
                    headers=self._headers(body),
                    content=body,
                    max_bytes=limits.JSON_BYTES,
                )
            if answer.status == 404:
                return _nothing(self._settings.missing)
            if answer.status == 202:
                return None
            if answer.status != 200 or answer.content_type != "application/json":
                raise _unavailable()
            return msgspec.convert(json.loads_object(answer.body), _Answer).claims
        except (CredentialRequestDenied, SourceUnavailable):
            raise
        except (SafeconductError, TimeoutError, msgspec.ValidationError):
            raise _unavailable() from None

    async def close(self) -> None:
        """See `ClaimSource.close`."""

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._secret is None:
            return headers
        if self._settings.auth == "hmac":
            return {**headers, SIGNATURE_HEADER: sign(self._secret, body, now=self._clock())}
        return {**headers, "Authorization": f"Bearer {self._secret.reveal()}"}


_CONNECTIONS = 4


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: dict[str, Any]


def _key(wanted: ClaimRequest, by: By) -> str:
    key = wanted.subject if by == "subject" else wanted.own_reference
    if key is None:
        raise _missing()
    return key


def _nothing(missing: Missing) -> Mapping[str, Any] | None:
    if missing == "denied":
        raise _missing()
    return None


def _missing() -> CredentialRequestDenied:
    return CredentialRequestDenied("claims_missing", "The issuer has no claims for this credential.")


def _mapped(row: Mapping[str, Any], claims: Mapping[str, str], *, key: str) -> dict[str, Any]:
    """The claims of a row, nested where their paths are; the key itself is a claim only if it is named."""
    named = claims or {column: column for column in row if column != key}
    tree: dict[str, Any] = {}
    for path, column in named.items():
        if column in row:
            *outer, last = path.split(".")
            place = tree
            for name in outer:
                place = place.setdefault(name, {})
            place[last] = row[column]
    return tree


def _csv_rows(text: str, settings: CsvSource) -> dict[str, Mapping[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restkey=None)
    names: Sequence[str] = reader.fieldnames or ()
    lacking = {settings.key, *settings.claims.values()} - set(names)
    if lacking:
        raise ValueError("a column that is named is not there")
    if len(set(names)) != len(names):
        raise ValueError("two columns have one name")
    rows: dict[str, Mapping[str, str]] = {}
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has more or fewer columns than the first")
        if row[settings.key] in rows:
            raise ValueError(f"line {reader.line_num} has a key that was there before")
        rows[row[settings.key]] = row
    return rows


def _csv_fault(error: OSError | ValueError | csv.Error) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return "expected UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _engine(url: str) -> Engine:
    engine = create_engine(
        url, pool_size=_CONNECTIONS, max_overflow=0, pool_pre_ping=True, hide_parameters=True
    )
    return engine.execution_options(postgresql_readonly=True)


def _as_column(key: str, column: Column[Any]) -> str | int:
    """The key as the column has it. Raises CredentialRequestDenied for one that no row can have."""
    if not isinstance(column.type, Integer):
        return key
    if not (key.isascii() and key.isdecimal() and len(key) < limits.JSON_INTEGER_DIGITS - 1):
        raise _missing()
    return int(key)


def _plain(value: Any) -> Any:
    """A column's value as JSON has it: dates and numbers that JSON does not know as text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _read_secret(path: Path) -> Secret:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except UnicodeDecodeError:
        raise SettingsError((f"{path}: expected ASCII text",)) from None
    if len(text) < SECRET_CHARACTERS or not text.isprintable():
        raise SettingsError((f"{path}: expected a secret of at least {SECRET_CHARACTERS} characters",))
    return Secret(text)


def _unavailable() -> SourceUnavailable:
    return SourceUnavailable("source_unavailable", "The issuer cannot look up the claims now.")
