"""Credential (RFC 9420 §5.3): a type and a body. What the body claims is not looked at here.

Of types that are not known the body is taken for one `opaque<V>`, as most have it; one with another form
cannot be told from what follows and makes the whole malformed.
"""

from collections.abc import Callable
from typing import ClassVar, Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Unsupported
from safeconduct.protocols.mls import registries
from safeconduct.protocols.mls.sd_jwt import SdJwt, take_sd_jwt

Framing = Literal["draft", "opaque"]
"""How an SD-JWT stands in a credential: as the draft's struct without a length of its own, which a stack that
does not know the type cannot pass over; or the same within one `opaque<V>`, which it can."""


class BasicCredential(msgspec.Struct, frozen=True):
    """A name that only an application can judge. identity: what it is."""

    credential_type: ClassVar[int] = registries.BASIC
    identity: bytes

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        return _typed(self.credential_type, tls.opaque(self.identity))

    def __repr__(self) -> str:
        return "<BasicCredential>"


class X509Credential(msgspec.Struct, frozen=True):
    """A chain of certificates. certificates: each in DER, the client's own first."""

    credential_type: ClassVar[int] = registries.X509
    certificates: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        return _typed(self.credential_type, tls.vector(map(tls.opaque, self.certificates)))

    def __repr__(self) -> str:
        return f"<X509Credential {len(self.certificates)} certificates>"


class SdCwtCredential(msgspec.Struct, frozen=True):
    """An SD-CWT with key binding. sd_kbt: the SD-KBT, which holds the SD-CWT, as received."""

    credential_type: ClassVar[int] = registries.SD_CWT
    sd_kbt: bytes

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        return _typed(self.credential_type, tls.opaque(self.sd_kbt))

    def __repr__(self) -> str:
        return f"<SdCwtCredential {len(self.sd_kbt)} bytes>"


class SdJwtCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An SD-JWT with key binding, classic or compacted, in one of two framings."""

    credential_type: ClassVar[int] = registries.SD_JWT
    sd_jwt: SdJwt
    framing: Framing

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        body = self.sd_jwt.encode()
        return _typed(self.credential_type, body if self.framing == "draft" else tls.opaque(body))

    def __repr__(self) -> str:
        return f"<SdJwtCredential {self.sd_jwt!r}>"


class CredentialBinding(msgspec.Struct, frozen=True, kw_only=True):
    """One of several credentials of a client, signed with that credential's own key.

    cipher_suite: number of the one that it is signed with.
    """

    cipher_suite: int
    credential: "Credential"
    credential_key: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """What stands before the signature."""
        return tls.uint(self.cipher_suite, 2) + self.credential.encode() + tls.opaque(self.credential_key)

    def __repr__(self) -> str:
        return f"<CredentialBinding {self.credential!r}>"


class MultiCredential(msgspec.Struct, frozen=True):
    """Several credentials of one client, which are only read (draft-ietf-mls-extensions)."""

    credential_type: ClassVar[int] = registries.MULTI
    bindings: tuple[CredentialBinding, ...]

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        bindings = (binding.signed + tls.opaque(binding.signature) for binding in self.bindings)
        return _typed(self.credential_type, tls.vector(bindings))

    def __repr__(self) -> str:
        return f"<MultiCredential {len(self.bindings)} bindings>"


class OpaqueCredential(msgspec.Struct, frozen=True):
    """A credential of a type that is not known here. data: its body without the length before it."""

    credential_type: int
    data: bytes

    def encode(self) -> bytes:
        """Returns the Credential as MLS carries it."""
        return _typed(self.credential_type, tls.opaque(self.data))

    def __repr__(self) -> str:
        return f"<OpaqueCredential {self.credential_type:#06x} {len(self.data)} bytes>"


Credential = (
    BasicCredential | X509Credential | SdCwtCredential | SdJwtCredential | MultiCredential | OpaqueCredential
)


def parse_credential(data: bytes, *, framing: Framing) -> Credential:
    """Returns the Credential that `data` is.

    framing: of an SD-JWT. Raises as `take_credential`, and Malformed "tls_trailing_bytes".
    """
    if len(data) > _TYPE_BYTES + limits.MLS_CREDENTIAL_BYTES:
        raise _too_large()
    return tls.read(data, lambda reader: take_credential(reader, framing))


def take_credential(reader: Reader, framing: Framing) -> Credential:
    """Reads a Credential.

    Raises Malformed "tls_…", "mls_sd_jwt_malformed"; Rejected "mls_key_binding_missing"; Unsupported
    "mls_credential_too_large" above `limits.MLS_CREDENTIAL_BYTES`, "mls_credential_nested" for one of several
    that is itself several, "tls_too_many".
    """
    begun, kind = reader.place, reader.uint16()
    taken = _take_multi(reader, framing) if kind == registries.MULTI else _take_single(reader, kind, framing)
    if reader.place - begun > _TYPE_BYTES + limits.MLS_CREDENTIAL_BYTES:
        raise _too_large()
    return taken


def _take_multi(reader: Reader, framing: Framing) -> MultiCredential:
    return MultiCredential(
        reader.vector(lambda inner: _take_binding(inner, framing), count=limits.MLS_CREDENTIALS)
    )


def _take_single(reader: Reader, kind: int, framing: Framing) -> Credential:
    take = _TAKE.get(kind)
    return take(reader, framing) if take is not None else OpaqueCredential(kind, reader.opaque())


def _take_binding(reader: Reader, framing: Framing) -> CredentialBinding:
    cipher_suite, kind = reader.uint16(), reader.uint16()
    if kind == registries.MULTI:
        raise Unsupported("mls_credential_nested", "One of several credentials is several again.")
    return CredentialBinding(
        cipher_suite=cipher_suite,
        credential=_take_single(reader, kind, framing),
        credential_key=reader.opaque(),
        signature=reader.opaque(),
    )


def _take_x509(reader: Reader, _: Framing) -> X509Credential:
    return X509Credential(reader.vector(Reader.opaque, count=limits.X5C_CERTIFICATES))


def _take_sd_jwt(reader: Reader, framing: Framing) -> SdJwtCredential:
    sd_jwt = take_sd_jwt(reader) if framing == "draft" else tls.read(reader.opaque(), take_sd_jwt)
    return SdJwtCredential(sd_jwt=sd_jwt, framing=framing)


_TAKE: Final[dict[int, Callable[[Reader, Framing], Credential]]] = {
    registries.BASIC: lambda reader, _: BasicCredential(reader.opaque()),
    registries.X509: _take_x509,
    registries.SD_CWT: lambda reader, _: SdCwtCredential(reader.opaque()),
    registries.SD_JWT: _take_sd_jwt,
}


_TYPE_BYTES = 2


def _typed(kind: int, body: bytes) -> bytes:
    return tls.uint(kind, _TYPE_BYTES) + body


def _too_large() -> Unsupported:
    return Unsupported("mls_credential_too_large", "The credential is longer than accepted here.")
