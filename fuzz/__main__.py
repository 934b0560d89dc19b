"""The command: `python -m fuzz [--seconds N] [TARGET...]`; see the package."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from fuzz.judgement import Finding, Target, judge
from fuzz.targets import TARGETS

MAX_SECONDS = 5.0
"""Processor time for one input: hundreds of times what the slowest honest one takes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the targets; returns 0 if all kept the law, 1 if one broke it, 2 for wrong use."""
    wanted = _parser().parse_args(arguments)
    names = wanted.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"fuzz: no target is called {' or '.join(unknown)}; --list shows them", file=sys.stderr)
        return 2
    if wanted.list:
        print("\n".join(TARGETS))
        return 0
    targets = [TARGETS[name] for name in names]
    if wanted.input is not None:
        judged = (judge(each, wanted.input, count_calls=True, max_seconds=MAX_SECONDS) for each in targets)
        findings = [finding for finding in judged if finding]
        print("\n\n".join(map(str, findings)))
        return _conclude(findings)
    guided = not wanted.plain and importlib.util.find_spec("atheris") is not None
    print(
        f"fuzz: {len(targets)} targets, {'guided by atheris' if guided else 'without guidance'}", flush=True
    )
    return _run(targets, wanted.seconds / len(targets), wanted.seed, guided=guided)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Garbage for every parser.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which parsers; all if none is named")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long in all (default: 120)")
    parser.add_argument("--seed", type=int, default=0, help="of the pseudo-random source (default: 0)")
    parser.add_argument("--plain", action="store_true", help="without atheris, also where it is installed")
    parser.add_argument("--input", type=bytes.fromhex, metavar="HEX", help="give the targets this one input")
    parser.add_argument("--list", action="store_true", help="show the targets")
    return parser


def _run(targets: Sequence[Target], seconds: float, seed: int, *, guided: bool) -> int:
    findings: list[Finding] = []
    for target in targets:
        if guided:
            from fuzz import with_atheris

            run = with_atheris.run(target, seed=seed, seconds=seconds, max_seconds=MAX_SECONDS)
        else:
            from fuzz import plain

            run = plain.run_seconds(target, seed=seed, seconds=seconds, max_seconds=MAX_SECONDS)
        print(f"{'FINDING' if run.finding else 'ok':8}{run.inputs:>9} inputs  {target.name}", flush=True)
        if run.finding:
            print(f"\n{run.finding}\n", flush=True)
            findings.append(run.finding)
    return _conclude(findings)


def _conclude(findings: Sequence[Finding]) -> int:
    print(f"fuzz: {len(findings)} findings" if findings else "fuzz: the law held")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
