"""Claim paths: one text, one meaning."""

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.formats import paths
from safeconduct.formats.paths import Index, Name, Text
from safeconduct.formats.sd_cwt import claims

KNOWN = [
    ("name", (Name("name"),)),
    ("address.region", (Name("address"), Name("region"))),
    ("nationalities[0]", (Name("nationalities"), Index(0))),
    ("500", (Name("500"),)),
    ("-1", (Name("-1"),)),
    ('["odd.name"]', (Text("odd.name"),)),
    ('a["b.c"][3].d', (Name("a"), Text("b.c"), Index(3), Name("d"))),
    ('["\\"\\\\\\n\\u00e9"]', (Text('"\\\né'),)),
    ('[""]', (Text(""),)),
    ("straße.名", (Name("straße"), Name("名"))),
    ("with space", (Name("with space"),)),
    ("[0][1]", (Index(0), Index(1))),
]


@pytest.mark.parametrize(("text", "segments"), KNOWN)
def test_a_path_is_read_and_written(text: str, segments: tuple[paths.Segment, ...]) -> None:
    assert paths.parse(text) == segments
    assert paths.parse(paths.write(segments)) == segments


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            ".a",
            "a.",
            "a..b",
            "[",
            "]",
            "[]",
            "[-1]",
            "[01]",
            "[1",
            "[1.0]",
            "[a]",
            '["a]',
            '["a"',
            "a]",
        ),
        *('a"b', '["\\x"]', '["\n"]', "a[0]b", "a.[0]", "[1234567890]", " a", "\ta", '["a\\"]'),
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as error:
        paths.parse(text)
    assert error.value.code == "claim_path"


def test_CLAIM_PATH_CHARS_are_read_and_one_more_not() -> None:
    assert paths.parse("a" * limits.CLAIM_PATH_CHARS) == (Name("a" * limits.CLAIM_PATH_CHARS),)
    with pytest.raises(Malformed) as error:
        paths.parse("a" * (limits.CLAIM_PATH_CHARS + 1))
    assert error.value.code == "claim_path"


@pytest.mark.parametrize("text", ["0", "500", "-1", "18446744073709551615", "-18446744073709551616"])
def test_a_decimal_number_of_64_bits_is_a_label(text: str) -> None:
    assert paths.is_label(text)
    assert claims.resolve(paths.parse(text)) == (int(text),)


@pytest.mark.parametrize(
    "text", ["-0", "007", "+1", "1.0", "1e3", "18446744073709551616", "-18446744073709551617", "٣", "", " 1"]
)
def test_any_other_text_is_no_label(text: str) -> None:
    assert not paths.is_label(text)


def test_a_registered_name_is_its_label_at_the_top_alone() -> None:
    assert claims.resolve(paths.parse("sub")) == (2,)
    assert claims.resolve(paths.parse('["sub"]')) == ("sub",)
    assert claims.resolve(paths.parse("address.sub")) == ("address", "sub")
    assert claims.resolve(paths.parse('a["500"].500')) == ("a", "500", 500)


@pytest.mark.parametrize(
    "path", [(2,), ("sub",), ("a", 2), ("a", "sub"), ("500",), (500, "500", Index(1), ""), (-1, '["x"]')]
)
def test_a_place_is_written_so_that_it_is_found_again(path: tuple[object, ...]) -> None:
    assert claims.resolve(paths.parse(claims.path_text(path))) == path
