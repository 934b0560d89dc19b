"""Encoding rules of SD-CWT-08 §5 and COSE rules of RFC 9052: one broken part, one code."""

from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cbor2 import CBORSimpleValue, CBORTag, undefined
from tests.negative.builder import (
    BOUND_AT,
    CLAIMS,
    GOOD,
    ISSUED,
    REDACTED,
    SHOWN,
    Presentation,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    salt,
    verify,
)

from safeconduct import limits


def test_the_unbroken_presentation_is_accepted_with_exactly_its_claims() -> None:
    result = verify(GOOD)
    assert result.claims.wire == SHOWN
    assert result.withheld == 3


def encoded_map(entries: Any, key: bytes, value: bytes) -> bytes:
    """A map with one entry more, of key and value that are already encoded."""
    inner = cbor2.dumps(dict(entries))
    assert inner[0] & 0x1F < 23
    return bytes((inner[0] + 1,)) + inner[1:] + key + value


# Definite lengths, shortest heads, unique keys, nothing behind

INDEFINITE = {
    "map": b"\xbf" + cbor2.dumps(1) + b"\x01\xff",
    "array": b"\x9f\x01\xff",
    "bytes": b"\x5f\x41\x00\xff",
    "text": b"\x7f\x61a\xff",
}


@pytest.mark.parametrize("value", INDEFINITE.values(), ids=INDEFINITE)
@pytest.mark.parametrize("part", ["payload", "protected", "kbt_payload", "kbt_protected", "disclosure"])
def test_indefinite_lengths_are_rejected_in_every_part(part: str, value: bytes) -> None:
    assert code_of(with_raw_value(part, value)) == "cbor_not_preferred"


@pytest.mark.parametrize("part", ["payload", "protected", "kbt_payload", "kbt_protected", "disclosure"])
def test_heads_that_are_not_the_shortest_are_rejected_in_every_part(part: str) -> None:
    assert code_of(with_raw_value(part, b"\x18\x17")) == "cbor_not_preferred"
    assert code_of(with_raw_value(part, b"\x58\x01\x00")) == "cbor_not_preferred"


@pytest.mark.parametrize("part", ["payload", "protected", "kbt_payload", "kbt_protected", "disclosure"])
def test_duplicate_map_keys_are_rejected_in_every_part(part: str) -> None:
    assert code_of(with_raw_value(part, b"\xa2\x01\x00\x01\x00")) == "cbor_malformed"


@pytest.mark.parametrize("part", ["payload", "protected", "kbt_payload", "kbt_protected", "disclosure"])
@pytest.mark.parametrize(
    "value", [b"\xf8\x18", b"\xf8\x1f", b"\xf8\x14", b"\xfc", b"\x1c", b"\x61\xff", b"\x81"]
)
def test_ill_formed_items_are_rejected_in_every_part(part: str, value: bytes) -> None:
    assert code_of(with_raw_value(part, value)) == "cbor_malformed"


def with_raw_value(part: str, value: bytes) -> Presentation:
    """Add a value that cbor2 would not write."""
    if part == "disclosure":
        broken = b"\x83" + cbor2.dumps(salt(9)) + value + cbor2.dumps(700)
        return GOOD.redacting(broken)
    key = b"\x19\x02\xbc"
    entries: dict[str, Any] = {
        "payload": GOOD.claims,
        "protected": GOOD.header,
        "kbt_payload": GOOD.kbt_claims,
        "kbt_protected": {**GOOD.kbt_header, 13: GOOD.token()},
    }
    return GOOD.but(**{part: encoded_map(entries[part], key, value)})


def test_the_raw_parts_themselves_are_accepted() -> None:
    for part in ("payload", "protected", "kbt_payload", "kbt_protected", "disclosure"):
        verify(with_raw_value(part, b"\x01"))


def test_bytes_behind_an_item_are_rejected_in_every_part() -> None:
    assert code_of(GOOD.encoded() + b"\x00") == "cbor_trailing_bytes"
    payload = cbor2.dumps(dict(CLAIMS)) + b"\x00"
    protected = cbor2.dumps(dict(GOOD.header)) + b"\x00"
    assert code_of(GOOD.but(payload=payload)) == "cbor_trailing_bytes"
    assert code_of(GOOD.but(protected=protected)) == "cbor_trailing_bytes"
    assert (
        code_of(GOOD.but(kbt_payload=cbor2.dumps(dict(GOOD.kbt_claims)) + b"\x00")) == "cbor_trailing_bytes"
    )
    kbt_protected = cbor2.dumps({**GOOD.kbt_header, 13: GOOD.token()}) + b"\x00"
    assert code_of(GOOD.but(kbt_protected=kbt_protected)) == "cbor_trailing_bytes"
    assert code_of(GOOD.redacting(disclosure(salt(9), 1, 700) + b"\x00")) == "cbor_trailing_bytes"


def test_a_disclosure_with_a_longer_byte_string_head_is_rejected() -> None:
    """SD-CWT-08 §6: two spellings of one disclosure would have two digests."""
    outer = GOOD.encoded()
    wide = outer.replace(
        cbor2.dumps(GOOD.disclosures[2]),
        b"\x59\x00" + bytes((len(GOOD.disclosures[2]),)) + GOOD.disclosures[2],
    )
    assert wide != outer
    assert code_of(wide) in ("cbor_malformed", "cbor_not_preferred")
    unprotected = b"\xa1\x11\x81\x59\x00" + bytes((len(GOOD.disclosures[2]),)) + GOOD.disclosures[2]
    header, _, payload, signature = GOOD.token().value
    token = b"\xd2\x84" + cbor2.dumps(header) + unprotected + cbor2.dumps(payload) + cbor2.dumps(signature)
    protected = encoded_map(GOOD.kbt_header, b"\x0d", token)
    assert code_of(GOOD.but(kbt_protected=protected)) == "cbor_not_preferred"


def test_an_empty_input_and_a_lone_break_are_rejected() -> None:
    assert code_of(b"") == "cbor_malformed"
    assert code_of(b"\xff") == "cbor_not_preferred"


def test_a_presentation_longer_than_TOKEN_BYTES_is_not_parsed() -> None:
    padding = limits.TOKEN_BYTES - len(GOOD.but(kbt_unprotected={700: bytes(70_000)}).encoded()) + 70_000
    longest = GOOD.but(kbt_unprotected={700: bytes(padding)})
    assert len(longest.encoded()) == limits.TOKEN_BYTES
    verify(longest)
    assert code_of(GOOD.but(kbt_unprotected={700: bytes(padding + 1)})) == "cbor_too_large"


def test_key_order_is_free() -> None:
    """SD-CWT-08 §5 asks for no deterministic encoding."""
    backwards = dict(reversed(CLAIMS.items()))
    assert verify(GOOD.but(claims=backwards)).claims.wire == SHOWN


# Map keys

BAD_KEYS: list[tuple[str, Any]] = [
    ("bytes", b"key"),
    ("float", 1.5),
    ("false", False),
    ("null", None),
    ("undefined", undefined),
    ("simple 58", CBORSimpleValue(58)),
    ("simple 60", CBORSimpleValue(60)),
    ("array", (1,)),
    ("tag 58", CBORTag(58, 700)),
    ("tag 62", CBORTag(62, 1)),
    ("nested tags", CBORTag(58, CBORTag(58, 700))),
    ("tag 1", CBORTag(1, 700)),
    ("256 bytes", "é" * 128),
]

bad_keys = pytest.mark.parametrize("key", [key for _, key in BAD_KEYS], ids=[name for name, _ in BAD_KEYS])


@bad_keys
@pytest.mark.parametrize("depth", ["top", "in a map", "in an array", "in a tag"])
def test_a_claim_key_is_an_integer_or_a_short_text(key: Any, depth: str) -> None:
    inner: dict[str, Callable[[Any], Any]] = {
        "top": lambda entry: entry,
        "in a map": lambda entry: {700: entry},
        "in an array": lambda entry: {700: [entry]},
        "in a tag": lambda entry: {700: CBORTag(100, entry)},
    }
    assert code_of(GOOD.claiming(inner[depth]({key: 1}))) == "claim_key"


@bad_keys
def test_a_disclosed_key_is_an_integer_or_a_short_text(key: Any) -> None:
    assert code_of(GOOD.redacting(disclosure(salt(9), 1, key))) == "claim_key"


@bad_keys
def test_a_key_inside_a_disclosed_value_is_an_integer_or_a_short_text(key: Any) -> None:
    assert code_of(GOOD.redacting(disclosure(salt(9), {key: 1}, 700))) == "claim_key"


@bad_keys
@pytest.mark.parametrize("part", ["headed", "binding", "binding_headed"])
def test_a_key_inside_a_header_or_key_binding_claim_is_safe(key: Any, part: str) -> None:
    assert code_of(getattr(GOOD, part)({700: {key: 1}})) == "claim_key"


@pytest.mark.parametrize("part", ["unprotected", "kbt_unprotected"])
def test_a_key_inside_an_unprotected_header_is_safe(part: str) -> None:
    assert code_of(GOOD.but(**{part: {700: {b"key": 1}}})) == "claim_key"
    assert code_of(GOOD.but(**{part: {700: [{REDACTED: []}]}})) == "claim_key"


@bad_keys
@pytest.mark.parametrize("part", ["headed", "binding_headed", "binding"])
def test_labels_themselves_are_integers_or_short_texts(key: Any, part: str) -> None:
    code = code_of(getattr(GOOD, part)({key: 1}))
    assert code == ("claim_key" if part == "binding" or key == "é" * 128 else "cose_malformed")


def test_a_text_key_of_CLAIM_KEY_BYTES_is_accepted_and_one_more_is_not() -> None:
    assert limits.CLAIM_KEY_BYTES == 255
    assert verify(GOOD.claiming({"é" * 127 + "x": 1})).claims["é" * 127 + "x"] == 1
    assert code_of(GOOD.claiming({"é" * 127 + "xy": 1})) == "claim_key"
    assert code_of(GOOD.claiming({"x" * 256: 1})) == "claim_key"
    verify(GOOD.binding({"x" * 255: 1}))
    assert code_of(GOOD.binding({"x" * 256: 1})) == "claim_key"


# Values

BAD_VALUES: list[tuple[str, Any]] = [
    ("tag 58", CBORTag(58, 1)),
    ("tag 62", CBORTag(62, 1)),
    ("tag 60 outside an array", CBORTag(60, bytes(32))),
    ("tag 60 in a tag", CBORTag(100, CBORTag(60, bytes(32)))),
    ("tag 60 in a tag in an array", [CBORTag(100, CBORTag(60, bytes(32)))]),
    ("tag 62 in an array", [CBORTag(62, 1)]),
    ("simple 59", CBORSimpleValue(59)),
    ("simple 59 in an array", [CBORSimpleValue(59)]),
]
bad_values = pytest.mark.parametrize(
    "value", [value for _, value in BAD_VALUES], ids=[name for name, _ in BAD_VALUES]
)


@bad_values
def test_redaction_tags_and_simple_59_are_no_claim_values(value: Any) -> None:
    assert code_of(GOOD.claiming({700: value})) == "claim_value"
    assert code_of(GOOD.redacting(disclosure(salt(9), value, 700))) == "claim_value"


@bad_values
@pytest.mark.parametrize("part", ["headed", "binding", "binding_headed"])
def test_redaction_tags_and_simple_59_stand_in_no_header_and_no_key_binding(value: Any, part: str) -> None:
    assert code_of(getattr(GOOD, part)({700: value})) == "claim_value"


@pytest.mark.parametrize("part", ["headed", "binding", "binding_headed"])
def test_a_redacted_element_stands_in_no_header_and_no_key_binding(part: str) -> None:
    assert code_of(getattr(GOOD, part)({700: [element(GOOD.disclosures[0])]})) == "claim_value"
    assert code_of(GOOD.but(unprotected={700: [CBORTag(60, bytes(32))]})) == "claim_value"
    assert code_of(GOOD.but(kbt_unprotected={700: [CBORTag(60, bytes(32))]})) == "claim_value"


@pytest.mark.parametrize(
    "value",
    [
        *(None, undefined, False, 1.5, -1, 2**64 - 1, -(2**64), b""),
        *(CBORSimpleValue(0), CBORSimpleValue(58), CBORSimpleValue(255)),
        *(CBORTag(1, 1549560720), CBORTag(2, b"\x01"), CBORTag(100, [1, {"a": [2]}])),
    ],
    ids=repr,
)
def test_every_other_value_is_a_claim_value(value: Any) -> None:
    assert verify(GOOD.claiming({700: value})).claims[700] == value
    assert verify(GOOD.redacting(disclosure(salt(9), value, 700))).claims[700] == value
    verify(GOOD.binding({700: value}).headed({700: value}).binding_headed({700: value}))


def test_what_stands_inside_a_tag_can_be_redacted() -> None:
    hidden = disclosure(salt(9), "x", "inner")
    item = disclosure(salt(10), "y")
    tagged = CBORTag(100, [CBORTag(101, {REDACTED: [digest(hidden)]}), element(item)])
    shown = GOOD.claiming({700: tagged}).showing(*GOOD.disclosures, hidden, item)
    assert verify(shown).claims[700] == CBORTag(100, [CBORTag(101, {"inner": "x"}), "y"])


# Depth

CONTAINERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("arrays", lambda inner: [inner]),
    ("maps", lambda inner: {1: inner}),
    ("tags", lambda inner: CBORTag(100, inner)),
]
containers = pytest.mark.parametrize(
    "wrap", [wrap for _, wrap in CONTAINERS], ids=[name for name, _ in CONTAINERS]
)


def nested(wrap: Callable[[Any], Any], containers_: int, core: Any = 1) -> Any:
    for _ in range(containers_):
        core = wrap(core)
    return core


@containers
def test_claims_reach_to_CLAIM_DEPTH_and_no_deeper(wrap: Callable[[Any], Any]) -> None:
    """SD-CWT-08 §5: values in the claims map are level 1; array, map and tag each add one."""
    assert limits.CLAIM_DEPTH == 16
    deepest = nested(wrap, 15)
    assert verify(GOOD.claiming({700: deepest})).claims[700] == deepest
    assert code_of(GOOD.claiming({700: nested(wrap, 16)})) == "claim_too_deep"


@containers
def test_an_empty_container_on_the_last_level_holds_nothing_deeper(wrap: Callable[[Any], Any]) -> None:
    verify(GOOD.claiming({700: nested(wrap, 15, [])}))
    assert code_of(GOOD.claiming({700: nested(wrap, 16, {})})) == "claim_too_deep"


@containers
def test_disclosures_count_from_the_level_of_their_place(wrap: Callable[[Any], Any]) -> None:
    inner = disclosure(salt(9), nested(wrap, 13), "deep")
    outer = disclosure(salt(10), {REDACTED: [digest(inner)]}, 700)
    fits = GOOD.claiming({REDACTED: [digest(outer)]}).showing(inner, outer)
    # 700 is on level 1, "deep" on level 2; thirteen containers more reach level 15.
    one = GOOD.claiming({502: [], 503: {}})
    assert verify(one.but(claims={**one.claims, **fits.claims, 502: [], 503: {}}, disclosures=(inner, outer)))
    too_deep = disclosure(salt(9), nested(wrap, 15), "deep")
    outer = disclosure(salt(10), {REDACTED: [digest(too_deep)]}, 700)
    broken = GOOD.claiming({502: [], 503: {}, REDACTED: [digest(outer)]}).showing(too_deep, outer)
    assert code_of(broken) == "claim_too_deep"
    exact = disclosure(salt(9), nested(wrap, 14), "deep")
    outer = disclosure(salt(10), {REDACTED: [digest(exact)]}, 700)
    verify(GOOD.claiming({502: [], 503: {}, REDACTED: [digest(outer)]}).showing(exact, outer))


@containers
def test_key_binding_claims_reach_to_CLAIM_DEPTH_and_no_deeper(wrap: Callable[[Any], Any]) -> None:
    verify(GOOD.binding({700: nested(wrap, 15)}))
    assert code_of(GOOD.binding({700: nested(wrap, 16)})) == "claim_too_deep"


@containers
@pytest.mark.parametrize("part", ["headed", "binding_headed"])
def test_headers_reach_to_CLAIM_DEPTH_and_no_deeper(wrap: Callable[[Any], Any], part: str) -> None:
    verify(getattr(GOOD, part)({700: nested(wrap, 15)}))
    assert code_of(getattr(GOOD, part)({700: nested(wrap, 16)})) == "claim_too_deep"


@pytest.mark.parametrize("part", ["payload", "kbt_payload", "protected", "kbt_protected"])
def test_what_is_nested_beyond_the_decoder_is_rejected_before_it_is_read(part: str) -> None:
    deep = b"\x81" * (limits.CBOR_DEPTH + 1) + b"\x01"
    assert code_of(with_raw_value(part, deep)) == "cbor_malformed"
    deep = b"\x81" * 100_000 + b"\x01"
    assert code_of(with_raw_value(part, deep)) == "cbor_malformed"


# COSE_Sign1

sign1_parts = pytest.mark.parametrize("broken", ["kbt", "sd_cwt"])


def reshaped(broken: str, alter: Callable[[list[Any]], Any]) -> Any:
    """Alter the parts of one of the two COSE_Sign1."""
    if broken == "kbt":
        return cbor2.dumps(alter(cbor2.loads(GOOD.encoded()).value))
    return GOOD.but(kcwt=lambda token: alter(token.value))


SHAPES: list[tuple[str, Callable[[list[Any]], Any]]] = [
    ("COSE_Mac0", lambda parts: CBORTag(17, parts)),
    ("COSE_Sign", lambda parts: CBORTag(98, parts)),
    ("CWT tag outside", lambda parts: CBORTag(61, CBORTag(18, list(parts)))),
    ("tag twice", lambda parts: CBORTag(18, CBORTag(18, list(parts)))),
    ("three parts", lambda parts: CBORTag(18, list(parts)[:3])),
    ("five parts", lambda parts: CBORTag(18, [*parts, b""])),
    ("no array", lambda _: CBORTag(18, b"")),
    ("map", lambda _: CBORTag(18, {})),
    ("protected header not wrapped", lambda parts: CBORTag(18, [{1: -7, 16: 293}, *list(parts)[1:]])),
    ("protected header no map", lambda parts: CBORTag(18, [cbor2.dumps([1]), *list(parts)[1:]])),
    ("unprotected header no map", lambda parts: CBORTag(18, [parts[0], [], parts[2], parts[3]])),
    ("unprotected header wrapped", lambda parts: CBORTag(18, [parts[0], b"\xa0", parts[2], parts[3]])),
    ("detached payload", lambda parts: CBORTag(18, [parts[0], parts[1], None, parts[3]])),
    ("payload not wrapped", lambda parts: CBORTag(18, [parts[0], parts[1], {}, parts[3]])),
    ("signature null", lambda parts: CBORTag(18, [parts[0], parts[1], parts[2], None])),
    ("signature text", lambda parts: CBORTag(18, [parts[0], parts[1], parts[2], "sig"])),
]


@sign1_parts
@pytest.mark.parametrize("alter", [alter for _, alter in SHAPES], ids=[name for name, _ in SHAPES])
def test_what_is_no_tagged_COSE_Sign1_is_rejected(broken: str, alter: Callable[[list[Any]], Any]) -> None:
    assert code_of(reshaped(broken, alter)) == "cose_malformed"


def test_an_untagged_COSE_Sign1_is_rejected() -> None:
    assert code_of(reshaped("kbt", lambda parts: parts)) == "cose_malformed"
    assert code_of(reshaped("sd_cwt", lambda parts: parts)) == "kcwt_malformed"
    assert code_of(GOOD.but(kcwt=lambda token: cbor2.dumps(token))) == "kcwt_malformed"


@pytest.mark.parametrize("part", ["headed", "binding_headed"])
def test_alg_stands_in_the_protected_header(part: str) -> None:
    assert code_of(getattr(GOOD, part)({1: ...})) == "cose_alg_missing"
    assert code_of(getattr(GOOD, part)({1: "ES256"})) == "cose_alg_missing"
    assert code_of(getattr(GOOD, part)({1: True})) == "cose_alg_missing"
    unprotected = "unprotected" if part == "headed" else "kbt_unprotected"
    moved = getattr(GOOD, part)({1: ...}).but(**{unprotected: {1: -7}})
    assert code_of(moved) == "cose_alg_missing"


def test_an_empty_protected_header_names_no_algorithm() -> None:
    assert code_of(GOOD.but(protected=b"")) == "sd_cwt_typ"
    assert code_of(GOOD.but(kbt_protected=b"")) == "key_binding_missing"


@pytest.mark.parametrize("part", ["headed", "binding_headed"])
@pytest.mark.parametrize("algorithm", [5, -25, 0, -65535, 1])
def test_macs_and_unknown_algorithms_are_not_supported(part: str, algorithm: int) -> None:
    assert code_of(getattr(GOOD, part)({1: algorithm})) == "algorithm_unsupported"


@pytest.mark.parametrize("part", ["headed", "binding_headed"])
def test_an_algorithm_that_the_key_does_not_fit_is_rejected(part: str) -> None:
    assert code_of(getattr(GOOD, part)({1: -35})) == "algorithm_key_mismatch"
    assert code_of(getattr(GOOD, part)({1: -19})) == "algorithm_key_mismatch"


def test_the_fully_specified_algorithm_fits_the_same_key() -> None:
    assert verify(GOOD.headed({1: -9}).binding_headed({1: -9})).claims.wire == SHOWN


@pytest.mark.parametrize("part", ["headed", "binding_headed"])
def test_critical_header_parameters_are_not_understood(part: str) -> None:
    assert code_of(getattr(GOOD, part)({2: [16]})) == "crit_unsupported"
    unprotected = "unprotected" if part == "headed" else "kbt_unprotected"
    assert code_of(GOOD.but(**{unprotected: {2: [16]}})) == "crit_unsupported"


def test_a_label_stands_in_one_header_alone() -> None:
    assert code_of(GOOD.but(unprotected={16: 293})) == "cose_header_duplicate"
    assert code_of(GOOD.but(kbt_unprotected={16: 294})) == "cose_header_duplicate"
    assert code_of(GOOD.headed({17: [b""]})) == "cose_header_duplicate"


def test_unprotected_parameters_that_must_be_protected_have_no_effect() -> None:
    plain = GOOD.headed({170: ...})
    assert verify(plain.but(unprotected={170: -44})).claims.wire == SHOWN
    assert verify(GOOD.but(unprotected={15: {600: "unsigned"}})).claims.wire == SHOWN
    assert code_of(GOOD.headed({16: ...}).but(unprotected={16: 293})) == "sd_cwt_typ"
    assert code_of(GOOD.binding_headed({16: ...}).but(kbt_unprotected={16: 294})) == "kbt_typ"


@pytest.mark.parametrize("kid", ["text", 7, [b"kid"]])
def test_a_kid_is_a_byte_string(kid: Any) -> None:
    assert code_of(GOOD.headed({4: kid})) == "cose_malformed"
    assert code_of(GOOD.but(unprotected={4: kid})) == "cose_malformed"


@pytest.mark.parametrize("payload", [[], b"", "claims", 1, None, CBORTag(61, {})])
def test_a_claims_set_is_a_map(payload: Any) -> None:
    assert code_of(GOOD.but(payload=cbor2.dumps(payload))) == "claims_not_map"
    assert code_of(GOOD.but(kbt_payload=cbor2.dumps(payload))) == "claims_not_map"
    assert issued_code_of(ISSUED.but(payload=cbor2.dumps(payload))) == "claims_not_map"


def test_the_times_of_this_file_are_in_order() -> None:
    assert CLAIMS[5] < CLAIMS[6] < BOUND_AT < CLAIMS[4]
