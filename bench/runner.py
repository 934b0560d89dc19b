"""Runs a work function and its floor by turns, so that both see the same machine."""

import time
from collections.abc import Callable
from typing import Any

ROUNDS = 64
ROUND_SECONDS = 0.03


def compare(work: Callable[[], Any], floor: Callable[[], Any], *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the ratio of the best rounds, the median ratio, and the CPU microseconds of both.

    A round runs each for about `ROUND_SECONDS`; the best of many is the one least disturbed by others.
    """
    times = _times_per_round(work), _times_per_round(floor)
    samples = [(_round(work, times[0]), _round(floor, times[1])) for _ in range(rounds)]
    best_work, best_floor = min(sample[0] for sample in samples), min(sample[1] for sample in samples)
    ratios = sorted(work_time / floor_time for work_time, floor_time in samples)
    return {
        "ratio": round(best_work / best_floor, 3),
        "better": "lower",
        "median_ratio": round(ratios[len(ratios) // 2], 3),
        "work_us": round(best_work * 1e6, 1),
        "floor_us": round(best_floor * 1e6, 1),
    }


def _times_per_round(function: Callable[[], Any]) -> int:
    for _ in range(20):
        function()
    return max(1, int(ROUND_SECONDS / _round(function, 20)))


def _round(function: Callable[[], Any], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - start) / times
