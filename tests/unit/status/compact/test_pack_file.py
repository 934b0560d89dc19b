"""The file of a pack and its signed head."""

import json
from typing import Any

import pytest
from tests import packs
from tests.packs import MIRROR

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.status.compact import pack_file, pack_head
from safeconduct.status.compact.pack_head import TYPE, Version
from safeconduct.trust import WAIVED

FILE = packs.file(packs.issuer(packs.crl({"rid": None})))
TEXT, REST = pack_file.split(FILE)
CLAIMS: dict[str, Any] = json.loads(jws.parse(TEXT).payload)


def _head(**changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    header = {"typ": TYPE, "kid": pack_head.name_of(MIRROR.public)}
    return jws.sign(json.dumps(claims).encode(), signer=MIRROR, header=header)


def _with(text: str) -> bytes:
    return pack_file.beginning(text) + bytes(REST)


def test_the_head_says_what_the_documents_say() -> None:
    parsed = jws.parse(TEXT)

    assert parsed.header == {
        "alg": "ES256",
        "typ": "safeconduct-status-pack+jwt",
        "kid": pack_head.name_of(MIRROR.public),
    }
    assert sorted(CLAIMS) == ["as_of", "count", "digest", "exp", "iat", "length", "lists", "sub", "version"]


@pytest.mark.parametrize("name", ["ES384", "Ed25519", "ML-DSA-44"])
def test_a_mirror_may_sign_with_any_algorithm_that_is_used_here(name: str) -> None:
    signer = Key.generate(name)
    data = packs.file(packs.issuer(packs.crl({})), signer=signer)

    assert pack_file.open_file(data, keys=[MIRROR.public, signer.public]).head.name == "status"


def test_a_head_keeps_the_version_before() -> None:
    head = packs.HEAD.__class__(**{**_fields(), "previous": Version(4, "sha-256:x"), "version": 5})
    text = pack_head.sign(head, signer=MIRROR)

    assert pack_head.verify(text, keys=[MIRROR.public]).previous == Version(4, "sha-256:x")


def _fields() -> dict[str, Any]:
    return {name: getattr(packs.HEAD, name) for name in packs.HEAD.__struct_fields__}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": -1},
        {"version": "1"},
        {"version": True},
        {"version": ...},
        {"length": -1},
        {"length": 2**53},
        {"exp": 2**63},
        {"exp": 1.5},
        {"iat": -1},
        {"digest": None},
        {"sub": ...},
        {"previous": {"version": 1}},
        {"previous": "sha-256:x"},
    ],
)
@pytest.mark.parametrize("keys", [[MIRROR.public], WAIVED])
def test_a_head_that_does_not_say_what_it_must_is_refused(changes: dict[str, Any], keys: Any) -> None:
    with pytest.raises(Malformed) as refused:
        pack_file.open_file(_with(_head(**changes)), keys=keys)
    assert refused.value.code == "pack_head_malformed"


def test_a_head_may_say_more() -> None:
    assert pack_file.open_file(_with(_head(more="x")), keys=[MIRROR.public]).head.version == 1


@pytest.mark.parametrize("keys", [[MIRROR.public], WAIVED])
def test_another_statement_that_the_same_key_signed_is_no_head(keys: Any) -> None:
    header = {"typ": "safeconduct-crl-head+jwt", "kid": pack_head.name_of(MIRROR.public)}
    text = jws.sign(json.dumps(CLAIMS).encode(), signer=MIRROR, header=header)

    with pytest.raises(Rejected) as refused:
        pack_file.open_file(_with(text), keys=keys)
    assert refused.value.code == "jws_type"


def test_a_head_that_another_key_signed_in_this_ones_name_is_refused() -> None:
    forger = Key.generate("ES256")
    header = {"typ": TYPE, "kid": pack_head.name_of(MIRROR.public)}
    text = jws.sign(json.dumps(CLAIMS).encode(), signer=forger, header=header)

    with pytest.raises(Rejected) as refused:
        pack_file.open_file(_with(text), keys=[MIRROR.public])
    assert refused.value.code == "signature_invalid"


def test_a_table_that_is_not_the_one_signed_is_refused() -> None:
    data = bytearray(FILE)
    data[len(FILE) - len(REST)] ^= 1

    with pytest.raises(Rejected) as refused:
        pack_file.open_file(bytes(data), keys=[MIRROR.public])
    assert refused.value.code == "pack_digest"


def test_a_version_of_the_format_that_is_not_known_is_said_to_be_one() -> None:
    with pytest.raises(Unsupported) as refused:
        pack_file.split(b"SCPACK2\0" + FILE[8:])
    assert refused.value.code == "pack_version_unknown"


@pytest.mark.parametrize("length", [limits.PACK_HEAD_BYTES + 1, 2**32 - 1])
def test_a_head_longer_than_allowed_is_not_read(length: int) -> None:
    data = b"SCPACK1\0" + length.to_bytes(4, "little") + bytes(4) + b"a" * 100

    with pytest.raises(Malformed) as refused:
        pack_file.split(data)
    assert refused.value.code == "pack_malformed"


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "é", TEXT + "." + TEXT, "a" * limits.PACK_HEAD_BYTES])
def test_what_is_no_jws_is_no_head(text: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises(SafeconductError) as refused:
            pack_head.verify(given, keys=[MIRROR.public])
        assert refused.value.code in ("pack_head_malformed", "pack_key_unknown")
