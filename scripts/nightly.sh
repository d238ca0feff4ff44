#!/bin/bash
# What takes too long for every change: the CUDA module for all architectures, fuzzing, mutation testing, comparing with reference
# implementations (which come from PyPI). Prints a time per stage.
#   scripts/nightly.sh [STAGE...]    stages: cuda fuzz mutate conformance (default: all)
#   CUDDLE_FUZZ_RUNS=N               executions per target (default: 1000000)
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${CUDDLE_FUZZ_RUNS:-1000000}
failed=()

build_all_architectures() {
    cmake --preset cuda -B build/cuda-all --log-level=WARNING -DCUDDLE_BENCHMARKS=OFF -DBUILD_TESTING=OFF &&
        cmake --build build/cuda-all --target cuddle_cuda &&
        grep -a -oE -- '-arch sm_[0-9a-z]+' build/cuda-all/libcuddle-cuda.so | sort | uniq -c
}

# A target passes if it never fails and the last fifth of its executions finds nothing new.
fuzz_one() { # NAME
    local name=$1 work=build/fuzz/runs/$1 last
    rm -rf "$work" && mkdir -p "$work/corpus"
    build/fuzz/tests/"fuzz_$name" -runs="$runs" -seed=1 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$work/" \
        "$work/corpus" "tests/fuzz/corpus/$name" 2>"$work/log" || { tail -30 "$work/log" && return 1; }
    last=$(grep -E '^#[0-9]+\s+NEW ' "$work/log" | tail -1 | sed -E 's/^#([0-9]+).*/\1/')
    local cover
    cover=$(grep -oE ' cov: [0-9]+' "$work/log" | tail -1)
    printf 'fuzz %-18s %9d executions,%s, last news after %d\n' "$name" "$runs" "$cover" "${last:-0}"
    grep -E '^stat::(average_exec_per_sec|peak_rss_mb)' "$work/log"
}

fuzz() {
    cmake --preset fuzz --log-level=WARNING && cmake --build --preset fuzz || return 1
    local bad=0 program
    for program in build/fuzz/tests/fuzz_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        fuzz_one "${program##*/fuzz_}" || bad=1
    done
    return $bad
}

mutate() { scripts/mutate.sh --check; }

conformance() {
    local build=build/conformance
    python3 -m venv "$build/venv" && "$build/venv/bin/pip" install --quiet 'tokenizers==0.23.*' &&
        cmake --preset host -B "$build" --log-level=WARNING -DCUDDLE_BENCHMARKS=OFF \
            -DCUDDLE_CONFORMANCE_PYTHON="$PWD/$build/venv/bin/python" &&
        cmake --build "$build" --target cuddle && ctest --test-dir "$build" -L conformance --output-on-failure
}

stage() { # NAME COMMAND
    local began=$SECONDS
    echo "== $1"
    if "$2"; then echo "== $1: passed, $((SECONDS - began)) s"; else
        echo "== $1: FAILED, $((SECONDS - began)) s"
        failed+=("$1")
    fi
}

[ $# -gt 0 ] || set -- cuda fuzz mutate conformance
for name in "$@"; do
    case $name in
    cuda) stage cuda build_all_architectures ;;
    fuzz) stage fuzz fuzz ;;
    mutate) stage mutate mutate ;;
    conformance) stage conformance conformance ;;
    *) echo "nightly.sh: no stage $name" >&2 && exit 2 ;;
    esac
done
[ ${#failed[@]} -eq 0 ] || { echo "FAILED: ${failed[*]}" && exit 1; }
