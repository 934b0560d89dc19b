"""A headless Chromium that a test steers over its DevTools pipe: what a page shows, runs and asks for.

Chromium is installed by scripts/chromium.sh.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

PATIENCE = 60.0
"""Seconds until a browser that says nothing is given up."""

SETTLING = 0.05
"""Seconds that a page gets after it has loaded; the tests show that hostile ones need no more."""


class Page(msgspec.Struct, frozen=True):
    """A page as the browser has it once it has loaded.

    title, text: of the document, as shown. elements: names of all elements. asked: the URLs of all requests
    that the page led to, its own first. dialogs: texts of alerts.
    """

    title: str
    text: str
    elements: tuple[str, ...]
    asked: tuple[str, ...]
    dialogs: tuple[str, ...]


class Browser:
    """The browser, as long as its `with` lasts."""

    def __init__(self, profile: Path) -> None:
        commands, self._commands = os.pipe()
        self._events, events = os.pipe()
        arguments = [
            *(browser(), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
            *("--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"),
        ]

        def to_its_places() -> None:  # Chromium reads commands from 3 and writes events to 4
            os.dup2(commands, 100)
            os.dup2(events, 101)
            os.dup2(100, 3)
            os.dup2(101, 4)

        self._process = subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=to_its_places,
            close_fds=False,
        )
        os.close(commands)
        os.close(events)
        self._heard = b""
        self._shown = ""
        self._number = 0
        self._happened: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self._ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._events)

    def open(self, url: str) -> Page:
        """Load a URL and look at what has become of it, a moment after everything was loaded."""
        again = url == self._shown
        self._shown = url
        self._happened.clear()
        # From a page to itself with a fragment, nothing would be loaded.
        self._ask("Page.reload") if again else self._ask("Page.navigate", url=url)
        self._until(lambda: self._named("Page.loadEventFired") != [])
        # What a page can start by itself it has started by then; its own timers would not do, because in a
        # sandbox they never fire.
        time.sleep(SETTLING)
        found = self._evaluate(
            "[document.title, document.body ? document.body.innerText : '',"
            " Array.from(document.querySelectorAll('*'), element => element.localName)]"
        )
        title, text, elements = found
        sent = [event["params"]["request"]["url"] for event in self._named("Network.requestWillBeSent")]
        dialogs = [event["params"]["message"] for event in self._named("Page.javascriptDialogOpening")]
        return Page(title, text, tuple(elements), tuple(sent), tuple(dialogs))

    def _evaluate(self, expression: str) -> Any:
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def _named(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._happened if event["method"] == method]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        command: dict[str, Any] = {"id": number, "method": method, "params": params}
        if hasattr(self, "_session"):
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        answers: list[dict[str, Any]] = []
        self._until(lambda: bool(answers), number, answers)
        [answer] = answers
        assert "error" not in answer, answer
        found = answer["result"]
        assert isinstance(found, dict)
        return found

    def _until(
        self, true: Callable[[], bool], number: int = 0, answers: list[dict[str, Any]] | None = None
    ) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            ready, _, _ = select.select([self._events], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser says nothing"
            chunk = os.read(self._events, 1 << 16)
            assert chunk, "the browser has died"
            *messages, self._heard = (self._heard + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "method" in message:
                    self._take(message)
                elif message["id"] == number and answers is not None:
                    answers.append(message)

    def _take(self, event: dict[str, Any]) -> None:
        self._happened.append(event)
        if event["method"] == "Page.javascriptDialogOpening":
            self._number += 1
            command = {
                "id": self._number,
                "method": "Page.handleJavaScriptDialog",
                "params": {"accept": True},
                "sessionId": self._session,
            }
            os.write(self._commands, json.dumps(command).encode() + b"\0")


def browser() -> str:
    """Chromium's command; skips the test where there is none."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true, but no Chromium is installed (scripts/chromium.sh)", pytrace=False)
        pytest.skip("no Chromium is installed (scripts/chromium.sh)")
    return found


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in the folder."""
    with Browser(folder / "profile") as found:
        yield found
