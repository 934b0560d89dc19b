"""`safeconduct wallet list`, `show`, `delete`: what is held."""

from typing import TYPE_CHECKING, Any

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import Credential

if TYPE_CHECKING:
    from safeconduct.wallet.sharing.records import Taken
    from safeconduct.wallet.wallet import Held, Waiting, Wallet


def list_credentials(config: Config = None, as_json: AsJson = False) -> None:
    """List credentials, the newest first.

    A line has id, issuer, type, when the credential ends, and how many instances nobody has seen, where there
    are several; with tabs between. What is still to come is told on standard error, and so is what others
    share that was opened and not received.

    \b
    Example:
      safeconduct wallet list
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> "tuple[tuple[Held, ...], tuple[Waiting, ...], tuple[Taken, ...]]":
        return await wallet.list(), await wallet.pending(), await wallet.opened()

    held, waiting, opened = common.with_wallet(config, work)
    if as_json:
        output.write_json(
            {
                "credentials": [common.as_json(each) for each in held],
                "waiting": [common.as_json(each) for each in waiting],
                "opened": [{"id": each.id, "stage": each.stage, "issuer": each.issuer} for each in opened],
            }
        )
        return
    for each in held:
        common.write_held(each)
    for still in waiting:
        output.note(f"still to come: {still.id} of {still.issuer} ({still.stage})")
    for taken in opened:
        output.note(f"opened, not received: {taken.id}; `{common.command()} receive {taken.id}` goes on")


def show(credential: Credential, config: Config = None, as_json: AsJson = False) -> None:
    """Show a credential as JSON.

    withholdable has the paths of the claims that `wallet present` shows only if they are named.

    \b
    Example:
      safeconduct wallet show 3f
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> dict[str, Any]:
        shown = await wallet.show(credential)
        held = common.as_json(shown.held)
        return {**held, "claims": dict(shown.claims), "withholdable": list(shown.withholdable)}

    del as_json  # it is JSON in any case
    output.write_json(common.with_wallet(config, work))


def delete(credential: Credential, config: Config = None, as_json: AsJson = False) -> None:
    """Delete a credential with all its instances and keys, and tell the issuer if it wants to know.

    A credential that is still to come can be deleted as well; then nobody asks for it any more.

    \b
    Example:
      safeconduct wallet delete 3f5d0a71
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> None:
        await wallet.delete(credential)

    common.with_wallet(config, work)
    if as_json:
        output.write_json({"removed": credential})
