"""Real processes: closed and broken streams, foreign bytes, files that are none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.unit.cli.conftest import ISSUE, PRESENT, VERIFY, Run
from typer.main import get_command

from safeconduct.cli import files, main
from safeconduct.cli.faults import WrongUse

SAFECONDUCT = (sys.executable, "-c", "from safeconduct.cli.main import run; run()")


def shell(line: str, place: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which "$@" is a command of safeconduct."""
    command = ["/bin/sh", "-c", line, "sh", *SAFECONDUCT, *arguments]
    return subprocess.run(command, capture_output=True, cwd=place, check=False)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ('"$@" <&-', b"standard input is closed"),
        ('"$@" <token.cbor >&-', b"standard output is closed"),
        ('"$@" <token.cbor >/dev/full', b"No space left"),
        ('("$@"; echo $? >status) <token.cbor | true; exit $(cat status)', b"gone away"),
    ],
)
def test_streams_that_fail_are_wrong_use(line: str, advice: bytes, token: bytes, place: Path) -> None:
    done = shell(line, place, *PRESENT)
    assert done.returncode == 2, done
    assert advice in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_standard_error_changes_no_verdict(token: bytes, place: Path) -> None:
    assert shell('"$@" <token.cbor 2>&-', place, *VERIFY).returncode == 1


def test_text_is_utf8_whatever_the_locale(presentation: bytes, place: Path) -> None:
    done = shell('LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii "$@" <presentation.cbor', place, *VERIFY)
    assert json.loads(done.stdout.decode())["given_name"] == "Zoë"


def test_arguments_that_are_no_text_are_wrong_use(presentation: bytes, place: Path) -> None:
    for option in ("--audience", "--issuer-key"):
        command = [os.fsencode(part) for part in (*SAFECONDUCT, *VERIFY, option)]
        done = subprocess.run(
            [*command, b"\xff\x1b"], capture_output=True, cwd=place, input=presentation, check=False
        )
        assert done.returncode == 2, done
        assert b"\x1b" not in done.stderr


def test_the_help_comes_without_heavy_imports() -> None:
    program = "import sys, safeconduct.cli.main; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"cryptography", "cbor2", "rich", "sqlalchemy", "starlette", "granian", "httpx2", "msgspec"}
    assert {line.partition(".")[0] for line in done.stdout.split()} & heavy == set()


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        elif not command.hidden:  # a hidden one is another name, and shows the help of what it names
            yield (*path, name), command


COMMANDS = dict(_commands(get_command(main.app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_and_json(path: tuple[str, ...], run: Run) -> None:
    done = run(*path, "--help")
    assert done.exit_code == 0
    examples = done.stdout.replace("Examples:", "Example:").partition("Example:")[2]
    assert f"safeconduct {' '.join(path)}" in examples
    assert "--json" in done.stdout


def test_the_name_alone_shows_the_help(run: Run) -> None:
    assert run().stdout == run("--help").stdout
    assert run().exit_code == 0
    assert run("--version").stdout.startswith("safeconduct ")


READERS: dict[str, Sequence[str]] = {
    "claims": ("sd-cwt", "issue", "{}", *ISSUE[3:]),
    "issuer key": ("sd-cwt", "issue", "claims.json", "--issuer-key", "{}"),
    "holder key": (*ISSUE[:-1], "{}"),
    "token": ("sd-cwt", "present", "{}", *PRESENT[2:]),
    "presentation": ("sd-cwt", "verify", "{}", *VERIFY[2:]),
    "trust": ("sd-cwt", "verify", "presentation.cbor", "--trust", "{}", *VERIFY[4:]),
    "public key": ("key", "public", "{}"),
    "thumbprint": ("key", "thumbprint", "{}"),
    "nonces": ("interop", "issue", "issuer.pem", "--nonces", "{}"),
    "disclosures": ("interop", "present", "holder.jwk", "--disclosure_list", "{}", "--issuer-key", "ignore"),
    "interop issuer": ("interop", "verify", "--issuer", "{}"),
    "offer claims": ("offer", "create", "--configuration", "identity", "--claims", "{}"),
    "settings": ("wallet", "list", "--config", "{}"),
}


@pytest.mark.parametrize("name", READERS)
def test_garbage_in_any_file_ends_without_traceback(
    name: str, presentation: bytes, place: Path, run: Run
) -> None:
    random = Random(name)  # noqa: S311  reproducible garbage
    genuine = [
        (place / file).read_bytes()
        for file in ("token.cbor", "presentation.cbor", "holder.jwk", "issuer.pem")
    ]
    for round_ in range(12):
        data = random.choice(
            [random.randbytes(random.randrange(80)), _damaged(random.choice(genuine), random)]
        )
        (place / "garbage").write_bytes(data)
        arguments = [part.replace("{}", "garbage") for part in READERS[name]]
        done = run(*arguments, stdin=(place / "token.cbor").read_bytes())
        # The holder's own token is presented as it is: its issuer's signature is the verifier's affair.
        assert done.exit_code in ((0, 1, 2) if name == "token" else (1, 2)), (round_, data, done.output)
        assert done.exception is None or isinstance(done.exception, SystemExit), (data, done.exception)
    for missing in ("nowhere", "."):
        arguments = [part.replace("{}", missing) for part in READERS[name]]
        done = run(*arguments, stdin=(place / "token.cbor").read_bytes())
        assert done.exit_code == 2, done.output
        assert isinstance(done.exception, SystemExit)


def _damaged(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return random.choice([data[:place], data[:place] + random.randbytes(2) + data[place + 2 :]])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"before")
    target.chmod(0o640)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WrongUse, match="No space left"):
            files.write(str(target), b"after")
        with pytest.raises(WrongUse, match="No space left"):
            files.write_new(str(tmp_path / "new"), b"secret")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]
    files.write(str(target), b"after")
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"after", 0o640)


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("real")
    files.write(str(tmp_path / "link"), b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"after"
    files.write("/dev/null", b"gone")
    assert not Path("/dev/null").is_file()


def test_no_more_of_an_endless_file_is_read_than_allowed() -> None:
    assert len(files.read("/dev/zero", max_bytes=100)) == 101
    with pytest.raises(WrongUse, match="longer"):
        files.read_whole("/dev/zero", max_bytes=100)


def test_a_defect_is_named_without_a_traceback(tmp_path: Path) -> None:
    program = (
        "import typer\nfrom safeconduct.cli import main\n"
        "@main.app.command()\ndef broken():\n    raise KeyError('a secret')\nmain.run()"
    )
    done = subprocess.run([sys.executable, "-c", program, "broken"], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"internal_error: KeyError in")
    assert b"secret" not in done.stderr
