"""Migrations: each service has a branch of scripts with its own version table, so all may share a database.

A script is a file `rNNNN_what.py` in the branch's folder with `revision`, `down_revision` and `upgrade()`.
Every script must work while the version before it is still running: add first, remove a release later.
"""

import re
import threading
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, MetaData

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z_]{1,32}")
_POSTGRES_LOCK = 0x5AFEC0DC
_ALEMBIC = threading.Lock()  # alembic's `op` is a global of the process


class Branch(msgspec.Struct, frozen=True):
    """A service's line of migrations. name: lower case and underscores; scripts: the folder."""

    name: str
    scripts: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("A branch's name has lower-case letters and underscores.")

    @property
    def version_table(self) -> str:
        """The table that holds the branch's revision."""
        return f"alembic_version_{self.name}"

    @property
    def head(self) -> str:
        """The newest revision that this program has, such as "r0002"."""
        return max(script.name for script in self.scripts.glob("r[0-9]*_*.py")).partition("_")[0]


ISSUER = Branch("issuer", _HERE / "issuer")
WALLET_SERVER = Branch("wallet_server", _HERE / "wallet_server")
VERIFIER = Branch("verifier", _HERE / "verifier")
WALLET = Branch("wallet", _HERE / "wallet")
RELAY = Branch("relay", _HERE / "relay")


class MigrationError(Exception):
    """The database cannot be brought to this program's version; most likely a newer one migrated it."""


def upgrade(url: str, branch: Branch) -> None:
    """Bring the branch's tables in the database of the URL up to date; blocks. Raises MigrationError."""
    from safeconduct.storage.engine import open_backend

    engine = open_backend(url).engine
    try:
        upgrade_engine(engine, branch)
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine, branch: Branch) -> None:
    """As `upgrade`, on an open engine: one transaction, and one process at a time."""
    import alembic.command  # noqa: F401  takes long, so not while other processes wait for the lock

    if engine.dialect.name == "postgresql":
        # Under SERIALIZABLE, one that waited for the lock would still see the state before it.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with _ALEMBIC, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
        _upgrade(connection, branch)


def is_current(connection: Connection, branch: Branch) -> bool:
    """Whether the branch's tables are of this program's version, or of a newer one, which it can use too."""
    found = connection.exec_driver_sql(f"SELECT version_num FROM {branch.version_table}").scalar()  # noqa: S608
    return found is not None and str(found) >= branch.head


def differences(connection: Connection, metadata: MetaData, *, prefix: str) -> list[object]:
    """What the tables with the prefix have otherwise in the database than in the metadata; [] when equal."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or (name or "").startswith(prefix)

    context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
    return list(compare_metadata(context, metadata))


def _upgrade(connection: Connection, branch: Branch) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(branch.scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = branch.version_table
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(f"The tables of branch {branch.name} cannot be migrated.") from error
