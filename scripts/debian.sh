#!/usr/bin/env bash
# Usage: debian.sh PACKAGE...    Installs the Debian packages that are not there yet. Needs root for that.
set -euo pipefail

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "$@"; do
    is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "debian: already installed: $*"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "debian: run as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "debian: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
