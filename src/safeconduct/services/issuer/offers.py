"""The management side: offers are made, listed and cancelled here, and served by reference."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import token
from safeconduct.protocols.openid4vci.offer import (
    AuthorizationCodeGrant,
    CredentialOffer,
    PreAuthorizedGrant,
    TxCode,
    new_tx_code,
    uri_by_reference,
    uri_by_value,
)
from safeconduct.services.issuer import offer_store
from safeconduct.services.issuer.configuration import Kind
from safeconduct.services.issuer.credential import check_claims, make_credential
from safeconduct.services.issuer.digests import code_of, digest_of, issuer_state_of, tx_digest
from safeconduct.services.issuer.grants import STATES
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.services.issuer.qr import Qr, QrForm, draw
from safeconduct.services.issuer.tenant import Tenant

_ID_BYTES = 16
_MOST_CONFIGURATIONS = 16
_LONGEST_TX_CODE = 32
_SHORTEST_TX_CODE = 4

GrantKind = Literal["pre-authorized", "authorization_code"]
PRE_AUTHORIZED: GrantKind = "pre-authorized"
AUTHORIZATION: GrantKind = "authorization_code"

ManagementText = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=limits.MANAGEMENT_TEXT_CHARS, pattern=r"^[^\x00-\x1f\x7f]*\Z"),
]
"""A subject or a reference: a line without control characters, which not every database can hold."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class OfferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What management asks for. claims: of all configurations together; each takes those that it knows.

    claims: None where they come from sources, which know them by the subject or the reference, or from the
    account that is logged in to.
    grants: what a wallet may do with the offer. by_reference: the URI holds only where the offer is.
    deferred: management approves each issuance. lifetime: seconds. qr: which picture is wanted as well.
    """

    configuration_ids: tuple[str, ...]
    claims: dict[str, Any] | None
    subject: str | None
    reference: str | None
    grants: frozenset[GrantKind]
    tx_code: TxCode | None
    by_reference: bool
    deferred: bool
    lifetime: int
    qr: QrForm | None

    def __repr__(self) -> str:
        return f"<OfferRequest for {len(self.configuration_ids)} configurations>"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A new offer. tx_code: to be sent to the holder by another way than the URI."""

    offer_id: str
    uri: str
    expires_in: int
    tx_code: str | None
    qr: Qr | None

    def __repr__(self) -> str:
        return f"<Offer expires_in={self.expires_in}>"


class Offers:
    """Makes offers and looks after them."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.catalogue = tenant.catalogue
        self._settings = tenant.settings
        self._url = tenant.url
        self._database = tenant.database
        self._clock = tenant.clock
        self._random = tenant.random

    async def create(self, request: OfferRequest, *, idempotency_key: str | None = None) -> Offer:
        """Makes an offer, if its credentials can be made.

        idempotency_key: of two requests with the same one the second is refused, so it may be repeated.
        Raises Rejected "configuration_unknown", "claim_unknown", "claim_missing", "claims_wanted",
        "claims_not_wanted", "subject_missing", "qr_too_long", OfferExists, and what is wrong with the claims.
        """
        now = self._clock()
        self._check_claims(request, now)
        secrets = self._new_secrets(by_reference=request.by_reference)
        tx_code = None if request.tx_code is None else new_tx_code(request.tx_code, random=self._random)
        uri = self._uri(request, secrets)
        picture = None if request.qr is None else draw(uri, request.qr)
        grant = offer_store.NewGrant(
            tenant=self._url,
            id=self._new_id(idempotency_key),
            configuration_ids=request.configuration_ids,
            claims=None if request.claims is None else json.dumps(request.claims),
            # Without this kind of grant, the digest of what nobody knows.
            code_digest=digest_of(secrets.code if PRE_AUTHORIZED in request.grants else self._secret()),
            reference_digest=None if secrets.reference is None else digest_of(secrets.reference),
            issuer_state_digest=digest_of(secrets.issuer_state) if AUTHORIZATION in request.grants else None,
            tx_code=request.tx_code,
            tx_digest=None if tx_code is None else tx_digest(tx_code, code=secrets.code),
            attempts=self._settings.tx_code_attempts,
            subject=request.subject,
            own_reference=request.reference,
            deferred=request.deferred,
            created_at=now,
            expires_at=now + request.lifetime,
        )
        await self._database.run(offer_store.add_grant, grant)
        return Offer(offer_id=grant.id, uri=uri, expires_in=request.lifetime, tx_code=tx_code, qr=picture)

    async def by_reference(self, reference: str) -> CredentialOffer:
        """Returns a pending offer. Raises OfferUnknown "offer_unknown"."""
        offered = await self._database.run(
            offer_store.find_offered, self._url, digest_of(reference), now=self._clock()
        )
        code = code_of(reference)
        pre_authorized = hmac.compare_digest(offered.code_digest, digest_of(code))
        return self._offer(
            offered.configuration_ids,
            offered.tx_code,
            code=code if pre_authorized else None,
            issuer_state=issuer_state_of(reference) if offered.authorization else None,
        )

    async def listed(
        self, *, state: str | None, reference: str | None, span: Span, page: Page
    ) -> list[offer_store.GrantView]:
        """Returns a page of offers, and one more if there is a next. Raises Malformed "state_unknown"."""
        chosen = next((known for known in STATES if known == state), None)
        if state is not None and chosen is None:
            raise Malformed("state_unknown", f"The states are {', '.join(STATES)}.")
        return await self._database.run(
            offer_store.list_grants,
            self._url,
            state=chosen,
            reference=reference,
            span=span,
            page=page,
            now=self._clock(),
        )

    async def find(self, offer_id: str) -> offer_store.GrantView:
        """Returns one offer. Raises OfferUnknown "offer_unknown"."""
        return await self._database.run(offer_store.find_grant, self._url, offer_id, now=self._clock())

    async def cancel(self, offer_id: str) -> None:
        """Cancels an offer and revokes its tokens. Raises OfferUnknown; TransitionRefused if it is over."""
        await self._database.run(offer_store.cancel_grant, self._url, offer_id, now=self._clock())

    def parse_request(self, body: bytes) -> OfferRequest:
        """Reads the JSON of a request for an offer. Raises Malformed."""
        members = wire.read_json(body, _Request, what="Offer request", max_bytes=limits.JSON_BYTES)
        if (members.configuration_id is None) == (members.configuration_ids is None):
            raise Malformed("configuration_ambiguous", "Give configuration_id or configuration_ids.")
        ids = members.configuration_ids or ((members.configuration_id,) if members.configuration_id else ())
        if len(set(ids)) != len(ids):
            raise Malformed("configuration_ambiguous", "A configuration is named twice.")
        if members.tx_code and PRE_AUTHORIZED not in members.grants:
            raise Malformed("tx_code_without_code", "A transaction code goes with a pre-authorized code.")
        if members.tx_code and AUTHORIZATION in members.grants and members.subject is None:
            raise Malformed(
                "tx_code_without_subject",
                "Anybody could log in instead of giving the code: name the subject, or offer one way.",
            )
        return OfferRequest(
            configuration_ids=ids,
            claims=members.claims,
            subject=members.subject,
            reference=members.reference,
            grants=frozenset(members.grants),
            tx_code=self._tx_code(members.tx_code),
            by_reference=members.by_reference,
            deferred=members.deferred,
            lifetime=members.lifetime or self._settings.offer_lifetime,
            qr=members.qr,
        )

    def _tx_code(self, wanted: bool | dict[str, Any]) -> TxCode | None:
        usual = self._settings.tx_code_length
        if isinstance(wanted, bool):
            return TxCode(length=usual) if wanted else None
        tx_code = wire.read({"length": usual, **wanted}, TxCode, what="tx_code")
        if tx_code.input_mode not in ("numeric", "text"):
            raise Malformed("tx_code_mode_unknown", "A transaction code is numeric or text.")
        if not _SHORTEST_TX_CODE <= (tx_code.length or usual) <= _LONGEST_TX_CODE:
            raise Malformed(
                "tx_code_length",
                f"A transaction code has {_SHORTEST_TX_CODE} to {_LONGEST_TX_CODE} characters.",
            )
        return tx_code

    def _kind(self, configuration_id: str) -> Kind:
        kind = self.catalogue.get(configuration_id)
        if kind is None:
            raise Rejected("configuration_unknown", "The issuer does not have this configuration.")
        return kind

    def _check_claims(self, request: OfferRequest, now: int) -> None:
        """Refuses now what could not be issued later."""
        kinds = [self._kind(name) for name in request.configuration_ids]
        by_offer = [kind for kind in kinds if kind.source is None]
        if by_offer and request.claims is None and not self._brought_by_login(request):
            raise Rejected("claims_wanted", "The claims of this configuration come with its offer.")
        if not by_offer and request.claims is not None:
            raise Rejected("claims_not_wanted", "The claims of this configuration come from its source.")
        anonymous = AUTHORIZATION not in request.grants and not (request.subject or request.reference)
        if len(by_offer) < len(kinds) and anonymous:
            raise Rejected(
                "subject_missing", "The source must know by subject or reference whom to look for."
            )
        if request.claims is not None:
            self._check_issuable(request.claims, by_offer, now)

    def _brought_by_login(self, request: OfferRequest) -> bool:
        """Whether the claims may be those of the account that is logged in to."""
        return request.grants == {AUTHORIZATION} and self._settings.accounts is not None

    def _check_issuable(self, claims: Mapping[str, Any], kinds: list[Kind], now: int) -> None:
        """Issues the claims to nobody."""
        check_claims(claims, kinds)
        for kind in kinds:
            made = make_credential(
                claims,
                kind,
                issuer=self._url,
                signer=self.tenant.signer,
                holder=self.tenant.signer.public,
                now=now,
                random=self._random,
            )
            if len(made) > limits.TOKEN_BYTES // 2:
                raise Rejected("credential_too_large", "The credential would be too large to be sent.")

    def _new_secrets(self, *, by_reference: bool) -> "_Secrets":
        if not by_reference:
            return _Secrets(None, self._secret(), self._secret())
        reference = self._secret()
        return _Secrets(reference, code_of(reference), issuer_state_of(reference))

    def _secret(self) -> str:
        return token.new_secret(self._random)

    def _new_id(self, idempotency_key: str | None) -> str:
        if idempotency_key is None:
            return self._random(_ID_BYTES).hex()
        return hashlib.sha256(f"offer {self._url} {idempotency_key}".encode()).digest()[:_ID_BYTES].hex()

    def _uri(self, request: OfferRequest, secrets: "_Secrets") -> str:
        if secrets.reference is not None:
            return uri_by_reference(f"{self._url}/offers/{secrets.reference}")
        return uri_by_value(
            self._offer(
                request.configuration_ids,
                request.tx_code,
                code=secrets.code if PRE_AUTHORIZED in request.grants else None,
                issuer_state=secrets.issuer_state if AUTHORIZATION in request.grants else None,
            )
        )

    def _offer(
        self, ids: tuple[str, ...], tx_code: TxCode | None, *, code: str | None, issuer_state: str | None
    ) -> CredentialOffer:
        return CredentialOffer(
            credential_issuer=self._url,
            credential_configuration_ids=ids,
            pre_authorized=None if code is None else PreAuthorizedGrant(code=code, tx_code=tx_code),
            authorization_code=None if issuer_state is None else AuthorizationCodeGrant(issuer_state),
        )


class _Secrets(msgspec.Struct, frozen=True):
    """reference: None for an offer by value; else the others are derived from it."""

    reference: str | None
    code: str
    issuer_state: str

    def __repr__(self) -> str:
        return "<_Secrets>"


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: dict[str, Any] | None = None
    configuration_id: _Name | None = None
    configuration_ids: (
        Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=_MOST_CONFIGURATIONS)] | None
    ) = None
    subject: ManagementText | None = None
    reference: ManagementText | None = None
    grants: Annotated[tuple[GrantKind, ...], msgspec.Meta(min_length=1, max_length=2)] = (PRE_AUTHORIZED,)
    tx_code: bool | dict[str, Any] = False
    by_reference: bool = False
    deferred: bool = False
    lifetime: Annotated[int, msgspec.Meta(ge=1, le=limits.OFFER_SECONDS)] | None = None
    qr: QrForm | None = None
