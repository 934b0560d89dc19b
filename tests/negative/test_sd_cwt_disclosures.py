"""Disclosures and digests (SD-CWT-08 §4, §6, §7, §9 step 8, and what RFC 9901 §7.1 adds)."""

import hashlib
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from tests.negative.builder import (
    CLAIMS,
    DECOY,
    FIRST_DATE,
    GOOD,
    ISSUED,
    LICENCE,
    NAME,
    REDACTED,
    REGION,
    SECOND_DATE,
    SHOWN,
    check_issued,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    raw_digest,
    salt,
    verify,
)

from safeconduct import limits

# sd_claims


def test_without_disclosures_sd_claims_is_absent() -> None:
    shown = verify(GOOD.but(disclosures=None))
    assert shown.claims.wire == {
        **{key: CLAIMS[key] for key in (1, 2, 4, 5, 6, 8, 500)},
        502: [1674004740],
        503: {"country": "us"},
    }
    assert shown.withheld == 6


def test_an_empty_sd_claims_is_rejected() -> None:
    assert code_of(GOOD.showing()) == "sd_claims_empty"
    assert issued_code_of(GOOD.showing()) == "sd_claims_empty"


@pytest.mark.parametrize("carried", [b"", cbor2.dumps([LICENCE]), {0: LICENCE}, LICENCE, False, "text"])
def test_sd_claims_is_an_array(carried: Any) -> None:
    assert code_of(GOOD.but(disclosures=carried)) == "sd_claims_malformed"


@pytest.mark.parametrize("item", [["salt"], "text", 1, None, {1: 2}, CBORTag(24, LICENCE)])
def test_a_disclosure_is_a_byte_string(item: Any) -> None:
    assert code_of(GOOD.showing(LICENCE, item)) == "disclosure_malformed"


@pytest.mark.parametrize(
    "content",
    [
        b"text",
        {},
        {1: 2},
        [],
        [salt(9), 1, 700, 2],
        ["a" * 16, 1, 700],
        [16, 1],
        [None],
        CBORTag(24, [salt(9)]),
    ],
)
def test_a_disclosure_is_an_array_of_a_salt_and_at_most_two_more(content: Any) -> None:
    broken = cbor2.dumps(content)
    assert code_of(GOOD.redacting(broken)) == "disclosure_malformed"


def test_an_empty_byte_string_is_no_disclosure() -> None:
    assert code_of(GOOD.redacting(b"")) == "cbor_malformed"


@pytest.mark.parametrize("size", [0, 1, 8, 15, 17, 32])
@pytest.mark.parametrize("rest", [(), (1,), (1, 700)])
def test_a_salt_has_16_bytes(size: int, rest: tuple[Any, ...]) -> None:
    assert code_of(GOOD.redacting(disclosure(bytes(size), *rest))) == "salt_size"


def test_disclosures_come_in_any_order() -> None:
    assert verify(GOOD.showing(REGION, FIRST_DATE, LICENCE)).claims.wire == SHOWN


def test_DISCLOSURES_may_be_shown_and_one_more_not() -> None:
    many = [disclosure(salt(1000 + number), number, f"k{number}") for number in range(limits.DISCLOSURES + 1)]
    token = GOOD.claiming({REDACTED: [digest(item) for item in many], 502: [], 503: {}})
    shown = verify(token.showing(*many[:-1]))
    assert shown.withheld == 1
    assert len(shown.claims) == 9 + limits.DISCLOSURES
    assert code_of(token.showing(*many)) == "too_many_disclosures"


# A digest for every disclosure


def test_a_disclosure_without_a_digest_is_rejected() -> None:
    stray = disclosure(salt(9), "forged", "name")
    assert code_of(GOOD.showing(*GOOD.disclosures, stray)) == "disclosure_unreferenced"
    assert issued_code_of(ISSUED.showing(*ISSUED.disclosures, stray)) == "disclosure_unreferenced"


def test_a_disclosure_with_one_changed_bit_is_rejected() -> None:
    for position in range(len(LICENCE)):
        changed = bytearray(LICENCE)
        changed[position] ^= 0x20
        assert code_of(GOOD.showing(bytes(changed), FIRST_DATE, REGION)) in (
            "disclosure_unreferenced",
            "disclosure_malformed",
            "salt_size",
            "claim_key",
            "cbor_malformed",
            "cbor_not_preferred",
            "cbor_trailing_bytes",
        )


def test_a_decoy_without_a_digest_is_rejected() -> None:
    assert code_of(GOOD.showing(*GOOD.disclosures, disclosure(salt(9)))) == "disclosure_unreferenced"


def test_a_disclosure_inside_one_that_is_not_shown_is_rejected() -> None:
    inner = disclosure(salt(9), "x", "inner")
    outer = disclosure(salt(10), {REDACTED: [digest(inner)]}, 700)
    token = GOOD.claiming({REDACTED: [*CLAIMS[REDACTED], digest(outer)]})
    assert code_of(token.showing(*GOOD.disclosures, inner)) == "disclosure_unreferenced"
    assert verify(token.showing(inner, *GOOD.disclosures, outer)).claims[700] == {"inner": "x"}
    assert verify(token.showing(outer, *GOOD.disclosures)).claims[700] == {}


def test_a_disclosure_is_there_once() -> None:
    assert code_of(GOOD.showing(*GOOD.disclosures, LICENCE)) == "disclosure_duplicate"


def test_a_shown_decoy_is_no_claim() -> None:
    shown = verify(GOOD.showing(*GOOD.disclosures, DECOY))
    assert shown.claims.wire == SHOWN
    assert shown.withheld == 2


def test_a_decoy_may_stand_for_an_element_too() -> None:
    token = GOOD.claiming({502: [element(DECOY), 1674004740], REDACTED: [digest(LICENCE)]})
    assert verify(token.showing(LICENCE, DECOY, REGION)).claims[502] == [1674004740]


# A place for every digest


def test_an_element_does_not_stand_for_an_entry() -> None:
    pair = disclosure(salt(9), "x")
    assert code_of(GOOD.redacting(pair)) == "disclosure_misplaced"


def test_an_entry_does_not_stand_for_an_element() -> None:
    token = GOOD.claiming({502: [element(LICENCE)], REDACTED: []})
    assert code_of(token.showing(LICENCE)) == "disclosure_misplaced"


@pytest.mark.parametrize("shown", [True, False])
def test_a_digest_occurs_once(shown: bool) -> None:
    chosen = GOOD.disclosures if shown else (FIRST_DATE, REGION)
    twice = GOOD.claiming({REDACTED: [*CLAIMS[REDACTED], digest(LICENCE)]}).showing(*chosen)
    assert code_of(twice) == "digest_duplicate"
    elsewhere = GOOD.claiming({700: {REDACTED: [digest(LICENCE)]}}).showing(*chosen)
    assert code_of(elsewhere) == "digest_duplicate"
    both_forms = GOOD.claiming({700: [element(LICENCE)]}).showing(*chosen)
    assert code_of(both_forms) in ("digest_duplicate", "disclosure_misplaced")
    elements = GOOD.claiming({502: [element(FIRST_DATE), element(FIRST_DATE)]}).showing(REGION)
    assert code_of(elements) == "digest_duplicate"


def test_a_digest_inside_a_disclosure_may_not_repeat_one_outside() -> None:
    outer = disclosure(salt(9), {REDACTED: [digest(NAME)]}, 700)
    assert code_of(GOOD.redacting(outer)) == "digest_duplicate"


@pytest.mark.parametrize("value", [bytes(31), bytes(33), b"", "x" * 32, 7, False, [bytes(32)], {}])
def test_a_digest_is_a_byte_string_of_the_length_of_the_hash(value: Any) -> None:
    assert code_of(GOOD.claiming({REDACTED: [*CLAIMS[REDACTED], value]})) == "digest_malformed"
    assert code_of(GOOD.claiming({502: [CBORTag(60, value)]})) == "digest_malformed"


@pytest.mark.parametrize("value", [bytes(32), {}, None, "text", 7, CBORTag(60, bytes(32))])
def test_redacted_claim_keys_is_an_array(value: Any) -> None:
    assert code_of(GOOD.claiming({REDACTED: value})) == "digest_malformed"
    assert code_of(GOOD.claiming({503: {"country": "us", REDACTED: value}})) == "digest_malformed"


def test_undisclosed_elements_are_removed_and_leave_no_gap() -> None:
    token = GOOD.claiming({502: [element(FIRST_DATE), 1, element(SECOND_DATE), 2]})
    assert verify(token.showing(LICENCE, REGION, SECOND_DATE)).claims[502] == [1, 1612560720, 2]


# The hash

HASHES = {-16: "sha256", -17: "sha512_256", -43: "sha384", -44: "sha512"}


@pytest.mark.parametrize(("number", "name"), HASHES.items())
def test_every_hash_of_SHA_2_is_supported(number: int, name: str) -> None:
    token = GOOD.headed({170: number}).claiming(
        {502: [CBORTag(60, digest(FIRST_DATE, name))], 503: {}, REDACTED: [digest(LICENCE, name)]}
    )
    shown = verify(token.showing(LICENCE, FIRST_DATE))
    assert (shown.claims[501], shown.claims[502]) == ("ABCD-123456", [1549560720])


def test_sd_alg_is_SHA_256_by_default() -> None:
    assert verify(GOOD.headed({170: ...})).claims.wire == SHOWN


@pytest.mark.parametrize("number", [-14, -15, -18, -45, -47, 0, 1, -999, "sha-256", b"", None, True, [-16]])
def test_any_other_hash_is_not_supported(number: Any) -> None:
    assert code_of(GOOD.headed({170: number})) == "sd_alg_unsupported"
    assert issued_code_of(ISSUED.headed({170: number})) == "sd_alg_unsupported"


def test_digests_of_another_hash_than_sd_alg_are_not_matched() -> None:
    assert code_of(GOOD.headed({170: -17})) == "disclosure_unreferenced"
    assert code_of(GOOD.headed({170: -43})) == "digest_malformed"


def test_the_digest_is_over_the_wrapped_disclosure() -> None:
    token = GOOD.claiming({REDACTED: [raw_digest(LICENCE)], 502: [], 503: {}})
    assert code_of(token.showing(LICENCE)) == "disclosure_unreferenced"


def test_the_digest_is_over_the_received_bytes() -> None:
    """A float of another width is another disclosure: nothing is encoded again before it is hashed."""
    wide = b"\x83" + cbor2.dumps(salt(9)) + b"\xfb\x3f\xf8" + bytes(6) + cbor2.dumps(700)
    assert verify(GOOD.redacting(wide)).claims[700] == 1.5
    narrow = b"\x83" + cbor2.dumps(salt(9)) + b"\xf9\x3e\x00" + cbor2.dumps(700)
    token = GOOD.claiming({REDACTED: [digest(LICENCE), digest(wide)]})
    assert code_of(token.showing(narrow)) == "disclosure_unreferenced"


@pytest.mark.parametrize(
    ("length", "head"),
    [(1, "57"), (2, "5818"), (232, "58ff"), (233, "590100"), (65511, "59ffff"), (65512, "5a00010000")],
)
def test_a_disclosure_of_any_length_is_wrapped_in_the_shortest_head(length: int, head: str) -> None:
    item = disclosure(salt(9), bytes(length), 700)
    own = hashlib.sha256(bytes.fromhex(head) + item).digest()
    token = GOOD.claiming({REDACTED: [own]})
    assert verify(token.showing(item, FIRST_DATE, REGION)).claims[700] == bytes(length)


def test_a_decoy_is_wrapped_in_a_head_of_one_byte() -> None:
    assert digest(DECOY) == hashlib.sha256(bytes((0x40 + len(DECOY),)) + DECOY).digest()
    assert check_issued(ISSUED).decoys == 1


def test_the_integer_59_beside_redacted_entries_is_a_legal_key_that_is_refused_here() -> None:
    """A known limit: cbor2 takes simple(59) and the integer 59 for one key, and refuses both together."""
    claims = cbor2.dumps(dict(CLAIMS))
    both = bytes((claims[0] + 1,)) + b"\x18\x3b\x61x" + claims[1:]
    assert code_of(GOOD.but(payload=both)) == "cbor_malformed"
    assert verify(GOOD.claiming({700: {59: "x"}})).claims[700] == {59: "x"}
