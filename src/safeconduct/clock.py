"""The type of a clock. The core never reads one: `now` is an argument everywhere."""

from collections.abc import Callable

Clock = Callable[[], int]
"""Gives the time in whole seconds; services hand `lambda: int(time.time())`, tests a constant."""
