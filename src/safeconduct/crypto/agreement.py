"""Keys for Diffie-Hellman key agreement on P-256 and X25519 (RFC 7518 §4.6, RFC 8037 §3.2, RFC 9180 §4.1).

They are types of their own, so that a signature key can never be used for agreement nor the other way round.
"""

import hmac
from typing import Any, Final, Literal, NoReturn, Self, cast

from cryptography.hazmat.primitives.asymmetric import ec

from safeconduct.crypto import jwk, thumbprint
from safeconduct.crypto.kinds import (
    KINDS,
    Handle,
    KeyKind,
    KeyMaterial,
    load_private,
    load_public,
    raw_private,
    raw_public,
    unsupported,
)
from safeconduct.encoding import b64
from safeconduct.errors import Rejected

Curve = Literal["P-256", "X25519"]

_CURVES: Final = ("P-256", "X25519")
_ALG: Final = "ECDH-ES"
_ECDH: Final = ec.ECDH()


class AgreementPublicKey:
    """A public key to agree on a secret with. Immutable; equal if the key material is.

    Made by `from_jwk` or `from_raw`, which raise Malformed "key_malformed" or Unsupported "key_unsupported"
    for what is not a usable key.
    """

    __slots__ = ("_alg", "_handle", "_kid", "_kind", "_raw")

    def __init__(
        self, kind: KeyKind, raw: bytes, *, handle: Handle, kid: str | None, alg: str | None
    ) -> None:
        self._kind = kind
        self._raw = raw
        self._handle = handle
        self._kid = kid
        self._alg = alg

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> Self:
        """Reads a public JWK with `use` "enc" or none, and `alg` "ECDH-ES" or none.

        Raises also Rejected "private_key_where_public_expected", "key_use_mismatch".
        """
        material = jwk.read_public(members, purpose="agree")
        kind, raw = _kind(material.kind.name), material.public or b""
        _check_alg(material)
        kid = None if material.kid is None else jwk.kid_text(material.kid)
        return cls(kind, raw, handle=load_public(kind, raw), kid=kid, alg=material.algorithm)

    @classmethod
    def from_raw(cls, raw: bytes, curve: Curve, *, kid: str | None = None) -> Self:
        """Takes an uncompressed point (P-256, 65 bytes) or an X25519 public key (32 bytes)."""
        kind = _kind(curve)
        return cls(kind, raw, handle=load_public(kind, raw), kid=kid, alg=None)

    @property
    def curve(self) -> Curve:
        """The curve's JOSE name."""
        return cast(Curve, self._kind.name)

    @property
    def kid(self) -> str | None:
        """The key identifier."""
        return self._kid

    @property
    def alg(self) -> str | None:
        """The JOSE algorithm that the key's document named: "ECDH-ES", or None if it named none."""
        return self._alg

    def with_kid(self, kid: str | None) -> "AgreementPublicKey":
        """Returns the same key under another key identifier."""
        return AgreementPublicKey(self._kind, self._raw, handle=self._handle, kid=kid, alg=self._alg)

    def members(self) -> dict[str, str]:
        """Returns the bare JWK members (`kty`, `crv`, `x` and for P-256 `y`), as an `epk` header has them."""
        return jwk.public_members(self._kind, self._raw)

    def to_jwk(self) -> dict[str, Any]:
        """Returns the key as a JWK with `use` "enc", `alg` "ECDH-ES", and its `kid` if it has one."""
        named = {} if self._kid is None else {"kid": self._kid}
        return {**self.members(), "use": "enc", "alg": _ALG, **named}

    def to_raw(self) -> bytes:
        """Returns the uncompressed point (P-256) or the 32 bytes (X25519)."""
        return self._raw

    def jwk_thumbprint(self, hash: str = "sha256") -> bytes:  # noqa: A002
        """Returns the JWK thumbprint (RFC 7638); raises Unsupported "hash_unsupported"."""
        return thumbprint.of_jwk(self._kind, self._raw, hash)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AgreementPublicKey):
            return NotImplemented
        return self._kind is other._kind and self._raw == other._raw

    def __hash__(self) -> int:
        return hash((self._kind.name, self._raw))

    def __repr__(self) -> str:
        return f"<AgreementPublicKey {self._kind.name}>"


class AgreementKey:
    """A private key to agree on a secret with. Shows its own secret only through `to_…(private=True)`."""

    __slots__ = ("_handle", "_kind", "_public")

    def __init__(self, kind: KeyKind, handle: Handle, *, public: AgreementPublicKey) -> None:
        self._kind = kind
        self._handle = handle
        self._public = public

    @classmethod
    def generate(cls, curve: Curve, *, kid: str | None = None) -> Self:
        """Makes a new key; raises Unsupported "key_unsupported" for another curve."""
        kind = _kind(curve)
        return cls._from_handle(kind, kind.generate(), kid=kid, alg=_ALG)

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> Self:
        """Reads a private JWK.

        Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected "key_use_mismatch",
        "key_pair_mismatch".
        """
        material = jwk.read_private(members, purpose="agree")
        kind = _kind(material.kind.name)
        _check_alg(material)
        kid = None if material.kid is None else jwk.kid_text(material.kid)
        handle = load_private(kind, material.private or b"")
        key = cls._from_handle(kind, handle, kid=kid, alg=material.algorithm)
        if material.public != key._public.to_raw():
            raise Rejected("key_pair_mismatch", "The public key is not that of the private key.")
        return key

    @classmethod
    def from_raw(cls, secret: bytes, curve: Curve, *, kid: str | None = None) -> Self:
        """Takes the 32-byte scalar (P-256, big-endian) or the 32 bytes of an X25519 private key.

        Raises Malformed "key_malformed", Unsupported "key_unsupported".
        """
        kind = _kind(curve)
        return cls._from_handle(kind, load_private(kind, secret), kid=kid, alg=None)

    @classmethod
    def _from_handle(cls, kind: KeyKind, handle: Handle, *, kid: str | None, alg: str | None) -> Self:
        raw = raw_public(kind, handle.public_key())
        public = AgreementPublicKey(kind, raw, handle=handle.public_key(), kid=kid, alg=alg)
        return cls(kind, handle, public=public)

    @property
    def public(self) -> AgreementPublicKey:
        """The half to hand out."""
        return self._public

    @property
    def curve(self) -> Curve:
        """The curve's JOSE name."""
        return cast(Curve, self._kind.name)

    @property
    def kid(self) -> str | None:
        """The key identifier."""
        return self._public.kid

    def exchange(self, peer: AgreementPublicKey) -> bytes:
        """Returns the shared secret: the x coordinate (P-256, SP 800-56A §5.7.1.2) or the X25519 output.

        Raises Rejected "key_curve_mismatch" if the peer's key lies on another curve, "shared_secret_invalid"
        if the secret is all zero (RFC 7748 §6.1).
        """
        if peer._kind is not self._kind:
            raise Rejected("key_curve_mismatch", "The two keys lie on different curves.")
        try:
            secret: bytes = (
                self._handle.exchange(_ECDH, peer._handle)
                if self._kind.key_type == "EC2"
                else self._handle.exchange(peer._handle)
            )
        except ValueError:
            raise _shared_secret_invalid() from None
        if hmac.compare_digest(secret, bytes(len(secret))):
            raise _shared_secret_invalid()
        return secret

    def with_kid(self, kid: str | None) -> "AgreementKey":
        """Returns the same key under another key identifier."""
        return AgreementKey(self._kind, self._handle, public=self._public.with_kid(kid))

    def to_jwk(self, *, private: Literal[True]) -> dict[str, Any]:
        """Returns the private key as a JWK."""
        return {**self._public.to_jwk(), "d": b64.encode(self.to_raw(private=private))}

    def to_raw(self, *, private: Literal[True]) -> bytes:
        """Returns the scalar (P-256) or the 32 bytes of the X25519 private key."""
        if private is not True:
            raise ValueError("this writes the private key: say private=True, or use .public")
        return raw_private(self._kind, self._handle)

    def __repr__(self) -> str:
        return f"<AgreementKey {self._kind.name} (secret not shown)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


def _kind(curve: str) -> KeyKind:
    if curve not in _CURVES:
        raise unsupported("The curve is not one that keys are agreed on here.")
    return KINDS[curve]


def _check_alg(material: KeyMaterial) -> None:
    if material.algorithm not in (None, _ALG):
        raise unsupported("The key is meant for another key agreement algorithm.")


def _shared_secret_invalid() -> Rejected:
    return Rejected("shared_secret_invalid", "The key agreement gives no secret.", rule="RFC 7748 §6.1")
