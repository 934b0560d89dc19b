"""A QR code in the terminal: two rows of modules in a line of text, light where the terminal is dark."""

from safeconduct.errors import Rejected

_BORDER = 2
"""Modules of quiet zone: half of what ISO/IEC 18004 wants; the terminal's own margin is the other half."""

_BLOCKS = {(False, False): "\u2588", (False, True): "\u2580", (True, False): "\u2584", (True, True): " "}
"""A line's character by its upper and its lower module: what is dark stays empty."""


def lines(text: str) -> list[str]:
    """Return the code of a text as lines of blocks. Raises Rejected: qr_too_long."""
    import segno
    from segno.encoder import DataOverflowError

    try:
        code = segno.make_qr(text, error="l", boost_error=True)
    except DataOverflowError:
        raise Rejected("qr_too_long", "The text is too long for a QR code; hand it on as text.") from None
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return [
        "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def show(text: str) -> None:
    """Draw a text on standard error, where a camera can see it. Raises Rejected: qr_too_long."""
    from safeconduct.cli import output

    for line in lines(text):
        output.note(line)
