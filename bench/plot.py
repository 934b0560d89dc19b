"""Lines over two logarithmic axes, drawn as SVG with nothing but text."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

import msgspec

WIDTH, HEIGHT = 900, 600
LEFT, RIGHT, TOP, BOTTOM = 70, 300, 50, 60
LABEL_HEIGHT = 16
COLOURS = (
    *("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d35400", "#16808a", "#7f6000", "#b03a7a"),
    *("#34495e", "#5d8a1a", "#a0522d", "#4b5bd6"),
)


class Line(msgspec.Struct, frozen=True):
    """A line with its name. points: (x, y), x ascending. dashed: for what nothing can go below."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Axis(msgspec.Struct, frozen=True):
    """A logarithmic axis. ticks: each with its text. title: what it shows, with the unit."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str

    def place(self, value: float) -> float:
        """Where a value stands, from 0 to 1."""
        return math.log(value / self.low) / math.log(self.high / self.low)


def draw(title: str, lines: Sequence[Line], *, across: Axis, up: Axis) -> str:
    """Returns the SVG. A line of one point is a mark."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, TOP - 22, title, size=16),
        *_grid(across, up),
    ]
    ends = [(_y(up, line.points[-1][1]), line) for line in lines]
    for (wanted, line), label in zip(ends, _apart([wanted for wanted, _ in ends]), strict=True):
        colour = COLOURS[lines.index(line) % len(COLOURS)]
        parts += _line(line, across, up, colour)
        x = _x(across, line.points[-1][0])
        parts.append(
            f'<path d="M{x + 5:.1f} {wanted:.1f}L{WIDTH - RIGHT + 22} {label:.1f}" stroke="{colour}" '
            'stroke-width="0.7" fill="none"/>'
        )
        parts.append(_text(WIDTH - RIGHT + 26, label + 4, line.name, fill=colour))
    return "\n".join((*parts, "</svg>\n"))


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def _text(x: float, y: float, text: str, *, size: int = 13, fill: str = "#222222", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"{more}>{escape(text)}</text>'


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = ' text-anchor="middle"'
    for value, text in across.ticks:
        x = _x(across, value)
        yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#e2e2e2"/>'
        yield _text(x, bottom + 20, text, more=middle)
    for value, text in up.ticks:
        y = _y(up, value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e2e2e2"/>'
        yield _text(LEFT - 8, y + 4, text, more=' text-anchor="end"')
    yield _text((LEFT + right) / 2, HEIGHT - 14, across.title, more=middle)
    turned = f'{middle} transform="rotate(-90 18 {(TOP + bottom) / 2:.0f})"'
    yield _text(18, (TOP + bottom) / 2, up.title, more=turned)


def _line(line: Line, across: Axis, up: Axis, colour: str) -> Iterator[str]:
    places = [(_x(across, x), _y(up, y)) for x, y in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    yield f'<path d="M{path}" stroke="{colour}" stroke-width="2" fill="none"{dashes}/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _apart(wanted: Sequence[float]) -> list[float]:
    """Moves labels as little as needed, so that none covers another."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [max(y, TOP + 6) for y in wanted]
    for before, here in pairwise(order):
        placed[here] = max(placed[here], placed[before] + LABEL_HEIGHT)
    over = max(0.0, placed[order[-1]] - (HEIGHT - BOTTOM + 6))
    for here, after in zip(reversed(order), (None, *reversed(order)), strict=False):
        bound = placed[here] - over if after is None else placed[after] - LABEL_HEIGHT
        placed[here] = min(placed[here], bound)
    return placed
