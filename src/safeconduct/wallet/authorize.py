"""Logging in for a credential: the authorization code flow (OpenID4VCI 1.0 §5, RFC 9126, 7636, 9207, 9449).

The request is pushed, so that the browser carries a reference alone. The answer counts if it comes from the
server that was asked, to this request, and once; the code in it is good for the wallet's DPoP key only.
"""

from safeconduct.encoding import b64
from safeconduct.protocols.oauth import authorization_request, authorization_response, dpop, pkce
from safeconduct.protocols.oauth import metadata as server_metadata
from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest
from safeconduct.protocols.oauth.token import AuthorizationCodeRequest
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.wallet import redirect
from safeconduct.wallet.context import Context
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.line import Grant, IssuerLine, Strictness

LOGIN_SECONDS = 300
"""Time that the user has to log in; servers keep a pushed request for as long or less."""

_STATE_BYTES = 24


async def log_in(
    context: Context,
    line: IssuerLine,
    issuer: Issuer,
    configuration: CredentialConfiguration,
    *,
    issuer_state: str | None,
    strictness: Strictness,
) -> Grant:
    """Send the user to log in, and return what the token is good for.

    1. The request is pushed, with a PKCE challenge, a state and the DPoP key's thumbprint.
    2. The browser is shown the reference, and comes back to a port of this machine.
    3. The answer must have the state, without which it is nobody's, and name the server that was asked.
    4. The code is traded for a token.

    issuer_state: that of the offer. strictness: as `IssuerLine.obtain_token` has it.
    Raises Rejected: code_flow_not_offered, pkce_not_offered, iss_not_offered, login_refused, login_timeout,
    authorization_refused, iss_missing, iss_mismatch, and as `IssuerLine.obtain_token`.
    """
    endpoints = server_metadata.authorization_endpoints(issuer.server)
    verifier, state = pkce.new_verifier(context.random), b64.encode(context.random(_STATE_BYTES))
    details = line.details(configuration.id)
    async with redirect.listening(state) as back:
        request = AuthorizationRequest(
            client_id=context.client_id,
            redirect_uri=back.uri,
            code_challenge=pkce.challenge(verifier),
            state=state,
            authorization_details=details,
            issuer_state=issuer_state,
            dpop_jkt=dpop.thumbprint(line.dpop_key.public),
        )
        pushed = await line.push(request, endpoint=endpoints.pushed_request)
        context.browse(
            authorization_request.authorization_url(
                endpoints.authorization, client_id=context.client_id, request_uri=pushed.request_uri
            )
        )
        answer = await back.answer(seconds=min(LOGIN_SECONDS, max(pushed.expires_in, 1)))
    code = authorization_response.parse_authorization_response(
        answer, issuer=issuer.server.issuer, state=state
    )
    traded = AuthorizationCodeRequest(
        code=code,
        redirect_uri=back.uri,
        code_verifier=verifier,
        client_id=context.client_id,
        authorization_details=details,
    )
    return await line.obtain_token(traded, configuration=configuration.id, strictness=strictness)
