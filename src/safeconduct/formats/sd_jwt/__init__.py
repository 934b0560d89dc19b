"""SD-JWT: selective disclosure in JSON, with key binding (RFC 9901), and SD-JWT VC.

`issue` makes a token, `check_issued` is the holder's look at it, `present` shows a part of it to one
verifier, `verify` gives the claims of a presentation or raises. `parse` opens one and tells what `verify`
needs.
"""

from safeconduct.formats.sd_jwt.claims import Claims
from safeconduct.formats.sd_jwt.holding import VerifiedIssued, check_issued
from safeconduct.formats.sd_jwt.issuance import issue
from safeconduct.formats.sd_jwt.parsing import Needs, Parsed, parse
from safeconduct.formats.sd_jwt.presentation import present
from safeconduct.formats.sd_jwt.profile import LENIENCIES, PROFILES, SD_JWT, SD_JWT_VC, Profile
from safeconduct.formats.sd_jwt.verification import VerifiedPresentation, verify
from safeconduct.formats.selection import ALL
from safeconduct.status.token_list import CredentialStatus, StatusReference, TokenStatusLists

__all__ = [
    "ALL",
    "LENIENCIES",
    "PROFILES",
    "SD_JWT",
    "SD_JWT_VC",
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
    "issue",
    "parse",
    "present",
    "verify",
]
