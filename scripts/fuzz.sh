#!/usr/bin/env bash
# Runs every fuzz target of tests/fuzz for some seconds; ends with the first crash.
#
# usage: scripts/fuzz.sh SECONDS [--install]      --install gets cargo-fuzz from the registry where it is missing
#
# Needs a nightly toolchain (for the address sanitizer). Where it is not there, a line says that fuzzing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
target=${CARGO_TARGET_DIR:-$PWD/target}
export PATH="$target/tools/bin:$PATH"

skip() {
    echo "fuzz: skipped: $*" >&2
    exit 0
}

cargo +nightly --version >/dev/null 2>&1 || skip "there is no nightly toolchain (\`rustup toolchain install nightly\`)"
if ! command -v cargo-fuzz >/dev/null; then
    [ "${2:-}" = --install ] || skip "there is no cargo-fuzz (\`cargo install cargo-fuzz\`)"
    cargo install --quiet --locked --root "$target/tools" cargo-fuzz ||
        skip "cargo-fuzz could not be installed"
fi
[ -f tests/fuzz/Cargo.toml ] || skip "there are no fuzz targets"
targets=$(cargo +nightly fuzz list --fuzz-dir tests/fuzz)
for name in $targets; do
    echo "fuzz: $name for $seconds s" >&2
    mkdir -p "tests/fuzz/corpus/$name"
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --codegen-units 16 "$name" -- -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1
done
