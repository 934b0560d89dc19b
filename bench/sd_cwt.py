"""SD-CWT against bare signatures: ES256, ten redacted claims, all disclosed, key binding, strict."""

import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.runner import compare
from safeconduct import Key, Policy, Trust, redact, sd_cwt

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
AUDIENCE = "https://verifier.example"
NONCE = secrets.token_bytes(16)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "urn:holder:1",
    "exp": NOW + 86_400,
    **{f"claim_{number}": redact(f"value number {number}") for number in range(10)},
}
HOLDERS = 8

issuer = Key.generate("ES256")
holders = [Key.generate("ES256") for _ in range(HOLDERS)]
trust = Trust.of({ISSUER: issuer.public})
policy = Policy(audience=AUDIENCE, nonce=NONCE)

_bare = ec.generate_private_key(ec.SECP256R1())
_bare_public = _bare.public_key()
_ecdsa = ec.ECDSA(hashes.SHA256())
_message = secrets.token_bytes(500)
_signature = _bare.sign(_message, _ecdsa)


def _issue(holder: Key) -> bytes:
    return sd_cwt.issue(CLAIMS, issuer=issuer, holder=holder.public, now=NOW)


tokens = [_issue(holder) for holder in holders]
held = [
    sd_cwt.check_issued(token, holder=holder.public, trust=trust, now=NOW)
    for token, holder in zip(tokens, holders, strict=True)
]
presentations = [
    sd_cwt.present(token, holder=holder, disclose=sd_cwt.ALL, audience=AUDIENCE, nonce=NONCE, now=NOW)
    for token, holder in zip(held, holders, strict=True)
]
_turn = iter(())


def _next() -> int:
    """Walk through the holders, so that no key is seen twice in a row."""
    global _turn
    for number in _turn:
        return int(number)
    _turn = iter(range(HOLDERS))
    return next(_turn)


def sign_once() -> None:
    """The floor of issuing and presenting."""
    _bare.sign(_message, _ecdsa)


def verify_twice() -> None:
    """The floor of verifying: issuer and holder."""
    _bare_public.verify(_signature, _message, _ecdsa)
    _bare_public.verify(_signature, _message, _ecdsa)


def verify() -> dict[str, Any]:
    """A presentation with a holder's key that is new each time; at most 1.6."""

    def work() -> None:
        sd_cwt.verify(presentations[_next()], trust=trust, policy=policy, now=NOW)

    return compare(work, verify_twice)


def issue() -> dict[str, Any]:
    """At most 3.5."""
    return compare(lambda: _issue(holders[_next()]), sign_once)


def present() -> dict[str, Any]:
    """From a token that its holder has checked once; at most 2."""
    return compare(lambda: _present(held[turn := _next()], holders[turn]), sign_once)


def present_from_bytes() -> dict[str, Any]:
    """The same with the token opened anew each time."""
    return compare(lambda: _present(tokens[turn := _next()], holders[turn]), sign_once)


def check_issued() -> dict[str, Any]:
    """The holder's check of an issued token, against one bare verification."""

    def work() -> None:
        turn = _next()
        sd_cwt.check_issued(tokens[turn], holder=holders[turn].public, trust=trust, now=NOW)

    return compare(work, lambda: _bare_public.verify(_signature, _message, _ecdsa))


def _present(token: Any, holder: Key) -> bytes:
    return sd_cwt.present(token, holder=holder, disclose=sd_cwt.ALL, audience=AUDIENCE, nonce=NONCE, now=NOW)


FIGURES = {
    "sd_cwt.verify": verify,
    "sd_cwt.issue": issue,
    "sd_cwt.present": present,
    "sd_cwt.present_from_bytes": present_from_bytes,
    "sd_cwt.check_issued": check_issued,
}
