"""Disclosures and digests (RFC 9901 §4.1, §4.2, §7.1)."""

import json
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    ADDRESS,
    CLAIMS,
    CLEAR,
    DECOY,
    FIRST,
    GOOD,
    ISSUED,
    NAME,
    PLAIN,
    REGION,
    SECOND,
    SHOWN,
    b64,
    check_issued,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    salt,
    verify,
)

from safeconduct import limits


def test_the_good_presentation_verifies() -> None:
    verified = verify(GOOD)
    assert verified.claims == SHOWN
    assert verified.withheld == 2
    assert verified.profile == "sd-jwt-vc"


def test_without_disclosures_what_is_clear_remains() -> None:
    verified = verify(GOOD.showing())
    assert verified.claims == {**CLEAR, "nationalities": ["AT"]}
    assert verified.withheld == 5


def test_an_object_that_loses_everything_is_empty() -> None:
    assert verify(GOOD.claiming({"a": {"_sd": []}, "b": {"_sd": [digest("x")]}})).claims["a"] == {}
    assert verify(GOOD.claiming({"a": {"_sd": []}, "b": {"_sd": [digest("x")]}})).claims["b"] == {}


# The disclosure itself


@pytest.mark.parametrize(
    "text",
    [
        b64("not json"),
        b64("{}"),
        b64('"salt"'),
        b64('{"0":"salt","1":"a","2":1}'),
        disclosure(),
        disclosure(salt(9)),
        disclosure(salt(9), "a", 1, 2),
        disclosure(1, "a", 1),
        disclosure(None, 1),
        disclosure([salt(9)], 1),
        disclosure(salt(9), 1, 2),
        disclosure(salt(9), None, 2),
        disclosure(salt(9), ["a"], 2),
        b64('["salt","a",NaN]'),
        b64('["salt","a",1]x'),
        b64('["salt","a",{"b":1,"b":2}]'),
        b64(b'["salt","a","\xff"]'),
        b64('["salt","a","\\ud800"]'),
        b64("[" * 50 + "]" * 50),
        disclosure(salt(9), "a", 1) + "=",
        disclosure(salt(9), "a", "??>") + "\n",
        disclosure(salt(9), "a", 1)[:-1] + "!",
        "A",
    ],
)
def test_a_disclosure_is_an_array_of_salt_name_and_value_in_base64url(text: str) -> None:
    assert code_of(PLAIN.redacting(text)) == "disclosure_malformed"


def test_any_spelling_of_a_disclosure_is_taken_as_it_is() -> None:
    for text in (' [ "c2FsdA" ,\n"a", "M\\u00f6bius" ] ', '["c2FsdA","a","Möbius"]'):
        assert verify(PLAIN.redacting(b64(text))).claims["a"] == "Möbius"


def test_the_digest_is_over_the_received_text() -> None:
    spaced, tight = b64('["c2FsdA", "a", 1]'), b64('["c2FsdA","a",1]')
    assert code_of(PLAIN.redacting(spaced).showing(tight)) == "disclosure_unreferenced"


def test_the_digest_is_not_over_the_decoded_disclosure() -> None:
    import base64
    import hashlib

    raw = base64.urlsafe_b64decode(NAME + "==")
    wrong = b64(hashlib.sha256(raw).digest())
    assert code_of(PLAIN.claiming({"_sd": [wrong]}).showing(NAME)) == "disclosure_unreferenced"


def test_a_digest_in_hexadecimal_is_no_digest() -> None:
    import hashlib

    hexadecimal = hashlib.sha256(NAME.encode()).hexdigest()
    assert code_of(PLAIN.claiming({"_sd": [hexadecimal]}).showing()) == "digest_malformed"


# Where digests stand


@pytest.mark.parametrize("digests", [None, digest(NAME), {"0": digest(NAME)}, 1, True])
def test_sd_is_an_array(digests: Any) -> None:
    assert code_of(PLAIN.claiming({"_sd": digests}).showing()) == "digest_malformed"
    assert code_of(PLAIN.claiming({"a": {"_sd": digests}})) == "digest_malformed"


@pytest.mark.parametrize(
    "item", [1, None, ["x"], {"...": digest(NAME)}, "", digest(NAME)[:-1], digest(NAME, "sha512")]
)
def test_a_digest_is_a_text_of_the_length_of_the_hash(item: Any) -> None:
    assert code_of(PLAIN.claiming({"_sd": [item]}).showing()) == "digest_malformed"
    expected = "claim_reserved" if item is None else "digest_malformed"
    assert code_of(PLAIN.claiming({"a": [{"...": item}]})) == expected


def test_truncated_digests_answer_nothing() -> None:
    for size in (0, 1, 22, 42):
        assert code_of(PLAIN.claiming({"_sd": [digest(NAME)[:size]]}).showing(NAME)) == "digest_malformed"


def test_another_spelling_of_a_digest_is_another_digest() -> None:
    last = digest(NAME)[-1]
    twin = digest(NAME)[:-1] + chr(ord(last) + 1)
    assert code_of(PLAIN.claiming({"_sd": [twin]}).showing(NAME)) == "disclosure_unreferenced"


def test_an_element_digest_stands_alone_in_its_object() -> None:
    assert code_of(PLAIN.claiming({"a": [{"...": digest(FIRST), "b": 1}]})) == "claim_reserved"
    assert code_of(PLAIN.claiming({"a": {"...": digest(FIRST)}})) == "claim_reserved"
    assert code_of(PLAIN.claiming({"...": digest(FIRST)})) == "claim_reserved"


# §7.1 step 3


def test_an_entrys_disclosure_has_three_elements_and_an_elements_two() -> None:
    two, three = disclosure(salt(9), "x"), disclosure(salt(9), "x", "y")
    assert code_of(PLAIN.redacting(two)) == "disclosure_misplaced"
    assert code_of(PLAIN.claiming({"a": [element(three)]}).showing(three)) == "disclosure_misplaced"


@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
def test_a_disclosure_reveals_no_reserved_name(name: str) -> None:
    text = disclosure(salt(9), name, ["x"])
    assert code_of(PLAIN.redacting(text)) == "claim_reserved"
    nested = disclosure(salt(8), "a", {name: "x"})
    expected = "digest_malformed" if name == "_sd" else "claim_reserved"
    assert code_of(PLAIN.redacting(nested)) == expected


def test_sd_alg_stands_at_the_top_alone() -> None:
    assert code_of(PLAIN.claiming({"a": {"_sd_alg": "sha-256"}})) == "claim_reserved"
    assert code_of(PLAIN.claiming({"a": [{"_sd_alg": "sha-256"}]})) == "claim_reserved"


@pytest.mark.parametrize("name", ["given_name", "nationalities", "iss"])
def test_a_revealed_claim_may_not_stand_there_already(name: str) -> None:
    text = disclosure(salt(9), name, "x")
    token = PLAIN.claiming({"given_name": "clear", "_sd": [digest(text)]}).showing(text)
    assert code_of(token) == "claim_duplicate"


def test_two_disclosures_may_not_reveal_one_claim() -> None:
    texts = disclosure(salt(8), "a", 1), disclosure(salt(9), "a", 2)
    assert code_of(PLAIN.redacting(*texts)) == "claim_duplicate"


def test_a_disclosure_may_reveal_digests_of_others() -> None:
    inner = disclosure(salt(7), "x")
    outer = disclosure(salt(8), [element(inner), {"_sd": [digest(NAME)]}])
    token = PLAIN.claiming({"a": [element(outer)], "_sd": []})
    assert verify(token.showing(NAME, inner, outer)).claims["a"] == [["x", {"given_name": "Erika"}]]
    assert verify(token.showing(outer)).claims["a"] == [[{}]]


def test_undisclosed_elements_are_removed() -> None:
    assert verify(GOOD.showing(SECOND)).claims["nationalities"] == ["AT", "FR"]


def test_sd_and_sd_alg_are_removed() -> None:
    assert verify(GOOD).claims.keys().isdisjoint({"_sd", "_sd_alg"})


def test_names_with_dots_and_digits_are_names() -> None:
    texts = (
        disclosure(salt(6), "address.region", "dotted"),
        disclosure(salt(7), "0", "digit"),
        disclosure(salt(8), "__proto__", "proto"),
        disclosure(salt(9), "", "empty"),
    )
    claims = verify(PLAIN.redacting(*texts, address={"region": "plain"})).claims
    assert (claims["address.region"], claims["address"]) == ("dotted", {"region": "plain"})
    assert (claims["0"], claims["__proto__"], claims[""]) == ("digit", "proto", "empty")


# §7.1 steps 4 and 5


def test_a_digest_occurs_once() -> None:
    twice = digest(NAME)
    assert code_of(PLAIN.claiming({"_sd": [twice, twice]}).showing(NAME)) == "digest_duplicate"
    assert code_of(PLAIN.claiming({"a": {"_sd": [twice]}})) == "digest_duplicate"
    assert code_of(PLAIN.claiming({"_sd": [DECOY, DECOY]}).showing()) == "digest_duplicate"
    assert code_of(PLAIN.claiming({"a": [element(FIRST), element(FIRST)]}).showing()) == "digest_duplicate"
    assert code_of(PLAIN.claiming({"a": [{"...": DECOY}]}).showing()) == "digest_duplicate"


def test_a_digest_occurs_once_also_inside_disclosures() -> None:
    outer = disclosure(salt(9), "a", {"_sd": [digest(NAME)]})
    token = PLAIN.claiming({"_sd": [digest(NAME), digest(outer)]})
    assert code_of(token.showing(NAME, outer)) == "digest_duplicate"


def test_a_disclosure_is_shown_once() -> None:
    assert code_of(GOOD.showing(NAME, NAME)) == "disclosure_duplicate"


@pytest.mark.parametrize("text", [disclosure(salt(9), "a", 1), disclosure(salt(9), "x")])
def test_every_disclosure_answers_a_digest(text: str) -> None:
    assert code_of(GOOD.showing(*GOOD.disclosures, text)) == "disclosure_unreferenced"
    assert issued_code_of(ISSUED.showing(*ISSUED.disclosures, text)) == "disclosure_unreferenced"


def test_an_inner_disclosure_wants_its_outer_one() -> None:
    assert code_of(GOOD.showing(REGION)) == "disclosure_unreferenced"
    assert verify(GOOD.showing(ADDRESS)).claims["address"] == {"country": "DE"}


def test_salts_are_unique() -> None:
    texts = disclosure(salt(9), "a", 1), disclosure(salt(9), "b", 2)
    assert code_of(PLAIN.redacting(*texts)) == "salt_duplicate"
    assert issued_code_of(PLAIN.redacting(*texts)) == "salt_duplicate"


# Hashes


@pytest.mark.parametrize(
    ("sd_alg", "name"), [("sha-256", "sha256"), ("sha-384", "sha384"), ("sha-512", "sha512")]
)
def test_every_hash_of_the_sha_2_family_is_supported(sd_alg: str, name: str) -> None:
    token = PLAIN.but(hash_name=name).redacting(NAME, _sd_alg=sd_alg)
    verified = verify(token)
    assert verified.claims["given_name"] == "Erika"
    assert "_sd_alg" not in verified.claims


def test_sd_alg_is_sha_256_by_default() -> None:
    assert "_sd_alg" not in PLAIN.redacting(NAME).claims
    assert verify(PLAIN.redacting(NAME)).claims["given_name"] == "Erika"


@pytest.mark.parametrize(
    "sd_alg",
    ["sha-1", "md5", "SHA-256", "sha256", "sha-256-128", "sha-256-32", "sha3-256", "", None, 1, ["sha-256"]],
)
def test_any_other_hash_is_not_supported(sd_alg: Any) -> None:
    assert code_of(GOOD.claiming({"_sd_alg": sd_alg})) == "sd_alg_unsupported"


def test_digests_of_another_hash_than_sd_alg_says_are_malformed() -> None:
    assert code_of(GOOD.claiming({"_sd_alg": "sha-512"})) == "digest_malformed"


# Bounds


def test_claims_reach_to_CLAIM_DEPTH_and_no_deeper() -> None:
    deepest: Any = 1
    for _ in range(limits.CLAIM_DEPTH - 1):
        deepest = [deepest]
    assert verify(GOOD.claiming({"a": deepest})).claims["a"] == deepest
    assert code_of(GOOD.claiming({"a": [deepest]})) == "claim_too_deep"


def test_disclosures_count_from_the_level_of_their_place() -> None:
    texts, inner = [], disclosure(salt(100), "x")
    for number in range(limits.CLAIM_DEPTH):
        texts.append(inner)
        inner = disclosure(salt(101 + number), [element(inner)])
    token = PLAIN.claiming({"a": [element(inner)], "_sd": []})
    assert code_of(token.showing(*texts, inner)) == "claim_too_deep"


def test_a_chain_of_disclosures_in_a_circle_cannot_be_made_to_matter() -> None:
    """A digest inside what it hashes cannot be computed; one that is only claimed answers nothing."""
    text = disclosure(salt(9), "a", {"_sd": [digest("guessed")]})
    assert verify(PLAIN.redacting(text)).claims["a"] == {}


def test_duplicate_members_are_rejected_everywhere() -> None:
    doubled = json.dumps(CLAIMS)[:-1] + ',"iss":"https://other.example"}'
    assert code_of(GOOD.but(claims=doubled)) == "json_duplicate_member"
    assert code_of(GOOD.but(kb_claims='{"aud":"a","aud":"b"}')) == "json_duplicate_member"


def test_the_holder_may_keep_a_token_with_decoys() -> None:
    held = check_issued(ISSUED)
    assert held.decoys == 1
    assert len(held.redactable) == 5
