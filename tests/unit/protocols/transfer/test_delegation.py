"""The messages of S8: M1 of the sender, M2 of the receiver, M3 of the sender."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.content import (
    DELEGATION_FORMAT,
    OFFER_FORMAT,
    Content,
    encode_content,
    parse_content,
)
from safeconduct.protocols.transfer.delegation import (
    Announced,
    Answer,
    Claimed,
    Proposal,
    audience_of,
    read_step,
    write_step,
)

ABOUT = Announced(
    issuer="https://issuer.example",
    vct="https://issuer.example/car",
    claims=("vehicle",),
    rights={"access_rights": ("open",)},
    not_before=1_700_000_000,
    expires=1_700_086_400,
    further=0,
)
M1 = Proposal(nonce="n", audience=audience_of(bytes(32)), credential=ABOUT, pin=True)
M2 = Claimed(proof="a.b.c", tx_code="123456")
M3 = Answer(credential="a.b.c~")
MESSAGES = (M1, M2, M3, Answer(error="pin_wrong", tries_left=4))


def code_of(content: Content, type_: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        read_step(content, type_)
    return error.value.code


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_back_as_it_was_written(message: Any) -> None:
    content = parse_content(encode_content(write_step(message)) + b"   ")
    assert content.format == DELEGATION_FORMAT
    assert read_step(content, type(message)) == message


def test_no_message_shows_what_it_says() -> None:
    shown = "".join(repr(message) for message in (*MESSAGES, ABOUT))
    for hidden in ("123456", "issuer.example", "open", "a.b.c"):
        assert hidden not in shown


@pytest.mark.parametrize("type_", [Proposal, Claimed, Answer])
def test_a_message_of_another_step_is_refused(type_: type[Any]) -> None:
    for message in MESSAGES:
        if not isinstance(message, type_):
            assert code_of(write_step(message), type_) == "message_malformed"


def test_a_message_without_a_step_or_of_another_format_is_refused() -> None:
    members = dict(write_step(M3).content)
    assert code_of(Content(OFFER_FORMAT, members), Answer) == "content_format_unsupported"
    del members["step"]
    assert code_of(Content(DELEGATION_FORMAT, members), Answer) == "message_malformed"


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (M1, {"nonce": ""}),
        (M1, {"nonce": "n" * (limits.NONCE_CHARS + 1)}),
        (M1, {"pin": "yes"}),
        (M1, {"credential": {}}),
        (M2, {"proof": "x" * (limits.PROOF_BYTES + 1)}),
        (M2, {"proof": None}),
        (M2, {"tx_code": "1" * (limits.CODE_CHARS + 1)}),
        (M3, {"credential": 1}),
        (M3, {"error": "else"}),
        (M3, {"tries_left": -1}),
    ],
)
def test_members_are_bounded(message: Any, changes: dict[str, Any]) -> None:
    members = {**write_step(message).content, **changes}
    assert code_of(Content(DELEGATION_FORMAT, members), type(message)) == "message_malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"rights": {f"r{number}": ["x"] for number in range(limits.DELEGATION_RIGHTS + 1)}},
        {"rights": {"r": "x"}},
        {"further": limits.DELEGATION_DEPTH + 1},
        {"further": -1},
        {"expires": -1},
        {"claims": ["x"] * (limits.LIST_ITEMS + 1)},
        {"issuer": "x" * (limits.URL_CHARS + 1)},
    ],
)
def test_what_is_announced_is_bounded(changes: dict[str, Any]) -> None:
    members = dict(write_step(M1).content)
    members["credential"] = {**members["credential"], **changes}
    assert code_of(Content(DELEGATION_FORMAT, members), Proposal) == "message_malformed"


def test_a_proof_is_made_out_to_one_transfer() -> None:
    assert audience_of(bytes(32)) != audience_of(bytes(31) + b"\x01")
