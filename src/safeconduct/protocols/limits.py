"""Bounds on protocol messages, each with its reason; bounds on all data are in `safeconduct.limits`."""

DPOP_MAX_AGE = 300
"""Seconds that a DPoP proof stays good: its replay memory is this long, and a slow phone clock fits in."""

DPOP_LEEWAY = 60
"""Seconds that a DPoP proof may come from the future (RFC 9449 §11.1; FAPI 2.0 wants at least 10)."""

PROOF_MAX_AGE = 300
"""Seconds that a key proof stays good; its nonce bounds it as well."""

PROOF_LEEWAY = 60
"""Seconds that a key proof may come from the future (OpenID4VCI 1.0 §F.4)."""

NONCE_LIFETIME = 300
"""Seconds that a server nonce is taken: time enough for a person to unlock a key."""

CLOCK_SKEW = 60
"""Seconds by which the clocks of two servers that share keys may differ."""

NONCE_CHARS = 512
"""Longest nonce from any server; ours have 75 characters."""

JTI_CHARS = 256
"""Longest `jti` of a DPoP proof: a server remembers each for a while (RFC 9449 §11.1)."""

FORM_BYTES = 32 * 1024
"""A form body: codes are short, authorization details have some hundred bytes for each credential."""

FORM_FIELDS = 32
"""Fields in a form; the longest request known has twelve."""

CODE_CHARS = 512
"""Longest pre-authorized code, transaction code, client id or credential identifier."""

TOKEN_CHARS = 8 * 1024
"""Longest access token; some servers issue JWTs. HTTP servers stop near 8 kB for a header."""

URL_CHARS = 2048
"""Longest URL from a peer."""

OFFER_BYTES = 16 * 1024
"""A credential offer, by value or fetched."""

METADATA_BYTES = 256 * 1024
"""A metadata document; one with logos as data URLs in five languages has some ten kB."""

PROOF_BYTES = 16 * 1024
"""One key proof, or one DPoP proof."""

BATCH_SIZE = 100
"""Most proofs in one credential request, whatever an issuer's own settings say: each costs a verification."""

AUTHORIZATION_DETAILS = 32
"""Most authorization details in one request."""

CREDENTIAL_IDENTIFIERS = 256
"""Most credential identifiers in one token response."""

LIST_ITEMS = 256
"""Most entries of any other list in a metadata document."""

DESCRIPTION_CHARS = 200
"""Longest `error_description` that is sent or shown."""
