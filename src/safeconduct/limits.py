"""Every bound on received data, each with its reason. Nothing is parsed before it is measured."""

TOKEN_BYTES = 256 * 1024
"""A presented credential. The largest published example has 1.3 kB; a portrait needs some tens of kB."""

CBOR_DEPTH = 24
"""Nesting that the decoder follows at all: claims may have 16 levels, envelopes stand around them."""

CLAIM_DEPTH = 16
"""Levels of array, map and tag in claims (SD-CWT-08 §5: deeper MAY be rejected)."""

CLAIM_KEY_BYTES = 255
"""Length of a text claim key in UTF-8 (SD-CWT-08 §5)."""

DISCLOSURES = 1024
"""Disclosures in one token; ten times the largest credential seen in the field."""

DECOYS = 256
"""Decoys that one map or array may ask for."""

JSON_BYTES = 256 * 1024
"""A JSON document from a peer."""

JSON_DEPTH = 24
"""Nesting of such a document; Python's own parser recurses."""

JWT_BYTES = 256 * 1024
"""A compact JWS or JWE as it arrives."""

JOSE_HEADER_BYTES = 16 * 1024
"""A protected JOSE header, decoded: room for an x5c chain of four."""

INFLATED_BYTES = 256 * 1024
"""What a compressed JWE may grow to (deflate reaches 1000:1)."""

JSON_INTEGER_DIGITS = 20
"""Digits of a JSON integer: all that 64 bits and CBOR's integer types can hold (2^64 has 20). Python reads a
longer one in quadratic time, or refuses by a limit that belongs to the whole process."""

HTTP_BODY_BYTES = 512 * 1024
"""The body of a request to a service: a credential as JSON or base64url, and its envelope."""

HTTP_HEADER_BYTES = 16 * 1024
"""All header fields of a request together: an access token and a DPoP proof have some 2 kB."""

HTTP_TARGET_BYTES = 4 * 1024
"""Path and query of a request: no endpoint carries more than an identifier there."""

HTTP_BODY_SECONDS = 10
"""Time for a request's body to arrive; a slower sender only holds a connection open."""

FETCH_BYTES = 1024 * 1024
"""What a fetched document may have unless the caller says less: issuer metadata with many displays."""

CLAIM_PATH_CHARS = 4096
"""A claim path as a person writes it: sixteen levels of the longest keys."""

STRANGERS_ROWS = 1_000_000
"""Rows that those who have shown nothing may make a service keep at once: some 150 MB, and more than a
service is asked for in the life of a row."""
