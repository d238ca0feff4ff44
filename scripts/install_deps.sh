#!/bin/bash
# Installs what the build and the tests need on Debian and its relatives. Says nothing and does nothing when all is there.
set -euo pipefail

# patchelf: scripts/package.sh sets where a packaged library looks for the others.
packages=(gcc g++ libc6-dev binutils cmake ninja-build pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libdnnl-dev check patchelf)

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

apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_deps.sh: run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt=(sudo "${apt[@]}")
fi
echo "install_deps.sh: installing ${missing[*]}" >&2
"${apt[@]}" update >&2
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2
