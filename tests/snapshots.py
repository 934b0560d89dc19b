"""Snapshots of a directory, and detached signatures of them, as tests need them."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

TIME = "2023-11-14T22:13:20Z"


def snapshot(*issuers: Any, **more: Any) -> bytes:
    """A snapshot of these entries. more: members that it has beside, or instead."""
    return json.dumps({"time": TIME, "issuerInfo": list(issuers), **more}).encode()


def der(signature: bytes) -> bytes:
    """An ECDSA signature of r followed by s, in DER."""
    half = len(signature) // 2
    return encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
