"""An authorization request follows its table, whatever happens to it in which order."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest
from safeconduct.protocols.oauth.errors import InvalidRequest
from safeconduct.services.issuer import authorization_states as life
from safeconduct.services.issuer import authorization_store as store
from safeconduct.services.issuer import grant_store
from safeconduct.services.issuer.authorization_store import Identity, NewAuthorization, Pushed
from safeconduct.services.issuer.tables import attempts, authorizations, grants, links
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

TENANT = "https://issuer.example"
PUSHED = Pushed(
    request=AuthorizationRequest(
        client_id="wallet", redirect_uri="https://wallet.example/cb", code_challenge="A" * 43
    ),
    named=("identity",),
    unnamed=(),
    scope=(),
    client_name="Wallet",
    vouched=True,
)
COOKIE = b"cookie"


class Story:
    """One request in a database; each event is what the endpoints do."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.place = (TENANT, b"reference", COOKIE)
        self.run(
            store.push_authorization,
            TENANT,
            b"reference",
            PUSHED,
            attempts_left=1000,
            proof=None,
            now=0,
            expires_at=10,
        )

    def run(self, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self.database.run_sync(fn, *arguments, **named)

    def row(self) -> Any:
        return self.run(lambda connection: connection.execute(select(authorizations)).one())

    def open(self, now: int = 1) -> Any:
        return self.run(
            store.open_authorization,
            TENANT,
            b"reference",
            client_id="wallet",
            login_digest=COOKIE,
            known_digest=COOKIE,
            now=now,
            expires_at=20,
        )

    def log_in(self) -> Any:
        identity = Identity("somebody", {"given_name": "Erika"})
        return self.run(store.log_in, *self.place, identity=identity, new_login_digest=COOKIE, now=1)

    def fail(self) -> Any:
        return self.run(store.fail_login, *self.place, now=1)

    def consent(self) -> Any:
        new = NewAuthorization(grant_id="g", code_digest=b"code", issuer_state_digest=None, expires_at=60)
        return self.run(store.consent, *self.place, new=new, now=1)

    def deny(self) -> Any:
        return self.run(store.deny, *self.place, now=1)

    def expire(self) -> Any:
        return self.open(now=1000)


def play(events: list[life.Event]) -> None:
    database = asyncio.run(Database.open("sqlite://", branch=ISSUER))
    try:
        story, state, logged_in = Story(database), "pushed", False
        for event in events:
            before = story.row()
            after = life.TRANSITIONS.get((state, event))  # type: ignore[call-overload]
            if event == "consent" and state == "prompted" and not logged_in:
                with pytest.raises(InvalidRequest) as caught:
                    story.consent()
                assert caught.value.code == "login_missing"
                after = "prompted"
            elif after is None and event == "expire":
                assert isinstance(story.expire(), InvalidRequest)
            elif after is None:
                with pytest.raises(InvalidRequest) as caught:
                    getattr(story, event)()
                assert caught.value.code == "request_uri_used"
            else:
                getattr(story, event)()
            logged_in = (logged_in or event == "log_in") and after == "prompted"
            state = after or state
            row = story.row()
            assert row.state == state
            assert (row.identity is not None) is logged_in
            if state in life.FINAL:
                assert row.request == b""
                assert row.login_digest is None
            if after is None:
                assert row == before
        codes = story.run(lambda connection: connection.execute(select(grants.c.state)).scalars().all())
        assert codes == (["authorized"] if state == "authorized" else [])
    finally:
        asyncio.run(database.close())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(life.EVENTS), max_size=7))
def test_a_request_is_always_where_the_table_says(events: list[life.Event]) -> None:
    play(events)


@pytest.mark.parametrize("end", ["consent", "deny", "expire"])
def test_a_request_ends_and_stays_so(end: life.Event) -> None:
    play(["open", "log_in", end, *life.EVENTS])


def test_every_state_is_reached_and_every_event_used() -> None:
    assert {"pushed"} | set(life.TRANSITIONS.values()) == set(life.STATES)
    assert {event for _, event in life.TRANSITIONS} == set(life.EVENTS)
    assert {"authorized", "denied", "expired"} == life.FINAL


@pytest.mark.parametrize("state", life.STATES)
@pytest.mark.parametrize("event", life.EVENTS)
def test_only_the_arrows_of_the_table_lead_anywhere(state: life.State, event: life.Event) -> None:
    expected = life.TRANSITIONS.get((state, event))
    if expected is not None:
        assert life.advance(state, event) == expected
        return
    with pytest.raises(InvalidRequest) as caught:
        life.advance(state, event)
    assert caught.value.code == "request_uri_used"


def test_what_is_over_is_swept_away() -> None:
    database = asyncio.run(Database.open("sqlite://", branch=ISSUER))
    try:
        story = Story(database)
        story.run(store.add_link, TENANT, b"link", subject="erika", expires_at=10)
        story.run(store.take_attempt, b"account", limit=5, now=0, expires_at=10)

        def rows() -> list[int]:
            tables = (authorizations, links, attempts)
            return [
                story.run(lambda connection, table=table: len(connection.execute(select(table)).all()))
                for table in tables
            ]

        story.run(grant_store.sweep, now=9, keep_grants_since=0)
        assert rows() == [1, 1, 1]
        story.run(grant_store.sweep, now=10, keep_grants_since=0)
        assert rows() == [0, 0, 0]
    finally:
        asyncio.run(database.close())
