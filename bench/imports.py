"""What `import safeconduct` costs beyond a bare interpreter."""

import subprocess
import sys
import time
from typing import Any

_TURNS = 12


def import_safeconduct() -> dict[str, Any]:
    """Elapsed time of an interpreter with the import against one without; extra_ms under 100."""
    bare, importing = [], []
    for _ in range(_TURNS):
        bare.append(_elapsed("pass"))
        importing.append(_elapsed("import safeconduct"))
    best, floor = min(importing), min(bare)
    return {
        "ratio": round(best / floor, 3),
        "better": "lower",
        "extra_ms": round((best - floor) * 1e3, 1),
        "floor_ms": round(floor * 1e3, 1),
    }


def _elapsed(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


FIGURES = {"import_safeconduct": import_safeconduct}
