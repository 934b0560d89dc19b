"""A whole issuer, verifier and wallet server in memory, which a test can make misbehave in one place."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import redact
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import authorization_details as details
from safeconduct.protocols.oauth import dpop, token
from safeconduct.protocols.oauth import metadata as servers
from safeconduct.protocols.oauth.token import PRE_AUTHORIZED_CODE
from safeconduct.protocols.openid4vci import encryption, offer, proof
from safeconduct.protocols.openid4vci import metadata as issuers
from safeconduct.protocols.openid4vci import response as responses
from safeconduct.protocols.openid4vci.configuration import SD_CWT, CredentialConfiguration
from safeconduct.settings import WalletSettings
from safeconduct.wallet.wallet import Notice, Wallet, open_wallet

ISSUER = "https://issuer.example/tenant"
SERVER = "https://wallet-server.example"
VERIFIER = "https://verifier.example"
VCT = "https://issuer.example/identity"
NOW = 1_800_000_000

Handler = Callable[["World", str, Mapping[str, str], bytes], Response]


class Sent(msgspec.Struct, frozen=True):
    """A request that the wallet sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """Make a JSON answer."""
    content = b"" if body is None else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json", **named}, content)


class World:
    """Everything outside the wallet. Change an attribute, or put a handler for `METHOD host/path`."""

    def __init__(self) -> None:
        self.signing_key = Key.generate("ES256", kid="signing")
        self.published_key = self.signing_key.public
        self.encryption_key = AgreementKey.generate("P-256", kid="encryption")
        self.encrypts: bool = True
        self.encrypts_responses: bool = True
        self.requires: bool = True
        self.understands_signatures: bool = True
        self.tx_code: offer.TxCode | None = None
        self.expected_tx_code: str | None = None
        self.challenge_first = True
        self.claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "urn:uuid:1",
            "vct": VCT,
            "exp": NOW + 1000,
            "given_name": redact("Erika"),
            "family_name": redact("Mustermann"),
        }
        self.holder: Any = None
        self.issued_at = NOW
        self.nonce = "dpop-nonce-1"
        self.identifier = "identifier-of-128-random-bits"
        self.spent = False
        self.batch_size = 1
        self.names_identifiers = True
        self.payload: bytes | None = None
        self.format = SD_CWT
        self.proof_algorithms: tuple[str, ...] = ("unheard-of", "ES256")
        self.dpop_algorithms: tuple[str, ...] = ("ES256",)
        self.enc_values: tuple[str, ...] = ("A256GCM",)
        self.proofs_seen: list[dpop.DpopProof] = []
        self.requests_seen: list[encryption.ReceivedRequest] = []
        self.sent: list[Sent] = []
        self.handlers: dict[str, Handler] = {}

    @property
    def offer(self) -> offer.CredentialOffer:
        """What the issuer offers."""
        return offer.CredentialOffer(
            credential_issuer=ISSUER,
            credential_configuration_ids=("identity",),
            pre_authorized=offer.PreAuthorizedGrant(code="code-1", tx_code=self.tx_code),
        )

    @property
    def offer_uri(self) -> str:
        """The offer by value."""
        return offer.uri_by_value(self.offer)

    @property
    def metadata(self) -> issuers.IssuerMetadata:
        """What the issuer says about itself."""
        request = issuers.RequestEncryption(
            keys=(self.encryption_key.public,),
            enc_values=self.enc_values,
            required=self.requires,
            signed=self.understands_signatures,
        )
        response = issuers.ResponseEncryption(
            alg_values=("ECDH-ES",), enc_values=self.enc_values, required=self.requires
        )
        return issuers.IssuerMetadata(
            credential_issuer=ISSUER,
            credential_endpoint=f"{ISSUER}/credential",
            nonce_endpoint=f"{ISSUER}/nonce",
            request_encryption=request if self.encrypts else None,
            response_encryption=response if self.encrypts and self.encrypts_responses else None,
            batch_size=self.batch_size,
            configurations=(
                CredentialConfiguration(
                    id="identity",
                    format=self.format,
                    vct=VCT,
                    signing_algorithms=(-7,),
                    binding_methods=("cose_key",),
                    proof_algorithms={"jwt": self.proof_algorithms},
                ),
            ),
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = limits.FETCH_BYTES,  # noqa: ARG002
        content_types: Any = (),  # noqa: ARG002
    ) -> Response:
        """Answer as the party of that URL."""
        self.sent.append(Sent(method, url, headers or {}, content or b""))
        parts = urlsplit(url)
        place = f"{method} {parts.netloc}{parts.path}"
        handler = self.handlers.get(place) or _HANDLERS[place]
        return handler(self, url, headers or {}, content or b"")

    async def get_json(self, url: str, **_: Any) -> dict[str, Any]:
        """The wallet reads bodies itself."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""

    def to(self, place: str) -> list[Sent]:
        """What the wallet sent to URLs that contain `place`."""
        return [sent for sent in self.sent if place in sent.url]

    def issue(self, headers: Mapping[str, str], body: bytes) -> Response:
        """The credential endpoint, whoever calls it."""
        shown = dpop.verify(
            headers["DPoP"],
            method="POST",
            url=f"{ISSUER}/credential",
            now=NOW,
            access_token="token-1",
            expected_thumbprint=None,
            nonce_ok=None,
        )
        if shown.nonce != self.nonce:
            return challenge(self.nonce)
        if shown.jti in [earlier.jti for earlier in self.proofs_seen]:
            return answer(401, {"error": "invalid_dpop_proof"})
        self.proofs_seen.append(shown)
        received = encryption.receive_request(
            body,
            content_type=headers["Content-Type"],
            encryption=encryption.IssuerEncryption(
                request=self.metadata.request_encryption,
                response=self.metadata.response_encryption,
                keys={"encryption": self.encryption_key},
            ),
            sender=encryption.Sender(audience=ISSUER, access_token="token-1", key=shown.key),
            batch_size=1,
            now=NOW,
        )
        self.requests_seen.append(received)
        named = self.identifier if self.names_identifiers else None
        if received.request.credential_identifier != named or self.spent:
            return answer(400, {"error": "unknown_credential_identifier"})
        assert received.request.proofs is not None
        holder = proof.verify_proof(
            received.request.proofs.values[0],
            audience=ISSUER,
            now=NOW,
            nonce_ok=lambda value: value == "c-nonce-1",
            client_id=None,
            algorithms=("ES256",),
        )
        self.spent = True
        issued = sd_cwt.issue(
            self.claims,
            issuer=self.signing_key,
            holder=self.holder or holder,
            now=self.issued_at,
            kid=b"signing",
        )
        payload = responses.encode_credential_response(
            responses.CredentialResponse(credentials=(responses.sd_cwt_text(issued),))
        )
        payload = self.payload or payload
        if received.request.response is None:
            return Response(200, {"content-type": "application/json"}, payload)
        sealed = encryption.seal_response(payload, parameters=received.request.response)
        return Response(200, {"content-type": "application/jwt"}, sealed)


def challenge(nonce: str) -> Response:
    """The answer that asks for a proof with this nonce."""
    return answer(
        401,
        {"error": "use_dpop_nonce"},
        dpop_nonce=nonce,
        www_authenticate='DPoP error="use_dpop_nonce", algs="ES256"',
    )


def _issuer_metadata(world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(200, issuers.issuer_metadata_json(world.metadata))


def _server_metadata(world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    server = servers.AuthorizationServer(
        issuer=ISSUER,
        token_endpoint=f"{ISSUER}/token",
        grant_types_supported=(PRE_AUTHORIZED_CODE,),
        dpop_signing_alg_values_supported=world.dpop_algorithms,
        authorization_details_types_supported=("openid_credential",),
        anonymous_pre_authorized=True,
    )
    return answer(200, servers.server_metadata_json(server))


def _keys(world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(200, {"issuer": ISSUER, "jwks": {"keys": [world.published_key.to_jwk()]}})


def _offer(world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(200, offer.offer_json(world.offer))


def _token(world: World, url: str, headers: Mapping[str, str], body: bytes) -> Response:
    shown = dpop.verify(
        headers["DPoP"],
        method="POST",
        url=url,
        now=NOW,
        access_token=None,
        expected_thumbprint=None,
        nonce_ok=None,
    )
    if world.challenge_first and shown.nonce is None:
        return answer(400, {"error": "use_dpop_nonce"}, dpop_nonce=world.nonce)
    received = token.parse_token_request(body)
    if received.tx_code != world.expected_tx_code:
        return answer(400, {"error": "invalid_grant"})
    granted = (details.GrantedDetail("identity", (world.identifier,)),) if world.names_identifiers else ()
    made = token.TokenResponse(access_token="token-1", token_type="DPoP", authorization_details=granted)
    return answer(200, token.token_response_json(made))


def _nonce(world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(200, {"c_nonce": "c-nonce-1"}, dpop_nonce=world.nonce)


def _credential(world: World, _url: str, headers: Mapping[str, str], body: bytes) -> Response:
    return world.issue(headers, body)


def _session(_world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(201, {"session": "session-1", "expires_in": 60, "issuers": [ISSUER]})


def _end_session(_world: World, _url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
    return answer(204)


_HANDLERS: dict[str, Handler] = {
    "GET issuer.example/.well-known/openid-credential-issuer/tenant": _issuer_metadata,
    "GET issuer.example/.well-known/oauth-authorization-server/tenant": _server_metadata,
    "GET issuer.example/.well-known/jwt-vc-issuer/tenant": _keys,
    "GET issuer.example/tenant/offers/1": _offer,
    "POST issuer.example/tenant/token": _token,
    "POST issuer.example/tenant/nonce": _nonce,
    "POST issuer.example/tenant/credential": _credential,
    "POST wallet-server.example/sessions": _session,
    "DELETE wallet-server.example/sessions": _end_session,
    "POST wallet-server.example/forward/credential": _credential,
}


class Bench(msgspec.Struct, frozen=True):
    """A world, and a way to run steps of a wallet in it. moments: the last one is the time."""

    world: World
    directory: Path
    notices: list[Notice]
    moments: list[int]
    slept: list[float] = []

    def hurry(self) -> None:
        """Let sleeping only move the clock."""
        self.slept.append(0)

    def run(self, steps: Callable[[Wallet], Awaitable[Any]]) -> Any:
        """Open the wallet, take the steps, close it."""

        async def main() -> Any:
            async with self.wallet() as wallet:
                return await steps(wallet)

        return asyncio.run(main())

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.moments.append(self.moments[-1] + max(int(seconds), 1))

    @asynccontextmanager
    async def wallet(self) -> Any:
        """Open the wallet."""
        settings = WalletSettings(store=self.directory, allow_loopback_http=False)
        async with open_wallet(
            settings,
            clock=lambda: self.moments[-1],
            fetcher=self.world,
            report=self.notices.append,
            sleep=self.sleep if self.slept else asyncio.sleep,
        ) as wallet:
            yield wallet


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A world, and a wallet in a directory of its own."""
    return Bench(World(), tmp_path / "wallet", [], [NOW])
