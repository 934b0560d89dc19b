"""What is made to cost memory is refused with its error, and within a bound on memory."""

import json
import subprocess
import sys

import pytest
from tests.negative.hostile_inputs import CASES, UNBOUNDED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bound is one on Linux's address space")


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.negative.hostile_inputs"], capture_output=True, text=True, check=True
    )
    read: dict[str, str] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_within_bounds(told: dict[str, str], name: str) -> None:
    assert told[name] == CASES[name].said


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_reader_without_bounds_breaks(told: dict[str, str], name: str) -> None:
    assert told[name] == "MemoryError"
