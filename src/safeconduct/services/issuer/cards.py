"""Health cards of one issuer: a FHIR bundle comes in, a signed card with a rid goes out.

The card names `card_issuer` as its issuer, below which the published tree stands: the key is there within the
time that the status service takes to publish, which is why a new key is made known one sweep before it signs.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from prometheus_client import Counter

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats import health_card
from safeconduct.formats.health_card import drawing, fhir
from safeconduct.protocols import wire
from safeconduct.protocols.health_cards_issue import Request, ResourceLink, Response
from safeconduct.services.card_register import CardRegister, read_secrets
from safeconduct.services.issuer.card_links import CardLink, CardLinks
from safeconduct.services.issuer.card_sources import MOST_CARDS, BundleRequest, BundleSource, unavailable
from safeconduct.services.issuer.offers import ManagementText
from safeconduct.services.issuer.qr import Qr
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.settings import SettingsError
from safeconduct.status.card_keys import thumbprint

_LATEST = (1 << 53) - 1


class CardsOff(Rejected):
    """The issuer makes no health cards."""

    http_status = 409


class CardRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What management asks for.

    bundle: FHIR, what the card is to say. subject: by whom the card can be revoked later. expires_at: Unix
    seconds. types: further types of the credential. minimise: leave out what QR codes must not hold. qr:
    which picture is wanted. link, code: whether the holder gets it behind a link, and must enter a code.
    """

    bundle: dict[str, Any]
    subject: ManagementText
    expires_at: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)] | None = None
    types: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=256)], ...], msgspec.Meta(max_length=16)
    ] = ()
    minimise: bool = True
    qr: drawing.Form | None = None
    link: bool = False
    code: bool = False

    def __repr__(self) -> str:
        return "<CardRequest>"


class MadeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card, and what was wanted with it."""

    jws: str
    qr: Qr | None
    link: CardLink | None

    def __repr__(self) -> str:
        return "<MadeCard>"


class Cards:
    """Makes health cards. Without `card_issuer` in the settings it refuses to."""

    def __init__(self, tenant: Tenant, *, source: BundleSource | None, issued: Counter) -> None:
        """source: of bundles by patient, None without one. issued: counts cards. Raises SettingsError."""
        settings = tenant.settings
        self.links = CardLinks(tenant)
        self._tenant = tenant
        self._source = source
        self._issued = issued
        self._register: CardRegister | None = None
        self._known = ""
        if settings.card_issuer:
            self._keys = SigningKeys(settings.card_key, certificate=settings.card_certificate)
            self._register = CardRegister(
                tenant.database,
                settings.card_issuer,
                secrets=read_secrets(settings.card_rid_secrets),
                random=tenant.random,
            )

    async def open(self) -> None:
        """Makes the key known, before the first card. Raises SettingsError (it cannot sign cards)."""
        if self._register is not None:
            await self._renew(self._register)

    async def renew(self) -> None:
        """Makes the newest key known; signs with it if it was known before this. To be done at every sweep.

        What is wrong with the files is logged, and the key before stays in use.
        """
        if self._register is not None:
            try:
                await self._renew(self._register)
            except SettingsError as error:
                self._tenant.telemetry.log.failure(error, event="card_key_unusable")

    async def _renew(self, register: CardRegister) -> None:
        newest = self._keys.published(self._tenant.clock())[0]
        if self._known == thumbprint(newest) and self._keys.refresh():
            self._tenant.telemetry.log.info("card_key_changed")
            newest = self._keys.signer.public
        signs = thumbprint(newest) == thumbprint(self._keys.signer.public)
        chain = self._keys.chain if signs else ()  # of another key the certificates are not read yet
        try:
            self._known = await register.register(newest, chain=chain, now=self._tenant.clock())
        except Unsupported as error:
            raise SettingsError((f"issuer.card_signing_key: {error.reason}",)) from None

    async def make(self, wanted: CardRequest) -> MadeCard:
        """Makes a card. Raises CardsOff; Rejected and Malformed: what is wrong with the bundle or the key.

        A QR code that is wanted and cannot be drawn is found out before a link is made.
        """
        bundle = fhir.minimise(wanted.bundle) if wanted.minimise else wanted.bundle
        jws = await self._sign(
            bundle, subject=wanted.subject, expires_at=wanted.expires_at, types=wanted.types
        )
        picture = None
        if wanted.qr is not None:
            picture = Qr(drawing.MEDIA_TYPES[wanted.qr], drawing.draw(jws, form=wanted.qr))
        link = await self.links.create(jws, with_code=wanted.code) if wanted.link or wanted.code else None
        self._issued.inc()
        return MadeCard(jws=jws, qr=picture, link=link)

    async def make_for_patient(self, patient: str, wanted: Request) -> Response:
        """Answers `$health-cards-issue`: the cards of a patient, none if there is nothing to say.

        Raises CardsOff, SourceUnavailable, and as `make`.
        """
        if self._register is None or self._source is None:
            raise CardsOff("cards_off", "This issuer has no source of bundles for health cards.")
        asked = BundleRequest(
            patient=patient, types=wanted.resource_types, value_sets=wanted.value_sets, since=wanted.since
        )
        bundles = (await self._source.bundles(asked))[:MOST_CARDS]
        cards: list[str] = []
        links: list[ResourceLink] = []
        for place, bundle in enumerate(bundles):
            narrowed = _with_identity(bundle, wanted.identity_claims)
            cards.append(await self._sign(self._small(narrowed), subject=patient))
            links += _hosted(narrowed, place)
        self._issued.inc(len(cards))
        return Response(cards=tuple(cards), links=tuple(links))

    def parse_request(self, body: bytes) -> CardRequest:
        """Reads the JSON of a request for a card. Raises Malformed."""
        return wire.read_json(body, CardRequest, what="Card request", max_bytes=limits.JSON_BYTES)

    def _small(self, bundle: Mapping[str, Any]) -> Mapping[str, Any]:
        """A bundle of the source's made small. Raises SourceUnavailable: its fault is not the asker's."""
        try:
            return fhir.minimise(bundle)
        except SafeconductError as error:
            self._tenant.telemetry.log.failure(error, event="bundle_unusable", code=error.code)
            raise unavailable() from None

    async def _sign(
        self,
        bundle: Mapping[str, Any],
        *,
        subject: str,
        expires_at: int | None = None,
        types: Iterable[str] = (),
    ) -> str:
        if self._register is None:
            raise CardsOff("cards_off", "This issuer makes no health cards: card_issuer is not set.")
        now, signer = self._tenant.clock(), self._keys.signer
        rid = await self._register.allocate(thumbprint(signer.public), subject, now=now)
        return health_card.issue(
            bundle,
            issuer=self._register.issuer,
            key=signer,
            now=now,
            rid=rid,
            expires=expires_at,
            types=types,
        )


def _with_identity(bundle: Mapping[str, Any], claims: tuple[str, ...]) -> Mapping[str, Any]:
    """The bundle with those elements alone of its patients that are named, as `Patient.name`; () for all."""
    if not claims:
        return bundle
    wanted = {claim.removeprefix("Patient.") for claim in claims} | {"resourceType", "id"}
    entries = bundle.get("entry")
    narrowed = [_narrowed(entry, wanted) for entry in (entries if isinstance(entries, list) else ())]
    return {**bundle, "entry": narrowed}


def _narrowed(entry: Any, wanted: set[str]) -> Any:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        return entry
    kept = {name: value for name, value in resource.items() if name.removeprefix("_") in wanted}
    return {**entry, "resource": kept}


def _hosted(bundle: Mapping[str, Any], place: int) -> list[ResourceLink]:
    """Where the resources of a card stand on the operator's server, as far as the bundle says so."""
    entries = bundle.get("entry")
    urls = [entry.get("fullUrl") if isinstance(entry, dict) else None for entry in entries or ()]
    return [
        ResourceLink(bundled=f"resource:{number}", hosted=url, card=place)
        for number, url in enumerate(urls)
        if isinstance(url, str) and url.startswith(("https://", "http://"))
    ]
