#!/usr/bin/env bash
# Resolves pyproject.toml into uv.lock, and writes from it the hash-pinned list that pip installs from.
# Always resolves against PyPI itself, so that no local mirror ends up in the lock.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH="$PATH:$PWD/.venv/bin"
export UV_DEFAULT_INDEX=https://pypi.org/simple
unset UV_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS

uv lock --no-config "$@"
uv export --quiet --no-config --frozen --no-emit-project --no-annotate --no-header \
    --extra dev --extra postgres --extra pkcs11 --output-file requirements.lock >/dev/null
echo "lock: $(grep -c '^name = ' uv.lock) packages in uv.lock, $(grep -c '==' requirements.lock) in requirements.lock"
