"""Shares under two processes' connections, and threads at once, on either kind of database (A27, A36, S7)."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.unit.services.issuer.share_stage import Offer, Stage

from safeconduct.errors import SafeconductError
from safeconduct.services.issuer import redemption_store
from safeconduct.services.issuer.tables import shares, tokens
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

RACERS = 8
ROUNDS = 6


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def stages(url: str) -> Iterator[tuple[Stage, Stage]]:
    """Two stages on one database, as two processes have."""

    async def open_both() -> list[Database]:
        return [await Database.open(url, branch=ISSUER) for _ in range(2)]

    opened = asyncio.run(open_both())
    numbers = itertools.count()
    first, second = (Stage(database.run_sync, numbers=numbers) for database in opened)
    yield first, second
    for database in opened:
        asyncio.run(database.close())


def at_once(*acts: Callable[[], Any]) -> tuple[list[Any], Counter[str]]:
    """Returns what the acts that went well returned, and the codes of the others."""

    def attempt(act: Callable[[], Any]) -> Any:
        try:
            return act()
        except SafeconductError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        outcomes = list(pool.map(attempt, acts))
    refused = [one.code for one in outcomes if isinstance(one, SafeconductError)]
    return [one for one in outcomes if not isinstance(one, SafeconductError)], Counter(refused)


def test_a27_of_many_receivers_one_gets_a_token_and_keeps_it(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    for _ in range(ROUNDS):
        offer = first.share(first.original())

        def redeem(stage: Stage, key: str, offer: Offer = offer) -> tuple[str, bytes]:
            return key, stage.redeem(offer, key)

        acts = [
            (lambda stage=stage, key=key: redeem(stage, key))
            for stage, key in zip((first, second) * (RACERS // 2), map(str, range(RACERS)), strict=True)
        ]
        won, lost = at_once(*acts)
        assert (len(won), lost) == (1, {"code_used": RACERS - 1})
        ((key, token),) = won
        child = second.deliver(offer, token, (key,))
        assert first.standing(child) == "valid"


def test_a27_double_redemption_gives_one_credential(stages: tuple[Stage, Stage]) -> None:
    """Also if one receiver sends everything twice: token request and credential request."""
    first, second = stages
    for _ in range(ROUNDS):
        offer = first.share(first.original())
        tokens_got, _ = at_once(*(partial(stage.redeem, offer) for stage in (first, second) * 2))
        assert tokens_got
        holders = [f"key {number}" for number in range(len(tokens_got) * 2)]
        acts = [
            partial(stage.deliver, offer, token, (holder,))
            for stage, token, holder in zip(
                itertools.cycle((first, second)), tokens_got * 2, holders, strict=False
            )
        ]
        given, refused = at_once(*acts)
        assert len(given) == 1
        assert set(refused) <= {"token_invalid", "identifier_used_up"}
        assert first.state(offer) == "issued"


def test_a36_a_parent_revoked_during_redemption_leaves_nothing_valid(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    for turn in range(ROUNDS):
        parent = first.original()
        offer = first.share(parent, mode="move" if turn % 2 else "share")
        token = first.redeem(offer) if turn % 3 else None

        def receive(offer: Offer = offer, token: bytes | None = token) -> Any:
            return first.deliver(offer, token or first.redeem(offer))

        given, refused = at_once(
            receive,
            lambda parent=parent: second.change(parent, "invalid"),
            lambda offer=offer: second.view(offer),
        )
        assert set(refused) <= {"token_invalid", "parent_invalid", "code_unknown"}
        assert first.state(offer) in ("cancelled", "revoked")
        for held in given:
            if hasattr(held, "issued_id") and hasattr(held, "place"):
                assert first.standing(held) == "invalid"
        assert first.standing(parent) == "invalid"


def test_s6_cancelling_against_delivery_leaves_nothing_valid(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    outcomes: Counter[str] = Counter()
    for turn in range(ROUNDS):
        parent = first.original()
        offer = first.share(parent, mode="move" if turn % 2 else "share")
        token = first.redeem(offer)
        given, refused = at_once(
            lambda offer=offer, token=token: first.deliver(offer, token),
            lambda offer=offer: second.end(offer).outcome,
        )
        ended = next(one for one in given if isinstance(one, str))
        outcomes[ended] += 1
        held = [one for one in given if not isinstance(one, str)]
        assert (ended, len(held), dict(refused)) in (
            ("cancelled", 0, {"token_invalid": 1}),
            ("revoked", 1, {}),
        )
        assert all(first.standing(one) == "invalid" for one in held)
        assert first.standing(parent) == "valid"
    assert sum(outcomes.values()) == ROUNDS


def test_s6_cancelling_against_redemption_leaves_no_token(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    for _ in range(ROUNDS):
        offer = first.share(first.original())
        _, refused = at_once(
            lambda offer=offer: first.redeem(offer), lambda offer=offer: second.end(offer).outcome
        )
        assert set(refused) <= {"code_unknown"}
        assert first.state(offer) == "cancelled"
        own = select(tokens.c.digest).where(tokens.c.grant_id == first.grant_of(offer))
        assert first.run(lambda connection, own=own: connection.execute(own).all()) == []


def test_s7_acceptance_against_failure_settles_a_move_once(stages: tuple[Stage, Stage]) -> None:
    """And neither leaves two valid credentials, or none where it was to be one."""
    first, second = stages
    for turn in range(ROUNDS):
        parent = first.original()
        offer = first.share(parent, mode="move")
        child = first.receive(offer)
        acts: list[Callable[[], Any]] = [
            lambda child=child: first.notify(child, "credential_accepted"),
            lambda child=child: second.notify(child, "credential_failure"),
            lambda offer=offer: second.end(offer),
        ]
        at_once(*acts[: 2 + turn % 2])
        both = first.standings(parent, child)
        assert sorted(both) == ["invalid", "valid"]
        assert (first.state(offer) == "moved") == (both == ["invalid", "valid"])


def test_s7_of_moves_delivered_at_once_one_is(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    for _ in range(ROUNDS):
        parent = first.original(uses=2)
        twin = first.another(parent.token, parent.grant_id)
        offers = [first.share(one, mode="move") for one in (parent, twin)]
        given_tokens = [first.redeem(offer) for offer in offers]
        given, refused = at_once(
            *(
                (lambda s=stage, o=offer, t=token: s.deliver(o, t))
                for stage, offer, token in zip((first, second), offers, given_tokens, strict=True)
            )
        )
        assert (len(given), refused) == (1, {"parent_invalid": 1})
        assert first.standings(parent, twin, given[0]) == ["suspended", "suspended", "valid"]


def test_s1_shares_made_at_once_are_not_more_than_allowed(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    parent = first.original()
    made, refused = at_once(
        *((lambda s=stage: s.share(parent, max_receivers=2)) for stage in (first, second) * (RACERS // 2))
    )
    assert (len(made), refused) == (2, {"too_many_shares": RACERS - 2})


def test_the_same_request_at_once_makes_one_share(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    parent = first.original()
    made, refused = at_once(
        *((lambda s=stage: s.share(parent, request_digest=b"once")) for stage in (first, second) * 2)
    )
    assert (len(made), refused) == (1, {"share_exists": 3})


def test_one_name_taken_at_once_is_given_to_one_share(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    for turn in range(ROUNDS):
        parents = [first.original(), first.original()]
        made, refused = at_once(
            *(
                partial(stage.share, parent, id=f"name {turn}")
                for stage, parent in zip((first, second), parents, strict=True)
            )
        )
        assert (len(made), refused) == (1, {"share_exists": 1})


def test_a28_pins_guessed_at_once_are_counted_each(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    offer = first.share(first.original(), tx=b"right")
    _, refused = at_once(
        *(
            (lambda s=stage, k=str(number): s.redeem(offer, k, tx=b"wrong"))
            for number, stage in enumerate((first, second) * (RACERS // 2))
        )
    )
    assert refused["tx_code_wrong"] == 5
    assert refused["code_unknown"] == RACERS - 5
    assert first.state(offer) == "locked"


def test_what_lapses_in_two_processes_at_once_lapses_once(stages: tuple[Stage, Stage]) -> None:
    first, second = stages
    parents = [first.original() for _ in range(3)]
    offers = [first.share(parent, mode="move") for parent in parents]
    children = [first.receive(offer) for offer in offers]
    first.now = second.now = first.now + 600
    at_once(first.sweep, second.sweep, *(lambda o=offer: second.view(o) for offer in offers))
    assert {first.state(offer) for offer in offers} == {"moved"}
    assert first.standings(*parents, *children) == ["invalid"] * 3 + ["valid"] * 3


def test_without_the_lease_two_receivers_would_get_a_token(
    stages: tuple[Stage, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is a race: what keeps it is seen to be missed."""

    def careless(connection: Any, grant: Any, *_: Any, **__: Any) -> Any:
        share = connection.execute(select(shares).where(shares.c.id == grant.share_id)).one()
        return redemption_store.share_redemption.Lease(share, "retry", share.due_at)

    first, second = stages
    offer = first.share(first.original())
    first.redeem(offer, "receiver")
    monkeypatch.setattr(redemption_store.share_redemption, "lease", careless)
    won, refused = at_once(lambda: first.redeem(offer, "one"), lambda: second.redeem(offer, "other"))
    assert (len(won), refused) == (2, {})
