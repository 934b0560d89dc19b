"""Clients of MLS with fixed ways: their keys, leaves and KeyPackages, and SD-JWTs that are only form."""

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.protocols.mls import cipher_suites
from safeconduct.protocols.mls.capabilities import Capabilities, Lifetime
from safeconduct.protocols.mls.cipher_suites import CipherSuite
from safeconduct.protocols.mls.credential import BasicCredential, Credential
from safeconduct.protocols.mls.extensions import Extension
from safeconduct.protocols.mls.key_package import KeyPackage, sign_key_package
from safeconduct.protocols.mls.leaf_node import FromKeyPackage, LeafNode, Position, Source, sign_leaf_node

P256 = cipher_suites.by_number(2)
KEYS = {suite.number: Key.generate(suite.algorithm) for suite in cipher_suites.CIPHER_SUITES}
ALICE, GROUP = BasicCredential(b"alice"), b"group"
CAPABILITIES = Capabilities(cipher_suites=(1, 2, 0x0A0A), credentials=(1, 5, 0xEAEA), proposals=(0x1A1A,))
LIFETIME = FromKeyPackage(Lifetime(not_before=1_700_000_000, not_after=1_800_000_000))

HEADER, PAYLOAD, SIGNATURE = b'{"alg":"ES256"}', b'{"iss":"https://issuer.example"}', bytes(range(64))
DISCLOSURES = (b'["c2FsdA","name","Erika"]', b'["c2FsdDI","city","Bonn"]')
KB_PARTS = (b'{"typ":"kb+jwt"}', b'{"aud":"room"}', bytes(64))
JWT = ".".join(map(b64.encode, (HEADER, PAYLOAD, SIGNATURE)))
KB_JWT = ".".join(map(b64.encode, KB_PARTS))
SD_JWT = "~".join((JWT, *map(b64.encode, DISCLOSURES), KB_JWT))


def leaf_node(
    suite: CipherSuite = P256,
    *,
    credential: Credential = ALICE,
    source: Source = LIFETIME,
    position: Position | None = None,
    key: Key | None = None,
    encryption_key: bytes = b"encryption key",
    extensions: tuple[Extension, ...] = (),
) -> LeafNode:
    """Returns a signed leaf."""
    return sign_leaf_node(
        key or KEYS[suite.number],
        suite=suite,
        encryption_key=encryption_key,
        credential=credential,
        capabilities=CAPABILITIES,
        source=source,
        extensions=extensions,
        position=position,
    )


def key_package(
    suite: CipherSuite = P256, *, leaf: LeafNode | None = None, extensions: tuple[Extension, ...] = ()
) -> KeyPackage:
    """Returns a signed KeyPackage."""
    return sign_key_package(
        KEYS[suite.number],
        suite=suite,
        init_key=b"init key",
        leaf_node=leaf or leaf_node(suite),
        extensions=extensions,
    )
