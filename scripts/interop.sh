#!/usr/bin/env bash
# Installs the foreign implementations that tests/interop runs against, each beside its test: a directory with a
# package-lock.json gets node_modules from npm, one with a requirements.txt a .venv of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

environment_with_pip() {
    echo "interop: $1: pip install"
    [ -x "$1/.venv/bin/pip" ] || .venv/bin/python -m venv "$1/.venv"
    "$1/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$1/requirements.txt"
}

modules_with_npm() {
    if ! command -v npm >/dev/null; then
        scripts/debian.sh nodejs npm
    fi
    echo "interop: $1: npm ci"
    (cd "$1" && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund)
}

shopt -s nullglob
for file in tests/interop/*/requirements.txt; do environment_with_pip "$(dirname "$file")"; done
for file in tests/interop/*/package-lock.json; do modules_with_npm "$(dirname "$file")"; done
