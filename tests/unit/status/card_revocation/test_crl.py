"""Revocation lists: what is read, what is refused, the one way in which they are written."""

import json
import tracemalloc
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed, Unsupported
from safeconduct.status.card_revocation import HASH_FHIR, SIGNED_TEXT, RevocationList
from safeconduct.status.card_revocation.crl import named_kid
from safeconduct.status.card_revocation.files import digest, is_kid
from safeconduct.status.states import GOOD, REVOKED

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
OTHER_KID = "EBKOr72QQDcTBUuVzAzkfBTGew0ZA16GuWty64nS-sw"


def written(**members: Any) -> bytes:
    whole = {"kid": KID, "method": "rid", "ctr": 3, "rids": ["b", "a.5"], **members}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def code_of(data: bytes, **named: Any) -> str:
    with pytest.raises(Malformed) as caught:
        RevocationList.parse(data, **named)
    return caught.value.code


def test_a_list_is_read_whatever_its_spaces_and_order() -> None:
    found = RevocationList.parse(
        b'\n{"rids" : ["b","a.5"], "ctr":3,\r\n"method":"rid","kid":"%s"} ' % KID.encode()
    )

    assert found == RevocationList(kid=KID, ctr=3, entries={"a": 5, "b": None})
    assert found == RevocationList.parse(written(), kid=KID)


def test_a_list_is_written_in_one_way() -> None:
    canonical = RevocationList.parse(written()).encode()

    assert canonical == b'{"kid":"%s","method":"rid","ctr":3,"rids":["a.5","b"]}' % KID.encode()
    assert RevocationList.parse(canonical).encode() == canonical
    assert RevocationList.parse(canonical).digest() == digest(canonical)


def test_a_counter_as_text_is_read_since_one_issuer_writes_it() -> None:
    assert RevocationList.parse(written(ctr="3")).ctr == 3


def test_members_that_mean_nothing_here_are_passed_over() -> None:
    assert RevocationList.parse(written(comment={"a": [1, {}]})).ctr == 3


@pytest.mark.parametrize(
    "members",
    [
        {"kid": ...},
        {"kid": 5},
        {"kid": "../../etc/passwd"},
        {"kid": KID[1:]},
        {"kid": KID + "A"},
        {"method": ...},
        {"method": ["rid"]},
        {"method": ""},
        {"method": "m" * 257},
        {"ctr": ...},
        {"ctr": 0},
        {"ctr": -3},
        {"ctr": 3.0},
        {"ctr": True},
        {"ctr": "0"},
        {"ctr": "03"},
        {"ctr": "3.0"},
        {"ctr": "٣"},
        {"ctr": None},
        {"rids": ...},
        {"rids": "a"},
        {"rids": {"a": 1}},
        {"rids": ["a", 1]},
        {"rids": ["a", None]},
        {"rids": [["a"]]},
        {"rids": ..., "method": "other"},
    ],
)
def test_a_member_that_is_missing_or_of_another_kind_is_refused(members: dict[str, Any]) -> None:
    assert code_of(written(**members)) == "crl_malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'"%s"' % KID.encode(),
        b"\xef\xbb\xbf" + written(),
        written() + b"x",
        written()[:-1],
        b'{"kid":"%s","kid":"%s","method":"rid","ctr":3,"rids":[]}' % (KID.encode(), OTHER_KID.encode()),
        b'{"kid":"%s","method":"rid","ctr":3,"rids":[],"rids":["a"]}' % KID.encode(),
    ],
)
def test_what_is_no_json_object_with_one_meaning_is_refused(data: bytes) -> None:
    assert code_of(data) == "crl_malformed"


def test_a_list_of_another_key_is_refused() -> None:
    assert code_of(written(), kid=OTHER_KID) == "crl_kid"


@pytest.mark.parametrize("method", [HASH_FHIR, SIGNED_TEXT])
def test_lists_of_the_other_known_methods_are_read_alike(method: str) -> None:
    found = RevocationList.parse(written(method=method))

    assert found.understood
    assert found.entries == {"a": 5, "b": None}
    assert RevocationList.parse(found.encode()) == found


def test_a_list_of_an_unknown_method_is_known_as_such() -> None:
    found = RevocationList.parse(written(method="https://example.org/another", rids=[{"what": "ever"}]))

    assert not found.understood
    assert found.entries == {}
    with pytest.raises(Unsupported) as caught:
        found.encode()
    assert caught.value.code == "status_method_unknown"


def test_what_a_list_says_of_cards() -> None:
    found = RevocationList.parse(written())

    assert found.status("b", 0) is REVOKED
    assert found.status("a", 4.999) is REVOKED
    assert found.status("a", 5) is GOOD
    assert found.status("B", 0) is GOOD
    assert found.status(None, 0) is GOOD


def test_a_list_shows_no_identifier() -> None:
    assert repr(RevocationList.parse(written())) == "<RevocationList 2 entries>"


def test_the_kid_of_a_malformed_list_is_found_if_it_names_one() -> None:
    assert named_kid(written(rids=["a.x"])) == KID
    assert named_kid(written(kid="x")) is None
    assert named_kid(b"") is None


@pytest.mark.parametrize("kid", ["", "a" * 42, "a" * 44, "../" + "a" * 40, "a" * 42 + "\n", None])
def test_what_cannot_name_a_file_is_no_kid(kid: object) -> None:
    assert not is_kid(kid)


def test_a_list_that_is_too_long_is_refused_before_it_is_parsed() -> None:
    # 50 MB of one list.
    data = written()[:-2] + b"," + b",".join([b'"abcdefghijk"']) * (50 * 1024 * 1024 // 13) + b"]}"
    assert len(data) > limits.CRL_BYTES

    assert code_of(data) == "crl_too_large"


def test_ten_million_duplicates_are_refused_within_the_memory_of_their_bytes() -> None:
    few_bytes = b'{"rids":[' + b"0," * (10_000_000) + b"0]}"
    assert len(few_bytes) < limits.CRL_BYTES
    assert few_bytes.count(b",") > limits.CRL_ENTRIES

    tracemalloc.start()
    try:
        assert code_of(few_bytes) == "crl_too_large"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1024 * 1024


@pytest.mark.parametrize("bracket", [b"[", b"{", b'{"a":', b"[{"])
def test_a_list_of_brackets_is_refused_before_it_is_parsed(bracket: bytes) -> None:
    assert code_of(bracket * 1_000_000) == "crl_too_large"
