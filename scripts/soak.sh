#!/usr/bin/env bash
# Runs the long forms of the tests of capture truth on the release build, one after the other, and prints their figures.
# Takes about a quarter of an hour for both backends. Arguments go to the tests: `scripts/soak.sh losses` runs those alone.
# Without arguments alerts follow: 10,000 through 1,000 kills of the outbox, and 1,000 kills of the daemon under traffic (about
# an hour); and the history: 10,000 kills, 100,000 crash images, 10,000 damaged files (about an hour). ALERT_KILLS, NOTIFY_ALERTS,
# NOTIFY_KILLS, HISTORY_KILLS, HISTORY_IMAGES and HISTORY_DAMAGED make it longer or shorter.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(uname -s)" = Linux ] || { echo "soak: network namespaces are a thing of Linux" >&2 && exit 1; }
cargo build --locked --release --bin netmon --example sendframes
test_program() {
    cargo test --locked --release --test "$1" --no-run --message-format json |
        sed -n "s/.*\"name\":\"$1\".*\"executable\":\"\([^\"]*\)\".*/\1/p"
}
tests=$(test_program truth_live)
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    echo "soak: running the tests with sudo, for network namespaces" >&2
    as_root=(sudo "--preserve-env=SOAK,ALERT_KILLS,OTLP_SECONDS,TEST_REQUIRE_ALL")
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
export SOAK=1
status=0
"${as_root[@]}" "$tests" --nocapture --test-threads 1 "$@" 2>&1 | tee "$said" | grep --line-buffered -v '^netmon: monitoring' ||
    status=$?
echo
grep -E '^figure: |^test result: |^    [a-z_:]+$|^skipped: ' "$said" | sed 's/^figure: //' || true
if [ $# -eq 0 ]; then
    export ALERT_KILLS="${ALERT_KILLS:-1000}" NOTIFY_ALERTS="${NOTIFY_ALERTS:-10000}" NOTIFY_KILLS="${NOTIFY_KILLS:-1000}"
    export HISTORY_KILLS="${HISTORY_KILLS:-10000}" HISTORY_IMAGES="${HISTORY_IMAGES:-100000}"
    export HISTORY_DAMAGED="${HISTORY_DAMAGED:-10000}"
    cargo test --locked --release --test notify -- --nocapture kill:: 2>&1 |
        grep -E '^(flaky|healthy): |^    [a-z_:]+$|^test result: ' || status=$?
    alerts=$(test_program alerts_arrive)
    "${as_root[@]}" "$alerts" --nocapture --test-threads 1 2>&1 |
        grep -E '^figure: |^skipped: |^    [a-z_:]+$|^test result: ' | sed 's/^figure: //' || status=$?
    cargo test --locked --release --lib --test history_store -- --nocapture kill:: crash:: damage:: 2>&1 |
        grep -E '^[0-9]+ (kills|crash images|damaged stores)|^test result: ' || status=$?
fi

# The long forms of load on the HTTP server, about twenty minutes.
if [ $# -eq 0 ]; then
    cargo build --locked --release --example genflows
    load=$(cargo test --locked --release --test http_load --no-run --message-format json |
        sed -n 's/.*"name":"http_load".*"executable":"\([^"]*\)".*/\1/p')
    "${as_root[@]}" "$load" --nocapture --test-threads 1 2>&1 |
        sed -n -E '/^(figure: |test result: |skipped: )/ { s/^figure: //; p }' || status=$?
fi

# Two minutes of traffic for the dashboards and the rules of Prometheus.
if [ $# -eq 0 ]; then
    dashboards=$(test_program dashboards)
    "${as_root[@]}" "$dashboards" --nocapture 2>&1 |
        sed -n -E '/^(figure: |test result: |skipped: )/ { s/^figure: //; p }' || status=$?
fi

# Collectors that hang or are not there, a minute each over both ways.
if [ $# -eq 0 ]; then
    export OTLP_SECONDS="${OTLP_SECONDS:-60}"
    otlp=$(test_program otlp)
    "${as_root[@]}" "$otlp" --nocapture --test-threads 1 troubles 2>&1 |
        sed -n -E '/^(figure: |test result: |skipped: )/ { s/^figure: //; p }' || status=$?
fi
exit "$status"
