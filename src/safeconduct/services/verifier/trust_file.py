"""The trust file of the settings: which issuers' keys the verifier believes."""

from pathlib import Path

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.settings import SettingsError
from safeconduct.trust import Trust
from safeconduct.trust.file import read_trust


def load_trust(path: Path | None) -> Trust:
    """Reads the trust file. Raises SettingsError if there is none, or if it cannot be read or used."""
    if path is None:
        raise SettingsError(("verifier.trust: expected a file, or no issuer would be trusted",))
    try:
        with path.open("rb") as file:
            return read_trust(file.read(limits.JSON_BYTES + 1))
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
