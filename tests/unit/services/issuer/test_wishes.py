"""What a request asks for: details before scope, unknown scopes ignored, never more than there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.errors import InvalidAuthorizationDetails, InvalidScope
from safeconduct.services.issuer.wishes import Wish, narrowed, wish_of, wish_or_all, wish_or_refuse

SCOPES = {"a": "one", "b": "one", "c": "two", "d": None}
OFFERED = ("a", "b", "c", "d")


def details(*names: str) -> tuple[CredentialDetail, ...]:
    return tuple(map(CredentialDetail, names))


@pytest.mark.parametrize(
    ("named", "scope", "expected"),
    [
        ((), (), Wish((), (), ())),
        (("a",), (), Wish(("a",), (), ())),
        (("c", "a", "a"), (), Wish(("c", "a"), (), ())),
        ((), ("one",), Wish((), ("a", "b"), ("one",))),
        ((), ("two", "unknown"), Wish((), ("c",), ("two",))),
        (("a",), ("one",), Wish(("a",), ("b",), ("one",))),
        (("d",), ("two", "one"), Wish(("d",), ("a", "b", "c"), ("two", "one"))),
    ],
)
def test_details_and_scopes_add_up(named: tuple[str, ...], scope: tuple[str, ...], expected: Wish) -> None:
    assert wish_of(details(*named), scope, offered=OFFERED, scopes=SCOPES) == expected


def test_nothing_outside_the_offer_is_granted() -> None:
    assert wish_of((), ("one",), offered=("b",), scopes=SCOPES).configuration_ids == ("b",)
    with pytest.raises(InvalidAuthorizationDetails) as caught:
        wish_of(details("a"), (), offered=("b",), scopes=SCOPES)
    assert caught.value.code == "details_not_offered"


def test_asking_for_nothing_means_all_or_is_refused() -> None:
    assert wish_or_all((), ("unknown",), offered=OFFERED, scopes=SCOPES) == Wish((), OFFERED, ())
    with pytest.raises(InvalidScope) as caught:
        wish_or_refuse((), ("unknown",), offered=OFFERED, scopes=SCOPES)
    assert caught.value.code == "scope_unknown"


GRANTED = Wish(("a",), ("b", "c"), ("one", "two"))


@pytest.mark.parametrize(
    ("named", "scope", "expected"),
    [
        ((), (), GRANTED),
        (("a",), (), Wish(("a",), (), ())),
        ((), ("two",), Wish((), ("c",), ("two",))),
        (("a",), ("one",), Wish(("a",), ("b",), ("one",))),
    ],
)
def test_a_token_may_be_good_for_less(named: tuple[str, ...], scope: tuple[str, ...], expected: Wish) -> None:
    assert narrowed(GRANTED, details(*named), scope, scopes=SCOPES) == expected


def test_and_never_for_more() -> None:
    with pytest.raises(InvalidAuthorizationDetails) as details_:
        narrowed(GRANTED, details("b"), (), scopes=SCOPES)
    assert details_.value.code == "details_not_granted"
    with pytest.raises(InvalidScope) as scope:
        narrowed(GRANTED, (), ("three",), scopes=SCOPES)
    assert scope.value.code == "scope_not_granted"


@given(
    st.lists(st.sampled_from(OFFERED)),
    st.lists(st.sampled_from(["one", "two", "x"])),
    st.sets(st.sampled_from(OFFERED)),
)
def test_a_wish_is_part_of_the_offer_and_names_each_thing_once(
    named: list[str], scope: list[str], offered: set[str]
) -> None:
    wish = wish_of(
        details(*[name for name in named if name in offered]), scope, offered=sorted(offered), scopes=SCOPES
    )
    assert len(set(wish.configuration_ids)) == len(wish.configuration_ids)
    assert set(wish.configuration_ids) <= offered
