"""Standard output and standard error: bytes as they are, text that no terminal can obey."""

import json
import os
import sys
from typing import Any, BinaryIO

from safeconduct.cli.faults import WrongUse, printable


def write_bytes(data: bytes) -> None:
    """Write `data` to standard output at once. Raises WrongUse where nobody can take it.

    Binary data is not written to a terminal.
    """
    stream = _binary()
    if stream.isatty():
        raise WrongUse("the result is binary and would upset the terminal: give --out FILE or use a pipe")
    _write(stream, data)


def write_raw(data: bytes) -> None:
    """Write bytes that a terminal may have. Raises WrongUse as `write_bytes`."""
    _write(_binary(), data)


def write_text(text: str) -> None:
    """Write a line to standard output, in UTF-8 whatever the locale."""
    write_raw((text + "\n").encode())


def write_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    write_text(json_text(value))


def json_text(value: Any) -> str:
    """Return `value` as JSON to read, with escapes for what a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return "\n".join(_escaped(line) for line in text.split("\n"))


def write_line(value: Any) -> None:
    """Write a JSON document on a line of its own."""
    write_text(_escaped(json.dumps(value, ensure_ascii=False, allow_nan=False)))


def write_columns(*columns: str) -> None:
    """Write a line of columns with tabs between them."""
    write_text("\t".join(map(printable, columns)))


def check_open() -> None:
    """Raise WrongUse where standard output is closed."""
    _binary()


def note(text: str) -> None:
    """Write lines for the user to standard error; a closed one is no reason to fail."""
    if sys.stderr is None:
        return
    try:
        for line in text.split("\n"):
            print(printable(line), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _forget(sys.stderr)


def _escaped(line: str) -> str:
    """Escape as JSON has it: characters beyond the first plane as two surrogates."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def _binary() -> BinaryIO:
    if sys.stdout is None or sys.stdout.closed:
        raise WrongUse("standard output is closed: give --out FILE or open it")
    return sys.stdout.buffer


def _write(stream: BinaryIO, data: bytes) -> None:
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
        raise WrongUse("whoever reads standard output has gone away") from None
    except OSError as error:
        _forget(sys.stdout)
        raise WrongUse(f"standard output cannot be written: {error.strerror}") from None


def _forget(stream: Any) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush does not complain."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
