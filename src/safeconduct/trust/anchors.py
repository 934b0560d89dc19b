"""Whose keys a verifier trusts: plain data, gathered before verification; nothing is fetched from here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from safeconduct.crypto import x509
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import Rejected


class Anchors(msgspec.Struct, frozen=True):
    """CAs whose certificates are believed to name an issuer's key.

    names: "san": a leaf certifies the issuers that its subject alternative names say, by URI or, for an https
    issuer, by host. "any" waives that; only for CAs that certify nobody else than the issuer they stand for.
    accept: names of leniencies of `crypto.x509`.
    """

    certificates: tuple[Certificate, ...]
    names: Literal["san", "any"] = "san"
    accept: frozenset[str] = frozenset()


class Trust(msgspec.Struct, frozen=True):
    """The issuer keys that a verifier accepts.

    issuers: keys by issuer identifier, compared by plain string comparison.
    pinned: keys that are accepted for whatever issuer a token names.
    issuer_unchecked: set only by `issuer_not_checked`.
    anchors: CAs that certify keys of one issuer, by its identifier.
    shared: CAs that certify keys of whoever is not listed in `issuers` or `anchors`; these are believed by
    what stands under their own name alone.
    """

    issuers: Mapping[str, tuple[PublicKey, ...]] = {}
    pinned: tuple[PublicKey, ...] = ()
    issuer_unchecked: bool = False
    anchors: Mapping[str, Anchors] = {}
    shared: Anchors | None = None

    def __post_init__(self) -> None:
        if self.shared is not None and self.shared.names == "any":
            raise ValueError('names "any" is for the CAs of one issuer: these could speak for everybody')

    @classmethod
    def of(cls, issuers: Mapping[str, PublicKey | Iterable[PublicKey]]) -> "Trust":
        """Trust each issuer's key or keys for tokens that name this issuer."""
        return cls(
            {name: (keys,) if isinstance(keys, PublicKey) else tuple(keys) for name, keys in issuers.items()}
        )

    @classmethod
    def key(cls, *keys: PublicKey) -> "Trust":
        """Trust these keys whatever issuer a token names; for a caller who pinned the key itself."""
        return cls(pinned=keys)

    @classmethod
    def issuer_not_checked(cls) -> "Trust":
        """Waive the issuer's signature. For inspection and interop rigs; a result proves possession only."""
        return cls(issuer_unchecked=True)

    @classmethod
    def certified(cls, *certificates: Certificate, accept: Iterable[str] = ()) -> "Trust":
        """Trust whoever these CAs certify under the name that a token gives its issuer.

        accept: names of leniencies of `crypto.x509`.
        """
        return cls(shared=Anchors(certificates, accept=frozenset(accept)))

    def keys_for(
        self, issuer: str | None, kid: bytes | str | None = None, x5c: Any = None, *, now: int | None = None
    ) -> tuple[PublicKey, ...]:
        """Returns the keys that may have signed; none if the issuer is unknown.

        issuer: as the token names it, None if it names none. kid: leaves the keys of that name alone if there
        are any, else those without a name. x5c: value of the token's `x5c` header, None if it has none. Where
        anchors apply to the issuer, a chain decides alone: its leaf's key is the only one. now: seconds since
        1970, to go with x5c.

        Raises as `leaf_for`.
        """
        if x5c is not None:
            if now is None:
                raise ValueError("a chain of certificates is judged at a time: give now")
            leaf = self.leaf_for(issuer, x5c, now=now)
            if leaf is not None:
                return (leaf.key,)
        keys = self.pinned + (self.issuers.get(issuer, ()) if issuer is not None else ())
        if kid is not None:
            wanted = _as_bytes(kid)
            named = tuple(key for key in keys if key.kid is not None and _as_bytes(key.kid) == wanted)
            return named or tuple(key for key in keys if key.kid is None)
        return keys

    def leaf_for(self, issuer: str | None, x5c: Any, *, now: int) -> Certificate | None:
        """Returns the certificate of the key that signed a token with this chain; None if no anchors apply.

        issuer: as the token names it; if it names none, shared anchors apply, and the certificate says who
        it is. x5c: value of the token's header. now: seconds since 1970.

        Raises what `x509.read_x5c` and `x509.verify_chain` raise; Rejected "x5c_name_mismatch" (the chain
        certifies another issuer).
        """
        anchors = self._anchors_for(issuer)
        if anchors is None:
            return None
        chain = x509.read_x5c(x5c)
        leaf = x509.verify_chain(chain, anchors=anchors.certificates, now=now, accept=anchors.accept)
        if anchors.names == "san" and issuer is not None and not _names(leaf, issuer):
            raise Rejected(
                "x5c_name_mismatch", "The certificate is not for the issuer that the token names.", rule=_SAN
            )
        return leaf

    def _anchors_for(self, issuer: str | None) -> Anchors | None:
        if issuer is not None and (issuer in self.anchors or issuer in self.issuers):
            return self.anchors.get(issuer)
        return self.shared


_SAN = "draft-ietf-oauth-sd-jwt-vc, x5c"


def _names(leaf: Certificate, issuer: str) -> bool:
    """Tells whether a subject alternative name is the issuer, or the host of an https issuer."""
    if issuer in leaf.uris:
        return True
    found = _HTTPS.fullmatch(issuer)
    return found is not None and found[1].lower() in {name.lower() for name in leaf.dns}


# Nothing that URL parsers differ on: no user, no wildcard, no escape in the host.
_HTTPS = re.compile(
    r"https://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(?::[0-9]{1,5})?(?:/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]*)?"
)


def _as_bytes(kid: bytes | str) -> bytes:
    return kid if isinstance(kid, bytes) else kid.encode()
