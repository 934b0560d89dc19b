"""The authorization server of one issuer: a code is traded for a token."""

from collections.abc import Callable, Sequence

from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import authorization_details, token
from safeconduct.protocols.oauth.authorization_details import GrantedDetail
from safeconduct.protocols.oauth.errors import InvalidGrant
from safeconduct.protocols.oauth.metadata import AuthorizationServer as ServerMetadata
from safeconduct.services.issuer import grant_store
from safeconduct.services.issuer.digests import digest_of, proof_digest, tx_digest
from safeconduct.services.issuer.tenant import Tenant


class AuthorizationServer:
    """The built-in authorization server. Raises the errors that its endpoints answer."""

    def __init__(
        self, tenant: Tenant, *, new_identifier: Callable[[], str] = authorization_details.new_identifier
    ) -> None:
        """new_identifier: makes the credential identifiers; another than the default is for tests only."""
        self.tenant = tenant
        self.url = tenant.url
        self.settings = tenant.settings
        self._new_identifier = new_identifier

    def metadata(self) -> ServerMetadata:
        """Returns the metadata of the authorization server, which is the issuer itself."""
        return ServerMetadata(
            issuer=self.url,
            token_endpoint=f"{self.url}/token",
            grant_types_supported=(token.PRE_AUTHORIZED_CODE,),
            token_endpoint_auth_methods_supported=("none",),
            dpop_signing_alg_values_supported=jwt.PROOF_ALGORITHMS,
            authorization_details_types_supported=(authorization_details.TYPE,),
            anonymous_pre_authorized=True,
        )

    async def redeem(self, body: bytes, *, dpop_headers: Sequence[str]) -> token.TokenResponse:
        """Trades a pre-authorized code for an access token (OpenID4VCI 1.0 §6).

        1. The form is read.
        2. The DPoP proof is verified. Whatever is wrong so far costs neither code nor attempt.
        3. The code, and the transaction code if there is one, are traded for a token, in one transaction,
           which remembers the proof. Of a request whose code is unknown nothing is kept, or strangers could
           fill the database.

        Raises OAuthErrors.
        """
        now = self.tenant.clock()
        request = token.parse_token_request(body)
        proof = await self.tenant.verify_dpop(
            dpop_headers, path="/token", now=now, access_token=None, thumbprint=None
        )
        access_token = token.new_secret(self.tenant.random)
        redemption = grant_store.Redemption(
            tenant=self.url,
            code_digest=digest_of(request.pre_authorized_code),
            tx_digest=_optional_tx_digest(request),
            proof_digest=proof_digest(proof.thumbprint, proof.jti),
            proof_expires_at=proof.expires,
            requested=request.authorization_details,
            token_digest=digest_of(access_token),
            thumbprint=proof.thumbprint,
            token_expires_at=now + self.settings.access_token_lifetime,
            new_identifier=self._new_identifier,
            uses=self.settings.credentials_per_identifier,
        )
        authorization_details.check_locations(
            request.authorization_details, credential_issuer=self.url, required=False
        )
        outcome = await self.tenant.database.run(grant_store.redeem_grant, redemption, now=now)
        if isinstance(outcome, InvalidGrant):
            raise outcome
        return self._token_response(access_token, outcome)

    def _token_response(self, access_token: str, details: tuple[GrantedDetail, ...]) -> token.TokenResponse:
        return token.TokenResponse(
            access_token=access_token,
            token_type="DPoP",  # noqa: S106  a type, not a token
            expires_in=self.settings.access_token_lifetime,
            authorization_details=details,
        )


def _optional_tx_digest(request: token.TokenRequest) -> bytes | None:
    if request.tx_code is None:
        return None
    return tx_digest(request.tx_code, code=request.pre_authorized_code)
