"""Revocation of single SMART Health Cards: identifiers, lists, deltas, logs and signed heads."""
