"""Revocation identifiers: derived, drawn, and as entries of a list."""

import pytest

from safeconduct.errors import Malformed
from safeconduct.status.card_revocation import rids

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
SECRET = bytes(range(32))


def test_a_derived_rid_has_64_bits_in_11_characters() -> None:
    rid = rids.derive(SECRET, KID, "person")

    assert len(rid) == 11
    assert rids.is_rid(rid)
    assert rid == rids.derive(SECRET, KID, "person")


def test_a_derived_rid_depends_on_secret_key_and_subject() -> None:
    all_of_them = {
        rids.derive(SECRET, KID, "person"),
        rids.derive(SECRET[::-1], KID, "person"),
        rids.derive(SECRET, KID[::-1], "person"),
        rids.derive(SECRET, KID, "another"),
    }

    assert len(all_of_them) == 4


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        rids.derive(SECRET[:31], KID, "person")


def test_a_drawn_rid_has_128_bits_in_22_characters() -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    rid = rids.draw(random)

    assert asked == [16]
    assert rid == "A" * 22
    assert rids.is_rid(rid)


@pytest.mark.parametrize("rid", ["a", "_-", "this_is_exactly_24_chars", "CaseSensitiveRid01"])
def test_what_can_be_a_rid(rid: str) -> None:
    assert rids.is_rid(rid)


@pytest.mark.parametrize("rid", ["", "a" * 25, "a.b", "a+b", "a=", "a b", "é", "a\n", None, 7, b"a"])
def test_what_cannot_be_a_rid(rid: object) -> None:
    assert not rids.is_rid(rid)


def test_entries_are_read_as_they_are_written() -> None:
    reaches = {"plain": None, "timed": 1687450765, "-dash_": 1}

    assert rids.read_entries(rids.write_entries(reaches)) == reaches
    assert rids.write_entries(reaches) == ["-dash_.1", "plain", "timed.1687450765"]


def test_entries_are_sorted_bytewise() -> None:
    # "-" is before "." and ".", before digits and letters.
    assert rids.write_entries({"a0": None, "a-": None, "a": 5}) == ["a-", "a.5", "a0"]


@pytest.mark.parametrize(
    "entry",
    [
        *("", "a.", ".5", "a.b", "a.-1", "a.1.2", "a.1e3", "a.1.0", "a.05", "a. 5", "a\nb", "a" * 25),
        *("a.5\n", "a.٣", "a+.5", "a." + "1" * 16, "a.1,", "a.0x1"),
    ],
)
def test_an_entry_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(Malformed) as caught:
        rids.read_entries(["good", entry])

    assert caught.value.code == "crl_entry_malformed"


@pytest.mark.parametrize("entries", [["a", "a"], ["a.1", "a.1"], ["a", "a.1"], ["a.1", "a.2"]])
def test_two_entries_about_one_identifier_are_refused(entries: list[str]) -> None:
    with pytest.raises(Malformed) as caught:
        rids.read_entries(entries)

    assert caught.value.code == "crl_duplicate"


@pytest.mark.parametrize("reach", [0, -1, 0xFFFF_FFFF, 1 << 40])
def test_a_time_that_a_log_has_no_room_for_is_not_written(reach: int) -> None:
    with pytest.raises(ValueError, match="1970"):
        rids.entry("a", reach)


def test_entries_one_by_one() -> None:
    assert rids.entry("a", None) == "a"
    assert rids.entry("a", rids.LAST_SECOND) == "a.4294967294"
    with pytest.raises(ValueError, match="rid"):
        rids.entry("a.b", None)


@pytest.mark.parametrize(
    ("reach", "nbf", "covered"),
    [
        (None, 0, True),
        (None, 1e12, True),
        (100, 99, True),
        (100, 99.999, True),
        (100, 100, False),  # SMART Health Cards 1.4.0: "before", strictly
        (100, 100.001, False),
        (0, 0, False),
    ],
)
def test_which_cards_an_entry_takes_in(reach: int | None, nbf: float, covered: bool) -> None:
    assert rids.covers(reach, nbf) is covered


def test_the_wider_of_two_reaches() -> None:
    assert rids.wider(5, 7) == rids.wider(7, 5) == 7
    assert rids.wider(None, 7) is rids.wider(7, None) is None
