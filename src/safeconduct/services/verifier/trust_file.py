"""The trust file: which issuers' keys the verifier believes.

JSON: an object with the issuers' identifiers, each with a key or a list of keys; a key is a JWK or PEM text.

    {"https://issuer.example": [{"kty": "EC", "crv": "P-256", "x": "…", "y": "…"}]}
"""

from pathlib import Path
from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.settings import SettingsError
from safeconduct.trust import Trust


def load_trust(path: Path | None) -> Trust:
    """Reads the trust file.

    Raises SettingsError if there is none, if it cannot be read, or for each issuer whose keys cannot be used.
    """
    if path is None:
        raise SettingsError(("verifier.trust: expected a file, or no issuer would be trusted",))
    try:
        issuers = json.loads_object(path.read_bytes())
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
    keys: dict[str, list[PublicKey]] = {}
    problems: list[str] = []
    for issuer, listed in issuers.items():
        try:
            keys[issuer] = _keys(listed)
        except (SafeconductError, ValueError) as error:
            problems.append(f"{path}: {issuer}: {error}")
    if not issuers:
        problems.append(f"{path}: expected at least one issuer")
    if problems:
        raise SettingsError(tuple(problems))
    return Trust.of(keys)


def _keys(listed: Any) -> list[PublicKey]:
    entries = listed if isinstance(listed, list) else [listed]
    if not entries:
        raise ValueError("expected at least one key")
    return [_key(entry) for entry in entries]


def _key(entry: Any) -> PublicKey:
    if isinstance(entry, str):
        return PublicKey.from_pem(entry)
    if isinstance(entry, dict):
        return PublicKey.from_jwk(entry)
    raise ValueError("expected a JWK or PEM text")
