"""Why a share is refused, as data on the error's class; `oauth_error` is what the endpoints answer."""

from safeconduct.protocols.oauth.errors import OAuthError


class ParentInvalid(OAuthError):
    """The credential that was to be shared is revoked, suspended, expired or unknown."""

    oauth_error = "parent_invalid"
    http_status = 403
    resource_status = 403


class SharingNotAllowed(OAuthError):
    """Credentials of this kind, or this one, are not shared in this way or so far."""

    oauth_error = "sharing_not_allowed"
    http_status = 403
    resource_status = 403


class EntitlementExceedsParent(OAuthError):
    """The share would give more rights than the credential has."""

    oauth_error = "entitlement_exceeds_parent"


class ValidityExceedsParent(OAuthError):
    """The share would be valid before the credential is, or for longer."""

    oauth_error = "validity_exceeds_parent"


class TooManyShares(OAuthError):
    """The credential has as many shares as it may."""

    oauth_error = "too_many_shares"
    http_status = 429
    resource_status = 429


class ShareExists(OAuthError):
    """The same request for a share came before."""

    oauth_error = "share_exists"
    http_status = 409
    resource_status = 409


class ShareUnknown(OAuthError):
    """The credential has no such share, or none any more."""

    oauth_error = "share_unknown"
    http_status = 404
    resource_status = 404


class ShareRefused(OAuthError):
    """The share is not in the state for this."""

    oauth_error = "share_refused"
    http_status = 409
    resource_status = 409
