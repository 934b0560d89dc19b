"""The issuer: OpenID4VCI 1.0 with pre-authorized codes; its own authorization server; managed offers."""

from safeconduct.services.issuer.opening import open_issuer

__all__ = ["open_issuer"]
