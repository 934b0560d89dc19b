"""What the receiver of a share gets, judged again when it is fetched: the rules may be others by then."""

from collections.abc import Mapping, Sequence
from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64, json
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied, InvalidProof
from safeconduct.services.issuer.configuration import Kind
from safeconduct.services.issuer.credential import Bounds
from safeconduct.services.issuer.delivery_store import Access
from safeconduct.services.issuer.share_redemption import ShareTerms


def check_receiver(share: ShareTerms, holders: Sequence[PublicKey]) -> None:
    """Checks that one key asks, and that it is the one that the share is pinned to, if it is to any.

    Raises CredentialRequestDenied "share_for_one", InvalidProof "proof_key_not_pinned".
    """
    if len(holders) != 1:
        raise CredentialRequestDenied("share_for_one", "A share gives one credential, to one key.")
    if share.jkt is not None and thumbprint_of(holders[0]) != share.jkt:
        raise InvalidProof("proof_key_not_pinned", "The share is for another key.")


def claims_of(access: Access, share: ShareTerms, kind: Kind) -> Mapping[str, Any]:
    """Returns the claims that the sender disclosed, as far as the kind still passes them on.

    Raises CredentialRequestDenied "sharing_not_allowed", "claims_missing".
    """
    rules = kind.sharing
    if rules is None or share.mode not in rules.modes or share.level not in rules.levels:
        raise CredentialRequestDenied(
            "sharing_not_allowed", "Credentials of this kind are not shared like this any more."
        )
    if access.claims is None:
        raise CredentialRequestDenied("claims_missing", "The issuer has no claims for this credential.")
    claims = rules.passes(json.loads_object(access.claims), kind.configuration.claims)
    if not claims or rules.lacks(claims, kind.configuration.claims):
        raise CredentialRequestDenied("claims_missing", "The issuer has no claims for this credential.")
    return claims


def bounds_of(share: ShareTerms, *, now: int) -> Bounds:
    """Returns the times that the credential keeps within. Raises CredentialRequestDenied "share_expired"."""
    if share.credential_expires <= now:
        raise CredentialRequestDenied("share_expired", "The credential would have expired already.")
    return Bounds(share.not_before or 0, share.credential_expires)


def thumbprint_of(key: PublicKey) -> str:
    """Returns the key's thumbprint in base64url (RFC 7638)."""
    return b64.encode(key.jwk_thumbprint())
