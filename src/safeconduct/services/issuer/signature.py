"""The signature on what the issuer sends to its operator's other servers: webhooks, questions for claims.

`Safeconduct-Signature: t=<Unix seconds>,v1=<hex>`: HMAC-SHA256, with the shared secret, of the seconds, a
full stop and the body. A receiver computes it over the bytes received, compares it in constant time, refuses
what is older than five minutes, and remembers for that long which event ids it has seen.
"""

import hmac
import re

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.settings import Secret

SIGNATURE_HEADER = "Safeconduct-Signature"

_FORM = re.compile(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})")


def sign(secret: Secret, body: bytes, *, now: int) -> str:
    """Returns the header's value for a body sent at the second `now`."""
    return f"t={now},v1={_mac(secret, str(now), body)}"


def verify(
    secret: Secret, header: str, body: bytes, *, now: int, max_age: int = limits.SIGNATURE_AGE
) -> None:
    """Checks the header of a received body; for receivers written in Python.

    max_age: seconds by which the times may differ. Raises Malformed "signature_malformed", Rejected
    "signature_wrong", "signature_stale".
    """
    match = _FORM.fullmatch(header)
    if match is None:
        raise Malformed("signature_malformed", "The signature is not written as it should be.")
    if not hmac.compare_digest(match[2], _mac(secret, match[1], body)):
        raise Rejected("signature_wrong", "The signature is not of this body with this secret.")
    if abs(now - int(match[1])) > max_age:
        raise Rejected("signature_stale", "The signature is older than accepted.")


def _mac(secret: Secret, seconds: str, body: bytes) -> str:
    return hmac.new(secret.reveal().encode(), f"{seconds}.".encode() + body, "sha256").hexdigest()
