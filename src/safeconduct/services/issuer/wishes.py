"""What a request asks for, out of what there is: by authorization details and by scope (OpenID4VCI 1.0 §5.1).

Each scope is read by itself, and unknown ones are ignored (§5.1.2). Where both ask for the same
configuration, the details win: the answer then gives identifiers for it, and the wallet must use them.
"""

from collections.abc import Mapping, Sequence

import msgspec

from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.errors import InvalidAuthorizationDetails, InvalidScope

Scopes = Mapping[str, str | None]
"""The scope of each configuration, by configuration id."""


class Wish(msgspec.Struct, frozen=True):
    """What a request comes to.

    named: configurations asked for by details. unnamed: by scope, or by asking for nothing in particular.
    scope: the scopes that are good for something.
    """

    named: tuple[str, ...]
    unnamed: tuple[str, ...]
    scope: tuple[str, ...]

    @property
    def configuration_ids(self) -> tuple[str, ...]:
        """All configurations."""
        return self.named + self.unnamed


def wish_of(
    details: Sequence[CredentialDetail], scope: Sequence[str], *, offered: Sequence[str], scopes: Scopes
) -> Wish:
    """Returns what a request asks for, out of `offered` configurations; nothing, if it asks for nothing.

    Raises InvalidAuthorizationDetails "details_not_offered".
    """
    named = tuple(dict.fromkeys(detail.credential_configuration_id for detail in details))
    if not set(named).issubset(offered):
        raise InvalidAuthorizationDetails("details_not_offered", "What is asked for is not on offer.")
    known = {scopes[name] for name in offered if name in scopes}
    granted = tuple(token for token in scope if token in known)
    unnamed = tuple(name for name in offered if name not in named and scopes.get(name) in granted)
    return Wish(named, unnamed, granted)


def wish_or_all(
    details: Sequence[CredentialDetail], scope: Sequence[str], *, offered: Sequence[str], scopes: Scopes
) -> Wish:
    """As `wish_of`; a request that asks for nothing, or for unknown scopes only, gets all that is offered."""
    wish = wish_of(details, scope, offered=offered, scopes=scopes)
    return wish if wish.configuration_ids else Wish((), tuple(offered), ())


def wish_or_refuse(
    details: Sequence[CredentialDetail], scope: Sequence[str], *, offered: Sequence[str], scopes: Scopes
) -> Wish:
    """As `wish_of`. Raises InvalidScope "scope_unknown" as well, if the request asks for nothing there is."""
    wish = wish_of(details, scope, offered=offered, scopes=scopes)
    if not wish.configuration_ids:
        raise InvalidScope("scope_unknown", "The request asks for no credential that there is here.")
    return wish


def narrowed(
    granted: Wish, details: Sequence[CredentialDetail], scope: Sequence[str], *, scopes: Scopes
) -> Wish:
    """Returns what is left of a grant if a token shall be good for less (RFC 6749 §6, RFC 9396 §7).

    Raises InvalidAuthorizationDetails "details_not_granted", InvalidScope "scope_not_granted".
    """
    if not details and not scope:
        return granted
    named = tuple(dict.fromkeys(detail.credential_configuration_id for detail in details))
    if not set(named).issubset(granted.named):
        raise InvalidAuthorizationDetails("details_not_granted", "What is asked for was not granted.")
    if not set(scope).issubset(granted.scope):
        raise InvalidScope("scope_not_granted", "The scope is more than was granted.", rule="RFC 6749 §6")
    return Wish(named, tuple(name for name in granted.unnamed if scopes.get(name) in scope), tuple(scope))
