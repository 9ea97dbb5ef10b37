#!/usr/bin/env bash
# Puts netmon where the system looks for programs and services, or takes it away again. Starts, stops and enables nothing.
#
# usage: scripts/install.sh install|uninstall
#
# PREFIX      /usr/local   below it bin/, lib/systemd/system/ and lib/sysusers.d/
# sysconfdir  /etc         below it netmon/netmon.yaml, written only where there is none, never removed
# DESTDIR                  in front of all of them, for packages
# BINARY                   the program to install (default: the release build, made first where cargo is there)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "install: $*" >&2; }
die() {
    say "$*"
    exit 1
}

prefix=${PREFIX:-/usr/local}
sysconfdir=${sysconfdir:-/etc}
destdir=${DESTDIR:-}
program=$prefix/bin/netmon
unit=$prefix/lib/systemd/system/netmon.service
user=$prefix/lib/sysusers.d/netmon.conf
config=$sysconfdir/netmon/netmon.yaml

# Under sudo there is often no cargo, and what it would build would be root's: what is built already is taken.
built() {
    local binary=${CARGO_TARGET_DIR:-target}/release/netmon
    if command -v cargo >/dev/null && [ -z "${SUDO_USER:-}" ]; then
        cargo build --locked --release --bin netmon >&2
    fi
    [ -x "$binary" ] || die "$binary is not there; \`cargo build --locked --release\` makes it"
    echo "$binary"
}

# The unit with the paths of this installation.
unit_here() {
    sed -e "s|/usr/bin/netmon|$program|g" -e "s|/etc/netmon/netmon.yaml|$config|g" packaging/netmon.service
}

install_all() {
    local binary
    binary=${BINARY:-$(built)}
    install -D -m 0755 "$binary" "$destdir$program"
    install -D -m 0644 packaging/sysusers.conf "$destdir$user"
    install -D -m 0644 /dev/null "$destdir$unit"
    unit_here >"$destdir$unit"
    if [ -e "$destdir$config" ]; then
        say "$destdir$config is kept as it is"
    else
        install -D -m 0644 packaging/netmon.yaml "$destdir$config"
    fi
    say "installed; nothing was started. The service begins with:"
    say "  systemd-sysusers && systemctl daemon-reload && systemctl enable --now netmon"
}

uninstall_all() {
    rm -f "$destdir$program" "$destdir$unit" "$destdir$user"
    say "removed; $destdir$config stays. A service that runs goes on until \`systemctl disable --now netmon\`"
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) die "usage: scripts/install.sh install|uninstall" ;;
esac
