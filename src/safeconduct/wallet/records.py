"""What the wallet keeps, as it stands in its encrypted records."""

from typing import Any, Literal

import msgspec

from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import json
from safeconduct.protocols.openid4vci.configuration import SD_CWT
from safeconduct.trust import Trust
from safeconduct.trust.anchors import Anchors

Stage = Literal["requested", "deferred"]
"""A request that nobody answered yet; or one that the issuer answers later."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the wallet tells about a credential without opening it.

    id: the wallet's own name for it, eight hex digits. vct: its type. configuration: the issuer's name of it.
    received, expires: seconds; expires is None if the credential does not say. format: as OpenID4VCI names
    it. instances: how often it was issued, each time for another key. unused: how many of those nobody saw.
    """

    id: str
    issuer: str
    configuration: str
    vct: str
    received: int
    expires: int | None
    format: str = SD_CWT
    instances: int = 1
    unused: int = 1


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that is not here yet. not_before: the earliest time to ask again, seconds since 1970."""

    id: str
    issuer: str
    configuration: str
    stage: Stage
    not_before: int


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A token, with what it takes to use and renew it.

    expires: seconds since 1970. dpop_key: the private JWK that the tokens are bound to, as text.
    client_id: None for a wallet that did not name itself.
    """

    access_token: str
    dpop_key: str
    token_endpoint: str
    expires: int | None = None
    refresh_token: str | None = None
    client_id: str | None = None

    def __repr__(self) -> str:
        return "<Access>"


class StoredCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential without its instances. access: None if the issuer has nothing more to hear or to give."""

    issuer: str
    configuration: str
    vct: str
    format: str
    received: int
    expires: int | None
    access: Access | None = None
    identifier: str | None = None
    server: str | None = None
    encrypted: bool = True
    notification_endpoint: str | None = None
    notification_id: str | None = None

    def __repr__(self) -> str:
        return "<StoredCredential>"


class StoredInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One token of a credential with its holder key, a private JWK or a PKCS#11 URI as text.

    used: how often it was presented.
    """

    token: bytes
    holder_key: str
    used: int = 0

    def __repr__(self) -> str:
        return "<StoredInstance>"


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a credential, with all that it takes to make it again for the same keys.

    identifier: of the dataset; None if the token is good for the configuration by name.
    holder_keys: as in StoredInstance, one for each credential asked for. since: when it was asked first.
    server: the authorization server, where the offer named one. via: the wallet server; session: there, while
    the issuer takes time. replaces: id of the credential that goes when this one comes.
    claimed: when a process took it up to ask again; 0 if none is at it.
    """

    id: str
    stage: Stage
    issuer: str
    server: str | None
    configuration: str
    access: Access
    identifier: str | None
    holder_keys: tuple[str, ...]
    since: int
    encrypted: bool
    via: str | None = None
    replaces: str | None = None
    transaction_id: str | None = None
    not_before: int = 0
    session: str | None = None
    session_until: int = 0
    claimed: int = 0

    @property
    def waiting(self) -> Waiting:
        """What the wallet tells about it."""
        return Waiting(
            id=self.id,
            issuer=self.issuer,
            configuration=self.configuration,
            stage=self.stage,
            not_before=self.not_before,
        )

    def __repr__(self) -> str:
        return f"<Pending {self.id} {self.stage}>"


class KnownIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """What the wallet remembers of an issuer.

    encryption_required, signed: it demanded encryption; its metadata was signed. keys: JWKs of those that the
    user believes alone; certificates: PEM texts of the CAs, likewise. names: of leaves, as in `Anchors`.
    """

    identifier: str
    seen: int | None = None
    encryption_required: bool = False
    signed: bool = False
    keys: tuple[dict[str, Any], ...] = ()
    certificates: tuple[str, ...] = ()
    names: Literal["san", "any"] = "san"

    @property
    def pinned(self) -> bool:
        """Whether the user said whom to believe."""
        return bool(self.keys or self.certificates)

    @property
    def trust(self) -> Trust:
        """Whom the user said to believe, for this issuer's name alone."""
        keys = tuple(PublicKey.from_jwk(jwk) for jwk in self.keys)
        found = tuple(found for text in self.certificates for found in x509.chain_from_pem(text))
        anchors = {self.identifier: Anchors(found, names=self.names)} if found else {}
        return Trust({self.identifier: keys} if keys else {}, anchors=anchors)


class Credential(msgspec.Struct, frozen=True):
    """One instance of a credential with the key that presents it, as records have it; shows neither."""

    held: Held
    token: bytes
    key: str
    instance: str

    @property
    def holder_key(self) -> Key:
        """The key, where it is in the wallet's own hands; `holder_keys` opens the others."""
        return key_of(self.key)

    def __repr__(self) -> str:
        return f"<Credential {self.held.id}>"


def key_text(key: Key) -> str:
    """Return a private key as records have it."""
    return json.dumps(key.to_jwk(private=True)).decode()


def key_of(text: str) -> Key:
    """Return the private key in such a text."""
    return Key.from_jwk(json.loads_object(text))
