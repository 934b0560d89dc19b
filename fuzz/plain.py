"""Garbage without guidance: seeds, changed here and there by a pseudo-random source that can be repeated."""

import time
from random import Random

import msgspec

from fuzz.judgement import Finding, Target, judge

_TOKENS = (
    *(b"\x00", b"\x9f", b"\xbf", b"\xff", b"\x5f", b"\x1b" + b"\xff" * 8, b"\x9b" + b"\x7f" * 8, b"\xd2\x84"),
    *(
        b"\xf9\x7e\x00",
        b"\xfb\x7f\xf0" + bytes(6),
        b"\xf8\x3b",
        b"\xd8\x3a",
        b"\xd8\x3c",
        b"\xd8\x3e",
        b"\xa0",
    ),
    *(b'{"', b'":', b"[[[[", b"]", b"}", b'"\\ud800"', b"1e999", b"NaN", b"-0", b"9" * 30, b"\\u0000", b","),
    *(
        b".",
        b"..",
        b"=",
        b"-",
        b"_",
        b"%00",
        b"%zz",
        b"&",
        b"#",
        b"@",
        b"://",
        b"[::1]",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
    ),
    *(
        b"-----BEGIN ",
        b"-----END ",
        b"\r\n",
        b"\x30\x82\xff\xff",
        b"\x30\x80",
        b"\x02\x01\x00",
        b"\x03\x01\x00",
    ),
)


class Run(msgspec.Struct, frozen=True):
    """What came of one target: how many inputs it got, and the first that broke the law."""

    inputs: int
    finding: Finding | None


def run_inputs(target: Target, *, seed: int, inputs: int) -> Run:
    """Gives a target its seeds and so many further inputs, the same for the same `seed`; counts its calls."""
    source = Source(target, seed)
    for number in range(inputs):
        finding = judge(target, source.next(), count_calls=True, max_seconds=None)
        if finding is not None:
            return Run(number + 1, finding)
    return Run(inputs, None)


def run_seconds(target: Target, *, seed: int, seconds: float, max_seconds: float) -> Run:
    """Gives a target inputs for so long; one input may take `max_seconds` of processor time."""
    source, end, number = Source(target, seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        finding = judge(target, source.next(), count_calls=True, max_seconds=max_seconds)
        if finding is not None:
            return Run(number, finding)
    return Run(number, None)


class Source:
    """The inputs of a target, in an order that its name and `seed` fix; first the large and the seeds."""

    def __init__(self, target: Target, seed: int) -> None:
        self._random = Random(f"{target.name} {seed}")
        self._seeds = list(target.seeds())
        self._fresh = [*reversed(self._seeds), *target.large()]
        self._max_bytes = target.max_bytes

    def next(self) -> bytes:
        """Returns the next input."""
        if self._fresh:
            return self._fresh.pop()
        random = self._random
        if not self._seeds or random.random() < 0.1:
            return random.randbytes(random.randrange(64))
        data = random.choice(self._seeds)
        for _ in range(random.choice((1, 1, 1, 2, 2, 4, 8))):
            data = self._changed(data)
        return data[: self._max_bytes]

    def _changed(self, data: bytes) -> bytes:
        random = self._random
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((0, 1, 1, 2, 4, 16)))
        other = random.choice(self._seeds)
        cut = random.randrange(len(other) + 1)
        return random.choice(
            (
                data[:start] + random.randbytes(end - start) + data[end:],
                data[:start] + random.choice(_TOKENS) + data[end:],
                data[:start] + bytes([random.randrange(256)]) + data[start + 1 :],
                data[:start] + data[end:],
                data[:start] + data[start:end] * random.choice((2, 3, 50)) + data[end:],
                data[:start],
                data[:start] + other[cut : cut + 64] + data[end:],
                data[:start] + other[cut:],
            )
        )
