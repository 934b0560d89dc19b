"""The issuer's metadata as it is sent: written once for each form and language, until its keys change."""

import msgspec

from safeconduct.encoding import json
from safeconduct.protocols.openid4vci import negotiation
from safeconduct.protocols.openid4vci.metadata import issuer_metadata_json
from safeconduct.protocols.openid4vci.signed_metadata import MEDIA_TYPE, sign_metadata
from safeconduct.services.issuer.service import Issuer

_PLAIN = "application/json"
_KEPT = 64
"""Documents that are kept: two forms in some languages."""


class Document(msgspec.Struct, frozen=True):
    """A metadata document. language: that of what it shows to people; None for all that there are."""

    body: bytes
    media_type: str
    language: str | None


class Publication:
    """Writes the metadata of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._of: object = None
        self._documents: dict[tuple[str, str | None], Document] = {}

    async def document(self, *, accept: str | None, accept_language: str | None) -> Document:
        """Returns the metadata in the form and language that a request wants, if there is such a one.

        Signed it is for issuers with a certificate only: without one, nobody could tell who has signed.
        """
        tenant = self._issuer.tenant
        now = tenant.clock()
        metadata = await self._issuer.issuer_metadata()
        period = now // max(tenant.settings.metadata_lifetime, 1)
        made_of = (metadata, tenant.signer, tenant.chain, period)
        if self._of != made_of:
            self._of, self._documents = made_of, {}
        offered = (_PLAIN, MEDIA_TYPE) if tenant.chain else (_PLAIN,)
        media_type = negotiation.choose_media_type(accept, offered)
        members = issuer_metadata_json(metadata)
        language = negotiation.choose_language(accept_language, negotiation.languages(members))
        document = self._documents.get((media_type, language))
        if document is None:
            shown = members if language is None else negotiation.in_language(members, language)
            document = Document(self._written(shown, media_type, now), media_type, language)
            self._documents[media_type, language] = document
        return document

    def _written(self, members: dict[str, object], media_type: str, now: int) -> bytes:
        if media_type == _PLAIN:
            return json.dumps(members)
        tenant = self._issuer.tenant
        # It may be fetched at the end of the period, and be kept for as long again.
        lifetime = 2 * tenant.settings.metadata_lifetime + tenant.settings.clock_skew
        signed = sign_metadata(
            members,
            signer=tenant.signer,
            credential_issuer=tenant.url,
            now=now,
            lifetime=lifetime,
            chain=tenant.chain,
        )
        return signed.encode("ascii")
