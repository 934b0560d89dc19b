"""A foreign implementation in a process of its own, asked by lines of JSON."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent


class Refused(Exception):
    """The foreign implementation raised an error: its class and message."""


class Absent(Exception):
    """The foreign implementation is not installed: why."""


class Peer:
    """The process; `ask` calls one of its operations. Bytes go in and come out as {"hex": "..."}."""

    def __init__(self, name: str, *, environment: Mapping[str, str] | None = None) -> None:
        """environment: variables that it has beside those of this process."""
        self.name = name
        self._process = subprocess.Popen(
            _command(HERE / name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **(environment or {})},
        )

    def ask(self, operation: str, **given: Any) -> Any:
        """Returns what the operation returns; raises Refused."""
        wire = {
            name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in given.items()
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"operation": operation, **wire}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} has died"
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        value = answer["value"]
        return bytes.fromhex(value["hex"]) if isinstance(value, dict) and value.keys() == {"hex"} else value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()


def _command(folder: Path) -> list[str]:
    if (folder / "requirements.txt").exists():
        python = folder / ".venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        if not python.exists():
            raise Absent(f"{folder.name} is not installed (make interop)")
        return [str(python), str(folder / "peer.py")]
    node = shutil.which("node")
    if node is None or not (folder / "node_modules").is_dir():
        raise Absent(f"{folder.name} is not installed (make interop)")
    return [node, str(folder / "peer.mjs")]
