#!/usr/bin/env bash
# Makes packages below target/dist, from the release build; PROFILE=dev is for trying the packaging itself.
#
# usage: scripts/package.sh deb|tarball|libpcap
#
# deb      netmon_VERSION_ARCHITECTURE.deb: the program, a service with its user, a first configuration, manual pages,
#          completions, alert rules, dashboards. MAINTAINER="Name <address>" names who made it.
# tarball  netmon-VERSION-linux-ARCHITECTURE.tar.gz: the same with libpcap built in, so that it runs wherever there is a
#          glibc as new as here. scripts/install.sh in it installs it.
# libpcap  only the libpcap for it, from Debian's source package or from LIBPCAP_SOURCE, an unpacked source of libpcap
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
profile=${PROFILE:-release}
case $profile in dev) built=$target/debug ;; *) built=$target/$profile ;; esac
dist=$PWD/target/dist # Cargo.toml names it too
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Files have the time of the last commit, so that the same source gives the same package. Compilers are not told:
# cargo would build each crate with C in it, and all that needs them, once more.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

say() { echo "package: $*" >&2; }
die() {
    say "$*"
    exit 1
}

# What Debian's changelog is for; what changed for users is in changelog.gz.
debian_changelog() { # MAINTAINER
    cat <<CHANGELOG
netmon ($version-1) unstable; urgency=medium

  * Version $version; changelog.gz says what it brings.

 -- $1  $(date -R -u -d "@$epoch")
CHANGELOG
}

make_deb() {
    local cargo_deb root=$dist/root maintainer
    cargo_deb=$(PATH=$target/tools/cargo/bin:$PATH command -v cargo-deb) || die "there is no cargo-deb: scripts/setup.sh package"
    cargo build --locked --profile "$profile" --bin netmon
    rm -rf "$root"
    DESTDIR=$root PREFIX=/usr sysconfdir=/etc zshdir=/usr/share/zsh/vendor-completions BINARY=$built/netmon \
        scripts/install.sh install 2>/dev/null
    # Debian's names for them; what all packages can link to is not shipped again.
    mv "$root/usr/share/doc/netmon/CHANGELOG.md" "$root/usr/share/doc/netmon/changelog"
    maintainer=${MAINTAINER:-$(sed -n '/^\[package.metadata.deb\]/,/^\[/s/^maintainer = "\(.*\)"/\1/p' Cargo.toml)}
    debian_changelog "$maintainer" >"$dist/changelog.Debian"
    SOURCE_DATE_EPOCH=$epoch "$cargo_deb" --locked --no-build --profile "$profile" --strip --no-dbgsym --maintainer "$maintainer" --output "$dist/"
}

# Debian's source, without touching what apt knows of this system.
debian_source() { # DIRECTORY
    local work=$1 lists
    command -v dpkg-source >/dev/null || die "there is no dpkg-source: scripts/setup.sh package, or set LIBPCAP_SOURCE"
    mkdir -p "$work/parts" "$work/lists"
    lists=(/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources)
    for list in "${lists[@]}"; do
        [ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/parts/source.sources"
    done
    [ ! -s /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$work/parts/source.list"
    local apt=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::State::lists=$work/lists"
        -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update >/dev/null
    (cd "$work" && apt-get "${apt[@]}" source --download-only libpcap >/dev/null && dpkg-source -x libpcap_*.dsc source >/dev/null)
    rm -rf "$work/lists"
}

# A static libpcap with what netmon uses: no D-Bus, Bluetooth, USB, RDMA or netlink library, which would each be one more to
# have. Beside it the static unwinder of GCC under the name of the shared one, which rustc asks for.
make_libpcap() {
    local work=$dist/libpcap source
    [ ! -f "$work/lib/libpcap.a" ] || return 0
    rm -rf "$work"
    mkdir -p "$work/lib"
    [ -n "${LIBPCAP_SOURCE:-}" ] || debian_source "$work"
    source=${LIBPCAP_SOURCE:-$work/source}
    mkdir "$work/build"
    (
        cd "$work/build"
        "$(cd - >/dev/null && cd "$source" && pwd)/configure" --disable-shared --disable-dbus --disable-bluetooth --disable-usb \
            --disable-rdma --disable-remote --without-libnl --without-dag --without-dpdk --without-snf CFLAGS='-O2 -fPIC'
        make libpcap.a
    ) >"$work/build.log" 2>&1 || die "libpcap does not build: $(tail -n 5 "$work/build.log")"
    cp "$work/build/libpcap.a" "$source/LICENSE" "$work/lib/"
    ln -sf "$(cc -print-file-name=libgcc_eh.a)" "$work/lib/libgcc_s.a"
    say "libpcap $(cat "$source/VERSION") is built"
}

# Links the program of the ordinary release build once more, against what stands in one directory.
link_statically() { # INTO
    make_libpcap
    cargo rustc --locked --profile "$profile" --bin netmon -- -L "native=$dist/libpcap/lib"
    install -m 0755 "$built/netmon" "$1"
    strip "$1"
    # The next ordinary build links against the system's again.
    rm -f "$built/netmon"
}

needs_only_glibc() { # PROGRAM
    local other
    other=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -v -E '^(libc|libm|libdl|libpthread|librt|libresolv|ld-linux.*)\.so' || true)
    [ -z "$other" ] || die "the program needs $other"
}

make_tarball() {
    local name tree
    name=netmon-$version-linux-$(uname -m)
    tree=$dist/$name
    rm -rf "$tree"
    mkdir -p "$tree/scripts" "$tree/packaging" "$tree/docs" "$tree/examples" "$tree/dashboards"
    link_statically "$tree/netmon"
    needs_only_glibc "$tree/netmon"
    cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$tree/"
    cp "$dist/libpcap/lib/LICENSE" "$tree/LICENSE-libpcap"
    cp scripts/install.sh "$tree/scripts/"
    cp packaging/netmon.service packaging/netmon.yaml packaging/sysusers.conf "$tree/packaging/"
    cp -r alerts "$tree/"
    [ ! -d dashboards/grafana ] || cp -r dashboards/grafana "$tree/dashboards/"
    cp -r docs/*.md docs/reference "$tree/docs/"
    cp examples/sample-config.yaml "$tree/examples/"
    tar -C "$dist" --owner=0 --group=0 --numeric-owner --sort=name --mtime="@$epoch" -c "$name" |
        gzip -9n >"$dist/$name.tar.gz"
    say "needs glibc $(objdump -T "$tree/netmon" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d _ -f 2) or newer"
    echo "$dist/$name.tar.gz"
}

mkdir -p "$dist"
case ${1:-} in
deb) make_deb ;;
tarball) make_tarball ;;
libpcap) make_libpcap ;;
*) die "usage: scripts/package.sh deb|tarball|libpcap" ;;
esac
