"""Bitstring Status List: the other bit order, GZIP, multibase, and a least size."""

import gzip
import io
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.status.token_list import StatusList, bitstring
from safeconduct.status.token_list.bitstring import ENTRIES, Bitstring, Entry

URL = "https://issuer.example/credentials/status/3"
ENTRY = Entry(purpose="revocation", index=94567, list_url=URL)


def code_of(work: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        work()
    return error.value.code


def test_index_0_is_the_left_most_bit_and_in_a_token_status_list_the_right_most() -> None:
    ours = Bitstring.of({0: 1, 9: 1})
    assert ours.data[:2] == b"\x80\x40"
    assert StatusList.of({0: 1, 9: 1}, size=ENTRIES, bits=1).data[:2] == b"\x01\x02"
    swapped = Bitstring(StatusList.of({0: 1}, size=ENTRIES, bits=1).data)
    assert [index for index in range(16) if swapped.status(index)] == [7]


def test_the_published_example_is_an_empty_list_of_the_least_size() -> None:
    """The `encodedList` of example 4 of the recommendation, which its text says is of 16 kB."""
    published = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"
    found = Bitstring.read(published)
    assert (found.entries, found.data) == (ENTRIES, bytes(16384))
    assert Bitstring.read(found.write()) == found


@pytest.mark.parametrize("size", range(1, 9))
def test_statuses_of_every_size_come_back(size: int) -> None:
    wanted = {index: (index * 7 + 1) % (1 << size) for index in (0, 1, 2, 3, 5, 8, 13, 1000, ENTRIES - 1)}
    made = Bitstring.of(wanted, size=size)
    again = Bitstring.read(made.write(), size=size)
    assert again == made
    assert {index: again.status(index) for index in wanted} == wanted
    assert sum(again.status(index) != 0 for index in range(2000)) == sum(
        value != 0 for index, value in wanted.items() if index < 2000
    )


def test_equal_lists_are_written_alike_by_gzip() -> None:
    text = Bitstring.of({5: 1}).write()
    assert text == Bitstring.of({5: 1}).write()
    assert gzip.decompress(b64.decode(text[1:])) == b"\x04" + bytes(16383)


def test_an_entry_of_a_list_is_looked_up() -> None:
    credential = bitstring.write_credential(
        Bitstring.of({94567: 1}),
        url=URL,
        issuer="https://issuer.example",
        purpose="revocation",
        valid_from="2026-01-01T00:00:00Z",
        valid_until="2026-02-01T00:00:00Z",
    )
    assert credential["validUntil"] == "2026-02-01T00:00:00Z"
    assert bitstring.look_up(credential, ENTRY) == 1
    assert bitstring.look_up(credential, bitstring.read_entry(ENTRY.write())) == 1

    def with_subject(**changes: Any) -> dict[str, Any]:
        return {**credential, "credentialSubject": {**credential["credentialSubject"], **changes}}

    several = with_subject(statusPurpose=["suspension", "revocation"])
    assert bitstring.look_up(several, ENTRY) == 1
    for broken in (with_subject(type="Other"), {**credential, "type": ["VerifiableCredential"]}):
        assert code_of(lambda broken=broken: bitstring.look_up(broken, ENTRY)) == "bitstring_malformed"
    assert code_of(lambda: bitstring.look_up(with_subject(encodedList=7), ENTRY)) == "bitstring_malformed"
    other = with_subject(statusPurpose="suspension")
    assert code_of(lambda: bitstring.look_up(other, ENTRY)) == "bitstring_mismatch"
    assert code_of(lambda: bitstring.look_up({**credential, "id": URL + "0"}, ENTRY)) == "bitstring_mismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "StatusList2021Entry"},
        {"statusListIndex": 94567},
        {"statusListIndex": "-1"},
        {"statusListIndex": "٣"},
        {"statusListIndex": "9" * 11},
        {"statusPurpose": None},
        {"statusListCredential": ""},
        {"statusListCredential": "x" * (limits.URL_CHARS + 1)},
        {"statusSize": 9},
        {"statusSize": 2},
        {"statusSize": 1, "statusMessage": [{"status": "0x0", "message": "good"}]},
        {"statusMessage": [{"status": "0", "message": "a"}, {"status": "0x1", "message": "b"}]},
        {"statusMessage": [{"status": "0x0"}, {"status": "0x1", "message": "b"}]},
        {"statusMessage": ["0x0", "0x1"]},
    ],
)
def test_what_is_no_entry_is_refused(changes: dict[str, Any]) -> None:
    members = {**ENTRY.write(), **changes}
    assert code_of(lambda: bitstring.read_entry(members)) == "bitstring_malformed"
    assert code_of(lambda: bitstring.read_entry([])) == "bitstring_malformed"


def test_messages_come_with_an_entry() -> None:
    entry = Entry(
        purpose="message",
        index=1,
        list_url=URL,
        size=2,
        messages=((0, "open"), (1, "packed"), (2, "sent"), (3, "lost")),
    )
    assert entry.write()["statusMessage"][2] == {"status": "0x2", "message": "sent"}
    assert bitstring.read_entry(entry.write()) == entry


def test_what_is_no_list_is_refused() -> None:
    good = Bitstring.of({}).write()
    short = Bitstring(bytes(16383)).write()
    twice = "u" + b64.encode(b64.decode(good[1:]) * 2)
    assert code_of(lambda: Bitstring.read(good[1:])) == "bitstring_malformed"
    assert code_of(lambda: Bitstring.read(good, size=9)) == "bitstring_malformed"
    assert code_of(lambda: Bitstring.read("u+" + good[2:])) == "base64url_malformed"
    assert code_of(lambda: Bitstring.read("uAAAA")) == "status_list_deflate"
    assert code_of(lambda: Bitstring.read(twice)) == "status_list_deflate"
    assert code_of(lambda: Bitstring.read(short)) == "bitstring_too_short"
    assert Bitstring.read(short, entries=8).entries == ENTRIES - 8
    assert code_of(lambda: Bitstring.of({}).status(ENTRIES)) == "status_index_out_of_range"
    for statuses, size in (({ENTRIES: 1}, 1), ({0: 2}, 1), ({}, 9)):
        with pytest.raises(ValueError, match=r"room|bits"):
            Bitstring.of(statuses, size=size)


def test_a_bomb_is_given_up() -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        for _ in range(limits.STATUS_LIST_BYTES // (1 << 20) + 1):
            stream.write(bytes(1 << 20))
    text = "u" + b64.encode(packed.getvalue())
    assert code_of(lambda: Bitstring.read(text)) == "status_list_too_large"
