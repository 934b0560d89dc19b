"""Targets: keys in every written form, trust files, HPKE."""

import base64
import datetime
import functools
import itertools
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from fuzz import json_trees, seeds, tokens
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.trees import Pool, mutate
from safeconduct.crypto import hpke
from safeconduct.crypto import x509 as x5c
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.trust.file import read_trust

NAMES = ("ES256", "ES384", "ES512", "Ed25519", "Ed448", "ML-DSA-44")
"""Enough algorithms to have every kind of key; the larger ML-DSA differ in nothing but size."""

SECRET = bytes(31) + b"\x05"
_RECIPIENTS = {
    "P-256": AgreementKey.from_raw(SECRET, "P-256"),
    "X25519": AgreementKey.from_raw(SECRET, "X25519"),
}
_SUITES = tuple(
    hpke.Suite(kem=kem, aead=aead) for kem in (hpke.KEM_P256, hpke.KEM_X25519) for aead in (1, 2, 3)
)
_COSE_POOL = Pool(
    keys=(*range(-6, 6), "a", -70000),
    values=(
        *range(-53, 12),
        0,
        True,
        None,
        b"",
        bytes(32),
        b"\xff" * 32,
        b"\x04" + bytes(64),
        [1],
        [2],
        ["sign"],
        "P-256",
    ),
)
_BEGIN, _END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2000, 2100))
_LENGTHS = {"ES384": 48, "ES512": 66, "Ed448": 57}


@functools.cache
def key(name: str) -> Key:
    """Returns the one key of that algorithm that garbage is made of."""
    return Key.from_raw(SECRET.rjust(_LENGTHS.get(name, 32), b"\0"), name)


def _each(*readers: Callable[[Any], object]) -> Callable[[Any], None]:
    """Gives the same garbage to several readers, each of which must keep the law."""

    def read(data: Any) -> None:
        for reader in readers:
            try:
                reader(data)
            except SafeconductError:
                continue

    return read


def _pems() -> list[bytes]:
    own = [
        text.encode()
        for name in NAMES
        for text in (key(name).to_pem(private=True), key(name).public.to_pem())
    ]
    encrypted = key("ES256").to_pem(private=True, password=b"secret").encode()
    return [*own, encrypted, *seeds.files("**/*.pem")]


def _ders() -> list[bytes]:
    bodies = [pem.split(b"-----")[2] for pem in _pems() if b"ENCRYPTED" not in pem]
    return [base64.b64decode(body) for body in bodies]


def _jwks() -> list[dict[str, Any]]:
    signing = [jwk for name in NAMES for jwk in (key(name).to_jwk(private=True), key(name).public.to_jwk())]
    agreeing = [
        jwk for each in _RECIPIENTS.values() for jwk in (each.to_jwk(private=True), each.public.to_jwk())
    ]
    return [*signing, *agreeing]


def _read_jwk(data: bytes) -> None:
    members = json.loads_object(data)
    _each(PublicKey.from_jwk, Key.from_jwk, AgreementPublicKey.from_jwk, AgreementKey.from_jwk)(members)


def _cose_key(data: bytes) -> Any:
    choices = Choices(data)
    name = choices.pick(NAMES)
    document = key(name).to_cose_key(private=True) if choices.number(2) else key(name).public.to_cose_key()
    return mutate(dict(document), choices, choices.pick((_COSE_POOL, tokens.POOL)))


def _read_cose_key(members: Any) -> None:
    _each(PublicKey.from_cose_key, Key.from_cose_key)(members)


def _read_raw(data: bytes) -> None:
    for algorithm in ALGORITHMS:
        _each(
            lambda raw, name=algorithm.name: PublicKey.from_raw(raw, name),
            lambda raw, name=algorithm.name: Key.from_raw(raw, name),
        )(data)


def _open(message: tuple[hpke.Suite, bytes, bytes, hpke.Psk | None]) -> None:
    suite, enc, ciphertext, psk = message
    hpke.open_(suite, _RECIPIENTS[suite.curve], enc=enc, ciphertext=ciphertext, info=b"", psk=psk)


def _hpke_message(data: bytes) -> tuple[hpke.Suite, bytes, bytes, hpke.Psk | None]:
    """A sealed message with a change to its encapsulated key, its ciphertext, or neither."""
    choices = Choices(data)
    suite = choices.pick(_SUITES)
    psk = hpke.Psk(bytes(32), b"name") if choices.number(2) else None
    ephemeral = AgreementKey.from_raw(SECRET[::-1][:31] + b"\x01", suite.curve)
    recipient = _RECIPIENTS[suite.curve].public
    enc, context = hpke.setup_sender(suite, recipient, info=b"", psk=psk, ephemeral=ephemeral)
    changed = mutate([enc, context.seal(b"plaintext")], choices, tokens.POOL)
    if (
        not isinstance(changed, list)
        or len(changed) != 2
        or not all(isinstance(part, bytes) for part in changed)
    ):
        changed = [choices.rest(), choices.rest()]
    return suite, changed[0], changed[1], psk


def _trust_file() -> dict[str, Any]:
    public = [key(name).public for name in NAMES[:4]]
    return {
        "https://one.example": {"keys": [each.to_jwk() for each in public]},
        "https://two.example": public[0].to_jwk(),
        "https://three.example": [public[1].to_pem(), {"pem": public[2].to_pem(), "kid": "a"}],
        "*": {
            "certificates": [_pem_certificates()[-1].decode()],
            "names": "san",
            "accept": ["anchor-in-chain"],
        },
    }


@functools.cache
def chain() -> tuple[bytes, ...]:
    """Returns the certificates of a leaf with the Ed25519 key, of its CA and of the root, in DER."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("Leaf", "CA", "Root")]
    leaf, authority = (_handle(name) for name in ("Ed25519", "ES256"))
    made = []
    for number, (subject, issuer) in enumerate(itertools.pairwise([*names, names[-1]])):
        public = (authority if number else leaf).public_key()
        builder = x509.CertificateBuilder(issuer, subject, public, number + 1)
        builder = builder.not_valid_before(_BEGIN).not_valid_after(_END)
        builder = builder.add_extension(x509.BasicConstraints(bool(number), None), critical=True)
        uri = x509.UniformResourceIdentifier(tokens.ISSUER)
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        signed = builder.sign(authority, hashes.SHA256(), ecdsa_deterministic=True)
        made.append(signed.public_bytes(serialization.Encoding.DER))
    return tuple(made)


def _handle(name: str) -> Any:
    return serialization.load_pem_private_key(key(name).to_pem(private=True).encode(), None)


def _certificates(data: bytes) -> list[str]:
    """An x5c header whose certificates are garbage, or have a few bytes changed."""
    choices = Choices(data)
    made = [bytearray(der) for der in chain()[: choices.number(3) + 1]]
    for _ in range(choices.number(4)):
        der = choices.pick(made)
        der[choices.number(len(der))] = choices.number(256)
    if choices.number(8) == 0:
        made.append(bytearray(choices.rest()))
    return [base64.b64encode(der).decode() for der in made]


def _read_x5c(value: list[str]) -> None:
    x5c.verify_chain(
        x5c.read_x5c(value),
        anchors=[x5c.from_der(chain()[-1])],
        now=tokens.NOW,
        accept=x5c.LENIENCIES,
    )


def _pem_certificates() -> list[bytes]:
    return [x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in chain()]


TARGETS = (
    Target(name="x509.x5c", read=_read_x5c, prepare=_certificates, max_bytes=256),
    Target(name="x509.pem", read=x5c.chain_from_pem, seeds=_pem_certificates),
    Target(name="keys.pem", read=_each(PublicKey.from_pem, Key.from_pem), seeds=_pems),
    Target(name="keys.der", read=_each(PublicKey.from_der, Key.from_der), seeds=_ders),
    Target(
        name="keys.jwk",
        read=_read_jwk,
        prepare=json_trees.preparing(*_jwks()),
        seeds=json_trees.seeding(*_jwks()),
        max_bytes=8192,
    ),
    Target(name="keys.cose_key", read=_read_cose_key, prepare=_cose_key, max_bytes=128),
    Target(name="keys.raw", read=_read_raw, seeds=lambda: [key(name).public.to_raw() for name in NAMES]),
    Target(name="hpke.open", read=_open, prepare=_hpke_message, max_bytes=256),
    Target(
        name="trust.read",
        read=read_trust,
        prepare=json_trees.preparing(_trust_file()),
        seeds=json_trees.seeding(_trust_file()),
        max_bytes=8192,
    ),
)
