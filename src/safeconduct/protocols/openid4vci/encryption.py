"""Encrypted credential requests and responses (OpenID4VCI 1.0 §10), for wallets and for issuers.

The whole message is the plaintext of a compact JWE. A wallet takes the issuer's keys from metadata that it
fetched itself. An issuer calls `open_request` only after the access token and its DPoP proof were found good:
no one else may make it compute on curves. Whatever is wrong with an envelope, the issuer gives one answer.
"""

import secrets
from collections.abc import Mapping
from typing import Literal

import msgspec

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey, Curve
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64
from safeconduct.envelope import jwe
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci.deferred import DeferredRequest, parse_deferred_request
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, InvalidEncryptionParameters
from safeconduct.protocols.openid4vci.metadata import RequestEncryption, ResponseEncryption
from safeconduct.protocols.openid4vci.padding import pad
from safeconduct.protocols.openid4vci.request import (
    CredentialRequest,
    ResponseParameters,
    parse_credential_request,
)
from safeconduct.protocols.openid4vci.signed_request import sign_request, verify_signed_request

ENCRYPTED = "application/jwt"
"""Media type of an encrypted request or response."""

PLAIN = "application/json"
"""Media type of a plain one."""

ENC_VALUES = ("A256GCM", "A128GCM")
"""Content encryptions that a wallet chooses from, the dearest first."""

SignedRequests = Literal["accepted", "required"]
"""Whether a request must be signed inside its encryption; foreign wallets do not know how."""

_KID_BYTES = 16


# The wallet's side.


class RequestKey(msgspec.Struct, frozen=True):
    """The issuer's key, and the content encryption, that a wallet has chosen."""

    key: AgreementPublicKey
    enc: str


class ResponseKey(msgspec.Struct, frozen=True):
    """The wallet's own key for one response."""

    private: AgreementKey
    enc: str

    @property
    def parameters(self) -> ResponseParameters:
        """What the request says about it."""
        return ResponseParameters(self.private.public, self.enc)

    def __repr__(self) -> str:
        return f"ResponseKey(enc={self.enc!r})"


class RequestSignature(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet signs a request with: the key of its DPoP proof, for one issuer and one token."""

    key: Signer
    audience: str
    access_token: str
    now: int

    def __repr__(self) -> str:
        return f"<RequestSignature at {self.now}>"


def choose_request_key(encryption: RequestEncryption) -> RequestKey:
    """Returns the first of the issuer's keys that this library can encrypt to.

    Raises Unsupported "encryption_unsupported" if there is none: the request must then not be sent.
    """
    enc = next((value for value in ENC_VALUES if value in encryption.enc_values), None)
    if enc is None or not encryption.keys:
        raise _unsupported()
    return RequestKey(encryption.keys[0], enc)


def new_response_key(
    encryption: ResponseEncryption, *, curve: Curve = "P-256", random: Random = secrets.token_bytes
) -> ResponseKey:
    """Returns a fresh key under a fresh name for one response; a second use would link two requests.

    Raises Unsupported "encryption_unsupported" if the issuer cannot encrypt to such a key.
    """
    enc = next((value for value in ENC_VALUES if value in encryption.enc_values), None)
    if enc is None or jwe.ALG not in encryption.alg_values:
        raise _unsupported()
    kid = b64.encode(random(_KID_BYTES))
    return ResponseKey(AgreementKey.generate(curve, kid=kid), enc)


def seal_request(payload: bytes, *, to: RequestKey, signature: RequestSignature | None) -> bytes:
    """Returns the body, of media type `ENCRYPTED`, that carries the JSON request `payload`.

    signature: None leaves it unsigned. Its size depends on the size bucket of `payload` and on whether and
    with which algorithm it is signed, on nothing else in it.
    """
    if signature is None:
        plaintext, content = pad(payload), "json"
    else:
        content = "JWT"
        plaintext = sign_request(
            payload,
            key=signature.key,
            audience=signature.audience,
            access_token=signature.access_token,
            now=signature.now,
        ).encode("ascii")
    return jwe.encrypt(plaintext, recipient=to.key, enc=to.enc, header={"cty": content}).encode("ascii")


def open_response(body: bytes, *, content_type: str | None, key: ResponseKey) -> bytes:
    """Returns the JSON of a response that was encrypted to `key`.

    Raises Rejected "response_not_encrypted", "jwe_rejected".
    """
    if wire.media_type(content_type) != ENCRYPTED:
        raise Rejected("response_not_encrypted", "The response is not encrypted.", rule="OpenID4VCI §8.3")
    kid = key.private.kid or ""
    opened = jwe.decrypt(_ascii(body), keys={kid: key.private}, enc_values=(key.enc,))
    return opened.plaintext


# The issuer's side.


class IssuerEncryption(msgspec.Struct, frozen=True, kw_only=True):
    """How an issuer encrypts.

    request, response: what its metadata says; None if it does not encrypt that way.
    keys: its private keys by `kid`: those in the metadata, and older ones that wallets may still use.
    """

    request: RequestEncryption | None
    response: ResponseEncryption | None
    keys: Mapping[str, AgreementKey]
    signed_requests: SignedRequests = "accepted"


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """What the issuer has verified about the sender of an HTTP request.

    audience: the issuer's own identifier. access_token: the token presented.
    key: that of the DPoP proof; None for a bearer token.
    """

    audience: str
    access_token: str
    key: PublicKey | None

    def __repr__(self) -> str:
        return "<Sender>"


class OpenedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of a request, and how it came."""

    payload: bytes
    encrypted: bool
    signed: bool

    def __repr__(self) -> str:
        return f"<OpenedRequest encrypted={self.encrypted} signed={self.signed}>"


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A credential request whose envelope, signature and form are in order, its proofs not verified yet."""

    request: CredentialRequest
    encrypted: bool
    signed: bool


class ReceivedDeferredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A deferred request whose envelope, signature and form are in order."""

    request: DeferredRequest
    encrypted: bool
    signed: bool


def receive_request(
    body: bytes,
    *,
    content_type: str | None,
    encryption: IssuerEncryption,
    sender: Sender,
    batch_size: int,
    now: int,
) -> ReceivedRequest:
    """Returns the credential request in an HTTP body; to be called when token and DPoP proof are checked.

    1. The envelope is opened (`open_request`).
    2. The request is read (`parse_credential_request`).
    3. The way in which it wants the response is checked (`check_response_parameters`).

    Raises InvalidEncryptionParameters, InvalidCredentialRequest, InvalidProof.
    """
    opened = open_request(body, content_type=content_type, encryption=encryption, sender=sender, now=now)
    request = parse_credential_request(opened.payload, batch_size=batch_size)
    check_response_parameters(request.response, encryption=encryption, request_encrypted=opened.encrypted)
    return ReceivedRequest(request=request, encrypted=opened.encrypted, signed=opened.signed)


def receive_deferred_request(
    body: bytes, *, content_type: str | None, encryption: IssuerEncryption, sender: Sender, now: int
) -> ReceivedDeferredRequest:
    """Returns the deferred request in an HTTP body; as `receive_request`, under the same rules (§9.1).

    Raises InvalidEncryptionParameters, InvalidCredentialRequest.
    """
    opened = open_request(body, content_type=content_type, encryption=encryption, sender=sender, now=now)
    request = parse_deferred_request(opened.payload)
    check_response_parameters(request.response, encryption=encryption, request_encrypted=opened.encrypted)
    return ReceivedDeferredRequest(request=request, encrypted=opened.encrypted, signed=opened.signed)


def open_request(
    body: bytes, *, content_type: str | None, encryption: IssuerEncryption, sender: Sender, now: int
) -> OpenedRequest:
    """Returns the JSON of a credential or deferred request, decrypted, its signature verified if it has one.

    Raises InvalidEncryptionParameters for every fault of the envelope; InvalidCredentialRequest
    "media_type_unsupported", "request_not_signed", and what `verify_signed_request` raises.
    """
    payload, content, encrypted = _open(body, content_type, encryption)
    signed = content == "jwt"
    if signed:
        payload = _verified(payload, sender, now)
    elif encryption.signed_requests == "required":
        raise InvalidCredentialRequest("request_not_signed", "The request is not signed by the DPoP key.")
    return OpenedRequest(payload=payload, encrypted=encrypted, signed=signed)


def check_response_parameters(
    parameters: ResponseParameters | None, *, encryption: IssuerEncryption, request_encrypted: bool
) -> None:
    """Checks what a request says about the encryption of its response; raises InvalidEncryptionParameters.

    Source: OpenID4VCI 1.0 §8.2, §8.3.1.2, §10.
    """
    offered = encryption.response
    if parameters is None:
        if offered is not None and offered.required:
            raise InvalidEncryptionParameters
        return
    # Who can change a plain request could put its own key there.
    if offered is None or not request_encrypted:
        raise InvalidEncryptionParameters
    if (
        parameters.key.alg not in offered.alg_values
        or parameters.enc not in offered.enc_values
        or parameters.zip not in (None, *offered.zip_values)
    ):
        raise InvalidEncryptionParameters


def seal_response(payload: bytes, *, parameters: ResponseParameters) -> bytes:
    """Returns the body, of media type `ENCRYPTED`, that carries the JSON response `payload`.

    parameters: those of the request, checked by `check_response_parameters`. The text is padded, or
    compressed if the request asked for that.

    Raises InvalidEncryptionParameters for algorithms that are not known here.
    """
    try:
        if parameters.zip == "DEF":
            sealed = jwe.encrypt(payload, recipient=parameters.key, enc=parameters.enc, zip="DEF")
        else:
            sealed = jwe.encrypt(pad(payload), recipient=parameters.key, enc=parameters.enc)
    except SafeconductError as error:
        raise InvalidEncryptionParameters from error
    return sealed.encode("ascii")


def _open(body: bytes, content_type: str | None, encryption: IssuerEncryption) -> tuple[bytes, str, bool]:
    """The message, the kind of its content, and whether it was encrypted."""
    offered = encryption.request
    media_type = wire.media_type(content_type)
    if media_type == ENCRYPTED and offered is not None:
        try:
            opened = jwe.decrypt(
                _ascii(body),
                keys=encryption.keys,
                enc_values=offered.enc_values,
                zip_values=offered.zip_values,
            )
        except SafeconductError as error:
            raise InvalidEncryptionParameters from error
        content = opened.header.get("cty")
        return opened.plaintext, content.lower() if isinstance(content, str) else "", True
    if media_type == ENCRYPTED or (offered is not None and offered.required):
        raise InvalidEncryptionParameters
    if media_type != PLAIN:
        raise InvalidCredentialRequest("media_type_unsupported", "The request is of another media type.")
    return body, "", False


def _verified(payload: bytes, sender: Sender, now: int) -> bytes:
    if sender.key is None:
        raise InvalidCredentialRequest("request_signature_key", "A bearer token has no key to sign with.")
    return verify_signed_request(
        _ascii(payload),
        key=sender.key,
        audience=sender.audience,
        access_token=sender.access_token,
        now=now,
    )


def _ascii(body: bytes) -> str:
    """Bytes beyond ASCII become a character that no compact serialisation has."""
    return body.decode("ascii", errors="replace")


def _unsupported() -> Unsupported:
    return Unsupported("encryption_unsupported", "The issuer offers no encryption that is supported here.")
