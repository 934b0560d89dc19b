"""What becomes of a credential after it came: new instances of it, and its end."""

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.wallet import issuers, notify, obtain, store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.line import Grant, IssuerLine
from safeconduct.wallet.records import Access, Held, StoredCredential, Waiting
from safeconduct.wallet.sharing import register, share_line


async def renew(context: Context, prefix: str, *, via: str | None, batch: int | None) -> Held | Waiting:
    """Get a credential once more, for new keys, in the place of the one whose id begins so.

    via: the wallet server. batch: how many instances; None for as many as there are.
    Raises Rejected: renewal_impossible, credential_unknown, credential_ambiguous, and as `obtain.ask`.
    """
    name, stored = await context.safe.run(store.find_stored, prefix)
    if stored.access is None or stored.access.refresh_token is None:
        raise Rejected("renewal_impossible", "The issuer gave nothing to renew this with; ask for an offer.")
    issuer = await issuers.meet(
        context,
        stored.issuer,
        server=stored.server,
        unencrypted="refused" if stored.encrypted else "allowed",
    )
    configuration = issuers.usable_configuration(issuer.metadata, stored.configuration)
    if via is not None and (not issuer.encrypts or stored.identifier is None):
        via = None
    line = IssuerLine.resumed(context, issuer, stored.access)
    access = await line.refreshed(stored.access)
    if access is not stored.access:
        await context.safe.run(store.replace_credential, name, msgspec.structs.replace(stored, access=access))
    instances = len(await context.safe.run(store.list_instances, name))
    if await context.safe.run(register.has_shares, name):
        await context.safe.run(register.keep_parents, await share_line.read_parent(context, name))
    errand = await obtain.begin(
        context,
        line,
        issuer,
        configuration,
        Grant(access, stored.identifier),
        server=stored.server,
        via=via,
        batch=min(batch or instances, issuer.metadata.batch_size),
        key=None,
        replaces=name,
    )
    return await obtain.ask(context, errand)


async def delete(context: Context, prefix: str) -> None:
    """Delete a credential and its keys for good, and tell the issuer if it wants to know.

    If no credential has this id, a request for one is deleted. Raises Rejected: credential_unknown,
    credential_ambiguous.
    """
    held = [held.id for held in await context.safe.run(store.list_held) if held.id.startswith(prefix)]
    stored = await context.safe.run(store.remove, prefix)
    for name in held:
        await _warn_of_shares(context, name)
    await context.safe.erase_traces()
    if stored is not None and stored.access is not None and _may_be_told(context, stored, stored.access):
        await _tell(context, stored, stored.access)


async def _warn_of_shares(context: Context, name: str) -> None:
    """Tell of shares that nobody can take back without the credential that they were made of."""
    if await context.safe.run(register.has_shares, name):
        context.report(
            Notice(
                "shares_left",
                "The credential was shared. Without it the wallet cannot take those shares back any more; "
                "only the issuer can.",
            )
        )


def _may_be_told(context: Context, stored: StoredCredential, access: Access) -> bool:
    if stored.notification_id is None or stored.notification_endpoint is None:
        return False
    alive = access.expires is None or access.expires > context.clock()
    return alive or access.refresh_token is not None


async def _tell(context: Context, stored: StoredCredential, access: Access) -> None:
    try:
        issuer = await issuers.meet(
            context,
            stored.issuer,
            server=stored.server,
            unencrypted="refused" if stored.encrypted else "allowed",
        )
    except SafeconductError as error:
        context.report(Notice("notification_failed", f"The issuer could not be told: {error.reason}"))
        return
    await notify.tell(
        context,
        IssuerLine.resumed(context, issuer, access),
        access,
        endpoint=issuer.metadata.notification_endpoint,
        notification_id=stored.notification_id,
        event="credential_deleted",
    )
