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


def page(
    template: str, *, status: int = 200, form_actions: Sequence[str] | None = (), **values: Any
) -> Response:
    """Returns a page.

    template: its file below `templates/`. form_actions: sources of the Content Security Policy that forms on
    the page may lead to besides this origin, also by redirects; None for a page that is only looked at, which
    is put in a sandbox. values: for the template.
    """
    text = _environment().get_template(template).render(style=_style(), **values)
    headers = {"Content-Security-Policy": _policy(form_actions), "Cache-Control": "no-store"}
    if (
        form_actions is not None
    ):  # browsers refuse what is sandboxed and wants a group of its own (HTML §7.3.3)
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return Response(text, status_code=status, media_type="text/html", headers=headers)


def redirect(url: str) -> Response:
    """Returns a redirect that is followed by GET, whatever the request was."""
    return Response(status_code=303, headers={"Location": url})


def _policy(form_actions: Sequence[str] | None) -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    targets = "'none'" if form_actions is None else " ".join(["'self'", *form_actions])
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action {targets}; "
        f"base-uri 'none'; frame-ancestors 'none'{'; sandbox' if form_actions is None else ''}"
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
