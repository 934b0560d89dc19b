"""SD-JWT against bare signatures: ES256, ten redacted claims, all disclosed, key binding, strict."""

from typing import Any

from bench.runner import compare
from bench.sd_cwt import AUDIENCE, HOLDERS, ISSUER, NOW, holders, issuer, sign_once, trust, verify_twice
from safeconduct import Key, Policy, redact, sd_jwt

NONCE = "n-0S6_WzA2Mj"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "vct": "https://issuer.example/types/card",
    "sub": "urn:holder:1",
    "exp": NOW + 86_400,
    **{f"claim_{number}": redact(f"value number {number}") for number in range(10)},
}

policy = Policy(audience=AUDIENCE, nonce=NONCE)


def _issue(holder: Key) -> str:
    return sd_jwt.issue(CLAIMS, issuer=issuer, holder=holder.public, now=NOW)


tokens = [_issue(holder) for holder in holders]
held = [
    sd_jwt.check_issued(token, holder=holder.public, trust=trust, now=NOW)
    for token, holder in zip(tokens, holders, strict=True)
]


def _present(token: Any, holder: Key) -> str:
    return sd_jwt.present(token, holder=holder, disclose=sd_jwt.ALL, audience=AUDIENCE, nonce=NONCE, now=NOW)


presentations = [_present(token, holder) for token, holder in zip(held, holders, strict=True)]
_turn = iter(())


def _next() -> int:
    """Walk through the holders, so that no key is seen twice in a row."""
    global _turn
    for number in _turn:
        return int(number)
    _turn = iter(range(HOLDERS))
    return next(_turn)


def verify() -> dict[str, Any]:
    """A presentation with a holder's key that is new each time; at most 1.6."""

    def work() -> None:
        sd_jwt.verify(presentations[_next()], trust=trust, policy=policy, now=NOW)

    return compare(work, verify_twice)


def issue() -> dict[str, Any]:
    """One signature."""
    return compare(lambda: _issue(holders[_next()]), sign_once)


def present() -> dict[str, Any]:
    """From a token that its holder has checked once."""
    return compare(lambda: _present(held[turn := _next()], holders[turn]), sign_once)


FIGURES = {
    "sd_jwt.verify": verify,
    "sd_jwt.issue": issue,
    "sd_jwt.present": present,
}
