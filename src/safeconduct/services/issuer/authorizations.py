"""The authorization code flow: a wallet pushes its request, a person logs in and decides, a code is made.

Of a request the browser carries only a reference. A cookie binds it to the browser that has opened it:
whoever learns the reference cannot take a login over, and a form of another site lacks the token that is made
from the cookie. Of cookie, reference and code only digests are stored.
"""

import hmac
from collections.abc import Mapping

import msgspec

from safeconduct.encoding import b64
from safeconduct.protocols.oauth import authorization_details, dpop, form, token
from safeconduct.protocols.oauth.authorization_request import (
    AuthorizationRequest,
    PushedResponse,
    parse_authorization_request,
)
from safeconduct.protocols.oauth.authorization_response import AuthorizationAnswer, redirect_to
from safeconduct.protocols.oauth.client_attestation import ClientAttestation
from safeconduct.protocols.oauth.errors import InvalidClient, InvalidRequest
from safeconduct.services.issuer import authorization_store
from safeconduct.services.issuer.authenticator import Authenticator, LoginRefused, Prompt
from safeconduct.services.issuer.authorization_store import Identity, NewAuthorization, Pushed
from safeconduct.services.issuer.clients import ClientHeaders, Clients
from safeconduct.services.issuer.digests import attestation_digest, digest_of, proof_digest
from safeconduct.services.issuer.key_store import insert_once
from safeconduct.services.issuer.tables import seen
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.services.issuer.wishes import wish_or_refuse
from safeconduct.web.quota import Quota

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
"""What a reference begins with (RFC 9126 §2.2)."""

RECOUNT_SECONDS = 60
"""How often the requests that are kept are counted anew."""

_ID_BYTES = 16


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser shows of itself with a request: the reference, and its cookie for it, if it has one."""

    reference: str
    cookie: str | None

    def __repr__(self) -> str:
        return "<Visit>"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A request in a browser. cookie: the one to set. identity: who has logged in; None before."""

    reference: str
    cookie: str
    pushed: Pushed
    identity: Identity | None

    def __repr__(self) -> str:
        return "<Opened>"

    @property
    def csrf(self) -> str:
        """What forms on the page must send back."""
        return csrf_of(self.cookie, self.reference)


class Wrong(msgspec.Struct, frozen=True):
    """A login that failed and may be tried again. reason: for the person."""

    opened: Opened
    reason: str


class Authorizations:
    """The authorization endpoint and the endpoint for pushed requests, over the database."""

    def __init__(self, tenant: Tenant, clients: Clients, authenticator: Authenticator) -> None:
        self._tenant = tenant
        self._settings = tenant.settings
        self._database = tenant.database
        self._clients = clients
        self._authenticator = authenticator
        self._scopes = {name: kind.configuration.scope for name, kind in tenant.catalogue.items()}
        self._quota = Quota()
        self._counted_at = -RECOUNT_SECONDS

    async def authenticate(self, headers: ClientHeaders, *, now: int) -> ClientAttestation | None:
        """Returns the wallet that has authenticated, None for another client; its proof is good once.

        Raises InvalidClient, also "client_attestation_replayed".
        """
        attested = self._clients.authenticate(headers, now=now)
        if attested is not None:
            digest = attestation_digest(attested.thumbprint, attested.jti)
            row = {"digest": digest, "expires_at": attested.pop_expires}
            if not await self._database.run(insert_once, seen, row):
                raise InvalidClient("client_attestation_replayed", "The client's proof was used before.")
        return attested

    # The endpoint for pushed requests.

    async def push(self, body: bytes, headers: ClientHeaders) -> PushedResponse:
        """Keeps an authorization request and returns a reference to it (RFC 9126 §2).

        1. The DPoP proof is verified, if there is one; and the client's attestation.
        2. The form is read, and the redirect URI is the client's.
        3. The proof's key and `dpop_jkt` are one; the code will be bound to it (RFC 9449 §10.1).
        4. There is something here that the request asks for; with an `issuer_state`, in that offer.

        Raises OAuthErrors, TooMuchOpen.
        """
        now = self._tenant.clock()
        proof = None
        if headers.dpop:
            proof = await self._tenant.verify_dpop(
                headers.dpop, path="/par", now=now, access_token=None, thumbprint=None
            )
        attested = await self.authenticate(headers, now=now)
        request = parse_authorization_request(body, client_id=attested.client_id if attested else None)
        if proof is not None:
            if request.dpop_jkt not in (None, proof.thumbprint):
                raise InvalidRequest(
                    "dpop_jkt_mismatch", "dpop_jkt is not the key of the DPoP proof.", rule="RFC 9449 §10.1"
                )
            request = msgspec.structs.replace(request, dpop_jkt=proof.thumbprint)
        return await self._push(request, attested, proof, now)

    async def _push(
        self,
        request: AuthorizationRequest,
        attested: ClientAttestation | None,
        proof: dpop.DpopProof | None,
        now: int,
    ) -> PushedResponse:
        self._clients.check_redirect_uri(
            request.client_id, request.redirect_uri, attested=attested is not None
        )
        pushed = await self._pushed(request, attested, now)
        await self._recount(now)
        self._quota.take()
        reference = token.new_secret(self._tenant.random)
        await self._database.run(
            authorization_store.push_authorization,
            self._tenant.url,
            digest_of(reference),
            pushed,
            attempts_left=self._settings.login_attempts,
            proof=None if proof is None else (proof_digest(proof.thumbprint, proof.jti), proof.expires),
            now=now,
            expires_at=now + self._settings.request_uri_lifetime,
        )
        return PushedResponse(REQUEST_URI + reference, self._settings.request_uri_lifetime)

    async def _pushed(
        self, request: AuthorizationRequest, attested: ClientAttestation | None, now: int
    ) -> Pushed:
        authorization_details.check_locations(
            request.authorization_details, credential_issuer=self._tenant.url, required=False
        )
        offered = tuple(self._tenant.catalogue)
        if request.issuer_state is not None:
            offered = await self._database.run(
                authorization_store.find_offered, self._tenant.url, digest_of(request.issuer_state), now=now
            )
        wish = wish_or_refuse(
            request.authorization_details, request.scope, offered=offered, scopes=self._scopes
        )
        name = self._clients.name_of(request.client_id)
        return Pushed(
            # What it comes to stands beside it; strangers' long lists are not kept.
            request=msgspec.structs.replace(request, authorization_details=(), scope=(), resource=None),
            named=wish.named,
            unnamed=wish.unnamed,
            scope=wish.scope,
            client_name=name or (attested.wallet_name if attested else None) or request.client_id,
            vouched=bool(name) or attested is not None,
        )

    async def _recount(self, now: int) -> None:
        if now - self._counted_at >= RECOUNT_SECONDS:
            self._quota.recount(await self._database.run(authorization_store.count_authorizations))
            self._counted_at = now

    # The authorization endpoint.

    async def reference_of(self, query: str) -> tuple[str, str]:
        """Returns the reference and the client of an authorization request's query.

        Whatever else stands there is ignored (RFC 9101 §6.3). A request that was not pushed is kept now, if
        the settings allow that.

        Raises InvalidRequest "request_not_pushed", "request_uri_unknown"; InvalidClient "client_id_missing";
        and as `push`.
        """
        parameters = form.parse_form(query)
        client_id = form.client_id(parameters)
        request_uri = form.bounded(parameters, "request_uri")
        if client_id is None:
            raise InvalidClient("client_id_missing", "The request names no client.", rule="RFC 9126 §4")
        if request_uri is not None:
            if not request_uri.startswith(REQUEST_URI):
                raise InvalidRequest(
                    "request_uri_unknown", "The authorization request is unknown or expired."
                )
            return request_uri.removeprefix(REQUEST_URI), client_id
        if self._settings.require_pushed_requests or self._settings.client_attestation == "required":
            raise InvalidRequest(
                "request_not_pushed", "The authorization request must be pushed.", rule="FAPI 2.0 §5.3.2.2"
            )
        pushed = await self._push(parse_authorization_request(query), None, None, self._tenant.clock())
        return pushed.request_uri.removeprefix(REQUEST_URI), client_id

    async def open(self, visit: Visit, *, client_id: str) -> Opened:
        """Binds a request to the browser that opens it. Raises InvalidRequest, as `open_authorization`."""
        now = self._tenant.clock()
        fresh = token.new_secret(self._tenant.random)
        outcome = await self._database.run(
            authorization_store.open_authorization,
            self._tenant.url,
            digest_of(visit.reference),
            client_id=client_id,
            login_digest=digest_of(fresh),
            known_digest=None if visit.cookie is None else digest_of(visit.cookie),
            now=now,
            expires_at=now + self._settings.login_lifetime,
        )
        if isinstance(outcome, InvalidRequest):
            raise outcome
        prompted, known = outcome
        cookie = visit.cookie if known and visit.cookie is not None else fresh
        return Opened(
            reference=visit.reference, cookie=cookie, pushed=prompted.pushed, identity=prompted.identity
        )

    async def prompt(self, *, link: str | None) -> Prompt:
        """Returns what the login page shall ask for. link: the one that the browser has opened, if any."""
        return await self._authenticator.begin(link=link, now=self._tenant.clock())

    async def find(self, visit: Visit) -> Opened:
        """Returns a request that this browser has opened. Raises InvalidRequest, as `find_prompted`."""
        outcome = await self._database.run(
            authorization_store.find_prompted,
            self._tenant.url,
            digest_of(visit.reference),
            digest_of(visit.cookie or ""),
            now=self._tenant.clock(),
        )
        if isinstance(outcome, InvalidRequest):
            raise outcome
        return Opened(
            reference=visit.reference,
            cookie=visit.cookie or "",
            pushed=outcome.pushed,
            identity=outcome.identity,
        )

    async def log_in(self, visit: Visit, fields: Mapping[str, str]) -> Opened | Wrong | str:
        """Lets a person log in: returns the request under a new cookie, or what was wrong.

        After the last attempt the request is denied; then the URL is returned that tells the wallet.
        Raises InvalidRequest, as `find` and `check_csrf`.
        """
        now = self._tenant.clock()
        check_csrf(visit, fields)
        opened = await self.find(visit)
        given = {name: fields[name] for name in ("account", "password", "link") if name in fields}
        try:
            identity = await self._authenticator.login(given, now=now)
        except LoginRefused as error:
            return await self._failed(opened, error, now)
        cookie = token.new_secret(self._tenant.random)
        refusal = await self._database.run(
            authorization_store.log_in,
            self._tenant.url,
            digest_of(visit.reference),
            digest_of(opened.cookie),
            identity=identity,
            new_login_digest=digest_of(cookie),
            now=now,
        )
        if refusal is not None:
            raise refusal
        return msgspec.structs.replace(opened, cookie=cookie, identity=identity)

    async def _failed(self, opened: Opened, error: LoginRefused, now: int) -> Wrong | str:
        more = await self._database.run(
            authorization_store.fail_login,
            self._tenant.url,
            digest_of(opened.reference),
            digest_of(opened.cookie),
            now=now,
        )
        if isinstance(more, InvalidRequest):
            raise more
        return Wrong(opened, error.reason) if more else self._answer(opened.pushed, error="access_denied")

    async def decide(self, visit: Visit, fields: Mapping[str, str]) -> str:
        """Carries out what the person has decided, and returns the URL that tells the wallet.

        fields: `decision` is "allow", or anything else to refuse. Raises InvalidRequest, as `find` and
        `check_csrf`, and "login_missing".
        """
        now = self._tenant.clock()
        check_csrf(visit, fields)
        place = (self._tenant.url, digest_of(visit.reference), digest_of(visit.cookie or ""))
        if fields.get("decision") != "allow":
            denied = await self._database.run(authorization_store.deny, *place, now=now)
            if isinstance(denied, InvalidRequest):
                raise denied
            return self._answer(denied, error="access_denied")
        opened = await self.find(visit)
        issuer_state = opened.pushed.request.issuer_state
        code = token.new_secret(self._tenant.random)
        new = NewAuthorization(
            grant_id=self._tenant.random(_ID_BYTES).hex(),
            code_digest=digest_of(code),
            issuer_state_digest=None if issuer_state is None else digest_of(issuer_state),
            expires_at=now + self._settings.code_lifetime,
        )
        outcome = await self._database.run(authorization_store.consent, *place, new=new, now=now)
        if isinstance(outcome, InvalidRequest):
            raise outcome
        if isinstance(outcome, tuple):
            return self._answer(outcome[0], error=outcome[1].oauth_error)
        return self._answer(outcome, code=code)

    def _answer(self, pushed: Pushed, *, code: str | None = None, error: str | None = None) -> str:
        answer = AuthorizationAnswer(
            issuer=self._tenant.url, state=pushed.request.state, code=code, error=error
        )
        return redirect_to(pushed.request.redirect_uri, answer)


def csrf_of(cookie: str, reference: str) -> str:
    """Returns the token of forms for one request in one browser."""
    return b64.encode(hmac.digest(cookie.encode(), f"form {reference}".encode(), "sha256"))


def check_csrf(visit: Visit, fields: Mapping[str, str]) -> None:
    """Checks that a form comes from our page in this browser.

    Raises InvalidRequest "browser_unknown" (no cookie), "csrf_mismatch".
    """
    if visit.cookie is None:
        raise InvalidRequest("browser_unknown", "The authorization request was opened by another browser.")
    expected, given = csrf_of(visit.cookie, visit.reference), fields.get("csrf", "")
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass")):
        raise InvalidRequest("csrf_mismatch", "The form does not come from the page.")
