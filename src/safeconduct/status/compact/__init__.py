"""Sets of revoked identifiers that a verifier can carry along: the pack and the ribbon."""
