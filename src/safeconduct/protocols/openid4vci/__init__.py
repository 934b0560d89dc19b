"""OpenID for Verifiable Credential Issuance 1.0: its messages, key proofs and encryption."""
