"""A credential request, made for keys that are kept, and its answer, of which only what stands is believed.

A request can be made again for the same holder keys, with new proofs and a new key for the answer: an issuer
that answered before answers again, and nobody gets a second credential.
"""

from collections.abc import Sequence

import msgspec

from safeconduct.crypto import algorithms
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci import deferred, encryption, proof
from safeconduct.protocols.openid4vci import request as requests
from safeconduct.protocols.openid4vci import response as responses
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.protocols.openid4vci.encryption import ENCRYPTED, PLAIN, RequestSignature, ResponseKey
from safeconduct.protocols.openid4vci.response import CredentialResponse, DeferredResponse
from safeconduct.wallet import answers
from safeconduct.wallet.context import Context
from safeconduct.wallet.formats import format_of
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.records import Access

CLOCK_LEEWAY = 60
"""Seconds by which the issuer's clock may differ from the wallet's."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, of whom, by which right and for which keys.

    identifier: of the dataset, None where the token is good for the configuration by name.
    dpop_key: signs the request inside its encryption where the issuer understands that.
    """

    issuer: Issuer
    configuration: CredentialConfiguration
    access: Access
    identifier: str | None
    dpop_key: Key
    holders: tuple[Signer, ...]

    def __repr__(self) -> str:
        return "<Wish>"


class PreparedRequest(msgspec.Struct, frozen=True):
    """A request ready to be sent, with the key for its answer. response_key: None for a plain one."""

    url: str
    body: bytes
    content_type: str
    response_key: ResponseKey | None

    def __repr__(self) -> str:
        return f"<PreparedRequest {self.content_type}>"


class Token(msgspec.Struct, frozen=True):
    """A checked token, and which of the wish's keys it is for. expires: seconds, None if it does not say."""

    token: bytes
    holder: int
    expires: int | None

    def __repr__(self) -> str:
        return "<Token>"


def holder_algorithm(configuration: CredentialConfiguration) -> str:
    """Return the first kind of key that issuer and wallet both have. Raises Unsupported."""
    for name in configuration.proof_algorithms[JWT_PROOF]:
        try:
            return algorithms.by_jose(name).name
        except SafeconductError:
            continue
    raise Unsupported("proof_algorithm_unsupported", "The issuer takes no kind of key that this wallet has.")


def prepare(context: Context, wish: Wish, *, c_nonce: str | None) -> PreparedRequest:
    """Make a credential request with new proofs, and a response key that was never used before.

    Raises Unsupported: encryption_unsupported.
    """
    proofs = tuple(
        proof.create_proof(
            key=holder,
            audience=wish.issuer.identifier,
            now=context.clock(),
            nonce=c_nonce,
            client_id=wish.access.client_id,
        )
        for holder in wish.holders
    )
    response_key = _response_key(context, wish.issuer)
    payload = requests.encode_credential_request(
        requests.CredentialRequest(
            credential_identifier=wish.identifier,
            credential_configuration_id=wish.configuration.id if wish.identifier is None else None,
            proofs=requests.Proofs(JWT_PROOF, proofs),
            response=None if response_key is None else response_key.parameters,
        )
    )
    return _sealed(context, wish, wish.issuer.metadata.credential_endpoint, payload, response_key)


def prepare_poll(context: Context, wish: Wish, transaction_id: str, *, url: str) -> PreparedRequest:
    """Make a request for a credential that the issuer gives later, with a response key of its own."""
    response_key = _response_key(context, wish.issuer)
    asked = deferred.DeferredRequest(
        transaction_id=transaction_id, response=None if response_key is None else response_key.parameters
    )
    return _sealed(context, wish, url, deferred.encode_deferred_request(asked), response_key)


def open_answer(
    prepared: PreparedRequest, response: Response, *, keys: int
) -> CredentialResponse | DeferredResponse:
    """Open the answer to a request for `keys` credentials.

    1. The status is 200 or 202.
    2. The answer is encrypted to this request's key, unless the request named none.
    3. It holds no more credentials than were asked for, or says when to ask again.

    Raises Rejected: what `answers` makes of a refusal, response_not_encrypted, jwe_rejected, response_*.
    """
    if response.status not in (200, 202):
        raise answers.credential_refusal(response)
    payload = response.body
    if prepared.response_key is not None:
        content_type = response.headers.get("content-type")
        payload = encryption.open_response(payload, content_type=content_type, key=prepared.response_key)
    return responses.parse_credential_response(payload, keys=keys)


def check_answer(context: Context, wish: Wish, answer: CredentialResponse) -> tuple[Token, ...]:
    """Check each credential of an answer.

    1. It names this issuer, is signed by it for one of the keys of the wish, and is well formed to the end.
    2. No two are for one key.
    3. It is of the type of the configuration.

    Raises Rejected: credential_type_foreign, holder_key_mismatch, and what the format's check raises.
    """
    left = {number: holder.public for number, holder in enumerate(wish.holders)}
    found = []
    for credential in answer.credentials:
        checked = _check(context, wish, credential, left)
        del left[checked.holder]
        found.append(checked)
    return tuple(found)


def _check(context: Context, wish: Wish, credential: str, left: dict[int, PublicKey]) -> Token:
    chosen = format_of(wish.configuration.format)
    token = chosen.read(credential)
    for number, holder in left.items():  # the answer has the order of the request, as a rule
        try:
            checked = chosen.check(token, holder, wish.issuer.trust, context.clock(), CLOCK_LEEWAY)
        except Rejected as error:
            if error.code == _FOREIGN_KEY and number != max(left):
                continue
            raise
        if checked.claims.get("vct") != wish.configuration.vct:
            raise Rejected("credential_type_foreign", "The credential is of another type than the offer.")
        return Token(token, number, checked.expires)
    raise Rejected(_FOREIGN_KEY, "The answer has more credentials than keys were sent.")


_FOREIGN_KEY = "holder_key_mismatch"


def _response_key(context: Context, issuer: Issuer) -> ResponseKey | None:
    offered = issuer.metadata
    if offered.request_encryption is None or offered.response_encryption is None:
        return None
    return encryption.new_response_key(offered.response_encryption, random=context.random)


def _sealed(
    context: Context, wish: Wish, url: str, payload: bytes, response_key: ResponseKey | None
) -> PreparedRequest:
    offered = wish.issuer.metadata.request_encryption
    if offered is None:
        return PreparedRequest(url, payload, PLAIN, None)
    body = encryption.seal_request(
        payload,
        to=encryption.choose_request_key(offered),
        signature=_signature(context, wish) if offered.signed else None,
    )
    return PreparedRequest(url, body, ENCRYPTED, response_key)


def _signature(context: Context, wish: Wish) -> RequestSignature:
    return RequestSignature(
        key=wish.dpop_key,
        audience=wish.issuer.identifier,
        access_token=wish.access.access_token,
        now=context.clock(),
    )


def earliest(tokens: Sequence[Token]) -> int | None:
    """Return when the first of the tokens ends, None if none does."""
    ends = [token.expires for token in tokens if token.expires is not None]
    return min(ends) if ends else None
