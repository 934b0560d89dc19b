"""The trust files of the settings: whose attestations the issuer believes."""

from pathlib import Path

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.settings import SettingsError
from safeconduct.trust import Trust
from safeconduct.trust.file import read_trust


def load_trust(path: Path) -> Trust:
    """Reads a trust file. Raises SettingsError if it cannot be read or used."""
    try:
        with path.open("rb") as file:
            return read_trust(file.read(limits.JSON_BYTES + 1))
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
