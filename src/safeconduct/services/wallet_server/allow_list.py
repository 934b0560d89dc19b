"""The issuers that may be asked: those of the settings, and those of a file that may change meanwhile."""

from pathlib import Path

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.settings import SettingsError, WalletServerSettings, url_faults


class IssuerNotAllowed(Rejected):
    """The issuer is not on the list."""

    oauth_error = "access_denied"
    http_status = 403


class AllowList:
    """Exact identifiers; no patterns. Wallets name an issuer, never a URL to send to."""

    def __init__(self, settings: WalletServerSettings) -> None:
        """Raises SettingsError for a file that cannot be read or has something else than identifiers."""
        self._file = settings.issuers_file
        self._always = settings.issuers
        self._issuers: dict[str, None] = {}
        self.reload()

    @property
    def issuers(self) -> tuple[str, ...]:
        """All identifiers on the list."""
        return tuple(self._issuers)

    def reload(self) -> None:
        """Read the file again. Raises SettingsError, and then keeps what it had."""
        listed = () if self._file is None else _read(self._file)
        self._issuers = dict.fromkeys((*self._always, *listed))

    def check(self, issuer: str | None) -> str:
        """Return the issuer if it is on the list. Raises IssuerNotAllowed "issuer_not_allowed"."""
        if issuer is None or issuer not in self._issuers:
            raise IssuerNotAllowed("issuer_not_allowed", "Nothing is forwarded to this issuer.")
        return issuer


def _read(file: Path) -> list[str]:
    """One identifier a line; empty lines and those that begin with # are left out."""
    try:
        with file.open("rb") as opened:
            content = opened.read(limits.ISSUER_LIST_BYTES + 1)
        if len(content) > limits.ISSUER_LIST_BYTES:
            raise SettingsError((f"{file}: expected no more than {limits.ISSUER_LIST_BYTES} bytes",))
        lines = [line.strip() for line in content.decode().splitlines()]
    except OSError as error:
        raise SettingsError((f"{file}: cannot be read ({error.strerror})",)) from None
    except UnicodeDecodeError:
        raise SettingsError((f"{file}: expected UTF-8 text",)) from None
    listed = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    problems = [f"{file}: line {number}: {fault}" for number, line in listed for fault in url_faults(line)]
    if problems:
        raise SettingsError(tuple(problems))
    return [line for _, line in listed]
