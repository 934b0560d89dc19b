"""The migrations of the verifier."""
