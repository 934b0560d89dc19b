"""New key pairs in a PKCS#11 token."""

import secrets
from typing import Final

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, Session

from safeconduct.crypto.keys import PublicKey
from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.signer import ALGORITHMS, CURVES, has_key, public_half
from safeconduct.hsm.token import token_of
from safeconduct.hsm.uri import Pkcs11Uri

_ID_BYTES: Final = 16
_EDWARDS: Final = "Ed25519"


def generate(place: Pkcs11Uri, algorithm: str) -> PublicKey:
    """Makes a key pair in the token; see `hsm.generate_key`."""
    if algorithm not in CURVES:
        raise HsmError("hsm_key_unsupported", f"Keys in tokens are for {', '.join(ALGORITHMS)}.")

    def make(session: Session) -> PublicKey:
        if has_key(session, place):
            raise HsmError("hsm_key_exists", "The token has a key of that name already.")
        edwards = algorithm == _EDWARDS
        domain = session.create_domain_parameters(
            KeyType.EC_EDWARDS if edwards else KeyType.EC,
            {Attribute.EC_PARAMS: CURVES[algorithm]},
            local=True,
        )
        domain.generate_keypair(
            id=place.id or secrets.token_bytes(_ID_BYTES),
            label=place.label,
            store=True,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN,
            private_template={
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
            },
        )
        return public_half(session, place)

    return token_of(place).call(make, writing=True)
