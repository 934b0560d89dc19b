"""The signatures within a credential that is several: each says that the leaf's key is its holder's too."""

from safeconduct.encoding import tls
from safeconduct.protocols.mls import cipher_suites
from safeconduct.protocols.mls.credential import MultiCredential
from safeconduct.protocols.mls.signing import verify_with_label

_LABEL = "CredentialBindingTBS"


def verify_bindings(credential: MultiCredential, *, signature_key: bytes) -> None:
    """Returns if every binding is signed for `signature_key`, that of the leaf.

    Raises Rejected "signature_invalid"; Malformed "key_malformed"; Unsupported
    "mls_cipher_suite_unsupported".
    Source: draft-ietf-mls-extensions, credential bindings.
    """
    for binding in credential.bindings:
        verify_with_label(
            binding.signature,
            signature_key=binding.credential_key,
            suite=cipher_suites.by_number(binding.cipher_suite),
            label=_LABEL,
            content=binding.signed + tls.opaque(signature_key),
        )
