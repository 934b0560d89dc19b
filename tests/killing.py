"""Work that is killed: in a process of its own, at a moment that a test chooses."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("fork")


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed when it touches a file or asks the host for that time."""

    def child() -> None:
        left = moment

        def counting(function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return function(*arguments, **options)

            return counted

        for owner, name in ((os, "open"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
            setattr(owner, name, counting(getattr(owner, name)))
        work()

    process = FORK.Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0
