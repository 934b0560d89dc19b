"""The search for secrets finds them in every form, and refuses to look for what occurs by chance."""

import base64
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.demo.secrets_search import needle, search
from safeconduct.encoding import cbor

SECRET = bytes(range(100, 132))
TEXT = 'Łukasz "Q" O\'Hara/7'


def found(name: str, value: bytes | str, content: bytes) -> bool:
    return [finding.needle for finding in search({"place": content}, [needle(name, value)])] == [name]


@pytest.mark.parametrize("before", range(5))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode])
def test_bytes_inside_longer_base64_are_found(before: int, after: int, encode: object) -> None:
    assert callable(encode)
    assert found("x", SECRET, encode(b"\xff" * before + SECRET + b"\xee" * after))


@given(before=st.binary(max_size=9), value=st.binary(min_size=6, max_size=40), after=st.binary(max_size=9))
def test_any_bytes_inside_longer_base64_are_found(before: bytes, value: bytes, after: bytes) -> None:
    assert found("x", value, base64.urlsafe_b64encode(before + value + after))


@pytest.mark.parametrize(
    "content",
    [
        b"..." + SECRET + b"...",
        SECRET.hex().encode(),
        SECRET.hex().upper().encode(),
        json.dumps({"x": base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()}).encode(),
    ],
    ids=["raw", "hex", "upper hex", "jwk"],
)
def test_bytes_are_found(content: bytes) -> None:
    assert found("x", SECRET, content)


@pytest.mark.parametrize("padding", ["", "a", "ab"])
def test_a_key_inside_a_jwt_is_found(padding: str) -> None:
    jwk = {"pad": padding, "x": base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()}
    header = base64.urlsafe_b64encode(json.dumps({"jwk": jwk}).encode())
    assert found("x", SECRET, header + b".e30.c2ln")


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        json.dumps({"claim": TEXT}).encode(),
        json.dumps({"claim": TEXT}, ensure_ascii=False).replace('"', "").encode() + TEXT.encode(),
        quote(TEXT, safe="").encode(),
        urlencode({"claim": TEXT}).encode(),
        cbor.dumps({500: TEXT}),
        base64.urlsafe_b64encode(b"1" + json.dumps({"claim": TEXT}).encode()),
    ],
    ids=["raw", "json", "utf-8", "url", "form", "cbor", "jwt claims"],
)
def test_texts_are_found(content: bytes) -> None:
    assert found("claim", TEXT, content)


def test_what_is_not_there_is_not_found() -> None:
    assert not found("x", SECRET, bytes(range(32)) * 50 + base64.b64encode(bytes(range(64)) * 40))


@pytest.mark.parametrize("short", ["", "PL", b"12345"])
def test_a_value_that_occurs_by_chance_is_refused(short: str | bytes) -> None:
    with pytest.raises(ValueError, match="too short"):
        needle("x", short)


def test_each_place_is_named() -> None:
    wanted = [needle("a", b"secret-a"), needle("b", b"secret-b")]
    places = {"log": b"secret-b", "database": b"secret-a secret-b", "traffic": b""}
    assert [(finding.place, finding.needle) for finding in search(places, wanted)] == [
        ("log", "b"),
        ("database", "a"),
        ("database", "b"),
    ]
