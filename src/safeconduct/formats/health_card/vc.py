"""A card as a W3C Verifiable Credential (Data Model 1.1) in JSON-LD, for software that reads only such.

The mapping shows what a card says; the signature stays behind, so that the result proves nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from safeconduct.errors import Malformed
from safeconduct.formats.health_card.claims import CardClaims

_VOCABULARY = "https://smarthealth.cards#"
_CONTEXT = [
    "https://www.w3.org/2018/credentials/v1",
    {"@vocab": _VOCABULARY, "fhirBundle": {"@id": f"{_VOCABULARY}fhirBundle", "@type": "@json"}},
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_vc(claims: CardClaims) -> dict[str, Any]:
    """Returns the claims of a card as a credential in JSON-LD.

    Raises Malformed "card_times" for a time that no date stands for.
    Source: SHC-1.4.0, Mapping into the W3C VC Data Model; VC-DATA-MODEL-1.1 §6.3.1.
    """
    inner = claims.payload["vc"]
    types = [name for name in claims.types if name != "VerifiableCredential"]
    credential: dict[str, Any] = {
        "@context": _CONTEXT,
        "type": ["VerifiableCredential", *types],
        "issuer": claims.issuer,
        "issuanceDate": _date(claims.nbf),
    }
    if claims.expires is not None:
        credential["expirationDate"] = _date(claims.expires)
    others = {name: value for name, value in inner.items() if name not in credential}
    return {**credential, **others}


def _date(seconds: float) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise Malformed("card_times", "A time of the card is not one that a date stands for.") from None
    return moment.isoformat().replace("+00:00", "Z")
