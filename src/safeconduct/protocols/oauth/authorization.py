"""The Authorization header of a request to a protected resource (RFC 6750 §2.1, RFC 9449 §7.1)."""

import re
from typing import Literal

import msgspec

from safeconduct import limits
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.errors import InvalidRequest, MissingToken

Scheme = Literal["DPoP", "Bearer"]

_SCHEMES: dict[str, Scheme] = {"dpop": "DPoP", "bearer": "Bearer"}
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class AccessToken(msgspec.Struct, frozen=True):
    """An access token as a request presents it; nothing about it is verified."""

    scheme: Scheme
    token: str

    def __repr__(self) -> str:
        return f"AccessToken(scheme={self.scheme!r})"


def parse_authorization(value: str | None) -> AccessToken:
    """Returns the access token that an Authorization header presents.

    value: the header's value; None if the request has none. The scheme's case is free (RFC 9110 §11.1).

    Raises MissingToken "token_missing" (no header, or another scheme), InvalidRequest "token_malformed".
    """
    scheme, _, token = (value or "").strip(" ").partition(" ")
    known = _SCHEMES.get(scheme.lower())
    if known is None:
        raise MissingToken("token_missing", "The request presents no access token.", rule="RFC 6750 §3.1")
    token = token.strip(" ")
    if len(token) > limits.TOKEN_CHARS or not _TOKEN.fullmatch(token):
        raise InvalidRequest("token_malformed", "The access token is malformed.", rule="RFC 6750 §2.1")
    return AccessToken(known, token)


def check_no_token_in_query(query: str) -> None:
    """Checks that the query of a request's URL presents no access token: URLs end up in logs.

    Source: RFC 6750 §2.3, FAPI 2.0 §5.3.3. Raises InvalidRequest "token_in_query".
    """
    if "access_token" in form.parse_form(query):
        raise InvalidRequest("token_in_query", "An access token stands in the URL.", rule="RFC 6750 §2.3")


def authorization(access_token: AccessToken) -> str:
    """Returns the value of the Authorization header that presents `access_token`."""
    return f"{access_token.scheme} {access_token.token}"
