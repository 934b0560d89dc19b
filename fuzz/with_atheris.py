"""Garbage guided by coverage: each target runs in a process of its own under atheris (libFuzzer).

`python -m fuzz.with_atheris TARGET FOLDER MAX_SECONDS OPTION...` is that process.
"""

import itertools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.judgement import Finding, Target, judge
from fuzz.plain import Run

_FOUND = "found-"
_HANGING = 120
"""Seconds by the wall clock after which an input counts as one that never ends, on however busy a machine."""
_UNITS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def run(target: Target, *, seed: int, seconds: float, max_seconds: float) -> Run:
    """Runs a target for so long; one input may take `max_seconds` of processor time.

    Raises RuntimeError if the process ends early without having found anything.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus"
        corpus.mkdir()
        for data in target.large():
            if (finding := judge(target, data, count_calls=True, max_seconds=max_seconds)) is not None:
                return Run(1, finding)
        for number, data in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(data)
        options = (
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={target.max_bytes}",
            f"-timeout={_HANGING}",
            f"-report_slow_units={_HANGING}",
            f"-seed={seed + 1}",
            f"-artifact_prefix={folder}/{_FOUND}",
            "-print_final_stats=1",
        )
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.with_atheris", target.name, name, str(max_seconds), *options],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        inputs = sum(int(number) for number in _UNITS.findall(done.stderr))
        found = next(folder.glob(f"{_FOUND}*"), None)
        finding = _finding(target, found, max_seconds) if found else None
        if found and found.suffix:
            inputs = int(found.suffix[1:])
    if finding is None and done.returncode != 0:
        raise RuntimeError(f"atheris stopped at {target.name}:\n{done.stderr[-2000:]}")
    return Run(inputs, finding)


def _finding(target: Target, path: Path, max_seconds: float) -> Finding:
    data = path.read_bytes()
    kind = path.stem.removeprefix(_FOUND).partition("-")[0]
    if kind == "law":
        finding = judge(target, data, count_calls=True, max_seconds=max_seconds)
        if finding is not None:
            return finding
    return Finding(target.name, data, target.prepare(data), f"atheris reports: {kind}")


def _fuzz(name: str, folder: Path, max_seconds: float, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["safeconduct"]):
        from fuzz.targets import TARGETS
    target = TARGETS[name]

    count = itertools.count(1)

    def test_one_input(data: bytes) -> None:
        number = next(count)
        if judge(target, data, count_calls=False, max_seconds=max_seconds) is not None:
            (folder / f"{_FOUND}law.{number}").write_bytes(data)
            os._exit(1)

    atheris.Setup([sys.argv[0], str(folder / "corpus"), *options], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    _fuzz(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
