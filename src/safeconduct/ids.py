"""The type of a randomness source. The default everywhere is `secrets.token_bytes`."""

from collections.abc import Callable

Random = Callable[[int], bytes]
"""Takes a number of bytes and returns that many unpredictable ones; tests inject a replayable one."""
