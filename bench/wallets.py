"""Wallets that take credentials as fast as an issuer gives them: the protocol's steps and nothing besides."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.protocols.oauth import dpop, form, token
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
)
from safeconduct.protocols.openid4vci.offer import CredentialOffer, parse_offer_uri
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.openid4vci.request import CredentialRequest, Proofs, encode_credential_request
from safeconduct.protocols.openid4vci.response import CredentialResponse, parse_credential_response

NAMES = tuple(f"claim_{number}" for number in range(8))
CONFIGURATION = "\n".join(
    (
        "[[configurations]]",
        'id = "card"',
        'format = "dc+sd-jwt"',
        'vct = "https://issuer.example/card"',
        "[configurations.claims]",
        *(f"{name} = {{}}" for name in NAMES),
        "",
    )
)
CLAIMS = {name: f"value of {name}" for name in NAMES}


class Line:
    """The way to one issuer. latencies: seconds of each request, which the caller may clear."""

    def __init__(self, issuer: str, fetcher: HttpFetcher) -> None:
        self.issuer = issuer
        self.latencies: list[float] = []
        self._fetcher = fetcher

    @classmethod
    @asynccontextmanager
    async def open(cls, issuer: str) -> AsyncIterator[Self]:
        """Connect to the issuer of that identifier."""
        async with HttpFetcher(allow_loopback=True, timeout=60) as fetcher:
            yield cls(issuer, fetcher)

    async def post(self, path: str, body: bytes, **headers: str) -> Response:
        """Send a request and note how long the answer took."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        start = time.perf_counter()
        answer = await self._fetcher.request("POST", self.issuer + path, headers=fields, content=body)
        self.latencies.append(time.perf_counter() - start)
        assert answer.status == 200, answer.body
        return answer

    async def metadata(self) -> IssuerMetadata:
        answer = await self._fetcher.request("GET", issuer_metadata_url(self.issuer))
        return parse_issuer_metadata(answer.body, credential_issuer=self.issuer, allow_http_loopback=True)

    async def offer(self, admin: str, admin_token: str) -> str:
        """Have management make an offer; give its URI."""
        headers = {"Authorization": f"Bearer {admin_token}", "Content-Type": "application/json"}
        wish = json.dumps({"configuration_id": "card", "claims": CLAIMS})
        answer = await self._fetcher.request("POST", f"{admin}/offers", headers=headers, content=wish)
        assert answer.status == 201, answer.body
        return str(answer.json()["offer_uri"])


class Wallet:
    """One wallet, which may accept many offers."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._dpop_key = Key.generate("ES256")
        self._metadata: IssuerMetadata
        self._nonce = ""

    async def meet(self) -> None:
        """Read the metadata, and get a nonce for the first proof."""
        self._metadata = await self._line.metadata()
        await self._c_nonce()

    async def accept(self, uri: str, *, batch: int) -> int:
        """Take a token, a nonce, and `batch` credentials; give their number."""
        access_token, identifier = await self._token(uri)
        c_nonce = await self._c_nonce()
        assert self._metadata.request_encryption is not None
        assert self._metadata.response_encryption is not None
        proofs = tuple(
            create_proof(key=Key.generate("ES256"), audience=self._line.issuer, now=_now(), nonce=c_nonce)
            for _ in range(batch)
        )
        own = encryption.new_response_key(self._metadata.response_encryption)
        request = CredentialRequest(
            credential_identifier=identifier, proofs=Proofs("jwt", proofs), response=own.parameters
        )
        to = encryption.choose_request_key(self._metadata.request_encryption)
        answer = await self._line.post(
            "/credential",
            encryption.seal_request(encode_credential_request(request), to=to, signature=None),
            Content_Type=encryption.ENCRYPTED,
            Authorization=f"DPoP {access_token}",
            DPoP=self._proof("/credential", access_token=access_token),
        )
        self._nonce = answer.headers["dpop-nonce"]
        opened = encryption.open_response(answer.body, content_type=answer.headers["content-type"], key=own)
        response = parse_credential_response(opened, keys=batch)
        assert isinstance(response, CredentialResponse)
        return len(response.credentials)

    async def _token(self, uri: str) -> tuple[str, str]:
        offer = parse_offer_uri(uri, allow_http_loopback=True)
        assert isinstance(offer, CredentialOffer)
        assert offer.pre_authorized is not None
        wish = token.TokenRequest(
            pre_authorized_code=offer.pre_authorized.code, authorization_details=(CredentialDetail("card"),)
        )
        answer = await self._line.post(
            "/token",
            token.token_request_form(wish),
            Content_Type=form.MEDIA_TYPE,
            DPoP=self._proof("/token", access_token=None),
        )
        granted: dict[str, Any] = answer.json()
        return granted["access_token"], granted["authorization_details"][0]["credential_identifiers"][0]

    async def _c_nonce(self) -> str:
        answer = await self._line.post("/nonce", b"")
        self._nonce = answer.headers["dpop-nonce"]
        return str(answer.json()["c_nonce"])

    def _proof(self, path: str, *, access_token: str | None) -> str:
        return dpop.create(
            key=self._dpop_key,
            method="POST",
            url=self._line.issuer + path,
            now=_now(),
            access_token=access_token,
            nonce=self._nonce,
        )


def _now() -> int:
    return int(time.time())
