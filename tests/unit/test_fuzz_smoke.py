"""Some hundred inputs for each fuzz target, always the same ones; and the fuzzer sees what breaks its law."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz import __main__ as command
from fuzz import plain
from fuzz.judgement import Target, judge
from fuzz.targets import TARGETS

from safeconduct.errors import Malformed

ROOT = Path(__file__).resolve().parents[2]
SEED = 9052
INPUTS = 400
CORE = ("encoding", "crypto", "envelope", "trust", "formats", "protocols")
READER = re.compile(r"(parse|read|receive|decrypt|verify)(_\w+)?|loads")
# Given decoded values by functions that have targets, or parts of such functions.
INNER = {
    "crypto": {"read_public", "read_private", "read_public_der", "read_private_der"},
    "formats": {"read", "parse"},
    "protocols": {"read", "read_json", "parse_configuration", "parse_granted"}
    | {"parse_form", "verify_signed_request", "verify_trusted", "read_members"},
}


@pytest.mark.parametrize("name", TARGETS)
def test_garbage_gives_a_safeconduct_error_in_bounded_work(name: str) -> None:
    run = plain.run_inputs(TARGETS[name], seed=SEED, inputs=INPUTS)

    if run.finding is not None:
        pytest.fail(str(run.finding), pytrace=False)
    assert run.inputs >= INPUTS


@pytest.mark.parametrize("floor", CORE)
def test_every_function_that_reads_from_a_peer_has_a_target(floor: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fuzz").glob("*.py"))

    missing = [name for name in _readers(floor) if not re.search(rf"\b{name}\b", text)]

    assert set(missing) - INNER.get(floor, set()) == set()


def _readers(floor: str) -> Iterator[str]:
    for path in sorted((ROOT / "src" / "safeconduct" / floor).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and READER.fullmatch(node.name):
                yield node.name


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = TARGETS["sd_cwt.parse"]
    one, other = plain.Source(target, SEED), plain.Source(target, SEED)

    assert [one.next() for _ in range(100)] == [other.next() for _ in range(100)]


def _refuses(_data: bytes) -> None:
    raise Malformed("cbor_malformed", "The bytes are not CBOR.")


def _breaks(data: bytes) -> None:
    data.decode("ascii")


def _toils(data: bytes) -> None:
    for _ in data:
        for _ in data:
            len(data)


@pytest.mark.parametrize(
    ("read", "data", "fault"),
    [
        (_refuses, b"\xff", None),
        (_breaks, b"a", None),
        (_breaks, b"\xff", "UnicodeDecodeError"),
        (_toils, b"a" * 50, None),
        (_toils, b"a" * 1000, "calls for an input of size 1000"),
    ],
)
def test_only_other_exceptions_and_too_much_work_are_findings(
    read: Callable[[bytes], object], data: bytes, fault: str | None
) -> None:
    finding = judge(Target(name="t", read=read), data, count_calls=True, max_seconds=None)

    assert (finding is None) if fault is None else (finding is not None and fault in finding.fault)


def test_a_finding_is_printed_as_hex_with_its_target_and_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "TARGETS", {"fragile": Target(name="fragile", read=_breaks)})

    assert command.main(["--input", "c3a9", "fragile"]) == 1

    said = capsys.readouterr().out
    assert "FINDING in fragile" in said
    assert "input: c3a9" in said
    assert command.main(["--input", "61"]) == 0
    assert command.main(["--input", "61", "unknown"]) == 2
