#!/usr/bin/env bash
# Adds the locked atheris, which guides the fuzzer by coverage, to .venv. Where there is no build of it for this
# machine, says so: `python -m fuzz` then runs without guidance.
set -euo pipefail
cd "$(dirname "$0")/.."

if .venv/bin/python -c 'import atheris' 2>/dev/null; then
    exit 0
fi
echo "fuzz: installing atheris"
if ! .venv/bin/uv export --quiet --no-config --frozen --no-emit-project --no-annotate --no-header --extra fuzz \
    | .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement /dev/stdin
then
    echo "fuzz: atheris does not install here; going on without guidance"
fi
