#!/bin/bash
# Installs what the build and the tests need on Debian and its relatives. Says nothing and does nothing when all is there.
#   scripts/install_deps.sh          for this machine
#   scripts/install_deps.sh arm64    what the preset aarch64 cross-compiles with and runs its tests under, as a foreign architecture
set -euo pipefail

# patchelf: scripts/package.sh sets where a packaged library looks for the others. dpkg-dev: it finds what the .deb depends on.
packages=(gcc g++ libc6-dev binutils cmake ninja-build pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libdnnl-dev check patchelf dpkg-dev)

if [ "${1:-}" = arm64 ]; then
    packages=(cmake ninja-build pkg-config gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
        libjansson-dev:arm64 libpcre2-dev:arm64 libutf8proc-dev:arm64 check:arm64)
elif [ $# -gt 0 ]; then
    echo "usage: install_deps.sh [arm64]" >&2
    exit 2
fi

if ! command -v dpkg-query >/dev/null; then
    echo "install_deps.sh: this is not a Debian system; needed are a C11 compiler, CMake >= 3.25, Ninja, pkg-config, jansson, PCRE2," \
        "utf8proc, Check and, if wanted, oneDNN and patchelf" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

dpkg=(dpkg)
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_deps.sh: run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt=(sudo "${apt[@]}")
    dpkg=(sudo dpkg)
fi
echo "install_deps.sh: installing ${missing[*]}" >&2
if [ "${1:-}" = arm64 ]; then "${dpkg[@]}" --add-architecture arm64; fi
"${apt[@]}" update >&2
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2
