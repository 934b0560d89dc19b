"""Signatures of webhooks: over time and body, by a shared secret, and not good for long."""

import hashlib
import hmac

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.services.issuer.signature import sign, verify
from safeconduct.settings import Secret

SECRET = Secret("a-secret-of-both-servers")
NOW = 1_800_000_000
BODY = b'{"id":"x"}'


def test_the_signature_is_what_its_description_says() -> None:
    expected = hmac.new(b"a-secret-of-both-servers", b'1800000000.{"id":"x"}', hashlib.sha256).hexdigest()
    assert sign(SECRET, BODY, now=NOW) == f"t=1800000000,v1={expected}"


@pytest.mark.parametrize("away", [-limits.SIGNATURE_AGE, 0, limits.SIGNATURE_AGE])
def test_a_fresh_signature_is_accepted(away: int) -> None:
    verify(SECRET, sign(SECRET, BODY, now=NOW), BODY, now=NOW + away)


@pytest.mark.parametrize(
    ("header", "body", "now", "code"),
    [
        (sign(SECRET, BODY, now=NOW), BODY + b" ", NOW, "signature_wrong"),
        (sign(Secret("another-secret-than-that"), BODY, now=NOW), BODY, NOW, "signature_wrong"),
        (sign(SECRET, BODY, now=NOW).replace("t=18", "t=19"), BODY, NOW, "signature_wrong"),
        (sign(SECRET, BODY, now=NOW), BODY, NOW + limits.SIGNATURE_AGE + 1, "signature_stale"),
        (sign(SECRET, BODY, now=NOW), BODY, NOW - limits.SIGNATURE_AGE - 1, "signature_stale"),
        (sign(SECRET, BODY, now=NOW).upper(), BODY, NOW, "signature_malformed"),
        (sign(SECRET, BODY, now=NOW) + ",v1=", BODY, NOW, "signature_malformed"),
        ("", BODY, NOW, "signature_malformed"),
    ],
)
def test_any_other_is_refused(header: str, body: bytes, now: int, code: str) -> None:
    with pytest.raises(SafeconductError) as error:
        verify(SECRET, header, body, now=now)
    assert error.value.code == code
