"""Padding leaves JSON as it is and shows a size bucket only (A17)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed
from safeconduct.protocols.transfer.channel import Channel
from safeconduct.protocols.transfer.draft_payload import seal_draft
from safeconduct.protocols.transfer.padding import bucket, pad

SECRET = bytes(range(32))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
objects = st.dictionaries(texts, st.lists(texts, max_size=4) | st.integers(-(10**19), 10**19), max_size=20)


@given(objects)
@settings(deadline=None)
def test_padding_does_not_change_what_a_json_text_says(value: dict[str, Any]) -> None:
    assert json.loads(pad(json.dumps(value))) == value


@given(st.integers(0, limits.TRANSFER_CONTENT_BYTES))
@settings(deadline=None)
def test_a_padded_text_has_one_of_six_sizes(size: int) -> None:
    padded = len(pad(b"x" * size))

    assert padded >= size
    assert padded in {512, 1024, 2048, 4096, 8192, 16384}
    assert padded == 512 or padded < 2 * size


def test_the_buckets() -> None:
    assert [bucket(size) for size in (0, 1, 512, 513, 1024, 1025)] == [512, 512, 512, 1024, 1024, 2048]


def test_content_beyond_transfer_content_bytes_is_refused() -> None:
    assert len(pad(b"x" * limits.TRANSFER_CONTENT_BYTES)) == limits.TRANSFER_CONTENT_BYTES
    with pytest.raises(Malformed) as caught:
        pad(b"x" * (limits.TRANSFER_CONTENT_BYTES + 1))
    assert caught.value.code == "content_too_large"


def test_the_largest_content_is_a_payload_that_relays_take() -> None:
    largest = b"x" * limits.TRANSFER_CONTENT_BYTES

    for payload in (Channel(SECRET, "sender").seal(largest), seal_draft(SECRET, largest)):
        assert len(payload.data) <= limits.TRANSFER_DATA_CHARS
        assert len(payload.data) > limits.TRANSFER_DATA_CHARS // 2


def test_a17_the_size_of_a_payload_does_not_tell_two_offers_apart() -> None:
    short, long = (json.dumps({"credential_offer": "x" * size}) for size in (20, 400))

    assert len({len(Channel(SECRET, "sender").seal(text).data) for text in (short, long)}) == 1
    assert len({len(text) for text in (short, long)}) == 2  # without padding it would
