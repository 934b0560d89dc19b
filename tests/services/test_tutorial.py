"""Every command of the tutorial, and of how to share, runs as it stands, and prints what the page shows.

Blocks labelled `sh run` run one after the other, `sh serve` stay running, `text output` is what the block
before printed. Ports and the directory are the test's own. What differs from run to run (identifiers, times,
sizes, order) is masked on both sides; a line `...` stands for lines that are left out.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "tutorial.md"
SHARING = DOCS / "how-to" / "share-a-credential.md"
PORTS = {
    "ISSUER__PORT": "8440",
    "ISSUER__ADMIN_PORT": "8441",
    "WALLET_SERVER__PORT": "8450",
    "WALLET_SERVER__ADMIN_PORT": "8451",
    "VERIFIER__PORT": "8460",
    "VERIFIER__ADMIN_PORT": "8461",
    "RELAY__PORT": "8480",
    "RELAY__ADMIN_PORT": "8481",
}
SECONDS = 60
"""The longest that one block may take."""

BLOCK = re.compile(r"^( *)```(sh run|sh serve|text output)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"urn:uuid:[0-9a-f-]{36}"), "UUID"),
    (re.compile(r"h'[0-9a-f]+…?'"), "BYTES"),
    (re.compile(r"\b[0-9a-f]{8}(?:[0-9a-f]{8})?\b"), "ID"),
    (re.compile(r"\b\d{10}\b"), "TIME"),
    (re.compile(r'(?<="duration_ms": )\d+'), "DURATION"),
)


class Step(NamedTuple):
    """One block of commands, and what it is to print, None if the page does not say."""

    kind: str
    commands: str
    output: str | None


def steps(page: Path = PAGE) -> list[Step]:
    found: list[Step] = []
    for indent, label, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        text = textwrap.dedent(body) if indent else body
        if label == "text output":
            found[-1] = found[-1]._replace(output=text)
        else:
            found.append(Step(label, text, None))
    return found


@pytest.mark.parametrize("page", [PAGE, SHARING], ids=lambda page: page.stem)
def test_a_page_works_as_written(tmp_path: Path, page: Path) -> None:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    there = {PORTS[name]: port for name, port in ports.items()}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SAFECONDUCT_")},
        **{f"SAFECONDUCT_{name}": port for name, port in ports.items()},
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), os.environ["PATH"], str(tmp_path / "bin")]
        ),
    }
    add_stand_in_for_curl(tmp_path / "bin")
    with ExitStack() as services:
        for place, step in enumerate(steps(page)):
            commands = with_ports(step.commands, there)
            if step.kind == "sh serve":
                assert step.output is not None
                printed = serve(
                    services, commands, tmp_path, environment, place, lines=step.output.count("\n")
                )
            else:
                printed = run(commands, tmp_path, environment)
            if step.output is not None:
                check(step.output, with_ports(printed, {port: page for page, port in there.items()}))


def test_the_tutorial_uses_every_service_and_the_wallet() -> None:
    commands = "".join(step.commands for step in steps())
    for command in (
        "serve issuer",
        "serve wallet-server",
        "serve verifier",
        "offer create",
        "wallet accept",
        "wallet show",
        "wallet present",
        "8451/metrics",
    ):
        assert command in commands


def run(commands: str, directory: Path, environment: dict[str, str]) -> str:
    """Run a block in the directory; variables that it sets are there for the next ones."""
    script = f"set -a; test ! -e .variables || . ./.variables; set -e\n{commands}\nexport -p > .variables\n"
    ended = subprocess.run(
        ["sh", "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def serve(
    services: ExitStack, command: str, directory: Path, environment: dict[str, str], place: int, *, lines: int
) -> str:
    """Start a service and return what it printed once it has printed so many lines."""
    printed = directory / f".service-{place}"
    with printed.open("w") as stream:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=directory, env=environment, stdout=stream
        )
    services.callback(stop, process)
    end = time.monotonic() + SECONDS
    while printed.read_text().count("\n") < lines:
        assert process.poll() is None, "the service stopped"
        assert time.monotonic() < end, "the service was not ready in time"
        time.sleep(0.05)
    return printed.read_text()


def add_stand_in_for_curl(directory: Path) -> None:
    """Put a `curl` at the end of the path, for machines without one: it knows what the tutorial needs."""
    directory.mkdir()
    curl = directory / "curl"
    curl.write_text(STAND_IN_FOR_CURL.format(python=sys.executable), encoding="utf-8")
    curl.chmod(0o700)


STAND_IN_FOR_CURL = """\
#!{python}
import argparse, pathlib, sys, urllib.error, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-H", type=lambda text: text.split(": ", 1))
parser.add_argument("--data-binary", type=lambda text: pathlib.Path(text[1:]).read_bytes())
parser.add_argument("url")
asked = parser.parse_args()
request = urllib.request.Request(asked.url, data=asked.data_binary, headers=dict([asked.H]))
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.buffer.write(answer.read())
"""


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(timeout=SECONDS) == 0
    finally:
        process.kill()


def check(shown: str, printed: str) -> None:
    """Check that each line of the page was printed, and nothing else unless the page leaves lines out."""
    expected = [line for line in masked(shown) if line != "..."]
    actual = masked(printed)
    missing = [line for line in expected if line not in actual]
    assert not missing, f"{missing} is not in what was printed:\n{printed}"
    assert "..." in masked(shown) or len(expected) == len(actual), printed


def masked(text: str) -> list[str]:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return [line.strip().removesuffix(",") for line in text.splitlines()]


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: ports.get(port[0], port[0]), text)


def free_ports(count: int) -> Iterator[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in sockets]
    yield from ports
