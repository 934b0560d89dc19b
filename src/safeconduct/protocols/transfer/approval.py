"""The sender's approval: two people compare six digits before an offer is let go.

    M1  sender → receiver    commitment to the sender's key and random number; what is shared
    M2  receiver → sender    the receiver's key and random number, and the thumbprint of its proof key
    M3  sender → receiver    the sender's key and random number
        both show six digits; the sender's user says whether they are the same
    M4  sender → receiver    the offer, sealed to the receiver's key

Somebody in the middle, who has the link and the relay's help, has to settle its own keys before it learns
what the digits will be: its own commitment binds it towards the receiver, the sender's hides what it would
have to fit. So it is left one guess in a million; a second answer to one commitment is never taken. M4 is
confirmed with a key that only the two who compared have, so that nobody else can put another offer there.

Each state is a value; a step gives the next one, to be stored before the message that comes with it is sent.

    sender     committed ─answer→ revealed ─confirm→ confirmed (releases M4)      any ─fail→ failed
    receiver   answered ─reveal→ revealed ─offer→ received                         any ─fail→ failed
"""

import hmac
import secrets
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import comparison, sealed
from safeconduct.protocols.transfer.content import (
    APPROVE_FORMAT,
    SEALED_FORMAT,
    Content,
    Offer,
    Share,
    read_members,
)
from safeconduct.protocols.transfer.keys import TransferKeys

SenderState = Literal["committed", "revealed", "confirmed", "failed"]
ReceiverState = Literal["answered", "revealed", "received", "failed"]

SENDER_STEPS: Final[dict[tuple[SenderState, str], SenderState]] = {
    ("committed", "answer"): "revealed",
    ("revealed", "confirm"): "confirmed",
    ("confirmed", "release"): "confirmed",
    ("committed", "fail"): "failed",
    ("revealed", "fail"): "failed",
    ("confirmed", "fail"): "failed",
}
RECEIVER_STEPS: Final[dict[tuple[ReceiverState, str], ReceiverState]] = {
    ("answered", "reveal"): "revealed",
    ("revealed", "offer"): "received",
    ("answered", "fail"): "failed",
    ("revealed", "fail"): "failed",
}

_BYTES: Final = 32
_WHAT: Final = "The message of an approval"

_Bytes32 = Annotated[str, msgspec.Meta(min_length=43, max_length=43)]  # base64url
T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """M2. public_key, random: the receiver's. thumbprint: of its proof key (RFC 7638, SHA-256). Base64url."""

    public_key: _Bytes32
    random: _Bytes32
    thumbprint: _Bytes32 = msgspec.field(name="proof_key_thumbprint")
    step: Literal[2]

    def __repr__(self) -> str:
        return "<Answer (not shown)>"


class SenderApproval(msgspec.Struct, frozen=True, kw_only=True):
    """The sender's side. key, random: of this approval alone, base64url. digits: empty at first."""

    state: SenderState
    share: Share
    key: _Bytes32
    random: _Bytes32
    answer: Answer | None = None
    digits: str = ""

    @property
    def thumbprint(self) -> str:
        """Thumbprint of the receiver's proof key as base64url, to which the issuer is to bind the share.

        Raises Rejected "approval_step_unexpected" before there is an answer.
        """
        if self.answer is None:
            raise _unexpected()
        return self.answer.thumbprint

    def __repr__(self) -> str:
        return f"<SenderApproval {self.state} (keys not shown)>"


class ReceiverApproval(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver's side. share: as announced. key: of this approval alone. sender_key: once it is known."""

    state: ReceiverState
    share: Share
    commitment: _Bytes32
    key: _Bytes32
    answer: Answer
    sender_key: _Bytes32 | None = None
    digits: str = ""

    def __repr__(self) -> str:
        return f"<ReceiverApproval {self.state} (keys not shown)>"


def begin_approval(share: Share, *, random: Random = secrets.token_bytes) -> tuple[SenderApproval, Content]:
    """Returns a new approval, and M1.

    share: what the receiver is shown. A receiver that steps back needs another approval: one whose key and
    random number are known binds nobody any more.
    """
    key, number = random(_BYTES), random(_BYTES)
    approval = SenderApproval(state="committed", share=share, key=b64.encode(key), random=b64.encode(number))
    committed = comparison.commitment(_public(approval.key), number)
    return approval, _message(_Commit(step=1, share=share, commit=b64.encode(committed)))


def preview(content: Content) -> Share:
    """Returns what M1 announces, to be shown before it is answered.

    Raises Unsupported "content_format_unsupported", Malformed "message_malformed".
    """
    return read_members(content, APPROVE_FORMAT, _Commit).share


def answer(
    content: Content, *, proof_key_thumbprint: bytes, random: Random = secrets.token_bytes
) -> tuple[ReceiverApproval, Content]:
    """Takes M1; returns the receiver's approval, and M2.

    proof_key_thumbprint: of the key that the credential is to be bound to, 32 bytes.

    Raises what `preview` raises, Malformed "approval_value_malformed".
    """
    first = read_members(content, APPROVE_FORMAT, _Commit)
    _bytes(first.commit)
    key = b64.encode(random(_BYTES))
    # The random number keeps a relay from knowing M2, and so from trying digits, before it has to commit.
    second = Answer(
        step=2,
        public_key=b64.encode(_public(key)),
        random=b64.encode(random(_BYTES)),
        thumbprint=b64.encode(proof_key_thumbprint),
    )
    approval = ReceiverApproval(
        state="answered", share=first.share, commitment=first.commit, key=key, answer=second
    )
    return approval, _message(second)


def take_answer(
    approval: SenderApproval, content: Content, *, context: bytes
) -> tuple[SenderApproval, Content]:
    """Takes M2; returns the approval with its digits, and M3.

    context: of the transfer's keys.

    Raises Rejected "approval_step_unexpected" if there was an answer already: a second one could be chosen to
    fit the digits. Malformed "message_malformed", "approval_value_malformed"; Rejected
    "shared_secret_invalid"; Unsupported "content_format_unsupported".
    """
    state = _step(SENDER_STEPS, approval.state, "answer")
    second = read_members(content, APPROVE_FORMAT, Answer)
    _confirmation_key(approval.key, second.public_key, context)
    public, number = _public(approval.key), _bytes(approval.random)
    digits = _digits(context, public, number, second)
    third = _Reveal(step=3, public_key=b64.encode(public), random=approval.random)
    return msgspec.structs.replace(approval, state=state, answer=second, digits=digits), _message(third)


def take_reveal(approval: ReceiverApproval, content: Content, *, context: bytes) -> ReceiverApproval:
    """Takes M3; returns the approval with its digits.

    Raises Rejected "commitment_mismatch" (what was revealed is not what M1 committed to: somebody is in the
    middle), "approval_step_unexpected"; and as `take_answer`.
    """
    state = _step(RECEIVER_STEPS, approval.state, "reveal")
    third = read_members(content, APPROVE_FORMAT, _Reveal)
    public, number = _bytes(third.public_key), _bytes(third.random)
    if not hmac.compare_digest(comparison.commitment(public, number), _bytes(approval.commitment)):
        raise Rejected("commitment_mismatch", "The sender's key is not the one that was announced.")
    _confirmation_key(approval.key, third.public_key, context)
    digits = _digits(context, public, number, approval.answer)
    return msgspec.structs.replace(approval, state=state, sender_key=third.public_key, digits=digits)


def confirm(approval: SenderApproval) -> SenderApproval:
    """Notes that the two people saw the same digits; raises Rejected "approval_step_unexpected"."""
    return msgspec.structs.replace(approval, state=_step(SENDER_STEPS, approval.state, "confirm"))


def release(approval: SenderApproval, offer: Offer, *, keys: TransferKeys) -> Content:
    """Returns M4: the offer for the key that the digits were compared for.

    Raises Rejected "approval_step_unexpected" unless the digits were confirmed; and as `sealed.seal_offer`.
    """
    _step(SENDER_STEPS, approval.state, "release")
    if approval.answer is None:
        raise _unexpected()
    recipient = AgreementPublicKey.from_raw(_bytes(approval.answer.public_key), "X25519")
    content = sealed.seal_offer(offer, recipient=recipient, keys=keys)
    key = _confirmation_key(approval.key, approval.answer.public_key, keys.context)
    return Content(content.format, {**content.content, "confirmation": _confirmation(key, content)})


def take_offer(
    approval: ReceiverApproval, content: Content, *, keys: TransferKeys
) -> tuple[ReceiverApproval, Offer]:
    """Takes M4; returns the offer, which is for the share that M1 announced.

    Raises Rejected "offer_not_of_approver" (not from whom the digits were compared with),
    "offer_not_as_announced" (another share), "approval_step_unexpected"; and as `sealed.open_offer`.
    """
    state = _step(RECEIVER_STEPS, approval.state, "offer")
    if approval.sender_key is None:
        raise _unexpected()
    fourth = read_members(content, SEALED_FORMAT, sealed.Sealed)
    key = _confirmation_key(approval.key, approval.sender_key, keys.context)
    if not hmac.compare_digest(_confirmation(key, content), fourth.confirmation or ""):
        raise Rejected("offer_not_of_approver", "The offer is not from whom the digits were compared with.")
    offer = sealed.open_offer(content, key=_private(approval.key), keys=keys)
    if offer.share != approval.share:
        raise Rejected("offer_not_as_announced", "The offer is for another share than was announced.")
    return msgspec.structs.replace(approval, state=state), offer


def fail(approval: SenderApproval) -> SenderApproval:
    """Notes that the digits differ; nothing is released any more. Raises "approval_step_unexpected"."""
    return msgspec.structs.replace(approval, state=_step(SENDER_STEPS, approval.state, "fail"))


def give_up(approval: ReceiverApproval) -> ReceiverApproval:
    """As `fail`, by the receiver."""
    return msgspec.structs.replace(approval, state=_step(RECEIVER_STEPS, approval.state, "fail"))


def approval_record(approval: SenderApproval | ReceiverApproval) -> dict[str, Any]:
    """Returns an approval as JSON members, private keys included: for an encrypted store and nothing else."""
    return wire.plain(approval)


def read_sender_approval(record: dict[str, Any]) -> SenderApproval:
    """Returns the sender's approval that `approval_record` gave; raises Malformed "message_malformed"."""
    return wire.read(record, SenderApproval, what=_WHAT)


def read_receiver_approval(record: dict[str, Any]) -> ReceiverApproval:
    """Returns the receiver's approval that `approval_record` gave; raises Malformed "message_malformed"."""
    return wire.read(record, ReceiverApproval, what=_WHAT)


class _Commit(msgspec.Struct, frozen=True, kw_only=True):
    share: Share
    commit: _Bytes32
    step: Literal[1]


class _Reveal(msgspec.Struct, frozen=True, kw_only=True):
    public_key: _Bytes32
    random: _Bytes32
    step: Literal[3]


def _message(members: _Commit | Answer | _Reveal) -> Content:
    return Content(APPROVE_FORMAT, wire.plain(members))


def _digits(context: bytes, public: bytes, number: bytes, second: Answer) -> str:
    return comparison.digits(
        context,
        sender_key=public,
        sender_random=number,
        receiver_key=_bytes(second.public_key),
        receiver_random=_bytes(second.random),
        thumbprint=_bytes(second.thumbprint),
    )


def _confirmation_key(own: str, peer: str, context: bytes) -> bytes:
    public = AgreementPublicKey.from_raw(_bytes(peer), "X25519")
    return comparison.confirmation_key(_private(own), public, context=context)


def _confirmation(key: bytes, content: Content) -> str:
    members = content.content
    return b64.encode(comparison.confirmation(key, members["enc"], members["ciphertext"]))


def _private(key: str) -> AgreementKey:
    return AgreementKey.from_raw(_bytes(key), "X25519")


def _public(key: str) -> bytes:
    return _private(key).public.to_raw()


def _bytes(text: str) -> bytes:
    try:
        value = b64.decode(text, max_bytes=_BYTES)
    except SafeconductError:
        value = b""
    if len(value) != _BYTES:
        raise Malformed("approval_value_malformed", "A value of the approval has not its length.")
    return value


def _step(steps: dict[tuple[T, str], T], state: T, event: str) -> T:
    following = steps.get((state, event))
    if following is None:
        raise _unexpected()
    return following


def _unexpected() -> Rejected:
    return Rejected("approval_step_unexpected", "The message does not belong to this step of the approval.")
