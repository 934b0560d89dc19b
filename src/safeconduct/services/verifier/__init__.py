"""The verifier: gives nonces and judges SD-CWT presentations made out to it."""

from safeconduct.services.verifier.opening import open_verifier

__all__ = ["open_verifier"]
