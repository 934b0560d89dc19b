"""Install the locked pip into the environment that runs this, where Python came without ensurepip.

Debian ships `venv` without it. The wheel's address and hash are those of `uv.lock`.
"""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "uv.lock"
SECONDS = 60


def main() -> None:
    """Download pip's wheel, compare its hash, and let it install itself."""
    address, expected = locked_wheel()
    with urllib.request.urlopen(address, timeout=SECONDS) as response:  # noqa: S310 (https, from the lock)
        data = response.read()
    if hashlib.sha256(data).hexdigest() != expected:
        sys.exit(f"bootstrap_pip: {address} is not the archive that the lock names")
    with tempfile.TemporaryDirectory() as directory:
        wheel = Path(directory) / address.rpartition("/")[2]
        wheel.write_bytes(data)
        # A wheel is a zip file, and pip runs from inside one.
        command = [sys.executable, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        subprocess.run(command, check=True)  # noqa: S603 (no part of it comes from outside)


def locked_wheel() -> tuple[str, str]:
    """Return the address of pip's wheel and its SHA-256 in hexadecimal."""
    lock = tomllib.loads(LOCK.read_text(encoding="utf-8"))
    pip = next(package for package in lock["package"] if package["name"] == "pip")
    wheel = pip["wheels"][0]
    return wheel["url"], wheel["hash"].removeprefix("sha256:")


if __name__ == "__main__":
    main()
