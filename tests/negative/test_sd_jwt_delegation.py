"""S8, the sender as authority: what a delegated credential must stand, each link of it forged in turn.

Chains are built by hand here; only the last tests use what makes them.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    BOUND_AT,
    EXP,
    FIRST,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUER,
    ISSUER_KEY,
    NAME,
    NBF,
    NONCE,
    NOW,
    OTHER_KEY,
    TRUST,
    VCT,
    changed,
    code_of,
    digest,
    disclosure,
    element,
    jws,
    policy,
    salt,
)
from tests.negative.status_list_builder import ListToken

from safeconduct import limits, redact, sd_jwt
from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_jwt import delegated_chain, delegated_verification, delegation
from safeconduct.formats.sd_jwt.delegation import DelegationPolicy, VerifiedDelegation
from safeconduct.trust import WAIVED, Trust

RECEIVER_KEY = Key.from_raw(bytes(31) + b"\x04", "ES256").deterministic()
THIRD_KEY = Key.from_raw(bytes(31) + b"\x05", "ES256").deterministic()
RIGHTS = "access_rights"
ROOT = GOOD.claiming({RIGHTS: ["open", "drive", "share"]}).showing(NAME, FIRST)


def jwk(key: Key) -> dict[str, Any]:
    return {name: value for name, value in key.public.to_jwk().items() if name != "alg"}


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """One link, every part replaceable. parent: JWT and disclosures of what it passes on."""

    parent: str
    passed: tuple[str, ...]
    by: Key
    to: Key
    claims: Mapping[str, Any] = {}
    grant: Mapping[str, Any] = {}
    header: Mapping[str, Any] = {}
    shown: tuple[int, ...] | None = None
    first_salt: int = 20

    def elements(self) -> list[str]:
        return [disclosure(salt(self.first_salt + place), text) for place, text in enumerate(self.passed)]

    def jwt(self) -> str:
        grant = {
            "parent": self.parent,
            "disclosures": [element(text) for text in self.elements()],
            "rights": {RIGHTS: ["open"]},
            "further": 0,
        }
        claims = {
            "vct": "urn:safeconduct:delegation:1",
            "iat": IAT,
            "nbf": IAT,
            "exp": EXP - 1,
            "cnf": {"jwk": jwk(self.to)},
            "delegation": changed(grant, self.grant),
            "_sd_alg": "sha-256",
        }
        header = changed({"alg": "ES256", "typ": "sct-delegation+jwt"}, self.header)
        return jws(header, changed(claims, self.claims), self.by)

    def disclosures(self) -> list[str]:
        elements = self.elements()
        return elements if self.shown is None else [elements[place] for place in self.shown]

    def issued(self) -> str:
        return "~".join([self.jwt(), *self.disclosures(), ""])

    def text(self, *, by: Key | None = None, **binding: Any) -> str:
        claims = {
            "aud": AUDIENCE,
            "iat": BOUND_AT,
            "nonce": NONCE,
            "sd_hash": digest(self.issued()),
            **binding,
        }
        return self.issued() + jws({"alg": "ES256", "typ": "kb+jwt"}, claims, by or self.to)

    def but(self, **parts: Any) -> "Hand":
        return msgspec.structs.replace(self, **parts)

    def on(self, to: Key = THIRD_KEY, **parts: Any) -> "Hand":
        """The link that passes this one on."""
        first = self.first_salt + 40
        made = Hand(parent=self.jwt(), passed=tuple(self.disclosures()), by=self.to, to=to, first_salt=first)
        return made.but(**parts)


def of_root(root: Any = ROOT, **parts: Any) -> Hand:
    made = Hand(parent=root.jwt(), passed=root.disclosures, by=HOLDER_KEY, to=RECEIVER_KEY)
    return made.but(**parts)


LINK = of_root()
GIVEN_ON = of_root(grant={"further": 1})
TAKEN = DelegationPolicy(depth=1, types=frozenset({VCT}))
TWICE = DelegationPolicy(depth=2, types=frozenset({VCT}))


def verify(data: Hand | str, *, taken: DelegationPolicy = TAKEN, **changes: Any) -> VerifiedDelegation:
    arguments = {name: changes.pop(name) for name in ("trust", "now", "status_lists") if name in changes}
    text = data.text() if isinstance(data, Hand) else data
    return delegation.verify(
        text, **{"trust": TRUST, "now": NOW, **arguments}, policy=policy(**changes), delegation=taken
    )


def refused(data: Hand | str, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        verify(data, **changes)
    return error.value.code


# What is good.


def test_S8_a_delegated_credential_gives_what_its_issuer_said_narrowed_by_its_sender() -> None:
    verified = verify(LINK)
    assert verified.claims["given_name"] == "Erika"
    assert verified.claims[RIGHTS] == ["open"]
    assert (verified.claims["exp"], verified.claims["nbf"]) == (EXP - 1, IAT)
    assert verified.claims["cnf"] == {"jwk": jwk(RECEIVER_KEY)}
    assert (verified.issuer, verified.issuer_key) == (ISSUER, ISSUER_KEY.public)
    assert verified.holder == RECEIVER_KEY.public
    assert verified.key_binding is not None
    assert verified.key_binding["nonce"] == NONCE
    (link,) = verified.links
    assert (link.delegator, link.holder) == (HOLDER_KEY.public, RECEIVER_KEY.public)
    assert (link.not_before, link.expires, link.further) == (IAT, EXP - 1, 0)
    assert "Erika" not in repr(verified) + repr(link)


def test_S8_nobody_takes_the_receiver_for_the_first_holder() -> None:
    """Whoever reads `sub` for an account would let the receiver into the sender's."""
    verified = verify(of_root(ROOT.claiming({"sub": "urn:holder:1"})))
    assert "sub" not in verified.claims
    assert verified.claims["iss"] == ISSUER


def test_S8_the_receiver_withholds_what_the_sender_gave_along() -> None:
    verified = verify(LINK.but(shown=(1,)))
    assert "given_name" not in verified.claims
    assert verified.claims["nationalities"] == ["DE", "AT"]


def test_S8_who_may_passes_it_on_once_more() -> None:
    verified = verify(GIVEN_ON.on(), taken=TWICE)
    assert [link.holder for link in verified.links] == [RECEIVER_KEY.public, THIRD_KEY.public]
    assert verified.claims[RIGHTS] == ["open"]


def test_S8_rights_that_the_receiver_withholds_are_not_given_by_the_narrowing() -> None:
    hidden = disclosure(salt(9), RIGHTS, ["open", "drive"])
    link = of_root(GOOD.redacting(hidden))
    assert verify(link).claims[RIGHTS] == ["open"]
    assert RIGHTS not in verify(link.but(shown=())).claims


# Each link forged.


def test_A1_a_link_by_another_key_than_the_parents_is_refused() -> None:
    assert refused(LINK.but(by=OTHER_KEY)) == "signature_invalid"
    assert refused(GIVEN_ON.on(by=OTHER_KEY), taken=TWICE) == "signature_invalid"
    assert refused(GIVEN_ON.but(by=OTHER_KEY).on(), taken=TWICE) == "signature_invalid"


def test_a_link_that_names_another_algorithm_than_the_parents_key_has_is_refused() -> None:
    other = Key.generate("Ed25519")
    assert refused(LINK.but(by=other, header={"alg": "EdDSA"})) == "algorithm_unsupported"


def test_a_link_by_the_issuers_key_is_no_link_of_the_holder() -> None:
    assert refused(LINK.but(by=ISSUER_KEY)) == "signature_invalid"


def test_a_parent_of_a_stranger_is_refused() -> None:
    assert refused(of_root(ROOT.but(issuer_key=OTHER_KEY))) == "signature_invalid"
    assert refused(LINK, trust=Trust.of({"https://else.example": ISSUER_KEY.public})) == "issuer_unknown"


def test_a_swapped_parent_is_refused() -> None:
    """Another credential of the same holder under the old link: the link's signature is over its parent."""
    other = of_root(ROOT.claiming({RIGHTS: ["open", "fly"]}))
    header, _, signature = LINK.jwt().split(".")
    swapped = ".".join([header, other.jwt().split(".")[1], signature])
    text = "~".join([swapped, *other.disclosures(), ""])
    binding = {"aud": AUDIENCE, "iat": BOUND_AT, "nonce": NONCE, "sd_hash": digest(text)}
    assert (
        refused(text + jws({"alg": "ES256", "typ": "kb+jwt"}, binding, RECEIVER_KEY)) == "signature_invalid"
    )


def test_a_parent_that_is_bound_to_another_holder_is_refused() -> None:
    assert refused(of_root(ROOT.claiming({"cnf": {"jwk": jwk(OTHER_KEY)}}))) == "signature_invalid"


def test_a_parent_that_is_bound_to_nobody_is_refused() -> None:
    assert refused(of_root(ROOT.claiming({"cnf": ...}))) == "cnf_missing"


def test_a_key_binding_by_the_sender_is_none_by_the_receiver() -> None:
    assert refused(LINK.text(by=HOLDER_KEY)) == "signature_invalid"


@pytest.mark.parametrize(
    ("bound", "code"),
    [
        ({"aud": "https://else.example"}, "kbt_audience_mismatch"),
        ({"nonce": "another"}, "nonce_mismatch"),
        ({"sd_hash": digest("another")}, "sd_hash_mismatch"),
    ],
)
def test_the_key_binding_is_for_this_presentation(bound: dict[str, Any], code: str) -> None:
    assert refused(LINK.text(**bound)) == code


def test_without_a_key_binding_it_is_refused() -> None:
    assert refused(LINK.issued()) == "key_binding_missing"


def test_a_disclosure_that_the_sender_did_not_give_is_refused() -> None:
    text = LINK.issued() + disclosure(salt(90), disclosure(salt(91), "rank", "admiral")) + "~"
    binding = {"aud": AUDIENCE, "iat": BOUND_AT, "nonce": NONCE, "sd_hash": digest(text)}
    assert refused(text + jws({"alg": "ES256", "typ": "kb+jwt"}, binding, RECEIVER_KEY)) == (
        "disclosure_unreferenced"
    )


def test_a_disclosure_that_the_issuer_did_not_sign_is_refused() -> None:
    forged = of_root(passed=(disclosure(salt(91), "rank", "admiral"),))
    assert refused(forged) == "disclosure_unreferenced"


# Attenuation.


def test_A35_wider_rights_than_the_parents_are_refused() -> None:
    assert refused(LINK.but(grant={"rights": {RIGHTS: ["open", "fly"]}})) == "delegation_exceeds_parent"


def test_A35_rights_that_an_earlier_link_took_do_not_come_back() -> None:
    widened = GIVEN_ON.on(grant={"rights": {RIGHTS: ["open", "drive"]}})
    assert refused(widened, taken=TWICE) == "delegation_exceeds_parent"


def test_only_arrays_of_texts_are_narrowed() -> None:
    assert refused(LINK.but(grant={"rights": {"given_name": ["E"]}})) == "delegation_exceeds_parent"
    mixed = of_root(ROOT.claiming({RIGHTS: [1, "drive"]}))
    assert refused(mixed) == "delegation_exceeds_parent"


@pytest.mark.parametrize("name", ["aud", "cnf", "iss", "vct", "status", "exp"])
def test_registered_claims_are_not_narrowed(name: str) -> None:
    assert refused(LINK.but(grant={"rights": {name: ["x"]}})) == "delegation_malformed"


def test_A35_a_longer_validity_than_the_parents_is_refused() -> None:
    assert verify(LINK.but(claims={"exp": EXP})).claims["exp"] == EXP
    assert refused(LINK.but(claims={"exp": EXP + 1})) == "delegation_outlives_parent"
    assert verify(LINK.but(claims={"nbf": NBF})).claims["nbf"] == NBF
    assert refused(LINK.but(claims={"nbf": NBF - 1})) == "delegation_outlives_parent"
    assert refused(GIVEN_ON.on(claims={"exp": EXP}), taken=TWICE) == "delegation_outlives_parent"
    assert refused(GIVEN_ON.on(claims={"nbf": IAT - 1}), taken=TWICE) == "delegation_outlives_parent"


def test_a_parent_without_times_bounds_none() -> None:
    endless = of_root(ROOT.claiming({"exp": ..., "nbf": ...}), claims={"exp": EXP + 9, "nbf": NBF - 9})
    assert verify(endless).claims["exp"] == EXP + 9


@pytest.mark.parametrize(
    ("claims", "now", "code"),
    [
        ({"exp": NOW}, NOW, "expired"),
        ({"nbf": NOW + 1}, NOW, "not_yet_valid"),
        ({"nbf": NOW + 1, "iat": NOW + 1}, NOW, "not_yet_valid"),
        ({"iat": NOW + 1}, NOW, "issued_in_future"),
        ({"nbf": EXP - 1}, NOW, "jwt_times"),
        ({}, EXP, "expired"),
    ],
)
def test_a_link_is_good_in_its_time_alone(claims: dict[str, int], now: int, code: str) -> None:
    assert refused(LINK.but(claims=claims), now=now) == code


def test_an_earlier_link_that_is_over_ends_the_later_ones() -> None:
    over = of_root(grant={"further": 1}, claims={"exp": NOW}).on(claims={"exp": NOW})
    assert refused(over, taken=TWICE) == "expired"


def test_an_expired_parent_ends_its_delegations() -> None:
    assert refused(of_root(ROOT.claiming({"exp": NOW}), claims={"exp": NOW})) == "expired"


# Depth.


def test_A34_deeper_than_the_verifier_allows_is_refused() -> None:
    assert refused(GIVEN_ON.on(), taken=TAKEN) == "delegation_too_deep"
    assert refused(LINK, taken=DelegationPolicy(depth=0, types=WAIVED)) == "delegation_too_deep"


def test_A34_whoever_was_not_given_it_to_pass_on_cannot() -> None:
    assert refused(LINK.on(), taken=TWICE) == "delegation_not_passed_on"
    assert refused(GIVEN_ON.on(grant={"further": 1}), taken=TWICE) == "delegation_not_passed_on"


def _passed_on(times: int) -> Hand:
    hand = of_root(grant={"further": limits.DELEGATION_DEPTH})
    for left in range(times - 1):
        further = limits.DELEGATION_DEPTH - 1 - left
        hand = hand.on(RECEIVER_KEY, grant={"further": further})
    return hand


def test_a_chain_has_DELEGATION_DEPTH_links_and_one_more_not() -> None:
    most = DelegationPolicy(depth=100, types=WAIVED)
    assert len(verify(_passed_on(limits.DELEGATION_DEPTH), taken=most).links) == limits.DELEGATION_DEPTH
    assert refused(_passed_on(limits.DELEGATION_DEPTH + 1), taken=most) == "delegation_too_deep"


def test_a_delegation_narrows_DELEGATION_RIGHTS_claims_and_one_more_not() -> None:
    many = {f"right{number}": ["x"] for number in range(limits.DELEGATION_RIGHTS)}
    assert verify(LINK.but(grant={"rights": many}))
    assert refused(LINK.but(grant={"rights": {**many, "y": ["x"]}})) == "delegation_malformed"


# The policy.


def test_a_type_that_the_verifier_takes_from_its_holder_alone_is_refused() -> None:
    taken = DelegationPolicy(depth=1, types=frozenset({"https://else.example/type"}))
    assert refused(LINK, taken=taken) == "type_not_accepted"
    assert refused(LINK, types=frozenset({"https://else.example/type"})) == "type_not_accepted"
    assert verify(LINK, taken=DelegationPolicy(depth=1, types=WAIVED)).issuer == ISSUER


def test_what_the_policy_demands_is_demanded_of_the_issuers_token() -> None:
    assert refused(LINK, require_claims=frozenset({"rank"})) == "claim_missing"
    assert refused(LINK.but(shown=()), require_disclosure=True) == "disclosure_required"


def test_A36_a_revoked_parent_ends_its_delegations() -> None:
    uri = "https://issuer.example/status/1"
    root = ROOT.claiming({"status": {"status_list": {"idx": 3, "uri": uri}}})
    for value, code in ((1, "status_invalid"), (2, "status_suspended")):
        lists = status_lists(uri, value)
        assert refused(of_root(root), status="fail-closed", status_lists=lists) == code
        twice = of_root(root, grant={"further": 1}).on()
        assert refused(twice, taken=TWICE, status="fail-closed", status_lists=lists) == code
    good = verify(of_root(root), status="fail-closed", status_lists=status_lists(uri, 0))
    assert good.status is not None
    assert good.status.state == "valid"
    assert "status" not in good.claims  # it is the sender's, by which it could be recognised
    assert refused(of_root(root), status="fail-closed") == "status_list_missing"


def status_lists(uri: str, value: int) -> sd_jwt.TokenStatusLists:
    listed = ListToken(key=ISSUER_KEY, data=bytes([value << 6]), bits=2, claims={"sub": uri})
    return sd_jwt.TokenStatusLists.of(listed.encoded())


# It is no ordinary credential, and an ordinary one is no delegation.


def test_a_delegated_token_verifies_as_no_ordinary_credential() -> None:
    believed = Trust.key(HOLDER_KEY.public)  # even where the sender's key would be believed
    for profiles in ((), ("sd-jwt-vc",), ("sd-jwt",), ("sd-jwt-vc", "sd-jwt")):
        changes = {"profiles": profiles} if profiles else {}
        assert code_of(LINK.text(), trust=believed, **changes) == "sd_jwt_typ"
        assert (
            code_of(LINK.text(), trust=believed, accept=frozenset(sd_jwt.LENIENCIES), **changes)
            == "sd_jwt_typ"
        )
    with pytest.raises(SafeconductError) as error:
        sd_jwt.parse(LINK.issued())
    assert error.value.code == "sd_jwt_typ"


@pytest.mark.parametrize("typ", ["dc+sd-jwt", "example+sd-jwt", "kb+jwt", "JWT", ...])
def test_a_delegation_under_another_type_is_none(typ: Any) -> None:
    assert refused(LINK.but(header={"typ": typ})) == "sd_jwt_typ"


def test_an_ordinary_credential_is_no_delegation() -> None:
    assert refused(ROOT.text()) == "sd_jwt_typ"
    with pytest.raises(SafeconductError) as error:
        delegation.check_issued(ROOT.issued(), holder=HOLDER_KEY.public, trust=TRUST, now=NOW, types=WAIVED)
    assert error.value.code == "sd_jwt_typ"


def test_only_an_sd_jwt_vc_is_passed_on() -> None:
    assert refused(of_root(ROOT.headed({"typ": "example+sd-jwt"}))) == "sd_jwt_typ"
    assert refused(of_root(ROOT.headed({"typ": "kb+jwt"}))) == "sd_jwt_typ"


# What it says.


@pytest.mark.parametrize(
    "claims",
    [
        {"vct": VCT},
        {"vct": ...},
        {"exp": ...},
        {"nbf": ...},
        {"iat": ...},
        {"exp": "soon"},
        {"exp": EXP - 0.5},
        {"cnf": ...},
        {"delegation": ...},
        {"delegation": "x"},
        {"given_name": "Erik"},
        {"iss": ISSUER},
        {"status": {}},
        {"_sd": [digest("x")]},
    ],
)
def test_a_delegation_says_all_that_it_has_to_and_nothing_else(claims: dict[str, Any]) -> None:
    assert refused(LINK.but(claims=claims)) == "delegation_malformed"


@pytest.mark.parametrize(
    "grant",
    [
        {"parent": ...},
        {"parent": 1},
        {"parent": ""},
        {"parent": f"{ROOT.jwt()}~{NAME}"},
        {"parent": "~"},
        {"disclosures": ...},
        {"disclosures": {}},
        {"disclosures": [1]},
        {"disclosures": [""]},
        {"disclosures": ["a~b"]},
        {"disclosures": [{"x": 1}]},
        {"rights": ...},
        {"rights": {RIGHTS: "open"}},
        {"rights": {RIGHTS: [{"...": digest("x")}]}},
        {"rights": {"_sd": [digest("x")]}},
        {"rights": {RIGHTS: [1]}},
        {"rights": {"_sd_alg": ["x"]}},
        {"further": ...},
        {"further": -1},
        {"further": limits.DELEGATION_DEPTH + 1},
        {"further": True},
        {"more": 1},
        {"_sd": [digest("x")]},
    ],
)
def test_the_claim_delegation_has_its_exact_shape(grant: dict[str, Any]) -> None:
    assert refused(LINK.but(grant=grant, passed=())) in ("delegation_malformed", "digest_malformed")


def test_narrowing_cannot_be_withheld() -> None:
    """Rights behind a digest would be gone when the receiver keeps the disclosure back."""
    hidden = disclosure(salt(95), "rights", {RIGHTS: ["open"]})
    link = LINK.but(grant={"rights": ..., "_sd": [digest(hidden)]})
    assert refused(link) == "delegation_malformed"


def test_a_parent_is_in_the_compact_form() -> None:
    flat = json.dumps(ROOT.flattened())
    assert refused(LINK.but(parent=flat)) in ("delegation_malformed", "sd_jwt_malformed", "json_malformed")
    in_json = json.loads(json.dumps(ROOT.flattened()))
    in_json["header"].pop("kb_jwt")
    assert refused(LINK.but(parent=json.dumps(in_json), passed=())) != "sd_jwt_typ"


def test_a_delegation_is_in_the_compact_form() -> None:
    protected, payload, signature = LINK.jwt().split(".")
    header = {"disclosures": LINK.disclosures(), "kb_jwt": LINK.text().rpartition("~")[2]}
    shape = {"payload": payload, "protected": protected, "signature": signature, "header": header}
    assert refused(json.dumps(shape)) == "delegation_malformed"


def test_a_disclosure_reveals_nothing_but_an_element_of_disclosures() -> None:
    """An element within an element of the sender's making."""
    inner = disclosure(salt(96), "x")
    outer = disclosure(salt(97), [element(inner)])
    link = LINK.but(grant={"disclosures": [element(outer)]}, passed=())
    text = "~".join([link.jwt(), outer, inner, ""])
    binding = {"aud": AUDIENCE, "iat": BOUND_AT, "nonce": NONCE, "sd_hash": digest(text)}
    assert refused(text + jws({"alg": "ES256", "typ": "kb+jwt"}, binding, RECEIVER_KEY)) == (
        "delegation_malformed"
    )


@pytest.mark.parametrize(
    ("cnf", "code"),
    [
        ({}, "cnf_unsupported"),
        ({"kid": "x"}, "cnf_key_unknown"),
        ({"jkt": "x"}, "cnf_key_unknown"),
        ({"jwk": {}}, "key_malformed"),
        ({"jwk": {"kty": "oct", "k": "eA"}}, "private_key_where_public_expected"),
    ],
)
def test_a_link_names_its_receivers_key(cnf: dict[str, Any], code: str) -> None:
    assert refused(LINK.but(claims={"cnf": cnf})) == code


# The tests can fail: with one protection patched away, the attack that it stops succeeds.


def test_wider_rights_pass_without_the_attenuation(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = LINK.but(grant={"rights": {RIGHTS: ["open", "fly"]}}, claims={"exp": EXP + 1})
    monkeypatch.setattr(
        delegated_verification, "attenuated", lambda claims, _, link: {**claims, **link.delegation.rights}
    )
    assert verify(wider).claims[RIGHTS] == ["open", "fly"]


def test_a_stranger_passes_it_on_without_the_links_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trust, "key", lambda *_: Trust.issuer_not_checked())
    assert verify(LINK.but(by=OTHER_KEY)).links[0].delegator == HOLDER_KEY.public


def test_a_delegation_verifies_as_an_sd_jwt_where_its_type_is_one_of_those() -> None:
    """What the type keeps apart: with the ending of SD-JWTs, who believes the sender takes its claims."""
    careless = LINK.but(header={"typ": "sct-delegation+sd-jwt"})
    believed = Trust.key(HOLDER_KEY.public)
    verified = sd_jwt.verify(careless.text(), trust=believed, policy=policy(), now=NOW)
    assert verified.profile == "sd-jwt"


# Making, checking and presenting.


def root_token(**claims: Any) -> str:
    return sd_jwt.issue(
        {
            "iss": ISSUER,
            "vct": VCT,
            "nbf": NBF,
            "exp": EXP,
            "given_name": redact("Erika"),
            "address": redact({"country": "DE", "region": redact("NI")}),
            RIGHTS: ["open", "drive"],
            **claims,
        },
        issuer=ISSUER_KEY,
        holder=HOLDER_KEY.public,
        now=IAT,
    )


def passed_on(parent: str | None = None, **changes: Any) -> str:
    usual: dict[str, Any] = {
        "delegator": HOLDER_KEY,
        "receiver": RECEIVER_KEY.public,
        "disclose": ["address.region"],
        "rights": {RIGHTS: ["open"]},
        "not_before": IAT,
        "expires": EXP,
        "further": 0,
        "now": IAT,
    }
    return delegation.issue(root_token() if parent is None else parent, **{**usual, **changes})


def issue_refused(parent: str | None = None, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        passed_on(parent, **changes)
    return error.value.code


def shown(token: str, *, disclose: Any, holder: Key = RECEIVER_KEY) -> str:
    return delegation.present(
        token, holder=holder, disclose=disclose, audience=AUDIENCE, nonce=NONCE, now=BOUND_AT
    )


def checked(token: str, **changes: Any) -> delegation.HeldDelegation:
    usual: dict[str, Any] = {"holder": RECEIVER_KEY.public, "trust": TRUST, "now": NOW, "types": [VCT]}
    return delegation.check_issued(token, **{**usual, **changes})


def test_what_the_sender_kept_back_does_not_go_along() -> None:
    held = checked(passed_on())
    assert held.claims["address"] == {"country": "DE", "region": "NI"}
    assert "given_name" not in held.claims
    inside = delegated_chain.open_chain(passed_on(), accept=(), depth=1).root.token.disclosures
    assert {item.key for item in inside} == {"address", "region"}
    assert "Erika" not in repr(held)
    assert set(held.redactable) == {("address",), ("address", "region")}


def test_the_receiver_shows_a_part_by_claim_paths() -> None:
    token = passed_on()
    assert verify(shown(token, disclose=["address"])).claims["address"] == {"country": "DE", "region": "NI"}
    assert "address" not in verify(shown(token, disclose=[])).claims
    outer = verify(shown(token, disclose=lambda path, _: path == ("address",)))
    assert outer.claims["address"] == {"country": "DE"}
    with pytest.raises(SafeconductError) as error:
        shown(token, disclose=["given_name"])
    assert error.value.code == "claim_not_found"


def test_a_part_of_what_was_passed_on_twice_is_shown_by_claim_paths() -> None:
    once = passed_on(disclose=sd_jwt.ALL, further=1)
    twice = passed_on(
        once, delegator=RECEIVER_KEY, receiver=THIRD_KEY.public, disclose=["address"], rights={}
    )
    assert checked(twice, holder=THIRD_KEY.public).claims[RIGHTS] == ["open"]
    text = shown(twice, disclose=["address.region"], holder=THIRD_KEY)
    assert verify(text, taken=TWICE).claims["address"] == {"country": "DE", "region": "NI"}
    assert "given_name" not in verify(text, taken=TWICE).claims


def test_only_the_receiver_keeps_and_shows_it() -> None:
    with pytest.raises(SafeconductError) as error:
        checked(passed_on(), holder=OTHER_KEY.public)
    assert error.value.code == "holder_key_mismatch"
    with pytest.raises(SafeconductError) as error:
        shown(passed_on(), disclose=[], holder=OTHER_KEY)
    assert error.value.code == "holder_key_mismatch"
    with pytest.raises(SafeconductError) as error:
        checked(shown(passed_on(), disclose=[]))
    assert error.value.code == "key_binding_present"
    with pytest.raises(SafeconductError) as error:
        checked(passed_on(), types=["https://else.example/type"])
    assert error.value.code == "type_not_accepted"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"delegator": OTHER_KEY}, "holder_key_mismatch"),
        ({"disclose": ["rank"]}, "claim_not_found"),
        ({"rights": {RIGHTS: ["fly"]}}, "delegation_exceeds_parent"),
        ({"rights": {"vct": ["x"]}}, "delegation_exceeds_parent"),
        ({"rights": {"rank": ["x"]}}, "claim_not_found"),
        ({"expires": EXP + 1}, "delegation_outlives_parent"),
        ({"not_before": NBF - 1}, "delegation_outlives_parent"),
        ({"not_before": EXP}, "jwt_times"),
    ],
)
def test_no_delegation_is_made_that_nobody_would_take(changes: dict[str, Any], code: str) -> None:
    assert issue_refused(**changes) == code


def test_nothing_is_passed_on_that_was_not_given_to_be() -> None:
    onward = {"delegator": RECEIVER_KEY, "receiver": THIRD_KEY.public, "rights": {}}
    assert issue_refused(passed_on(), **onward) == "delegation_not_passed_on"
    deep = passed_on(further=limits.DELEGATION_DEPTH)
    for left in reversed(range(1, limits.DELEGATION_DEPTH)):
        deep = passed_on(deep, **{**onward, "receiver": RECEIVER_KEY.public}, further=left)
    assert issue_refused(deep, **onward) == "delegation_too_deep"


def test_a_presentation_is_not_passed_on() -> None:
    presented = sd_jwt.present(
        root_token(), holder=HOLDER_KEY, disclose=[], audience=AUDIENCE, nonce=NONCE, now=BOUND_AT
    )
    assert issue_refused(presented) == "key_binding_present"
    assert delegated_chain.open_chain(passed_on(), accept=(), depth=1).needs().issuer == ISSUER
