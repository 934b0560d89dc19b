"""SD-CWT: selective disclosure in CBOR, with key binding (draft-ietf-spice-sd-cwt-08).

`issue` makes a token, `check_issued` is the holder's look at it, `present` shows a part of it to one
verifier, `verify` gives the claims of a presentation or raises. `parse` opens one and tells what `verify`
needs.
"""

from safeconduct.formats.sd_cwt.claims import Claims, claims_from_json, claims_to_json
from safeconduct.formats.sd_cwt.holding import VerifiedIssued, check_issued
from safeconduct.formats.sd_cwt.issuance import issue
from safeconduct.formats.sd_cwt.parsing import Needs, Parsed, parse
from safeconduct.formats.sd_cwt.preissued import read_preissued
from safeconduct.formats.sd_cwt.presentation import present
from safeconduct.formats.sd_cwt.profile import IETF_08, LENIENCIES, PROFILES, SEED_2024, Profile
from safeconduct.formats.sd_cwt.verification import VerifiedPresentation, verify
from safeconduct.formats.selection import ALL
from safeconduct.status.token_list import CredentialStatus, StatusReference, TokenStatusLists

__all__ = [
    "ALL",
    "IETF_08",
    "LENIENCIES",
    "PROFILES",
    "SEED_2024",
    "Claims",
    "CredentialStatus",
    "Needs",
    "Parsed",
    "Profile",
    "StatusReference",
    "TokenStatusLists",
    "VerifiedIssued",
    "VerifiedPresentation",
    "check_issued",
    "claims_from_json",
    "claims_to_json",
    "issue",
    "parse",
    "present",
    "read_preissued",
    "verify",
]
