"""python -m bench.opcodes [verify|issue|present]: Python opcodes by function, the same on every machine.

Where the machine is too busy for times to mean much, this still shows what a change saves.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bench.sd_cwt import AUDIENCE, CLAIMS, NONCE, NOW, held, holders, issuer, policy, presentations, trust
from safeconduct import sd_cwt

SHOWN = 25


def operations() -> dict[str, Callable[[], Any]]:
    """The operations that can be counted."""
    return {
        "verify": lambda: sd_cwt.verify(presentations[0], trust=trust, policy=policy, now=NOW),
        "issue": lambda: sd_cwt.issue(CLAIMS, issuer=issuer, holder=holders[0].public, now=NOW),
        "present": lambda: sd_cwt.present(
            held[0], holder=holders[0], disclose=sd_cwt.ALL, audience=AUDIENCE, nonce=NONCE, now=NOW
        ),
    }


def count(function: Callable[[], Any]) -> Counter[str]:
    """Return how many opcodes each function executes in one run."""
    opcodes: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            opcodes[f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_qualname}"] += 1
        return trace

    function()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(None)
    return opcodes


def main(name: str = "verify") -> None:
    """Print the total and the largest parts."""
    opcodes = count(operations()[name])
    print(f"{sum(opcodes.values()):8}  {name}")
    for function, number in opcodes.most_common(SHOWN):
        print(f"{number:8}  {function}")


if __name__ == "__main__":
    main(*sys.argv[1:])
