"""Trust and policy: whom a verifier believes, and what it demands."""

from safeconduct.trust.anchors import Anchors, Trust
from safeconduct.trust.policy import WAIVED, AeadKey, Policy, Waived

__all__ = ["WAIVED", "AeadKey", "Anchors", "Policy", "Trust", "Waived"]
