"""A credential that its holder shows to the issuer of it, to share it: whether it is good, and which it is.

1. The issuer signed it, by a key that is still published, and it has not expired.
2. Its holder made the presentation out to this issuer, with one of its nonces; the nonce is used up now, so
   of two copies of a presentation at most one does anything.
3. Its place in a status list says which delivery it is of. Claims and keys are not kept: nothing else could.

Nothing is stored before both signatures are verified: strangers cannot fill the database.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from safeconduct.encoding import b64
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.presented import Shown, judge_sd_cwt, judge_sd_jwt
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT
from safeconduct.protocols.openid4vci.errors import InvalidNonce
from safeconduct.protocols.openid4vci.sharing import AccessRequest, ShareRequest
from safeconduct.protocols.openid4vci.sharing_errors import InvalidPresentation
from safeconduct.services.issuer import grant_store, share_store
from safeconduct.services.issuer.digests import presentation_nonce_digest
from safeconduct.services.issuer.share_errors import ParentInvalid
from safeconduct.services.issuer.share_store import Parent
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.status.token_list import StatusReference
from safeconduct.storage.status.places import StatusIndex
from safeconduct.trust import WAIVED, Policy, Trust

_LIST = re.compile(r"(?:.*/)?([0-9a-f]{32})\.(?:jwt|cwt)")
_LARGEST_PLACE = (1 << 31) - 1
_OUT_OF_TIME = frozenset({"expired", "not_yet_valid", "issued_in_future"})


class ShownParent(msgspec.Struct, frozen=True, kw_only=True):
    """A credential whose holder has shown it. claims: what is disclosed, as JSON values.

    not_before, expires: of the credential, Unix seconds.
    """

    parent: Parent
    claims: Mapping[str, Any]
    not_before: int
    expires: int

    def __repr__(self) -> str:
        return "<ShownParent>"


async def read_parent(tenant: Tenant, request: ShareRequest | AccessRequest, *, now: int) -> ShownParent:
    """Returns the credential that is shown, whether it still stands or not.

    Raises InvalidPresentation, whose code says what is wrong; InvalidNonce "share_nonce_unknown",
    "share_nonce_used"; ParentInvalid "parent_invalid" (out of its time, or not remembered).
    """
    nonces = await tenant.epochs.presentation_nonces(now)
    shown_nonces: list[str] = []

    def is_ours(nonce: bytes | None) -> bool:
        text = "" if nonce is None else b64.encode(nonce)
        shown_nonces.append(text)
        if not nonces.accepts(text, now=now):
            raise InvalidNonce("share_nonce_unknown", "The nonce of the presentation is not ours, or old.")
        return True

    shown = await asyncio.to_thread(_judge, tenant, request, is_ours, now)
    await _use_up(tenant, shown_nonces, now)
    place = _place(shown)
    expires, not_before = shown.claims.get("exp"), shown.claims.get("nbf")
    if place is None or type(expires) is not int or type(not_before) is not int or expires <= now:
        raise parent_invalid()
    parent = await tenant.database.run(share_store.find_parent, tenant.url, place)
    return ShownParent(parent=parent, claims=shown.claims, not_before=not_before, expires=expires)


def parent_invalid() -> ParentInvalid:
    """Returns the error of a credential that cannot be shared, or not any more."""
    return ParentInvalid("parent_invalid", "The credential is revoked, suspended, expired or not known.")


def _judge(
    tenant: Tenant,
    request: ShareRequest | AccessRequest,
    is_ours: Callable[[bytes | None], bool],
    now: int,
) -> Shown:
    """Runs in a thread: signatures take a while."""
    judge, profiles = _JUDGES[request.format]
    policy = Policy(
        audience=tenant.url,
        nonce=is_ours,
        leeway=tenant.settings.clock_skew,
        profiles=profiles,
        status=WAIVED,  # the issuer knows it better than its lists
    )
    trust = Trust.of({tenant.url: tenant.signing_keys})
    try:
        with reported_as(InvalidPresentation):
            return judge(request.presentation, trust=trust, policy=policy, nonce=is_ours, now=now)
    except InvalidPresentation as error:
        if error.code in _OUT_OF_TIME:
            raise parent_invalid() from error
        raise


async def _use_up(tenant: Tenant, nonces: list[str], now: int) -> None:
    expires_at = now + tenant.settings.nonce_lifetime + tenant.settings.clock_skew + 1
    for nonce in nonces:
        digest = presentation_nonce_digest(nonce)
        if not await tenant.database.run(grant_store.remember, digest, expires_at=expires_at):
            raise InvalidNonce("share_nonce_used", "The nonce of the presentation has been used.")


def _place(shown: Shown) -> StatusIndex | None:
    reference: StatusReference | None = None if shown.status is None else shown.status.reference
    found = None if reference is None else _LIST.fullmatch(reference.uri)
    if reference is None or found is None or reference.idx > _LARGEST_PLACE:
        return None
    return StatusIndex(found[1], reference.idx)


_JUDGES: Mapping[str, tuple[Callable[..., Shown], tuple[Any, ...]]] = {
    SD_CWT: (judge_sd_cwt, (sd_cwt.IETF_08.name,)),
    SD_JWT: (judge_sd_jwt, (sd_jwt.SD_JWT_VC,)),
}
