#!/usr/bin/env bash
# Whether netmon is one program on other systems too, found out on a Linux machine.
#
# usage: scripts/portability.sh [windows|macos|windows-tests]...      default: windows macos
#
# windows        builds netmon.exe with mingw and runs it under wine: every capture of fixtures/ must give the bytes that
#                the native program gives, pages must be served, the loopback captured, and Ctrl-C must end it
# windows-tests  the unit tests under wine, all but those that compile filters
# macos          type-checks the program for both processors; nothing is linked, and no C is compiled
#
# The standard library of a target comes from rustup where it is installed (`rustup target add`), else it is built from the
# sources that Debian's rust-web-src has, with Debian's compiler. Wine is not Windows: what runs there is likely to run.
# The second time only what changed is built, below target/portability. NETMON names another native program.
set -euo pipefail
cd "$(dirname "$0")/.."
native_target=${CARGO_TARGET_DIR:-$PWD/target}
work=$native_target/portability
windows=x86_64-pc-windows-gnu
exe=$work/$windows/debug/netmon.exe
export CARGO_TARGET_DIR=$work CARGO_PROFILE_DEV_DEBUG=0
export WINEPREFIX=$work/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe=d'
unset DISPLAY RUSTC
scratch=$(mktemp -d)
started=()

say() { echo "portability: $*" >&2; }
die() {
    say "$*"
    exit 1
}

finish() {
    for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    if command -v wineserver >/dev/null; then wineserver -k || true; fi
    rm -rf "$scratch"
}
trap finish EXIT

cross() { # TARGET COMMAND ARGUMENT...: cargo with a standard library for the target
    local target=$1 command=$2
    shift 2
    if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
        nice -n 15 cargo "$command" --locked --target "$target" "$@"
    elif [ -d /usr/lib/rustlib/src/rust/library ] && [ -x /usr/bin/cargo ]; then
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            nice -n 15 /usr/bin/cargo "$command" --locked -Zbuild-std --target "$target" "$@"
    else
        die "there is no standard library for $target: \`rustup target add $target\`, or on Debian scripts/setup.sh portability"
    fi
}

# cargo for Windows: the import library stands in for the Npcap SDK, whose libpcap the build script cannot ask.
cross_windows() { # COMMAND ARGUMENT...
    command -v x86_64-w64-mingw32-gcc >/dev/null || die "there is no mingw: scripts/setup.sh portability"
    mkdir -p "$work/lib"
    x86_64-w64-mingw32-dlltool --input-def packaging/windows/wpcap.def --output-lib "$work/lib/libwpcap.a"
    LIBPCAP_VER=1.0.0 LIBPCAP_LIBDIR=$work/lib cross "$windows" "$@"
}

has_wine() {
    command -v wine >/dev/null || return 1
    [ -d "$WINEPREFIX" ] || wine wineboot --init >"$scratch/wineboot" 2>&1 || die "$(cat "$scratch/wineboot")"
}

stand_in_for_bcryptprimitives() { # DIRECTORY of the program
    x86_64-w64-mingw32-gcc -shared -O1 -o "$1/bcryptprimitives.dll" packaging/windows/bcryptprimitives.c -ladvapi32
}

same_bytes() { # WHAT NATIVE WINDOWS
    cmp --silent "$2" "$3" && return 0
    diff "$2" "$3" | head -n 20 >&2 || true
    die "$1: the results differ"
}

# Result, exit code and what is said to people, for every capture that there is, damaged ones included.
compare_captures() {
    local count=0 files capture
    files=(fixtures/*.pcap fixtures/*.pcapng fixtures/bad/*)
    for capture in "${files[@]}"; do
        replay "$native" "$scratch/native" "$capture" --format json
        while_wine_fails replay_wine "$scratch/windows" "$capture" --format json
        same_bytes "$capture" "$scratch/native" "$scratch/windows"
        count=$((count + 1))
    done
    say "windows: $count captures give the same bytes as here"
}

replay() { # PROGRAM INTO ARGUMENT...: result, messages and exit code in one file
    local program=$1 into=$2 code=0
    shift 2
    "$program" replay "$@" >"$into" 2>"$scratch/messages" || code=$?
    # A thread that is alive when its process ends may have wine complain, in a line of its own.
    { sed '/^wine client error:/d' "$scratch/messages"; echo "exit code $code"; } >>"$into"
}

replay_wine() { replay wine_netmon "$@"; }
wine_netmon() { wine "$exe" "$@"; }
piped_wine() { $1 fixtures/http.pcap | replay_wine "$scratch/windows" - --format json; }

# On a busy machine wine 8 now and then loses its own server, whatever the program does (1 in 200 starts, --version too).
# It says so; such a run is made again, three in all. What the last one gave is compared as it is.
while_wine_fails() { # COMMAND ARGUMENT...
    local attempt
    for attempt in 1 2 3; do
        "$@" || true # the comparison shows what is missing
        grep -q '^wine client error:' "$scratch/messages" || return 0
        say "windows: wine failed in attempt $attempt: $(grep -m 1 '^wine client error:' "$scratch/messages")"
    done
}

# Pipes are no files on Windows; zstd is its C library, built with mingw.
compare_standard_input() {
    local through
    for through in cat "gzip -c" "zstd -q -c"; do
        command -v "${through%% *}" >/dev/null || continue
        $through fixtures/http.pcap | replay "$native" "$scratch/native" - --format json
        while_wine_fails piped_wine "$through"
        same_bytes "standard input through $through" "$scratch/native" "$scratch/windows"
    done
    say "windows: standard input reads plain and compressed"
}

# Starts it under wine; $! is of the program itself, $url of its page.
start_serving() { # WHAT ARGUMENT...
    wine "$exe" "$@" --bind 127.0.0.1:0 >/dev/null 2>"$scratch/messages" &
    started+=($!)
    for _ in $(seq 100); do
        url=$(sed -n 's,.* at \(http://[^ ]*/\).*,\1,p' "$scratch/messages" | tr -d '\r')
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    cat "$scratch/messages" >&2
    die "netmon.exe $1 does not serve"
}

stop_with_interrupt() {
    local pid=${started[-1]} code=0
    kill -INT "$pid" # wine makes it a Ctrl-C
    timeout 20 tail --pid="$pid" -f /dev/null || die "netmon.exe goes on after Ctrl-C"
    wait "$pid" || code=$?
    unset 'started[-1]'
    [ "$code" -eq 0 ] || die "netmon.exe ends with code $code after Ctrl-C"
}

serve_replay() {
    start_serving replay fixtures/http.pcap --serve
    curl --silent --show-error --fail --output "$scratch/page" "$url"
    curl --silent --show-error --fail --output "$scratch/metrics" "${url}metrics"
    grep -q '^netmon_build_info' "$scratch/metrics" || die "/metrics lacks netmon_build_info"
    stop_with_interrupt
    say "windows: / and /metrics are served, Ctrl-C ends it"
}

# In a network of its own, where nothing else is on the loopback; it is the only interface there.
capture_loopback() {
    if ! unshare --map-root-user --net true 2>/dev/null; then
        say "windows: live capture was not tried: this user gets no network namespace"
        return 0
    fi
    wineserver -k || true
    CARGO_TARGET_DIR=$native_target unshare --map-root-user --net "$PWD/scripts/portability.sh" loopback
}

group_loopback() {
    ip link set lo up
    start_serving run
    for _ in $(seq 50); do
        curl --silent --show-error --fail --output "$scratch/metrics" "${url}metrics"
        if grep -q '^netmon_capture_packets_total{.*} [1-9]' "$scratch/metrics"; then
            stop_with_interrupt
            say "windows: a live interface is captured, Ctrl-C ends it"
            return 0
        fi
        sleep 0.2
    done
    die "netmon.exe captures nothing on the loopback"
}

run_windows() {
    has_wine || {
        say "windows: not run, there is no wine (scripts/setup.sh portability)"
        return 0
    }
    stand_in_for_bcryptprimitives "$(dirname "$exe")"
    if [ -n "${NETMON:-}" ]; then
        native=$NETMON
    else
        CARGO_TARGET_DIR=$native_target nice -n 15 cargo build --locked --bin netmon
        native=$native_target/debug/netmon
    fi
    compare_captures
    compare_standard_input
    serve_replay
    capture_loopback
}

group_windows() {
    cross_windows build --bin netmon
    say "windows: netmon.exe is built, $(($(stat -c %s "$exe") >> 20)) MiB without optimisation"
    run_windows
}

group_windows_tests() {
    has_wine || die "there is no wine: scripts/setup.sh portability"
    mkdir -p "$work/$windows/debug/deps"
    stand_in_for_bcryptprimitives "$work/$windows/debug/deps"
    # Wine 8 does not implement pcap_open_dead, by which filters are compiled: a call ends the process. Without
    # optimisation a few cases of each property are enough.
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine PROPTEST_CASES=${PROPTEST_CASES:-4} cross_windows test --lib -- \
        --skip filter --skip bpf --skip unknown_linktype
}

# A compiler of C for a check, which links nothing: it writes the file that is asked for, empty. Apple's own C compiler and
# headers come with macOS only.
make_c_stub() {
    mkdir -p "$work/stub"
    cat >"$work/stub/cc" <<'STUB'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != -o ] || : >"$2"
    shift
done
STUB
    chmod +x "$work/stub/cc"
}

group_macos() {
    local target
    make_c_stub
    for target in x86_64-apple-darwin aarch64-apple-darwin; do
        (
            export "CC_${target//-/_}=$work/stub/cc" "AR_${target//-/_}=true" LIBPCAP_VER=1.10.1
            cross "$target" check --lib --bins
        )
        say "macos: no errors for $target"
    done
}

[ $# -gt 0 ] || set -- windows macos
for group in "$@"; do
    case $group in
    windows | macos | loopback) "group_$group" ;; # the last one is called within its network
    windows-tests) group_windows_tests ;;
    *) die "no group '$group': windows, windows-tests or macos" ;;
    esac
done
