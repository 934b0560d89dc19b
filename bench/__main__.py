"""python -m bench [--json FILE] [NAME...]: measure, print, and write {NAME: {"ratio", "better", ...}}."""

import argparse
import importlib
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

MODULES = (
    "bench.sd_cwt",
    "bench.sd_jwt",
    "bench.issuance",
    "bench.issuance_http",
    "bench.health_card",
    "bench.status_sizes",
    "bench.compact",
    "bench.crl_history",
    "bench.relay",
    "bench.imports",
    "bench.peers",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures to measure; all if none is named")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the results")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for module in MODULES:
        figures |= importlib.import_module(module).FIGURES
    if arguments.list:
        print("\n".join(figures))
        return 0
    unknown = [name for name in arguments.names if name not in figures]
    if unknown:
        print(f"there is no figure named {unknown[0]}; --list shows the names", file=sys.stderr)
        return 2
    versions = ", ".join(f"{name} {version(name)}" for name in ("cryptography", "cbor2"))
    print(f"Python {platform.python_version()}, {versions}")
    results = {}
    for name in arguments.names or figures:
        results[name] = figures[name]()
        more = {key: value for key, value in results[name].items() if key not in ("ratio", "better")}
        rest = ", ".join(f"{key} {value}" for key, value in more.items())
        print(f"{name:28} {results[name]['ratio']:8.2f}   {rest}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
