#!/bin/bash
# Makes an archive of cuddle that runs from where it is unpacked: cuddle-VERSION-linux-ARCH/ with every library it needs but glibc's and the
# NVIDIA driver's. On a Debian system with dpkg-dev it makes cuddle_VERSION_ARCH.deb beside it, which takes the libraries of that system.
#
#   scripts/package.sh [--cuda-archs LIST] [--with-tests] [--build-dir DIR] [OUT.tar.gz]
#
#   --cuda-archs LIST  what the CUDA module is compiled for (default: 90a-real), as CMake spells it; without nvcc there is no module
#   --with-tests       adds tests/: the programs and data of scripts/gpu_check.sh
#   --build-dir DIR    takes what is built there and builds nothing
#   OUT.tar.gz         default: dist/NAME.tar.gz, with --with-tests dist/NAME-tests.tar.gz
set -euo pipefail

archs=90a-real build="" tests=0 out=""
usage() {
    sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p}' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --cuda-archs) archs=${2:?} && shift 2 ;;
    --build-dir) build=$(realpath "${2:?}") && shift 2 ;;
    --with-tests) tests=1 && shift ;;
    -*) usage ;;
    *) [ -z "$out" ] || usage
        out=$(realpath -m "$1") && shift ;;
    esac
done
cd "$(dirname "$0")/.."
for tool in cmake patchelf strip ldd tar gzip; do
    command -v "$tool" >/dev/null || { echo "package.sh: $tool is missing (scripts/install_deps.sh)" >&2 && exit 1; }
done

# ------------------------------------------------------------------------------------------------------------ build
if [ -z "$build" ]; then
    build=$PWD/build/package
    preset=cuda
    if ! command -v nvcc >/dev/null && ! [ -x "${CUDACXX:-/usr/local/cuda/bin/nvcc}" ]; then
        echo "package.sh: no nvcc: the archive is made without the CUDA module" >&2
        preset=host
    fi
    with_tests=$([ $tests -eq 1 ] && echo ON || echo OFF)
    cmake --preset "$preset" -B "$build" --log-level=WARNING -DCUDDLE_CUDA_ARCHITECTURES="$archs" -DCUDDLE_BENCHMARKS=OFF -DBUILD_TESTING="$with_tests"
    cmake --build "$build" --parallel "$(nproc)"
fi
[ -f "$build/libcuddle-cuda.so" ] || echo "package.sh: this build has no CUDA module" >&2

work=$(mktemp -d)
trap 'echo "package.sh: line $LINENO failed" >&2' ERR
trap 'rm -rf "$work"' EXIT
version=$("$build/cuddle" --version | cut -d' ' -f2)
name=cuddle-$version-linux-$(uname -m)
root=$work/$name
: "${out:=$PWD/dist/$name$([ $tests -eq 1 ] && echo -tests).tar.gz}"

install_to() { # PREFIX
    local manifest=$build/install_manifest.txt # says what an earlier installation can be undone with: it stays
    [ ! -e "$manifest" ] || mv "$manifest" "$work/manifest"
    cmake --install "$build" --prefix "$1" >"$work/install.log"
    rm -f "$manifest"
    [ ! -e "$work/manifest" ] || mv "$work/manifest" "$manifest"
}
install_to "$root"
libdir=$(dirname "$(find "$root" -name 'libcuddle.so' -print -quit)")
if [ "$libdir" != "$root/lib" ]; then # a multiarch folder would be the build machine's business
    echo "package.sh: libraries were installed in ${libdir#"$root"/}, expected lib: configure with -DCMAKE_INSTALL_LIBDIR=lib" >&2
    exit 1
fi
cp LICENSE README.md CHANGELOG.md "$root"
mkdir "$root/examples" "$root/licenses"
cp examples/* "$root/examples"
rm -f "$root"/lib/libcuddle.a "$root"/lib/cmake/cuddle/cuddleStatic* # would need the other libraries' files for development, in these versions

if [ $tests -eq 1 ]; then
    mkdir -p "$root/tests/bin" "$root/tests/data"
    for program in cuda_tests cuda_device golden; do
        if [ -x "$build/tests/cuda/$program" ]; then cp "$build/tests/cuda/$program" "$root/tests/bin"; fi
    done
    cp -r tests/parity tests/models "$root/tests/data"
    cp -L /usr/share/doc/check/copyright "$root/licenses/check.txt" # linked into cuda_tests
    cp scripts/gpu_check.sh scripts/gpu_check_*.py benchmarks/make_checkpoint.py "$root/tests"
fi

# ------------------------------------------------------------------------------------- libraries, and where they are found
elf_files() { find "$root" -type f \( -path '*/lib/*.so*' -o -path '*/bin/*' \); }

# glibc's own libraries belong to the machine, and so does what comes with an NVIDIA driver or toolkit.
belongs_to_the_machine() {
    case $1 in
    ld-linux*.so.* | libc.so.6 | libm.so.6 | libdl.so.2 | librt.so.1 | libpthread.so.0 | libresolv.so.2 | libutil.so.1 | libmvec.so.1 | libanl.so.1) ;;
    libcuda.so.* | libcudart.so.* | libcublas*.so.* | libnv*.so.*) ;;
    *) return 1 ;;
    esac
}

# What is known of the licence of a file that came from a package of the system.
copy_licence() { # FILE
    local file package
    for file in "$1" "$(realpath "$1")" "/usr$1"; do
        package=$(dpkg-query -S "$file" 2>/dev/null | head -1 | cut -d: -f1) && [ -n "$package" ] && break
    done
    if [ -z "${package:-}" ] || [ ! -f "/usr/share/doc/$package/copyright" ]; then
        echo "package.sh: no licence was found for $1" >&2
        return 1
    fi
    cp -L "/usr/share/doc/$package/copyright" "$root/licenses/$package.txt"
}

elf_files | while read -r file; do
    LD_LIBRARY_PATH=$root/lib ldd "$file" # lists the whole tree below it
done | awk '$2 == "=>" { print $1, $3 }' | sort -u >"$work/needed"
while read -r soname path; do
    if belongs_to_the_machine "$soname" || [ -e "$root/lib/$soname" ]; then continue; fi
    [ -e "$path" ] || { echo "package.sh: $soname was not found" >&2 && exit 1; }
    cp -L "$path" "$root/lib/$soname"
    chmod u+w,a+r "$root/lib/$soname"
    copy_licence "$path"
done <"$work/needed"
if [ -f "$root/lib/libcuddle-cuda.so" ]; then
    cat >"$root/licenses/nvidia-cuda-runtime.txt" <<'END'
lib/libcuddle-cuda.so contains the CUDA runtime library (libcudart_static), (c) NVIDIA Corporation, which may be redistributed under the
CUDA Toolkit's End User License Agreement, Attachment A: https://docs.nvidia.com/cuda/eula/
END
fi

elf_files | while read -r file; do
    strip --strip-unneeded "$file"
    case $file in
    "$root"/lib/*) patchelf --set-rpath "\$ORIGIN" "$file" ;;
    "$root"/bin/*) patchelf --set-rpath "\$ORIGIN/../lib" "$file" ;;
    *) patchelf --set-rpath "\$ORIGIN/../../lib" "$file" ;;
    esac
done

# --------------------------------------------------------------------------------------------------------------- archive
mkdir -p "$(dirname "$out")"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$out"
size=$(stat -c %s "$out")
most=$((tests ? 64 : 40))
printf '%s: %d.%02d MiB of at most %d\n' "$out" $((size >> 20)) $(((size & 0xfffff) * 100 >> 20)) $most
if [ "$size" -gt $((most << 20)) ]; then
    echo "package.sh: the archive is too large" >&2
    exit 1
fi

# ---------------------------------------------------------------------------------------------------------- Debian package
if ! command -v dpkg-shlibdeps >/dev/null; then
    echo "package.sh: no dpkg-shlibdeps (dpkg-dev): no .deb is made" >&2
    exit 0
fi
tree=$work/package/debian/cuddle # as dpkg-shlibdeps expects it
doc=$tree/usr/share/doc/cuddle
architecture=$(dpkg --print-architecture)
install_to "$tree/usr"
mkdir -p "$tree/DEBIAN" "$doc/examples"
strip --strip-unneeded "$tree"/usr/bin/cuddle "$tree"/usr/lib/libcuddle*.so
strip --strip-debug "$tree"/usr/lib/libcuddle.a
patchelf --remove-rpath "$tree/usr/bin/cuddle"
gzip -9n "$tree"/usr/share/man/man*/*
mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions" # Debian's zsh looks there
cp README.md CHANGELOG.md "$doc"
cp examples/* "$doc/examples"
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: cuddle\n\n'
    printf 'Files: *\nCopyright: the authors of cuddle\nLicense: Apache-2.0\n On Debian systems the text is /usr/share/common-licenses/Apache-2.0.\n'
    if [ -f "$tree/usr/lib/libcuddle-cuda.so" ]; then
        printf '\nFiles: usr/lib/libcuddle-cuda.so\nCopyright: NVIDIA Corporation, where it is the CUDA runtime library\nLicense: CUDA\n'
        sed 's/^/ /' "$root/licenses/nvidia-cuda-runtime.txt"
    fi
} >"$doc/copyright"

echo "libcuddle ${version%%.*} cuddle (>= $version)" >"$tree/DEBIAN/shlibs"
echo "activate-noawait ldconfig" >"$tree/DEBIAN/triggers"
printf 'Source: cuddle\n\nPackage: cuddle\nArchitecture: any\n' >"$work/package/debian/control"
depends=$(cd "$work/package" && dpkg-shlibdeps -O -xcuddle "$tree"/usr/bin/cuddle "$tree"/usr/lib/libcuddle*.so | sed -n 's/^shlibs:Depends=//p')
cat >"$tree/DEBIAN/control" <<END
Package: cuddle
Version: $version
Architecture: $architecture
Section: science
Priority: optional
Maintainer: ${CUDDLE_MAINTAINER:-the authors of cuddle <cuddle@localhost>}
Installed-Size: $(du -k -s --apparent-size "$tree/usr" | cut -f1)
Depends: $depends
Suggests: libjansson-dev, libpcre2-dev, libutf8proc-dev, libdnnl-dev
Description: runs Hugging Face checkpoints, from plain C
 The program cuddle and the library libcuddle read a model directory as it lies
 on the Hub, with no conversion and no Python, and run it on NVIDIA GPUs or on
 the CPU. The package has what a program that uses the library is built with,
 too; what is suggested is needed to link libcuddle.a.
END
find "$tree" -type d -exec chmod 755 {} +
find "$tree" -type f -not -path '*/bin/*' -exec chmod 644 {} +
(cd "$tree" && find usr -type f | sort | xargs -d '\n' md5sum) >"$tree/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$(dirname "$out")/cuddle_${version}_$architecture.deb"
