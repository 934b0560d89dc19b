"""What the endpoints for shares answer to a message that cannot be used; the names are this project's own.

OpenID4VCI has no endpoint at which a holder shares what it was issued.
"""

from safeconduct.protocols.oauth.errors import OAuthError


class InvalidShareRequest(OAuthError):
    """The request lacks a member, has an unsupported value, or contradicts itself."""

    oauth_error = "invalid_share_request"


class InvalidPresentation(OAuthError):
    """The presentation of the credential that is to be shared is not good; the code says why."""

    oauth_error = "invalid_presentation"
