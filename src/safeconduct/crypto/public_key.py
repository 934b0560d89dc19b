"""The public half of a signature key: verifies, and knows every written form of itself.

A key never exists unless it was checked: its lengths, that its point lies on the curve, that its algorithm
fits, and that the document it came from does not reserve it for another use.
"""

from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from safeconduct.crypto import cose_key, jwk, pem, thumbprint
from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.kinds import (
    Handle,
    KeyKind,
    KeyMaterial,
    algorithm_for,
    kind_for,
    kind_of,
    load_public,
    raw_public,
)
from safeconduct.errors import Rejected

_ECDSA: Final = {
    "sha256": ec.ECDSA(hashes.SHA256()),
    "sha384": ec.ECDSA(hashes.SHA384()),
    "sha512": ec.ECDSA(hashes.SHA512()),
}


class PublicKey:
    """A public key that verifies signatures. Immutable; equal if the key material is.

    Made by one of the `from_…` methods. Each raises Malformed "key_malformed" or Unsupported
    "key_unsupported" for what is not a usable key.
    """

    __slots__ = (
        "_algorithm",
        "_ecdsa",
        "_half",
        "_handle",
        "_kid",
        "_kind",
        "_raw",
        "_signature_bytes",
        "_thumbprint",
    )

    def __init__(
        self, kind: KeyKind, raw: bytes, *, handle: Handle, algorithm: Algorithm, kid: str | bytes | None
    ) -> None:
        self._kind = kind
        self._raw = raw
        self._handle = handle
        self._algorithm = algorithm
        self._kid = kid
        self._signature_bytes = algorithm.signature_bytes
        self._half = algorithm.signature_bytes >> 1
        self._ecdsa = _ECDSA[algorithm.hash] if algorithm.hash is not None else None
        self._thumbprint: bytes | None = None

    @classmethod
    def from_pem(cls, text: str | bytes, *, kid: str | bytes | None = None) -> Self:
        """Reads a PEM SubjectPublicKeyInfo.

        A private key raises Rejected "private_key_where_public_expected".
        """
        return cls._from_handle(pem.read_public(text), kid)

    @classmethod
    def from_der(cls, der: bytes, *, kid: str | bytes | None = None) -> Self:
        """Reads a DER SubjectPublicKeyInfo."""
        return cls._from_handle(pem.read_public_der(der), kid)

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> Self:
        """Reads a public JWK (RFC 7517), its `alg` and `kid` included.

        Raises also Rejected "private_key_where_public_expected", "key_use_mismatch".
        """
        material = jwk.read_public(members, purpose="verify")
        return cls._from_material(material, jwk.signature_algorithm(material))

    @classmethod
    def from_cose_key(cls, members: dict[int, Any]) -> Self:
        """Reads a public COSE_Key (RFC 9052 §7), its alg and kid included.

        Raises also Rejected "private_key_where_public_expected", "key_use_mismatch".
        """
        material = cose_key.read_public(members)
        return cls._from_material(material, material.algorithm)

    @classmethod
    def from_raw(cls, raw: bytes, algorithm: str, *, kid: str | bytes | None = None) -> Self:
        """Takes what `to_raw` gives.

        raw: an uncompressed point for ECDSA, else the public key as its specification encodes it.
        algorithm: its COSE registry name.
        """
        kind = kind_for(algorithm)
        bound = algorithm_for(kind, algorithm)
        return cls(kind, raw, handle=load_public(kind, raw), algorithm=bound, kid=kid)

    @classmethod
    def _from_handle(cls, handle: Handle, kid: str | bytes | None) -> Self:
        kind = kind_of(handle)
        bound, raw = algorithm_for(kind), raw_public(kind, handle)
        return cls(kind, raw, handle=load_public(kind, raw), algorithm=bound, kid=kid)

    @classmethod
    def _from_material(cls, material: KeyMaterial, algorithm: str | None) -> Self:
        kind, raw = material.kind, material.public or b""
        bound = algorithm_for(kind, algorithm)
        return cls(kind, raw, handle=load_public(kind, raw), algorithm=bound, kid=material.kid)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm this key is for; `algorithms.compatible` says by which names messages may call it."""
        return self._algorithm

    @property
    def kid(self) -> str | bytes | None:
        """The key identifier that came with the key or was given to it."""
        return self._kid

    def verify(self, signature: bytes, data: bytes) -> None:
        """Returns if `signature` (ECDSA: r followed by s) is this key's over `data`.

        Raises Rejected "signature_invalid" otherwise, also for a signature of another length.
        """
        if len(signature) != self._signature_bytes:
            raise _signature_invalid()
        try:
            if self._ecdsa is None:
                self._handle.verify(signature, data)
                return
            # As cryptography takes them: a DER SEQUENCE of two INTEGERs, each without zeros to the left, at
            # least one byte long, and positive, which its first bit tells.
            r, s = signature[: self._half].lstrip(b"\0"), signature[self._half :].lstrip(b"\0")
            r = b"\0" + r if r[:1] >= b"\x80" or not r else r
            s = b"\0" + s if s[:1] >= b"\x80" or not s else s
            length = len(r) + len(s) + 4
            form = b"0%c\x02%c%b\x02%c%b" if length < 128 else b"0\x81%c\x02%c%b\x02%c%b"
            self._handle.verify(form % (length, len(r), r, len(s), s), data, self._ecdsa)
        except InvalidSignature:
            raise _signature_invalid() from None

    def with_kid(self, kid: str | bytes | None) -> "PublicKey":
        """Returns the same key under another key identifier."""
        if kid == self._kid:
            return self
        return PublicKey(self._kind, self._raw, handle=self._handle, algorithm=self._algorithm, kid=kid)

    def with_algorithm(self, name: str) -> "PublicKey":
        """Returns the same key bound to another algorithm.

        name: its COSE registry name; raises Unsupported "key_unsupported" if it does not fit the key.
        """
        bound = algorithm_for(self._kind, name)
        return PublicKey(self._kind, self._raw, handle=self._handle, algorithm=bound, kid=self._kid)

    def to_pem(self) -> str:
        """Returns the key as a PEM SubjectPublicKeyInfo."""
        return pem.write_public(self._handle)

    def to_der(self) -> bytes:
        """Returns the key as a DER SubjectPublicKeyInfo."""
        return pem.write_public_der(self._handle)

    def to_raw(self) -> bytes:
        """Returns the uncompressed point for ECDSA, else the key as its specification encodes it."""
        return self._raw

    def to_jwk(self) -> dict[str, Any]:
        """Returns the key as a JWK with its `alg`, and its `kid` if it has one."""
        return {**jwk.public_members(self._kind, self._raw), **jwk.names(self._algorithm, self._kid)}

    def to_cose_key(self) -> dict[int, Any]:
        """Returns the key as a COSE_Key map, with kid if it has one.

        alg stands there where the key type needs it or where another than the curve's usual one was chosen.
        """
        names = cose_key.names(self._kind, self._algorithm, self._kid)
        return {**cose_key.public_members(self._kind, self._raw), **names}

    def jwk_thumbprint(self, hash: str = "sha256") -> bytes:  # noqa: A002
        """Returns the JWK thumbprint (RFC 7638); raises Unsupported "hash_unsupported"."""
        if hash != "sha256":
            return thumbprint.of_jwk(self._kind, self._raw, hash)
        if self._thumbprint is None:
            self._thumbprint = thumbprint.of_jwk(self._kind, self._raw, hash)
        return self._thumbprint

    def cose_thumbprint(self, hash: str = "sha256") -> bytes:  # noqa: A002
        """Returns the COSE Key thumbprint (RFC 9679); raises Unsupported "hash_unsupported"."""
        return thumbprint.of_cose_key(self._kind, self._raw, hash)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self._kind is other._kind and self._raw == other._raw

    def __hash__(self) -> int:
        return hash((self._kind.name, self._raw))

    def __repr__(self) -> str:
        return f"<PublicKey {self._algorithm.name}>"


def _signature_invalid() -> Rejected:
    return Rejected("signature_invalid", "The signature is not valid for this key and data.")
