"""python -m bench.publish: measure all that concerns health cards and status; put it into docs/benchmarks.md.

Draws docs/bytes-per-revoked.svg too. What stands between the two marks in the document is replaced.
"""

import datetime
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bench import compact, crl_history, health_card, plot, status_sizes
from bench.plot import Axis, Line
from bench.status_sizes import CRLITE, SHARES

DOCUMENT = Path("docs/benchmarks.md")
PICTURE = Path("docs/bytes-per-revoked.svg")
BEGIN, END = "<!-- begin: python -m bench.publish -->", "<!-- end: python -m bench.publish -->"
RUNS = 5
"""Runs of each ratio; the table has the lowest and the highest."""


class Shown(msgspec.Struct, frozen=True):
    """A row of the table: what it is, which member of the figure, what is wanted."""

    what: str
    member: str
    wanted: str = ""
    digits: int = 2


class Measured(msgspec.Struct, frozen=True):
    """A figure, how often it is measured, and its rows."""

    name: str
    measure: Callable[[], Mapping[str, Any]]
    runs: int
    rows: Sequence[Shown]


FIGURES = (
    Measured(
        "health_card.verify",
        health_card.verify,
        RUNS,
        (
            Shown(
                "verdict from QR digits, 10^6 rids loaded, to one bare verification", "ratio", "at most 1.54"
            ),
            Shown("the rate as a share of the bare one's", "share_of_rate", "at least 0.65"),
            Shown("µs for a verdict", "work_us", digits=0),
            Shown("µs for a bare verification", "floor_us", digits=0),
        ),
    ),
    Measured(
        "health_card.verify_jws", health_card.verify_jws, RUNS, (Shown("the same from the JWS", "ratio"),)
    ),
    Measured(
        "peer.kill_the_clipboard",
        health_card.peer,
        RUNS,
        (
            Shown(
                "our rate to that of npm kill-the-clipboard 1.1.0, same list",
                "ratio",
                "at least 8",
            ),
            Shown("its µs for a card", "peer_us", digits=0),
        ),
    ),
    Measured(
        "compact.pack",
        compact.pack_of_a_million,
        1,
        (
            Shown("bytes a rid on disk, 10^6 rids without times", "ratio", "at most 4.3"),
            Shown("MB more resident memory", "resident_mb", "at most 15", 1),
            Shown("ms until ready", "ready_ms", "under 50", 1),
            Shown("µs for a look-up", "look_up_us", "under 15", 1),
        ),
    ),
    Measured(
        "compact.ribbon",
        compact.ribbon_of_a_million,
        1,
        (
            Shown("bytes per revoked, 1 % of 10^6 issued", "ratio", "at most 1.15", 3),
            Shown("wrong answers on the 10^6", "errors", "none", 0),
            Shown("seconds to build", "build_s", "", 1),
            Shown("µs for a look-up", "look_up_us", "", 1),
            Shown("µs for a look-up of what is revoked", "look_up_revoked_us", "", 1),
        ),
    ),
    Measured(
        "status.update_traffic",
        crl_history.traffic,
        1,
        (
            Shown("bytes of deltas to those of full lists, 567 real events", "ratio", "at most 0.03", 4),
            Shown("the same where lists are fetched only if changed", "delta_of_changed", "", 4),
            Shown("bytes of logs by Range to those of full lists", "log_share", "", 4),
        ),
    ),
)

DRAWN = (
    *("CRL, JSON (what the peers read)", "CRL, JSON, gzip -9", "log of 16-byte records"),
    *("pack, false hits 2^-32", "pack, false hits 2^-16", "Token Status List, JWT"),
    *("Token Status List, CWT", "the same list by @sd-jwt/jwt-status-list", "ribbon"),
)


def main() -> int:
    """Measures, prints and writes."""
    if not DOCUMENT.exists():
        print("run this in the root of the repository", file=sys.stderr)
        return 2
    ratios = [row for figure in FIGURES for row in _rows(figure)]
    sizes = dict(status_sizes.measure())
    lines = (
        BEGIN,
        "",
        _when(),
        "",
        *_table(("figure", "", "measured", "wanted"), ratios),
        "",
        *_sizes(sizes),
    )
    made = "\n".join((*lines, "", END))
    text = DOCUMENT.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    DOCUMENT.write_text(pattern.sub(lambda _: made, text), encoding="utf-8")
    PICTURE.write_text(_picture(sizes), encoding="utf-8")
    print(made)
    return 0


def _when() -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    load = os.getloadavg()[2]
    python, library = platform.python_version(), version("cryptography")
    return (
        f"Measured on {today} with Python {python}, cryptography {library} "
        f"on {os.cpu_count()} cores whose load average was {load:.1f}; lowest and highest of {RUNS} runs."
    )


def _rows(figure: Measured) -> Iterator[tuple[str, ...]]:
    print(f"measuring {figure.name}", file=sys.stderr)
    runs = [figure.measure() for _ in range(figure.runs)]
    if "absent" in runs[0]:
        yield f"`{figure.name}`", "", f"not measured: {runs[0]['absent']}", ""
        return
    for row in figure.rows:
        values = [run[row.member] for run in runs]
        low, high = (f"{value:.{row.digits}f}" for value in (min(values), max(values)))
        yield f"`{figure.name}`", row.what, low if low == high else f"{low} – {high}", row.wanted


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _sizes(sizes: Mapping[str, list[float | None]]) -> Iterator[str]:
    yield "![Bytes per revoked entry](bytes-per-revoked.svg)"
    yield ""
    yield "Bytes per revoked entry, 10^6 cards issued, by the share that is revoked:"
    yield ""
    head = ("", *(f"{share * 100:g}%" for share in SHARES))
    rows = [(name, *("–" if size is None else f"{size:.2f}" for size in row)) for name, row in sizes.items()]
    yield from _table(head, rows)


def _picture(sizes: Mapping[str, list[float | None]]) -> str:
    lines = [Line(name, _points(sizes[name])) for name in DRAWN if any(sizes[name])]
    lines.append(Line("CRLite, as published", [CRLITE]))
    lines.append(Line("entropy bound", _points(sizes["entropy bound"]), dashed=True))
    across = Axis(
        SHARES[0],
        SHARES[-1],
        [(share, f"{share * 100:g}%") for share in SHARES],
        "share of the issued that is revoked",
    )
    up = Axis(0.4, 32, [(2.0**n, f"{2.0**n:g}") for n in range(-1, 6)], "bytes per revoked entry")
    return plot.draw("Bytes per revoked entry, 1,000,000 issued", lines, across=across, up=up)


def _points(sizes: list[float | None]) -> list[tuple[float, float]]:
    return [(share, size) for share, size in zip(SHARES, sizes, strict=True) if size is not None]


if __name__ == "__main__":
    sys.exit(main())
