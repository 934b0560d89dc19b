"""One encrypted issuance without HTTP and database: what the service computes, against bare cryptography."""

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import floors, runner
from bench.wallets import CLAIMS, CONFIGURATION
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.protocols.oauth.stateless import C_NONCE, StatelessNonces
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.encryption import IssuerEncryption, Sender
from safeconduct.protocols.openid4vci.metadata import RequestEncryption, ResponseEncryption
from safeconduct.protocols.openid4vci.proof import ProofCheck, create_proof, holder_keys
from safeconduct.protocols.openid4vci.request import CredentialRequest, Proofs, encode_credential_request
from safeconduct.protocols.openid4vci.response import CredentialResponse, encode_credential_response
from safeconduct.services.issuer.configuration import Kind, load_catalogue
from safeconduct.services.issuer.credential import make_credential

ISSUER = "https://issuer.example"
NOW = 1_800_000_000


def answering(batch: int) -> Callable[[], bytes]:
    """Return what the issuer does with a request for `batch` credentials.

    1. Opens and reads it. 2. Verifies its proofs. 3. Makes and signs the credentials. 4. Seals the response.
    """
    signer = Key.generate("ES256", kid="k" * 43)
    request_key = AgreementKey.generate("P-256", kid=b64.encode(secrets.token_bytes(9)))
    values = ("A128GCM", "A256GCM")
    offered = IssuerEncryption(
        request=RequestEncryption(keys=(request_key.public,), enc_values=values, required=True, signed=True),
        response=ResponseEncryption(alg_values=("ECDH-ES",), enc_values=values, required=True),
        keys={request_key.kid or "": request_key},
    )
    nonces = StatelessNonces((secrets.token_bytes(32),), C_NONCE)
    kind = _kind(signer)
    sender = Sender(audience=ISSUER, access_token="t" * 43, key=None)
    check = ProofCheck(audience=ISSUER, nonce_ok=lambda nonce: nonces.accepts(nonce, now=NOW), client_id=None)
    body = _request(batch, nonces.create(NOW), offered)

    def work() -> bytes:
        request = encryption.receive_request(
            body,
            content_type=encryption.ENCRYPTED,
            encryption=offered,
            sender=sender,
            batch_size=batch,
            now=NOW,
        ).request
        holders = holder_keys(request, kind.configuration, check=check, batch_size=batch, now=NOW)
        credentials = tuple(
            make_credential(CLAIMS, kind, issuer=ISSUER, signer=signer, holder=holder, now=NOW)
            for holder in holders
        )
        assert request.response is not None
        payload = encode_credential_response(CredentialResponse(credentials=credentials))
        return encryption.seal_response(payload, parameters=request.response)

    return work


def crypto() -> dict[str, Any]:
    """Decrypt, verify one proof, make and sign one credential of 8 disclosures, encrypt; at most 1.5."""
    return _compared(1)


def crypto_batch() -> dict[str, Any]:
    """The same for 10 credentials in one request."""
    return _compared(10)


def _compared(batch: int) -> dict[str, Any]:
    request = floors.sample_request(batch)
    return runner.compare(answering(batch), lambda: floors.issue_sample(request))


def _kind(signer: Key) -> Kind:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "configurations.toml")
        path.write_text(CONFIGURATION)
        return load_catalogue(
            path, issuer=ISSUER, signing_algorithm=signer.algorithm.cose, credential_lifetime=86400 * 365
        )["card"]


def _request(batch: int, nonce: str, offered: IssuerEncryption) -> bytes:
    proofs = tuple(
        create_proof(key=Key.generate("ES256"), audience=ISSUER, now=NOW, nonce=nonce) for _ in range(batch)
    )
    assert offered.response is not None
    assert offered.request is not None
    own = encryption.new_response_key(offered.response)
    request = CredentialRequest(
        credential_identifier="i" * 22, proofs=Proofs("jwt", proofs), response=own.parameters
    )
    return encryption.seal_request(
        encode_credential_request(request), to=encryption.choose_request_key(offered.request), signature=None
    )


FIGURES = {"issuance.crypto": crypto, "issuance.crypto_batch": crypto_batch}
