"""Revocation of single SMART Health Cards: identifiers, lists, deltas, logs and signed heads."""

from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_revocation.methods import HASH_FHIR, METHODS, RID, SIGNED_TEXT

__all__ = ["HASH_FHIR", "METHODS", "RID", "SIGNED_TEXT", "RevocationList", "RevocationLists"]
