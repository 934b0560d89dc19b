#!/usr/bin/env bash
# Makes or refreshes .venv from the lock: with uv where it is installed, else with the standard venv and pip.
# PYTHON names the interpreter to use; every locked archive is checked against its hash either way.
set -euo pipefail
cd "$(dirname "$0")/.."

extras=(dev postgres pkcs11)
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH

is_recent() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if is_recent "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "environment: no Python 3.11 or later found (set PYTHON=/path/to/python3)" >&2
    return 1
}

install_with_uv() {
    echo "environment: installing the locked versions into .venv with uv"
    UV_PROJECT_ENVIRONMENT=.venv uv sync --quiet --frozen --no-python-downloads --python "$1" \
        "${extras[@]/#/--extra=}"
}

make_environment() {
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    if "$1" -c 'import ensurepip' 2>/dev/null; then
        "$1" -m venv .venv
    else
        "$1" -m venv --without-pip .venv
        .venv/bin/python scripts/bootstrap_pip.py
    fi
}

install_with_pip() {
    echo "environment: installing the locked versions into .venv with pip"
    make_environment "$1"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --editable .
}

python=$(find_python)
if command -v uv >/dev/null; then
    install_with_uv "$python"
else
    install_with_pip "$python"
fi
.venv/bin/python -c 'import safeconduct'
echo "environment: ready ($(.venv/bin/python --version))"
