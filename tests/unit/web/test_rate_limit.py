"""Token buckets, by a clock that the test turns; and the bound on what is kept."""

import pytest

from safeconduct import limits
from safeconduct.web.quota import Quota, TooMuchOpen
from safeconduct.web.rate_limit import RateLimit, RateLimited


class Timer:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(limit: RateLimit, key: str = "") -> int:
    with pytest.raises(RateLimited) as error:
        limit.take(key)
    assert (error.value.code, error.value.http_status) == ("rate_limited", 429)
    return int(error.value.http_headers["Retry-After"])


def test_a_burst_is_let_through_and_then_a_steady_rate() -> None:
    timer = Timer()
    limit = RateLimit(per_second=0.5, burst=3, timer=timer)
    for _ in range(3):
        limit.take("a")
    assert refused(limit, "a") == 2
    timer.now += 1
    assert refused(limit, "a") == 1
    timer.now += 1
    limit.take("a")
    assert refused(limit, "a") == 2


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    timer = Timer()
    limit = RateLimit(per_second=10, burst=2, timer=timer)
    timer.now += 1_000_000
    limit.take("a")
    limit.take("a")
    refused(limit, "a")


def test_each_key_has_its_own_bucket() -> None:
    limit = RateLimit(per_second=1, burst=1, timer=Timer())
    limit.take("a")
    limit.take("b")
    refused(limit, "a")


def test_no_more_keys_are_remembered_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE_KEYS", 2)
    limit = RateLimit(per_second=1, burst=1, timer=Timer())
    for key in ("a", "b", "a", "c"):  # c takes the place of b, which was away longest
        if key == "a" and limit._buckets:
            refused(limit, key)
        else:
            limit.take(key)
    refused(limit, "a")
    limit.take("b")
    assert len(limit._buckets) == 2


def test_a_quota_counts_rows_or_what_it_is_told() -> None:
    quota = Quota(2)
    quota.take()
    assert not quota.is_full
    quota.count(5)
    assert quota.is_full
    with pytest.raises(TooMuchOpen) as error:
        quota.take()
    assert error.value.code == "too_much_open"
    quota.recount(1)
    quota.take()
    assert quota.is_full


def test_looking_takes_nothing_and_refuses_as_taking_does() -> None:
    timer = Timer()
    limit = RateLimit(per_second=0.5, burst=1, timer=timer)
    for _ in range(3):
        limit.check("a")
    limit.take("a")
    with pytest.raises(RateLimited) as error:
        limit.check("a")
    assert error.value.http_headers["Retry-After"] == "2"
    limit.check("b")
    timer.now += 2
    limit.check("a")
