"""What tests need from outside: skipped with a reason where it is missing, a failure there with CI=true."""

import importlib.util
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError
from tests.softhsm import SoftHsm, find_module

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
    yield from _postgres_schema()


@pytest.fixture(scope="module")
def postgres_of_module() -> Iterator[str]:
    """As `postgres_url`, one for all tests of a module."""
    yield from _postgres_schema()


def _postgres_schema() -> Iterator[str]:
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


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """A SoftHSM with an empty token "safeconduct", for this process and those that it starts."""
    module = find_module()
    if module is None or importlib.util.find_spec("pkcs11") is None:
        _missing("no SoftHSM is installed (scripts/softhsm.sh; extra: pkcs11)")
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"), module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(made.configuration))
        made.make_token("safeconduct")
        yield made


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, but {reason}", pytrace=False)
    pytest.skip(reason)
