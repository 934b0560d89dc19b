"""Token Status List (draft-ietf-oauth-status-list-20) and its W3C sibling.

A credential names a place in a list; whoever checks it has the whole list and so tells nobody which place.
`issue_jwt` and `issue_cwt` sign a `StatusList`; `TokenStatusLists` is the evidence that `sd_cwt.verify` and
`sd_jwt.verify` look places up in.
"""

from safeconduct.status.token_list.checking import CredentialStatus, TokenStatusLists
from safeconduct.status.token_list.lists import BITS, INVALID, SUSPENDED, VALID, Bits, StatusList
from safeconduct.status.token_list.reference import StatusReference, read_reference
from safeconduct.status.token_list.tokens import (
    ANY_ALGORITHM,
    CWT_TYPE,
    JWT_TYPE,
    Owner,
    ParsedListToken,
    VerifiedListToken,
    historical_uri,
    issue_cwt,
    issue_jwt,
    parse,
    verify,
)

__all__ = [
    "ANY_ALGORITHM",
    "BITS",
    "CWT_TYPE",
    "INVALID",
    "JWT_TYPE",
    "SUSPENDED",
    "VALID",
    "Bits",
    "CredentialStatus",
    "Owner",
    "ParsedListToken",
    "StatusList",
    "StatusReference",
    "TokenStatusLists",
    "VerifiedListToken",
    "historical_uri",
    "issue_cwt",
    "issue_jwt",
    "parse",
    "read_reference",
    "verify",
]
