"""The management side of one issuer, beside its offers and its health cards."""

from typing import Protocol

from safeconduct.protocols.openid4vci.sharing import Cancelled
from safeconduct.services.issuer import management_store, share_store
from safeconduct.services.issuer.cards import Cards
from safeconduct.services.issuer.configuration import Catalogue
from safeconduct.services.issuer.epochs import Rotation
from safeconduct.services.issuer.management_store import DeferredState, DeferredView, IssuedView, Verdict
from safeconduct.services.issuer.offers import Offers
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.services.issuer.share_store import ShareView
from safeconduct.services.issuer.shares import State as ShareState
from safeconduct.services.issuer.sharing import Shares
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.storage.status.places import Standing, check_expressible


class LoginLink(Protocol):
    """A link by which a subject logs in once. expires_in: seconds."""

    @property
    def url(self) -> str:
        """What to send to the subject."""

    @property
    def expires_in(self) -> int:
        """Seconds that it works."""


class LoginLinks(Protocol):
    """What makes login links: the authorization server."""

    async def create_login_link(self, subject: str) -> LoginLink:
        """Make one."""


class Management:
    """What an operator may see and do."""

    def __init__(
        self, tenant: Tenant, offers: Offers, links: LoginLinks, cards: Cards, shares: Shares
    ) -> None:
        self.offers = offers
        self.cards = cards
        self._shares = shares
        self._tenant = tenant
        self._links = links

    @property
    def url(self) -> str:
        """The Credential Issuer Identifier."""
        return self._tenant.url

    @property
    def catalogue(self) -> Catalogue:
        """The kinds of credentials."""
        return self._tenant.catalogue

    async def issued(
        self, *, configuration_id: str | None, reference: str | None, span: Span, page: Page
    ) -> list[IssuedView]:
        """Returns a page of what was issued, and one more if there is a next page."""
        return await self._tenant.database.run(
            management_store.find_issued,
            self._tenant.url,
            configuration_id=configuration_id,
            reference=reference,
            span=span,
            page=page,
        )

    async def change_standing(self, issued_id: str, to: Standing) -> int:
        """Revokes, suspends or reinstates the credentials of one delivery; returns how many have changed.

        Verifiers learn of it when the status is next published. Raises IssuedUnknown "issued_unknown",
        Rejected "status_absent", "status_not_expressible", StandingFinal "status_final", MoveUnderWay
        "move_under_way".
        """
        check_expressible(to, bits=self._tenant.settings.status_list_bits)
        return await self._tenant.database.run(
            management_store.change_standing,
            self._tenant.url,
            issued_id,
            to,
            self._tenant.random,
            now=self._tenant.clock(),
        )

    async def shares(
        self, *, state: ShareState | None, issued_id: str | None, span: Span, page: Page
    ) -> list[ShareView]:
        """Returns a page of shares, and one more if there is a next page.

        issued_id: only of the credentials of this delivery.
        """
        return await self._tenant.database.run(
            share_store.find_shares,
            self._tenant.url,
            state=state,
            parent_id=issued_id,
            span=span,
            page=page,
            now=self._tenant.clock(),
        )

    async def share(self, share_id: str) -> ShareView:
        """Returns one share. Raises ShareUnknown."""
        return await self._tenant.database.run(
            share_store.find_share, self._tenant.url, share_id, parent_id=None, now=self._tenant.clock()
        )

    async def end_share(self, share_id: str) -> Cancelled:
        """Cancels the offer of a share, or revokes what it gave. Raises ShareUnknown."""
        return await self._shares.end(None, share_id)

    async def deferred(self, *, state: DeferredState | None, page: Page) -> list[DeferredView]:
        """Returns a page of deferred issuances, and one more if there is a next page."""
        return await self._tenant.database.run(
            management_store.list_deferred,
            self._tenant.url,
            state=state,
            page=page,
            now=self._tenant.clock(),
        )

    async def decide(self, transaction_id: str, verdict: Verdict) -> None:
        """Approves or denies. Raises TransactionUnknown; TransitionRefused if it has been decided."""
        await self._tenant.database.run(
            management_store.decide, self._tenant.url, transaction_id, verdict, now=self._tenant.clock()
        )

    async def create_link(self, subject: str) -> LoginLink:
        """Makes a link by which the subject logs in once."""
        return await self._links.create_login_link(subject)

    async def rotate_encryption(self) -> Rotation:
        """Puts fresh keys for requests in the place of the present ones."""
        return await self._tenant.epochs.rotate_now(self._tenant.clock())
