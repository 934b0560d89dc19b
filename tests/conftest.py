"""What tests need from outside: skipped with a reason where it is missing, a failure there with CI=true."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

_ROOT = Path(__file__).parent.parent
_POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of published test vectors: SAFECONDUCT_VECTORS, or ../shared/vectors beside the project."""
    folder = Path(os.environ.get("SAFECONDUCT_VECTORS") or _ROOT / "../shared/vectors")
    if not folder.is_dir():
        _missing(f"no test vectors at {folder} (set SAFECONDUCT_VECTORS)")
    return folder.resolve()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The URL of an empty schema on a real PostgreSQL (SAFECONDUCT_TEST_POSTGRES), dropped after the test."""
    base = os.environ.get("SAFECONDUCT_TEST_POSTGRES") or _POSTGRES
    schema = f"test_{secrets.token_hex(8)}"
    try:
        engine = create_engine(base, poolclass=NullPool, connect_args={"connect_timeout": 3})
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except (OperationalError, ImportError):
        _missing("no PostgreSQL answers (set SAFECONDUCT_TEST_POSTGRES; extra: postgres)")
    yield f"{base}?options=-csearch_path%3D{schema}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, but {reason}", pytrace=False)
    pytest.skip(reason)
