"""SoftHSM, a PKCS#11 token in software: a module, a token of the tests' own, and URIs for keys in it."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

PIN, WRONG_PIN = "1234", "4321"

_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


class SoftHsm:
    """A SoftHSM whose tokens live in one folder; SOFTHSM2_CONF must name `configuration`."""

    def __init__(self, folder: Path, module: str) -> None:
        self.folder = folder
        self.module = module
        self.configuration = folder / "softhsm2.conf"
        self.pin_file = folder / "pin"
        (folder / "tokens").mkdir()
        self.configuration.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.pin_file.write_text(f"{PIN}\n")

    def make_token(self, label: str) -> None:
        """Makes an empty token."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        subprocess.run(
            [*command, "--pin", PIN, "--so-pin", "5678"],
            env={"SOFTHSM2_CONF": str(self.configuration)},
            check=True,
            capture_output=True,
            executable=shutil.which("softhsm2-util"),
        )

    def uri(self, label: str, *, token: str = "safeconduct", pin_file: Path | None = None) -> str:
        """The URI of a key in a token, with the right PIN unless told otherwise."""
        pin = pin_file or self.pin_file
        path = f"pkcs11:token={quote(token)};object={quote(label)}"
        return f"{path}?module-path={self.module}&pin-source=file:{quote(str(pin))}"


def find_module() -> str | None:
    """Where SoftHSM's module is; None if it is not installed."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((place for place in _MODULES if Path(place).is_file()), None)
