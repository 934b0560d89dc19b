"""The law that every parser keeps, and what is said of one that broke it."""

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import msgspec

from safeconduct.errors import SafeconductError

CALLS = 5_000
"""Function calls that any input may cost: a key with its checks, a regular expression compiled."""

CALLS_PER_BYTE = 20
"""Function calls that each byte of input may cost on top: a value read, checked, hashed and shown."""

_PRINTED = 16 * 1024


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One parser under test.

    read: the parser. prepare: makes what it reads from the garbage; its own work is not counted.
    seeds: garbage to begin with. large: inputs near the limits of size, in the shapes that cost a careless
    reader most; each is tried once, as it is. max_bytes: of other garbage.
    """

    name: str
    read: Callable[[Any], object]
    prepare: Callable[[bytes], Any] = bytes
    seeds: Callable[[], Iterable[bytes]] = tuple
    large: Callable[[], Iterable[bytes]] = tuple
    max_bytes: int = 4096


class Finding(msgspec.Struct, frozen=True):
    """An input that made a parser break the law. fault: what it did instead."""

    target: str
    data: bytes
    prepared: Any
    fault: str

    def __str__(self) -> str:
        if len(self.data) > _PRINTED:
            start = self.data[:32].hex()
            return f"FINDING in {self.target}\n{self.fault}\ninput: large, {len(self.data)} bytes: {start}..."
        shown = self.prepared.hex() if isinstance(self.prepared, bytes) else repr(self.prepared)
        again = self.data.hex() or '""'
        return (
            f"FINDING in {self.target}\n{self.fault}\ninput: {self.data.hex()}\nparser was given: {shown}\n"
            f"again: python -m fuzz --input {again} {self.target}"
        )


def judge(target: Target, data: bytes, *, count_calls: bool, max_seconds: float | None) -> Finding | None:
    """Runs one input.

    count_calls: measure the work in calls, which is the same on every machine. max_seconds: of processor time
    that it may take besides, for work inside one call; None leaves the clock alone.
    """
    prepared = target.prepare(data)
    counter = _Counter() if count_calls else None
    begun = time.process_time()
    fault = _fault(target, prepared, counter)
    spent = time.process_time() - begun
    size = len(prepared) if isinstance(prepared, bytes | str) else len(repr(prepared))
    if counter is not None and counter.calls > CALLS + CALLS_PER_BYTE * size:
        fault = fault or f"{counter.calls} calls for an input of size {size}"
    if max_seconds is not None and spent > max_seconds:
        fault = fault or f"{spent:.1f} seconds for an input of size {size}"
    return Finding(target.name, data, prepared, fault) if fault else None


def _fault(target: Target, prepared: Any, counter: "_Counter | None") -> str:
    with warnings.catch_warnings():
        # Libraries below may warn of odd keys before they refuse them.
        warnings.simplefilter("ignore")
        if counter is not None:
            sys.setprofile(counter.see)
        try:
            target.read(prepared)
        except SafeconductError:
            return ""
        except Exception:  # noqa: BLE001 - any other exception is what is being looked for
            sys.setprofile(None)
            return traceback.format_exc()
        finally:
            sys.setprofile(None)
    return ""


class _Counter:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def see(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
