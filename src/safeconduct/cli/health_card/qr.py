"""`safeconduct health-card qr`."""

from typing import Annotated

import typer

from safeconduct.cli.health_card.cards import CardFiles
from safeconduct.cli.health_card.options import Level, LevelName, Scale
from safeconduct.cli.options import AsJson

Number = Annotated[
    int | None, typer.Option("--number", metavar="N", min=1, help="Which card, if there are several.")
]
Picture = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="FILE", help="Draw the code in this file, ending in .svg or .png."),
]


def qr(
    files: CardFiles = None,
    *,
    number: Number = None,
    out: Picture = None,
    level: Level = LevelName.L,
    scale: Scale = 4,
    as_json: AsJson = False,
) -> None:
    """Draw the QR code of a card, or print the text that the code holds; the card is not verified.

    A card that is too long for one code of version 22 is not drawn: issue it with --qr-minimise, or hand it
    out as a file.

    \b
    Example:
      safeconduct health-card qr card.smart-health-card --out card.svg
    """
    from safeconduct.cli import files as places
    from safeconduct.cli import output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.health_card import cards
    from safeconduct.formats.health_card import drawing, parse
    from safeconduct.formats.health_card.qr import write

    form = None if out is None else cards.form_of(out)
    if out is not None and form is None:
        raise WrongUse("--out wants a file whose name ends in .svg or .png")
    card = cards.chosen(cards.unwrap(cards.read(files), examine=False).cards, number)
    parse(card)
    if out is not None and form is not None:
        places.write(out, drawing.draw(card, form=form, level=level.value, scale=scale))
    if as_json:
        output.write_json({"text": write(card), **({} if out is None else {"out": out})})
    elif out is None:
        output.write_text(write(card))
