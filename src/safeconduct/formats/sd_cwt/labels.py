"""The one table of CWT claim labels and names, and the labels of SD-CWT headers.

Source: SD-CWT-08 §4, §15; RFC 8392 §4; RFC 8747 §3; RFC 9679.
"""

ISS, SUB, AUD, EXP, NBF, IAT, CTI, CNF = range(1, 9)
VCT = 11
CNONCE = 39
STATUS = 65535

CLAIM_NAMES = {
    ISS: "iss",
    SUB: "sub",
    AUD: "aud",
    EXP: "exp",
    NBF: "nbf",
    IAT: "iat",
    CTI: "cti",
    CNF: "cnf",
    VCT: "vct",
    CNONCE: "cnonce",
    STATUS: "status",
}
"""Registered claims that a person may write by name; every other integer label is written in decimal."""

CLAIM_LABELS = {name: label for label, name in CLAIM_NAMES.items()}

TIME_CLAIMS = frozenset({EXP, NBF, IAT})
BYTES_CLAIMS = frozenset({CTI, CNONCE})

NEVER_REDACTED = frozenset({ISS, AUD, EXP, NBF, IAT, CTI, CNF, CNONCE})
"""SD-CWT-08 §4 table 2."""

NEVER_ISSUED_REDACTED = NEVER_REDACTED | {STATUS}
"""What `issue` refuses to make redactable: a holder could withhold a status, and nobody would miss it."""

CNF_COSE_KEY, CNF_ENCRYPTED_COSE_KEY, CNF_KID, CNF_CKT = 1, 2, 3, 5

SD_CLAIMS = 17
SD_ALG = 170
SD_AEAD_ENCRYPTED_CLAIMS = 171
SD_AEAD = 172

TO_BE_REDACTED_TAG = 58
REDACTED_KEYS_SIMPLE = 59
REDACTED_ELEMENT_TAG = 60
OLD_TO_BE_DECOY_TAG = 61
TO_BE_DECOY_TAG = 62
