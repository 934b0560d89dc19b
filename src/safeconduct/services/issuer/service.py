"""The issuer's flow: a token and key proofs are traded for credentials, at once or later.

What is kept, and for how long:
- an offer: its claims until no more credentials can be had for it; its state and times for a day after that;
- codes, transaction codes, tokens, credential identifiers: digests only, until they expire;
- the thumbprint of the DPoP key: as long as the token, at most five minutes unless set otherwise;
- DPoP proofs and used nonces: digests, until they would be too old anyway;
- keys of the epochs: see `epochs`;
- of a deferred issuance: the holder's public keys, until it is delivered or denied;
- of an issued credential: when it was issued, under which reference, its places in status lists, what its
  wallet said of it, until `issued_retention` is over. No holder key, no claim, no salt, no copy. If its
  holder may share it, also the id of the offer, by which all that one offer gave is found;
- of a share: whose credential led to which, how and with what rights, until what it gave has expired, and for
  a day after any other end; the claims that the sender showed, and the thumbprint of a receiver's key that it
  named, until the receiver has its credential or the share is over.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client import Counter

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import to_x5c
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import InsufficientScope
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT
from safeconduct.protocols.openid4vci.encryption import Sender
from safeconduct.protocols.openid4vci.errors import (
    CredentialRequestDenied,
    InvalidCredentialRequest,
    InvalidNotificationRequest,
    UnknownCredentialConfiguration,
    UnknownCredentialIdentifier,
)
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata
from safeconduct.protocols.openid4vci.notification import parse_notification
from safeconduct.protocols.openid4vci.proof import ProofCheck, holder_keys
from safeconduct.protocols.openid4vci.request import CredentialRequest, ResponseParameters
from safeconduct.protocols.openid4vci.response import (
    CredentialResponse,
    DeferredResponse,
    encode_credential_response,
    http_status,
)
from safeconduct.services.issuer import delivery_store, shared_claims
from safeconduct.services.issuer.admission import Admitted, Message, admit
from safeconduct.services.issuer.configuration import Kind, load_display
from safeconduct.services.issuer.credential import Bounds, make_credential
from safeconduct.services.issuer.deliveries import delivery_digest, name_of, ranked
from safeconduct.services.issuer.delivery_store import (
    Access,
    Cost,
    Dataset,
    Deferral,
    Delivery,
    Made,
    Transaction,
)
from safeconduct.services.issuer.digests import digest_of, nonce_digest
from safeconduct.services.issuer.event_store import Event, EventKind, new_event
from safeconduct.services.issuer.sharing import sharing_endpoints
from safeconduct.services.issuer.sources import ClaimRequest
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.services.issuer.trust_file import load_trust
from safeconduct.status.token_list import StatusReference
from safeconduct.storage.status.places import StatusIndex, StatusStock
from safeconduct.trust import Trust

_ID_BYTES = 16


class Answer(msgspec.Struct, frozen=True):
    """The body of a response and its media type. status: HTTP. count: credentials in it."""

    body: bytes
    media_type: str
    status: int
    count: int

    def __repr__(self) -> str:
        return f"<Answer of {self.count} credentials>"


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials to be made. digest: what the delivery is known by; see `deliveries`.

    secret: what its `notification_id` is made with; None for none. bounds: of a share.
    """

    kind: Kind
    claims: Mapping[str, Any]
    holders: tuple[PublicKey, ...]
    response: ResponseParameters | None
    digest: bytes
    secret: str | None
    repeatable_until: int
    bounds: Bounds | None = None


_LIST_FORMS: Mapping[str, str] = {SD_JWT: "jwt", SD_CWT: "cwt"}
"""The form of the status lists that credentials of a format name (docs/adr/0015)."""


class Issuer:
    """The public side of one issuer, over its database. Raises the errors that the endpoints answer."""

    def __init__(self, tenant: Tenant, *, issued: Counter) -> None:
        """issued: counts the credentials of all tenants together.

        Raises SettingsError (key_attesters, display).
        """
        self.tenant = tenant
        self.settings = tenant.settings
        self.url = tenant.url
        self._issued = issued
        self._attesters = _attesters(tenant)
        self._display = load_display(self.settings.configurations)
        self._is_shared = any(kind.sharing is not None for kind in tenant.catalogue.values())
        self._places = StatusStock(
            tenant.database, tenant.url, size=self.settings.status_list_size, random=tenant.random
        )

    # What the issuer says about itself.

    async def issuer_metadata(self) -> IssuerMetadata:
        """Returns the issuer metadata with this epoch's request keys (OpenID4VCI 1.0 §12.2)."""
        offered = await self.tenant.encryption(self.tenant.clock())
        return IssuerMetadata(
            credential_issuer=self.url,
            credential_endpoint=f"{self.url}/credential",
            nonce_endpoint=f"{self.url}/nonce",
            deferred_credential_endpoint=f"{self.url}/deferred_credential",
            notification_endpoint=f"{self.url}/notification",
            configurations=tuple(kind.configuration for kind in self.tenant.catalogue.values()),
            request_encryption=offered.request,
            response_encryption=offered.response,
            batch_size=self.tenant.batch_size,
            display=self._display,
            sharing=sharing_endpoints(self.url) if self._is_shared else None,
        )

    def signing_keys(self) -> tuple[PublicKey, ...]:
        """Returns the public keys that its credentials are signed with, or were and are still checked by."""
        return self.tenant.signing_keys

    # The credential endpoint.

    async def credential(self, message: Message) -> Answer:
        """Answers a credential request (OpenID4VCI 1.0 §8).

        1. The access token and the DPoP proof are good (`admit`). Only now is anything decrypted.
        2. The request is opened and read.
        3. What it asks for is what the token is good for.
        4. The key proofs are verified; what was shared with a known key is for no other.
        5. The claims are there; else the request is kept, and answered later.
        6. The credentials are signed and the response is sealed.
        7. The identifier's credit and the nonces are used up, in one transaction; nothing before costs any.

        The same request for the same keys is answered again, at no cost but the nonces: its answer may have
        been lost on the way. Raises OAuthErrors.
        """
        now = self.tenant.clock()
        admitted = await admit(self.tenant, message, path="/credential", now=now)
        access = admitted.access
        request = await self._open(admitted, now)
        dataset = self._dataset(access, request)
        kind = self._kind(dataset.configuration_id)
        holders, nonces = await self._holders(request, kind, access, now)
        secret = request.credential_identifier or admitted.token
        digest = delivery_digest(secret, dataset.configuration_id, holders)
        cost = self._cost(dataset, nonces, now)
        share = access.share
        if share is not None:
            shared_claims.check_receiver(share, holders)
        may_wait = share is None and (access.deferred or kind.source is not None)
        if not may_wait and digest not in access.delivered and dataset.remaining < len(holders):
            raise delivery_store.used_up()
        transaction_id = name_of(digest, secret=secret, purpose="transaction")
        claims: Mapping[str, Any] | None = None
        if share is not None:  # the sender's word, not the source's: it may have said less
            claims = shared_claims.claims_of(access, share, kind)
        elif not access.deferred and not (kind.source and await self._was_promised(transaction_id)):
            claims = await self._claims(kind, access)
        if claims is None:
            await self._defer(admitted, transaction_id, kind, holders, cost, now)
            return self._later(transaction_id, request.response)
        order = _Order(
            kind=kind,
            claims=claims,
            holders=holders,
            response=request.response,
            digest=digest,
            secret=secret,
            repeatable_until=access.expires_at,
            bounds=None if share is None else shared_claims.bounds_of(share, now=now),
        )
        return await self._deliver(order, access.delivered.get(digest), admitted, cost, now)

    async def _open(self, admitted: Admitted, now: int) -> CredentialRequest:
        received = encryption.receive_request(
            admitted.message.body,
            content_type=admitted.message.content_type,
            encryption=await self.tenant.encryption(now),
            sender=self._sender(admitted),
            batch_size=self.tenant.batch_size,
            now=now,
        )
        return received.request

    def _sender(self, admitted: Admitted) -> Sender:
        return Sender(audience=self.url, access_token=admitted.token, key=admitted.access.proof.key)

    def _dataset(self, access: Access, request: CredentialRequest) -> Dataset:
        """What the token is good for of what is asked (OpenID4VCI 1.0 §8.2, §8.3.1.2)."""
        if request.credential_identifier is not None:
            digest = digest_of(request.credential_identifier)
            for dataset in access.datasets:
                if dataset.named and dataset.identifier_digest == digest:
                    return dataset
            raise UnknownCredentialIdentifier("identifier_unknown", "The token has no such identifier.")
        name = request.credential_configuration_id or ""
        self._kind(name)
        granted = [dataset for dataset in access.datasets if dataset.configuration_id == name]
        for dataset in granted:
            if not dataset.named:
                return dataset
        if granted:
            raise InvalidCredentialRequest(
                "identifier_missing",
                "The request must name a credential identifier of the token response.",
                rule="OpenID4VCI §8.2",
            )
        raise InsufficientScope(
            "configuration_not_granted", "The token is not good for this configuration.", rule="RFC 6750 §3.1"
        )

    def _kind(self, configuration_id: str) -> Kind:
        kind = self.tenant.catalogue.get(configuration_id)
        if kind is None:  # never there, or taken out of the configuration since the offer was made
            raise UnknownCredentialConfiguration(
                "configuration_unknown", "The issuer does not have this configuration."
            )
        return kind

    async def _holders(
        self, request: CredentialRequest, kind: Kind, access: Access, now: int
    ) -> tuple[tuple[PublicKey, ...], set[bytes]]:
        """The holder's keys, and what the nonces of their proofs are remembered by."""
        nonces = await self.tenant.epochs.c_nonces(now)
        used: set[bytes] = set()

        def accepts(nonce: str) -> bool:
            used.add(nonce_digest(nonce))
            return nonces.accepts(nonce, now=now)

        check = ProofCheck(
            audience=self.url, nonce_ok=accepts, client_id=access.client_id, attesters=self._attesters
        )
        holders = holder_keys(
            request, kind.configuration, check=check, batch_size=self.tenant.batch_size, now=now
        )
        return holders, used

    def _cost(self, dataset: Dataset, nonces: set[bytes], now: int) -> Cost:
        return Cost(
            identifier_digest=dataset.identifier_digest,
            nonce_digests=nonces,
            nonces_expire_at=now + self.settings.nonce_lifetime + self.settings.clock_skew + 1,
        )

    async def _claims(self, kind: Kind, access: Access) -> Mapping[str, Any] | None:
        wanted = ClaimRequest(
            configuration_id=kind.configuration.id,
            subject=access.subject,
            own_reference=access.own_reference,
        )
        return await self.tenant.claims_for(wanted, offered=access.claims)

    # Deferred issuance.

    async def deferred(self, message: Message) -> Answer:
        """Answers a deferred credential request (OpenID4VCI 1.0 §9): the credentials, or "not yet" again.

        1. Token and DPoP proof are good, as at the credential endpoint.
        2. The request is opened; how its answer is encrypted is its own affair.
        3. The transaction belongs to the token's grant, and was not denied.
        4. Management has approved it if it must, and the claims are there; else the answer is 202 again.
        5. The credentials are signed and sealed, and the delivery is noted.

        For `retry_window` seconds a delivered transaction is answered again. Raises OAuthErrors.
        """
        now = self.tenant.clock()
        admitted = await admit(self.tenant, message, path="/deferred_credential", now=now)
        received = encryption.receive_deferred_request(
            message.body,
            content_type=message.content_type,
            encryption=await self.tenant.encryption(now),
            sender=self._sender(admitted),
            now=now,
        )
        request = received.request
        digest = digest_of(request.transaction_id)
        transaction = await self.tenant.database.run_short(
            delivery_store.find_transaction, admitted.access.grant_id, digest, now=now
        )
        kind = self._kind(transaction.configuration_id)
        claims = await self._claims_at_last(transaction, digest, kind, admitted.access)
        if claims is None:
            return self._later(request.transaction_id, request.response)
        order = _Order(
            kind=kind,
            claims=claims,
            holders=tuple(PublicKey.from_jwk(jwk) for jwk in msgspec.json.decode(transaction.holders)),
            response=request.response,
            digest=digest,
            secret=request.transaction_id if self.settings.deferred_notifications else None,
            repeatable_until=now + self.settings.retry_window,
        )
        return await self._deliver(order, transaction.made, admitted, None, now)

    async def _was_promised(self, transaction_id: str) -> bool:
        """Whether it is to be fetched as a deferred credential, even if the claims are there by now."""
        return await self.tenant.database.run(delivery_store.is_promised, digest_of(transaction_id))

    async def _claims_at_last(
        self, transaction: Transaction, digest: bytes, kind: Kind, access: Access
    ) -> Mapping[str, Any] | None:
        if transaction.state == "waiting" and access.deferred:
            return None
        try:
            return await self._claims(kind, access)
        except CredentialRequestDenied:
            await self.tenant.database.run(delivery_store.deny, digest)
            raise

    async def _defer(
        self,
        admitted: Admitted,
        transaction_id: str,
        kind: Kind,
        holders: tuple[PublicKey, ...],
        cost: Cost,
        now: int,
    ) -> None:
        deferral = Deferral(
            tenant=self.url,
            token_digest=digest_of(admitted.token),
            grant_id=admitted.access.grant_id,
            id=self._new_id(),
            digest=digest_of(transaction_id),
            configuration_id=kind.configuration.id,
            count=len(holders),
            holders=json.dumps([key.to_jwk() for key in holders]),
            expires_at=now + self.settings.deferred_lifetime,
        )
        await self.tenant.database.run(delivery_store.defer, deferral, cost, now=now)

    def _later(self, transaction_id: str, response: ResponseParameters | None) -> Answer:
        interval = self.settings.deferred_interval
        return _answer(DeferredResponse(transaction_id=transaction_id, interval=interval), response)

    # What both endpoints do in the end.

    async def _deliver(
        self,
        order: _Order,
        before: Made | None,
        admitted: Admitted,
        cost: Cost | None,
        now: int,
    ) -> Answer:
        """Makes the credentials, notes the delivery, and only then lets them go.

        before: an earlier delivery of the same. cost: None if it is paid.
        """
        drawn: tuple[StatusIndex, ...] = ()
        if before is None and order.kind.status:
            drawn = await self._places.draw(len(order.holders), now=now)
        made = Made(self._new_id(), drawn) if before is None else before
        try:
            answer = self._make_answer(order, made, now)
            delivery = self._delivery(order, made, admitted, now)
            if cost is None:
                settled = await self.tenant.database.run_short(
                    delivery_store.deliver_deferred, delivery, now=now
                )
            else:
                settled = await self.tenant.database.run_short(
                    delivery_store.deliver, delivery, cost, now=now
                )
        except SafeconductError:  # refused, so nothing was kept; or whoever asks in vain empties the lists
            self._places.put_back(drawn)
            raise
        if settled != made:  # the same request was answered meanwhile
            self._places.put_back(drawn)
            answer = self._make_answer(order, settled, now)
        self._issued.inc(answer.count)
        return answer

    def _make_answer(self, order: _Order, made: Made, now: int) -> Answer:
        lists = self.settings.status_list_uri
        # A static host cannot choose between two forms of a list: each format names the form that it reads.
        form = _LIST_FORMS[order.kind.configuration.format]
        references = {
            holder: StatusReference(place.idx, f"{lists}/{place.list_id}.{form}")
            for holder, place in zip(ranked(order.holders), made.places, strict=False)
        }
        signer, chain = self.tenant.signer, self.tenant.chain
        x5c = to_x5c(chain) if chain else ()
        credentials = tuple(
            make_credential(
                order.claims,
                order.kind,
                issuer=self.url,
                signer=signer,
                x5c=x5c,
                holder=holder,
                now=now,
                status=references.get(holder),
                bounds=order.bounds,
                random=self.tenant.random,
            )
            for holder in order.holders
        )
        notification_id = _notification_id(order, made)
        return _answer(
            CredentialResponse(credentials=credentials, notification_id=notification_id), order.response
        )

    def _delivery(self, order: _Order, made: Made, admitted: Admitted, now: int) -> Delivery:
        notification_id, reference = _notification_id(order, made), admitted.access.own_reference
        name = order.kind.configuration.id
        return Delivery(
            tenant=self.url,
            token_digest=digest_of(admitted.token),
            grant_id=admitted.access.grant_id,
            digest=order.digest,
            configuration_id=name,
            count=len(order.holders),
            made=made,
            expires_at=order.repeatable_until,
            own_reference=reference,
            notification_digest=None if notification_id is None else digest_of(notification_id),
            event=self._event("issued", name, made.issued_id, reference, now),
            purge_at=now + self._retention(order.kind),
            holders=tuple(map(shared_claims.thumbprint_of, order.holders)),
            shareable=order.kind.sharing is not None,
        )

    def _retention(self, kind: Kind) -> int:
        """Seconds that an issued row stays: as long as the credential could still have to be revoked."""
        return max(self.settings.issued_retention, kind.validity if kind.status else 0)

    # The notification endpoint.

    async def notification(self, message: Message) -> None:
        """Takes a notification (OpenID4VCI 1.0 §11); the same one again changes nothing.

        Raises OAuthErrors.
        """
        now = self.tenant.clock()
        admitted = await admit(self.tenant, message, path="/notification", now=now)
        if wire.media_type(message.content_type) != encryption.PLAIN:
            raise InvalidNotificationRequest("media_type_unsupported", "A notification is plain JSON.")
        notification = parse_notification(message.body)

        def announce(kind: EventKind, name: str, issued_id: str, reference: str | None) -> Event | None:
            return self._event(kind, name, issued_id, reference, now)

        await self.tenant.database.run(
            delivery_store.notify,
            admitted.access.grant_id,
            digest_of(notification.notification_id),
            notification.event,
            announce,
            now=now,
        )

    def _event(
        self, kind: EventKind, configuration_id: str, issued_id: str, reference: str | None, now: int
    ) -> Event | None:
        """What the webhook is told, if there is one."""
        if not self.settings.webhook_url:
            return None
        return new_event(
            self.tenant.random,
            kind=kind,
            tenant=self.url,
            configuration_id=configuration_id,
            issued_id=issued_id,
            own_reference=reference,
            time=now,
        )

    def _new_id(self) -> str:
        return self.tenant.random(_ID_BYTES).hex()


def _notification_id(order: _Order, made: Made) -> str | None:
    """The same for each repeat of a delivery; another for a later one to the same keys."""
    if order.secret is None:
        return None
    return name_of(order.digest, secret=order.secret, purpose=f"notification {made.issued_id}")


def _answer(response: CredentialResponse | DeferredResponse, parameters: ResponseParameters | None) -> Answer:
    payload = encode_credential_response(response)
    count = len(response.credentials) if isinstance(response, CredentialResponse) else 0
    if parameters is None:
        return Answer(payload, encryption.PLAIN, http_status(response), count)
    sealed = encryption.seal_response(payload, parameters=parameters)
    return Answer(sealed, encryption.ENCRYPTED, http_status(response), count)


def _attesters(tenant: Tenant) -> Trust | None:
    path = tenant.settings.key_attesters
    return None if path is None else load_trust(path)
