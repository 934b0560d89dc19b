"""`safeconduct wallet contact`: cards that say for which keys a share is sealed, the own one and others'."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common

if TYPE_CHECKING:
    from safeconduct.protocols.transfer.contact import ContactCard
    from safeconduct.wallet.sharing.contacts import Contact, OwnCard
    from safeconduct.wallet.wallet import Wallet

app = typer.Typer(
    help="Exchange cards with those who shall share with you, or you with them.", no_args_is_help=True
)

Qr = Annotated[
    bool, typer.Option("--qr", help="Show it as a QR code too, on standard error, for a camera to read.")
]
Who = Annotated[
    str, typer.Argument(metavar="NAME|ID", help="As `wallet contact list` shows it; of ids, a beginning.")
]


@app.command()
def show(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Your name on the card, for its readers.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Make a new card, with keys that nobody knows.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="URI",
            help="Bind what comes for the card to this key in a PKCS#11 token (pkcs11:...).",
        ),
    ] = None,
    qr: Qr = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print your card, by which others seal a share for you: nobody else can open or redeem it.

    The same card is printed until a share has come for it; then there is a new one, so that what you get
    cannot be linked. Read the digits out to whoever takes the card, unless you hand it over yourself.

    \b
    Example:
      safeconduct wallet contact show --name Anna --qr
    """
    from safeconduct.cli import output
    from safeconduct.cli import qr as drawing

    async def work(wallet: "Wallet") -> "tuple[OwnCard, ContactCard]":
        return await wallet.own_card(name=name, new=new, key=key)

    own, card = common.with_wallet(config, work)
    if as_json:
        shown = {"card": own.text, "id": own.id, "name": own.name}
        output.write_json({**shown, "fingerprint": card.fingerprint, "jkt": card.jkt})
        return
    output.write_text(own.text)
    if qr:
        drawing.show(own.text)
    output.note(f"Digits to compare: {card.fingerprint}")


@app.command()
def add(
    card: Annotated[
        str, typer.Argument(metavar="CARD|-", help="The text of the card, sct:...; - for standard input.")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="How you call them; by default as the card says."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Keep somebody's card, to share with them alone.

    The card proves that its maker has the keys, not who that is: compare the digits with what its owner sees,
    unless you took it from their screen.

    \b
    Example:
      safeconduct wallet contact add - --name Anna < anna.card
    """
    from safeconduct.cli import output

    text = common.text_argument(card)

    async def work(wallet: "Wallet") -> "tuple[Contact, ContactCard]":
        return await wallet.add_contact(text, name=name)

    contact, read = common.with_wallet(config, work)
    if as_json:
        output.write_json(_described(contact, read))
        return
    output.write_columns(contact.id, contact.name)
    output.note(f"Digits to compare: {read.fingerprint}")
    output.note(f"Share with them so: `{common.command()} share ID --to {contact.id}`.")


@app.command("list")
def list_contacts(config: Config = None, as_json: AsJson = False) -> None:
    """List whose cards the wallet has. A line has id, name and the digits to compare, with tabs between.

    \b
    Example:
      safeconduct wallet contact list
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> "tuple[tuple[Contact, ContactCard], ...]":
        return await wallet.contacts()

    found = common.with_wallet(config, work)
    if as_json:
        output.write_json({"contacts": [_described(contact, card) for contact, card in found]})
        return
    for contact, card in found:
        output.write_columns(contact.id, contact.name, card.fingerprint)


@app.command()
def remove(who: Who, config: Config = None, as_json: AsJson = False) -> None:
    """Forget somebody's card. What was shared stays shared.

    \b
    Example:
      safeconduct wallet contact remove Anna
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> "Contact":
        return await wallet.remove_contact(who)

    contact = common.with_wallet(config, work)
    if as_json:
        output.write_json({"removed": contact.id})


def _described(contact: "Contact", card: "ContactCard") -> dict[str, Any]:
    return {
        "id": contact.id,
        "name": contact.name,
        "card": contact.text,
        "fingerprint": card.fingerprint,
        "jkt": card.jkt,
        "algorithm": card.algorithm,
        "issued_at": card.issued_at,
        "added": contact.added,
    }
