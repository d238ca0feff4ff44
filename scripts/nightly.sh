#!/bin/bash
# What takes too long for every change, or needs PyPI: the CUDA module for all architectures, 200 rounds of exactness on the emulated device,
# fuzzing, the engine under load for minutes, mutation testing, all tests on aarch64 under qemu-user, comparison with the reference
# implementations. Prints a time per stage.
#   scripts/nightly.sh [STAGE...]    stages: cuda exact fuzz soak mutate aarch64 conformance (default: all of these); grow: into the corpora what
#                                    the last fuzz found
#   CUDDLE_FUZZ_RUNS=N               executions per target (default: 2000000)
#   CUDDLE_FUZZ_SEED=N               another way through them (default: 1)
#   CUDDLE_FUZZ_TARGETS="NAME..."    only these (default: all)
#   CUDDLE_SOAK_SECONDS=N            under each sanitizer (default: 300)
#   CUDDLE_SOAK_SEED=N               other requests, other moments (default: 1)
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${CUDDLE_FUZZ_RUNS:-2000000}
seed=${CUDDLE_FUZZ_SEED:-1}
targets=${CUDDLE_FUZZ_TARGETS:-$(for file in tests/fuzz/fuzz_*.c; do name=${file##*/fuzz_} && echo "${name%.c}"; done)}
failed=()

build_all_architectures() {
    cmake --preset cuda -B build/cuda-all --log-level=WARNING -DCUDDLE_BENCHMARKS=OFF -DBUILD_TESTING=OFF &&
        cmake --build build/cuda-all --target cuddle_cuda &&
        grep -a -oE -- '-arch sm_[0-9a-z]+' build/cuda-all/libcuddle-cuda.so | sort | uniq -c
}

# All rounds of the exactness test on the emulated device, which sanitizers would make last for hours.
exact() {
    cmake --preset host -B build/emulated --log-level=WARNING -DCUDDLE_BENCHMARKS=OFF -DCUDDLE_EMULATION=ON &&
        cmake --build build/emulated --target module_emulated test_exact &&
        CUDDLE_TEST_ROUNDS=200 CUDDLE_TEST_DEVICE=cuda CUDDLE_TEST_BACKEND_DIR=$PWD/build/emulated/tests/emulation/module_emulated \
            CK_FORK=no build/emulated/tests/test_exact
}

# A target passes if it never fails and the last fifth of its executions reaches no new code. Its line is kept in tests/fuzz/nightly.log.
fuzz_one() { # NAME
    local name=$1 work=build/fuzz/runs/$1 words=() longest=1024 line late=0
    case $name in
    encode | decode) longest=128 ;; # more text is more of the same, and slow
    charsmap | regex | vocab_files) longest=512 ;;
    tokenizer) longest=5000 ;; # its longest seed
    esac
    rm -rf "$work" && mkdir -p "$work/corpus"
    # Fast: few places of allocations are kept, few freed blocks kept back. What fails leaves its input, which fails again with all details.
    local -x ASAN_OPTIONS=malloc_context_size=1:quarantine_size_mb=8
    [ ! -e "tests/fuzz/$name.dict" ] || words=("-dict=tests/fuzz/$name.dict")
    build/fuzz/tests/"fuzz_$name" -runs="$runs" -seed="$seed" -timeout=60 -rss_limit_mb=2048 -reload=0 -max_len="$longest" -print_final_stats=1 \
        "${words[@]}" -artifact_prefix="$work/" "$work/corpus" "tests/fuzz/corpus/$name" 2>"$work/log" ||
        { tail -30 "$work/log" && return 1; }
    # "#EXECUTION EVENT cov: EDGES ft: ...": the last execution after which there were more edges than ever. REDUCE says that the input this one
    # was made of had become smaller, not that it reaches nothing new.
    line=$(awk -v runs="$runs" '
        /^#[0-9]+\t(INITED|NEW|REDUCE)/ { at = substr($1, 2) + 0; if ($4 > edges) { edges = $4; if ($2 != "INITED") last = at } }
        /^stat::average_exec_per_sec/ { rate = $2 }
        END { printf "%9d executions, %5d edges, the last new one after %9d, %6d a second", runs, edges, last, rate; exit last > runs / 5 * 4 }
    ' "$work/log") || late=1
    line=$(printf '%-18s seed %2d: %s%s' "$name" "$seed" "$line" "$([ $late -eq 0 ] || echo ' (LATE)')")
    echo "$line"
    keep_line "$name" "$line"
    return $late
}

# The log has the compiler, then a line for each target: the newest.
keep_line() { # NAME LINE
    local log=tests/fuzz/nightly.log others
    others=$(tail -n +2 "$log" | grep -v "^$1 " || true)
    { clang --version | head -1 && printf '%s\n' "$others" "$2" | sed '/^$/d' | LC_ALL=C sort; } >build/fuzz/log && cp build/fuzz/log "$log"
}

fuzz() {
    cmake --preset fuzz --log-level=WARNING || return 1
    local bad=0 name
    for name in $targets; do cmake --build --preset fuzz --target "fuzz_$name" || return 1; done
    for name in $targets; do fuzz_one "$name" || bad=1; done
    return $bad
}

# Takes what the last fuzzing reached and the corpora did not yet, a file per new edge or more.
grow() {
    local name
    for name in $targets; do
        [ -d "build/fuzz/runs/$name" ] || continue
        build/fuzz/tests/"fuzz_$name" -merge=1 -use_counters=0 "tests/fuzz/corpus/$name" "build/fuzz/runs/$name/corpus" 2>&1 | tail -1 || return 1
        du -sb "tests/fuzz/corpus/$name"
    done
}

# 32 threads against the engine, for errors of memory and then for races. ThreadSanitizer of older compilers does not know the memory layouts that
# kernels with many random bits choose.
soak() {
    local preset bad=0 fixed=()
    if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi
    for preset in asan tsan; do
        cmake --preset "$preset" --log-level=WARNING && cmake --build --preset "$preset" --target soak_engine &&
            "${fixed[@]}" "build/$preset/tests/soak_engine" "${CUDDLE_SOAK_SECONDS:-300}" "${CUDDLE_SOAK_SEED:-1}" || bad=1
    done
    return $bad
}

mutate() {
    local bad=0 target
    for target in cuda host; do scripts/mutate.sh --target "$target" --check || bad=1; done
    return $bad
}

# What compares with packages from PyPI: CTest's label conformance.
conformance() {
    local python=build/conformance-venv/bin/python
    [ -x "$python" ] || python3 -m venv build/conformance-venv || return 1
    "$python" -m pip install --quiet --disable-pip-version-check numpy safetensors==0.8.0 'tokenizers==0.23.*' jsonschema rfc3339-validator &&
        cmake --preset host -B build/conformance --log-level=WARNING -DCUDDLE_BENCHMARKS=OFF -DCUDDLE_CONFORMANCE_PYTHON="$PWD/$python" &&
        cmake --build build/conformance --target cuddle && ctest --test-dir build/conformance -L conformance --verbose
}

test_aarch64() {
    scripts/install_deps.sh arm64 && cmake --preset aarch64 --log-level=WARNING && cmake --build --preset aarch64 &&
        ctest --test-dir build/aarch64 --output-on-failure --no-tests=error -j2
}

stage() { # NAME COMMAND
    local began=$SECONDS
    echo "== $1"
    if "$2"; then echo "== $1: passed, $((SECONDS - began)) s"; else
        echo "== $1: FAILED, $((SECONDS - began)) s"
        failed+=("$1")
    fi
}

[ $# -gt 0 ] || set -- cuda exact fuzz soak mutate aarch64 conformance
for name in "$@"; do
    case $name in
    cuda) stage cuda build_all_architectures ;;
    exact) stage exact exact ;;
    fuzz) stage fuzz fuzz ;;
    grow) stage grow grow ;;
    soak) stage soak soak ;;
    mutate) stage mutate mutate ;;
    conformance) stage conformance conformance ;;
    aarch64) stage aarch64 test_aarch64 ;;
    *) echo "nightly.sh: no stage $name" >&2 && exit 2 ;;
    esac
done
[ ${#failed[@]} -eq 0 ] || { echo "FAILED: ${failed[*]}" && exit 1; }
