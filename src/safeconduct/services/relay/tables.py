"""The relay's one table: mailboxes. Nothing in it says whose they are, or that two of them are anybody's.

Claims are there as SHA-256 over the mailbox's id and the claim, so that even a claim that a client uses twice
looks another in each mailbox.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

mailboxes = Table(
    "relay_mailboxes",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("creation", LargeBinary, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("rights", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("updates", Integer, nullable=False),
    Column("sender_claim", LargeBinary, nullable=False),
    Column("receiver_claim", LargeBinary),
    Column("claim_key", LargeBinary),
    Column("sender_requests", LargeBinary, nullable=False),
    Column("receiver_requests", LargeBinary, nullable=False),
    Column("display", LargeBinary, nullable=False),
    Column("from_sender", LargeBinary, nullable=False),
    Column("from_receiver", LargeBinary),
    Index("ix_relay_mailboxes_expires_at_state", "expires_at", "state"),
)
"""creation: digest of the claim and the request that made the mailbox. claim_key: raw Ed25519.

sender_requests, receiver_requests: of each one's last requests, digest and sequence. display: JSON.
from_sender: JSON of the sender's last payload; from_receiver: of the receiver's, while it is newer."""
