#!/usr/bin/env bash
# Installs SoftHSM 2, a PKCS#11 token in software. Tests make their own token in a temporary directory.
set -euo pipefail
"$(dirname "$0")/debian.sh" softhsm2
echo "softhsm: $(softhsm2-util --version)"
