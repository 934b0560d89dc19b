"""Keys that credentials are bound to: one for each, in the wallet's records or in a PKCS#11 token."""

import msgspec

from safeconduct import hsm
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.wallet.context import Context
from safeconduct.wallet.records import key_of, key_text
from safeconduct.wallet.requests import holder_algorithm


class HolderKey(msgspec.Struct, frozen=True):
    """A key that signs, and how records have it."""

    signer: Signer
    text: str

    def __repr__(self) -> str:
        return "<HolderKey>"


def new_holder_keys(
    context: Context, configuration: CredentialConfiguration, *, count: int, place: str | None
) -> tuple[HolderKey, ...]:
    """Make so many keys.

    place: URI of a key that is in a token already; for one credential only, since a second one for the same
    key could be linked to it. Raises Rejected: key_for_one; Unsupported: proof_algorithm_unsupported.
    """
    algorithm = holder_algorithm(configuration)
    if place is None:
        made = [context.new_key(algorithm) for _ in range(count)]
        return tuple(HolderKey(key, key_text(key)) for key in made)
    if count != 1:
        raise Rejected("key_for_one", "A key in a token is for one credential; ask for one, not for several.")
    signer = signer_of(place)
    if signer.algorithm.jose not in configuration.proof_algorithms[JWT_PROOF]:
        raise Rejected("key_kind_refused", "The issuer does not take keys of the kind of that one.")
    return (HolderKey(signer, place),)


def signer_of(text: str) -> Signer:
    """Return what signs with a key, as records have it. Raises HsmError for a token that is not there."""
    return hsm.open_signer(text) if hsm.is_uri(text) else key_of(text)
