"""JSON from a peer is read strictly, within bounds, and in one way only."""

import sys
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed


def refused(data: bytes | str, **bounds: int) -> str:
    """The code under which a text is refused, which is the same however it arrives."""
    forms = [data, data.encode()] if isinstance(data, str) and not _has_surrogates(data) else [data]
    codes = set()
    for form in forms:
        with pytest.raises(Malformed) as error:
            json.loads(form, **bounds)
        codes.add(error.value.code)
    assert len(codes) == 1
    return codes.pop()


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        (" true ", True),
        ("0", 0),
        ("-0", 0),
        ("-12.5e1", -125.0),
        ('"\\u00e9\\ud83d\\ude00\\n"', "é😀\n"),
        ('"é😀"', "é😀"),
        ("[]", []),
        ('{"a":[1,{"b":null}],"":{}}', {"a": [1, {"b": None}], "": {}}),
        ('{"a":1,"A":2}', {"a": 1, "A": 2}),
        ('"\\\\ud800"', "\\ud800"),
        ("18446744073709551615", 2**64 - 1),
        ("-18446744073709551616", -(2**64)),
        ("1e-999", 0.0),
        ("1.7976931348623157e308", sys.float_info.max),
    ],
)
def test_json_is_read_from_text_and_bytes_alike(text: str, value: Any) -> None:
    assert json.loads(text) == value
    assert json.loads(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nul",
        "None",
        "True",
        "'a'",
        '"a',
        '"\\"',
        '"\\',
        '"\\x41"',
        '"\\u12g4"',
        '"tab\there"',
        '"nul\x00"',
        "01",
        "+1",
        "1.",
        ".5",
        "0x10",
        "1_000",
        "[1,]",
        "[1 2]",
        "[",
        "]",
        "[}",
        '{"a":1,}',
        '{"a"}',
        "{1:2}",
        "{a:1}",
        "{} {}",
        "{}x",
        "1 // one",
        "\u00a01",
        "\ufeff{}",
        "\uff11",
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    assert refused(text) == "json_malformed"


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{\x00}\x00", b"\x00{\x00}"])
def test_a_byte_order_mark_and_other_encodings_are_refused(data: bytes) -> None:
    assert refused(data) == "json_malformed"


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"'])
def test_bytes_that_are_not_utf8_are_refused(data: bytes) -> None:
    assert refused(data) == "json_malformed"


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a":Infinity}', "1e999", "-1e400", "2E308"]
)
def test_numbers_that_are_not_finite_are_refused(text: str) -> None:
    assert refused(text) == "json_malformed"


@pytest.mark.parametrize("text", ["1" * 21, "-" + "9" * 21, "1" * 5000, "[" + "1" * 100_000 + "]"])
def test_integers_with_more_digits_than_64_bits_need_are_refused(text: str) -> None:
    assert refused(text) == "json_malformed"


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud800"',
        '"\\uDC00"',
        '"\\ude00\\ud83d"',
        '{"\\ud800":1}',
        '["x",{"a":"\\ud83d x"}]',
        '"\\ud83d\\ud83d\\ude00"',
        '"\ud800"',
        '{"\udfff":1}',
    ],
)
def test_lone_surrogates_are_refused(text: str) -> None:
    assert refused(text) == "json_malformed"


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":2}',
        '[{"x":{"b":1,"c":2,"b":3}}]',
        '{"":1,"":2}',
        '{"alg":"ES256","kid":"1","alg":"none"}',
    ],
)
def test_a_member_named_twice_is_refused(text: str) -> None:
    assert refused(text) == "json_duplicate_member"


@pytest.mark.parametrize("bracket", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_bounded_and_the_bound_is_reachable(bracket: tuple[str, str]) -> None:
    per_turn = len(bracket[1])
    turns = limits.JSON_DEPTH // per_turn
    json.loads(bracket[0] * turns + "0" + bracket[1] * turns)
    assert refused(bracket[0] * (turns + 1) + "0" + bracket[1] * (turns + 1)) == "json_too_deep"


def test_depth_is_measured_before_the_parser_recurses() -> None:
    assert refused("[" * 200_000) == "json_too_deep"
    assert refused('{"a":' * 40_000) == "json_too_deep"
    assert refused("[" * 100_000 + "]" * 100_000) == "json_too_deep"


def test_brackets_within_strings_are_not_depth() -> None:
    text = '["' + '[{\\"[' * 200 + '\\\\",["' + "]" * 50 + '"]]'
    assert json.loads(text, max_depth=2) == ["[{" + '"[[{' * 199 + '"[\\', ["]" * 50]]


def test_a_wide_document_is_not_a_deep_one() -> None:
    assert json.loads("[" + ",".join(["[]"] * 1000) + "]", max_depth=2) == [[]] * 1000
    assert refused("[" + ",".join(["[]"] * 1000) + "]", max_depth=1) == "json_too_deep"


def test_depth_counts_after_an_escaped_quote() -> None:
    assert refused('["\\\\",[[["\\""]]]]', max_depth=3) == "json_too_deep"
    assert json.loads('["\\\\",[[["\\""]]]]', max_depth=4) == ["\\", [[['"']]]]


def test_size_is_bounded_in_utf8_bytes() -> None:
    assert json.loads('"éé"', max_bytes=6) == "éé"
    assert refused('"éé"', max_bytes=5) == "json_too_large"
    assert refused('"éé"'.encode(), max_bytes=5) == "json_too_large"
    assert refused(b" " * (limits.JSON_BYTES + 1)) == "json_too_large"
    assert refused(b"\xff" * 10, max_bytes=9) == "json_too_large"


@pytest.mark.parametrize("text", ["[]", "null", '"{}"', "1", "true"])
def test_loads_object_wants_an_object(text: str) -> None:
    with pytest.raises(Malformed) as error:
        json.loads_object(text)
    assert error.value.code == "json_not_object"


def test_loads_object_keeps_the_bounds() -> None:
    assert json.loads_object(b'{"a":{}}', max_depth=2, max_bytes=8) == {"a": {}}
    with pytest.raises(Malformed) as deep:
        json.loads_object(b'{"a":{}}', max_depth=1)
    assert deep.value.code == "json_too_deep"
    with pytest.raises(Malformed) as large:
        json.loads_object(b'{"a":{}}', max_bytes=7)
    assert large.value.code == "json_too_large"


def test_no_reason_repeats_what_was_received() -> None:
    for text in ('{"hunter2":1,"hunter2":2}', '"hunter2', '{"hunter2":NaN}', '"hunter2\\ud800"'):
        with pytest.raises(Malformed) as error:
            json.loads(text)
        assert "hunter2" not in str(error.value)


def test_dumps_is_compact_utf8_in_the_order_given() -> None:
    value = {"b": [1, -2.5, True, None], "a": "é😀\n", "nested": {"z": (1, 2), "y": {}}}
    expected = '{"b":[1,-2.5,true,null],"a":"é😀\\n","nested":{"z":[1,2],"y":{}}}'
    assert json.dumps(value) == expected.encode()


def test_dumps_sorts_every_object_when_asked() -> None:
    assert json.dumps({"b": 1, "a": {"d": 1, "c": 2}}, sort_keys=True) == b'{"a":{"c":2,"d":1},"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], {"a": "\ud800"}])
def test_dumps_refuses_what_json_cannot_hold(value: Any) -> None:
    with pytest.raises(ValueError):
        json.dumps(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, {1: "a"}, {"a": [{None: 1}]}, [({True: 1},)], object()])
def test_dumps_refuses_other_types_and_keys_that_are_not_text(value: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        '["salt","name","value"]',
        ' [ "a" , "b" ]\n',
        "[]",
        '["é\x7f"]',
        '["\\ud83d\\ude00"]',
        '["a",1,null,true,1.5,{"b":["c"]},[]]',
        '{"a":"b"}',
        '"a"',
    ],
)
def test_loads_each_reads_what_loads_reads(text: str) -> None:
    assert json.loads_each([text.encode(), b'["a"]', text.encode()]) == [
        json.loads(text),
        ["a"],
        json.loads(text),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'["a\nb"]', "json_malformed"),
        (b'["\xff"]', "json_malformed"),
        (b'["\xed\xa0\x80"]', "json_malformed"),
        (b'["\\ud800"]', "json_malformed"),
        (b'["a",]', "json_malformed"),
        (b'["a"]]', "json_malformed"),
        (b'["a"', "json_malformed"),
        (b"", "json_malformed"),
        (b'["a",NaN]', "json_malformed"),
        (b'\xef\xbb\xbf["a"]', "json_malformed"),
        (b'["a",{"b":1,"b":2}]', "json_duplicate_member"),
        (b"[" * 100 + b"]" * 100, "json_too_deep"),
        (b'["' + b"a" * limits.JSON_BYTES + b'"]', "json_too_large"),
    ],
)
def test_loads_each_refuses_what_loads_refuses(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        json.loads_each([b'["a"]', data])
    assert caught.value.code == code
    with pytest.raises(Malformed) as caught:
        json.loads(data)
    assert caught.value.code == code
