#!/bin/bash
# An installed copy of a build, moved elsewhere: its files, its libraries, and programs in several languages built against it, whose texts are
# those of `cuddle run`. Usage: test_install.sh SOURCE BUILD
set -u
source=$(realpath "$1") build=$(realpath "$2")
model=$source/tests/models/kjv-gpt2 prompt="In the beginning"
work=$(mktemp -d)
manifest=$build/install_manifest.txt # the developer's own, maybe
[ ! -e "$manifest" ] || cp "$manifest" "$work/manifest"
trap '[ ! -e "$work/manifest" ] || cp "$work/manifest" "$manifest"; rm -rf "$work"' EXIT
failures=0
bad() {
    echo "FAIL $1"
    failures=$((failures + 1))
}

# ------------------------------------------------------------------------------------------- in, away to elsewhere, out
first=$work/first root="$work/a folder/moved"
cmake --install "$build" --prefix "$first" >"$work/log" || { cat "$work/log" && exit 1; }
mkdir "$work/a folder" && cp -a "$first" "$root"
cmake --build "$build" --target uninstall >"$work/log" 2>&1 || { bad uninstall && cat "$work/log"; }
left=$(find "$first" -not -type d -o -name 'cuddle*')
[ -z "$left" ] || bad "uninstall leaves $left"

lib=$(dirname "$(dirname "$(find "$root" -name cuddle.pc)")")
version=$("$root/bin/cuddle" --version | cut -d' ' -f2)
(cd "$root" && find . -not -type d -not -name 'libcuddle-cuda.so' -not -name 'cuddle*Targets-*.cmake' | sed "s|^\./${lib##*/}/|LIB/|; s|^\./||" | sort) >"$work/found"
sort >"$work/expected" <<END
bin/cuddle
include/cuddle.h
LIB/cmake/cuddle/cuddleConfig.cmake
LIB/cmake/cuddle/cuddleConfigVersion.cmake
LIB/cmake/cuddle/cuddleStaticTargets.cmake
LIB/cmake/cuddle/cuddleTargets.cmake
LIB/libcuddle.a
LIB/libcuddle.so
LIB/libcuddle.so.${version%%.*}
LIB/libcuddle.so.$version
LIB/pkgconfig/cuddle.pc
share/bash-completion/completions/cuddle
share/fish/vendor_completions.d/cuddle.fish
share/man/man1/cuddle.1
share/man/man3/libcuddle.3
share/zsh/site-functions/_cuddle
END
diff "$work/expected" "$work/found" || bad "the installed files (<: expected, >: found)"
grep -rlF -e "$work/first" -e "$build" "$root" && bad "a file knows where it was built or installed"

# ----------------------------------------------------------------------------------------------- only cuddle_* is global
names() { nm "$@" --defined-only 2>/dev/null | awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort; }
names -D "$lib/libcuddle.so" >"$work/shared"
names -g "$lib/libcuddle.a" >"$work/static"
[ -s "$work/static" ] || bad "libcuddle.a has no names"
diff "$work/shared" "$work/static" || bad "global names of libcuddle.so (<) and libcuddle.a (>)"

# --------------------------------------------------------------------------------------------------------------- programs
export LD_LIBRARY_PATH=$lib
how=("$root/bin/cuddle" run "$model" "$prompt" --device cpu)
"${how[@]}" --temperature 0 --max-tokens 64 >"$work/greedy" 2>"$work/log" || { bad "cuddle run" && cat "$work/log"; }
"${how[@]}" --seed 0 >"$work/drawn" 2>"$work/log" || { bad "cuddle run" && cat "$work/log"; }
[ "$(wc -c <"$work/greedy")" -gt 64 ] || bad "hardly a text: $(cat "$work/greedy")"

says() { # WHAT greedy|drawn COMMAND...: prints that text
    local what=$1 text=$2
    shift 2
    if ! "$@" >"$work/text" 2>"$work/log"; then
        bad "$what" && cat "$work/log"
    elif echo >>"$work/text" && cmp -s "$work/$text" "$work/text"; then
        echo "$what: the text of cuddle run"
    else
        bad "$what prints another text than cuddle run:" && cat "$work/text"
    fi
}

# With pkg-config, as the README has it; then static.
flags() { PKG_CONFIG_PATH="$lib/pkgconfig" pkg-config "$@" cuddle; }
eval "cc '$source/examples/stream.c' $(flags --cflags --libs) -o '$work/stream'" || bad "stream.c does not build"
says "C, pkg-config" drawn "$work/stream" "$model" "$prompt"
static=$(flags --static --cflags --libs)
eval "cc -Wall -Werror '$source/tests/package/collide.c' ${static/ -lcuddle / -l:libcuddle.a } -o '$work/collide'" || bad "collide.c does not build"
says "C, static, with our private names" greedy "$work/collide" "$model"
readelf -d "$work/collide" | grep -q libcuddle && bad "collide was not linked statically"

# With CMake.
if cmake -S "$source/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$root" >"$work/log" 2>&1 && cmake --build "$work/examples" >>"$work/log" 2>&1; then
    grep -q "^cuddle_DIR:PATH=$lib/" "$work/examples/CMakeCache.txt" || bad "CMake found another cuddle"
    says "C, CMake" drawn "$work/examples/stream" "$model" "$prompt"
    says "C, CMake, static" drawn "$work/examples/stream_static" "$model" "$prompt"
    readelf -d "$work/examples/stream_static" | grep -q libcuddle && bad "stream_static was not linked statically"
    if [ -x "$work/examples/stream_cpp" ]; then says "C++" greedy "$work/examples/stream_cpp" "$model" "$prompt"; else echo "skipped: no C++ compiler"; fi
else
    bad "the examples do not build with CMake" && cat "$work/log"
fi

if command -v python3 >/dev/null; then says Python greedy python3 "$source/examples/stream.py" "$model" "$prompt"; else echo "skipped: no python3"; fi
if command -v rustc >/dev/null; then
    rustc -D warnings --edition 2021 -O "$source/examples/stream.rs" -L "native=$lib" -l cuddle -o "$work/stream_rs" || bad "stream.rs does not build"
    says Rust greedy "$work/stream_rs" "$model" "$prompt"
else
    echo "skipped: no rustc"
fi
[ $failures -eq 0 ]
