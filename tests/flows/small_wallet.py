"""An issuer in this process, and a wallet made of protocol steps only, each of which a test can bend."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import json
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.protocols.oauth import dpop, form, token
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.deferred import DeferredRequest, encode_deferred_request
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
)
from safeconduct.protocols.openid4vci.notification import Notification, encode_notification
from safeconduct.protocols.openid4vci.offer import (
    CredentialOffer,
    OfferReference,
    parse_offer,
    parse_offer_uri,
)
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.openid4vci.request import CredentialRequest, Proofs, encode_credential_request
from safeconduct.protocols.openid4vci.response import (
    CredentialResponse,
    DeferredResponse,
    parse_credential_response,
    sd_cwt_bytes,
)
from safeconduct.services.issuer import open_issuer
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.settings import IssuerSettings, KeyPlace, Secret
from safeconduct.telemetry import Telemetry
from safeconduct.trust import Trust

ISSUER = "https://issuer.example"
ADMIN = "https://admin.example"
ADMIN_TOKEN = "management-token-of-the-test"
NOW = 1_800_000_123
CLAIMS: Mapping[str, Any] = {
    "given_name": "Erika",
    "family_name": "Mustermann",
    "birthdate": "1964-08-12",
    "address": {"locality": "Köln", "country": "DE"},
    "nationalities": ["DE", "FR"],
}


class Clock:
    """A clock that a test turns."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass
class House:
    """A running issuer, and its management."""

    fetcher: Fetcher
    clock: Clock
    telemetry: Telemetry
    settings: IssuerSettings

    async def manage(self, method: str, path: str, body: Any = None, *, token: str = ADMIN_TOKEN) -> Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        return await self.fetcher.request(method, ADMIN + path, headers=headers, content=content)

    async def offer(self, **members: Any) -> dict[str, Any]:
        body = {"configuration_id": "identity", "claims": dict(CLAIMS), **members}
        answer = await self.manage("POST", "/offers", body)
        assert answer.status == 201, answer.body
        return answer.json()

    async def state(self, offer: Mapping[str, Any]) -> str:
        return str((await self.manage("GET", f"/offers/{offer['offer_id']}")).json()["state"])

    def wallet(self) -> "SmallWallet":
        return SmallWallet(self.fetcher, self.clock)

    async def holder(self, offer: Mapping[str, Any]) -> "SmallWallet":
        """A wallet with a token for the offer."""
        wallet = self.wallet()
        await wallet.take_token(offer["offer_uri"], tx_code=offer.get("tx_code"))
        return wallet

    async def trust(self) -> Trust:
        """The keys that the issuer publishes."""
        answer = await self.fetcher.request("GET", f"{ISSUER}/.well-known/jwt-vc-issuer")
        keys = [PublicKey.from_jwk(jwk) for jwk in answer.json()["jwks"]["keys"]]
        return Trust.of({ISSUER: keys})


@contextlib.asynccontextmanager
async def issuer_house(
    folder: Path, *, clock: Clock | None = None, fetchers: Fetchers | None = None, **settings: Any
) -> AsyncIterator[House]:
    chosen = IssuerSettings(
        **{
            "identifier": ISSUER,
            "database": "sqlite://",
            "signing_key": KeyPlace(folder / "issuer.pem"),
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    clock = clock or Clock()
    telemetry = Telemetry.silent("issuer")
    async with open_issuer(chosen, telemetry=telemetry, clock=clock, fetchers=fetchers) as [public, admin]:
        transport = InProcess({chosen.url: public.app, ADMIN: admin.app})
        async with HttpFetcher(allow_loopback=True, transport=transport) as fetcher:
            yield House(fetcher, clock, telemetry, chosen)


@dataclass
class SmallWallet:
    """The wallet's side, step by step. Arguments bend single steps; None leaves a step out."""

    fetcher: Fetcher
    clock: Clock
    issuer: str = ISSUER
    dpop_key: Key = field(default_factory=lambda: Key.generate("ES256"))
    holder: Key = field(default_factory=lambda: Key.generate("ES256"))
    dpop_nonce: str | None = None
    access_token: str = ""
    identifiers: tuple[str, ...] = ()
    response_key: encryption.ResponseKey | None = None

    async def metadata(self) -> IssuerMetadata:
        answer = await self.fetcher.request("GET", issuer_metadata_url(self.issuer))
        assert answer.status == 200, answer.body
        return parse_issuer_metadata(answer.body, credential_issuer=self.issuer, allow_http_loopback=True)

    async def read_offer(self, uri: str) -> CredentialOffer:
        offer = parse_offer_uri(uri, allow_http_loopback=True)
        if isinstance(offer, OfferReference):
            answer = await self.fetcher.request("GET", offer.url, content_types={"application/json"})
            assert answer.status == 200, answer.body
            return parse_offer(answer.body, allow_http_loopback=True)
        return offer

    def proof_of_possession(self, path: str, *, access_token: str | None = None, **bent: Any) -> str:
        arguments = {
            "key": self.dpop_key,
            "method": "POST",
            "url": self.issuer + path,
            "now": self.clock(),
            "access_token": access_token,
            "nonce": self.dpop_nonce,
        }
        return dpop.create(**{**arguments, **bent})

    async def nonces(self) -> str:
        answer = await self.fetcher.request("POST", f"{self.issuer}/nonce", content=b"")
        assert answer.status == 200, answer.body
        self.dpop_nonce = answer.headers["dpop-nonce"]
        return str(answer.json()["c_nonce"])

    async def redeem_form(self, body: bytes, *, proof: str | None = None) -> Response:
        headers = {"Content-Type": form.MEDIA_TYPE, "DPoP": proof or self.proof_of_possession("/token")}
        answer = await self.fetcher.request("POST", f"{self.issuer}/token", headers=headers, content=body)
        self.dpop_nonce = answer.headers.get("dpop-nonce", self.dpop_nonce)
        return answer

    async def redeem(self, uri: str, *, tx_code: str | None = None, proof: str | None = None) -> Response:
        offer = await self.read_offer(uri)
        assert offer.pre_authorized is not None
        request = token.TokenRequest(
            pre_authorized_code=offer.pre_authorized.code,
            tx_code=tx_code,
            authorization_details=tuple(map(CredentialDetail, offer.credential_configuration_ids)),
        )
        return await self.redeem_form(token.token_request_form(request), proof=proof)

    async def take_token(self, uri: str, *, tx_code: str | None = None) -> None:
        if self.dpop_nonce is None:
            await self.nonces()
        answer = await self.redeem(uri, tx_code=tx_code)
        assert answer.status == 200, answer.body
        granted = answer.json()
        self.access_token = granted["access_token"]
        self.identifiers = tuple(
            name for detail in granted["authorization_details"] for name in detail["credential_identifiers"]
        )

    async def request(self, **bent: Any) -> CredentialRequest:
        """A good credential request; `holders`, `c_nonce`, or any member of the request can be bent."""
        metadata = await self.metadata()
        holders = bent.pop("holders", [self.holder])
        c_nonce = bent.pop("c_nonce", None) or await self.nonces()
        proofs = [
            create_proof(key=key, audience=self.issuer, now=self.clock(), nonce=c_nonce) for key in holders
        ]
        assert metadata.response_encryption is not None
        self.response_key = encryption.new_response_key(metadata.response_encryption)
        members = {
            "credential_identifier": self.identifiers[0],
            "proofs": Proofs("jwt", tuple(proofs)),
            "response": self.response_key.parameters,
        }
        return CredentialRequest(**{**members, **bent})

    async def seal(self, payload: bytes, *, signed: bool = False) -> bytes:
        metadata = await self.metadata()
        assert metadata.request_encryption is not None
        to = encryption.choose_request_key(metadata.request_encryption)
        signature = None
        if signed:
            signature = encryption.RequestSignature(
                key=self.dpop_key, audience=self.issuer, access_token=self.access_token, now=self.clock()
            )
        return encryption.seal_request(payload, to=to, signature=signature)

    async def sealed(self, **bent: Any) -> bytes:
        """A good request (or a bent one), sealed."""
        signed = bent.pop("signed", False)
        return await self.seal(encode_credential_request(await self.request(**bent)), signed=signed)

    async def send(
        self,
        body: bytes,
        *,
        content_type: str = encryption.ENCRYPTED,
        path: str = "/credential",
        **headers: str | None,
    ) -> Response:
        """Sends a body to the credential or another endpoint; a header given as None is left out."""
        if self.dpop_nonce is None:
            await self.nonces()
        fields = {"Content-Type": content_type, **self.credential_headers(path), **headers}
        answer = await self.fetcher.request(
            "POST",
            f"{self.issuer}{path}",
            headers={name: value for name, value in fields.items() if value is not None},
            content=body,
        )
        self.dpop_nonce = answer.headers.get("dpop-nonce", self.dpop_nonce)
        return answer

    def credential_headers(self, path: str = "/credential") -> dict[str, str | None]:
        return {
            "authorization": f"DPoP {self.access_token}",
            "dpop": self.proof_of_possession(path, access_token=self.access_token),
        }

    async def ask(self, **bent: Any) -> Response:
        """Makes a good request (or a bent one), seals and sends it."""
        return await self.send(await self.sealed(**bent))

    async def poll(self, transaction_id: str, **bent: Any) -> Response:
        """Asks for a deferred credential, with a response key of its own."""
        metadata = await self.metadata()
        assert metadata.response_encryption is not None
        self.response_key = encryption.new_response_key(metadata.response_encryption)
        members = {"transaction_id": transaction_id, "response": self.response_key.parameters, **bent}
        signed = members.pop("signed", False)
        body = await self.seal(encode_deferred_request(DeferredRequest(**members)), signed=signed)
        return await self.send(body, path="/deferred_credential")

    async def notify(self, notification_id: str, event: Any, **headers: str | None) -> Response:
        body = encode_notification(Notification(notification_id=notification_id, event=event))
        return await self.send(body, content_type="application/json", path="/notification", **headers)

    def unseal(self, answer: Response, *, keys: int = 1) -> CredentialResponse | DeferredResponse:
        assert self.response_key is not None
        payload = encryption.open_response(
            answer.body, content_type=answer.headers["content-type"], key=self.response_key
        )
        return parse_credential_response(payload, keys=keys)

    def given(self, answer: Response, *, keys: int = 1) -> CredentialResponse:
        assert answer.status == 200, answer.body
        response = self.unseal(answer, keys=keys)
        assert isinstance(response, CredentialResponse)
        return response

    def promised(self, answer: Response) -> DeferredResponse:
        assert answer.status == 202, answer.body
        response = self.unseal(answer)
        assert isinstance(response, DeferredResponse)
        return response

    def open(self, answer: Response, *, keys: int = 1) -> tuple[bytes, ...]:
        return tuple(map(sd_cwt_bytes, self.given(answer, keys=keys).credentials))


def garbage(size: int) -> bytes:
    """Unpredictable bytes."""
    return secrets.token_bytes(size)
