"""The wallet's own line to an issuer: tokens, and the only source of nonces.

A nonce challenge that arrives on another way could be an invention that harvests proofs.
"""

from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols.oauth import authorization_request, dpop, token
from safeconduct.protocols.oauth.authorization import AccessToken, authorization
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest, PushedResponse
from safeconduct.protocols.openid4vci import nonce
from safeconduct.protocols.openid4vci.encryption import ENCRYPTED, PLAIN
from safeconduct.wallet import answers
from safeconduct.wallet.context import Context
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.records import Access, key_of, key_text

Strictness = Literal["identifier", "any"]
"""Whether a token must be good for a credential identifier alone."""

DPOP_ALGORITHM = "ES256"

_FORM = "application/x-www-form-urlencoded"
_SPARE = 5


class Grant(msgspec.Struct, frozen=True):
    """What the wallet may ask for: a token, and the identifier of the one dataset that it is good for.

    identifier: None if the server named none; then the token is good for the configuration by its name.
    """

    access: Access
    identifier: str | None

    def __repr__(self) -> str:
        return "<Grant>"


class IssuerLine:
    """Speaks to one issuer about one credential, under a DPoP key of its own that binds nothing else."""

    def __init__(self, context: Context, issuer: Issuer, dpop_key: Key | None = None) -> None:
        self._context = context
        self._issuer = issuer
        self._nonce: str | None = None
        self.dpop_key: Key = dpop_key or context.new_key(DPOP_ALGORITHM)

    @classmethod
    def resumed(cls, context: Context, issuer: Issuer, access: Access) -> "IssuerLine":
        """Return a line under the key that a token is bound to."""
        return cls(context, issuer, key_of(access.dpop_key))

    def details(self, configuration: str) -> tuple[CredentialDetail, ...]:
        """Return what asks for a configuration, so that a token is good for an identifier alone."""
        # OpenID4VCI §5.1.1: locations are needed where the metadata names authorization servers.
        named = self._issuer.metadata.authorization_servers
        return (CredentialDetail(configuration, (self._issuer.identifier,) if named else ()),)

    async def obtain_token(
        self,
        request: token.TokenRequest | token.AuthorizationCodeRequest,
        *,
        configuration: str,
        strictness: Strictness,
    ) -> Grant:
        """Trade a code for a token that is only good with an identifier nobody else learns.

        An answer that gets lost is asked for once more, under the same key. strictness: "any" also takes a
        token without an identifier, which whoever sees it and has a proof can use for a request of their own.
        Raises Rejected: grant_refused, client_refused, issuer_unwilling, authorization_details_missing, and
        what reading raises.
        """
        form = token.token_request_form(request)
        endpoint = self._issuer.token_endpoint
        response = await self._ask_for_token(form, endpoint)
        if response.status != 200:
            raise answers.token_refusal(response)
        answer = _read_token(response.body, ())
        if answer.authorization_details or strictness == "identifier":
            answer = _read_token(response.body, self.details(configuration))
        identifiers = [
            identifier
            for detail in answer.authorization_details
            for identifier in detail.credential_identifiers
        ]
        access = self._access(
            answer, endpoint=endpoint, refresh_token=answer.refresh_token, client_id=request.client_id
        )
        return Grant(access, identifiers[0] if identifiers else None)

    async def refreshed(self, access: Access) -> Access:
        """Return a token that is good for a while, a new one if this one is not and can be renewed.

        Only the server that gave the refresh token gets it, whatever the issuer's metadata says by now.
        Raises Rejected: grant_refused, client_refused, issuer_unwilling, and what reading raises.
        """
        if access.refresh_token is None or not self._is_over(access):
            return access
        form = token.token_request_form(
            token.RefreshRequest(refresh_token=access.refresh_token, client_id=access.client_id)
        )
        response = await self._ask_for_token(form, access.token_endpoint)
        if response.status != 200:
            raise answers.token_refusal(response)
        answer = _read_token(response.body, ())
        return self._access(
            answer,
            endpoint=access.token_endpoint,
            refresh_token=answer.refresh_token or access.refresh_token,
            client_id=access.client_id,
        )

    async def push(self, request: AuthorizationRequest, *, endpoint: str) -> PushedResponse:
        """Push an authorization request. Raises Rejected: login_refused, and what reading raises."""
        form = authorization_request.authorization_request_form(request)
        response = await self._proven_post(endpoint, form)
        if response.status != 201:
            raise answers.login_refusal(response)
        return authorization_request.parse_pushed_response(response.body)

    async def fetch_c_nonce(self) -> str | None:
        """Return a fresh nonce for key proofs, None if the issuer uses none; it brings a DPoP nonce along."""
        url = self._issuer.metadata.nonce_endpoint
        if url is None:
            return None
        response = await self._post(url, {}, b"")
        if response.status != 200:
            raise Rejected("nonce_missing", "The issuer gave no nonce; accept the offer again.")
        return nonce.parse_nonce_response(response.body)

    def headers(self, access: Access, *, url: str, content_type: str) -> dict[str, str]:
        """Return the headers of a request under a token: with a new proof that has the newest nonce."""
        proof = dpop.create(
            key=self.dpop_key,
            method="POST",
            url=url,
            now=self._context.clock(),
            access_token=access.access_token,
            nonce=self._nonce,
            random=self._context.random,
        )
        return {
            "Authorization": authorization(AccessToken("DPoP", access.access_token)),
            "DPoP": proof,
            "Content-Type": content_type,
            "Accept": f"{ENCRYPTED}, {PLAIN}",
        }

    async def send(self, access: Access, body: bytes, *, url: str, content_type: str) -> Response:
        """Send a request under a token, once more under a new proof if the issuer asks for its nonce."""
        response = await self._post(url, self.headers(access, url=url, content_type=content_type), body)
        if answers.is_challenge(response):
            response = await self._post(url, self.headers(access, url=url, content_type=content_type), body)
        return response

    def _access(
        self,
        answer: token.TokenResponse,
        *,
        endpoint: str,
        refresh_token: str | None,
        client_id: str | None,
    ) -> Access:
        lifetime = answer.expires_in
        return Access(
            access_token=answer.access_token,
            dpop_key=key_text(self.dpop_key),
            token_endpoint=endpoint,
            expires=None if lifetime is None else self._context.clock() + lifetime,
            refresh_token=refresh_token,
            client_id=client_id,
        )

    def _is_over(self, access: Access) -> bool:
        return access.expires is not None and access.expires - _SPARE <= self._context.clock()

    async def _ask_for_token(self, form: bytes, endpoint: str) -> Response:
        try:
            return await self._proven_post(endpoint, form)
        except Unreachable:
            return await self._proven_post(endpoint, form)

    async def _proven_post(self, url: str, form: bytes) -> Response:
        response = await self._post(url, self._proof(url), form)
        if answers.is_challenge(response):
            response = await self._post(url, self._proof(url), form)
        return response

    def _proof(self, url: str) -> dict[str, str]:
        proof = dpop.create(
            key=self.dpop_key,
            method="POST",
            url=url,
            now=self._context.clock(),
            nonce=self._nonce,
            random=self._context.random,
        )
        return {"DPoP": proof, "Content-Type": _FORM}

    async def _post(self, url: str, headers: dict[str, Any], body: bytes) -> Response:
        response = await self._context.fetcher.request("POST", url, headers=headers, content=body)
        fresh = response.headers.get("dpop-nonce")
        if fresh is not None and len(fresh) <= limits.NONCE_CHARS:
            self._nonce = fresh
        return response


def _read_token(body: bytes, requested: tuple[CredentialDetail, ...]) -> token.TokenResponse:
    return token.parse_token_response(body, requested=requested, token_type="DPoP")  # noqa: S106
