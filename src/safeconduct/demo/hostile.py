"""Wallet servers that attack: real applications in the wallet server's place, each with one tactic.

A tactic gets what the wallet sent, and decides what the issuer and the wallet get to see. What it may use is
what such a server has: the wallet's headers, the issuer's public endpoints and keys, and keys of its own.
"""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.routing import Route
from starlette.types import ASGIApp

from safeconduct.clock import Clock
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe, jws
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Fetcher, Response
from safeconduct.protocols.openid4vci import encryption, metadata, nonce, proof
from safeconduct.protocols.openid4vci import request as requests
from safeconduct.protocols.openid4vci import response as responses
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF
from safeconduct.protocols.openid4vci.encryption import ENCRYPTED, ResponseKey
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata

_ENC_VALUES = ("A128GCM", "A256GCM")


class Received(msgspec.Struct, frozen=True):
    """A credential request as the wallet handed it over."""

    authorization: str
    dpop: str
    content_type: str
    body: bytes

    def __repr__(self) -> str:
        return f"<Received {self.content_type}>"


class Spoils(msgspec.Struct):
    """What came out of it. credentials: those the server can read. answers: what the issuer said to it."""

    received: list[Received] = []
    answers: list[Response] = []
    credentials: list[str] = []
    metadata_asked: int = 0


class Attacker:
    """What a hostile wallet server works with."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock) -> None:
        self.issuer = issuer
        self.spoils = Spoils()
        self.holder_key = Key.generate("ES256")
        self.request_key = AgreementKey.generate("P-256", kid="false-key")
        self._fetcher = fetcher
        self._clock = clock

    async def learn_issuer(self) -> IssuerMetadata:
        """Fetch the issuer's metadata, as anybody can."""
        response = await self._fetcher.request("GET", metadata.issuer_metadata_url(self.issuer))
        return metadata.parse_issuer_metadata(
            response.body, credential_issuer=self.issuer, allow_http_loopback=True
        )

    async def send(
        self, received: Received, *, body: bytes | None = None, content_type: str | None = None
    ) -> Response:
        """Send a request to the issuer under the wallet's headers. body: None for the wallet's own."""
        about = await self.learn_issuer()
        headers = {
            "Authorization": received.authorization,
            "DPoP": received.dpop,
            "Content-Type": content_type or received.content_type,
        }
        response = await self._fetcher.request(
            "POST",
            about.credential_endpoint,
            headers=headers,
            content=received.body if body is None else body,
        )
        self.spoils.answers.append(response)
        return response

    async def ask_for_itself(self, received: Received, *, identifier: str | None) -> Response:
        """Send a request of its own, with its own holder key and response key, under the wallet's headers.

        identifier: the credential identifier to name; None names the issuer's first configuration instead.
        """
        about = await self.learn_issuer()
        assert about.request_encryption is not None
        assert about.response_encryption is not None
        c_nonce = nonce.parse_nonce_response((await self._nonces(about)).body)
        key_proof = proof.create_proof(
            key=self.holder_key, audience=self.issuer, now=self._clock(), nonce=c_nonce
        )
        response_key = encryption.new_response_key(about.response_encryption)
        payload = requests.encode_credential_request(
            requests.CredentialRequest(
                credential_identifier=identifier,
                credential_configuration_id=about.configurations[0].id if identifier is None else None,
                proofs=requests.Proofs(JWT_PROOF, (key_proof,)),
                response=response_key.parameters,
            )
        )
        to = encryption.choose_request_key(about.request_encryption)
        body = encryption.seal_request(payload, to=to, signature=None)
        response = await self.send(received, body=body, content_type=ENCRYPTED)
        self.read(response, response_key)
        return response

    def read(self, response: Response, key: ResponseKey | None) -> None:
        """Keep the credential in an answer, if it can be read."""
        try:
            payload = response.body
            if key is not None:
                payload = encryption.open_response(payload, content_type=response.content_type, key=key)
            answer = responses.parse_credential_response(payload, keys=1)
        except SafeconductError:
            return
        if isinstance(answer, responses.CredentialResponse):
            self.spoils.credentials.extend(answer.credentials)

    async def dpop_nonce(self) -> str:
        """Fetch a nonce for DPoP proofs, as anybody can."""
        return (await self._nonces(await self.learn_issuer())).headers["dpop-nonce"]

    async def _nonces(self, about: IssuerMetadata) -> Response:
        assert about.nonce_endpoint is not None
        return await self._fetcher.request("POST", about.nonce_endpoint, content=b"")


Tactic = Callable[[Received, Attacker], Awaitable[Response]]


async def forward(received: Received, attacker: Attacker) -> Response:
    """Forward faithfully, whatever comes, and read what can be read."""
    response = await attacker.send(received)
    attacker.read(response, None)
    return response


def swap_body(guess: str | None) -> Tactic:
    """Keep the wallet's request; send one of its own under the wallet's `Authorization` and `DPoP`.

    guess: the credential identifier that it names; None: it names a configuration.
    """

    async def tactic(received: Received, attacker: Attacker) -> Response:
        return await attacker.ask_for_itself(received, identifier=guess)

    return tactic


async def swap_issuer_key(received: Received, attacker: Attacker) -> Response:
    """Hope that the wallet encrypted to the key in the metadata that this server serves."""
    key = attacker.request_key
    try:
        opened = jwe.decrypt(received.body.decode("ascii"), keys={str(key.kid): key}, enc_values=_ENC_VALUES)
        payload = opened.plaintext if opened.header.get("cty") != "JWT" else _signed_payload(opened.plaintext)
        identifier = requests.parse_credential_request(payload, batch_size=1).credential_identifier
    except SafeconductError:
        return _problem(502)
    return await attacker.ask_for_itself(received, identifier=identifier or "")


async def swap_response_key(received: Received, attacker: Attacker) -> Response:
    """Forward, then answer with what is encrypted to a key of its own, under the name of the wallet's."""
    response = await attacker.send(received)
    try:
        kid = str(_header(response.body)["kid"])
    except (SafeconductError, KeyError):
        return response
    own = AgreementKey.generate("P-256", kid=kid)
    attacker.read(response, ResponseKey(own, "A256GCM"))
    attacker.read(response, ResponseKey(own, "A128GCM"))
    forged = jwe.encrypt(b'{"credentials":[{"credential":"AA"}]}', recipient=own.public, enc="A256GCM")
    return Response(200, {"content-type": ENCRYPTED}, forged.encode())


def fake_challenge(guess: str) -> Tactic:
    """Use the first proof for a request of its own, then harvest a second one by a challenge, to cover it up.

    The nonce in the challenge is a good one: anybody can get one from the issuer.
    """

    async def tactic(received: Received, attacker: Attacker) -> Response:
        if len(attacker.spoils.received) > 1:
            return await attacker.send(received)
        await attacker.ask_for_itself(received, identifier=guess)
        return Response(
            401,
            {
                "content-type": "application/json",
                "dpop-nonce": await attacker.dpop_nonce(),
                "www-authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"',
            },
            json.dumps({"error": "use_dpop_nonce"}),
        )

    return tactic


async def replay(received: Received, attacker: Attacker) -> Response:
    """Forward faithfully, then send the recorded request again."""
    response = await attacker.send(received)
    attacker.read(await attacker.send(received), None)
    return response


async def withhold(received: Received, attacker: Attacker) -> Response:
    """Let the issuer answer, and keep the answer back."""
    attacker.read(await attacker.send(received), None)
    return _problem(504)


async def use_what_is_left(attacker: Attacker, *, guess: str) -> None:
    """After the wallet is done, try each proof that was received, and has not been used, once more."""
    for received in tuple(attacker.spoils.received):
        await attacker.ask_for_itself(received, identifier=guess)


def hostile_app(attacker: Attacker, tactic: Tactic) -> ASGIApp:
    """Make the application: the wallet server's endpoints, and the issuer's metadata with a false key."""

    async def open_session(_request: Request) -> Answer:
        return _answer(Response(201, {"content-type": "application/json"}, b'{"session":"any"}'))

    async def close_session(_request: Request) -> Answer:
        return Answer(status_code=204)

    async def forward_credential(request: Request) -> Answer:
        received = Received(
            request.headers.get("authorization", ""),
            request.headers.get("dpop", ""),
            request.headers.get("content-type", ""),
            await request.body(),
        )
        attacker.spoils.received.append(received)
        return _answer(await tactic(received, attacker))

    async def false_metadata(_request: Request) -> Answer:
        attacker.spoils.metadata_asked += 1
        about = await attacker.learn_issuer()
        assert about.request_encryption is not None
        false = msgspec.structs.replace(about.request_encryption, keys=(attacker.request_key.public,))
        document = metadata.issuer_metadata_json(msgspec.structs.replace(about, request_encryption=false))
        return _answer(Response(200, {"content-type": "application/json"}, json.dumps(document)))

    return Starlette(
        routes=[
            Route("/sessions", open_session, methods=["POST"]),
            Route("/sessions", close_session, methods=["DELETE"]),
            Route("/forward/credential", forward_credential, methods=["POST"]),
            Route("/.well-known/openid-credential-issuer", false_metadata, methods=["GET"]),
        ]
    )


def _header(compact: bytes) -> dict[str, object]:
    """Return the protected header of a compact JOSE object. Raises SafeconductError."""
    return json.loads_object(b64.decode(compact.partition(b".")[0]))


def _signed_payload(text: bytes) -> bytes:
    return jws.parse(text.decode("ascii")).payload


def _problem(status: int) -> Response:
    return Response(status, {"content-type": "application/problem+json"}, b'{"code":"issuer_unreachable"}')


def _answer(response: Response) -> Answer:
    kept = {"content-type", "dpop-nonce", "www-authenticate"}
    headers = {name: value for name, value in response.headers.items() if name in kept}
    return Answer(response.body, response.status, headers)
