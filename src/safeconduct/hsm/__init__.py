"""Private keys that never leave a PKCS#11 token, named by URIs as `uri` describes them.

Importing this is cheap; python-pkcs11 (the extra `pkcs11`) is loaded when a token is opened. A process logs
in to a token once, for all its keys there. Calls into a module follow one another, because modules are
initialised without locking of their own. What a process has opened is of no use to a child that it forks:
open signers in the worker that uses them.
"""

from typing import TYPE_CHECKING

from safeconduct.crypto.keys import PublicKey
from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.uri import SCHEME, read_uri

if TYPE_CHECKING:
    from safeconduct.hsm.signer import Pkcs11Signer

__all__ = ["HsmError", "generate_key", "is_uri", "open_signer", "read_public"]


def is_uri(text: str) -> bool:
    """Returns whether a setting or argument means a key in a token, and not a file."""
    return text.startswith(SCHEME)


def open_signer(uri: str, *, kid: str | bytes | None = None) -> "Pkcs11Signer":
    """Returns a signer for the private key that the URI names, after a trial signature.

    kid: key identifier for headers; None for none.

    Raises HsmError, whose code says what is missing or wrong.
    """
    place = read_uri(uri)
    _need_driver()
    from safeconduct.hsm.signer import Pkcs11Signer

    return Pkcs11Signer.open(place, kid=kid)


def read_public(uri: str) -> PublicKey:
    """Returns the public half of the key that the URI names; raises HsmError."""
    return open_signer(uri).public


def generate_key(uri: str, algorithm: str) -> PublicKey:
    """Makes a key pair in the token, under the URI's label and id, and returns the public half.

    algorithm: COSE registry name: ES256, ES384, ES512 or Ed25519. The private key can never be read out.

    Raises HsmError "hsm_key_exists" if the token has such a key, "hsm_key_unsupported" for another algorithm
    or one that the token lacks, and as `open_signer`.
    """
    place = read_uri(uri)
    _need_driver()
    from safeconduct.hsm.generation import generate

    return generate(place, algorithm)


def _need_driver() -> None:
    try:
        import pkcs11  # noqa: F401
    except ImportError:
        raise HsmError(
            "hsm_driver_missing", "Keys in tokens need python-pkcs11: pip install 'safeconduct[pkcs11]'."
        ) from None
