#!/usr/bin/env bash
# Builds the image from docker/Dockerfile and runs it, without a registry: tests/containers says what has to hold then.
#
# usage: scripts/containers.sh [image|ARGUMENT...]     image: only build it; arguments go to the tests
#
# The images that the Dockerfile starts from are made here, under their own tags and in a storage of the test's own below
# target/containers: Debian by debootstrap (once), and as the builder the same with a cargo that copies the program that is
# built already (NETMON, default: the release build, made first), since there is no other compiler in it. Every step of the
# Dockerfile runs as it is written. As root, with buildah, podman, runc and debootstrap (scripts/setup.sh containers).
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/containers
registry=docker.io/library

say() { echo "containers: $*" >&2; }
die() {
    say "$*"
    exit 1
}

argument() { sed -n "s/^ARG $1=//p" docker/Dockerfile | head -n 1; } # NAME: its default in the Dockerfile
store() { # PROGRAM ARGUMENT...: buildah or podman on the test's own storage
    local program=$1
    shift
    "$program" --root "$work/storage" --runroot "$work/run" "$@"
}
has_image() { store podman image exists "$1"; }

mirror() { # where this machine gets Debian's packages from
    local found
    # shellcheck disable=SC2016 # the dollar is apt's
    found=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/\?$' || true)
    echo "${found:-http://deb.debian.org/debian}"
}

make_debian() {
    local image=$registry/debian:$1 root=$work/root
    has_image "$image" && return
    say "making $image with debootstrap"
    rm -rf "$root"
    debootstrap --variant=minbase "${1%%-*}" "$root" "$(mirror)" >"$work/debootstrap.log" 2>&1 ||
        die "debootstrap failed: $(tail -n 3 "$work/debootstrap.log")"
    # As the published image: without documentation, and without the packages themselves.
    rm -rf "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | store podman import - "$image" >/dev/null 2>&1
    rm -rf "$root"
}

# A cargo that sees to it that the manifest and the files it names are there, and then gives what was built outside.
make_builder() { # DEBIAN_TAG RUST_TAG
    local stage=$work/builder
    rm -rf "$stage"
    mkdir -p "$stage"
    strip -o "$stage/netmon" "$netmon"
    cat >"$stage/cargo" <<'CARGO'
#!/bin/sh
set -eu
[ "$*" = "build --release --locked --bin netmon" ] || { echo "cargo: not expected: $*" >&2; exit 1; }
for file in Cargo.toml Cargo.lock src/lib.rs src/main.rs $(sed -n '/^\[\[bench\]\]$/,/^name/ s|^name = "\(.*\)"$|benches/\1.rs|p' Cargo.toml); do
    [ -f "$file" ] || { echo "cargo: there is no $file" >&2; exit 1; }
done
mkdir -p target/release
cp /opt/netmon target/release/netmon
CARGO
    chmod +x "$stage/cargo"
    printf 'FROM %s/debian:%s\nCOPY netmon /opt/netmon\nCOPY cargo /usr/local/bin/cargo\n' "$registry" "$1" >"$stage/Dockerfile"
    build -t "$registry/rust:$2" "$stage"
    rm -rf "$stage"
}

build() { store buildah bud --isolation chroot --pull-never --format docker --layers "$@" >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log" >&2
    die "the image cannot be built"
}; }

[ "$(id -u)" -eq 0 ] || die "building and running images needs root here"
for tool in buildah podman runc debootstrap; do
    command -v "$tool" >/dev/null || die "there is no $tool: scripts/setup.sh containers"
done
mkdir -p "$work"
if [ -n "${NETMON:-}" ]; then
    netmon=$NETMON
else
    cargo build --locked --release --bin netmon
    netmon=$target/release/netmon
fi
version=$(sed -n '/^\[package\]$/,/^version/ s/^version = "\(.*\)"$/\1/p' Cargo.toml)
debian=$(argument DEBIAN_TAG)
export TEST_CONTAINERS=$work TEST_IMAGE=localhost/netmon:$version TEST_BASE=$registry/debian:$debian
make_debian "$debian"
make_builder "$debian" "$(argument RUST_TAG)"
build -f docker/Dockerfile --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" -t "$TEST_IMAGE" .
store buildah bud --isolation chroot --pull-never --layers --target builder -f docker/Dockerfile -t localhost/netmon-builder . >/dev/null 2>&1
say "$TEST_IMAGE: $(store podman image inspect --format '{{.Size}}' "$TEST_IMAGE" | awk '{ printf "%.1f MB", $1 / 1e6 }'), of which $TEST_BASE $(
    store podman image inspect --format '{{.Size}}' "$TEST_BASE" | awk '{ printf "%.1f MB", $1 / 1e6 }'
)"
[ "${1:-}" != image ] || exit 0
TEST_REQUIRE_ALL=1 cargo test --locked --test containers -- --nocapture --test-threads 1 "$@"
