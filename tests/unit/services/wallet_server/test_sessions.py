"""Tokens and tickets: what they hold, who can make them, and what they give away."""

import secrets

import pytest

from safeconduct.encoding import b64
from safeconduct.services.wallet_server.sessions import (
    EPOCH_SECONDS,
    Seal,
    Session,
    SessionUnknown,
    TicketRefused,
)

NOW = 1_800_000_000
ISSUER = "https://issuer.example"


def seal() -> Seal:
    made = Seal()
    made.keys = {NOW // EPOCH_SECONDS: secrets.token_bytes(32)}
    return made


def test_a_token_gives_back_its_session_until_it_ends() -> None:
    made = seal()
    session = made.begin(now=NOW, lifetime=1000)
    opened = made.token(session, now=NOW, lifetime=600)
    assert (opened.expires_in, opened.renewable_for) == (600, 1000)
    assert made.read(opened.token, now=NOW + 599) == session
    with pytest.raises(SessionUnknown) as error:
        made.read(opened.token, now=NOW + 600)
    assert error.value.code == "session_unknown"


def test_no_token_outlives_its_session() -> None:
    made = seal()
    session = made.begin(now=NOW, lifetime=100)
    assert made.token(session, now=NOW + 90, lifetime=600).expires_in == 10


def test_a_ticket_is_no_token_and_a_token_is_no_ticket() -> None:
    made = seal()
    session = made.begin(now=NOW, lifetime=1000)
    ticket = made.ticket(session, ISSUER, now=NOW)
    with pytest.raises(SessionUnknown):
        made.read(ticket, now=NOW)
    with pytest.raises(TicketRefused):
        made.check_ticket(made.token(session, now=NOW, lifetime=1).token, session, ISSUER)
    made.check_ticket(ticket, session, ISSUER)


def test_no_other_key_makes_a_token() -> None:
    made, other = seal(), seal()
    session = made.begin(now=NOW, lifetime=1000)
    token = other.token(session, now=NOW, lifetime=600).token
    with pytest.raises(SessionUnknown):
        made.read(token, now=NOW)
    other.keys = {}
    with pytest.raises(SessionUnknown):
        other.read(token, now=NOW)


def test_what_the_database_knows_of_a_session_does_not_make_a_token() -> None:
    session = Session(b"i" * 16, NOW)
    assert session.id not in session.owner
    assert b64.encode(session.id) not in repr(session)
    assert session.owner != Session(b"j" * 16, NOW).owner


def test_sessions_and_tokens_are_unlike_each_other() -> None:
    made = seal()
    sessions = [made.begin(now=NOW, lifetime=1000) for _ in range(100)]
    assert len({session.owner for session in sessions}) == 100
