#!/usr/bin/env bash
# Runs the long forms of the tests of capture truth on the release build, one after the other, and prints their figures.
# Takes about a quarter of an hour for both backends. Arguments go to the tests: `scripts/soak.sh losses` runs those alone.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(uname -s)" = Linux ] || { echo "soak: network namespaces are a thing of Linux" >&2 && exit 1; }
cargo build --locked --release --bin netmon --example sendframes
tests=$(cargo test --locked --release --test truth_live --no-run --message-format json |
    sed -n 's/.*"name":"truth_live".*"executable":"\([^"]*\)".*/\1/p')
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    echo "soak: running the tests with sudo, for network namespaces" >&2
    as_root=(sudo "--preserve-env=SOAK,TEST_REQUIRE_ALL")
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
export SOAK=1
status=0
"${as_root[@]}" "$tests" --nocapture --test-threads 1 "$@" 2>&1 | tee "$said" | grep --line-buffered -v '^netmon: monitoring' ||
    status=$?
echo
grep -E '^figure: |^test result: |^    [a-z_:]+$|^skipped: ' "$said" | sed 's/^figure: //' || true
exit "$status"
