"""Base64url has exactly one text for each byte string."""

import base64

import pytest

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed

# RFC 4648 §10, without padding, and the header of RFC 7515 A.3.
KNOWN = [
    (b"", ""),
    (b"f", "Zg"),
    (b"fo", "Zm8"),
    (b"foo", "Zm9v"),
    (b"foob", "Zm9vYg"),
    (b"fooba", "Zm9vYmE"),
    (b"foobar", "Zm9vYmFy"),
    (b"\xfb\xff\xbf", "-_-_"),
    (b'{"alg":"ES256"}', "eyJhbGciOiJFUzI1NiJ9"),
]


@pytest.mark.parametrize(("data", "text"), KNOWN)
def test_published_pairs_go_both_ways(data: bytes, text: str) -> None:
    assert b64.encode(data) == text
    assert b64.decode(text) == data
    assert b64.decode(text.encode()) == data


def test_every_length_comes_back() -> None:
    for length in range(70):
        data = bytes(range(256))[-length:] if length else b""
        assert b64.decode(b64.encode(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "Zg==",
        "Zg=",
        "Zm8=",
        "Zm9v====",
        "=",
        "====",
        "A",
        "AAAAA",
        "+_-_",
        "-/-_",
        "Zm 9v",
        "Zm9v\n",
        " Zm9v",
        "Zm9v\r\n",
        "Zm\x009v",
        "Zm9v.Zm9v",
        "Zm9v!",
        "Zm9é",
        "Zm9\ud800",
        "\uff21\uff21\uff21\uff21",
    ],
)
def test_foreign_characters_and_padding_are_refused(text: str) -> None:
    with pytest.raises(Malformed) as error:
        b64.decode(text)
    assert error.value.code == "base64url_malformed"


@pytest.mark.parametrize("text", ["Zh", "Z_", "Zm9", "Zm_", "AB", "AAB"])
def test_stray_trailing_bits_are_refused(text: str) -> None:
    with pytest.raises(Malformed) as error:
        b64.decode(text)
    assert error.value.code == "base64url_malformed"


def test_no_two_short_texts_mean_the_same_bytes() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = []
    for text in (first + second for first in alphabet for second in alphabet):
        try:
            accepted.append(b64.decode(text))
        except Malformed:
            continue
    assert len(accepted) == len(set(accepted)) == 256


@pytest.mark.parametrize("text", ["Zm9v", b"Zm9v"])
def test_the_bound_counts_decoded_bytes(text: str | bytes) -> None:
    assert b64.decode(text, max_bytes=3) == b"foo"
    with pytest.raises(Malformed) as error:
        b64.decode(text, max_bytes=2)
    assert error.value.code == "base64url_too_large"


def test_bytes_outside_ascii_are_refused() -> None:
    with pytest.raises(Malformed) as error:
        b64.decode(b"Zm9\xff")
    assert error.value.code == "base64url_malformed"


def test_a_token_is_the_most_that_is_decoded_unless_told_otherwise() -> None:
    assert b64.decode(b64.encode(bytes(limits.TOKEN_BYTES))) == bytes(limits.TOKEN_BYTES)
    with pytest.raises(Malformed) as error:
        b64.decode(b64.encode(bytes(limits.TOKEN_BYTES + 1)))
    assert error.value.code == "base64url_too_large"


def test_many_are_encoded_as_each_alone() -> None:
    items = [bytes(range(256))[:length] for length in range(70)] + [b"\xfb\xff\xbf"]

    assert b64.encode_each(items) == [b64.encode(item) for item in items]
    assert b64.encode_each([]) == []
    assert b64.decode_each([b64.encode(item).encode() for item in items]) == items
    assert b64.decode_each([]) == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"Zg==", b"Zg=", b"A", b"AAAAA", b"+_-_", b"Zm9v\n", b"Zm9v\nZm9v", b"\n", b"Zm9v~Zm9v"),
        *(b"Zm9v\xff", b"Zh", b"Zm9", b" Zm9v", b"====", b"Zm9v==\nZm9v"),
    ],
)
def test_one_foreign_text_among_many_is_refused(text: bytes) -> None:
    for texts in ([text], [b"Zm9v", text], [text, b"Zm9v"], [b"", text]):
        with pytest.raises(Malformed) as caught:
            b64.decode_each(texts)
        assert caught.value.code == "base64url_malformed"


FORMS = [
    (b"\xfb\xff\xbf\xfb", ("-_-_-w", "-_-_-w==", "-_-_-w=", "+/+/+w", "+/+/+w==", "+/+/+w=")),
    (b"foob", ("Zm9vYg", "Zm9vYg==", "Zm9vYg=")),
    (b"fooba", ("Zm9vYmE", "Zm9vYmE=")),
    (b"", ("",)),
]


@pytest.mark.parametrize(("data", "text"), [(data, text) for data, texts in FORMS for text in texts])
def test_all_forms_of_base64_are_read_where_any_is(data: bytes, text: str) -> None:
    assert b64.decode_any(text, max_bytes=16) == data


@pytest.mark.parametrize("data", [data for data, _ in KNOWN])
def test_ordinary_base64_is_that_of_the_standard_library(data: bytes) -> None:
    assert b64.encode_standard(data) == base64.b64encode(data).decode()
    assert b64.decode_any(b64.encode_standard(data), max_bytes=64) == data


@pytest.mark.parametrize(
    "text", ["-/-_", "+_", "Zg===", "Zm9v=", "=", "====", "Zh", "Zm9v\n", "Zm 9v", "Zm9é", "A", "Zm=9"]
)
def test_what_is_no_form_of_base64_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        b64.decode_any(text, max_bytes=64)
    assert caught.value.code == "base64url_malformed"


@pytest.mark.parametrize("text", ["AAAA" * 4, "AAAA" * 1000, "=" * 1000])
def test_base64_in_any_form_is_measured_first(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        b64.decode_any(text, max_bytes=8)
    assert caught.value.code == "base64url_too_large"
