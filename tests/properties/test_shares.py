"""Shares of any number of holders, in any order of events: the table is followed, and what it is for holds.

The model knows credentials and shares by what was asked for and what was answered; after each step the
database is compared with it, and with what must hold whatever happened:
- at most one credential was issued for a share, and the shares of one credential that live are bounded;
- no share has left a state that has no way out, and every change of state is an arrow of the table;
- what is valid hangs on nothing that is revoked; no right and no time goes beyond the credential shared;
- the tree is not deeper than allowed;
- of a move, never both credentials are valid, and never neither of them after it failed.
"""

import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Row, select
from tests.unit.services.issuer.share_stage import LEASE, RIGHTS, Held, Offer, Stage, memory, running

from safeconduct.errors import SafeconductError
from safeconduct.services.issuer import share_moves, share_redemption
from safeconduct.services.issuer import shares as life
from safeconduct.services.issuer.tables import grants, identifiers, shares, tokens
from safeconduct.storage.status.tables import status

MAX_RECEIVERS, MAX_DEPTH = 2, 2
LIFE = 3 * 86400
"""Seconds that the issuer's own credentials are valid here: days, so that some expire."""

REFUSALS = {
    "parent_invalid",
    "sharing_unsettled",
    "sharing_too_deep",
    "entitlement_exceeds_parent",
    "validity_exceeds_parent",
    "too_many_shares",
    "code_used",
    "code_unknown",
    "share_not_approved",
    "share_pinned",
    "share_level",
    "share_not_pending",
    "share_unknown",
    "tx_code_wrong",
    "token_invalid",
    "identifier_used_up",
    "proof_key_not_pinned",
    "status_final",
    "move_under_way",
    "notification_unknown",
}
"""All that may be answered in this play but success; anything else is an error of the issuer."""

KEYS = st.sampled_from(["friend", "friend", "thief"])
BEFORE = ("pending", "redeeming")
SECONDS = st.sampled_from([1, 1, 60, 60, LEASE - 1, LEASE, 86400])


class Known(msgspec.Struct):
    """A credential as its holder knows it. rights, expires: as issued."""

    held: Held
    rights: frozenset[str]
    expires: int


class Made(msgspec.Struct):
    """A share as its parties know it."""

    offer: Offer
    parent: Known
    mode: str
    rights: frozenset[str]
    expires: int
    tokens: list[tuple[str, bytes]] = msgspec.field(default_factory=list)
    given: list[Known] = msgspec.field(default_factory=list)
    failed: bool = False


class Play(RuleBasedStateMachine):
    """Holders, receivers, thieves, management and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = memory()
        self.stage = Stage(running(self.engine))
        self.credentials: list[Known] = []
        self.shares: list[Made] = []
        self.was: dict[str, str] = {}

    def teardown(self) -> None:
        self.engine.dispose()

    def allowed(self, act: Any, *arguments: Any, **named: Any) -> Any:
        """Returns what came of it, None for a refusal that there may be."""
        try:
            return act(*arguments, **named)
        except SafeconductError as error:
            if error.code not in REFUSALS:
                raise
            return None

    @initialize(
        uses=st.integers(1, 3),
        past=st.lists(
            st.tuples(
                st.sampled_from(life.MODES), st.sampled_from(life.LEVELS), st.booleans(), st.booleans()
            ),
            min_size=2,
            max_size=6,
        ),
    )
    def begin(self, uses: int, past: list[tuple[life.Mode, life.Level, bool, bool]]) -> None:
        """Begins with some shares, of the newest credential or the first; some have been received."""
        self.issue(uses)
        for mode, level, newest, received in past:
            parent = self.credentials[-1 if newest else 0]
            self.offer(parent, mode, level, parent.rights, LIFE, 86400)
            if received and self.open_shares():
                self.receive_properly(self.shares[-1])

    def issue(self, uses: int) -> None:
        held = self.stage.original(uses=uses)
        self.credentials.append(Known(held, frozenset(RIGHTS), self.stage.now + LIFE))

    @precondition(lambda self: len(self.credentials) < 3)
    @rule(uses=st.integers(1, 3))
    def issue_another(self, uses: int) -> None:
        self.issue(uses)

    @precondition(lambda self: len(self.shares) < 14)
    @rule(
        data=st.data(),
        mode=st.sampled_from(life.MODES),
        level=st.sampled_from(life.LEVELS),
        rights=st.frozensets(st.sampled_from(RIGHTS), min_size=1),
        lasts=st.sampled_from([LIFE // 3, LIFE]),
        offered=st.sampled_from([60, 86400]),
    )
    def share(
        self,
        data: st.DataObject,
        mode: life.Mode,
        level: life.Level,
        rights: frozenset[str],
        lasts: int,
        offered: int,
    ) -> None:
        self.offer(data.draw(st.sampled_from(self.credentials)), mode, level, rights, lasts, offered)

    def offer(
        self,
        parent: Known,
        mode: life.Mode,
        level: life.Level,
        rights: frozenset[str],
        lasts: int,
        offered: int,
    ) -> None:
        rights = rights & parent.rights or parent.rights  # as the endpoint sees to it
        expires = min(self.stage.now + lasts, parent.expires)
        bound = {"key": {"jkt": "friend"}, "pin": {"tx": b"right"}}.get(level, {})
        offer = self.allowed(
            self.stage.share,
            parent.held,
            mode=mode,
            level=level,
            entitlements=tuple(sorted(rights)),
            offered=offered,
            credential_expires=expires,
            parent_expires=parent.expires,
            max_receivers=MAX_RECEIVERS,
            max_depth=MAX_DEPTH,
            **bound,
        )
        if offer is not None:
            self.shares.append(Made(offer, parent, mode, rights, expires))

    @precondition(lambda self: self.open_shares())
    @rule(data=st.data(), key=KEYS, guess=st.sampled_from([False, False, True]))
    def redeem(self, data: st.DataObject, key: str, guess: bool) -> None:
        self.try_to_redeem(data.draw(st.sampled_from(self.open_shares())), key, guess)

    @precondition(lambda self: self.shares)
    @rule(data=st.data(), key=KEYS)
    def redeem_anything(self, data: st.DataObject, key: str) -> None:
        self.try_to_redeem(data.draw(st.sampled_from(self.shares)), key, False)

    @precondition(lambda self: any(made.offer.tx for made in self.open_shares()))
    @rule(data=st.data(), times=st.integers(1, 5))
    def guess(self, data: st.DataObject, times: int) -> None:
        made = data.draw(st.sampled_from([made for made in self.open_shares() if made.offer.tx]))
        for _ in range(times):
            self.try_to_redeem(made, "thief", True)

    def try_to_redeem(self, made: Made, key: str, guess: bool) -> None:
        tx = b"wrong" if guess and made.offer.tx else None
        token = self.allowed(self.stage.redeem, made.offer, key, tx=tx)
        if token is not None:
            assert tx is None
            made.tokens.append((key, token))

    @precondition(lambda self: any(made.tokens for made in self.open_shares()))
    @rule(data=st.data())
    def receive(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from([made for made in self.open_shares() if made.tokens]))
        self.try_to_receive(made, *made.tokens[-1])

    @precondition(lambda self: any(made.tokens for made in self.shares))
    @rule(data=st.data())
    def receive_anything(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from([made for made in self.shares if made.tokens]))
        self.try_to_receive(made, *data.draw(st.sampled_from(made.tokens)))

    def try_to_receive(self, made: Made, key: str, token: bytes) -> None:
        held = self.allowed(self.stage.deliver, made.offer, token, (key,))
        if held is not None:
            known = Known(held, made.rights, made.expires)
            made.given.append(known)
            self.credentials.append(known)

    @precondition(lambda self: self.open_shares())
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        self.receive_properly(data.draw(st.sampled_from(self.open_shares())))

    def receive_properly(self, made: Made) -> None:
        """As it should be: approved if need be, redeemed and received by one who may."""
        self.allowed(self.stage.pin, made.offer, "friend")
        self.try_to_redeem(made, "friend", False)
        if made.tokens:
            self.try_to_receive(made, *made.tokens[-1])

    def open_shares(self) -> list[Made]:
        return [made for made in self.shares if self.was.get(made.offer.share_id) in (None, *BEFORE)]

    @precondition(lambda self: any(made.given for made in self.shares))
    @rule(
        data=st.data(),
        event=st.sampled_from(["credential_accepted", "credential_failure", "credential_deleted"]),
    )
    def tell(self, data: st.DataObject, event: str) -> None:
        made = data.draw(st.sampled_from([made for made in self.shares if made.given]))
        self.allowed(self.stage.notify, made.given[0].held, event)

    @precondition(lambda self: self.shares)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        self.allowed(self.stage.end, data.draw(st.sampled_from(self.shares)).offer)

    @precondition(lambda self: self.shares)
    @rule(data=st.data(), key=st.sampled_from(["friend", "thief"]))
    def approve(self, data: st.DataObject, key: str) -> None:
        self.allowed(self.stage.pin, data.draw(st.sampled_from(self.shares)).offer, key)

    @rule(data=st.data(), to=st.sampled_from(["invalid", "suspended", "valid"]))
    def decide(self, data: st.DataObject, to: Any) -> None:
        self.allowed(self.stage.change, data.draw(st.sampled_from(self.credentials)).held, to)

    @rule(data=st.data())
    def get_another(self, data: st.DataObject) -> None:
        """A holder with a token gets another credential of the same, if there is credit."""
        known = data.draw(st.sampled_from(self.credentials))
        if any(known in made.given for made in self.shares):
            return
        another = self.allowed(self.stage.another, known.held.token, known.held.grant_id)
        if another is not None:
            self.credentials.append(Known(another, known.rights, known.expires))

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.stage.now += seconds

    @rule(seconds=SECONDS)
    def tidy_up(self, seconds: int) -> None:
        self.stage.sweep(seconds)

    # What must hold.

    def rows(self) -> dict[str, Row[Any]]:
        found = self.stage.run(lambda connection: connection.execute(select(shares)).all())
        return {row.id: row for row in found}

    def standings(self) -> dict[str, int]:
        query = select(status.c.issued_id, status.c.value).where(status.c.issued_id.is_not(None))
        found = self.stage.run(lambda connection: connection.execute(query).all())
        return {row.issued_id: row.value for row in found}

    @invariant()
    def states_follow_the_table(self) -> None:
        for name, row in self.rows().items():
            before = self.was.get(name, "pending")
            assert row.state in _reachable(row.mode, before), f"{before} became {row.state}"
            self.was[name] = row.state
        for made in self.shares:
            if made.offer.share_id not in self.rows():
                assert self.was[made.offer.share_id] not in life.LIVE

    @invariant()
    def one_credential_for_each_share(self) -> None:
        assert all(len(made.given) <= 1 for made in self.shares)

    @invariant()
    def receivers_and_depth_are_bounded(self) -> None:
        live = [row for row in self.rows().values() if row.state in life.LIVE]
        for row in live:
            assert row.depth <= MAX_DEPTH
            assert sum(other.parent_id == row.parent_id for other in live) <= MAX_RECEIVERS

    @invariant()
    def rights_and_times_are_the_parents(self) -> None:
        for made in self.shares:
            assert made.rights <= made.parent.rights
            assert made.expires <= made.parent.expires

    @invariant()
    def nothing_valid_hangs_on_what_is_revoked(self) -> None:
        standings, rows = self.standings(), self.rows()
        for made in self.shares:
            row = rows.get(made.offer.share_id)
            if row is None:
                continue
            if standings[row.parent_id] == 1:
                assert row.state not in life.LIVE
                if made.given and row.state != "moved":
                    gave = share_that_gave(rows, made.given[0].held.issued_id)
                    assert standings[made.given[0].held.issued_id] == 1 or gave or row.state == "expired"

    @invariant()
    def a_move_has_one_valid_credential(self) -> None:
        standings, rows = self.standings(), self.rows()
        for made in self.shares:
            row = rows.get(made.offer.share_id)
            if row is None or made.mode != "move" or not made.given:
                continue
            parent, child = standings[row.parent_id], standings[made.given[0].held.issued_id]
            assert not (parent == child == 0)
            if row.state == "issued":
                assert parent == 2
                assert child in (0, 2)
            elif row.state == "moved":
                assert parent == 1
            elif self.just_failed(made, row):
                assert child == 1
                assert parent == (2 if row.held else 0) or self.decided(row)

    def just_failed(self, made: Made, row: Row[Any]) -> bool:
        first = row.state in ("failed", "revoked") and not made.failed
        made.failed = made.failed or first
        return first

    def decided(self, row: Row[Any]) -> bool:
        """Whether the sender's own credential was revoked, which is why the move came to nothing."""
        return self.standings()[row.parent_id] == 1

    @invariant()
    def what_is_over_has_no_token(self) -> None:
        query = (
            select(shares.c.state, tokens.c.digest)
            .join(grants, grants.c.share_id == shares.c.id)
            .join(tokens, tokens.c.grant_id == grants.c.id)
        )
        for row in self.stage.run(lambda connection: connection.execute(query).all()):
            assert row.state in ("redeeming", "issued", "moved"), row.state

    @invariant()
    def offers_and_shares_agree(self) -> None:
        query = select(shares.c.state, grants.c.state.label("grant_state")).join(
            grants, grants.c.share_id == shares.c.id
        )
        for row in self.stage.run(lambda connection: connection.execute(query).all()):
            assert row.grant_state in _OFFER_STATES[row.state], f"{row.state}, but {row.grant_state}"

    @invariant()
    def nobody_has_credit_while_it_moves(self) -> None:
        query = (
            select(identifiers.c.remaining)
            .join(share_moves.issued, share_moves.issued.c.grant_id == identifiers.c.grant_id)
            .join(shares, shares.c.parent_id == share_moves.issued.c.id)
            .where(shares.c.mode == "move", shares.c.state.in_(("issued", "moved")))
        )
        found = self.stage.run(lambda connection: connection.execute(query).scalars().all())
        assert all(remaining <= 0 for remaining in found)


_OFFER_STATES = {
    "pending": {"pending"},
    "redeeming": {"redeemed"},
    "issued": {"issued", "closed", "cancelled"},
    "moved": {"issued", "closed", "cancelled"},
    "failed": {"cancelled", "closed"},
    "revoked": {"cancelled", "closed"},
    "expired": {"expired", "closed"},
    "cancelled": {"cancelled"},
    "locked": {"locked", "cancelled"},
}
"""What the offer of a share may be, by what the share is.

That of a share is over before the share is, when what it gave was moved to another holder by a later one.
"""


def share_that_gave(rows: dict[str, Row[Any]], issued_id: str) -> bool:
    """Whether a credential stands in the place of one that was moved."""
    return any(row.issued_id == issued_id and row.state in ("issued", "moved") for row in rows.values())


def _reachable(mode: life.Mode, state: str) -> set[str]:
    """States that a share may be in after some events."""
    reached = {state}
    while True:
        further = {after for (before, _), after in life.TRANSITIONS[mode].items() if before in reached}
        if further <= reached:
            return reached
        reached |= further


Play.TestCase.settings = settings(
    max_examples=int(os.environ.get("SAFECONDUCT_LOAD_SHARES", "12")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TestShares = Play.TestCase


def test_the_play_sees_a_move_that_suspends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_redemption, "suspend_sender", lambda *_: True)
    careless = settings(
        Play.TestCase.settings, max_examples=100, phases=[Phase.generate], database=None, derandomize=True
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Play, settings=careless)  # type: ignore[no-untyped-call]
