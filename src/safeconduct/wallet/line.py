"""The wallet's own line to an issuer: tokens, and the only source of nonces.

A nonce challenge that arrives on another way could be an invention that harvests proofs.
"""

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import dpop, token
from safeconduct.protocols.oauth.authorization import AccessToken, authorization
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.openid4vci import nonce
from safeconduct.protocols.openid4vci.encryption import ENCRYPTED, PLAIN
from safeconduct.wallet import answers
from safeconduct.wallet.context import Context
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.offers import Invitation

DPOP_ALGORITHM = "ES256"


class Grant(msgspec.Struct, frozen=True):
    """What the wallet may ask for: a token for one credential identifier, bound to the line's DPoP key."""

    access_token: AccessToken
    identifier: str

    def __repr__(self) -> str:
        return "<Grant>"


class IssuerLine:
    """Speaks to one issuer for one acceptance, under a DPoP key of its own that binds nothing else."""

    def __init__(self, context: Context, issuer: Issuer) -> None:
        self._context = context
        self._issuer = issuer
        self._nonce: str | None = None
        self.dpop_key: Key = context.new_key(DPOP_ALGORITHM)

    async def obtain_token(self, invitation: Invitation, configuration: str) -> Grant:
        """Trade the code for a token that is only good with an identifier nobody else learns.

        Raises Rejected: grant_refused, client_refused, issuer_unwilling, and what reading raises.
        """
        wanted = (CredentialDetail(configuration, self._locations()),)
        form = token.token_request_form(
            token.TokenRequest(
                pre_authorized_code=invitation.grant.code,
                tx_code=invitation.tx_code,
                authorization_details=wanted,
            )
        )
        response = await self._post_for_token(form)
        if answers.is_challenge(response):
            response = await self._post_for_token(form)
        if response.status != 200:
            raise answers.token_refusal(response)
        answer = token.parse_token_response(response.body, requested=wanted, token_type="DPoP")  # noqa: S106
        identifier = answer.authorization_details[0].credential_identifiers[0]
        return Grant(AccessToken("DPoP", answer.access_token), identifier)

    async def fetch_c_nonce(self) -> str | None:
        """Return a fresh nonce for key proofs, None if the issuer uses none; it brings a DPoP nonce along."""
        url = self._issuer.metadata.nonce_endpoint
        if url is None:
            return None
        response = await self._post(url, {}, b"")
        if response.status != 200:
            raise Rejected("nonce_missing", "The issuer gave no nonce; accept the offer again.")
        return nonce.parse_nonce_response(response.body)

    def credential_headers(self, grant: Grant, *, content_type: str) -> dict[str, str]:
        """Return the headers of a credential request: the token, and a new proof with the newest nonce."""
        proof = dpop.create(
            key=self.dpop_key,
            method="POST",
            url=self._issuer.metadata.credential_endpoint,
            now=self._context.clock(),
            access_token=grant.access_token.token,
            nonce=self._nonce,
            random=self._context.random,
        )
        return {
            "Authorization": authorization(grant.access_token),
            "DPoP": proof,
            "Content-Type": content_type,
            "Accept": f"{ENCRYPTED}, {PLAIN}",
        }

    async def request_credential(self, grant: Grant, body: bytes, *, content_type: str) -> Response:
        """Send a credential request, once more under a new proof if the issuer itself asks for its nonce."""
        url = self._issuer.metadata.credential_endpoint
        response = await self._post(url, self.credential_headers(grant, content_type=content_type), body)
        if answers.is_challenge(response):
            response = await self._post(url, self.credential_headers(grant, content_type=content_type), body)
        return response

    async def _post_for_token(self, form: bytes) -> Response:
        url = self._issuer.token_endpoint
        proof = dpop.create(
            key=self.dpop_key,
            method="POST",
            url=url,
            now=self._context.clock(),
            nonce=self._nonce,
            random=self._context.random,
        )
        headers = {"DPoP": proof, "Content-Type": "application/x-www-form-urlencoded"}
        return await self._post(url, headers, form)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> Response:
        response = await self._context.fetcher.request("POST", url, headers=headers, content=body)
        fresh = response.headers.get("dpop-nonce")
        if fresh is not None and len(fresh) <= limits.NONCE_CHARS:
            self._nonce = fresh
        return response

    def _locations(self) -> tuple[str, ...]:
        # OpenID4VCI §5.1.1: needed where the metadata names authorization servers.
        return (self._issuer.identifier,) if self._issuer.metadata.authorization_servers else ()
