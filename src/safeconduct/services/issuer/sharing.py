"""Sharing: a holder gives somebody else a credential of its own, made from what it holds itself.

The issuer keeps no claims of what it has issued. So the new credential says what the holder discloses of its
own, cut to what its kind passes on, with the rights that the holder chooses and no others; it is kept with
the offer, as the claims of any offer are, until the receiver has fetched it.

What is kept of a share: whose it is, of what mode and level, its rights and times, the thumbprint of the key
that it is pinned to. Nothing of the receiver besides.
"""

import hashlib
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.protocols.oauth import token
from safeconduct.protocols.openid4vci import sharing as messages
from safeconduct.protocols.openid4vci.offer import CredentialOffer, PreAuthorizedGrant, TxCode, new_tx_code
from safeconduct.protocols.openid4vci.offer import offer_json as offer_members
from safeconduct.protocols.openid4vci.sharing import Cancelled, CreatedShare, ShareChallenge, ShareRequest
from safeconduct.protocols.openid4vci.sharing import SharesAccess as Access
from safeconduct.protocols.openid4vci.sharing import ShareView as View
from safeconduct.protocols.openid4vci.sharing_errors import InvalidShareRequest
from safeconduct.protocols.openid4vci.sharing_terms import SharingEndpoints
from safeconduct.services.issuer import share_access_store, share_store
from safeconduct.services.issuer.configuration import Kind
from safeconduct.services.issuer.digests import digest_of, tx_digest
from safeconduct.services.issuer.offer_store import NewGrant
from safeconduct.services.issuer.share_errors import (
    EntitlementExceedsParent,
    SharingNotAllowed,
    ValidityExceedsParent,
)
from safeconduct.services.issuer.share_store import NewShare, ShareView
from safeconduct.services.issuer.sharing_rules import SharingRules
from safeconduct.services.issuer.shown_parents import ShownParent, parent_invalid, read_parent
from safeconduct.services.issuer.tenant import Tenant

ACCESS_SECONDS = 300
"""How long a holder may look after its shares before it has to show its credential again."""

_ID_BYTES = 16


def sharing_endpoints(issuer: str) -> SharingEndpoints:
    """Returns where holders share what the issuer with this identifier has issued."""
    return SharingEndpoints(
        challenge_endpoint=f"{issuer}/share-challenge",
        shares_endpoint=f"{issuer}/shares",
        access_endpoint=f"{issuer}/shares/access",
    )


class ShareCounters:
    """What metrics tell of shares: how many, and what became of them; nothing of whose."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.made = Counter(
            "safeconduct_shares_made_total", "Shares made.", ["mode", "level"], registry=registry
        )
        self.ended = Counter(
            "safeconduct_shares_ended_total",
            "Shares ended by their senders or by management.",
            ["outcome"],
            registry=registry,
        )


class Shares:
    """The shares of one issuer, over its database. Raises the errors that the endpoints answer."""

    def __init__(self, tenant: Tenant, *, counters: ShareCounters) -> None:
        """counters: of all tenants together."""
        self.tenant = tenant
        self.url = tenant.url
        self._settings = tenant.settings
        self._counters = counters

    async def challenge(self) -> ShareChallenge:
        """Returns what a holder needs to show its credential; nothing is stored of it."""
        now = self.tenant.clock()
        nonces = await self.tenant.epochs.presentation_nonces(now)
        return ShareChallenge(
            nonce=nonces.create(now, random=self.tenant.random),
            audience=self.url,
            expires_in=self._settings.nonce_lifetime,
        )

    async def create(self, body: bytes) -> CreatedShare:
        """Makes a share.

        1. The request is read, all of it bounded.
        2. The credential is shown by its holder, and one of ours (`read_parent`).
        3. Its kind is shared in this mode, on this level.
        4. Rights, times and claims are no more than were shown.
        5. In one transaction: the credential stands, was not shared on too often, has room for one more; the
           share and its offer are kept.

        Raises InvalidShareRequest, what `read_parent` raises, SharingNotAllowed, EntitlementExceedsParent,
        ValidityExceedsParent, ParentInvalid, TooManyShares, ShareExists.
        """
        now = self.tenant.clock()
        request = messages.parse_share_request(body)
        shown = await read_parent(self.tenant, request, now=now)
        kind, rules = self._rules(shown, request)
        claims, rights = _given_claims(shown, request, kind, rules)
        not_before, expires = _given_times(shown, request, now)
        secrets = self._new_secrets(request)
        new = NewShare(
            grant=self._grant(shown, request, kind, claims, secrets, now=now, last=expires),
            id=self._share_id(request),
            parent_id=shown.parent.issued_id,
            mode=request.mode,
            level=request.binding.level,
            jkt=request.binding.jkt,
            entitlements=rights,
            request_digest=_request_digest(request),
            not_before=not_before,
            credential_expires=expires,
            parent_expires=shown.expires,
            max_receivers=rules.max_receivers,
            max_depth=rules.max_depth,
            lease=self._settings.share_lease,
        )
        await self.tenant.database.run(share_store.create_share, new, now=now)
        self._counters.made.labels(request.mode, request.binding.level).inc()
        return CreatedShare(
            share_id=new.id,
            credential_offer=self._offer(kind, secrets),
            tx_code=secrets.tx_code,
            expires_at=new.grant.expires_at,
            level=request.binding.level,
            mode=request.mode,
        )

    async def open_access(self, body: bytes) -> Access:
        """Gives the holder of a credential access to the list of its shares, also if it stands no more.

        Who has moved a credential, or had it revoked, may still see what became of its shares.
        Raises InvalidShareRequest, and what `read_parent` raises.
        """
        now = self.tenant.clock()
        shown = await read_parent(self.tenant, messages.parse_access_request(body), now=now)
        access_token = token.new_secret(self.tenant.random)
        await self.tenant.database.run(
            share_access_store.add_access,
            self.url,
            digest_of(access_token),
            shown.parent.issued_id,
            expires_at=now + ACCESS_SECONDS,
        )
        return Access(access_token=access_token, expires_in=ACCESS_SECONDS)

    async def parent_of(self, access_token: str) -> str:
        """Returns which delivery's shares the token opens. Raises InvalidToken "token_invalid"."""
        return await self.tenant.database.run(
            share_access_store.find_access, self.url, digest_of(access_token), now=self.tenant.clock()
        )

    async def listed(self, parent_id: str) -> list[View]:
        """Returns the shares of one's own, the newest first."""
        rows = await self.tenant.database.run(
            share_store.list_shares, self.url, parent_id, now=self.tenant.clock()
        )
        return [_view(row) for row in rows]

    async def pin(self, parent_id: str, share_id: str, body: bytes) -> View:
        """Approves a share for one key: no other can redeem it from now on.

        Raises InvalidShareRequest, ShareUnknown, ShareRefused.
        """
        jkt = messages.parse_pin(body)
        row = await self.tenant.database.run(
            share_store.pin_share, self.url, share_id, jkt, parent_id=parent_id, now=self.tenant.clock()
        )
        return _view(row)

    async def end(self, parent_id: str | None, share_id: str) -> Cancelled:
        """Takes a share back: cancels its offer, or revokes what was issued.

        parent_id: None for management, which may end anybody's. Raises ShareUnknown.
        """
        ended = await self.tenant.database.run(
            share_store.end_share,
            self.url,
            share_id,
            parent_id=parent_id,
            now=self.tenant.clock(),
            random=self.tenant.random,
        )
        self._counters.ended.labels(ended.outcome).inc()
        return Cancelled(outcome=ended.outcome, state=ended.state)

    def _rules(self, shown: ShownParent, request: ShareRequest) -> tuple[Kind, SharingRules]:
        if shown.parent.standing != "valid":
            raise parent_invalid()
        kind = self.tenant.catalogue.get(shown.parent.configuration_id)
        if kind is None or kind.sharing is None:
            raise SharingNotAllowed("sharing_not_allowed", "Credentials of this kind are not shared.")
        if request.mode not in kind.sharing.modes:
            raise SharingNotAllowed(
                "share_mode_not_allowed", "Credentials of this kind are not shared in this mode."
            )
        if request.binding.level not in kind.sharing.levels:
            raise SharingNotAllowed(
                "share_level_not_allowed", "Credentials of this kind are not shared on this level."
            )
        return kind, kind.sharing

    def _grant(
        self,
        shown: ShownParent,
        request: ShareRequest,
        kind: Kind,
        claims: bytes,
        secrets: "_Secrets",
        *,
        now: int,
        last: int,
    ) -> NewGrant:
        """The offer, of the same in every format. last: when what it gives ends; it does not outlive that."""
        lifetime = min(request.lifetime or self._settings.share_lifetime, self._settings.share_lifetime)
        return NewGrant(
            tenant=self.url,
            id=self.tenant.random(_ID_BYTES).hex(),
            configuration_ids=kind.formats,
            claims=claims,
            code_digest=digest_of(secrets.code),
            reference_digest=None,
            issuer_state_digest=None,
            tx_code=secrets.announced,
            tx_digest=None if secrets.tx_code is None else tx_digest(secrets.tx_code, code=secrets.code),
            attempts=self._settings.tx_code_attempts,
            subject=None,
            own_reference=shown.parent.own_reference,
            deferred=False,
            created_at=now,
            expires_at=min(now + lifetime, last),
        )

    def _new_secrets(self, request: ShareRequest) -> "_Secrets":
        code = token.new_secret(self.tenant.random)
        if request.binding.level != "pin":
            return _Secrets(code=code)
        announced = TxCode(length=self._settings.tx_code_length)
        return _Secrets(
            code=code, announced=announced, tx_code=new_tx_code(announced, random=self.tenant.random)
        )

    def _offer(self, kind: Kind, secrets: "_Secrets") -> dict[str, Any]:
        """The offer itself; the transaction code is never in it (OpenID4VCI 1.0 §4.1.1)."""
        return offer_members(
            CredentialOffer(
                credential_issuer=self.url,
                credential_configuration_ids=kind.formats,
                pre_authorized=PreAuthorizedGrant(code=secrets.code, tx_code=secrets.announced),
            )
        )

    def _share_id(self, request: ShareRequest) -> str:
        if request.request_id is not None:
            return messages.share_id_of(self.url, request.request_id)
        return self.tenant.random(_ID_BYTES).hex()


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """announced: what the offer says of the transaction code."""

    code: str
    announced: TxCode | None = None
    tx_code: str | None = None

    def __repr__(self) -> str:
        return "<_Secrets>"


def _given_claims(
    shown: ShownParent, request: ShareRequest, kind: Kind, rules: SharingRules
) -> tuple[bytes, tuple[str, ...] | None]:
    """The claims of the new credential as JSON, and its rights; None for a kind that knows none."""
    described = kind.configuration.claims
    claims = rules.passes(shown.claims, described)
    held = rules.rights_in(claims)
    wanted = held if request.entitlements is None else request.entitlements
    if not set(wanted or ()) <= set(held or ()):
        raise EntitlementExceedsParent(
            "entitlement_exceeds_parent", "The share would give a right that was not shown."
        )
    claims = rules.narrowed(claims, wanted)
    if not claims or rules.lacks(claims, described):
        raise InvalidShareRequest(
            "share_claims_missing", "A claim that the new credential must have was not disclosed."
        )
    kept = json.dumps(claims)
    if len(kept) > limits.JSON_BYTES:
        raise InvalidShareRequest("share_claims_too_large", "More is disclosed than can be passed on.")
    return kept, wanted


def _given_times(shown: ShownParent, request: ShareRequest, now: int) -> tuple[int, int]:
    """When the new credential begins at the earliest, and ends at the latest."""
    begin = shown.not_before if request.not_before is None else request.not_before
    end = shown.expires if request.expires is None else request.expires
    if begin < shown.not_before or end > shown.expires:
        raise ValidityExceedsParent(
            "validity_exceeds_parent", "The share would be valid before the credential is, or for longer."
        )
    if end <= max(begin, now):
        raise InvalidShareRequest("share_times", "The share would end before it begins, or has ended.")
    return begin, end


def _request_digest(request: ShareRequest) -> bytes | None:
    if request.request_id is None:
        return None
    return hashlib.sha256(request.request_id.encode()).digest()


def _view(row: ShareView) -> View:
    return View(
        share_id=row.share_id,
        state=row.state,
        mode=row.mode,
        level=row.level,
        created_at=row.created_at,
        expires_at=row.expires_at,
        pinned=row.pinned,
        entitlements=row.entitlements,
        credential_expires=row.credential_expires,
    )
