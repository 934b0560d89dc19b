"""Every Python block of the documents runs: those of one page one after the other, in one namespace."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    page for page in (ROOT / "docs").rglob("*.md") if BLOCK.search(page.read_text(encoding="utf-8"))
)


def test_there_are_pages_with_python() -> None:
    assert {page.name for page in PAGES} >= {
        "issue-an-sd-cwt-in-python.md",
        "use-the-early-draft.md",
        "verify-offline.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(2))
        exec(compile("\n" * line + block[2], page, "exec"), names)  # noqa: S102  our own pages


def test_every_leniency_is_explained() -> None:
    from safeconduct.formats.sd_cwt import LENIENCIES

    page = (ROOT / "docs/how-to/verify-offline.md").read_text(encoding="utf-8")
    for name, meaning in LENIENCIES.items():
        assert f"| `{name}` | {meaning} |" in page


def test_every_field_of_a_policy_is_explained() -> None:
    from safeconduct import Policy

    page = (ROOT / "docs/how-to/verify-offline.md").read_text(encoding="utf-8")
    for name in Policy.__struct_fields__:
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE), name
