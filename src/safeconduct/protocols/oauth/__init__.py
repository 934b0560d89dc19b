"""OAuth 2.0 as credential issuance uses it: tokens, DPoP, server nonces, errors, server metadata."""
