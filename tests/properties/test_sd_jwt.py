"""SD-JWT: whatever is issued and chosen is what is verified; whatever else arrives is a SafeconductError."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    BOUND_AT,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    JWK,
    NONCE,
    TRUST,
    VCT,
    b64,
    verify,
)

from safeconduct.errors import SafeconductError
from safeconduct.formats import paths, sd_jwt
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Decoys, Redacted, decoys
from safeconduct.formats.sd_jwt import claims as claim_sets
from safeconduct.formats.sd_jwt import inspection, integrity, issuer_metadata, type_metadata
from safeconduct.trust import WAIVED

# Claim trees with marks at any depth

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts.filter(lambda name: name not in ("_sd", "...", "_sd_alg"))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def maybe_redacted(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner | inner.map(Redacted)


def maps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda entries, count: {**entries, **({decoys(count): None} if count else {})},
        st.dictionaries(names, maybe_redacted(inner), max_size=3),
        st.integers(0, 2),
    )


trees = st.recursive(
    leaves,
    lambda inner: maps(inner) | st.lists(maybe_redacted(inner) | st.builds(decoys, st.just(1)), max_size=3),
    max_leaves=10,
)
registered = {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "vct", "vct#integrity", "status"}
claim_maps = st.dictionaries(
    names.filter(lambda name: name not in registered), maybe_redacted(trees), max_size=4
)
forms = st.sampled_from(["compact", "flattened", "general"])
hashes = st.sampled_from(["sha-256", "sha-384", "sha-512"])


def disclosed(tree: Any, chosen: Callable[[tuple[Any, ...]], bool], path: tuple[Any, ...] = ()) -> Any:
    """What a verifier should read: marks are opened where they are chosen, and gone where they are not."""
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
    """Compare as JSON: Python takes 1, 1.0 and true for equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def with_prefixes(wanted: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {path[:length] for path in wanted for length in range(1, len(path) + 1)}


MORE = {"iss": ISSUER, "vct": VCT, "iat": IAT}
OWN = {**MORE, "cnf": {"jwk": JWK}}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(claim_maps, forms, hashes, st.data())
def test_exactly_the_chosen_claims_are_verified(
    tree: dict[Any, Any], form: Any, hash_name: str, data: st.DataObject
) -> None:
    token = sd_jwt.issue(
        {**MORE, **tree}, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT, form=form, hash_name=hash_name
    )
    kept = sd_jwt.check_issued(token, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT)
    assert same(kept.claims.wire, {**OWN, **disclosed(tree, lambda _: True)})
    places = sorted(kept.redactable, key=repr)
    wanted = set(data.draw(st.lists(st.sampled_from(places), unique=True))) if places else set()
    needed = with_prefixes(wanted)
    shown = sd_jwt.present(
        data.draw(st.sampled_from([token, kept])),
        holder=HOLDER_KEY,
        disclose=lambda path, _value: path in wanted,
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
        form=data.draw(forms),
    )
    verified = verify(shown)
    assert same(verified.claims.wire, {**OWN, **disclosed(tree, lambda path: path in needed)})
    assert len(verified.disclosed_paths()) == len(needed & set(places))
    inspection.inspect(shown)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(claim_maps, st.data())
def test_a_path_takes_everything_inside_it_along(tree: dict[Any, Any], data: st.DataObject) -> None:
    token = sd_jwt.issue({**MORE, **tree}, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT)
    kept = sd_jwt.check_issued(token, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT)
    places = sorted(kept.redactable, key=repr)
    wanted = data.draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    shown = sd_jwt.present(
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

    assert same(verify(shown).claims.wire, {**OWN, **disclosed(tree, chosen)})


@settings(deadline=None)
@given(st.lists(names | st.builds(Index, st.integers(0, 10**8)), min_size=1, max_size=4))
def test_a_path_that_is_written_is_read_again(path: list[Any]) -> None:
    assert claim_sets.resolve(paths.parse(claim_sets.path_text(tuple(path)))) == tuple(path)


# Garbage

LENIENT = frozenset(sd_jwt.LENIENCIES)


def _present(data: bytes) -> None:
    sd_jwt.present(
        data,
        holder=HOLDER_KEY,
        disclose=sd_jwt.ALL,
        audience=AUDIENCE,
        nonce=NONCE,
        now=BOUND_AT,
        accept=LENIENT,
    )


ENTRANCES: list[Callable[[bytes], Any]] = [
    lambda data: sd_jwt.parse(data, accept=LENIENT).needs(),
    verify,
    lambda data: verify(data, accept=LENIENT, key_binding=WAIVED, require_disclosure=True),
    lambda data: sd_jwt.check_issued(
        data, holder=HOLDER_KEY.public, trust=TRUST, now=BOUND_AT, clear=["a"], decoys=1
    ),
    lambda data: sd_jwt.check_issued(data, holder=WAIVED, trust=TRUST, now=BOUND_AT, accept=LENIENT),
    _present,
    inspection.inspect,
    lambda data: issuer_metadata.parse(data, issuer=ISSUER),
    issuer_metadata.parse_jwks,
    lambda data: type_metadata.parse(data, vct=VCT),
    lambda data: type_metadata.resolve(VCT, {VCT: data}),
    lambda data: integrity.check(b"", data.decode("latin-1")),
    lambda data: issuer_metadata.url_for(data.decode("latin-1")),
]


def survives(data: bytes) -> None:
    for entrance in ENTRANCES:
        try:
            entrance(data)
        except SafeconductError as error:
            assert error.code  # noqa: PT017


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_give_a_safeconduct_error(data: bytes) -> None:
    survives(data)
    survives(b"{" + data)
    survives(b"e30.e30.AAAA~" + data)


changes = st.tuples(st.integers(0, 3000), st.binary(max_size=4), st.integers(0, 6))
WHOLE = [
    GOOD.text().encode(),
    GOOD.issued().encode(),
    ISSUED.issued().encode(),
    json.dumps(GOOD.flattened()).encode(),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(WHOLE), st.lists(changes, min_size=1, max_size=4))
def test_a_token_changed_in_some_places_gives_a_safeconduct_error_or_the_same(
    data: bytes, steps: list[tuple[int, bytes, int]]
) -> None:
    for place, more, gone in steps:
        place %= len(data) + 1
        data = data[:place] + more + data[place + gone :]
    survives(data)


json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(json_values, json_values, st.lists(json_values, max_size=3))
@example({"alg": "ES256", "typ": "dc+sd-jwt"}, {"vct": "x", "_sd": []}, [["s", "a", {"_sd": 1}]])
@example({"alg": "ES256"}, {"status": {"status_list": {}}}, [[], {}, [None, None]])
def test_any_json_in_any_part_gives_a_safeconduct_error(header: Any, claims: Any, shown: list[Any]) -> None:
    parts = [b64(json.dumps(part)) for part in (header, claims)]
    disclosures = [b64(json.dumps(item)) for item in shown]
    jwt = f"{parts[0]}.{parts[1]}.{'A' * 86}"
    survives("~".join([jwt, *disclosures, ""]).encode())
    survives("~".join([jwt, *disclosures, jwt]).encode())
    survives(
        json.dumps({"payload": parts[1], "protected": parts[0], "signature": "AA", "header": header}).encode()
    )
    survives(json.dumps(claims).encode())
