"""SMART Health Cards (framework 1.4.0): issue, parse, verify, carry.

`issue` makes a card, `verify` gives what a card says or raises, `judge` gives one verdict on it. `parse`
opens one and tells what `verify` needs.
"""

from safeconduct.formats.health_card.claims import CARD_TYPE, CardClaims, open_claims
from safeconduct.formats.health_card.finding import Finding
from safeconduct.formats.health_card.issuance import issue, payload, sign_payload
from safeconduct.formats.health_card.parsing import Needs, ParsedCard, parse
from safeconduct.formats.health_card.verification import (
    CardPolicy,
    Judgement,
    Verdict,
    VerifiedCard,
    judge,
    verify,
)
from safeconduct.status.card_keys import CardKey, CardTrust, KeySet, read_key_set

__all__ = [
    "CARD_TYPE",
    "CardClaims",
    "CardKey",
    "CardPolicy",
    "CardTrust",
    "Finding",
    "Judgement",
    "KeySet",
    "Needs",
    "ParsedCard",
    "Verdict",
    "VerifiedCard",
    "issue",
    "judge",
    "open_claims",
    "parse",
    "payload",
    "read_key_set",
    "sign_payload",
    "verify",
]
