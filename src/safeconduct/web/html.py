"""Pages for people: templates that escape by themselves, one style sheet, no script, and a strict policy."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import Response

_STYLE = "static/page.css"


def page(template: str, *, status: int = 200, form_actions: Sequence[str] = (), **values: Any) -> Response:
    """Returns a page.

    template: its file below `templates/`. form_actions: sources of the Content Security Policy that forms on
    the page may lead to besides this origin, also by redirects. values: for the template.
    """
    text = _environment().get_template(template).render(style=_style(), **values)
    return Response(
        text,
        status_code=status,
        media_type="text/html",
        headers={
            "Content-Security-Policy": _policy(form_actions),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
        },
    )


def redirect(url: str) -> Response:
    """Returns a redirect that is followed by GET, whatever the request was."""
    return Response(status_code=303, headers={"Location": url})


def _policy(form_actions: Sequence[str]) -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    targets = " ".join(["'self'", *form_actions])
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def _style() -> str:
    return resources.files("safeconduct.web").joinpath(_STYLE).read_text(encoding="utf-8").strip()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("safeconduct.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
