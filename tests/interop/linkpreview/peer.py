"""linkpreview behind one loop: a JSON object a line asks, a JSON object a line answers."""

import json
import sys
from typing import Any

from linkpreview import link_preview


def preview(url: str) -> dict[str, Any]:
    """What the library shows of a link."""
    found = link_preview(url)
    return {"title": found.title, "description": found.description, "image": found.absolute_image}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """There is one operation."""
    assert request.pop("operation") == "preview"
    try:
        return {"value": preview(**request)}
    except Exception as error:  # noqa: BLE001 - whatever this library raises is a refusal
        return {"refused": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
