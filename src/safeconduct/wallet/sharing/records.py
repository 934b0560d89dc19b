"""What the wallet keeps of transfers, as it stands in its encrypted records, and what it tells of them.

A record is written before anything is sent: with it a transfer goes on after a crash, under the same claim
and the same keys, so that nobody is locked out and nothing happens twice.
"""

from typing import Any, Literal

import msgspec

from safeconduct.protocols.transfer.payload import Payload
from safeconduct.wallet.records import Held

Level = Literal["link", "pin", "key", "approve", "authority"]
"""How a share is bound to its receiver: by the link alone, a code besides, a known key, or a comparison;
"authority": the sender signs it itself, and the issuer knows nothing of it."""

Mode = Literal["share", "move"]
"""Whether the sender keeps the credential, or hands it over."""

GivenStage = Literal["begun", "granted", "left", "ending", "over"]
"""begun: the issuer may have been asked. granted: it has given an offer. left: the offer lies where its
receiver can get it. ending: it is being taken back. over: nothing will come of it any more."""

TakenStage = Literal["begun", "claimed", "offered", "redeeming", "held", "declining"]
"""begun: the mailbox may have been claimed. claimed: it is. offered: an offer of the share's issuer is here.
redeeming: the issuer may have been asked. held: the credential is here, the mailbox may still be there.
declining: the mailbox is being given up."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox, as one party knows it.

    relay: base URL. id: "" until the relay has named it. claim: this party's, a UUID as text, for this
    mailbox alone. created: id of the request that makes it. sequence, state: the last that the relay told.
    """

    relay: str
    claim: str
    created: str
    id: str = ""
    sequence: int = 0
    state: Literal["unclaimed", "claimed", "relinquished"] | None = None

    @property
    def url(self) -> str:
        """Where the mailbox lies."""
        return f"{self.relay}/v1/m/{self.id}"

    def __repr__(self) -> str:
        return "<Box>"


class Letter(msgspec.Struct, frozen=True):
    """A message that was sealed, and may have been sent; what is sent again is the same, by the same id."""

    payload: Payload
    request_id: str

    def __repr__(self) -> str:
        return "<Letter>"


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was shared and is not held any more, since another took its place: as it was.

    With it the wallet takes back what was shared of it. server, encrypted: as in StoredCredential.
    """

    held: Held
    token: bytes
    key: str
    instance: str
    server: str | None
    encrypted: bool

    def __repr__(self) -> str:
        return "<Parent>"


class Given(msgspec.Struct, frozen=True, kw_only=True, tag_field="side", tag="given"):
    """A transfer that this wallet began.

    credential, instance: which is shared. issuer, configuration, vct: of it. entitlements, not_before,
    expires: of the new credential, None as far as the issuer lets. lifetime: seconds of the offer.
    disclose: claim paths shown to the issuer. jkt: thumbprint of the receiver's key, if known.
    request_id, share_id: names at the issuer. offer: as it came. tx_code: the PIN. offer_expires: of both.
    secret: of this transfer alone. version: 1 for the payloads of the drafts. box: None without a relay.
    body: the message that makes the mailbox, kept so that it is the same each time. sent, received: counters.
    letter: a message whose arrival is not certain.
    link: as it is given to the receiver. contact: whom it is for. outcome: how it ended.
    parent: the credential itself, once it was renewed.
    extra: what the steps of a level keep besides. revision: goes up with every change, so that of two
    processes only one goes on.
    """

    id: str
    stage: GivenStage
    since: int
    level: Level
    mode: Mode
    credential: str
    instance: str
    issuer: str
    configuration: str
    vct: str
    disclose: tuple[str, ...]
    request_id: str
    share_id: str
    secret: bytes
    entitlements: tuple[str, ...] | None = None
    not_before: int | None = None
    expires: int | None = None
    lifetime: int | None = None
    jkt: str | None = None
    offer: dict[str, Any] | None = None
    tx_code: str | None = None
    offer_expires: int | None = None
    version: Literal[1, 2] = 2
    box: Box | None = None
    body: bytes | None = None
    sent: int = 0
    received: int = 0
    letter: Letter | None = None
    link: str | None = None
    contact: str | None = None
    outcome: str | None = None
    ended: int = 0
    parent: Parent | None = None
    extra: dict[str, Any] = {}
    revision: int = 0

    def wiped(self) -> "Given":
        """The record without its secrets, for when nothing has to be sent any more."""
        return msgspec.structs.replace(
            self, secret=b"", offer=None, tx_code=None, body=None, letter=None, link=None, extra={}
        )

    def __repr__(self) -> str:
        return f"<Given {self.id} {self.stage}>"


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag_field="side", tag="taken"):
    """A transfer that this wallet opened. Its id becomes that of the credential.

    version, level: as the link says; no level with the payloads of the drafts. box: None without a relay.
    dpop_key: the key that the offer's code is traded under, as text; "" before. key: URI of a holder key in a
    token. via: wallet server. offer, issuer, share_id, offer_expires: what came. tries: PINs that the issuer
    refused. letter: a message whose arrival is not certain. extra: what the steps of a level keep besides.
    taken_up: when a process began to ask the issuer, 0 while none does. revision: as in Given.
    """

    id: str
    stage: TakenStage
    since: int
    level: Level | None
    secret: bytes
    version: Literal[1, 2] = 2
    box: Box | None = None
    sent: int = 0
    received: int = 0
    letter: Letter | None = None
    dpop_key: str = ""
    key: str | None = None
    offer: dict[str, Any] | None = None
    issuer: str | None = None
    share_id: str | None = None
    offer_expires: int | None = None
    mode: str = "share"
    tries: int = 0
    extra: dict[str, Any] = {}
    taken_up: int = 0
    revision: int = 0

    def __repr__(self) -> str:
        return f"<Taken {self.id} {self.stage}>"


Transfer = Given | Taken
"""A record of a transfer."""


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """A share that its receiver can have now.

    link: for the receiver; None where the share goes another way. tx_code: the PIN, for another channel than
    the link's, None for a level without. expires: of both, seconds.
    """

    id: str
    share_id: str
    level: Level
    mode: Mode
    link: str | None
    tx_code: str | None
    expires: int | None

    def __repr__(self) -> str:
        return f"<Shared {self.id}>"


RelayState = Literal["unclaimed", "claimed", "relinquished", "gone", "unreachable", "none", "unknown"]
"""What the relay says of a mailbox. gone: used, taken back or expired; none: the share went without a relay;
unknown: a relay that does not say."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a share stands, by the relay and by the issuer.

    id: "" for one that another wallet of the same holder made. issuer_state: the issuer's word, or
    "unreachable", "unknown" (the issuer has none of this name), "credential_gone" (the wallet can not ask any
    more), "not_asked" (the sender signs it itself). relay_state tells whether somebody has claimed it.
    pinned: whether only one key can redeem it.
    """

    id: str
    share_id: str
    credential: str
    issuer: str
    configuration: str
    level: str
    mode: str
    since: int
    expires: int | None
    stage: GivenStage | None
    relay_state: RelayState
    issuer_state: str
    entitlements: tuple[str, ...] | None = None
    credential_expires: int | None = None
    pinned: bool = False
    contact: str | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of taking a share back, at each of the two.

    issuer: "cancelled" (nothing had been issued), "revoked" (what was issued), "already_expired",
    "already_over", "nothing" (there was no share), "credential_gone" (without the credential, only the issuer
    itself can end it); else the code of a fault. relay: "deleted", "gone",
    "none"; else the code of a fault.
    """

    issuer: str
    relay: str

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do at either."""
        return self.issuer in ENDED_AT_ISSUER and self.relay in _ENDED_AT_RELAY


ENDED_AT_ISSUER = frozenset(
    {"cancelled", "revoked", "already_expired", "already_over", "nothing", "credential_gone"}
)
"""Outcomes after which nothing is left to do at the issuer; or nothing that this wallet could do."""

_ENDED_AT_RELAY = frozenset({"deleted", "gone", "none"})
