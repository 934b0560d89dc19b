"""What the endpoints for shares answer to an unacceptable request; their names are this project's own.

OpenID4VCI has no endpoint at which a holder shares what it was issued.
"""

from safeconduct.protocols.oauth.errors import OAuthError


class InvalidShareRequest(OAuthError):
    """The request lacks a member, has an unsupported value, or contradicts itself."""

    oauth_error = "invalid_share_request"


class InvalidPresentation(OAuthError):
    """The presentation of the credential that is to be shared is not good; the code says why."""

    oauth_error = "invalid_presentation"


class ParentInvalid(OAuthError):
    """The credential is revoked, suspended, expired, or not one that this issuer remembers."""

    oauth_error = "parent_invalid"
    http_status = 403
    resource_status = 403


class SharingNotAllowed(OAuthError):
    """Credentials of this kind are not shared, or not so, or not by one who was given it by another."""

    oauth_error = "sharing_not_allowed"
    http_status = 403
    resource_status = 403


class EntitlementExceedsParent(OAuthError):
    """More rights are to be given than were shown."""

    oauth_error = "entitlement_exceeds_parent"


class ValidityExceedsParent(OAuthError):
    """The new credential would be valid before or after the one that it comes from."""

    oauth_error = "validity_exceeds_parent"


class TooManyShares(OAuthError):
    """As many shares of the credential as its kind allows are open or in use."""

    oauth_error = "too_many_shares"
    http_status = 429
    resource_status = 429


class ShareExists(OAuthError):
    """The same request came before."""

    oauth_error = "share_exists"
    http_status = 409
    resource_status = 409


class ShareUnknown(OAuthError):
    """The credential has no such share, or none any more."""

    oauth_error = "share_unknown"
    http_status = 404
    resource_status = 404


class ShareOver(OAuthError):
    """The share's state does not allow this."""

    oauth_error = "share_over"
    http_status = 409
    resource_status = 409
