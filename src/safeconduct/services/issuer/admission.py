"""Who may come in: a request to a protected endpoint, its access token and its DPoP proof."""

from collections.abc import Sequence

import msgspec

from safeconduct.protocols.oauth import authorization, dpop
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.oauth.errors import InvalidToken
from safeconduct.services.issuer import delivery_store
from safeconduct.services.issuer.delivery_store import Access
from safeconduct.services.issuer.digests import digest_of
from safeconduct.services.issuer.tenant import Tenant


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request to a protected endpoint, as it came.

    authorization: the header's value or None. dpop: the values of all DPoP headers.
    """

    body: bytes
    content_type: str | None
    authorization: str | None
    dpop: Sequence[str]

    def __repr__(self) -> str:
        return f"<Message of {len(self.body)} bytes>"


class Admitted(msgspec.Struct, frozen=True):
    """A request whose token and DPoP proof are good, and what the token opens."""

    message: Message
    token: str
    access: Access

    def __repr__(self) -> str:
        return "<Admitted>"


async def admit(tenant: Tenant, message: Message, *, path: str, now: int) -> Admitted:
    """Lets in a POST to `path` below the identifier.

    1. The access token is one of ours and in force; only then does the issuer compute for the sender.
    2. The DPoP proof is for this request, by the token's key, and new.

    Raises OAuthErrors.
    """
    presented = authorization.parse_authorization(message.authorization)
    if presented.scheme != "DPoP":
        raise InvalidToken("token_type", "The token must be presented with DPoP.", rule="RFC 9449 §7.1")
    nonces = await tenant.epochs.dpop_nonces(now)

    def verify(thumbprint: str) -> DpopProof:
        return dpop.verify(
            dpop.single_header(message.dpop),
            method="POST",
            url=tenant.url + path,
            now=now,
            access_token=presented.token,
            expected_thumbprint=thumbprint,
            nonce_ok=lambda nonce: nonces.accepts(nonce, now=now),
            max_age=tenant.settings.dpop_proof_lifetime,
            leeway=tenant.settings.clock_skew,
        )

    access = await tenant.database.run_short(
        delivery_store.admit, tenant.url, digest_of(presented.token), verify, now=now
    )
    return Admitted(message, presented.token, access)
