"""The private half of a signature key: signs, and shows its secret only when told to in so many words."""

from typing import Any, Final, Literal, NoReturn, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from safeconduct.crypto import cose_key, jwk, pem
from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.kinds import (
    Handle,
    KeyKind,
    KeyMaterial,
    algorithm_for,
    kind_for,
    kind_of,
    load_private,
    load_public,
    raw_private,
    raw_public,
)
from safeconduct.crypto.public_key import PublicKey
from safeconduct.errors import Rejected, Unsupported

_ECDSA: Final = {
    "sha256": ec.ECDSA(hashes.SHA256()),
    "sha384": ec.ECDSA(hashes.SHA384()),
    "sha512": ec.ECDSA(hashes.SHA512()),
}
_ECDSA_DETERMINISTIC: Final = {
    "sha256": ec.ECDSA(hashes.SHA256(), deterministic_signing=True),
    "sha384": ec.ECDSA(hashes.SHA384(), deterministic_signing=True),
    "sha512": ec.ECDSA(hashes.SHA512(), deterministic_signing=True),
}


class Key:
    """A private key that signs: a `Signer` in memory. Shows its secret only through `to_…(private=True)`.

    Made by `generate` or one of the `from_…` methods. Each of those raises Malformed "key_malformed",
    Unsupported "key_unsupported", and Rejected "key_pair_mismatch" if the document's public key is another's.
    """

    __slots__ = ("_ecdsa", "_half", "_handle", "_kind", "_public")

    def __init__(self, kind: KeyKind, handle: Handle, *, public: PublicKey, ecdsa: ec.ECDSA | None) -> None:
        self._kind = kind
        self._handle = handle
        self._public = public
        self._ecdsa = ecdsa
        self._half = public.algorithm.signature_bytes >> 1

    @classmethod
    def generate(cls, algorithm: str, *, kid: str | bytes | None = None) -> Self:
        """Makes a new key for the algorithm of that COSE registry name."""
        kind = kind_for(algorithm)
        return cls._from_handle(kind.generate(), algorithm, kid)

    @classmethod
    def from_pem(
        cls, text: str | bytes, *, password: bytes | None = None, kid: str | bytes | None = None
    ) -> Self:
        """Reads a PEM private key: PKCS#8 of version 1 or 2 (RFC 5958), encrypted PKCS#8, or SEC 1.

        password: opens an encrypted key; None for one without, else Rejected "key_password_wrong".
        """
        return cls._from_handle(pem.read_private(text, password=password), None, kid)

    @classmethod
    def from_der(cls, der: bytes, *, kid: str | bytes | None = None) -> Self:
        """Reads an unencrypted DER private key: PKCS#8 of version 1 or 2, or SEC 1."""
        return cls._from_handle(pem.read_private_der(der), None, kid)

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> Self:
        """Reads a private JWK (RFC 7517); raises also Rejected "key_use_mismatch"."""
        material = jwk.read_private(members, purpose="sign")
        return cls._from_material(material, jwk.signature_algorithm(material))

    @classmethod
    def from_cose_key(cls, members: dict[int, Any]) -> Self:
        """Reads a private COSE_Key (RFC 9052 §7); raises also Rejected "key_use_mismatch"."""
        material = cose_key.read_private(members)
        return cls._from_material(material, material.algorithm)

    @classmethod
    def from_raw(cls, secret: bytes, algorithm: str, *, kid: str | bytes | None = None) -> Self:
        """Takes the scalar (ECDSA, big-endian, of the curve's length) or the seed (EdDSA, ML-DSA)."""
        kind = kind_for(algorithm)
        return cls._from_handle(load_private(kind, secret), algorithm, kid)

    @classmethod
    def _from_handle(cls, handle: Handle, algorithm: str | None, kid: str | bytes | None) -> Self:
        kind = kind_of(handle)
        bound = algorithm_for(kind, algorithm)
        raw = raw_public(kind, handle.public_key())
        public = PublicKey(kind, raw, handle=load_public(kind, raw), algorithm=bound, kid=kid)
        return cls(kind, handle, public=public, ecdsa=_ECDSA[bound.hash] if bound.hash else None)

    @classmethod
    def _from_material(cls, material: KeyMaterial, algorithm: str | None) -> Self:
        handle = load_private(material.kind, material.private or b"")
        key = cls._from_handle(handle, algorithm, material.kid)
        if material.public is not None and material.public != key._public.to_raw():
            raise Rejected("key_pair_mismatch", "The public key is not that of the private key.")
        return key

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that `sign` uses."""
        return self._public.algorithm

    @property
    def public(self) -> PublicKey:
        """The key that verifies, with the same algorithm and key identifier."""
        return self._public

    @property
    def kid(self) -> str | bytes | None:
        """The key identifier."""
        return self._public.kid

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of `data` (ECDSA: r followed by s)."""
        if self._ecdsa is None:
            signature: bytes = self._handle.sign(data)
            return signature
        r, s = decode_dss_signature(self._handle.sign(data, self._ecdsa))
        return r.to_bytes(self._half, "big") + s.to_bytes(self._half, "big")

    def deterministic(self) -> "Key":
        """Returns the same key signing without randomness: ECDSA by RFC 6979, EdDSA as it always does.

        Raises Unsupported "deterministic_unsupported" for ML-DSA, whose signatures are hedged here.
        """
        hash_name = self.algorithm.hash
        if hash_name is not None:
            return Key(self._kind, self._handle, public=self._public, ecdsa=_ECDSA_DETERMINISTIC[hash_name])
        if self._kind.key_type == "AKP":
            raise Unsupported("deterministic_unsupported", "ML-DSA signs with randomness here.")
        return self

    def with_kid(self, kid: str | bytes | None) -> "Key":
        """Returns the same key under another key identifier."""
        return Key(self._kind, self._handle, public=self._public.with_kid(kid), ecdsa=self._ecdsa)

    def with_algorithm(self, name: str) -> "Key":
        """Returns the same key bound to another algorithm.

        name: its COSE registry name; raises Unsupported "key_unsupported" if it does not fit the key.
        """
        return Key(self._kind, self._handle, public=self._public.with_algorithm(name), ecdsa=self._ecdsa)

    def to_pem(self, *, private: Literal[True], password: bytes | None = None) -> str:
        """Returns the private key as PEM PKCS#8, encrypted if a passphrase is given."""
        _demand(private)
        return pem.write_private(self._handle, password=password)

    def to_jwk(self, *, private: Literal[True]) -> dict[str, Any]:
        """Returns the private key as a JWK."""
        _demand(private)
        members = jwk.private_members(self._kind, self._public.to_raw(), self._secret())
        return {**members, **jwk.names(self.algorithm, self.kid)}

    def to_cose_key(self, *, private: Literal[True]) -> dict[int, Any]:
        """Returns the private key as a COSE_Key map."""
        _demand(private)
        members = cose_key.private_members(self._kind, self._public.to_raw(), self._secret())
        return {**members, **cose_key.names(self._kind, self.algorithm, self.kid)}

    def to_raw(self, *, private: Literal[True]) -> bytes:
        """Returns the scalar (ECDSA) or the seed (EdDSA, ML-DSA)."""
        _demand(private)
        return self._secret()

    def _secret(self) -> bytes:
        return raw_private(self._kind, self._handle)

    def __repr__(self) -> str:
        return f"<Key {self.algorithm.name} (secret not shown)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


def _demand(private: Literal[True]) -> None:
    if private is not True:
        raise ValueError("this writes the private key: say private=True, or use .public")
