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

__all__ = [
    "HsmError",
    "generate_key",
    "generate_wrapping_key",
    "is_uri",
    "open_signer",
    "read_public",
    "unwrap",
    "wrap",
]


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


def generate_wrapping_key(uri: str) -> None:
    """Makes a key for `wrap` and `unwrap` in the token, AES-256, under the URI's label and id.

    Raises HsmError "hsm_key_exists" if the token has such a key, and as `open_signer`.
    """
    place = read_uri(uri)
    _need_driver()
    from safeconduct.hsm.wrapping import generate_wrapping

    generate_wrapping(place)


def wrap(uri: str, secret: bytes, *, context: bytes) -> bytes:
    """Returns a secret, such as the key of a wallet, sealed so that only this token opens it.

    uri: of a key that `generate_wrapping_key` made. secret: at most 4096 bytes. context: says what the secret
    is for; `unwrap` needs the same.

    Raises HsmError.
    """
    place = read_uri(uri)
    _need_driver()
    from safeconduct.hsm import wrapping

    return wrapping.wrap(place, secret, context)


def unwrap(uri: str, wrapped: bytes, *, context: bytes) -> bytes:
    """Returns the secret that `wrap` sealed.

    Raises HsmError "hsm_unwrap_failed" if it was not wrapped by this key for this context, and others.
    """
    place = read_uri(uri)
    _need_driver()
    from safeconduct.hsm import wrapping

    return wrapping.unwrap(place, wrapped, context)


def _need_driver() -> None:
    try:
        import pkcs11  # noqa: F401
    except ImportError:
        raise HsmError(
            "hsm_driver_missing", "Keys in tokens need python-pkcs11: pip install 'safeconduct[pkcs11]'."
        ) from None
