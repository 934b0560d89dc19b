"""Padding leaves JSON as it is and shows a size bucket only."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from safeconduct.encoding import json
from safeconduct.protocols.openid4vci.padding import bucket, pad

texts = st.text(st.characters(exclude_categories=["Cs"]))
objects = st.dictionaries(texts, st.lists(texts) | st.integers(-(10**19), 10**19), max_size=40)


@given(objects)
def test_padding_does_not_change_what_a_json_text_says(value: dict[str, Any]) -> None:
    padded = pad(json.dumps(value))

    assert json.loads(padded) == value


@given(st.integers(0, 1 << 20))
def test_a_padded_text_has_one_of_few_sizes_and_at_most_doubles(size: int) -> None:
    padded = len(pad(b"x" * size))

    assert padded >= size
    assert padded == 1024 or padded < 2 * size
    assert padded >= 1024
    assert padded & (padded - 1) == 0


def test_a_text_that_fills_its_bucket_is_left_alone() -> None:
    assert [bucket(size) for size in (0, 1, 1024, 1025, 2048, 2049)] == [1024, 1024, 1024, 2048, 2048, 4096]
    assert pad(b"x" * 2048) == b"x" * 2048
