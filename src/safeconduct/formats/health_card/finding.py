"""What is to be said of a card beside its verdict."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
"""error: a rule for every card is broken. warning: a rule for cards in QR codes, or advice, is not kept.
note: neither, but good to know."""


class Finding(msgspec.Struct, frozen=True):
    """One observation; none of them changes a verdict.

    code: stable name, snake case. text: a sentence without received values. path: the place in the payload,
    such as "vc.credentialSubject.fhirBundle.entry[0].resource.id", "" for the whole.
    """

    code: str
    severity: Severity
    text: str
    path: str = ""
