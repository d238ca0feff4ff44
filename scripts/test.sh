#!/bin/bash
# The whole test suite: every preset that needs no GPU is built and tested, then an installed copy. Prints a time per stage.
# With CI=true in the environment it may install what only its own tests need: packages for aarch64, and our .deb, which it removes again.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
names=() times=() current="" finished=0

finish() {
    local code=$? i
    echo
    for i in "${!names[@]}"; do printf '%-34s %5d s\n' "${names[$i]}" "${times[$i]}"; done
    printf '%-34s %5d s\n' total "$SECONDS"
    if [ "$code" -eq 0 ] && [ "$finished" -eq 1 ]; then echo "all stages passed"; else echo "FAILED: ${current:-setup}"; fi
}
trap finish EXIT

stage() { # NAME COMMAND...
    local began=$SECONDS
    current=$1
    echo "== $1"
    shift
    "$@"
    names+=("$current")
    times+=($((SECONDS - began)))
}

configure_and_build() { # PRESET
    cmake --preset "$1" --log-level=WARNING
    cmake --build --preset "$1" --parallel "$jobs"
}

run_tests() { # PRESET [CTEST OPTIONS]
    local preset=$1
    shift
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j2 "$@"
}

# The CUDA module for the oldest and the main architecture; a warning or a spilled register fails the build. The program must start and say
# what is missing on a machine like most that build it: without a GPU or a driver.
build_cuda() {
    if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
        echo "skipped: no nvcc"
        return
    fi
    cmake --preset cuda --log-level=WARNING -DCUDDLE_CUDA_ARCHITECTURES="80-real;90a-real"
    cmake --build --preset cuda --parallel "$jobs" --target cuddle_cuda cuddle_program cuda_tests cuda_device golden
    if readelf -d build/cuda/libcuddle-cuda.so build/cuda/libcuddle.so | grep -E "NEEDED.*lib(cuda|cublas|nv|stdc)"; then return 1; fi
    ctest --test-dir build/cuda --output-on-failure -L '^cuda$' # where there is a GPU; else they say that there is none
    build/cuda/cuddle doctor
    build/cuda/cuddle run tests/models/kjv-gpt2 "In the beginning" --max-tokens 4
}

# ThreadSanitizer of older compilers does not know the memory layouts that kernels with many random bits choose.
run_tsan_tests() {
    local fixed=()
    if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi
    "${fixed[@]}" ctest --test-dir build/tsan --output-on-failure --no-tests=error -j2 -R 'engine|cancel|pool|server|cuda_load|threads'
}

# Cross-built for aarch64, the tests under qemu-user; nightly.sh has the slowest too. Packages of a foreign architecture are installed
# by CI alone.
test_aarch64() {
    if [ "${CI:-}" = true ]; then scripts/install_deps.sh arm64 || true; fi
    if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64 >/dev/null || [ ! -e /usr/lib/aarch64-linux-gnu/pkgconfig/check.pc ]; then
        echo "skipped: no cross compiler, qemu-user or arm64 libraries (scripts/install_deps.sh arm64)"
        return
    fi
    configure_and_build aarch64
    run_tests aarch64 -E '^(engine|linear|exact|beams|constrain|grammar)$'
}

stage "dependencies" scripts/install_deps.sh
stage "host: build" configure_and_build host
stage "host: test" run_tests host
stage "asan: build" configure_and_build asan
stage "asan: test" run_tests asan
stage "cuda: build with nvcc" build_cuda
stage "plain (no oneDNN): build" configure_and_build plain
stage "plain (no oneDNN): test" run_tests plain
stage "tsan: build" configure_and_build tsan
stage "tsan: test what has threads" run_tsan_tests
stage "installed copy: examples" tests/package/test_install.sh . build/host
stage "aarch64: under qemu-user" test_aarch64
finished=1
