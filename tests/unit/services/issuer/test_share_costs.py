"""What sharing costs those who do not share: no statement more."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event
from tests.unit.services.issuer.share_stage import Stage, memory, running


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collects what is asked of the database meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = memory()
    yield engine
    engine.dispose()


def test_an_issuance_without_a_share_asks_for_none(engine: Engine) -> None:
    stage = Stage(running(engine))
    with statements(engine) as asked:
        held = stage.original(shareable=False)
        stage.access(held.token)
    assert asked
    assert not [one for one in asked if "issuer_shares" in one]


def test_a_notification_without_a_share_takes_no_statement_of_its_own_for_shares(engine: Engine) -> None:
    stage = Stage(running(engine))
    held = stage.original()
    stage.access(held.token)
    with statements(engine) as asked:
        stage.notify(held, "credential_accepted")
    about = [one for one in asked if "issuer_shares" in one]
    assert len(about) == 1
    assert "FROM issuer_issued JOIN issuer_notifications" in about[0]  # what is asked anyway


def test_a_share_asks_for_itself(engine: Engine) -> None:
    """The search above finds what it looks for."""
    stage = Stage(running(engine))
    offer = stage.share(stage.original())
    with statements(engine) as asked:
        stage.receive(offer)
    assert [one for one in asked if "issuer_shares" in one]
