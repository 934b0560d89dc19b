"""The register of cards: who gets which rid, what is revoked, and that nothing is lost between processes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats import health_card
from safeconduct.services.card_register import CardRegister, public_key, read_secrets
from safeconduct.settings import SettingsError
from safeconduct.status.card_keys import thumbprint
from safeconduct.status.card_revocation import SIGNED_TEXT, RevocationList, rids
from safeconduct.status.card_revocation.changes import Change
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.storage.status import card_lists
from safeconduct.storage.status.card_tables import card_rids

URL = "https://issuer.example/shc"
NOW = 1_800_000_000
SECRETS = (b"n" * 32, b"o" * 32)
BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": []}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


class Desk:
    """Registers of one issuer over several connections, called without an event loop."""

    def __init__(self, *databases: Database, **named: Any) -> None:
        self.databases = databases
        self.registers = [CardRegister(database, URL, **named) for database in databases]
        self.key = Key.generate("ES256")

    def __call__(self, name: str, *arguments: Any, turn: int = 0, **named: Any) -> Any:
        return asyncio.run(getattr(self.registers[turn], name)(*arguments, **named))

    def new_key(self, **named: Any) -> str:
        self.key = Key.generate("ES256")
        return str(self("register", self.key.public, now=NOW, **named))

    def take(self, kid: str) -> RevocationList:
        self.databases[0].run_sync(card_lists.take_list, URL, kid)
        return self.history(kid).newest

    def history(self, kid: str) -> card_lists.History:
        return self.databases[0].run_sync(card_lists.history, URL, kid)

    def card(self, *, rid: str | None = None, nbf: float = NOW, issuer: str = URL) -> str:
        return health_card.issue(BUNDLE, issuer=issuer, key=self.key, now=nbf, rid=rid)


@pytest.fixture
def databases(url: str) -> Iterator[list[Database]]:
    opened = [asyncio.run(Database.open(url, branch=ISSUER)) for _ in range(2)]
    yield opened
    for database in opened:
        asyncio.run(database.close())


@pytest.fixture
def desk(databases: list[Database]) -> Desk:
    return Desk(*databases)


@pytest.fixture
def deriving(databases: list[Database]) -> Desk:
    return Desk(*databases, secrets=SECRETS)


def code_of(desk: Desk, name: str, *arguments: Any, **named: Any) -> str:
    with pytest.raises(SafeconductError) as caught:
        desk(name, *arguments, **named)
    return caught.value.code


def test_a_subject_has_one_rid_under_each_key(desk: Desk) -> None:
    one, other = desk.new_key(), desk.new_key()

    given = [desk("allocate", kid, who, now=NOW) for kid in (one, other) for who in ("a", "b")]

    assert len(set(given)) == 4
    assert all(len(rid) == 22 for rid in given)
    assert desk("allocate", one, "a", now=NOW + 5, turn=1) == given[0]


def test_rids_are_derived_where_there_is_a_secret(deriving: Desk) -> None:
    kid = deriving.new_key()

    assert deriving("allocate", kid, "a", now=NOW) == rids.derive(SECRETS[0], kid, "a")


def test_a_derived_rid_that_somebody_else_has_is_passed_over(databases: list[Database]) -> None:
    desk = Desk(databases[0], secrets=(SECRETS[0],))
    kid = desk.new_key()
    clash = rids.derive(SECRETS[0], kid, "a")
    databases[0].run_sync(_give, kid, clash)

    assert desk("allocate", kid, "a", now=NOW) != clash


def _give(connection: Any, kid: str, rid: str) -> None:
    row = {"tenant": URL, "kid": kid, "rid": rid, "subject_digest": b"of another", "is_current": True}
    connection.execute(card_rids.insert().values(row))


def test_revoking_a_subject_reaches_its_cards_under_every_key(desk: Desk) -> None:
    kids = [desk.new_key() for _ in range(3)]
    given = {kid: desk("allocate", kid, "a", now=NOW) for kid in kids}
    desk("allocate", kids[0], "b", now=NOW)

    assert desk("revoke_subject", "a", before=NOW) == 3
    assert desk("revoke_subject", "a", before=NOW) == 0

    for kid in kids:
        assert desk.take(kid).entries == {given[kid]: NOW}


def test_revoking_a_subject_reaches_cards_of_every_secret(deriving: Desk) -> None:
    kid = deriving.new_key()

    assert deriving("revoke_subject", "never seen here", before=None) == 2

    assert set(deriving.take(kid).entries) == {rids.derive(one, kid, "never seen here") for one in SECRETS}


def test_the_later_of_two_times_stays(desk: Desk) -> None:
    kid = desk.new_key()
    for before, expected in [(50, 50), (40, 50), (60, 60), (None, None), (70, None)]:
        desk("revoke_rid", "abc", kid=kid, before=before)
        assert desk.take(kid).entries == {"abc": expected}


def test_what_was_revoked_can_be_taken_back(desk: Desk) -> None:
    kid = desk.new_key()
    rid = desk("allocate", kid, "a", now=NOW)
    desk("revoke_subject", "a", before=None)
    assert desk.take(kid).entries == {rid: None}

    assert desk("reinstate_subjects", ["a"]) == 1
    assert desk("reinstate_subjects", ["a"]) == 0

    assert desk.take(kid).entries == {}
    assert desk.take(kid).ctr == 2


def test_after_a_revocation_the_next_card_has_a_rid_that_is_good(desk: Desk) -> None:
    kid = desk.new_key()
    first = desk("allocate", kid, "a", now=NOW)

    desk("revoke_subject", "a", before=NOW)
    assert desk("allocate", kid, "a", now=NOW) == first  # made at that second, so not before it
    desk("revoke_subject", "a", before=NOW + 10)
    second = desk("allocate", kid, "a", now=NOW + 9)
    assert second != first
    desk("revoke_subject", "a", before=None)
    third = desk("allocate", kid, "a", now=NOW + 20)

    assert len({first, second, third}) == 3
    assert desk.take(kid).entries == {first: None, second: None}


def test_a_derived_rid_gives_way_to_a_random_one_once_it_is_revoked(deriving: Desk) -> None:
    kid = deriving.new_key()
    derived = deriving("allocate", kid, "a", now=NOW)
    deriving("revoke_subject", "a", before=None)

    drawn = deriving("allocate", kid, "a", now=NOW)

    assert (len(derived), len(drawn)) == (11, 22)
    deriving("revoke_subject", "a", before=None)
    assert drawn in deriving.take(kid).entries


def test_several_subjects_are_done_all_or_none(desk: Desk) -> None:
    kid = desk.new_key()
    given = desk("allocate_each", kid, ["a", "b", "a"], now=NOW)
    assert given[0] == given[2] != given[1]

    assert code_of(desk, "revoke_subjects", ["a", "nobody"], before=None) == "card_subject_unknown"
    assert desk.take(kid).entries == {}

    assert desk("revoke_subjects", ["a", "b", "a"], before=None) == 2
    assert set(desk.take(kid).entries) == set(given)
    assert desk("reinstate_subjects", ["b", "a"]) == 2
    assert desk.take(kid).entries == {}


def test_an_unknown_subject_cannot_be_revoked(desk: Desk) -> None:
    desk.new_key()

    assert code_of(desk, "revoke_subject", "nobody", before=None) == "card_subject_unknown"
    assert code_of(desk, "reinstate_subjects", ["nobody"]) == "card_subject_unknown"


def test_a_card_at_hand_is_revoked_by_its_rid(desk: Desk) -> None:
    kid = desk.new_key()
    rid = desk("allocate", kid, "a", now=NOW)

    assert desk("revoke_card", desk.card(rid=rid), before=NOW + 1) == 1
    assert desk.take(kid).entries == {rid: NOW + 1}
    assert desk("reinstate_card", desk.card(rid=rid)) == 1
    assert desk.take(kid).entries == {}


def test_only_cards_of_ones_own_are_revoked(desk: Desk) -> None:
    desk.new_key()
    card = desk.card(rid="abc")

    assert code_of(desk, "revoke_card", desk.card(), before=None) == "card_without_rid"
    assert code_of(desk, "revoke_card", desk.card(rid="x", issuer="https://b.example"), before=None) == (
        "card_not_ours"
    )
    assert code_of(desk, "revoke_card", "garbage", before=None) == "jws_malformed"
    forged = card.rpartition(".")[0] + "." + "A" * 86
    assert code_of(desk, "revoke_card", forged, before=None) == "signature_invalid"
    desk.key = Key.generate("ES256")
    assert code_of(desk, "revoke_card", desk.card(rid="abc"), before=None) == "card_key_not_ours"


def test_cards_without_a_rid_are_revoked_by_their_signed_text(desk: Desk) -> None:
    kid = desk.new_key(by_signed_text=True)
    card = desk.card()

    assert desk("revoke_card", card, before=5) == 1

    parsed = health_card.parse(card)
    found = desk.take(kid)
    assert found.method == SIGNED_TEXT
    assert list(found.entries.values()) == [None]
    assert found.entries.keys().isdisjoint({parsed.signing_input.decode()})
    assert code_of(desk, "allocate", kid, "a", now=NOW) == "card_method"


def test_a_rid_is_listed_under_the_key_it_was_given_for(desk: Desk) -> None:
    one, other = desk.new_key(), desk.new_key()
    rid = desk("allocate", one, "a", now=NOW)

    assert desk("revoke_rid", rid, kid=None, before=None) == 1
    assert desk.take(one).entries == {rid: None}
    assert desk.take(other).entries == {}
    assert code_of(desk, "revoke_rid", "unknown", kid=None, before=None) == "card_key_ambiguous"
    assert desk("revoke_rid", "unknown", kid=other, before=None) == 1
    assert code_of(desk, "revoke_rid", "x", kid="y", before=None) == "card_key_not_ours"


def test_with_one_key_a_rid_can_be_of_that_key_only(desk: Desk) -> None:
    kid = desk.new_key()

    assert desk("revoke_rid", "unknown", kid=None, before=None) == 1
    assert desk("reinstate_rid", "unknown", kid=None) == 1
    assert desk.take(kid).entries == {}


def test_a_time_that_no_list_can_name_is_refused(desk: Desk) -> None:
    kid = desk.new_key()

    for before in (0, -1, 1 << 32):
        with pytest.raises(ValueError, match="1970"):
            desk("revoke_rid", "a", kid=kid, before=before)


def test_a_revoked_key_gives_no_more_rids_and_stays_revoked(desk: Desk) -> None:
    kid = desk.new_key()

    assert desk("revoke_key", kid, now=NOW) is True
    assert desk("revoke_key", kid, now=NOW) is False
    desk("register", desk.key.public, now=NOW)

    assert [(key.kid, key.removed) for key in desk("keys")] == [(kid, True)]
    assert code_of(desk, "allocate", kid, "a", now=NOW) == "card_key_revoked"
    assert code_of(desk, "revoke_key", "unknown", now=NOW) == "card_key_not_ours"


def test_a_list_that_was_published_elsewhere_goes_on(desk: Desk) -> None:
    key = Key.generate("ES256")
    kid = thumbprint(key.public)
    known = RevocationList(kid=kid, ctr=1 << 40, entries={"a": None, "b": 5, "never": 0, "far": 1 << 40})

    assert desk("register", key.public, known=known, now=NOW) == kid

    taken = desk.take(kid)
    assert (taken.ctr, taken.entries) == ((1 << 40) + 1, {"a": None, "b": 5, "far": None})
    assert desk.take(kid).ctr == (1 << 40) + 1
    assert code_of(desk, "register", key.public, known=known, now=NOW) == "card_list_older"
    assert code_of(desk, "register", key.public, by_signed_text=True, now=NOW) == "card_key_known"


def test_a_list_of_another_key_or_method_does_not_go_on(desk: Desk) -> None:
    key = Key.generate("ES256")
    other = RevocationList(kid="A" * 43, ctr=7, entries={})
    by_bundle = RevocationList(kid=thumbprint(key.public), ctr=7, entries={}, method="hash-fhir")

    assert code_of(desk, "register", key.public, known=other, now=NOW) == "crl_kid"
    assert code_of(desk, "register", key.public, known=by_bundle, now=NOW) == "status_method_unknown"
    assert code_of(desk, "register", Key.generate("ES384").public, now=NOW) == "card_key_algorithm"


def test_each_list_knows_what_it_changed(desk: Desk) -> None:
    kid = desk.new_key()
    desk("revoke_rid", "a", kid=kid, before=5)
    desk.take(kid)
    desk("revoke_rid", "a", kid=kid, before=9)
    desk("revoke_rid", "b", kid=kid, before=None)
    desk("revoke_rid", "passing", kid=kid, before=None)
    desk("reinstate_rid", "passing", kid=kid)
    newest = desk.take(kid)

    found = desk.history(kid)
    assert found.changes == {
        1: (Change("a", "gone", 5),),
        2: (Change("a", 5, 9), Change("b", "gone", None)),
    }
    assert found.digests[2] == newest.digest()
    assert public_key(desk("keys")[0]).crl_version == 2


def test_without_a_change_no_list_is_taken(desk: Desk) -> None:
    kid = desk.new_key()

    assert [desk.take(kid).ctr for _ in range(3)] == [1, 1, 1]


async def _at_once(*works: Any) -> list[Any]:
    return list(await asyncio.gather(*works))


def test_two_processes_give_a_subject_one_rid(desk: Desk) -> None:
    kid = desk.new_key()

    given = asyncio.run(_at_once(*(desk.registers[n % 2].allocate(kid, "a", now=NOW) for n in range(16))))

    assert len(set(given)) == 1


def test_what_two_processes_revoke_while_lists_are_taken_is_not_lost(desk: Desk) -> None:
    kid = desk.new_key()

    def works() -> Iterator[Any]:
        for n in range(24):
            yield desk.registers[n % 2].revoke_rid(f"rid{n}", kid=kid, before=None)
            yield desk.registers[n % 2].revoke_rid("shared", kid=kid, before=100 + n)
            yield desk.databases[(n + 1) % 2].run(card_lists.take_list, URL, kid)

    asyncio.run(_at_once(*works()))
    newest = desk.take(kid)

    assert newest.entries == {**{f"rid{n}": None for n in range(24)}, "shared": 123}
    found = desk.history(kid)
    assert sorted(found.digests) == list(range(1, newest.ctr + 1))
    assert found.digests[newest.ctr] == newest.digest()


def test_secrets_are_read_byte_for_byte(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"x" * 31 + b"\n")

    assert read_secrets([good]) == (b"x" * 31 + b"\n",)


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 1025])
def test_secrets_of_another_length_are_refused_without_being_shown(tmp_path: Path, data: bytes) -> None:
    place = tmp_path / "secret"
    place.write_bytes(data)

    with pytest.raises(SettingsError) as caught:
        read_secrets([place])

    assert "xxx" not in str(caught.value)
    with pytest.raises(SettingsError):
        read_secrets([tmp_path / "missing"])
