"""The three messages by which a sender passes its credential on without the issuer.

    M1  sender    what it would pass on, a nonce, and for whom proofs are made out       with the mailbox
    M2  receiver  a proof of its key for that nonce, and the PIN if one was asked for
    M3  sender    the credential, made for that key; or why there is none

They are those of an issuance (OpenID4VCI 1.0 §7, §8), with the sender in the issuer's place. What the proofs
and the credential are is not read here.
"""

from typing import Annotated, Final, Literal, TypeVar

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.protocols import wire
from safeconduct.protocols.transfer.content import DELEGATION_FORMAT, Content, read_members

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=limits.LIST_ITEMS)]

_AUDIENCE: Final = "urn:safeconduct:transfer:"

Refusal = Literal["pin_wrong", "proof_refused", "declined"]
"""Why a sender does not sign. Only after a wrong PIN can the receiver answer again."""


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender would pass on: enough to show a person, and to hold the credential against.

    issuer, vct: of the sender's own credential. claims: names of those that go along. rights: what is left of
    claims that are narrowed. not_before, expires: seconds since 1970. further: how often it may be passed on.
    """

    issuer: _Url
    vct: _Url
    claims: _Texts
    rights: Annotated[dict[_Text, _Texts], msgspec.Meta(max_length=limits.DELEGATION_RIGHTS)]
    not_before: _Time
    expires: _Time
    further: Annotated[int, msgspec.Meta(ge=0, le=limits.DELEGATION_DEPTH)]

    def __repr__(self) -> str:
        return "<Announced (not shown)>"


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """M1. audience: for whom the proof is made out. pin: whether one is needed."""

    nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NONCE_CHARS)]
    audience: _Text
    credential: Announced
    pin: bool
    step: Literal[1] = 1

    def __repr__(self) -> str:
        return "<Proposal (not shown)>"


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """M2. proof: by the receiver's key, of the type jwt (OpenID4VCI 1.0 §F.1)."""

    proof: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.PROOF_BYTES)]
    tx_code: _Text | None = None
    step: Literal[2] = 2

    def __repr__(self) -> str:
        return "<Claimed (not shown)>"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """M3. credential: a delegated one; None if there is none. tries_left: of the PIN."""

    credential: str | None = None
    error: Refusal | None = None
    tries_left: Annotated[int, msgspec.Meta(ge=0, le=limits.LIST_ITEMS)] = 0
    step: Literal[3] = 3

    def __repr__(self) -> str:
        return "<Answer (not shown)>"


T = TypeVar("T", Proposal, Claimed, Answer)


def audience_of(context: bytes) -> str:
    """Return for whom proofs are made out: the sender, in this transfer alone.

    context: of the transfer's keys, which no other transfer has.
    """
    return _AUDIENCE + b64.encode(context)


def write_step(message: Proposal | Claimed | Answer) -> Content:
    """Return a message as the content of a payload."""
    return Content(DELEGATION_FORMAT, {**wire.plain(message), "step": message.step})


def read_step(content: Content, type_: type[T]) -> T:
    """Return the message in a payload.

    Raises Unsupported: content_format_unsupported; Malformed: message_malformed, also for another step.
    """
    read_members(content, DELEGATION_FORMAT, _Step)
    return read_members(content, DELEGATION_FORMAT, type_)


class _Step(msgspec.Struct, frozen=True):
    step: Literal[1, 2, 3]
