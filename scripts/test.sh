#!/usr/bin/env bash
# Runs every test. Those on a wire of their own need network namespaces: with root they run with the others, else through
# sudo where it asks for no password or a terminal is there to ask at. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Captures of others with known counts, if there are any beside the project.
if [ -z "${PCAP_TRUTH_DIR:-}" ] && [ -d ../shared/pcaps/truth ]; then
    PCAP_TRUTH_DIR=$(cd ../shared/pcaps && pwd)
    export PCAP_TRUTH_DIR
fi

cargo test --locked "$@"
[ "$(uname -s)" = Linux ] && [ "$(id -u)" -ne 0 ] || exit 0

if ! command -v sudo >/dev/null || { ! sudo -n true 2>/dev/null && [ ! -t 0 ]; }; then
    echo "test: the tests that need root for network namespaces were skipped: live capture, life cycle, service" >&2
    exit 0
fi
for name in alert_rules alerts_arrive alerts_live api containers dashboards history_live http_load interfaces lifecycle live notify packaging page \
    privilege raw_capture receivers top truth_live; do
    binary=$(cargo test --locked --test "$name" --no-run --message-format json "$@" |
        sed -n "s/.*\"name\":\"$name\".*\"executable\":\"\([^\"]*\)\".*/\1/p")
    echo "test: running the tests of $name with sudo, for network namespaces" >&2
    sudo --preserve-env=SCRAPE_SECONDS,LIFECYCLE_ROUNDS,ALERT_KILLS,NOTIFY_ALERTS,NOTIFY_KILLS,TEST_REQUIRE_ALL "$binary"
done
