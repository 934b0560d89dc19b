"""The authorization server of one issuer: a code or a refresh token is traded for an access token."""

from collections.abc import Callable

import msgspec

from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import authorization_details, authorization_request, pkce, token
from safeconduct.protocols.oauth.client_attestation import ClientAttestation
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.oauth.errors import InvalidClient, InvalidGrant
from safeconduct.protocols.oauth.metadata import AuthorizationServer as ServerMetadata
from safeconduct.services.issuer import authorization_store, redemption_store
from safeconduct.services.issuer.authenticator import Authenticator, BuiltInAuthenticator
from safeconduct.services.issuer.authorizations import Authorizations
from safeconduct.services.issuer.clients import ClientHeaders, Clients
from safeconduct.services.issuer.digests import digest_of, identifier_of, proof_digest, tx_digest
from safeconduct.services.issuer.redemption_store import Granted, NewToken
from safeconduct.services.issuer.tenant import Tenant


class LoginLink(msgspec.Struct, frozen=True):
    """A link by which its reader logs in once. expires_in: seconds."""

    url: str
    expires_in: int

    def __repr__(self) -> str:
        return f"<LoginLink expires_in={self.expires_in}>"


class AuthorizationServer:
    """The built-in authorization server. Raises the errors that its endpoints answer."""

    def __init__(
        self,
        tenant: Tenant,
        *,
        new_identifier: Callable[[str, str], str] = identifier_of,
        authenticator: Authenticator | None = None,
    ) -> None:
        """authenticator: asks people who they are; by links and accounts of the settings unless given.

        new_identifier: makes credential identifiers; another than the default is for tests only.
        Raises SettingsError (a file of clients, attesters or accounts).
        """
        self.tenant = tenant
        self.url = tenant.url
        self.settings = tenant.settings
        self.clients = Clients.load(tenant.settings)
        self.authorizations = Authorizations(
            tenant, self.clients, authenticator or BuiltInAuthenticator.load(tenant)
        )
        self._new_identifier = new_identifier
        self._scopes = {name: kind.configuration.scope for name, kind in tenant.catalogue.items()}
        self._may_defer = frozenset(name for name, kind in tenant.catalogue.items() if kind.source)

    def metadata(self) -> ServerMetadata:
        """Returns the metadata of the authorization server, which is the issuer itself (RFC 8414)."""
        settings = self.settings
        return ServerMetadata(
            issuer=self.url,
            token_endpoint=f"{self.url}/token",
            authorization_endpoint=f"{self.url}/authorize",
            pushed_authorization_request_endpoint=f"{self.url}/par",
            require_pushed_authorization_requests=settings.require_pushed_requests,
            response_types_supported=(authorization_request.RESPONSE_TYPE,),
            grant_types_supported=token.GRANT_TYPES,
            token_endpoint_auth_methods_supported=self.clients.auth_methods,
            code_challenge_methods_supported=(pkce.METHOD,),
            dpop_signing_alg_values_supported=jwt.PROOF_ALGORITHMS,
            authorization_details_types_supported=(authorization_details.TYPE,),
            scopes_supported=tuple(sorted({scope for scope in self._scopes.values() if scope})),
            authorization_response_iss_parameter_supported=True,
            client_attestation_signing_alg_values_supported=self.clients.attestation_algorithms,
            client_attestation_pop_signing_alg_values_supported=self.clients.attestation_algorithms,
            status_list_aggregation_endpoint=settings.status_list_aggregation or None,
            anonymous_pre_authorized=settings.client_attestation != "required",
        )

    async def redeem(self, body: bytes, headers: ClientHeaders) -> token.TokenResponse:
        """Trades a code or a refresh token for an access token (RFC 6749 §4.1.3 and §6, OpenID4VCI 1.0 §6).

        1. The form is read.
        2. The DPoP proof is verified, and the client's attestation if there is one. Whatever is wrong so far
           costs neither code nor attempt.
        3. The code is traded for a token, in one transaction, which remembers the proof. Of a request whose
           code is unknown nothing is kept, or strangers could fill the database.

        Raises OAuthErrors.
        """
        now = self.tenant.clock()
        request = token.parse_token_request(body)
        proof = await self.tenant.verify_dpop(
            headers.dpop, path="/token", now=now, access_token=None, thumbprint=None
        )
        attested = await self.authorizations.authenticate(headers, now=now)
        client_id = _client_id(request, attested)
        authorization_details.check_locations(
            request.authorization_details, credential_issuer=self.url, required=False
        )
        if isinstance(request, token.RefreshRequest):
            return await self._refresh(request, client_id, proof, now)
        if isinstance(request, token.AuthorizationCodeRequest):
            return await self._redeem_code(request, client_id, attested is not None, proof, now)
        return await self._redeem_pre_authorized(request, client_id, proof, now)

    async def create_login_link(self, subject: str) -> LoginLink:
        """Makes a link by which its reader logs in as `subject`, once, in the code flow."""
        secret = token.new_secret(self.tenant.random)
        lifetime = self.settings.login_link_lifetime
        await self.tenant.database.run(
            authorization_store.add_link,
            self.url,
            digest_of(secret),
            subject=subject,
            expires_at=self.tenant.clock() + lifetime,
        )
        return LoginLink(f"{self.url}/login/{secret}", lifetime)

    async def _redeem_pre_authorized(
        self, request: token.TokenRequest, client_id: str | None, proof: DpopProof, now: int
    ) -> token.TokenResponse:
        given = self._secrets()
        code = redemption_store.PreAuthorized(
            code_digest=digest_of(request.pre_authorized_code),
            tx_digest=_optional_tx_digest(request),
            client_id=client_id,
            retry_since=now - self.settings.retry_window,
        )
        outcome = await self.tenant.database.run_short(
            redemption_store.redeem_grant,
            code,
            self._wanted(request),
            self._new_token(given, proof, now),
            now=now,
        )
        return self._answer(given, outcome)

    async def _redeem_code(
        self,
        request: token.AuthorizationCodeRequest,
        client_id: str | None,
        attested: bool,
        proof: DpopProof,
        now: int,
    ) -> token.TokenResponse:
        if client_id is None:
            raise InvalidClient("client_id_missing", "The client must name itself.", rule="RFC 6749 §4.1.3")
        self.clients.check_known(client_id, attested=attested)
        given = self._secrets()
        code = redemption_store.Authorized(
            code_digest=digest_of(request.code),
            client_id=client_id,
            redirect_uri=request.redirect_uri,
            code_verifier=request.code_verifier,
        )
        outcome = await self.tenant.database.run_short(
            redemption_store.redeem_code,
            code,
            self._wanted(request),
            self._new_token(given, proof, now),
            now=now,
        )
        return self._answer(given, outcome)

    async def _refresh(
        self, request: token.RefreshRequest, client_id: str | None, proof: DpopProof, now: int
    ) -> token.TokenResponse:
        given = _Secrets(token.new_secret(self.tenant.random), request.refresh_token)
        refreshing = redemption_store.Refreshing(digest=digest_of(request.refresh_token), client_id=client_id)
        outcome = await self.tenant.database.run_short(
            redemption_store.refresh,
            refreshing,
            self._wanted(request),
            self._new_token(given, proof, now),
            now=now,
        )
        return self._answer(given, outcome)

    def _wanted(self, request: token.AnyTokenRequest) -> redemption_store.Wanted:
        scope = () if isinstance(request, token.AuthorizationCodeRequest) else request.scope
        return redemption_store.Wanted(
            details=request.authorization_details, scope=scope, scopes=self._scopes
        )

    def _secrets(self) -> "_Secrets":
        return _Secrets(token.new_secret(self.tenant.random), token.new_secret(self.tenant.random))

    def _new_token(self, given: "_Secrets", proof: DpopProof, now: int) -> NewToken:
        refreshing = self.settings.refresh_token_lifetime
        return NewToken(
            tenant=self.url,
            digest=digest_of(given.access_token),
            expires_at=now + self.settings.access_token_lifetime,
            thumbprint=proof.thumbprint,
            proof_digest=proof_digest(proof.thumbprint, proof.jti),
            proof_expires_at=proof.expires,
            refresh_digest=digest_of(given.refresh_token),
            refresh_expires_at=now + refreshing if refreshing else None,
            deferred_expires_at=now + self.settings.deferred_lifetime,
            may_defer=self._may_defer,
            identifier_for=lambda name: self._new_identifier(given.refresh_token, name),
            uses=self.settings.credentials_per_identifier,
        )

    def _answer(self, given: "_Secrets", outcome: Granted | InvalidGrant) -> token.TokenResponse:
        if isinstance(outcome, InvalidGrant):
            raise outcome
        return token.TokenResponse(
            access_token=given.access_token,
            token_type="DPoP",  # noqa: S106  a type, not a token
            expires_in=self.settings.access_token_lifetime,
            authorization_details=outcome.details,
            scope=outcome.scope,
            refresh_token=given.refresh_token if outcome.refreshable else None,
        )


class _Secrets(msgspec.Struct, frozen=True):
    """What goes with one access token. The credential identifiers are made from the refresh token."""

    access_token: str
    refresh_token: str

    def __repr__(self) -> str:
        return "<_Secrets>"


def _client_id(request: token.AnyTokenRequest, attested: ClientAttestation | None) -> str | None:
    if attested is None:
        return request.client_id
    if request.client_id not in (None, attested.client_id):
        raise InvalidClient("client_id_mismatch", "The client names another than it has shown to be.")
    return attested.client_id


def _optional_tx_digest(request: token.TokenRequest) -> bytes | None:
    if request.tx_code is None:
        return None
    return tx_digest(request.tx_code, code=request.pre_authorized_code)
