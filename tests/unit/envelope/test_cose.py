"""COSE_Sign1 (RFC 9052 §4.2, §4.4): exact bytes, protected headers, one signature."""

from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag

from safeconduct import limits
from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Encoded
from safeconduct.envelope import cose
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

KEY = Key.from_raw(bytes(31) + b"\x01", "ES256").deterministic()
OTHER = Key.from_raw(bytes(31) + b"\x02", "ES256")
ALL = frozenset(algorithm.name for algorithm in ALGORITHMS)

# One key for every algorithm; EdDSA is another name that Ed25519 keys go by.
SIGNERS = [Key.generate(algorithm.name) for algorithm in ALGORITHMS]


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        cose.parse(data, **options)
    return error.value.code


@pytest.mark.parametrize("key", SIGNERS, ids=[key.algorithm.name for key in SIGNERS])
def test_every_algorithm_signs_and_verifies(key: Key) -> None:
    message = cose.parse(cose.sign(b"payload", signer=key, protected={16: 61}))
    assert message.algorithm.name == key.algorithm.name
    assert (message.payload, message.protected[16]) == (b"payload", 61)
    cose.verify(message, key=key.public, accept=ALL)
    with pytest.raises(Rejected) as error:
        cose.verify(message, key=key.public, accept=ALL - {key.algorithm.name})
    assert error.value.code == "algorithm_not_accepted"


def test_the_signature_is_over_the_Sig_structure_of_RFC_9052() -> None:
    data = cose.sign(b"payload", signer=KEY, protected={16: 61}, unprotected={4: b"kid"})
    tag = cbor2.loads(data)
    protected, unprotected, payload, signature = tag.value
    assert (tag.tag, unprotected, payload) == (18, {4: b"kid"}, b"payload")
    assert cbor2.loads(protected) == {1: -7, 16: 61}
    assert signature == KEY.sign(cbor2.dumps(["Signature1", protected, b"", payload]))


def test_received_bytes_are_kept_and_verified_as_they_came() -> None:
    """A header in another order than this library writes is another signed text."""
    protected = cbor2.dumps({16: 61, 1: -7})
    signature = KEY.sign(cbor2.dumps(["Signature1", protected, b"", b"x"]))
    message = cose.parse(cbor2.dumps(CBORTag(18, [protected, {}, b"x", signature])))
    assert message.protected_bytes == protected
    cose.verify(message, key=KEY.public, accept=ALL)


@pytest.mark.parametrize("part", ["protected", "payload", "signature"])
def test_a_change_of_any_signed_part_is_rejected(part: str) -> None:
    protected, unprotected, payload, signature = cbor2.loads(
        cose.sign(b"payload", signer=KEY, protected={16: 61})
    ).value
    changed = {
        "protected": [cbor2.dumps({1: -7, 16: 62}), unprotected, payload, signature],
        "payload": [protected, unprotected, b"Payload", signature],
        "signature": [protected, unprotected, payload, signature[:-1] + bytes((signature[-1] ^ 1,))],
    }[part]
    message = cose.parse(cbor2.dumps(CBORTag(18, changed)))
    with pytest.raises(Rejected) as error:
        cose.verify(message, key=KEY.public, accept=ALL)
    assert error.value.code == "signature_invalid"


def test_another_key_or_kind_of_key_is_rejected() -> None:
    message = cose.parse(cose.sign(b"payload", signer=KEY, protected={}))
    with pytest.raises(Rejected) as error:
        cose.verify(message, key=OTHER.public, accept=ALL)
    assert error.value.code == "signature_invalid"
    with pytest.raises(Rejected) as error:
        cose.verify(message, key=Key.generate("Ed25519").public, accept=ALL)
    assert error.value.code == "algorithm_key_mismatch"


def test_an_item_that_is_encoded_already_is_signed_as_it_is() -> None:
    inner = b"\xd2\x84\x40\xa0\x41\x00\x41\x00"
    data = cose.sign(b"", signer=KEY, protected={13: Encoded(inner)})
    assert inner in cbor2.loads(data).value[0]
    assert cose.parse(data).protected[13] == cbor.Tag(18, [b"", {}, b"\x00", b"\x00"])


def raw(protected: Any, unprotected: Any = None, payload: Any = b"", signature: Any = b"") -> bytes:
    encoded = protected if isinstance(protected, bytes) else cbor2.dumps(protected)
    return cbor2.dumps(CBORTag(18, [encoded, {} if unprotected is None else unprotected, payload, signature]))


@pytest.mark.parametrize(
    "data",
    [
        *(
            cbor2.dumps(value)
            for value in ([], {}, 0, b"", [b"", {}, b"", b""], CBORTag(17, [b"", {}, b"", b""]))
        ),
        *(
            cbor2.dumps(CBORTag(18, value))
            for value in ([], [b"", {}, b""], [b"", {}, b"", b"", b""], {}, b"")
        ),
        *(raw(value) for value in ([], 1, None, [1, -7])),
        *(raw({}, unprotected) for unprotected in ([], b"", 0, "x")),
        *(raw({}, payload=payload) for payload in (None, "x", {}, 0)),
        *(raw({}, signature=signature) for signature in (None, "x", [], 0)),
        *(raw({label: 1}) for label in (b"x", 1.5, False, None, (1,), CBORTag(1, 1))),
        *(raw({}, {label: 1}) for label in (b"x", 1.5, False, None, (1,), CBORTag(1, 1))),
        cbor2.dumps(CBORTag(61, CBORTag(18, [b"", {}, b"", b""]))),
        cbor2.dumps(CBORTag(18, [{}, {}, b"", b""])),
    ],
)
def test_what_is_no_COSE_Sign1_is_malformed(data: bytes) -> None:
    assert code_of(data) == "cose_malformed"


def test_an_empty_protected_header_is_read_and_names_no_algorithm() -> None:
    for protected in (b"", b"\xa0"):
        message = cose.parse(raw(protected))
        assert message.protected == {}
        with pytest.raises(Malformed) as error:
            cose.verify(message, key=KEY.public, accept=ALL)
        assert error.value.code == "cose_alg_missing"


@pytest.mark.parametrize("identifier", ["ES256", None, b"", True, -7.0, [-7]])
def test_an_algorithm_is_an_integer(identifier: Any) -> None:
    with pytest.raises(Malformed) as error:
        _ = cose.parse(raw({1: identifier})).algorithm
    assert error.value.code == "cose_alg_missing"


@pytest.mark.parametrize("identifier", [0, 1, 5, -6, -25, -65535, 2**63])
def test_an_unknown_algorithm_is_not_supported(identifier: int) -> None:
    with pytest.raises(Unsupported) as error:
        _ = cose.parse(raw({1: identifier})).algorithm
    assert error.value.code == "algorithm_unsupported"


@pytest.mark.parametrize(
    ("protected", "unprotected", "code"),
    [
        ({}, {1: -7}, "cose_alg_missing"),
        ({1: -7}, {1: -7}, "cose_header_duplicate"),
        ({4: b"a"}, {4: b"a"}, "cose_header_duplicate"),
        ({"x": 1}, {"x": 1}, "cose_header_duplicate"),
        ({2: [1]}, {}, "crit_unsupported"),
        ({2: []}, {}, "crit_unsupported"),
        ({}, {2: [1]}, "crit_unsupported"),
    ],
)
def test_headers_obey_RFC_9052(protected: Any, unprotected: Any, code: str) -> None:
    assert code_of(raw(protected, unprotected)) == code


@pytest.mark.parametrize("data", [b"", b"\xd2", b"\xd2\x84", b"\xd2\xff", b"\xd2\x9f\xff", b"\xd2\x84\x40"])
def test_a_message_cut_short_is_malformed(data: bytes) -> None:
    assert code_of(data) in ("cbor_malformed", "cbor_not_preferred")


def test_bytes_behind_a_message_or_its_header_are_refused() -> None:
    data = cose.sign(b"", signer=KEY, protected={})
    assert code_of(data + b"\x00") == "cbor_trailing_bytes"
    assert code_of(raw(cbor2.dumps({1: -7}) + b"\x00")) == "cbor_trailing_bytes"


def test_a_tag_with_a_longer_head_is_not_the_tag() -> None:
    data = cose.sign(b"", signer=KEY, protected={})
    assert code_of(b"\xd8\x12" + data[1:]) == "cbor_not_preferred"


def test_TOKEN_BYTES_are_read_and_one_more_not() -> None:
    overhead = len(raw({1: -7}, payload=bytes(70_000))) - 70_000
    longest = raw({1: -7}, payload=bytes(limits.TOKEN_BYTES - overhead))
    assert len(longest) == limits.TOKEN_BYTES
    assert cose.parse(longest)
    assert code_of(raw({1: -7}, payload=bytes(limits.TOKEN_BYTES - overhead + 1))) == "cbor_too_large"
    assert code_of(longest, max_bytes=len(longest) - 1) == "cbor_too_large"
    assert code_of(b"\x80" + longest, max_bytes=10) == "cbor_too_large"


def test_an_item_inside_another_is_read_like_a_message() -> None:
    data = cose.sign(b"payload", signer=KEY, protected={16: 61})
    message = cose.from_item(cbor.loads(data))
    assert message == cose.parse(data)
    cose.verify(message, key=KEY.public, accept=ALL)
    for item in (cbor.loads(data).value, cbor.Tag(17, cbor.loads(data).value), None):
        with pytest.raises(Malformed) as error:
            cose.from_item(item)
        assert error.value.code == "cose_malformed"


def test_a_message_is_put_together_of_parts_already_made() -> None:
    parts = cose.parse(cose.sign(b"payload", signer=KEY, protected={16: 61}))
    moved = cose.assemble(parts.protected_bytes, {700: 1}, parts.payload, parts.signature)
    cose.verify(cose.parse(moved), key=KEY.public, accept=ALL)
    assert cose.parse(moved).unprotected == {700: 1}
