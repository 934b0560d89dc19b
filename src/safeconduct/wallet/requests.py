"""A credential request, in which everything is fresh, and its answer, of which only what stands is kept."""

import msgspec

from safeconduct.crypto import algorithms
from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats import sd_cwt
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci import encryption, proof
from safeconduct.protocols.openid4vci import request as requests
from safeconduct.protocols.openid4vci import response as responses
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.protocols.openid4vci.encryption import ENCRYPTED, PLAIN, RequestSignature, ResponseKey
from safeconduct.wallet import answers
from safeconduct.wallet.context import Context
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.line import Grant
from safeconduct.wallet.records import StoredCredential, StoredInstance, key_text

CLOCK_LEEWAY = 60
"""Seconds by which the issuer's clock may differ from the wallet's."""

_ID_BYTES = 4
_LATEST = 2**53


Issued = tuple[str, StoredCredential, StoredInstance]


class Wish(msgspec.Struct, frozen=True):
    """What is asked for, of whom, and by which right.

    dpop_key: signs the request inside its encryption where the issuer understands that.
    """

    issuer: Issuer
    configuration: CredentialConfiguration
    grant: Grant
    dpop_key: Key

    def __repr__(self) -> str:
        return "<Wish>"


class PreparedRequest(msgspec.Struct, frozen=True):
    """A request ready to be sent, with the keys for its answer. response_key: None for a plain one."""

    body: bytes
    content_type: str
    holder_key: Key
    response_key: ResponseKey | None

    def __repr__(self) -> str:
        return f"<PreparedRequest {self.content_type}>"


def prepare(context: Context, wish: Wish, *, c_nonce: str | None) -> PreparedRequest:
    """Make a request with a holder key and a response key that were never used before.

    Raises Unsupported: encryption_unsupported, proof_algorithm_unsupported.
    """
    issuer = wish.issuer
    holder_key = context.new_key(_holder_algorithm(wish.configuration))
    key_proof = proof.create_proof(
        key=holder_key, audience=issuer.identifier, now=context.clock(), nonce=c_nonce
    )
    offered = issuer.metadata
    if offered.request_encryption is None:
        return PreparedRequest(_payload(wish, key_proof, None), PLAIN, holder_key, None)
    response_key = None
    if offered.response_encryption is not None:
        response_key = encryption.new_response_key(offered.response_encryption, random=context.random)
    body = encryption.seal_request(
        _payload(wish, key_proof, response_key),
        to=encryption.choose_request_key(offered.request_encryption),
        signature=_signature(context, wish) if offered.request_encryption.signed else None,
    )
    return PreparedRequest(body, ENCRYPTED, holder_key, response_key)


def _signature(context: Context, wish: Wish) -> RequestSignature:
    return RequestSignature(
        key=wish.dpop_key,
        audience=wish.issuer.identifier,
        access_token=wish.grant.access_token.token,
        now=context.clock(),
    )


def read_answer(context: Context, wish: Wish, prepared: PreparedRequest, response: Response) -> Issued:
    """Open the answer and check the credential in it.

    1. The status is 200.
    2. The answer is encrypted to this request's key, unless the request named none.
    3. It holds one SD-CWT, which names this issuer, is signed by it for this holder's key, and has a
       disclosure for each digest.
    4. The SD-CWT is of the type of the configuration.

    Raises Rejected: what `answers` makes of a refusal, response_not_encrypted, jwe_rejected,
    credential_type_foreign, and what `sd_cwt.check_issued` raises; Unsupported:
    deferred_unsupported.
    """
    if response.status not in (200, 202):
        raise answers.credential_refusal(response)
    token = _token(_plaintext(prepared, response))
    now = context.clock()
    checked = sd_cwt.check_issued(
        token,
        holder=prepared.holder_key.public,
        trust=wish.issuer.trust,
        now=now,
        leeway=CLOCK_LEEWAY,
    )
    claims = checked.claims
    if claims.get("vct") != wish.configuration.vct:
        raise Rejected("credential_type_foreign", "The credential is of another type than the offer.")
    stored = StoredCredential(
        issuer=wish.issuer.identifier,
        configuration=wish.configuration.id,
        vct=str(wish.configuration.vct),
        format=wish.configuration.format,
        received=now,
        expires=_seconds(claims.get("exp")),
    )
    instance = StoredInstance(token=token, holder_key=key_text(prepared.holder_key))
    return context.random(_ID_BYTES).hex(), stored, instance


def _payload(wish: Wish, key_proof: str, response_key: ResponseKey | None) -> bytes:
    return requests.encode_credential_request(
        requests.CredentialRequest(
            credential_identifier=wish.grant.identifier,
            proofs=requests.Proofs(JWT_PROOF, (key_proof,)),
            response=None if response_key is None else response_key.parameters,
        )
    )


def _plaintext(prepared: PreparedRequest, response: Response) -> bytes:
    if prepared.response_key is None:
        return response.body
    content_type = response.headers.get("content-type")
    return encryption.open_response(response.body, content_type=content_type, key=prepared.response_key)


def _token(payload: bytes) -> bytes:
    answer = responses.parse_credential_response(payload, keys=1)
    if isinstance(answer, responses.DeferredResponse):
        raise Unsupported(
            "deferred_unsupported",
            "The issuer gives the credential later only; this wallet cannot wait.",
        )
    return responses.sd_cwt_bytes(answer.credentials[0])


def _holder_algorithm(configuration: CredentialConfiguration) -> str:
    for name in configuration.proof_algorithms[JWT_PROOF]:
        try:
            return algorithms.by_jose(name).name
        except SafeconductError:
            continue
    raise Unsupported("proof_algorithm_unsupported", "The issuer takes no kind of key that this wallet has.")


def _seconds(value: object) -> int | None:
    # A later end is legal, but databases hold 64 bits with a sign.
    return min(int(value), _LATEST) if isinstance(value, int | float) else None
