"""Check that the documents point at things that exist.

Every relative link of every Markdown file has to lead to a file, and its fragment to a heading there. Every
path between backticks, such as `crypto/keys.py` or `tests/unit/test_x.py::test_name`, has to be a file that
defines that name. Paths may be written from the repository, from `src/safeconduct` or from `tests`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTS = (ROOT, ROOT / "src" / "safeconduct", ROOT / "tests")

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PLACE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:py|sh|md))((?:::\w+)*)`")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Print every fault as FILE: what is missing; return the exit status."""
    documents = sorted(path for path in ROOT.rglob("*.md") if is_ours(path.relative_to(ROOT)))
    faults = [f"{path.relative_to(ROOT)}: {fault}" for path in documents for fault in faults_of(path)]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    sys.stdout.write(f"docs: {len(documents)} documents, {len(faults)} faults\n")
    return 1 if faults else 0


def is_ours(document: Path) -> bool:
    """Tell a document of the project from one that an environment or a cache brought along."""
    return not any(part.startswith(".") or part == "node_modules" for part in document.parts)


def faults_of(document: Path) -> Iterator[str]:
    """Yield what is wrong with the links and the code places of one document."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if not re.match(r"[a-z]+:", target) and not link_leads_somewhere(document, target):
            yield f"link to {target}"
    for path, names in PLACE.findall(text):
        # A bare file name is prose ("limits.py holds them") unless it claims a definition.
        if ("/" in path or names) and not place_exists(document, path, names):
            yield f"code place {path}{names}"


def link_leads_somewhere(document: Path, target: str) -> bool:
    """Tell whether a relative link reaches a file, and its fragment a heading."""
    path, _, fragment = target.partition("#")
    file = (document.parent / path) if path else document
    if not file.exists():
        return False
    return not fragment or file.suffix != ".md" or fragment in anchors_of(file)


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that a Markdown renderer gives to the headings of a document."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', text)
    )


def place_exists(document: Path, path: str, names: str) -> bool:
    """Tell whether a file exists, seen from any start, and defines the last of the names."""
    files = [start / path for start in (*STARTS, document.parent) if (start / path).is_file()]
    name = names.rpartition("::")[2]
    return any(not name or defines(file, name) for file in files)


def defines(file: Path, name: str) -> bool:
    """Tell whether a Python file holds a function, class or constant of that name."""
    definition = rf"^\s*(?:async def|def|class) {name}\b|^\s*{name}\b *[:=]"
    return re.search(definition, file.read_text(encoding="utf-8"), re.MULTILINE) is not None


if __name__ == "__main__":
    sys.exit(main())
