"""What a store remembers of issuers and of the lists of their keys: small files of JSON beside the lists."""

from typing import Any, Literal, TypeVar

import msgspec

from safeconduct.status.states import Reason

Form = Literal["list", "log"]
"""In which form a list is held: with its identifiers, or as the issuer's log, with hashes of them."""


class Validators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By which a host recognises a document that it gave: `ETag` and `Last-Modified`, "" for none."""

    etag: str = ""
    modified: str = ""


class IssuerRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of an issuer. Times in seconds since 1970.

    jwks: its JWKS as fetched, "" before that. fetched_at: when the host last said that this is the JWKS.
    status_keys: JWKs that heads must be signed by, if there are any. unsigned: lists may come without head.
    """

    issuer: str
    jwks: str = ""
    fetched_at: int = 0
    validators: Validators = Validators()
    status_keys: tuple[dict[str, Any], ...] = ()
    unsigned: bool = False

    @property
    def demands_head(self) -> bool:
        """Whether a list counts only with a signed head."""
        return bool(self.status_keys) and not self.unsigned


class HeldList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list that is held. digest: of the list's canonical bytes, or as its head has it for a log.

    name: of the files that hold it. size: of the list or log, in bytes. count: of entries.
    confirmed_at: when the host last gave it as the newest. signed_until: until when a verified head speaks
    for it, 0 without one.
    """

    method: str
    ctr: int
    form: Form
    name: str
    digest: str
    size: int
    count: int
    confirmed_at: int
    validators: Validators = Validators()
    signed_until: int = 0


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the list of one key.

    seen: the highest counter ever met, below which no list is taken again. head: the newest one, as it came.
    head_iat: when the newest one that was verified was signed. fault: why the newest list could not be had at
    the last try, with its code. no_head_until, no_delta_until: before these times an issuer that published
    none is not asked again; one that has given them before (gave_head, gave_delta) always is.
    """

    kid: str
    seen: int = 0
    head_iat: int = 0
    head: str = ""
    head_validators: Validators = Validators()
    held: HeldList | None = None
    fault: Reason | None = None
    code: str = ""
    no_head_until: int = 0
    no_delta_until: int = 0
    gave_head: bool = False
    gave_delta: bool = False


Record = TypeVar("Record", IssuerRecord, KeyRecord)


def encode(record: IssuerRecord | KeyRecord) -> bytes:
    """Return a record as its file."""
    return msgspec.json.encode(record)


def decode(data: bytes, kind: type[Record]) -> Record | None:
    """Return the record in a file, None for a file that holds none."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
