#!/bin/bash
# The archive that scripts/package.sh makes of a finished build runs from where it is unpacked and takes no library from elsewhere but glibc's.
# Usage: test_package.sh SOURCE BUILD ARCHIVE
set -u
source=$1 build=$2 archive=$3
command -v patchelf >/dev/null || { echo "skipped: no patchelf" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
bad() {
    echo "FAIL $1"
    failures=$((failures + 1))
}

"$source/scripts/package.sh" --build-dir "$build" --with-tests "$archive" || exit 1
mkdir "$work/a folder"
tar -xzf "$archive" -C "$work/a folder"
root=$(echo "$work/a folder"/cuddle-*-linux-*)
[ -x "$root/bin/cuddle" ] || { echo "FAIL no bin/cuddle in $root" && exit 1; }

# ------------------------------------------------------------------------------------------------------------ it runs
cd / || exit 1
env -i "$root/bin/cuddle" --version | grep -q -E '^cuddle [0-9.]+$' || bad "--version"
how=(run "$source/tests/models/kjv-gpt2" "In the beginning" --max-tokens 24 --temperature 0 --device cpu)
text=$(env -i "$root/bin/cuddle" "${how[@]}" 2>"$work/err") || { bad "run" && cat "$work/err"; }
[ -n "$text" ] || bad "no text"
[ "$text" = "$("$build/cuddle" "${how[@]}" 2>/dev/null)" ] || bad "another text than the build's own program gives: $text"
if [ -e "$root/lib/libcuddle-cuda.so" ]; then
    env -i "$root/bin/cuddle" doctor | grep -q '^cuda  *on' || bad "the module is not seen"
fi

# ------------------------------------------------------------------------------------------------------ it is complete
glibc='^(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libresolv|libutil|libmvec|libanl)\.so'
foreign() { # FOLDER: what its programs and libraries take from outside it
    find "$1" -type f \( -path '*/lib/*.so*' -o -path '*/bin/*' \) | while read -r file; do
        readelf -d "$file" | grep -q -E "RUNPATH.*\[\\\$ORIGIN(/\.\.){0,2}(/lib)?\]" || echo "${file#"$1"/} has no runpath of its own"
        env -i ldd "$file" | while read -r name arrow path rest; do
            if [[ $(basename "$name") =~ $glibc ]]; then continue; fi
            [ "$arrow" = "=>" ] || continue
            path="$path $rest" # the folder's name has a space
            [[ $path == "$work"/* ]] || echo "${file#"$1"/} takes $name from $path"
        done
    done
}
foreign "$root" >"$work/foreign"
[ ! -s "$work/foreign" ] || { bad "libraries from outside" && cat "$work/foreign"; }
[ "$(find "$root/lib" -name "lib*.so*" | wc -l)" -ge 6 ] || bad "hardly a library in lib/"
for file in LICENSE include/cuddle.h lib/pkgconfig/cuddle.pc lib/cmake/cuddle/cuddleConfig.cmake examples/stream.{c,cpp,py,rs} lib/libcuddle.so \
    share/man/man1/cuddle.1 share/bash-completion/completions/cuddle; do
    [ -s "$root/$file" ] || bad "no $file"
done
for library in "$root"/lib/lib*.so*; do
    name=$(basename "$library")
    case $name in libcuddle*) continue ;; esac
    stem=${name#lib} && stem=${stem%%.*} && stem=${stem%%-*}
    case $stem in gcc_s) stem=gcc ;; esac
    find "$root/licenses" -iname "*${stem,,}*" -size +0 | grep -q . || bad "no licence of $name"
done

# With no CUDA module and no tests it is small, and nothing of it knows the build folder.
rm -rf "$root/tests"
size=$(tar -C "$(dirname "$root")" --exclude libcuddle-cuda.so -cf - "$(basename "$root")" | gzip -1 | wc -c)
[ "$size" -le $((40 << 20)) ] || bad "$size bytes without CUDA and tests: more than 40 MiB"
grep -rlF "$build" "$root" && bad "a file names the build folder"

# The check itself: a library whose runpath is lost is found by the system instead, or not at all.
cp -r "$root" "$work/broken"
patchelf --remove-rpath "$work/broken/lib/$(basename "$(readlink -f "$root/lib/libcuddle.so")")"
foreign "$work/broken" >"$work/foreign"
# shellcheck disable=SC2015 # bad() is for either
grep -q 'has no runpath' "$work/foreign" && grep -q 'libjansson' "$work/foreign" || bad "a lost runpath is not noticed"

# ------------------------------------------------------------------------------------------------ it can be built against
if command -v cc >/dev/null && command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH="$root/lib/pkgconfig" pkg-config --cflags --libs cuddle) || bad "pkg-config"
    eval "cc '$root/examples/stream.c' $flags -o '$work/stream'" || bad "stream.c does not build"
    LD_LIBRARY_PATH="$root/lib" "$work/stream" "$source/tests/models/kjv-gpt2" "And" >"$work/text" || bad "stream.c does not run"
    [ -s "$work/text" ] || bad "stream.c prints nothing"
fi
[ $failures -eq 0 ]
