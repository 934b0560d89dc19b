#!/usr/bin/env bash
# Installs Debian's nginx, the reverse proxy of the deployment tests, which start it themselves on a free port.
set -euo pipefail
PATH="$PATH:/usr/sbin"
if ! command -v nginx >/dev/null; then
    "$(dirname "$0")/debian.sh" nginx-light
    # Debian starts what it installs; nobody asked for a server on port 80.
    service nginx stop >/dev/null 2>&1 || true
fi
echo "nginx: $(nginx -v 2>&1)"
