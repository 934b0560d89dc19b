"""Token Status Lists and credentials that name them: one case a rule of draft-ietf-oauth-status-list."""

import hmac
import json
import zlib
from typing import Any

import cbor2
import pytest
from tests.negative import builder, sd_jwt_builder
from tests.negative.status_list_builder import EXP, GONE, IAT, LABELS, URI, ListToken, b64

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.status import token_list
from safeconduct.status.token_list import (
    CredentialStatus,
    Owner,
    StatusList,
    TokenStatusLists,
    VerifiedListToken,
)
from safeconduct.trust import WAIVED, Policy, Trust

ISSUER = sd_jwt_builder.ISSUER
ISSUER_KEY, OTHER_KEY = sd_jwt_builder.ISSUER_KEY, sd_jwt_builder.OTHER_KEY
NOW = sd_jwt_builder.NOW
TRUST = Trust.of({ISSUER: ISSUER_KEY.public})
GOOD = ListToken(key=ISSUER_KEY)
KINDS = ("jwt", "cwt")
both = pytest.mark.parametrize("kind", KINDS)
IDX = 5


def verified(token: ListToken | bytes, **changes: Any) -> VerifiedListToken:
    data = token if isinstance(token, bytes) else token.encoded()
    given = {"uri": URI, "owner": Owner(ISSUER), "trust": TRUST, "now": NOW, **changes}
    found = token_list.verify(token_list.parse(data), **given)
    found.check_times(now=given["now"])
    return found


def refused(token: ListToken | bytes, code: str, **changes: Any) -> None:
    with pytest.raises(SafeconductError) as error:
        verified(token, **changes)
    assert error.value.code == code
    assert URI not in str(error.value)


@both
def test_the_builder_makes_good_tokens(kind: str) -> None:
    found = verified(GOOD.but(kind=kind, data=b"\xc9\x44\xf9"))
    assert [found.statuses.status(index) for index in range(12)] == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert found.expires == EXP


# The list (§4)


@both
@pytest.mark.parametrize("bits", [0, 3, 9, 16, -1, "2", 2.0, None, True, GONE])
def test_a_status_has_one_two_four_or_eight_bits(kind: str, bits: Any) -> None:
    refused(GOOD.but(kind=kind, bits=bits), "status_list_malformed")


@both
def test_a_list_is_an_object_with_lst(kind: str) -> None:
    for value in ([], "x", None, 1):
        refused(GOOD.but(kind=kind, claims={"status_list": value}), "status_list_malformed")
    for lst in (GONE, None, 7, ["x"]):
        refused(GOOD.but(kind=kind, listed={"lst": lst}), "status_list_malformed")
    swapped: Any = b"\x78" if kind == "jwt" else "eNo"
    if kind == "cwt":
        refused(GOOD.but(kind=kind, listed={"lst": swapped}), "status_list_malformed")


def test_lst_is_base64url_without_padding() -> None:
    for lst in ("eNo+", "eNo=", "eNo 76"):
        refused(GOOD.but(listed={"lst": lst}), "base64url_malformed")


@both
@pytest.mark.parametrize(
    "compressed",
    [
        b"",
        zlib.compress(b""),
        zlib.compress(bytes(40))[:-1],
        zlib.compress(bytes(40)) + b"\0",
        zlib.compress(bytes(40)) * 2,
        zlib.compress(bytes(40))[2:-4],  # raw DEFLATE
        bytes(40),
        zlib.compress(bytes(40))[:-1] + b"\xff",  # another checksum
    ],
    ids=["nothing", "empty", "cut", "trailing", "twice", "raw", "stored", "checksum"],
)
def test_lst_is_one_whole_zlib_stream(kind: str, compressed: bytes) -> None:
    lst: Any = compressed if kind == "cwt" else b64(compressed)
    refused(GOOD.but(kind=kind, listed={"lst": lst}), "status_list_deflate")


@both
def test_a_list_that_inflates_beyond_the_bound_is_refused(kind: str) -> None:
    """128 MiB of zeros have 128 kB; they are given up soon after the bound."""
    machine = zlib.compressobj(9)
    bomb = b"".join([machine.compress(bytes(1 << 20)) for _ in range(128)]) + machine.flush()
    lst: Any = bomb if kind == "cwt" else b64(bomb)
    refused(GOOD.but(kind=kind, listed={"lst": lst}), "status_list_too_large")
    whole = zlib.compress(bytes(limits.STATUS_LIST_BYTES))
    fits: Any = whole if kind == "cwt" else b64(whole)
    assert verified(GOOD.but(kind=kind, listed={"lst": fits})).statuses.size == 4 * limits.STATUS_LIST_BYTES


@both
def test_a_token_beyond_the_bound_is_not_read(kind: str) -> None:
    first = b"\xd2" if kind == "cwt" else b"e"
    refused(first * (limits.STATUS_TOKEN_BYTES + 1), "status_list_too_large")


@both
def test_an_index_beyond_the_list_is_refused(kind: str) -> None:
    found = verified(GOOD.but(kind=kind))
    assert found.statuses.status(63) == 0
    for index in (64, 1 << 70, -1):
        with pytest.raises(SafeconductError) as error:
            found.statuses.status(index)
        assert error.value.code == "status_index_out_of_range"


def test_aggregation_uri_is_a_uri() -> None:
    for value in (7, "", "x" * (limits.URL_CHARS + 1), []):
        refused(GOOD.but(listed={"aggregation_uri": value}), "status_list_malformed")
    found = verified(GOOD.but(listed={"aggregation_uri": "https://status.example/all"}))
    assert found.statuses.aggregation_uri == "https://status.example/all"


def test_only_what_has_room_is_put_into_a_list() -> None:
    for statuses, size, bits in (
        ({8: 1}, 8, 1),
        ({-1: 1}, 8, 1),
        ({0: 2}, 8, 1),
        ({0: -1}, 8, 1),
        ({}, 0, 1),
        ({}, 8, 3),
        ({}, 8 * limits.STATUS_LIST_BYTES + 1, 1),
    ):
        with pytest.raises(ValueError, match=r"room|size"):
            StatusList.of(statuses, size=size, bits=bits)  # type: ignore[arg-type]


# The token (§5, §8.3)


@pytest.mark.parametrize(
    "typ", ["JWT", "statuslist+cwt", "application/sd+jwt", "", 7, None, GONE, "x/statuslist+jwt"]
)
def test_a_jwt_is_typed_as_a_status_list(typ: Any) -> None:
    refused(GOOD.but(header={"typ": typ}), "status_list_type")


def test_the_type_of_a_jwt_may_be_written_in_full() -> None:
    assert verified(GOOD.but(header={"typ": "application/StatusList+JWT"})).uri == URI


@pytest.mark.parametrize("typ", ["statuslist+cwt", "application/statuslist+jwt", 0, 60, None, GONE])
def test_a_cwt_is_typed_as_a_status_list(typ: Any) -> None:
    refused(GOOD.but(kind="cwt", header={16: typ}), "status_list_type")


@both
def test_a_credential_of_the_same_issuer_is_no_status_list(kind: str) -> None:
    """Its key is that of its credentials; the type alone tells them apart."""
    shown = sd_jwt_builder.GOOD.text().partition("~")[0]
    data = shown.encode() if kind == "jwt" else builder.GOOD.encoded()
    with pytest.raises(SafeconductError) as error:
        verified(data, trust=Trust.key(ISSUER_KEY.public, builder.HOLDER_KEY.public))
    assert error.value.code == "status_list_type"


@both
def test_only_the_issuers_key_signs_its_lists(kind: str) -> None:
    token = GOOD.but(kind=kind, key=OTHER_KEY)
    refused(token, "signature_invalid")
    others = Trust.of({ISSUER: ISSUER_KEY.public, "https://other.example": OTHER_KEY.public})
    refused(token, "signature_invalid", trust=others)
    assert verified(token, trust=others, owner=Owner("https://other.example")).key == OTHER_KEY.public
    refused(token, "issuer_unknown", owner=Owner("https://unknown.example"))
    refused(token, "issuer_unknown", trust=Trust.issuer_not_checked())


@both
def test_the_key_of_the_credential_itself_may_sign(kind: str) -> None:
    token = GOOD.but(kind=kind, key=OTHER_KEY)
    assert verified(token, owner=Owner(ISSUER, OTHER_KEY.public)).key == OTHER_KEY.public


@both
def test_a_changed_list_is_refused(kind: str) -> None:
    data = bytearray(GOOD.but(kind=kind).encoded())
    data[-20] = ord("A") if data[-20] != ord("A") else ord("B")
    refused(bytes(data), "signature_invalid")


def test_a_key_name_picks_the_key() -> None:
    named = Trust.of({ISSUER: [ISSUER_KEY.public.with_kid("1"), OTHER_KEY.public.with_kid("2")]})
    refused(GOOD.but(header={"kid": "2"}), "signature_invalid", trust=named)
    assert verified(GOOD.but(header={"kid": "1"}), trust=named).uri == URI
    assert verified(GOOD.but(kind="cwt", header={4: b"1"}), trust=named).uri == URI
    refused(GOOD.but(kind="cwt", header={4: b"2"}), "signature_invalid", trust=named)


def test_a_mac_is_refused() -> None:
    secret = ISSUER_KEY.public.to_pem().encode()
    signed = ".".join(
        b64(json.dumps(part).encode())
        for part in ({"alg": "HS256", "typ": "statuslist+jwt"}, {"sub": URI, "iat": IAT, "status_list": {}})
    )
    tag = hmac.new(secret, signed.encode(), "sha256").digest()
    refused(f"{signed}.{b64(tag)}".encode(), "algorithm_unsupported")
    refused(cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x05", {}, b"", tag])), "status_list_mac")


def test_no_signature_at_all_is_refused() -> None:
    refused(GOOD.but(header={"alg": "none"}), "algorithm_unsupported")
    refused(GOOD.but(header={"crit": ["exp"]}), "crit_unsupported")
    refused(GOOD.but(kind="cwt", header={2: [16]}), "crit_unsupported")


def test_a_cwt_is_a_tagged_sign1_without_the_cwt_tag() -> None:
    data = GOOD.but(kind="cwt").encoded()
    refused(b"\xd8\x3d" + data, "cose_malformed")  # tag 61
    refused(data[1:], "jws_malformed")
    refused(data + b"\0", "cbor_trailing_bytes")
    refused(b"", "jws_malformed")


@both
def test_the_required_claims_are_there(kind: str) -> None:
    for name in ("sub", "iat", "status_list"):
        refused(GOOD.but(kind=kind, claims={name: GONE}), "status_list_claim_missing")


@both
def test_claims_are_a_map(kind: str) -> None:
    if kind == "jwt":
        signed = f"{b64(json.dumps({'alg': 'ES256', 'typ': 'statuslist+jwt'}).encode())}.{b64(b'[]')}"
        refused(f"{signed}.{b64(ISSUER_KEY.sign(signed.encode()))}".encode(), "claims_not_object")
    else:
        refused(cbor2.dumps(cbor2.CBORTag(18, [b"\xa1\x01\x26", {}, b"\x80", bytes(64)])), "claims_not_map")


def test_a_claim_is_not_given_twice() -> None:
    header = b64(json.dumps({"alg": "ES256", "typ": "statuslist+jwt"}).encode())
    payload = b64(b'{"sub":"a","sub":"b"}')
    signed = f"{header}.{payload}"
    refused(f"{signed}.{b64(ISSUER_KEY.sign(signed.encode()))}".encode(), "json_duplicate_member")


@both
def test_sub_is_the_uri_that_the_credential_names(kind: str) -> None:
    for sub in (URI + "/", URI.upper(), URI.replace("https", "http"), 7, None):
        refused(GOOD.but(kind=kind, claims={"sub": sub}), "status_list_mismatch")


@both
def test_a_list_for_somebody_else_is_refused(kind: str) -> None:
    refused(GOOD.but(kind=kind, claims={"aud": "https://other.example"}), "status_list_audience")


@both
@pytest.mark.parametrize("claim", ["iat", "exp", "nbf", "ttl"])
@pytest.mark.parametrize("value", ["1700000000", None, True, []])
def test_times_are_numbers(kind: str, claim: str, value: Any) -> None:
    refused(GOOD.but(kind=kind, claims={claim: value}), "status_list_claim")


@pytest.mark.parametrize("claim", ["iat", "exp", "ttl"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_times_are_finite(claim: str, value: float) -> None:
    refused(GOOD.but(kind="cwt", claims={claim: value}), "status_list_claim")


@both
def test_ttl_is_positive(kind: str) -> None:
    for ttl in (0, -1):
        refused(GOOD.but(kind=kind, claims={"ttl": ttl}), "status_list_claim")
    assert verified(GOOD.but(kind=kind, claims={"ttl": 0.5})).ttl == 0.5
    assert verified(GOOD.but(kind=kind, claims={"ttl": GONE})).ttl is None
    with pytest.raises(ValueError, match="ttl"):
        token_list.issue_jwt(StatusList(1, b"\0"), uri=URI, signer=ISSUER_KEY, now=NOW, ttl=0)


@both
def test_a_list_is_good_from_iat_until_exp(kind: str) -> None:
    token = GOOD.but(kind=kind)
    for now in (IAT, EXP - 1):
        verified(token, now=now)
    refused(token, "status_list_from_future", now=IAT - 1)
    refused(token, "status_list_expired", now=EXP)
    refused(GOOD.but(kind=kind, claims={"nbf": NOW + 1}), "status_list_from_future")
    forever = GOOD.but(kind=kind, claims={"exp": GONE})
    assert verified(forever, now=EXP * 2).expires is None


def test_the_verifier_says_how_far_clocks_differ_and_how_old_a_list_may_be() -> None:
    found = verified(GOOD)
    found.check_times(now=IAT - 60, leeway=60)
    found.check_times(now=EXP + 59, leeway=60)
    found.check_times(now=IAT + 100, max_age=100)
    with pytest.raises(SafeconductError) as error:
        found.check_times(now=IAT + 101, max_age=100)
    assert error.value.code == "status_list_too_old"


# Credentials (§6, §7): the same of SD-JWT and SD-CWT


def policy(**changes: Any) -> Policy:
    return Policy(**{"audience": WAIVED, "nonce": WAIVED, **changes})


def status_of(
    format_: str, lists: TokenStatusLists | None, claim: Any = GONE, **changes: Any
) -> CredentialStatus | None:
    """Verify a good credential that names place IDX of the list."""
    named = {"status_list": {"idx": IDX, "uri": URI}} if claim is GONE else claim
    if format_ == "sd-jwt":
        shown = sd_jwt_builder.GOOD.claiming({"status": named}).text()
        now, given = sd_jwt_builder.NOW, policy(profiles=("sd-jwt-vc",), **changes)
        return sd_jwt.verify(shown, trust=TRUST, policy=given, now=now, status_lists=lists).status
    data = builder.GOOD.claiming({65535: named}).encoded()
    given = policy(**changes)
    return sd_cwt.verify(data, trust=TRUST, policy=given, now=builder.NOW, status_lists=lists).status


def lists_with(value: int, **changes: Any) -> TokenStatusLists:
    made = StatusList.of({IDX: value}, size=64, bits=4)
    return TokenStatusLists.of(GOOD.but(data=made.data, bits=4, **changes).encoded())


formats = pytest.mark.parametrize("format_", ["sd-jwt", "sd-cwt"])


def fails(code: str, format_: str, lists: TokenStatusLists | None, claim: Any = GONE, **changes: Any) -> None:
    with pytest.raises(SafeconductError) as error:
        status_of(format_, lists, claim, **changes)
    assert error.value.code == code


@formats
@both
def test_a_valid_credential_passes(format_: str, kind: str) -> None:
    found = status_of(format_, lists_with(0, kind=kind), status="fail-closed")
    assert found is not None
    assert (found.state, found.value, found.reason) == ("valid", 0, None)


@formats
@pytest.mark.parametrize("setting", ["if-given", "fail-closed", "fail-open"])
def test_what_is_not_valid_is_refused(format_: str, setting: str) -> None:
    for value, code in (
        (1, "status_invalid"),
        (2, "status_suspended"),
        (3, "status_other"),
        (12, "status_other"),
    ):
        fails(code, format_, lists_with(value), status=setting)


@formats
def test_an_application_may_accept_values_of_its_own(format_: str) -> None:
    found = status_of(format_, lists_with(3), statuses=frozenset({0, 3}))
    assert found is not None
    assert (found.state, found.value) == ("other", 3)


@formats
def test_without_lists_nobody_looks_unless_it_is_demanded(format_: str) -> None:
    found = status_of(format_, None)
    assert found is not None
    assert (found.state, found.value) == ("unchecked", None)
    fails("status_list_missing", format_, None, status="fail-closed")
    waived = status_of(format_, lists_with(1), status=WAIVED)
    assert waived is not None
    assert waived.state == "unchecked"


@formats
def test_fail_open_lets_pass_what_cannot_be_read_and_says_why(format_: str) -> None:
    cases = [
        (TokenStatusLists(), "status_list_missing"),
        (lists_with(1, key=OTHER_KEY), "signature_invalid"),
        (lists_with(1, claims={"exp": NOW}), "status_list_expired"),
        (TokenStatusLists({URI: b"junk"}), "jws_malformed"),
    ]
    for lists, code in cases:
        found = status_of(format_, lists, status="fail-open")
        assert found is not None
        assert (found.state, found.reason) == ("unknown", code)
        fails(code, format_, lists, status="fail-closed")
        fails(code, format_, lists)


@formats
def test_a_place_that_the_list_does_not_have_is_refused_even_with_fail_open(format_: str) -> None:
    claim = {"status_list": {"idx": 64, "uri": URI}}
    fails("status_index_out_of_range", format_, lists_with(0), claim, status="fail-open")


@formats
def test_another_mechanism_is_not_good_by_our_lists(format_: str) -> None:
    claim = {"identifier_list": {"id": "x", "uri": URI}}
    fails("status_unsupported", format_, lists_with(0), claim)
    found = status_of(format_, lists_with(0), claim, status="fail-open")
    assert found is not None
    assert found.reason == "status_unsupported"


@formats
def test_a_reference_has_index_and_uri(format_: str) -> None:
    for listed in (
        {},
        {"idx": -1, "uri": URI},
        {"idx": "5", "uri": URI},
        {"idx": 5},
        {"idx": 5, "uri": ""},
        [],
    ):
        fails("status_malformed", format_, lists_with(0), {"status_list": listed})


def test_a_cwts_status_is_a_map() -> None:
    fails("status_malformed", "sd-cwt", lists_with(0), "x")


@formats
def test_an_expired_credential_is_expired_whatever_its_list_says(format_: str) -> None:
    if format_ == "sd-jwt":
        shown = sd_jwt_builder.GOOD.claiming({"status": {"status_list": {"idx": IDX, "uri": URI}}}).text()
        with pytest.raises(SafeconductError) as error:
            sd_jwt.verify(
                shown,
                trust=TRUST,
                policy=policy(profiles=("sd-jwt-vc",)),
                now=EXP,
                status_lists=lists_with(1),
            )
    else:
        data = builder.GOOD.claiming({65535: {"status_list": {"idx": IDX, "uri": URI}}}).encoded()
        with pytest.raises(SafeconductError) as error:
            sd_cwt.verify(data, trust=TRUST, policy=policy(), now=EXP, status_lists=lists_with(1))
    assert error.value.code == "expired"


@formats
def test_a_presentation_says_which_list_it_needs(format_: str) -> None:
    claim = {"status_list": {"idx": IDX, "uri": URI}}
    if format_ == "sd-jwt":
        parsed: Any = sd_jwt.parse(sd_jwt_builder.GOOD.claiming({"status": claim}).text())
    else:
        parsed = sd_cwt.parse(builder.GOOD.claiming({65535: claim}).encoded())
    assert parsed.needs().status == token_list.StatusReference(IDX, URI)


def test_one_issuers_list_says_nothing_of_anothers_credentials() -> None:
    """Two issuers that a verifier trusts: the second signs a list under the URI of the first's."""
    other = "https://other.example"
    trust = Trust.of({ISSUER: ISSUER_KEY.public, other: OTHER_KEY.public})
    lists = lists_with(0, key=OTHER_KEY)
    reference = token_list.StatusReference(IDX, URI)
    assert lists.value(reference, owner=Owner(other), trust=trust, policy=policy(), now=NOW) == 0
    with pytest.raises(SafeconductError) as error:
        lists.value(reference, owner=Owner(ISSUER), trust=trust, policy=policy(), now=NOW)
    assert error.value.code == "signature_invalid"


def test_a_list_that_does_not_name_itself_is_no_evidence() -> None:
    with pytest.raises(SafeconductError) as error:
        TokenStatusLists.of(GOOD.but(claims={"sub": GONE}).encoded())
    assert error.value.code == "status_list_claim_missing"


def test_nothing_shows_where_a_status_stands() -> None:
    reference = token_list.StatusReference(IDX, URI)
    found = status_of("sd-jwt", lists_with(0))
    for shown in (reference, found, lists_with(0), verified(GOOD), token_list.parse(GOOD.encoded())):
        assert "status.example" not in repr(shown)


def test_the_builder_knows_every_label() -> None:
    assert LABELS["status_list"] == 65533
    assert Key.generate("ES256").public != ISSUER_KEY.public


# Several lists of one URI: what a folder of copies can hold


def _value(lists: TokenStatusLists, *, now: int = NOW) -> int:
    reference = token_list.StatusReference(5, URI)
    policy = Policy(audience=WAIVED, nonce=WAIVED)
    return lists.value(reference, owner=Owner(ISSUER), trust=TRUST, policy=policy, now=now)


def _with(value: int, **claims: Any) -> bytes:
    data = StatusList.of({5: value}, size=64, bits=2).data
    return GOOD.but(data=data, claims=claims).encoded()


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_lists_the_later_counts_in_whatever_order(turned: bool) -> None:
    """Else an old copy that stands behind the new one would undo a revocation."""
    received = [_with(1, iat=IAT + 10), _with(0, iat=IAT)]
    assert _value(TokenStatusLists.of(*(reversed(received) if turned else received))) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_a_later_list_that_does_not_verify_keeps_none_away(turned: bool) -> None:
    forged = GOOD.but(key=OTHER_KEY, claims={"iat": IAT + 20}).encoded()
    received = [forged, _with(1)]
    assert _value(TokenStatusLists.of(*(reversed(received) if turned else received))) == 1
    with pytest.raises(SafeconductError) as error:
        _value(TokenStatusLists.of(forged))
    assert error.value.code == "signature_invalid"


def test_an_older_list_does_not_step_in_for_one_that_has_expired() -> None:
    lists = TokenStatusLists.of(_with(1, iat=IAT + 10, exp=NOW), _with(0, iat=IAT, exp=NOW + 1000))
    with pytest.raises(SafeconductError) as error:
        _value(lists)
    assert error.value.code == "status_list_expired"


def test_for_a_time_that_is_past_the_list_of_then_counts() -> None:
    lists = TokenStatusLists.of(_with(1, iat=IAT + 10), _with(0, iat=IAT))
    assert (_value(lists, now=IAT + 5), _value(lists, now=IAT + 10)) == (0, 1)
    with pytest.raises(SafeconductError) as error:
        _value(lists, now=IAT - 5)
    assert error.value.code == "status_list_from_future"
