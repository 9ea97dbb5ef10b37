#!/usr/bin/env bash
# Gets what building, testing or measuring netmon needs, and only what is missing.
#
# usage: scripts/setup.sh [build|test|browser|bench|containers|package|portability]...      default: build
#
# build        libpcap's header and a C compiler (for the zstd library)
# test         programs that the tests run beside netmon
# browser      Chromium and what drives it, for the tests of the page
# bench        programs that netmon is measured against
# containers   what builds and runs images without a registry, and validators of manifests
# package      cargo-deb, what builds libpcap from source, what packages are tried with
# portability  compilers for other systems, and wine; about 1.6 GB
#
# On Debian and Ubuntu packages come from apt; each is named with its reason before anything is installed, and sudo is
# used for that alone. Programs whose package would start a service (Prometheus, the flow probes) are unpacked below
# target/ in place of being installed. Elsewhere one sentence says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo_deb=3.8.0

say() { echo "setup: $*" >&2; }
die() {
    say "$*"
    exit 1
}

# What is missing. Packages of apt, and what is to be unpacked.
packages=()
unpacked=()
apt_lists_are_fresh=

need() { # PACKAGE REASON: unless it is installed
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" != installed ]; then
        packages+=("$1")
        say "$1 is missing: $2"
    fi
}

need_program() { # PROGRAM PACKAGE REASON: unless it is in the path
    command -v "$1" >/dev/null || need "$2" "$3"
}

need_unpacked() { # PROGRAM PACKAGE REASON: unless it is in the path or was unpacked before
    if ! command -v "$1" >/dev/null && ! compgen -G "$target/tools/usr/*bin/$1" >/dev/null; then
        [[ " ${unpacked[*]} " == *" $2 "* ]] || unpacked+=("$2")
        say "$1 is missing: $3"
    fi
}

check_cargo() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    command -v cargo >/dev/null || die "there is no cargo: install Rust $wanted or newer with rustup (https://rustup.rs)"
    found=$(cargo --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
        die "cargo is $found, netmon needs $wanted or newer: \`rustup update stable\` (https://rustup.rs)"
    fi
}

privileged() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root and there is no sudo; as root: apt-get install ${packages[*]}"
    fi
}

refresh_apt_lists() {
    [ -z "$apt_lists_are_fresh" ] || return 0
    privileged apt-get update -q
    apt_lists_are_fresh=yes
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    say "installing ${packages[*]}$([ "$(id -u)" -eq 0 ] || echo " with sudo")"
    refresh_apt_lists
    privileged env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
}

unpack_packages() {
    [ ${#unpacked[@]} -gt 0 ] || return 0
    say "unpacking ${unpacked[*]} below $target/tools"
    apt-cache show "${unpacked[@]}" >/dev/null 2>&1 || refresh_apt_lists
    mkdir -p "$target/tools"
    local scratch
    scratch=$(mktemp -d)
    [ "$(id -u)" -ne 0 ] || chown _apt "$scratch" # apt downloads as this user
    chmod 755 "$scratch"
    (cd "$scratch" && apt-get download -q "${unpacked[@]}")
    for package in "$scratch"/*.deb; do dpkg-deb -x "$package" "$target/tools"; done
    rm -rf "$scratch"
}

make_python_environment() {
    "$target/venv/bin/python" -c 'import duckdb, prometheus_client, rotel, schemathesis' 2>/dev/null && return
    say "the OpenMetrics parser of the Python client, schemathesis, DuckDB or rotel is missing: putting them into $target/venv"
    python3 -m venv "$target/venv"
    "$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        'prometheus-client==0.22.*' 'schemathesis==4.*' 'duckdb==1.*' \
        'rotel==0.0.1a15'
}

group_build() {
    need libpcap-dev "netmon links against libpcap"
    need_program cc gcc "the zstd library is written in C"
    need libc6-dev "the C compiler needs its headers"
}

group_test() {
    need_program ip iproute2 "tests build network namespaces"
    need_program ping iputils-ping "tests send echoes"
    need_program curl curl "tests fetch pages"
    need_program python3 python3 "tests serve and send with it"
    need python3-venv "the OpenMetrics parser, schemathesis, DuckDB and rotel live in an environment of their own"
    need_program setcap libcap2-bin "tests start netmon with a file capability"
    need_program strace strace "tests see which system calls netmon makes"
    need_program systemd-analyze systemd "tests rate the unit; nothing is started"
    need_program tmux tmux "tests look at \`netmon top\` in it"
    need_program iperf3 iperf3 "tests load the wire with it"
    need_program openssl openssl "tests make certificates with it"
    need_program tshark tshark "tests have it read what is exported"
    need_unpacked nfcapd nfdump "tests send it flows"
    need_unpacked prometheus prometheus "tests let it scrape netmon"
    need_unpacked prometheus-alertmanager prometheus-alertmanager "tests send it alerts"
    need_unpacked promtool prometheus "tests run the alert rules with it"
}

group_browser() {
    need_program chromium chromium "tests look at the page in it"
    need_program node nodejs "it drives the browser"
    command -v npm >/dev/null || need npm "it gets the driver of the browser"
    need fonts-dejavu-core "the page is looked at with letters"
}

get_browser_driver() {
    [ ! -d "$target/browser/node_modules/axe-core" ] || return 0
    say "the driver of the browser is missing: putting it into $target/browser"
    npm install --silent --no-audit --no-fund --prefix "$target/browser" playwright-core@1 axe-core@4
}

group_bench() {
    need_program tcpdump tcpdump "it is measured against"
    need_program ip iproute2 "the live part builds network namespaces"
    need_program curl curl "the live part asks netmon for its pages"
    need_program python3 python3 "the bench is written in it"
    need time "it takes the peak memory of what is measured"
    need_unpacked nfpcapd nfdump "it is measured against"
    need_unpacked softflowd softflowd "it is measured against"
}

group_containers() {
    need_program buildah buildah "it builds the image"
    need_program podman podman "tests run the image in it"
    need_program runc runc "it starts the containers"
    need_program debootstrap debootstrap "the Debian that the image begins with is made by it"
    need_program getcap libcap2-bin "tests see that the image holds no capability"
    need_program strip binutils "the program in the image has no symbols"
    need python3-venv "the validators of manifests live in an environment of their own"
}

get_validators() {
    "$target/venv/bin/python" -c 'import check_jsonschema, kubernetes_validate' 2>/dev/null && return
    say "the validators of Kubernetes or Compose are missing: putting them into $target/venv"
    [ -x "$target/venv/bin/python" ] || python3 -m venv "$target/venv"
    "$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        'kubernetes-validate==1.*' 'check-jsonschema==0.*'
}

group_package() {
    need dpkg-dev "cargo-deb asks it for dependencies, and it unpacks the source of libpcap"
    need_program flex flex "libpcap is built with it"
    need_program bison bison "libpcap is built with it"
    need_program make make "libpcap is built with it"
    need_program strip binutils "what is packaged carries no symbols"
    need_program debootstrap debootstrap "the package is installed in a root of its own"
    need_program mandoc mandoc "tests read the manual pages with it"
    need_program lintian lintian "tests look at the package with it"
}

# cargo-deb comes as source: the first time takes minutes.
get_cargo_deb() {
    PATH=$target/tools/cargo/bin:$PATH command -v cargo-deb >/dev/null && return
    say "cargo-deb is missing: building it into $target/tools/cargo"
    CARGO_TARGET_DIR=$target/tools/cargo/build cargo install --quiet --locked --version "$cargo_deb" --root "$target/tools/cargo" cargo-deb
    rm -rf "$target/tools/cargo/build"
}

has_targets_of_rustup() {
    local target
    for target in x86_64-pc-windows-gnu x86_64-apple-darwin aarch64-apple-darwin; do
        [ -d "$(rustc --print target-libdir --target "$target")" ] || return 1
    done
}

group_portability() {
    need_program x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64 "it compiles C and links for Windows"
    need_program wine wine "the Windows program runs in it"
    need wine64 "the Windows program has 64 bits"
    need_program curl curl "its pages are fetched"
    need_program zstd zstd "it reads what this compresses"
    has_targets_of_rustup && return
    for package in rustc-web cargo-web rust-web-src; do
        need "$package" "Rust's standard library for other systems is built from it (or: rustup target add)"
    done
}

elsewhere() {
    case $(uname -s) in
    Darwin) say "on macOS libpcap and a C compiler come with the Xcode command line tools (\`xcode-select --install\`); tests that need Linux are skipped" ;;
    *) say "no apt here: install the libpcap headers, a C compiler, and for the tests iproute2, ping, curl, iperf3, python3 with venv, prometheus and promtool" ;;
    esac
}

[ $# -gt 0 ] || set -- build
check_cargo
if ! command -v apt-get >/dev/null; then
    elsewhere
    exit 0
fi
tests=
browser=
containers=
cargo_tools=
for group in "$@"; do
    case $group in
    build | bench | portability) "group_$group" ;;
    browser)
        group_browser
        browser=yes
        ;;
    package)
        group_package
        cargo_tools=yes
        ;;
    test)
        group_test
        tests=yes
        ;;
    containers)
        group_containers
        containers=yes
        ;;
    *) die "no group '$group': build, test, browser, bench, containers, package or portability" ;;
    esac
done
install_packages
unpack_packages
[ -z "$tests" ] || make_python_environment
[ -z "$browser" ] || get_browser_driver
[ -z "$containers" ] || get_validators
[ -z "$cargo_tools" ] || get_cargo_deb
