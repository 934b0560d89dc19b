"""SD-CWT: whatever is issued and chosen is what is verified; whatever else arrives is a SafeconductError."""

import json
import string
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.negative.builder import (
    AUDIENCE,
    BOUND_AT,
    EARLY,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    NONCE,
    TRUST,
    policy,
    verify,
)

from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import SafeconductError
from safeconduct.formats import paths, sd_cwt
from safeconduct.formats.paths import Index, Name, Text
from safeconduct.formats.redaction import Decoys, Redacted, decoys
from safeconduct.formats.sd_cwt import claims as claim_sets
from safeconduct.formats.sd_cwt import inspection
from safeconduct.trust import AeadKey, Policy

# Claim trees with marks at any depth

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# Beside redacted entries, 59 is no key here: cbor2 takes simple(59) for it.
labels = st.integers(-(2**64), 2**64 - 1).filter(lambda label: label != 59) | texts
leaves = (
    st.none()
    | st.booleans()
    | st.just(undefined)
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=12)
    | texts
    | st.builds(Simple, st.sampled_from([0, 58, 60, 255]))
)


def maybe_redacted(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner | inner.map(Redacted)


def maps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda entries, count: {**entries, **({decoys(count): None} if count else {})},
        st.dictionaries(labels, maybe_redacted(inner), max_size=3),
        st.integers(0, 2),
    )


trees = st.recursive(
    leaves,
    lambda inner: (
        maps(inner)
        | st.lists(maybe_redacted(inner) | st.builds(decoys, st.just(1)), max_size=3)
        | st.builds(Tag, st.sampled_from([0, 18, 61, 100, 2**64 - 1]), inner)
    ),
    max_leaves=10,
)
free_labels = labels.filter(lambda label: label not in claim_sets.CLAIM_NAMES and label not in (11, 12, 13))
claim_maps = st.dictionaries(
    free_labels.filter(lambda label: label not in claim_sets.CLAIM_LABELS), maybe_redacted(trees), max_size=4
)


def disclosed(tree: Any, chosen: Callable[[tuple[Any, ...]], bool], path: tuple[Any, ...] = ()) -> Any:
    """What a verifier should read: marks are opened where they are chosen, and gone where they are not."""
    if isinstance(tree, Tag):
        return Tag(tree.tag, disclosed(tree.value, chosen, path))
    if isinstance(tree, dict):
        result = {}
        for key, item in tree.items():
            if isinstance(key, Decoys):
                continue
            if not isinstance(item, Redacted):
                result[key] = disclosed(item, chosen, (*path, key))
            elif chosen((*path, key)):
                result[key] = disclosed(item.value, chosen, (*path, key))
        return result
    if isinstance(tree, list):
        kept = []
        for place, item in enumerate([item for item in tree if not isinstance(item, Decoys)]):
            if not isinstance(item, Redacted):
                kept.append(disclosed(item, chosen, (*path, Index(place))))
            elif chosen((*path, Index(place))):
                kept.append(disclosed(item.value, chosen, (*path, Index(place))))
        return kept
    return tree


def same(one: Any, other: Any) -> bool:
    """Compare as bytes: Python takes 1, 1.0 and true for equal."""
    return cbor.dumps(one) == cbor.dumps(other)


def with_prefixes(wanted: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {path[:length] for path in wanted for length in range(1, len(path) + 1)}


MORE = {1: ISSUER, 2: "https://device.example", 6: IAT}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(claim_maps, st.data())
def test_exactly_the_chosen_claims_are_verified(tree: dict[Any, Any], data: st.DataObject) -> None:
    token = sd_cwt.issue({**MORE, **tree}, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT)
    kept = sd_cwt.check_issued(token, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT)
    own = {8: {1: HOLDER_KEY.public.to_cose_key()}, **MORE}
    assert same(kept.claims.wire, {**own, **disclosed(tree, lambda _: True)})
    places = sorted(kept.redactable, key=repr)
    wanted = set(data.draw(st.lists(st.sampled_from(places), unique=True))) if places else set()
    needed = with_prefixes(wanted)
    shown = sd_cwt.present(
        data.draw(st.sampled_from([token, kept])),
        holder=HOLDER_KEY,
        disclose=lambda path, _value: path in wanted,
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
    )
    read = verify(shown).claims.wire
    assert same(read, {**own, **disclosed(tree, lambda path: path in needed)})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(claim_maps, st.data())
def test_a_path_takes_everything_inside_it_along(tree: dict[Any, Any], data: st.DataObject) -> None:
    token = sd_cwt.issue({**MORE, **tree}, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT)
    kept = sd_cwt.check_issued(token, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT)
    places = sorted(kept.redactable, key=repr)
    wanted = data.draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    shown = sd_cwt.present(
        kept,
        holder=HOLDER_KEY,
        disclose=[claim_sets.path_text(path) for path in wanted],
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
    )
    outer = with_prefixes(set(wanted))

    def chosen(path: tuple[Any, ...]) -> bool:
        return path in outer or any(path[: len(prefix)] == prefix for prefix in wanted)

    own = {8: {1: HOLDER_KEY.public.to_cose_key()}, **MORE}
    assert same(verify(shown).claims.wire, {**own, **disclosed(tree, chosen)})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(claim_maps, st.data())
def test_the_early_profile_gives_exactly_the_chosen_claims_too(
    tree: dict[Any, Any], data: st.DataObject
) -> None:
    plain = {key: item for key, item in tree.items() if "..." not in repr(item) and not reserved(item)}
    plain.pop("...", None)
    claims = {**MORE, 4: IAT + 9000, **plain}
    profile = sd_cwt.SEED_2024
    token = sd_cwt.issue(claims, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT, profile=profile)
    kept = sd_cwt.check_issued(token, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT, profile=profile)
    places = sorted(kept.redactable, key=repr)
    wanted = set(data.draw(st.lists(st.sampled_from(places), unique=True))) if places else set()
    needed = with_prefixes(wanted)
    shown = sd_cwt.present(
        token,
        holder=HOLDER_KEY,
        disclose=lambda path, _value: path in wanted,
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
        profile=profile,
    )
    own = {**claims, 8: {1: HOLDER_KEY.public.to_cose_key()}}
    read = verify(shown, profiles=("seed-2024",)).claims.wire
    assert same(read, disclosed(own, lambda path: path in needed))


def reserved(value: Any) -> bool:
    """Whether a value holds a key that the early profile gives another meaning."""
    if isinstance(value, Redacted | Tag):
        return reserved(value.value)
    if isinstance(value, dict):
        return 13 in value or any(map(reserved, value.values()))
    return isinstance(value, list) and any(map(reserved, value))


# Nothing but the exact bytes


@cache
def presentations() -> dict[str, bytes]:
    key = AeadKey(bytes(16))
    encrypted = sd_cwt.present(
        ISSUED.issued(),
        holder=HOLDER_KEY,
        disclose=["501", "503"],
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
        encrypt={"501": key},
    )
    return {"plain": GOOD.encoded(), "encrypted": encrypted}


def attempt(data: bytes) -> None:
    verify(data, aead_keys=(AeadKey(bytes(16)),))


@pytest.mark.parametrize("name", ["plain", "encrypted"])
def test_the_presentations_that_are_broken_below_are_accepted_whole(name: str) -> None:
    attempt(presentations()[name])


@pytest.mark.parametrize("mask", [0x01, 0x80, 0x20, 0xFF])
@pytest.mark.parametrize("name", ["plain", "encrypted"])
def test_every_flipped_byte_is_rejected(name: str, mask: int) -> None:
    data = presentations()[name]
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= mask
        with pytest.raises(SafeconductError):
            attempt(bytes(flipped))


@pytest.mark.parametrize("name", ["plain", "encrypted"])
def test_every_truncation_and_every_appended_byte_is_rejected(name: str) -> None:
    data = presentations()[name]
    for length in range(len(data)):
        with pytest.raises(SafeconductError):
            attempt(data[:length])
    for byte in range(256):
        with pytest.raises(SafeconductError):
            attempt(data + bytes((byte,)))


@pytest.mark.parametrize("name", ["plain", "encrypted"])
def test_every_byte_removed_or_doubled_is_rejected(name: str) -> None:
    data = presentations()[name]
    for position in range(len(data)):
        with pytest.raises(SafeconductError):
            attempt(data[:position] + data[position + 1 :])
        with pytest.raises(SafeconductError):
            attempt(data[:position] + data[position : position + 1] + data[position:])


# Garbage


LENIENT = frozenset(sd_cwt.LENIENCIES)
PROFILES = ("ietf-08", "seed-2024")

ENTRANCES: list[tuple[str, Callable[[bytes], Any]]] = [
    ("parse", lambda data: sd_cwt.parse(data).needs()),
    ("parse, anything", lambda data: sd_cwt.parse(data, profiles=PROFILES, accept=LENIENT).needs()),
    ("verify", attempt),
    (
        "verify, anything",
        lambda data: verify(
            data, profiles=PROFILES, accept=LENIENT, aead_keys=(AeadKey(bytes(16)),), require_disclosure=True
        ),
    ),
    (
        "check_issued",
        lambda data: sd_cwt.check_issued(
            data, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT, clear=["500"], decoys=1
        ),
    ),
    (
        "check_issued, early",
        lambda data: sd_cwt.check_issued(
            data,
            holder=HOLDER_KEY.public,
            trust=TRUST,
            now=BOUND_AT,
            profile=sd_cwt.SEED_2024,
            accept=LENIENT,
        ),
    ),
    (
        "present",
        lambda data: sd_cwt.present(
            data,
            holder=HOLDER_KEY,
            disclose=sd_cwt.ALL,
            audience=AUDIENCE,
            nonce=NONCE,
            now=BOUND_AT,
            accept=LENIENT,
        ),
    ),
    ("read_preissued", lambda data: sd_cwt.read_preissued(data, accept=LENIENT)),
    ("inspect", inspection.inspect),
]


def survives(data: bytes) -> None:
    for _, entrance in ENTRANCES:
        try:
            entrance(data)
        except SafeconductError as error:
            assert error.code  # noqa: PT017


@given(st.binary(max_size=200))
def test_random_bytes_give_a_safeconduct_error(data: bytes) -> None:
    survives(data)
    survives(b"\xd2\x84" + data)


changes = st.tuples(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 6))
WHOLE = [GOOD.encoded(), GOOD.issued(), ISSUED.issued(), EARLY.encoded(), EARLY.issued()]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(
        st.tuples(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 6)), min_size=1, max_size=3
    ),
)
def test_mutated_tokens_give_a_safeconduct_error(data: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    for position, replacement, length in changes:
        at = position % (len(data) + 1)
        data = data[:at] + replacement + data[at + length :]
    survives(data)


cbor_keys = (
    st.integers(-5, 20)
    | st.sampled_from([39, 170, 171, 172, 500])
    | st.text(string.ascii_lowercase, max_size=3)
    | st.sampled_from([Simple(59), b"", "..."])
    | st.builds(Tag, st.sampled_from([58, 60, 62]), st.integers(0, 2) | st.just("x"))
)
cbor_values = st.recursive(
    leaves | st.floats() | st.binary(min_size=32, max_size=32),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(cbor_keys, inner, max_size=4)
        | st.builds(Tag, st.sampled_from([0, 1, 2, 3, 18, 24, 58, 60, 61, 62, 258, 55799]), inner)
        | inner.map(cbor.dumps)
    ),
    max_leaves=12,
)
claim_values = st.dictionaries(cbor_keys, cbor_values, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cbor_values)
def test_any_CBOR_gives_a_safeconduct_error(value: Any) -> None:
    survives(cbor.dumps(value))
    survives(cbor.dumps(Tag(18, value)))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["claims", "header", "unprotected", "kbt_claims", "kbt_header", "kbt_unprotected"]),
    claim_values,
    st.booleans(),
)
def test_signed_nonsense_in_any_part_gives_a_safeconduct_error(
    part: str, nonsense: dict[Any, Any], early: bool
) -> None:
    """Behind valid signatures, where garbage reaches every later step."""
    base: Any = EARLY if early else GOOD
    if early and part == "kbt_unprotected":
        return
    entries = {native(key): native(value) for key, value in nonsense.items()}
    changed = base.but(**{part: {**getattr(base, part), **entries}})
    survives(changed.encoded())
    survives(changed.issued())


def native(value: Any) -> Any:
    """The builder encodes by cbor2, whose floats and tags are the same objects; only order may differ."""
    return CBORTag(value.tag, value.value) if isinstance(value, Tag) else value


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(cbor_values, max_size=4), st.booleans())
def test_signed_nonsense_as_disclosures_gives_a_safeconduct_error(items: list[Any], referenced: bool) -> None:
    encoded = [item if isinstance(item, bytes) else cbor.dumps(item) for item in items]
    base = GOOD.redacting(*encoded) if referenced else GOOD.showing(*items)
    survives(base.encoded())
    survives(GOOD.but(unprotected={171: items}).encoded())
    survives(GOOD.claiming({8: items[0] if items else None}).encoded())


# JSON and paths

json_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_keys = labels | st.sampled_from(["iss", "500", "-1", "", '["x"]', '["', "[0]", "a.b", "-0", "007"])
json_trees = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_keys, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(json_keys, json_trees, max_size=4), st.binary(max_size=8))
def test_claims_go_to_JSON_and_back(tree: dict[Any, Any], nonce: bytes) -> None:
    for label in (7, 39):
        tree.pop(label, None)
    tree[39] = nonce
    written = json.loads(json.dumps(sd_cwt.claims_to_json(tree)))
    assert same(sd_cwt.claims_from_json(written), tree)


segments = (
    st.builds(Text, texts)
    | st.builds(Index, st.integers(0, 999_999_999))
    | st.builds(Name, st.from_regex(r"[^.\[\]\"\s][^.\[\]\"]{0,8}", fullmatch=True))
)


@given(st.lists(segments, min_size=1, max_size=6))
def test_a_path_is_written_and_read_back(written: list[Any]) -> None:
    assert paths.parse(paths.write(written)) == tuple(written)


@given(st.lists(labels | st.builds(Index, st.integers(0, 999)), min_size=1, max_size=5))
def test_a_place_is_written_and_found_again(place: list[Any]) -> None:
    assert claim_sets.resolve(paths.parse(claim_sets.path_text(tuple(place)))) == tuple(place)


@given(st.text(max_size=30) | st.lists(st.sampled_from(list('.[]"\\0a-'))).map("".join))
def test_any_text_as_a_path_gives_a_safeconduct_error(text: str) -> None:
    try:
        paths.parse(text)
    except SafeconductError as error:
        assert error.code == "claim_path"  # noqa: PT017


def test_the_policy_of_this_file_is_strict() -> None:
    assert policy() == Policy(audience=AUDIENCE, nonce=NONCE)
