"""How often something may be asked: token buckets in the memory of one process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from safeconduct import limits
from safeconduct.errors import Rejected


class RateLimited(Rejected):
    """More requests than allowed for the moment."""

    oauth_error = "temporarily_unavailable"
    http_status = 429

    def __init__(self, seconds: float) -> None:
        super().__init__("rate_limited", "Too many requests; come again later.")
        self.http_headers = {"Retry-After": str(max(1, math.ceil(seconds)))}


class RateLimit:
    """A bucket for each key: `burst` tokens at first, filled up again with `per_second`.

    Keys are kept in memory only, at most `limits.RATE_KEYS` of them.
    """

    def __init__(self, *, per_second: float, burst: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._timer = timer
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable = None) -> None:
        """Take a token from the key's bucket. Raises RateLimited "rate_limited", with the time to wait."""
        now = self._timer()
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        enough = tokens >= 1
        self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > limits.RATE_KEYS:
            self._buckets.popitem(last=False)
        if not enough:
            raise RateLimited((1 - tokens) / self._per_second)
