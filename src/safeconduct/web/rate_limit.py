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
        tokens = self._tokens(key, now)
        enough = tokens >= 1
        self._buckets.pop(key, None)
        self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > limits.RATE_KEYS:
            self._buckets.popitem(last=False)
        if not enough:
            raise self._refusal(tokens)

    def check(self, key: Hashable = None) -> None:
        """Look whether there is a token in the key's bucket, and leave it there. Raises as `take`."""
        if key in self._buckets:
            tokens = self._tokens(key, self._timer())
            if tokens < 1:
                raise self._refusal(tokens)

    def _tokens(self, key: Hashable, now: float) -> float:
        tokens, since = self._buckets.get(key, (self._burst, now))
        return min(self._burst, tokens + (now - since) * self._per_second)

    def _refusal(self, tokens: float) -> RateLimited:
        return RateLimited((1 - tokens) / self._per_second)
