#!/usr/bin/env bash
# Starts the built monitor with the privilege to capture. Arguments go to `netmon run`.
set -euo pipefail
cd "$(dirname "$0")/.."
netmon=${CARGO_TARGET_DIR:-target}/release/netmon

if [ "$(id -u)" -eq 0 ]; then
    exec "$netmon" run "$@"
elif command -v sudo >/dev/null; then
    echo "run: capturing needs privilege, so the monitor is started with sudo" >&2
    exec sudo "$netmon" run "$@"
fi
echo "run: capturing needs privilege and there is no sudo; as root: $netmon run" >&2
exit 1
