#!/usr/bin/env bash
# Installs Debian's Chromium for the browser tests.
set -euo pipefail
"$(dirname "$0")/debian.sh" chromium
echo "chromium: $(chromium --version)"
