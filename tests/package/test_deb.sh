#!/bin/bash
# The Debian package beside the archive of test_package.sh: what is in it, and that it installs, is built against and leaves nothing.
# Usage: test_deb.sh SOURCE FOLDER [--install]
# Without --install and without CI=true in the environment nothing is installed: this may be somebody's own machine.
set -u
source=$1 folder=$2 install=${3:-}
command -v dpkg-shlibdeps >/dev/null || { echo "skipped: no dpkg-dev" && exit 77; }
deb=$(echo "$folder"/cuddle_*.deb)
[ -f "$deb" ] || { echo "FAIL no .deb in $folder" && exit 1; }
work=$(mktemp -d)
failures=0
bad() {
    echo "FAIL $1"
    failures=$((failures + 1))
}
how=("$source/tests/models/kjv-gpt2" "In the beginning")

# ------------------------------------------------------------------------------------------------------ what is in it
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$deb" "$work/tree" || exit 1
field() { dpkg-deb -f "$deb" "$1"; }
[ "$(field Package) $(field Architecture)" = "cuddle $(dpkg --print-architecture)" ] || bad "package and architecture"
[ "$(field Version)" = "$(sed -n 's/^#define CUDDLE_VERSION_[MP][A-Z]* //p' "$source/include/cuddle.h" | paste -sd.)" ] || bad "version $(field Version)"
readelf -d "$work/tree/usr/bin/cuddle" "$work"/tree/usr/lib/libcuddle*.so >"$work/dynamic"
grep -E 'R(UN)?PATH' "$work/dynamic" && bad "libraries are looked for in a folder of the package's own"
# What is asked for by name comes from a package that is depended on.
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" | sort -u >"$work/needed"
[ "$(wc -l <"$work/needed")" -ge 4 ] || bad "hardly a library is needed"
while read -r soname; do
    case $soname in libcuddle.so.*) continue ;; esac
    path=$(ldconfig -p | awk -v name="$soname" '$1 == name { print $NF; exit }')
    package=$(for f in "$path" "$(realpath "$path")" "/usr$path"; do dpkg-query -S "$f" 2>/dev/null; done | head -1 | cut -d: -f1)
    [[ " $(field Depends) " == *[\ ,]"$package"[\ ,]* ]] || bad "$soname is of the package '$package', which is not in Depends: $(field Depends)"
done <"$work/needed"
(cd "$work/tree" && md5sum --quiet -c DEBIAN/md5sums) || bad "md5sums"
(cd "$work/tree" && find usr -type f | sort) | cmp - <(sed 's/^[^ ]*  //' "$work/tree/DEBIAN/md5sums") || bad "md5sums does not list every file"
dpkg-deb -c "$deb" | awk '$2 != "root/root" || ($1 !~ /^l/ && $1 ~ /^.....w|^........w/)' | grep . && bad "owners and permissions"
for file in include/cuddle.h lib/libcuddle.a lib/libcuddle.so lib/pkgconfig/cuddle.pc share/man/man1/cuddle.1.gz share/doc/cuddle/copyright \
    share/bash-completion/completions/cuddle share/zsh/vendor-completions/_cuddle; do
    [ -s "$work/tree/usr/$file" ] || bad "no /usr/$file"
done
expected=$(LD_LIBRARY_PATH="$work/tree/usr/lib" "$work/tree/usr/bin/cuddle" run "${how[@]}" --seed 0 --device cpu 2>"$work/err") || { bad run && cat "$work/err"; }
[ -n "$expected" ] || bad "no text"

# --------------------------------------------------------------------------------------------- in, built against, out
if [ "${CI:-}" != true ] && [ "$install" != --install ]; then
    echo "skipped: the installation (CI=true or --install asks for it)"
elif [ "$(id -u)" -ne 0 ]; then
    echo "skipped: the installation, which takes root"
elif dpkg-query -W -f='${db:Status-Status}' cuddle 2>/dev/null | grep -q installed || command -v cuddle >/dev/null || [ -e /usr/include/cuddle.h ]; then
    echo "skipped: the installation, for there is a cuddle on this machine"
else
    trap 'dpkg --purge cuddle >/dev/null 2>&1; rm -rf "$work"' EXIT
    if dpkg --install "$deb" >"$work/log" 2>&1; then
        dpkg -L cuddle | while read -r path; do
            if [ ! -d "$path" ] || [ -L "$path" ]; then echo "$path"; fi
        done >"$work/files"
        [ "$(wc -l <"$work/files")" -ge 20 ] || bad "hardly a file was installed"
        env -u LD_LIBRARY_PATH /usr/bin/cuddle doctor "$work" | grep -q '^cuddle ' || bad "cuddle doctor"
        # shellcheck disable=SC2046 # flags are words
        (cd "$work" && env -u PKG_CONFIG_PATH -u LD_LIBRARY_PATH cc "$source/examples/stream.c" $(pkg-config --cflags --libs cuddle) -o stream) ||
            bad "stream.c does not build against the package"
        [ "$(env -u LD_LIBRARY_PATH "$work/stream" "${how[@]}")" = "$expected" ] || bad "stream.c prints another text"
        dpkg --purge cuddle >"$work/log" 2>&1 || { bad "it cannot be removed" && cat "$work/log"; }
        while read -r path; do
            if [ -e "$path" ] || [ -L "$path" ]; then bad "$path is left"; fi
        done <"$work/files"
        for path in /usr/share/doc/cuddle /usr/lib/cmake/cuddle; do [ ! -e $path ] || bad "$path is left"; done
        ldconfig -p | grep libcuddle && bad "the loader still knows libcuddle"
        echo "installed, built against and removed: $(wc -l <"$work/files") files"
    else
        bad "it cannot be installed" && cat "$work/log"
    fi
fi
[ $failures -eq 0 ]
