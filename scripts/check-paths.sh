#!/usr/bin/env bash
# Fails if a file names a place that exists only on somebody's own machine: a home directory, a temporary
# directory, this clone's own path.
set -euo pipefail
cd "$(dirname "$0")/.."

absolute='(^|[^A-Za-z0-9._/-])/(home|Users|root|work|workspace|opt|mnt|tmp)/[A-Za-z0-9._-]'
here=$(pwd -P)
search=(git grep --no-index --exclude-standard --line-number -I)

# Exit status 1 of git grep means that it found nothing, which is what we want.
found=$({ "${search[@]}" -E "$absolute" -- . || true; "${search[@]}" -F "$here" -- . || true; } \
    | grep -v '^scripts/check-paths.sh:' || true)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo "check-paths: these lines name places of one machine" >&2
    exit 1
fi
echo "check-paths: no machine paths"
