"""`safeconduct wallet share`, `link`, `shares`, `revoke`: giving a credential to somebody else."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import approving, common
from safeconduct.cli.wallet.common import Credential, WaitForParty, Yes

if TYPE_CHECKING:
    from safeconduct.wallet.sharing.approving import Approval
    from safeconduct.wallet.sharing.records import Ended, Given, Shared, Standing
    from safeconduct.wallet.sharing.sending import Wish
    from safeconduct.wallet.wallet import Wallet

LEVELS, MODES = ("link", "pin", "key", "approve"), ("share", "move")

Level = Annotated[
    str | None,
    typer.Option(
        "--level",
        metavar="LEVEL",
        help="What binds it to the receiver: pin (a code that you tell them by another way), approve (you "
        "compare six digits when they have opened it), key (their card; see --to) or link (nothing: whoever "
        "opens it first has it). By default pin, or approve where the issuer knows no PIN.",
    ),
]
Mode = Annotated[
    str,
    typer.Option("--mode", metavar="MODE", help="share: you keep yours. move: yours ends when they have it."),
]
Rights = Annotated[
    list[str] | None,
    typer.Option("--rights", metavar="RIGHT", help="Share only this right. May be repeated; all, if none."),
]
Disclose = Annotated[
    list[str] | None,
    typer.Option(
        "--disclose",
        metavar="PATH",
        help="Show the issuer this claim, for the new credential. May be repeated; by default what it needs.",
    ),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="WHEN", help="When the new credential ends: 7d, 12h, or 2026-12-01."),
]
Lifetime = Annotated[
    str | None,
    typer.Option("--lifetime", metavar="PERIOD", help="How long the link is good: 30m, 12h or 2d."),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="CONTACT", help="Only for this contact's keys: level key, and no PIN."),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="FILE|-", help="With --to: write it to this file, and use no relay; - prints it."
    ),
]
Relay = Annotated[
    str | None,
    typer.Option("--relay", metavar="URL", help="Leave it at this relay; by default that of the settings."),
]
Draft = Annotated[
    bool,
    typer.Option(
        "--draft", help="Write it as the drafts of secure credential transfer say, for other makers' wallets."
    ),
]
Qr = Annotated[bool, typer.Option("--qr", help="Show the link as a QR code too, on standard error.")]
Share = Annotated[
    str, typer.Argument(metavar="SHARE", help="As `wallet shares` lists it; a beginning will do.")
]


def share(
    credential: Credential,
    level: Level = None,
    mode: Mode = "share",
    rights: Rights = None,
    disclose: Disclose = None,
    expires: Expires = None,
    lifetime: Lifetime = None,
    to: To = None,
    file: File = None,
    relay: Relay = None,
    draft: Draft = False,
    qr: Qr = False,
    wait: WaitForParty = None,
    yes: Yes = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Share a credential: its issuer makes a new one for whoever you send the link to.

    The link is printed on standard output, the PIN apart from it: send them by two different ways. You can
    share a part of the rights, for a shorter time; and take it back with `wallet revoke`.

    \b
    Example:
      safeconduct wallet share 3f --rights drive --expires 7d
      safeconduct wallet share 3f --to Anna --file share.sct
    """
    wish = _wish(level, mode, rights, disclose, expires, lifetime, to, file, relay, draft=draft)
    wish = _agreeing(wish, to, yes=yes)
    seconds = common.patience(wait)

    async def work(wallet: "Wallet") -> "tuple[Shared, Approval | None]":
        shared = await wallet.share(credential, wish, to=to)
        if shared.level != "approve" or not seconds or as_json:  # one JSON document has the link, at once
            return shared, None
        write_shared(shared, file, qr=qr)
        return shared, await approving.compare(wallet, shared.id, None, seconds=seconds, quiet=False)

    shared, approval = common.with_wallet(config, work)
    if as_json:
        _write_file(shared, file)
        common.write_json(common.as_json(shared))
    elif approval is None:
        write_shared(shared, file, qr=qr)
    else:
        approving.write_approval(approval)


def shares(config: Config = None, as_json: AsJson = False) -> None:
    """List what was shared, and how each share stands.

    A line has id, credential, level, mode, what the issuer says (pending, issued, revoked ...), what the
    relay says (unclaimed, claimed, gone ...), when the offer ends, and for whom it is; with tabs between. If
    somebody has claimed it who should not have, `wallet revoke` ends it.

    \b
    Example:
      safeconduct wallet shares
    """
    from safeconduct.cli import output
    from safeconduct.cli.management import date

    async def work(wallet: "Wallet") -> "tuple[tuple[Standing, ...], dict[str, str]]":
        return await wallet.shares(), {contact.id: contact.name for contact, _ in await wallet.contacts()}

    found, names = common.with_wallet(config, work)
    if as_json:
        common.write_json({"shares": [common.as_json(each) for each in found]})
        return
    for each in found:
        whom = "" if each.contact is None else names.get(each.contact, each.contact)
        ends = "" if each.expires is None else date(each.expires)
        columns = [each.id or each.share_id, each.credential, each.level, each.mode]
        output.write_columns(*columns, each.issuer_state, each.relay_state, ends, whom)


def revoke(share: Share, config: Config = None, as_json: AsJson = False) -> None:
    """Take a share back: cancel it if it was not redeemed, revoke what came of it if it was.

    The issuer is told first, then what lies at the relay is deleted. A line has what came of it at each, with
    a tab between. If one of them did not answer, do it again.

    \b
    Example:
      safeconduct wallet revoke 5e0c
    """
    from safeconduct.cli import output
    from safeconduct.errors import Rejected

    async def work(wallet: "Wallet") -> "Ended":
        return await wallet.revoke_share(share)

    ended = common.with_wallet(config, work)
    if not ended.complete:
        raise Rejected(
            "share_not_ended",
            f"Not everything is taken back yet (issuer: {ended.issuer}, relay: {ended.relay}); do it again.",
        )
    if as_json:
        common.write_json({"issuer": ended.issuer, "relay": ended.relay})
    else:
        output.write_columns(ended.issuer, ended.relay)


def link(
    share: Share,
    relay: Relay = None,
    qr: Qr = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print the link of a share again, or go on with a share that was interrupted.

    With --relay, the share is left at that relay under another link, and the old one is good for nothing.

    \b
    Example:
      safeconduct wallet link 5e0c
    """

    async def work(wallet: "Wallet") -> "Shared":
        if relay is not None:
            return await wallet.share_elsewhere(share, relay=relay)
        return await wallet.resume_share(share)

    shared = common.with_wallet(config, work)
    if as_json:
        common.write_json(common.as_json(shared))
    else:
        write_shared(shared, None, qr=qr)


# What is wanted.


def _wish(
    level: str | None,
    mode: str,
    rights: list[str] | None,
    disclose: list[str] | None,
    expires: str | None,
    lifetime: str | None,
    to: str | None,
    file: str | None,
    relay: str | None,
    *,
    draft: bool,
) -> "Wish":
    from safeconduct.cli import operating, periods
    from safeconduct.wallet.sharing.sending import Wish

    _check(level, mode, to, file, relay)
    wanted: dict[str, Any] = {
        "level": level,
        "mode": mode,
        "entitlements": tuple(rights) if rights else None,
        "disclose": tuple(disclose) if disclose else None,
        "expires": None if expires is None else periods.moment("--expires", expires, now=operating.clock()),
        "lifetime": None if lifetime is None else periods.seconds("--lifetime", lifetime),
        "relay": relay,
        "place": "relay" if file is None else "file",
        "payloads": "draft" if draft else "own",
    }
    return Wish(**wanted)


def _check(level: str | None, mode: str, to: str | None, file: str | None, relay: str | None) -> None:
    from safeconduct.cli.faults import WrongUse

    if level not in (None, *LEVELS):
        raise WrongUse(f"--level knows {', '.join(LEVELS)}")
    if mode not in MODES:
        raise WrongUse(f"--mode knows {', '.join(MODES)}")
    if to is not None and level not in (None, "key"):
        raise WrongUse("--to is for level key; say --level key, or nothing")
    if to is None and (level == "key" or file is not None):
        raise WrongUse("say for whom: --to CONTACT; `safeconduct wallet contact list` lists them")
    if file is not None and relay is not None:
        raise WrongUse("give either --file or --relay")


def _agreeing(wish: "Wish", to: str | None, *, yes: bool) -> "Wish":
    """On a terminal, the user is asked once more before anything leaves the wallet."""
    import msgspec

    if yes or not common.on_terminal():
        return wish
    return msgspec.structs.replace(wish, agree=lambda given: confirm(given, to))


def confirm(given: "Given", to: str | None) -> bool:
    """Ask the user once more whether to share what the record says. to: whom it is for."""
    from safeconduct.cli import output
    from safeconduct.cli.management import date

    output.note(f"Credential:   {given.credential}, {given.configuration} of {given.issuer}")
    output.note(f"For:          {to or 'whoever gets the link'}; level {given.level}")
    if given.entitlements is not None:
        output.note(f"Rights:       {', '.join(given.entitlements)}")
    if given.expires is not None:
        output.note(f"Until:        {date(given.expires)}")
    if given.mode == "move":
        output.note("Your own credential ends when the receiver has theirs.")
    return typer.confirm("Share it?", err=True)


# What came of it.


def write_shared(shared: "Shared", file: str | None, *, qr: bool) -> None:
    """Write the link alone to standard output: whatever takes that on must not get the PIN with it (A29)."""
    from safeconduct.cli import output
    from safeconduct.cli import qr as drawing
    from safeconduct.cli.management import date

    link = shared.link or ""
    _write_file(shared, file)
    if file in (None, "-"):
        output.write_text(link)
    if qr:
        drawing.show(link)
    if shared.tx_code is not None:
        output.note(f"PIN: {shared.tx_code}")
    output.note(_ADVICE[shared.level])
    until = "" if shared.expires is None else f" It is good until {date(shared.expires)}."
    output.note(f"Take it back with `{common.command()} revoke {shared.id}`.{until}")
    if shared.level == "approve":
        output.note(f"When they have opened it: `{common.command()} approve {shared.id}`.")


_ADVICE = {
    "link": "Whoever opens the link first gets the credential: send it only where nobody else reads.",
    "pin": "Send the link by one way, and tell the PIN by another, such as a call; never both by one way: "
    "whoever reads both can take the credential.",
    "key": "Only the contact can open it, so it may go by any way.",
    "approve": "Send the link, then compare six digits by voice before anything is released.",
    "authority": "Send the link by one way, and tell the PIN, if there is one, by another.",
}


def _write_file(shared: "Shared", file: str | None) -> None:
    from safeconduct.cli import files

    if file not in (None, "-"):
        files.write(str(file), f"{shared.link}\n".encode())
