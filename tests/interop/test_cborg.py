"""CBOR with cborg (npm) in its strictest setting: the same bytes for the same values, the same verdicts.

Where the two differ on purpose is a table here. Of what they disagree on in generated items, every one must
be explained by it.
"""

import random
from typing import Any

import cbor2
import pytest
from tests.interop.peer import Peer

from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.errors import Malformed

pytestmark = pytest.mark.interop

VALUES: tuple[Any, ...] = (
    *(0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 1),
    *(-1, -24, -25, -256, -257, -(2**32), -(2**32) - 1, -(2**53), -(2**63), -(2**64)),
    *(1.5, -4.1, 1.0e300, 5.960464477539063e-8, 3.4028234663852886e38, float("nan"), float("inf"), -0.25),
    *(True, False, None, cbor2.undefined, "", "ü", "水", "𐅑", "a" * 300, b"", b"\x01" * 256),
    *([], [1, [2, [3]]], list(range(300)), {}, {"a": 1, "b": [2]}),
    {10: 0, 100: 1, -1: 2, "z": 3, "aa": 4, b"\x01": 5, False: 6},
)
"""JavaScript has one kind of number, so no float here has an integral value that cborg would write as one."""

WE_ALONE_REFUSE = {
    "text that is not UTF-8: JavaScript replaces it": "61ff",
    "one array twice as a key: JavaScript compares arrays by identity": "a2810101810102",
    "the keys 1 and true: equal in Python": "a20101f502",
    "deeper than anything here needs": "81" * 30 + "01",
}
THEY_ALONE_REFUSE = {
    "simple values besides false, true, null and undefined": "f83b",
    "tags that the caller did not name": "da0001000001",
    "not-a-number twice as a key: it equals nothing in Python": "a2f97e0001f97e0002",
}
BOTH_REFUSE = {
    "nothing": "",
    "trailing bytes": "0101",
    "cut short": "8201",
    "a long head": "1817",
    "a long length": "580161",
    "an indefinite length": "9f01ff",
    "an indefinite string": "5f4101ff",
    "a break alone": "ff",
    "a reserved head": "1c",
    "a repeated key": "a201010102",
    "a reserved simple value": "f800",
}
BOTH_ACCEPT = {
    "keys in another order: it is checked nowhere, and hashed as it came": "a2020101 01",
    "a float that is longer than it need be": "fb3ff8000000000000",
}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_are_encoded_to_the_same_bytes(cborg_peer: Peer, value: Any) -> None:
    ours = cbor.dumps(value)

    assert cborg_peer.ask("rewrite", data=ours.hex()) == ours.hex()


def test_maps_are_put_into_the_same_order(cborg_peer: Peer) -> None:
    source = random.Random(8949)  # noqa: S311 - the same maps in every run
    for _ in range(100):
        keys = [
            source.choice((source.randrange(-(2**20), 2**20), source.randbytes(4).hex())) for _ in range(12)
        ]
        shuffled = cbor2.dumps({key: [key] for key in keys})

        assert cborg_peer.ask("rewrite", data=shuffled.hex()) == cbor.dumps(cbor.loads(shuffled)).hex()


@pytest.mark.parametrize(
    ("item", "ours", "theirs"),
    [
        pytest.param(item, ours, theirs, id=why)
        for table, ours, theirs in (
            (WE_ALONE_REFUSE, False, True),
            (THEY_ALONE_REFUSE, True, False),
            (BOTH_REFUSE, False, False),
            (BOTH_ACCEPT, True, True),
        )
        for why, item in table.items()
    ],
)
def test_the_two_decoders_differ_only_where_the_table_says(
    cborg_peer: Peer, item: str, ours: bool, theirs: bool
) -> None:
    data = bytes.fromhex(item)

    assert _accepted(data) == ours
    assert (cborg_peer.ask("verdicts", items=[data.hex()]) == [""]) == theirs


def test_generated_items_get_the_same_verdict_or_the_difference_is_a_known_one(cborg_peer: Peer) -> None:
    items = _generated(4000)
    verdicts = cborg_peer.ask("verdicts", items=[item.hex() for item in items])

    assert verdicts.count("") > len(items) // 20, "too few items are well-formed to compare"
    unexplained = [
        item.hex()
        for item, verdict in zip(items, verdicts, strict=True)
        if _accepted(item) != (verdict == "") and not _known_difference(item, verdict)
    ]
    assert unexplained == []


def _accepted(data: bytes) -> bool:
    try:
        cbor.loads(data)
    except Malformed:
        return False
    return True


def _known_difference(data: bytes, verdict: str) -> bool:
    if verdict:
        return "simple values are not supported" in verdict or "tag not supported" in verdict
    return _reads_with_replaced_text(data)


def _reads_with_replaced_text(data: bytes) -> bool:
    try:
        cbor2.loads(data, str_errors="replace", tag_hook=lambda tag, **_: tag)
    except cbor2.CBORError:
        return False
    return True


def _generated(count: int) -> list[bytes]:
    """Encoded values with a byte changed, added or taken away; some as they are."""
    source = random.Random(7049)  # noqa: S311 - the same items in every run
    whole = [
        cbor2.dumps(value) for value in (*VALUES, Tag(18, [b"", {}, b"p"]), Tag(1, 0), list(VALUES[:40]))
    ]
    short = [item for item in whole if len(item) < 120]
    items = []
    for _ in range(count):
        item = source.choice(short)
        place = source.randrange(len(item) + 1)
        new = bytes([source.choice((source.randrange(256), item[0] ^ 0x20, 0x18, 0x1F, 0x9F, 0xFF))])
        items.append(
            source.choice((item, item[:place] + new + item[place + 1 :], item[:place] + new + item[place:]))
        )
    return items
