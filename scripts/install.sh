#!/usr/bin/env bash
# Puts netmon where the system looks for programs and services, or takes it away again. Starts, stops and enables nothing.
#
# usage: scripts/install.sh install|uninstall
#
# PREFIX      /usr/local   below it bin/, lib/systemd/system/, lib/sysusers.d/, and in share/: manual pages, completions,
#                          netmon/ (alert rules, dashboards) and doc/netmon/
# sysconfdir  /etc         below it netmon/netmon.yaml, written only where there is none, never removed
# zshdir      PREFIX/share/zsh/site-functions
# DESTDIR                  in front of all of them, for packages
# BINARY                   the program to install (default: the one that came with this script, else the release build,
#                          made first where cargo is there)
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
share=$prefix/share
zshdir=${zshdir:-$share/zsh/site-functions}
program=$prefix/bin/netmon
unit=$prefix/lib/systemd/system/netmon.service
user=$prefix/lib/sysusers.d/netmon.conf
config=$sysconfdir/netmon/netmon.yaml

# Under sudo there is often no cargo, and what it would build would be root's: what is built already is taken.
built() {
    local binary=${CARGO_TARGET_DIR:-target}/release/netmon
    if [ -x netmon ]; then # unpacked from an archive
        echo netmon
        return
    fi
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

put() { # DIRECTORY FILE...: as they are called; a pattern that matches nothing is no file
    local directory=$1 file
    shift
    for file in "$@"; do
        [ ! -f "$file" ] || install -D -m 0644 "$file" "$destdir$directory/$(basename "$file")"
    done
}

# Manual pages, completions and reference pages come from the program itself.
install_pages() { # BINARY
    local pages page
    pages=$(mktemp -d)
    "$1" manual "$pages"
    while IFS= read -r page; do
        case $page in
        ./zsh/*) put "$zshdir" "$pages/$page" ;;
        *) put "$share/$(dirname "${page#./}")" "$pages/$page" ;;
        esac
    done < <(cd "$pages" && find . -type f)
    rm -rf "$pages"
}

# Rules and dashboards as they are; the tests of the rules need the captures of the source.
install_share() {
    local rules
    for rules in alerts/*/*.yaml; do
        [[ $rules == *_test.yaml ]] || put "$share/netmon/$(dirname "$rules")" "$rules"
    done
    put "$share/netmon/dashboards" dashboards/grafana/*.json
    put "$share/doc/netmon" README.md CHANGELOG.md docs/*.md
    put "$share/doc/netmon/examples" examples/sample-config.yaml
}

install_all() {
    local binary
    binary=${BINARY:-$(built)}
    case $binary in */*) ;; *) binary=./$binary ;; esac
    install -D -m 0755 "$binary" "$destdir$program"
    install -D -m 0644 packaging/sysusers.conf "$destdir$user"
    install -D -m 0644 /dev/null "$destdir$unit"
    unit_here >"$destdir$unit"
    install_pages "$binary"
    install_share
    if [ -e "$destdir$config" ]; then
        say "$destdir$config is kept as it is"
    else
        install -D -m 0644 packaging/netmon.yaml "$destdir$config"
    fi
    say "installed; nothing was started. The service begins with:"
    say "  systemd-sysusers && systemctl daemon-reload && systemctl enable --now netmon"
}

uninstall_all() {
    local below=$destdir$share
    rm -f "$destdir$program" "$destdir$unit" "$destdir$user"
    rm -f "$below"/man/man1/netmon.1 "$below"/man/man1/netmon-*.1 "$below/man/man5/netmon.yaml.5"
    rm -f "$below/bash-completion/completions/netmon" "$below/fish/vendor_completions.d/netmon.fish" "$destdir$zshdir/_netmon"
    rm -rf "$below/netmon" "$below/doc/netmon"
    say "removed; $destdir$config stays. A service that runs goes on until \`systemctl disable --now netmon\`"
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) die "usage: scripts/install.sh install|uninstall" ;;
esac
