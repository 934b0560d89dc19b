"""How a revocation list may name cards: the framework's rid, and two ways for cards that have none."""

from typing import Final

RID: Final = "rid"
"""By the card's own `vc.rid`."""

HASH_FHIR: Final = "hash-fhir"
"""By a short hash of the card's FHIR bundle (draft RFC 002 of the framework). Read, never published: who
knows a name and a birth date finds the rest of the bundle by trying."""

SIGNED_TEXT: Final = "urn:uuid:ffdd4225-06c5-4fec-965e-7da16e097707"
"""By a hash of the signed text with the half of the signature that nobody can change; `legacy` says how."""

METHODS: Final = frozenset((RID, HASH_FHIR, SIGNED_TEXT))
"""The methods that are understood; any other leaves a card's status unknown."""
