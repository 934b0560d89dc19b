"""What can sign: a key in memory, or anything that keeps one elsewhere (a PKCS#11 token, a service)."""

from typing import Protocol, runtime_checkable

from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.keys import PublicKey


@runtime_checkable
class Signer(Protocol):
    """Signs with one private key, which it never has to show."""

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that `sign` uses and that a message's header names."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies what `sign` makes."""

    @property
    def kid(self) -> str | bytes | None:
        """The key identifier that a header may carry."""

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of `data` as COSE and JOSE carry it (ECDSA: r followed by s)."""
