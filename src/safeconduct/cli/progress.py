"""How far long work has come, on standard error, for a person who looks at a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
"""Tells of so many further things done."""


@contextmanager
def shown(what: str, total: int, *, quiet: bool) -> Iterator[Advance]:
    """Show a bar while the body runs; nothing where nobody looks.

    what: is being done. total: how many things there are to do. quiet: show nothing, as with --json.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show that the body waits for somebody; yield what ends that, for when there is something to read.

    what: it waits for. quiet: show nothing, as with --json.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    status = Console(stderr=True).status(f"{what}; Ctrl-C leaves it for later")
    status.start()
    try:
        yield status.stop
    finally:
        status.stop()
