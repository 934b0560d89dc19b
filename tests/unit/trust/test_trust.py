"""Whose keys are tried, and what a policy cannot leave unsaid."""

from typing import Any

import pytest
from tests import pki
from tests.pki import END, Authority

from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.errors import Malformed, Rejected
from safeconduct.trust import WAIVED, AeadKey, Anchors, Policy, Trust

ONE, TWO, THREE = (Key.from_raw(bytes(31) + bytes((number,)), "ES256").public for number in (1, 2, 3))
A, B = "https://a.example", "https://b.example"


def test_an_issuer_has_its_own_keys_alone() -> None:
    trust = Trust.of({A: ONE, B: [TWO, THREE]})
    assert trust.keys_for(A, None) == (ONE,)
    assert trust.keys_for(B, None) == (TWO, THREE)
    assert trust.keys_for("https://c.example", None) == ()
    assert trust.keys_for(None, None) == ()


def test_pinned_keys_belong_to_every_issuer() -> None:
    trust = Trust.key(ONE, TWO)
    assert trust.keys_for(A, None) == (ONE, TWO)
    assert trust.keys_for(None, None) == (ONE, TWO)


NAMED: dict[str, list[PublicKey]] = {A: [ONE.with_kid(b"1"), TWO.with_kid("2"), THREE]}


@pytest.mark.parametrize(
    ("kid", "expected"),
    [
        (b"1", (ONE,)),
        ("1", (ONE,)),
        (b"2", (TWO,)),
        (b"3", (THREE,)),
        (b"", (THREE,)),
        (None, (ONE, TWO, THREE)),
    ],
)
def test_a_kid_leaves_the_keys_that_have_it_or_else_those_without_any(
    kid: bytes | str | None, expected: tuple[PublicKey, ...]
) -> None:
    assert Trust.of(NAMED).keys_for(A, kid) == expected


def test_nobody_is_trusted_by_default() -> None:
    assert Trust().keys_for(A, None) == ()
    assert not Trust().issuer_unchecked
    assert not Trust.of({}).issuer_unchecked
    assert Trust.issuer_not_checked().issuer_unchecked


@pytest.mark.parametrize("missing", ["audience", "nonce"])
def test_a_policy_sets_or_waives_audience_and_nonce(missing: str) -> None:
    given: dict[str, Any] = {"audience": A, "nonce": b"x"}
    del given[missing]
    with pytest.raises(TypeError):
        Policy(**given)
    assert Policy(**given, **{missing: WAIVED})


def test_a_policy_is_strict_by_default() -> None:
    policy = Policy(audience=A, nonce=b"x")
    assert (policy.profiles, policy.accept, policy.leeway) == (("ietf-08",), frozenset(), 0)
    assert (policy.audiences, Policy(audience=(A, B), nonce=b"x").audiences) == ((A,), (A, B))
    assert Policy(audience=WAIVED, nonce=WAIVED).audiences == ()


def test_neither_trust_nor_policy_can_be_changed() -> None:
    for frozen in (Trust(), Policy(audience=A, nonce=b"x"), AeadKey(b"")):
        with pytest.raises(AttributeError):
            frozen.accept = frozenset({"raw-digest"})  # type: ignore[union-attr]


def test_a_secret_is_not_in_the_repr() -> None:
    assert "abc" not in repr(AeadKey(b"abc"))
    assert "abc" not in repr(Policy(audience=A, nonce=b"x", aead_keys=(AeadKey(b"abc"),)))


NOW = 1_800_000_000
ROOT, OTHER = Authority.root(), Authority.root("Other")
LEAF = Key.generate("ES256")


def x5c(authority: Authority = ROOT, **names: Any) -> list[str]:
    return x509.to_x5c(authority.chain(LEAF, **names))


def mismatched(trust: Trust, issuer: str | None, chain: Any, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        trust.keys_for(issuer, None, chain, now=NOW)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("issuer", "names"),
    [
        (A, {"uris": [B, A]}),
        (A, {"dns": ["b.example", "a.example"]}),
        ("https://A.example:8443/tenant", {"dns": ["A.Example"]}),
        ("urn:issuer:1", {"uris": ["urn:issuer:1"]}),
        (None, {}),
    ],
)
def test_a_shared_authority_certifies_whom_the_certificate_names(
    issuer: str | None, names: dict[str, Any]
) -> None:
    trust = Trust.certified(ROOT.certificate)

    assert trust.keys_for(issuer, None, x5c(**names), now=NOW) == (LEAF.public,)
    leaf = trust.leaf_for(issuer, x5c(**names), now=NOW)
    assert leaf is not None
    assert leaf.key == LEAF.public


@pytest.mark.parametrize(
    ("issuer", "names"),
    [
        (A, {}),
        (A, {"uris": [B, f"{A}/", "http://a.example"]}),
        (A, {"dns": ["b.example", "example", "www.a.example", "*.example"]}),
        ("http://a.example", {"dns": ["a.example"]}),
        ("a.example", {"dns": ["a.example"]}),
        ("https://[", {"dns": ["a.example"]}),
        ("", {"dns": ["a.example"]}),
    ],
)
def test_a_certificate_of_another_issuer_is_refused(issuer: str, names: dict[str, Any]) -> None:
    mismatched(Trust.certified(ROOT.certificate), issuer, x5c(**names), "x5c_name_mismatch")


def test_an_issuer_has_its_own_authorities_alone() -> None:
    trust = Trust(
        anchors={A: Anchors((ROOT.certificate,)), B: Anchors((OTHER.certificate,), names="any")},
        shared=Anchors((ROOT.certificate, OTHER.certificate)),
    )

    assert trust.keys_for(A, None, x5c(uris=[A]), now=NOW) == (LEAF.public,)
    assert trust.keys_for(B, None, x5c(OTHER), now=NOW) == (LEAF.public,)
    mismatched(trust, A, x5c(), "x5c_name_mismatch")
    mismatched(trust, A, x5c(OTHER, uris=[A]), "x5c_untrusted")
    mismatched(trust, B, x5c(ROOT, uris=[B]), "x5c_untrusted")


def test_a_shared_authority_cannot_certify_for_an_issuer_that_is_listed_by_its_keys() -> None:
    trust = Trust({A: (ONE,)}, shared=Anchors((ROOT.certificate,)))

    assert trust.keys_for(A, None, x5c(uris=[A]), now=NOW) == (ONE,)
    assert trust.leaf_for(A, x5c(uris=[A]), now=NOW) is None


def test_where_anchors_apply_a_chain_decides_alone() -> None:
    trust = Trust({A: (ONE,)}, anchors={A: Anchors((ROOT.certificate,))}, pinned=(TWO,))

    assert trust.keys_for(A) == (TWO, ONE)
    assert trust.keys_for(A, None, x5c(uris=[A]), now=NOW) == (LEAF.public,)
    mismatched(trust, A, x5c(OTHER, uris=[A]), "x5c_untrusted")


def test_a_chain_is_ignored_where_no_anchors_apply() -> None:
    assert Trust.of({A: ONE}).keys_for(A, None, "no chain", now=NOW) == (ONE,)
    assert Trust.of({A: ONE}).keys_for(B, None, x5c(uris=[B]), now=NOW) == ()
    assert Trust.key(ONE).keys_for(None, None, x5c(), now=NOW) == (ONE,)


def test_a_chain_is_judged_at_a_time() -> None:
    trust = Trust.certified(ROOT.certificate)

    with pytest.raises(ValueError, match="now"):
        trust.keys_for(None, None, x5c())
    with pytest.raises(Rejected) as caught:
        trust.keys_for(None, None, x5c(), now=END + 1)
    assert caught.value.code == "x5c_expired"
    with pytest.raises(Malformed) as malformed:
        trust.keys_for(None, None, "no chain", now=NOW)
    assert malformed.value.code == "x5c_malformed"


def test_leniencies_are_those_of_the_anchors() -> None:
    chain = [*x5c(), *x509.to_x5c([ROOT.certificate])]

    mismatched(Trust.certified(ROOT.certificate), None, chain, "x5c_includes_anchor")
    lenient = Trust.certified(ROOT.certificate, accept=[x509.ANCHOR_IN_CHAIN])
    assert lenient.keys_for(None, None, chain, now=NOW) == (LEAF.public,)


def test_a_pinned_certificate_may_stand_for_itself() -> None:
    own = pki._signed("Own", LEAF, "Own", LEAF)
    trust = Trust(anchors={A: Anchors((own,), "any", frozenset({x509.SELF_SIGNED_LEAF}))})

    assert trust.keys_for(A, None, x509.to_x5c([own]), now=NOW) == (LEAF.public,)
