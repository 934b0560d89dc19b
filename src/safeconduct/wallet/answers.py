"""What servers answer instead of a result, told to a person with what to do next."""

from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import errors

SPENT = frozenset({"credential_denied", "credential_spent"})
"""Codes of an issuer that has given the credential before."""

FINAL = SPENT | {
    "client_refused",
    "grant_refused",
    "issuer_unwilling",
    "token_refused",
    "transaction_over",
}
"""Codes of an issuer that will not answer the request, however often it is asked."""

_CHALLENGE = "use_dpop_nonce"
_LATER = frozenset({429, 500, 502, 503, 504})


class Unavailable(Rejected):
    """The issuer gave no answer to what it was asked; it may give one later."""

    oauth_error = "temporarily_unavailable"
    http_status = 503


_TOKEN_REFUSALS = {
    "invalid_grant": Rejected(
        "grant_refused",
        "The issuer refused the code: the transaction code was wrong, or the offer is used up or too old. "
        "Check the transaction code; else ask the issuer for a new offer.",
    ),
    "invalid_client": Rejected(
        "client_refused", "The issuer serves only wallets that it knows; ask it for one that can be used."
    ),
}

_LOGIN_REFUSALS = {
    "invalid_client": Rejected(
        "client_refused",
        "The issuer does not know this wallet; set wallet.client_id to one that it knows.",
    ),
    "unauthorized_client": Rejected(
        "client_refused", "The issuer does not let this wallet ask for a login; ask it for an offer."
    ),
}

_CREDENTIAL_REFUSALS = {
    "credential_request_denied": Rejected(
        "credential_denied", "The issuer will not give this credential; ask it for the reason."
    ),
    "invalid_nonce": Rejected("nonce_refused", "The issuer refused its own nonce; accept the offer again."),
    "invalid_token": Rejected(
        "token_refused", "The issuer no longer takes its token; ask it for a new offer."
    ),
    "invalid_transaction_id": Rejected(
        "transaction_over", "The issuer does not know the request any more; ask it for a new offer."
    ),
    "unknown_credential_identifier": Rejected(
        "credential_spent",
        "The issuer has given this credential already, or never offered it; ask for a new offer.",
    ),
}


def is_challenge(response: Response) -> bool:
    """Tell whether the answer asks for a DPoP proof with a nonce (RFC 9449 §8, §9)."""
    if response.status not in (400, 401) or "dpop-nonce" not in response.headers:
        return False
    asked = errors.parse_error(response.body, status=response.status).error
    return asked == _CHALLENGE or f'error="{_CHALLENGE}"' in response.headers.get("www-authenticate", "")


def token_refusal(response: Response) -> Rejected:
    """Return the error that a token endpoint's answer amounts to."""
    return _refusal(response, _TOKEN_REFUSALS, "The issuer gave no token; try again, or ask for a new offer.")


def credential_refusal(response: Response) -> Rejected:
    """Return the error that a credential endpoint's answer amounts to."""
    return _refusal(
        response, _CREDENTIAL_REFUSALS, "The issuer gave no credential; try again, or ask for a new offer."
    )


def token_over() -> Rejected:
    """Return the error of a token that has ended and cannot be renewed."""
    over = _CREDENTIAL_REFUSALS["invalid_token"]
    return Rejected(over.code, over.reason)


def login_refusal(response: Response) -> Rejected:
    """Return the error that the answer to a pushed authorization request amounts to."""
    return _refusal(response, _LOGIN_REFUSALS, "The issuer lets nobody log in so; ask it for an offer.")


def _refusal(response: Response, known: dict[str, Rejected], otherwise: str) -> Rejected:
    if response.status in _LATER:
        return Unavailable(
            "issuer_unavailable", f"The issuer cannot answer now; try later. (HTTP status {response.status})"
        )
    error = errors.parse_error(response.body, status=response.status).error
    found = known.get(error)
    if found is not None:
        return Rejected(found.code, found.reason)
    return Rejected("issuer_unwilling", f"{otherwise} (HTTP status {response.status})")
