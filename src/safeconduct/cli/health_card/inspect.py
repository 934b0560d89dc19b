"""`safeconduct health-card inspect`."""

from typing import Annotated

import typer

from safeconduct.cli.options import AsJson, Now, moment

InspectedFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE...|-",
        help="A card in any form that `safeconduct health-card verify` takes, the payload of a card, or a "
        "FHIR bundle; - for standard input.",
    ),
]


def inspect(files: InspectedFiles = None, *, now: Now = None, as_json: AsJson = False) -> None:
    """Show what is in a card, or in what is to become one, and what is to be said of it; verify nothing.

    Findings are of three kinds. error: a rule for every card is broken. warning: a rule for cards in QR
    codes, or advice, is not kept. note: good to know. Exit status 0 whatever is found.

    \b
    Example:
      safeconduct health-card inspect card.png
      safeconduct health-card inspect bundle.json --json
    """
    from safeconduct.cli import output, tree
    from safeconduct.cli.health_card import cards
    from safeconduct.formats.health_card import inspection

    data = cards.read(files)
    if cards.is_answer(data):
        seen = inspection.describe(cards.unwrap(data), size=len(data[0]), now=moment(now))
    else:
        seen = inspection.inspect(*data, now=moment(now))
    if as_json:
        output.write_json(tree.to_json(seen))
    else:
        tree.write(seen)
