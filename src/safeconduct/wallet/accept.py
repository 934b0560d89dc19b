"""Accepting an offer: from its text to a credential in the store.

A wallet server may forward the one request that asks for the credential. Its word counts for nothing: an
answer is taken if it opens with the wallet's key and holds a credential that stands every check. Whatever
else comes back is reported, and the wallet asks the issuer itself, with everything in the request made anew.
So the server never sees a second proof, and a request that it kept back is worth nothing: the identifier
inside it that makes it valid is spent.
"""

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import urls
from safeconduct.wallet import answers, forwarding, issuers, offers, requests, store
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.line import IssuerLine
from safeconduct.wallet.records import Held
from safeconduct.wallet.requests import Issued, PreparedRequest, Wish

_BYPASSED = Notice(
    "server_bypassed",
    "The issuer offers no encryption, so the request went to it directly and not through the wallet server.",
)


async def accept(
    context: Context,
    offer_uri: str,
    *,
    tx_code: str | None,
    via: str | None,
    unencrypted: Unencrypted,
    configuration: str | None,
) -> Held:
    """Accept an offer and return what is now held.

    1. The offer is read; an address that cannot be a wallet server's is refused before.
    2. The issuer is asked, directly, what it demands and which keys it has.
    3. The code is traded for a token, directly.
    4. The credential is requested, through the wallet server `via` if there is one, and checked.
    5. It is stored with its key.

    tx_code: the transaction code, if the offer asks for one. via: base URL of the wallet server.
    configuration: which credential, where the offer holds several.
    Raises SafeconductErrors whose reason says what to do next.
    """
    if via is not None:
        urls.check_identifier(
            via, what="of the wallet server", allow_http_loopback=context.allow_http_loopback
        )
    invitation = await offers.read_offer(context, offer_uri, tx_code=tx_code)
    issuer = await issuers.meet(
        context,
        invitation.issuer,
        server=invitation.grant.authorization_server,
        unencrypted=unencrypted,
    )
    chosen = issuers.choose_configuration(issuer.metadata, invitation.configurations, configuration)
    line = IssuerLine(context, issuer)
    grant = await line.obtain_token(invitation, chosen.id)
    wish = Wish(issuer, chosen, grant, line.dpop_key)
    if via is not None and not issuer.encrypts:
        context.report(_BYPASSED)
        via = None
    name, stored, instance = await (
        _directly(context, line, wish) if via is None else _through_server(context, line, wish, via)
    )
    return await context.safe.run(store.keep_credential, name, stored, [instance])


async def _directly(context: Context, line: IssuerLine, wish: Wish) -> Issued:
    prepared = requests.prepare(context, wish, c_nonce=await line.fetch_c_nonce())
    response = await line.request_credential(wish.grant, prepared.body, content_type=prepared.content_type)
    return requests.read_answer(context, wish, prepared, response)


async def _through_server(context: Context, line: IssuerLine, wish: Wish, via: str) -> Issued:
    """Ask through the server; if what comes back is no credential, report that and ask the issuer itself."""
    prepared = requests.prepare(context, wish, c_nonce=await line.fetch_c_nonce())
    try:
        return await _forwarded(context, line, wish, prepared, via)
    except SafeconductError as error:
        context.report(Notice(error.code, f"Through the wallet server: {error.reason}"))
    try:
        return await _directly(context, line, wish)
    except Rejected as error:
        if error.code not in answers.SPENT:
            raise
        raise Rejected(
            "credential_withheld",
            "The issuer gave the credential, but the wallet server did not hand it over. Nobody else can use "
            "it; ask the issuer for a new offer, and accept it without the wallet server.",
        ) from error


async def _forwarded(
    context: Context, line: IssuerLine, wish: Wish, prepared: PreparedRequest, via: str
) -> Issued:
    headers = line.credential_headers(wish.grant, content_type=prepared.content_type)
    response = await forwarding.forward(
        context, via, issuer=wish.issuer.identifier, headers=headers, body=prepared.body
    )
    _check_not_challenged(response)
    if response.status != 200:
        raise Rejected(
            "forwarding_failed",
            f"The wallet server brought HTTP status {response.status} instead of the credential; "
            "the wallet asks the issuer itself.",
        )
    return requests.read_answer(context, wish, prepared, response)


def _check_not_challenged(response: Response) -> None:
    # The proof has a nonce that came from the issuer a moment ago, so this is an error at best.
    if answers.is_challenge(response):
        raise Rejected(
            "challenge_not_believed",
            "The wallet server brought a nonce challenge, as one would that collects proofs; "
            "the wallet makes no second proof for it and asks the issuer itself.",
        )
