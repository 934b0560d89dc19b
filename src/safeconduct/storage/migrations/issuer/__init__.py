"""The migrations of the issuer."""
