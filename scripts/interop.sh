#!/usr/bin/env bash
# Installs the foreign implementations that tests/interop runs against, each beside its test: a directory with a
# package-lock.json gets node_modules from npm, one with a requirements.txt a .venv of its own. What is there
# already, from the same list, is left alone. With directories as arguments, it does the same for them instead.
set -euo pipefail
cd "$(dirname "$0")/.."

is_current() {
    [ -e "$2" ] && cmp --silent "$1" "$2"
}

environment_with_pip() {
    is_current "$1/requirements.txt" "$1/.venv/.installed" && return
    echo "interop: $1: pip install"
    .venv/bin/python -m venv --clear --without-pip "$1/.venv"
    .venv/bin/python -m pip --python "$1/.venv/bin/python" install --quiet --disable-pip-version-check \
        --require-hashes --requirement "$1/requirements.txt"
    cp "$1/requirements.txt" "$1/.venv/.installed"
}

modules_with_npm() {
    is_current "$1/package-lock.json" "$1/node_modules/.installed" && return
    if ! command -v npm >/dev/null; then
        scripts/debian.sh nodejs npm
    fi
    echo "interop: $1: npm ci"
    (cd "$1" && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund)
    cp "$1/package-lock.json" "$1/node_modules/.installed"
}

for place in "${@:-tests/interop}"; do
    for directory in "$place" "$place"/*/; do
        directory=${directory%/}
        if [ -e "$directory/requirements.txt" ]; then environment_with_pip "$directory"; fi
        if [ -e "$directory/package-lock.json" ]; then modules_with_npm "$directory"; fi
    done
done
