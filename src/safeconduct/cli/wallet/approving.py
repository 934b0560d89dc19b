"""`safeconduct wallet approve`: what has to be said before a share is released, or a delegation is signed."""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import WaitForParty

if TYPE_CHECKING:
    from safeconduct.wallet.sharing.approving import Approval
    from safeconduct.wallet.sharing.delegating import Answered, Claimant
    from safeconduct.wallet.wallet import Wallet

Digits = Annotated[
    str | None,
    typer.Option(
        "--digits",
        metavar="DIGITS",
        help="The six digits that the receiver reads out; if they are others than here, all is taken back.",
    ),
]


def approve(
    transfer: Annotated[str, typer.Argument(metavar="SHARE", help="One of level approve, or a delegation.")],
    digits: Digits = None,
    wait: WaitForParty = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Sign what was delegated, for whoever opened the link.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let a receiver have a share of level approve, after you compared six digits; or sign a delegation.

    When they have opened the link, both of you see six digits. Compare them by voice. If they are the same,
    the share is bound to the receiver's key and released; if not, somebody is in the middle, and the share is
    taken back. A line has id, state (waiting, compare, released) and the digits, with tabs between.

    \b
    Example:
      safeconduct wallet approve 5e0c --digits 204518
      safeconduct wallet approve 7c21 --yes
    """
    from safeconduct.errors import Rejected
    from safeconduct.wallet.sharing.approving import Approval

    if digits is not None:
        digits = _six(digits)
    seconds = common.patience(wait)

    async def work(wallet: "Wallet") -> "Approval | Answered":
        try:
            return await compare(wallet, transfer, digits, seconds=seconds, quiet=as_json)
        except Rejected as error:
            if error.code != "approval_unwanted" or digits is not None:
                raise
            unwanted = error
        try:
            return await _answer(wallet, transfer, seconds=seconds, yes=yes)
        except Rejected as error:
            raise unwanted if error.code == "authority_unwanted" else error from None

    approval = common.with_wallet(config, work)
    if as_json:
        common.write_json(common.as_json(approval))
    elif isinstance(approval, Approval):
        write_approval(approval)
    else:
        _write_answer(approval)


# Digits.


async def compare(
    wallet: "Wallet", transfer: str, digits: str | None, *, seconds: int, quiet: bool
) -> "Approval":
    """Go on with a share by approval. digits: those that the receiver reads out. quiet: show nothing."""
    from safeconduct.cli import progress

    with progress.waiting("Waiting for the receiver to open the link", quiet=quiet or not seconds) as stop:
        return await wallet.approve(transfer, confirm=_comparing(digits, stop), wait=seconds)


def _comparing(digits: str | None, stop: Callable[[], None]) -> Callable[[str], bool | None]:
    def confirm(shown: str) -> bool | None:
        stop()
        if digits is not None:
            return hmac.compare_digest(digits, shown)
        return _asked(shown) if common.on_terminal() else None

    return confirm


def _asked(shown: str) -> bool:
    from safeconduct.cli import output

    output.note(f"Digits: {common.digits_text(shown)}")
    return typer.confirm("Does the receiver read out the same digits?", default=None, err=True)


def _six(digits: str) -> str:
    from safeconduct.cli.faults import WrongUse

    found = "".join(digits.split())
    if len(found) != 6 or not (found.isascii() and found.isdigit()):
        raise WrongUse("--digits wants the six digits that the receiver reads out")
    return found


def write_approval(approval: "Approval") -> None:
    """Write how far a share by approval has come."""
    from safeconduct.cli import output

    output.write_columns(approval.id, approval.state, approval.digits or "")
    hint = {
        "waiting": "Nobody has answered yet; do it again when they have opened the link.",
        "compare": "Compare the digits by voice, then give those that they read out with --digits.",
        "released": "The receiver can fetch it now.",
    }
    output.note(hint[approval.state])


# Signatures.


async def _answer(wallet: "Wallet", transfer: str, *, seconds: int, yes: bool) -> "Answered":
    """Sign for whoever opened the link to a delegation, if the user says so."""

    def confirm(claimant: "Claimant") -> bool | None:
        if yes:
            return True
        return _asked_to_sign(claimant) if common.on_terminal() else None

    return await wallet.answer(transfer, confirm=confirm, wait=seconds)


def _write_answer(answered: "Answered") -> None:
    from safeconduct.cli import output

    output.write_columns(answered.id, answered.state)
    output.note(_ANSWERED[answered.state])


_ANSWERED = {
    "waiting": "Nobody has answered yet; do it again when they have opened the link.",
    "unconfirmed": "Somebody has answered: give --yes to sign, or `wallet revoke` to refuse.",
    "signed": "The receiver can fetch it now.",
    "pin_wrong": "The PIN was wrong; the receiver may try again.",
    "refused": "Nothing was signed, and the link leads nowhere any more.",
}


def _asked_to_sign(claimant: "Claimant") -> bool:
    from safeconduct.cli import output

    output.note(f"Somebody opened the link, with the key {claimant.jkt}.")
    output.note(f"Passed on:    {', '.join(claimant.credential.claims) or 'no claims'}")
    for name, left in sorted(claimant.credential.rights.items()):
        output.note(f"Of {name}: {', '.join(left)}")
    return typer.confirm("Sign it for this key?", default=None, err=True)
