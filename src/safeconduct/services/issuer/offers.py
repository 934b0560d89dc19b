"""The management side: offers are made, listed and cancelled here, and served by reference."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import token
from safeconduct.protocols.openid4vci.offer import (
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
from safeconduct.services.issuer.digests import code_of, digest_of, tx_digest
from safeconduct.services.issuer.grants import STATES
from safeconduct.services.issuer.tenant import Tenant

_ID_BYTES = 16
_MOST_CONFIGURATIONS = 16
_LONGEST_TX_CODE = 32
_SHORTEST_TX_CODE = 4

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class OfferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What management asks for. claims: of all configurations together; each takes those that it knows.

    tx_code: True for one of the usual length. by_reference: the URI holds only where the offer is.
    """

    configuration_ids: tuple[str, ...]
    claims: dict[str, Any]
    tx_code: TxCode | None
    by_reference: bool

    def __repr__(self) -> str:
        return f"<OfferRequest for {len(self.configuration_ids)} configurations>"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A new offer. tx_code: to be sent to the holder by another way than the URI."""

    offer_id: str
    uri: str
    expires_in: int
    tx_code: str | None

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

    async def create(self, request: OfferRequest) -> Offer:
        """Makes an offer, if its credentials can be made.

        Raises Rejected "configuration_unknown", "claim_unknown", "claim_missing", and what is wrong with the
        claims as CBOR.
        """
        now = self._clock()
        kinds = [self._kind(name) for name in request.configuration_ids]
        self._check_issuable(request.claims, kinds, now)
        reference = b64.encode(self._random(32)) if request.by_reference else None
        code = token.new_secret(self._random) if reference is None else code_of(reference)
        tx_code = None if request.tx_code is None else new_tx_code(request.tx_code, random=self._random)
        grant = offer_store.NewGrant(
            tenant=self._url,
            id=self._random(_ID_BYTES).hex(),
            configuration_ids=request.configuration_ids,
            claims=json.dumps(request.claims),
            code_digest=digest_of(code),
            reference_digest=None if reference is None else digest_of(reference),
            tx_code=request.tx_code,
            tx_digest=None if tx_code is None else tx_digest(tx_code, code=code),
            attempts=self._settings.tx_code_attempts,
            created_at=now,
            expires_at=now + self._settings.offer_lifetime,
        )
        await self._database.run(offer_store.add_grant, grant)
        if reference is not None:
            uri = uri_by_reference(f"{self._url}/offers/{reference}")
        else:
            uri = uri_by_value(self._offer(request.configuration_ids, request.tx_code, code))
        return Offer(offer_id=grant.id, uri=uri, expires_in=self._settings.offer_lifetime, tx_code=tx_code)

    async def by_reference(self, reference: str) -> CredentialOffer:
        """Returns a pending offer. Raises OfferUnknown "offer_unknown"."""
        offered = await self._database.run(
            offer_store.find_offered, self._url, digest_of(reference), now=self._clock()
        )
        return self._offer(offered.configuration_ids, offered.tx_code, code_of(reference))

    async def listed(self, state: str | None) -> list[offer_store.GrantView]:
        """Returns the newest offers, at most `offer_store.LISTED`. Raises Malformed "state_unknown"."""
        chosen = next((known for known in STATES if known == state), None)
        if state is not None and chosen is None:
            raise Malformed("state_unknown", f"The states are {', '.join(STATES)}.")
        return await self._database.run(offer_store.list_grants, self._url, state=chosen, now=self._clock())

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
        return OfferRequest(
            configuration_ids=ids,
            claims=members.claims,
            tx_code=self._tx_code(members.tx_code),
            by_reference=members.by_reference,
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

    def _check_issuable(self, claims: Mapping[str, Any], kinds: list[Kind], now: int) -> None:
        """Refuses now what could not be issued later, by issuing it to nobody."""
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

    def _offer(self, ids: tuple[str, ...], tx_code: TxCode | None, code: str) -> CredentialOffer:
        return CredentialOffer(
            credential_issuer=self._url,
            credential_configuration_ids=ids,
            pre_authorized=PreAuthorizedGrant(code=code, tx_code=tx_code),
        )


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: dict[str, Any]
    configuration_id: _Name | None = None
    configuration_ids: (
        Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=_MOST_CONFIGURATIONS)] | None
    ) = None
    tx_code: bool | dict[str, Any] = False
    by_reference: bool = False
