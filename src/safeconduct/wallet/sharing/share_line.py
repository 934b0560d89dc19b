"""The line to an issuer about the shares of one credential: made, listed, pinned to a key, taken back.

The credential is shown to its own issuer, made out to it and with its nonce. That tells it nothing new, so no
instance is used up, and it is always the first that is shown: shares hang on the one that they were made of.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols.oauth import errors
from safeconduct.protocols.oauth.authorization import AccessToken, authorization
from safeconduct.protocols.openid4vci import sharing
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.protocols.openid4vci.sharing import CreatedShare, ShareRequest, ShareView
from safeconduct.protocols.openid4vci.sharing_terms import SharingEndpoints, SharingTerms
from safeconduct.wallet import issuers, present, store
from safeconduct.wallet.answers import Unavailable
from safeconduct.wallet.context import Context
from safeconduct.wallet.formats import format_of
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.records import Credential
from safeconduct.wallet.sharing import register
from safeconduct.wallet.sharing.records import Parent

_JSON = "application/json"


class SharesLine:
    """Speaks to one issuer about the shares of one credential."""

    def __init__(
        self, context: Context, issuer: Issuer, credential: Credential, endpoints: SharingEndpoints
    ) -> None:
        self._context = context
        self._issuer = issuer
        self._endpoints = endpoints
        self._token: str | None = None
        self.credential = credential

    @property
    def issuer(self) -> str:
        """The issuer's identifier."""
        return self._issuer.identifier

    @property
    def configuration(self) -> CredentialConfiguration:
        """The kind of the credential. Raises Rejected: configuration_unknown."""
        return self._issuer.metadata.configuration(self.credential.held.configuration)

    @property
    def terms(self) -> SharingTerms:
        """On which terms the credential is shared. Raises Rejected: sharing_not_allowed."""
        terms = self.configuration.sharing
        if terms is None:
            raise _not_allowed()
        return terms

    async def grant(self, request: ShareRequest, *, disclose: Sequence[str]) -> CreatedShare:
        """Have a share made. request: all of it but the presentation. disclose: claim paths.

        Raises Rejected: share_exists, parent_invalid, sharing_not_allowed, entitlement_exceeds_parent,
        validity_exceeds_parent, too_many_shares, share_refused; Unavailable, Unreachable, where nobody knows
        whether it was made.
        """
        asked = msgspec.structs.replace(request, presentation=await self._presented(disclose))
        response = await self._post(self._endpoints.shares_endpoint, sharing.encode_share_request(asked))
        made = sharing.parse_created_share(
            _body(response, 201), allow_http_loopback=self._context.allow_http_loopback
        )
        if made.share_id != sharing.share_id_of(self.issuer, request.request_id or ""):
            raise Rejected("share_answer_foreign", "The issuer answers about another share.")
        return made

    async def views(self) -> tuple[ShareView, ...]:
        """Return the shares of the credential, as the issuer has them. Raises as `grant`."""
        response = await self._with_token("GET", self._endpoints.shares_endpoint)
        return sharing.parse_shares(_body(response, 200))

    async def pin(self, share_id: str, jkt: str) -> ShareView:
        """Let only the key with this thumbprint redeem a share that waits for that. Raises as `grant`."""
        response = await self._with_token("PATCH", self._place(share_id), sharing.encode_pin(jkt))
        return sharing.parse_view(_body(response, 200))

    async def end(self, share_id: str) -> str:
        """Take a share back, whatever became of it; return the issuer's word for what that came to.

        "nothing" if there is no such share. Raises as `grant`.
        """
        response = await self._with_token("DELETE", self._place(share_id))
        if response.status == 404:
            return "nothing"
        return sharing.parse_cancelled(_body(response, 200)).outcome

    def _place(self, share_id: str) -> str:
        return f"{self._endpoints.shares_endpoint}/{quote(share_id, safe='')}"

    async def _presented(self, disclose: Sequence[str]) -> bytes:
        """A presentation with a nonce of the issuer's, made out to nobody else."""
        response = await self._post(self._endpoints.challenge_endpoint, b"")
        challenge = sharing.parse_challenge(_body(response, 200))
        if challenge.audience != self.issuer:
            raise Rejected(
                "audience_foreign",
                "The issuer asks for a presentation made out to somebody else; nothing was shown to it.",
            )
        nonce = format_of(self.credential.held.format).nonce(challenge.nonce)
        return present.presentation(
            self._context, self.credential, disclose=disclose, audience=self.issuer, nonce=nonce
        )

    async def _with_token(self, method: str, url: str, content: bytes | None = None) -> Response:
        if self._token is None:
            asked = sharing.AccessRequest(
                presentation=await self._presented(()), format=self.credential.held.format
            )
            response = await self._post(self._endpoints.access_endpoint, sharing.encode_access_request(asked))
            self._token = sharing.parse_access(_body(response, 200)).access_token
        bearer = authorization(AccessToken("Bearer", self._token))
        return await self._sent(method, url, {"Authorization": bearer}, content)

    async def _post(self, url: str, content: bytes) -> Response:
        return await self._sent("POST", url, {}, content)

    async def _sent(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> Response:
        named: dict[str, Any] = {"Accept": _JSON, **headers}
        if content:
            named["Content-Type"] = _JSON
        return await self._context.fetcher.request(
            method, url, headers=named, content=content, max_bytes=limits.JSON_BYTES
        )


async def open_line(context: Context, credential: str) -> SharesLine:
    """Return the line about a credential. credential: any beginning of its id that only it has.

    Raises Rejected: credential_unknown, credential_ambiguous, sharing_not_allowed; and as `issuers.meet`.
    """
    parent = await _parent(context, credential)
    issuer = await issuers.meet(
        context,
        parent.held.issuer,
        server=parent.server,
        unencrypted="refused" if parent.encrypted else "allowed",
    )
    if issuer.metadata.sharing is None:
        raise _not_allowed()
    shown = Credential(parent.held, parent.token, parent.key, parent.instance)
    return SharesLine(context, issuer, shown, issuer.metadata.sharing)


async def read_parent(context: Context, credential: str) -> Parent:
    """Return a credential that is held, with all that it takes to speak of its shares."""
    found = await context.safe.run(store.find_credential, credential)
    _, stored = await context.safe.run(store.find_stored, found.held.id)
    return Parent(
        held=found.held,
        token=found.token,
        key=found.key,
        instance=found.instance,
        server=stored.server,
        encrypted=stored.encrypted,
    )


async def _parent(context: Context, credential: str) -> Parent:
    """The credential of that id, or what was held under it before it was renewed."""
    try:
        return await read_parent(context, credential)
    except Rejected as error:
        before = await context.safe.run(register.parent_of, credential)
        if error.code != "credential_unknown" or before is None:
            raise
        return before


def is_open(error: SafeconductError) -> bool:
    """Tell whether the error leaves open if there is a share of this name, or says that there is one."""
    return error.code == "share_exists" or isinstance(error, Unreachable | Unavailable)


def _not_allowed() -> Rejected:
    return Rejected(
        "sharing_not_allowed", "The issuer does not let anybody share this credential, or not in this way."
    )


_REFUSALS = {
    "parent_invalid": "The credential is not valid any more, or not now, so it cannot be shared.",
    "sharing_not_allowed": _not_allowed().reason,
    "entitlement_exceeds_parent": "More rights were named than the credential gives; share some of those.",
    "validity_exceeds_parent": "The share would be valid before or after the credential; shorten it.",
    "too_many_shares": "The credential is shared with as many as its issuer allows; take one back first.",
    "share_exists": "The issuer has made this share before.",
    "share_unknown": "The issuer does not know this share.",
    "share_over": "The share is not in a state in which this can be done.",
    "invalid_nonce": "The issuer did not take its own nonce; try again.",
    "invalid_token": "The issuer did not take its own token; try again.",
}
REFUSED = frozenset({*_REFUSALS, "share_refused", "audience_foreign", "credential_expired"}) - {
    "share_exists"
}
"""Codes after which there is no share: the issuer refused it, or was not asked."""

_LATER = frozenset({500, 502, 503, 504})


def _body(response: Response, expected: int) -> bytes:
    """The body of the answer that was hoped for. Raises Rejected: what the issuer named; share_refused."""
    if response.status == expected:
        return response.body
    if response.status in _LATER:
        raise Unavailable("issuer_unavailable", "The issuer cannot answer now; try later.")
    error = errors.parse_error(response.body, status=response.status).error
    if error in _REFUSALS:
        raise Rejected(error, _REFUSALS[error])
    raise Rejected(
        "share_refused", f"The issuer refused; ask it for the reason. (HTTP status {response.status})"
    )
