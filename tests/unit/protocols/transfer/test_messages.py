"""Header fields under all their names, bodies, times, rights; and that garbage is an error by name."""

import contextlib
import datetime
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.protocols.transfer import mailbox, messages
from safeconduct.protocols.transfer.claims import (
    claim_digest,
    claim_message,
    read_claim_key,
    read_proof,
    verify_proof,
)
from safeconduct.protocols.transfer.messages import (
    NAMES,
    MailboxConfiguration,
    encode_reading,
    format_time,
    parse_time,
    payload_json,
    read_create,
    read_headers,
    read_rights,
    read_terms,
    read_update,
)
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.uuids import new_uuid, parse_uuid, uuid_text

CLAIM = "2f1c1e3e-7a0e-4c5b-8f44-0123456789ab"


def test_the_names_of_all_drafts() -> None:
    assert set(NAMES) == {
        b"mailbox-request-id",
        b"mailbox-correlation-id",
        b"mailbox-device-claim",
        b"device-claim",
        b"deviceclaim",
        b"mailbox-device-attestation",
        b"device-attestation",
        b"deviceattestation",
        b"mailbox-claim-proof",
        b"mailbox-if-sequence",
        b"mailbox-wait",
        b"mailbox-known-sequence",
    }


def test_a_field_may_stand_under_two_names_with_one_value() -> None:
    found = read_headers([(b"deviceclaim", CLAIM.encode()), (b"device-claim", CLAIM.upper().encode())])
    assert found.claim() == uuid.UUID(CLAIM).bytes
    for name, first, second in (
        (b"device-claim", CLAIM, str(uuid.uuid4())),
        (b"device-claim", "x", "y"),
        (b"device-claim", "x", CLAIM),
        (b"deviceattestation", "a", "A"),
    ):
        with pytest.raises(Malformed) as refused:
            read_headers(
                [(name, first.encode()), (b"mailbox-" + name, second.encode()), (name, second.encode())]
            )
        assert refused.value.code == "header_conflict"


@given(st.uuids())
def test_a_uuid_is_read_in_either_case(value: uuid.UUID) -> None:
    assert parse_uuid(str(value)) == parse_uuid(str(value).upper()) == value.bytes
    assert uuid_text(value.bytes) == str(value)


@given(st.text(max_size=60))
@example("2f1c1e3e-7a0e-4c5b-8f44-0123456789ab\n")
@example("urn:uuid:2f1c1e3e-7a0e-4c5b-8f44-0123456789ab")
@example("2f1c1e3e-7a0e-4c5b-8f44-0123456789a\u0661")
def test_nothing_else_is_a_uuid(text: str) -> None:
    assert parse_uuid(text) is None


@given(st.binary(min_size=16, max_size=16))
def test_a_new_uuid_is_of_version_4(random: bytes) -> None:
    made = uuid.UUID(bytes=new_uuid(random))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)


@pytest.mark.parametrize(
    ("text", "rights"),
    [("R", 4), ("W", 2), ("D", 1), ("RD", 5), ("DR", 5), ("RWD", 7), ("DWR", 7), ("WD", 3)],
)
def test_rights(text: str, rights: int) -> None:
    assert read_rights(text) == rights
    assert (mailbox.READ, mailbox.WRITE, mailbox.DELETE) == (4, 2, 1)


@pytest.mark.parametrize("text", ["", "r", "RR", "RWDR", "R D", "X", "RWDX"])
def test_other_rights(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_rights(text)
    assert refused.value.code == "access_rights_malformed"


@given(st.datetimes(timezones=st.timezones(), min_value=datetime.datetime(1900, 1, 1)))  # noqa: DTZ001  the bound is naive
def test_times_are_those_of_the_standard_library(moment: datetime.datetime) -> None:
    offset = moment.utcoffset()
    if offset is None or offset.total_seconds() % 60:
        return
    text = moment.isoformat()
    assert parse_time(text) == int(moment.timestamp() // 1)


@given(st.integers(0, 253_402_300_799))
def test_a_time_that_is_written_is_read_again(seconds: int) -> None:
    assert parse_time(format_time(seconds)) == seconds


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9T:.Z+-]{18,30}\Z"))
def test_any_text_is_a_time_or_an_error_by_name(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(parse_time(text), int)


def test_a26_a_mailbox_lives_as_long_as_it_takes_to_carry_a_link_and_no_longer_than_the_most() -> None:
    now = parse_time("2027-01-15T08:00:00Z")
    least = limits.MAILBOX_SECONDS
    for seconds, kept in ((1, least), (least, least), (least + 1, least + 1), (900, 900), (901, 900)):
        wanted = MailboxConfiguration(expiration=format_time(now + seconds))
        assert read_terms(wanted, now=now, default=300, most=900).expires_at == now + kept
    assert read_terms(None, now=now, default=300, most=900).expires_at == now + 300


def test_a_payload_is_kept_without_what_else_it_had() -> None:
    body = b'{"payload":{"type":"A","data":"AA==","x":1},"y":2}'
    found = read_update(body, max_bytes=1000).payload
    assert payload_json(found, most_chars=4) == b'{"type":"A","data":"AA=="}'
    with pytest.raises(Malformed) as refused:
        payload_json(found, most_chars=3)
    assert (refused.value.code, refused.value.http_status) == ("payload_too_large", 413)


@pytest.mark.parametrize("data", ["AA", "AA==", "AAA=", "A+/_-", "A" * 100])
def test_base64_of_any_kind_is_taken(data: str) -> None:
    assert data in payload_json(Payload("A", data), most_chars=200).decode()


@pytest.mark.parametrize("data", ["", "=", "A A", "A===", "A=A", 'A"', "A\n", "Ä", "\\u0041"])
def test_what_is_no_base64_is_not(data: str) -> None:
    with pytest.raises(Malformed) as refused:
        payload_json(Payload("A", data), most_chars=200)
    assert refused.value.code == "message_malformed"


@given(st.text(max_size=limits.PAYLOAD_TYPE_CHARS), st.text(max_size=20))
def test_no_payload_breaks_out_of_its_json(type_: str, data: str) -> None:
    from safeconduct.encoding import json

    try:
        body = json.dumps({"payload": {"type": type_, "data": data}})
        kept = payload_json(read_update(body, max_bytes=10_000).payload, most_chars=100)
    except (SafeconductError, ValueError):
        return
    assert json.loads(kept) == {"type": type_, "data": data}
    answer = encode_reading(kept, b"{}", expires_at=0, sequence=3, state="claimed")
    assert json.loads(answer) == {
        "payload": {"type": type_, "data": data},
        "displayInformation": {},
        "expiration": "1970-01-01T00:00:00Z",
        "sequence": 3,
        "state": "claimed",
    }


@given(st.binary(max_size=300))
def test_any_bytes_are_a_body_or_an_error_by_name(body: bytes) -> None:
    for reads in (read_create, read_update):
        with pytest.raises(SafeconductError):
            reads(body, max_bytes=200)


@given(st.lists(st.tuples(st.sampled_from(sorted(NAMES)), st.binary(max_size=40)), max_size=4))
def test_any_fields_are_read_or_an_error_by_name(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        found = read_headers(fields)
        found.claim()
        found.request_id()
        found.proof()
        found.if_sequence()
        found.known_sequence()
        found.wait(most=30)
    except SafeconductError:
        pass


def test_a_reader_waits_no_longer_than_it_may() -> None:
    assert read_headers([]).wait(most=30) == 0
    assert read_headers([(b"mailbox-wait", b" 12 ")]).wait(most=30) == 12
    assert read_headers([(b"mailbox-wait", b"999999999")]).wait(most=30) == 30


# Claims


def test_what_a_proof_signs() -> None:
    assert claim_message(CLAIM.upper(), CLAIM.upper()) == b"sct-claim/1\0%b\0%b" % (
        CLAIM.encode(),
        CLAIM.encode(),
    )


def test_a_claim_is_another_in_each_mailbox() -> None:
    assert claim_digest(b"1" * 16, b"c" * 16) != claim_digest(b"2" * 16, b"c" * 16)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "A" * 43,  # of small order: anyone can sign under it
        "AQ" + "A" * 41,
        "A" * 44,
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "ä" * 43,
    ],
)
def test_what_is_no_claim_key(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_claim_key(text)
    assert refused.value.code == "claim_key_malformed"


def test_a_claim_key_and_its_proof() -> None:
    """The key and an independent signature: RFC 8032 §7.1 test 1's key, signed with `cryptography`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = read_claim_key("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    mailbox_, claim = uuid.uuid4(), uuid.uuid4()
    signed = b"sct-claim/1\0" + str(mailbox_).encode() + b"\0" + str(claim).encode()
    proof = Ed25519PrivateKey.from_private_bytes(seed).sign(signed)
    verify_proof(key, proof, mailbox=mailbox_.bytes, claim=claim.bytes)
    for wrong, where, who in (
        (proof[:-1], mailbox_, claim),
        (b"", mailbox_, claim),
        (proof, claim, mailbox_),
        (proof, mailbox_, uuid.uuid4()),
        (proof, uuid.uuid4(), claim),
    ):
        with pytest.raises(SafeconductError) as refused:
            verify_proof(key, wrong, mailbox=where.bytes, claim=who.bytes)
        assert (refused.value.code, refused.value.http_status) == ("claim_proof_wrong", 401)
    with pytest.raises(SafeconductError) as missing:
        verify_proof(key, None, mailbox=mailbox_.bytes, claim=claim.bytes)
    assert missing.value.code == "claim_proof_missing"
    with pytest.raises(SafeconductError) as unread:
        read_proof("A" * 88)
    assert unread.value.code == "claim_proof_wrong"


def test_nothing_here_shows_what_it_holds() -> None:
    body = (
        b'{"payload":{"type":"T","data":"AAAA"},"displayInformation":{"title":"secret","description":"secret",'
        b'"imageURL":"secret"},"notificationToken":{"type":"secret","tokenData":"secret"},'
        b'"mailboxConfiguration":{"expiration":"secret","claimKey":"secret"}}'
    )
    found = read_create(body, max_bytes=1000)
    held = (found, found.payload, found.display, found.token, found.configuration)
    fields = read_headers([(b"device-claim", CLAIM.encode())])
    fields.claim()
    terms = messages.Terms(expires_at=1, rights=7, claim_key=b"secret")
    for shown in (*held, read_update(body, max_bytes=1000), fields, terms):
        assert not {"secret", "AAAA", CLAIM} & set(repr(shown).replace("'", " ").split())
        assert "secret" not in repr(shown)
