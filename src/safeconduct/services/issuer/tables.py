"""The issuer's tables. Times are Unix seconds; of every code, token and identifier only a digest is kept.

tenant: the Credential Issuer Identifier that a row belongs to; one database serves many.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    false,
    true,
)
from sqlalchemy import UniqueConstraint as Unique

from safeconduct.storage.status.tables import metadata


def _tenant() -> Column[str]:
    return Column("tenant", Text, nullable=False, server_default="")


def _grant() -> Column[str]:
    return Column(
        "grant_id", Text, ForeignKey("issuer_grants.id", ondelete="CASCADE"), nullable=False, index=True
    )


grants = Table(
    "issuer_grants",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("state", Text, nullable=False),
    Column("configuration_ids", Text, nullable=False),
    Column("claims", LargeBinary),
    Column("code_digest", LargeBinary, nullable=False, unique=True),
    Column("reference_digest", LargeBinary, unique=True),
    Column("issuer_state_digest", LargeBinary, unique=True, index=True),
    Column("tx_code", Text),
    Column("tx_digest", LargeBinary),
    Column("attempts_left", Integer, nullable=False),
    Column("own_reference", Text),
    Column("subject", Text),
    Column("deferred", Boolean, nullable=False, server_default=false()),
    Column("client_id", Text),
    Column("redirect_uri", Text),
    Column("code_challenge", Text),
    Column("thumbprint", Text),
    Column("scope", Text),
    Column("details", Text),
    Column("redeemed_at", BigInteger),
    Column("share_id", Text),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Offers and authorizations, and what became of them. claims: JSON, erased at the end of the grant.

code_digest: of the pre-authorized code or, once a user has consented, of the authorization code.
tx_digest: of the transaction code, keyed with the pre-authorized code, which is not kept: the few digits
cannot be tried out on a stolen database. own_reference: by which management knows the case.
subject: whom the source of claims is asked about. deferred: management approves each issuance.
client_id, redirect_uri, code_challenge, thumbprint: what an authorization code is bound to.
scope: what a user has granted by scope. details: JSON, the configurations granted by authorization details.
share_id: of the share that the offer belongs to; NULL for the issuer's own.
"""

tokens = Table(
    "issuer_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _tenant(),
    _grant(),
    Column("configuration_ids", Text),
    Column("thumbprint", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Access tokens in force, each bound to the thumbprint of a DPoP key.

configuration_ids: JSON, what of the grant the token is good for; NULL: all of it.
"""

refresh_tokens = Table(
    "issuer_refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _grant(),
    Column("client_id", Text),
    Column("thumbprint", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Refresh tokens in force, each bound to a DPoP key."""

identifiers = Table(
    "issuer_identifiers",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _grant(),
    Column("token_digest", LargeBinary, nullable=False),
    Column("configuration_id", Text, nullable=False),
    Column("named", Boolean, nullable=False, server_default=true()),
    Column("remaining", Integer, nullable=False),
)
"""Credential identifiers and how many credentials each is still good for.

named: whether a request names the identifier; else it names the configuration, which was granted by scope.
"""

authorizations = Table(
    "issuer_authorizations",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _tenant(),
    Column("state", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("grant_id", Text),
    Column("login_digest", LargeBinary),
    Column("attempts_left", Integer, nullable=False),
    Column("identity", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Pushed authorization requests, by the digest of their `request_uri`. request: JSON.

login_digest: of the cookie that binds the request to the browser that opened it. identity: JSON, who has
logged in there, until they have decided.
"""

links = Table(
    "issuer_links",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _tenant(),
    Column("subject", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""One-time links by which a subject logs in."""

attempts = Table(
    "issuer_attempts",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Failed logins by account, for a while; some accounts share a row, so that there are never many."""

seen = Table(
    "issuer_seen",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""DPoP and attestation proofs received and nonces used up, until they would be refused as too old anyway."""

keys = Table(
    "issuer_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    _tenant(),
    Column("kind", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Unique("tenant", "kind", "epoch", name="issuer_keys_tenant_kind_epoch"),
)
"""Keys of the epochs, shared by all processes on this database and deleted when they have expired."""

issued = Table(
    "issuer_issued",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("configuration_id", Text, nullable=False),
    Column("own_reference", Text, index=True),
    Column("count", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("status", Text),
    Column("grant_id", Text),
    Column("issued_at", BigInteger, nullable=False, index=True),
    Column("purge_at", BigInteger, nullable=False, index=True),
)
"""What was issued, without claims or keys. status: JSON, the status indices; purge_at: when the row goes.

grant_id: what it was issued for, if its holder may share it: that counts for all of one offer. Else NULL.
"""

Index(
    "ix_issuer_issued_grant_id",
    issued.c.grant_id,
    sqlite_where=issued.c.grant_id.is_not(None),
    postgresql_where=issued.c.grant_id.is_not(None),
)
# What cannot be shared, and need not be found so, costs nothing.

deliveries = Table(
    "issuer_deliveries",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _grant(),
    Column("issued_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""By a digest of identifier and holder keys: a delivery that the same wallet may ask for again.

Its answer may have been lost on the way. The keys themselves are not kept.
"""

transactions = Table(
    "issuer_transactions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _grant(),
    Column("identifier_digest", LargeBinary, nullable=False),
    Column("configuration_id", Text, nullable=False),
    Column("holders", LargeBinary),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Deferred issuances. digest: of the `transaction_id`. holders: JSON, the public keys, erased at the end."""

notifications = Table(
    "issuer_notifications",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("issued_id", Text, ForeignKey("issuer_issued.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("grant_id", Text, nullable=False),
    Column("event", Text),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Notification ids given out, by digest, and what the wallet said."""

card_links = Table(
    "issuer_card_links",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("code_digest", LargeBinary),
    Column("attempts_left", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Health cards behind links. digest: of the secret in the link; sealed: with a key made from that secret."""

events = Table(
    "issuer_events",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)
"""Events on their way to the webhook. body: JSON, without claims."""

shares = Table(
    "issuer_shares",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("grant_id", Text, nullable=False),
    Column("parent_id", Text, nullable=False, index=True),
    Column("issued_id", Text, index=True),
    Column("configuration_id", Text, nullable=False),
    Column("formats", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("jkt", Text),
    Column("entitlements", Text),
    Column("request_digest", LargeBinary),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("lease", Integer, nullable=False),
    Column("not_before", BigInteger),
    Column("credential_expires", BigInteger, nullable=False),
    Column("parent_expires", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Unique("parent_id", "request_digest", name="issuer_shares_parent_id_request_digest"),
)
"""Shares of credentials by their holders. parent_id, issued_id: what was issued to sender and receiver.

formats: JSON, the configurations that are the same in each format, of which the receiver takes one.
depth: 1 for a share of a credential that the issuer itself offered. jkt: thumbprint of the proof key that the
receiver must have, erased when it was issued or nothing will be. entitlements: JSON, the rights that the
receiver gets; NULL: not narrowed. request_digest: of the sender's name for its request.
held: the sender's credential is to stay suspended if a move comes to nothing, because management says so.
lease: seconds that a receiver has for redeeming, and to complain of a move. expires_at: of the offer.
due_at: when time next does something: the offer or the credential expires, a lease ends, the row goes.
"""

share_access = Table(
    "issuer_share_access",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _tenant(),
    Column("parent_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Tokens by which a holder sees and ends the shares of one credential, by digest."""
