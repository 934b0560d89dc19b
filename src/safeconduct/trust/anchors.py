"""Whose keys a verifier trusts: plain data, gathered before verification; nothing is fetched from here."""

from collections.abc import Iterable, Mapping

import msgspec

from safeconduct.crypto.keys import PublicKey


class Trust(msgspec.Struct, frozen=True):
    """The issuer keys that a verifier accepts.

    issuers: keys by issuer identifier, compared by plain string comparison.
    pinned: keys that are accepted for whatever issuer a token names.
    issuer_unchecked: set only by `issuer_not_checked`.
    """

    issuers: Mapping[str, tuple[PublicKey, ...]] = {}
    pinned: tuple[PublicKey, ...] = ()
    issuer_unchecked: bool = False

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

    def keys_for(self, issuer: str | None, kid: bytes | str | None) -> tuple[PublicKey, ...]:
        """Return the keys that may have signed, those whose `kid` matches alone if there are any."""
        keys = self.pinned + (self.issuers.get(issuer, ()) if issuer is not None else ())
        if kid is not None:
            wanted = _as_bytes(kid)
            named = tuple(key for key in keys if key.kid is not None and _as_bytes(key.kid) == wanted)
            return named or tuple(key for key in keys if key.kid is None)
        return keys


def _as_bytes(kid: bytes | str) -> bytes:
    return kid if isinstance(kid, bytes) else kid.encode()
