"""Links behind which holders find their health cards, for a while.

A link holds 256 random bits. What is stored is sealed with a key made from them, and found by a digest of
them: who reads the database learns no card, and who guesses finds no link. Opening a link uses nothing up:
mail scanners and previews open links, too. A code that goes to the holder by another way keeps the card from
whoever else gets to see the link.
"""

import hmac

import msgspec

from safeconduct.crypto import aead
from safeconduct.protocols.oauth import token
from safeconduct.protocols.openid4vci.offer import TxCode, new_tx_code
from safeconduct.services.issuer import card_link_store
from safeconduct.services.issuer.card_link_store import NewCardLink
from safeconduct.services.issuer.digests import digest_of, tx_digest
from safeconduct.services.issuer.tenant import Tenant

_ID_BYTES = 16
_KEY_LABEL = b"safeconduct health card behind a link"
_AES_256_GCM = 2
_NONCE_BYTES = 12


class CardLink(msgspec.Struct, frozen=True, kw_only=True):
    """A new link. code: to be sent to the holder by another way. expires_in: seconds."""

    link_id: str
    url: str
    expires_in: int
    code: str | None

    def __repr__(self) -> str:
        return f"<CardLink expires_in={self.expires_in}>"


class CardLinks:
    """Makes links to cards, and opens them."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._url = tenant.url
        self._database = tenant.database

    async def create(self, jws: str, *, with_code: bool) -> CardLink:
        """Keeps a card behind a new link; with_code: whether a code is asked for as well."""
        tenant, settings = self._tenant, self._tenant.settings
        secret, nonce = token.new_secret(tenant.random), tenant.random(_NONCE_BYTES)
        text, tag = aead.seal(_AES_256_GCM, _key(secret), nonce, jws.encode(), self._url.encode())
        code = None
        if with_code:
            code = new_tx_code(TxCode(length=settings.tx_code_length), random=tenant.random)
        link = NewCardLink(
            id=tenant.random(_ID_BYTES).hex(),
            tenant=self._url,
            digest=digest_of(secret),
            sealed=nonce + tag + text,
            code_digest=None if code is None else tx_digest(code, code=secret),
            attempts=settings.tx_code_attempts,
            expires_at=tenant.clock() + settings.card_link_lifetime,
        )
        await self._database.run(card_link_store.add_card_link, link)
        url = f"{self._url}/cards/{secret}"
        return CardLink(link_id=link.id, url=url, expires_in=settings.card_link_lifetime, code=code)

    async def wants_code(self, secret: str) -> bool:
        """Whether a link asks for a code. Raises CardLinkUnknown "card_link_unknown"."""
        return await self._database.run(
            card_link_store.wants_code, self._url, digest_of(secret), now=self._tenant.clock()
        )

    async def open(self, secret: str, code: str) -> str | None:
        """Returns the card behind a link; None if the code is wrong, which may be tried a few times.

        code: as the holder has entered it; "" where none is asked for. Raises CardLinkUnknown.
        """
        sealed = await self._database.run(
            card_link_store.open_card_link,
            self._url,
            digest_of(secret),
            tx_digest(code, code=secret),
            now=self._tenant.clock(),
        )
        return None if sealed is None else self._opened(secret, sealed)

    async def remove(self, secret: str) -> None:
        """Deletes the card behind a link."""
        await self._database.run(card_link_store.remove_card_link, self._url, digest_of(secret))

    async def cancel(self, link_id: str) -> None:
        """Deletes a card by what management knows its link by. Raises CardLinkUnknown."""
        await self._database.run(
            card_link_store.cancel_card_link, self._url, link_id, now=self._tenant.clock()
        )

    def _opened(self, secret: str, sealed: bytes) -> str:
        nonce, tag, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:_BEFORE_TEXT], sealed[_BEFORE_TEXT:]
        return aead.open_(_AES_256_GCM, _key(secret), nonce, text, tag, self._url.encode()).decode()


_BEFORE_TEXT = _NONCE_BYTES + 16


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _KEY_LABEL, "sha256")
