"""What goes between a wallet and a relay: header fields under all their names, bodies, times.

Source: draft-vinokurov-tigress-http-00, and draft-secure-credential-transfer-00 to -04 for the older names.
What is said of `claimKey`, sequences and waiting is an extension that other wallets need not know.
"""

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Final

import msgspec
from msgspec import field

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import mailbox
from safeconduct.protocols.transfer.claims import read_claim_key, read_proof
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.uuids import parse_uuid

REQUEST_ID: Final = "Mailbox-Request-ID"
CLAIM: Final = "Mailbox-Device-Claim"
ATTESTATION: Final = "Mailbox-Device-Attestation"
CLAIM_PROOF: Final = "Mailbox-Claim-Proof"
IF_SEQUENCE: Final = "Mailbox-If-Sequence"
WAIT: Final = "Mailbox-Wait"
KNOWN_SEQUENCE: Final = "Mailbox-Known-Sequence"

ALIASES: Mapping[str, str] = {
    "Mailbox-Correlation-ID": REQUEST_ID,
    "Device-Claim": CLAIM,
    "deviceClaim": CLAIM,
    "Device-Attestation": ATTESTATION,
    "deviceAttestation": ATTESTATION,
}
"""What older drafts called the fields."""

NAMES: Mapping[bytes, str] = {
    name.lower().encode(): name
    for name in (REQUEST_ID, CLAIM, ATTESTATION, CLAIM_PROOF, IF_SEQUENCE, WAIT, KNOWN_SEQUENCE)
} | {alias.lower().encode(): name for alias, name in ALIASES.items()}
"""The fields by all their names, as HTTP servers give them: in lower case."""

DEFAULT_RIGHTS: Final = "RD"
RIGHTS: Mapping[str, int] = {"R": mailbox.READ, "W": mailbox.WRITE, "D": mailbox.DELETE}
_RIGHTS: Mapping[str, int] = {
    "".join(letters): sum(RIGHTS[letter] for letter in letters)
    for count in range(1, len(RIGHTS) + 1)
    for letters in permutations(RIGHTS, count)
}

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-5][0-9])",
    re.ASCII,
)
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001  all times here are UTC


class PayloadTooLarge(Malformed):
    """The message is longer than the relay keeps."""

    http_status = 413


class ClaimMissing(Rejected):
    """The request says nothing of who sends it."""


class Headers(msgspec.Struct, frozen=True):
    """The fields of a request as they came, each under its newest name; at most one value each."""

    values: Mapping[str, str]
    _read: dict[str, bytes | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "<Headers>"

    @property
    def echo(self) -> str | None:
        """The request's id as the answer repeats it; None for one that is no UUID."""
        return self.values[REQUEST_ID] if self._uuid(REQUEST_ID) else None

    @property
    def attestation(self) -> str | None:
        """The opaque attestation, in which this project's relay takes creation tokens."""
        return self.values.get(ATTESTATION)

    def claim(self) -> bytes:
        """Returns the claim, 16 bytes. Raises ClaimMissing "claim_missing", Malformed "claim_malformed"."""
        found = self._uuid(CLAIM)
        if found is None and CLAIM in self.values:
            raise Malformed("claim_malformed", f"The header field {CLAIM} is not a UUID.")
        if found is None:
            raise ClaimMissing("claim_missing", f"The header field {CLAIM} is missing.")
        return found

    def request_id(self) -> bytes:
        """Returns the request's id, 16 bytes.

        Raises Malformed "request_id_missing", "request_id_malformed".
        """
        found = self.optional_request_id()
        if found is None:
            raise Malformed("request_id_missing", f"The header field {REQUEST_ID} is missing.")
        return found

    def optional_request_id(self) -> bytes | None:
        """As `request_id`; None without one."""
        found = self._uuid(REQUEST_ID)
        if found is None and REQUEST_ID in self.values:
            raise Malformed("request_id_malformed", f"The header field {REQUEST_ID} is not a UUID.")
        return found

    def proof(self) -> bytes | None:
        """Returns the claim proof. Raises ClaimProofWrong "claim_proof_wrong" for what can be none."""
        text = self.values.get(CLAIM_PROOF)
        return None if text is None else read_proof(text)

    def if_sequence(self) -> int | None:
        """Returns the sequence that a writer has seen last. Raises Malformed "sequence_malformed"."""
        return _number(self.values.get(IF_SEQUENCE), "sequence_malformed", IF_SEQUENCE)

    def known_sequence(self) -> int | None:
        """Returns the sequence that a reader has seen last. Raises Malformed "sequence_malformed"."""
        return _number(self.values.get(KNOWN_SEQUENCE), "sequence_malformed", KNOWN_SEQUENCE)

    def wait(self, *, most: int) -> int:
        """Returns the seconds that a reader waits, at most `most`. Raises Malformed "wait_malformed"."""
        found = _number(self.values.get(WAIT), "wait_malformed", WAIT)
        return 0 if found is None else min(found, most)

    def _uuid(self, name: str) -> bytes | None:
        if name not in self._read:
            self._read[name] = parse_uuid(self.values.get(name, ""))
        return self._read[name]


def read_headers(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Returns what the fields of a request say. fields: names in lower case, and values.

    Raises Malformed "header_conflict" if a field comes under two names, or twice, with values that differ.
    """
    values: dict[str, str] = {}
    for name, value in fields:
        known = NAMES.get(name)
        if known is not None:
            text = value.decode("latin-1").strip(" \t")
            before = values.setdefault(known, text)
            if before != text and (parse_uuid(text) is None or parse_uuid(before) != parse_uuid(text)):
                raise Malformed("header_conflict", f"The header field {known} comes with two values.")
    return Headers(values)


class DisplayInformation(msgspec.Struct, frozen=True):
    """What anyone with the path may see, as its sender wrote it."""

    title: str
    description: str
    image_url: str = field(name="imageURL")

    def __repr__(self) -> str:
        return "<DisplayInformation>"


class NotificationToken(msgspec.Struct, frozen=True):
    """Where a push service would find the party; nothing is made of it."""

    type: str
    token_data: str = field(name="tokenData")

    def __repr__(self) -> str:
        return "<NotificationToken>"


class MailboxConfiguration(msgspec.Struct, frozen=True):
    """How long a mailbox shall last (RFC 3339), what its parties may do, and who may claim it."""

    expiration: str
    access_rights: str = field(name="accessRights", default=DEFAULT_RIGHTS)
    claim_key: str | None = field(name="claimKey", default=None)

    def __repr__(self) -> str:
        return "<MailboxConfiguration>"


class CreateMailbox(msgspec.Struct, frozen=True):
    """The body that makes a mailbox."""

    payload: Payload
    display: DisplayInformation = field(name="displayInformation")
    token: NotificationToken | None = field(name="notificationToken", default=None)
    configuration: MailboxConfiguration | None = field(name="mailboxConfiguration", default=None)

    def __repr__(self) -> str:
        return "<CreateMailbox>"


class UpdateMailbox(msgspec.Struct, frozen=True):
    """The body that puts a message into a mailbox."""

    payload: Payload
    token: NotificationToken | None = field(name="notificationToken", default=None)

    def __repr__(self) -> str:
        return "<UpdateMailbox>"


def read_create(body: bytes, *, max_bytes: int) -> CreateMailbox:
    """Returns the body of CreateMailbox. Raises as `wire.read_json`."""
    return wire.read_json(body, CreateMailbox, what="CreateMailbox", max_bytes=max_bytes)


def read_update(body: bytes, *, max_bytes: int) -> UpdateMailbox:
    """Returns the body of UpdateMailbox. Raises as `wire.read_json`."""
    return wire.read_json(body, UpdateMailbox, what="UpdateMailbox", max_bytes=max_bytes)


def payload_json(payload: Payload, *, most_chars: int) -> bytes:
    """Returns a payload as it is kept and passed on: its JSON. most_chars: of its data.

    Raises PayloadTooLarge "payload_too_large", Malformed "message_malformed" if its data are not base64 of
    any of the usual kinds.
    """
    if len(payload.data) > most_chars:
        raise PayloadTooLarge("payload_too_large", "payload.data is longer than this relay keeps.")
    if not _BASE64.fullmatch(payload.data):
        raise Malformed("message_malformed", "payload.data is not base64.")
    return f'{{"type":"{payload.type}","data":"{payload.data}"}}'.encode()  # neither has what JSON escapes


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailbox's sender has decided about it. expires_at: seconds; claim_key: raw."""

    expires_at: int
    rights: int
    claim_key: bytes | None

    def __repr__(self) -> str:
        return f"<Terms expires_at={self.expires_at}>"


def read_terms(configuration: MailboxConfiguration | None, *, now: int, default: int, most: int) -> Terms:
    """Returns the terms of a new mailbox. default, most: seconds that it lives.

    A time that is nearer than `limits.MAILBOX_SECONDS` or later than the most is moved there.
    Raises Malformed "mailbox_expiration_malformed", "mailbox_expiration_past", "access_rights_malformed",
    "claim_key_malformed".
    """
    if configuration is None:
        return Terms(expires_at=now + default, rights=read_rights(DEFAULT_RIGHTS), claim_key=None)
    key = configuration.claim_key
    expires_at = parse_time(configuration.expiration)
    if expires_at <= now:
        raise Malformed("mailbox_expiration_past", "The mailbox would have expired already.")
    return Terms(
        expires_at=min(max(expires_at, now + limits.MAILBOX_SECONDS), now + most),
        rights=read_rights(configuration.access_rights),
        claim_key=None if key is None else read_claim_key(key),
    )


def read_rights(text: str) -> int:
    """Returns `accessRights` as a sum of `mailbox.READ`, `WRITE` and `DELETE`.

    Raises Malformed "access_rights_malformed" unless the text has one or more of R, W and D, each once.
    """
    found = _RIGHTS.get(text)
    if found is None:
        raise Malformed("access_rights_malformed", "accessRights has to name some of R, W and D, each once.")
    return found


def parse_time(text: str) -> int:
    """Returns a time of RFC 3339 in whole seconds, a fraction cut off.

    Raises Malformed "mailbox_expiration_malformed", also for hour 24 and second 60.
    """
    if _TIME.fullmatch(text):
        try:
            return math.floor(datetime.datetime.fromisoformat(text.upper()).timestamp())
        except ValueError:
            pass  # there is no such day or hour
    raise Malformed(
        "mailbox_expiration_malformed", "mailboxConfiguration.expiration is not a time of RFC 3339."
    )


def format_time(seconds: int) -> str:
    """Returns the time as the drafts write it: `YYYY-MM-DDThh:mm:ssZ`."""
    return f"{(_EPOCH + datetime.timedelta(seconds=seconds)).isoformat()}Z"


def encode_reading(
    payload: bytes, display: bytes, *, expires_at: int, sequence: int, state: mailbox.State | None
) -> bytes:
    """Returns the answer to a read. payload, display: JSON as it was kept. state: for the sender only."""
    known = b"" if state is None else b',"state":"%b"' % state.encode()
    return b'{"payload":%b,"displayInformation":%b,"expiration":"%b","sequence":%d%b}' % (
        payload,
        display,
        format_time(expires_at).encode(),
        sequence,
        known,
    )


def _number(text: str | None, code: str, name: str) -> int | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Malformed(code, f"The header field {name} is not a number.")
    return int(text)
