"""From an offer, or a wish of the user's own, to a credential in the store."""

import msgspec

from safeconduct.crypto.keys import Key
from safeconduct.protocols.oauth import metadata as server_metadata
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.oauth.token import TokenRequest
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.protocols.openid4vci.offer import PreAuthorizedGrant
from safeconduct.wallet import authorize, issuers, later, obtain, offers
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.issuers import Issuer
from safeconduct.wallet.line import Grant, IssuerLine, Strictness
from safeconduct.wallet.offers import Ask, Invitation
from safeconduct.wallet.records import Held, Waiting

_BYPASSED = Notice(
    "server_bypassed",
    "The issuer offers no encryption, so the request went to it directly and not through the wallet server.",
)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How the user wants a credential.

    via: base URL of the wallet server. unencrypted: whether an issuer without encryption will do.
    batch: how many instances, each for a key of its own; 0 for as many as the issuer gives at once, and no
    more than that in any case. wait: seconds to wait for an issuer that takes time. key: URI of a holder key
    in a token. ask: puts what the wallet is about to do to the user; None if that is agreed.
    """

    via: str | None = None
    unencrypted: Unencrypted = "refused"
    batch: int = 1
    wait: int = 0
    key: str | None = None
    ask: Ask | None = None


async def accept(
    context: Context, offer_uri: str, terms: Terms, *, tx_code: str | None, configuration: str | None
) -> Held | Waiting:
    """Accept an offer and return what is now held, or what the issuer gives later.

    1. The offer is read; an address that cannot be a wallet server's is refused before.
    2. The issuer is asked, directly, what it demands and which keys it has.
    3. The code is traded for a token, or the user logs in for one; directly.
    4. The credential is requested, through the wallet server if there is one, and checked.
    5. It is stored with its keys, and the issuer is told.

    tx_code: the transaction code, if the offer asks for one.
    configuration: which credential, where the offer holds several.
    Raises SafeconductErrors whose reason says what to do next.
    """
    _check_server(context, terms)
    invitation = await offers.read_offer(context, offer_uri, tx_code=tx_code, ask=terms.ask)
    return await follow(context, invitation, terms, configuration=configuration)


async def follow(
    context: Context,
    invitation: Invitation,
    terms: Terms,
    *,
    configuration: str | None,
    dpop_key: Key | None = None,
    name: str | None = None,
) -> Held | Waiting:
    """Follow an offer that the user has agreed to: steps 2 to 5 of `accept`, with its errors.

    dpop_key: what the code is traded under; with the same one again, an issuer that leases it takes it again.
    name: id of the credential to be.
    """
    _check_server(context, terms)
    hint = invitation.grant.authorization_server
    issuer = await _meet(context, invitation.issuer, terms, server=hint)
    if configuration is None and invitation.gives == "one":
        chosen = issuers.choose_format(issuer.metadata, invitation.configurations)
    else:
        chosen = issuers.choose_configuration(issuer.metadata, invitation.configurations, configuration)
    line = IssuerLine(context, issuer, dpop_key)
    grant = await _granted(context, line, issuer, chosen, invitation, terms)
    return await _obtain(context, line, issuer, chosen, grant, terms, server=hint, name=name)


async def request(context: Context, identifier: str, terms: Terms, *, configuration: str) -> Held | Waiting:
    """Ask an issuer for a credential without an offer: the user logs in there. See `accept`."""
    _check_server(context, terms)
    urls.check_identifier(identifier, what="of the issuer", allow_http_loopback=context.allow_http_loopback)
    offers.confirm_login(terms.ask, identifier, configuration)
    issuer = await _meet(context, identifier, terms, server=None)
    chosen = issuers.usable_configuration(issuer.metadata, configuration)
    line = IssuerLine(context, issuer)
    grant = await authorize.log_in(
        context, line, issuer, chosen, issuer_state=None, strictness=_strictness(issuer, terms)
    )
    return await _obtain(context, line, issuer, chosen, grant, terms, server=None)


def _check_server(context: Context, terms: Terms) -> None:
    if terms.via is not None:
        urls.check_identifier(
            terms.via, what="of the wallet server", allow_http_loopback=context.allow_http_loopback
        )
    if terms.batch < 0:
        raise ValueError("a batch has no negative size")


async def _meet(context: Context, identifier: str, terms: Terms, *, server: str | None) -> Issuer:
    return await issuers.meet(
        context, identifier, server=server, unencrypted=terms.unencrypted, via=terms.via
    )


async def _granted(
    context: Context,
    line: IssuerLine,
    issuer: Issuer,
    chosen: CredentialConfiguration,
    invitation: Invitation,
    terms: Terms,
) -> Grant:
    strictness = _strictness(issuer, terms)
    grant = invitation.grant
    if not isinstance(grant, PreAuthorizedGrant):
        return await authorize.log_in(
            context, line, issuer, chosen, issuer_state=grant.issuer_state, strictness=strictness
        )
    server_metadata.pre_authorized_token_endpoint(issuer.server)
    return await line.obtain_token(
        TokenRequest(
            pre_authorized_code=grant.code,
            tx_code=invitation.tx_code,
            authorization_details=line.details(chosen.id),
        ),
        configuration=chosen.id,
        strictness=strictness,
    )


def _strictness(issuer: Issuer, terms: Terms) -> Strictness:
    """Through a wallet server, only an identifier that it does not know keeps it from asking for itself."""
    return "identifier" if terms.via is not None and issuer.encrypts else "any"


async def _obtain(
    context: Context,
    line: IssuerLine,
    issuer: Issuer,
    chosen: CredentialConfiguration,
    grant: Grant,
    terms: Terms,
    *,
    server: str | None,
    name: str | None = None,
) -> Held | Waiting:
    via = terms.via
    if via is not None and not issuer.encrypts:
        context.report(_BYPASSED)
        via = None
    errand = await obtain.begin(
        context,
        line,
        issuer,
        chosen,
        grant,
        server=server,
        via=via,
        batch=_batch(context, issuer, terms.batch),
        key=terms.key,
        name=name,
    )
    outcome = await obtain.ask(context, errand)
    return await later.wait(context, outcome, seconds=terms.wait)


def _batch(context: Context, issuer: Issuer, wanted: int) -> int:
    most = issuer.metadata.batch_size
    if wanted > most:
        context.report(
            Notice(
                "batch_capped", f"The issuer gives no more than {most} at once, so that many were asked for."
            )
        )
    return most if wanted == 0 else min(wanted, most)
