"""What a message says: a format, its content, and whatever else another program adds."""

from typing import Any

import pytest
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.content import (
    Content,
    Offer,
    Share,
    encode_content,
    offer_content,
    parse_content,
    read_offer,
)
from safeconduct.protocols.transfer.padding import pad

ISSUER = "https://issuer.example"
OFFER: dict[str, Any] = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": ["key"],
    "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c" * 43}},
    "unknown": [1, {"a": None}],
}
SHARE = Share(id="s-1", issuer=ISSUER, expires=1_800_000_000)


def code_of(text: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        read_offer(parse_content(text))
    return caught.value.code


def test_an_offer_is_written_as_described_and_read_back() -> None:
    text = encode_content(offer_content(Offer(OFFER, SHARE)))

    assert json.loads(text) == {
        "format": "openid4vci.credential_offer",
        "content": {
            "credential_offer": OFFER,
            "share": {"id": "s-1", "issuer": ISSUER, "expires": 1_800_000_000},
        },
    }
    assert read_offer(parse_content(pad(text))) == Offer(OFFER, SHARE)


def test_a_share_says_its_mode_and_what_is_offered_where_that_is_known() -> None:
    share = Share(id="s-1", issuer=ISSUER, mode="move", configuration_ids=("a", "b"))
    written = offer_content(Offer({}, share)).content["share"]

    assert written["mode"] == "move"
    assert list(written["credential_configuration_ids"]) == ["a", "b"]
    assert read_offer(parse_content(encode_content(offer_content(Offer({}, share))))).share == share


def test_unknown_members_are_tolerated_and_the_share_may_be_missing() -> None:
    message = {
        "format": "openid4vci.credential_offer",
        "content": {"credential_offer": OFFER, "more": {}},
        "sender": {"anything": [1]},
    }
    assert read_offer(parse_content(json.dumps(message))) == Offer(OFFER)


def test_a_message_of_another_format_is_kept_as_it_is() -> None:
    """`digitalwallet.generic.authorizationToken` is one of the drafts' own."""
    message = {"format": "digitalwallet.generic.authorizationToken", "content": {"token": "t"}}

    assert parse_content(json.dumps(message)) == Content(message["format"], {"token": "t"})  # type: ignore[arg-type]
    assert code_of(json.dumps(message)) == "content_format_unsupported"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "json_malformed"),
        (b"\xff", "json_malformed"),
        (b"[]", "json_not_object"),
        (b'{"format":"a","format":"b","content":{}}', "json_duplicate_member"),
        (b'{"format":"a"}', "message_malformed"),
        (b'{"content":{}}', "message_malformed"),
        (b'{"format":"","content":{}}', "message_malformed"),
        (b'{"format":1,"content":{}}', "message_malformed"),
        (b'{"format":"a","content":[]}', "message_malformed"),
        (b'{"format":"openid4vci.credential_offer","content":{}}', "message_malformed"),
        (b'{"format":"openid4vci.credential_offer","content":{"credential_offer":"x"}}', "message_malformed"),
        (b"[" * 2000, "json_too_deep"),
    ],
)
def test_what_is_no_message_is_refused(text: bytes, code: str) -> None:
    assert code_of(text) == code


@pytest.mark.parametrize(
    "share",
    [
        {},
        {"id": "s"},
        {"issuer": ISSUER},
        {"id": "", "issuer": ISSUER},
        {"id": "s" * 513, "issuer": ISSUER},
        {"id": "s", "issuer": "x" * 2049},
        {"id": "s", "issuer": ISSUER, "expires": -1},
        {"id": "s", "issuer": ISSUER, "expires": 1 << 53},
        {"id": "s", "issuer": ISSUER, "expires": "tomorrow"},
        {"id": "s", "issuer": ISSUER, "credential_configuration_ids": ["a"] * (limits.LIST_ITEMS + 1)},
    ],
)
def test_a_share_out_of_bounds_is_refused(share: dict[str, Any]) -> None:
    message = {"format": "openid4vci.credential_offer", "content": {"credential_offer": {}, "share": share}}
    assert code_of(json.dumps(message)) == "message_malformed"


def test_a_message_is_measured_before_it_is_parsed() -> None:
    text = encode_content(Content("a", {}))

    assert parse_content(text.ljust(limits.TRANSFER_DATA_CHARS)) == Content("a", {})
    with pytest.raises(SafeconductError) as caught:
        parse_content(text.ljust(limits.TRANSFER_DATA_CHARS + 1))
    assert caught.value.code == "json_too_large"


def test_nothing_of_a_message_is_in_its_representation() -> None:
    shown = repr(offer_content(Offer(OFFER, SHARE))) + repr(Offer(OFFER, SHARE)) + repr(SHARE)

    for part in ("c" * 43, "s-1", "issuer.example", "credential_offer"):
        assert part not in shown


@pytest.mark.parametrize("text", [b"null", b"1", b'""', b"{}", b'{"format":"a","content":{"a":1e999}}'])
def test_garbage_is_read_or_refused(text: bytes) -> None:
    read_or_refused(lambda: parse_content(text), Content)
