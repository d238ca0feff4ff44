#!/bin/bash
# Everything there is to see on a machine with an NVIDIA GPU, in under 9 minutes: the tests, golden vectors, parity with transformers, and the
# benchmarks. It lies in tests/ of the archive that scripts/package.sh --with-tests makes and needs, besides that, a driver, cuBLASLt and
# Python; PyTorch and transformers for what is compared with them; compute-sanitizer if it is there. Nothing is downloaded.
#
#   OUT=DIR tests/gpu_check.sh [--dry-run]
#
# Leaves gpu_check.json and gpu_check.md in OUT (default: ./gpu_check), rewritten after every stage, with golden.txt and all that was printed
# in gpu_check.log. 20 GB of disk are used meanwhile, below TMPDIR. A stage that hangs is ended at its limit, and none begins after the time is
# up. Exit code: 0 all that ran passed, 1 something failed, 77 no GPU. --dry-run tries the script itself: on the CPU, with a tiny model.
# shellcheck disable=SC2317,SC2086 # functions are called by name, and $device and the counts are single words of ours
set -um # jobs have process groups of their own, so that a stage is ended with all it started

total=${GPU_CHECK_SECONDS:-515} # what is left of 9 minutes is for ending
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
out=$(realpath -m "${OUT:-gpu_check}")
dry=0
[ "${1:-}" = --dry-run ] && dry=1 && shift
[ $# -eq 0 ] || { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p}' "$0" >&2; exit 2; }

cuddle=$root/bin/cuddle
python=$(command -v python3) || { echo "gpu_check.sh: python3 is missing" >&2 && exit 1; }
there_is_a_gpu() { # asked of the file system first, for a driver can hang
    [ -e /dev/nvidia0 ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || timeout -k 1 10 nvidia-smi -L >/dev/null 2>&1
}
if [ $dry -eq 0 ] && ! there_is_a_gpu; then
    echo "gpu_check.sh: there is no NVIDIA GPU here" >&2
    exit 77
fi

mkdir -p "$out" && work=$(mktemp -d) || exit 1
log=$out/gpu_check.log results=$out/results.jsonl stages=$out/stages.jsonl
: >"$log" && : >"$results" && : >"$stages"
if [ $dry -eq 1 ]; then
    device=cpu small=tiny large=tiny prompt=16 generate=4 batches="1 2" prefills="16 64" loads=read,map runs=2 cold_runs=2
else
    device=cuda small=llama-3.2-1b large=llama-3.1-8b prompt=512 generate=128 batches="1 8 32 64" prefills="512 4096" loads=ring,register,auto
    runs=5 cold_runs=5
fi

# cuBLASLt is found by the system, or else beside a CUDA toolkit or in a Python package.
export CUDDLE_REQUIRE_DEVICE=1 CUDDLE_TEST_DEVICE=cuda CUDDLE_TEST_BACKEND_DIR=$root/lib CUDDLE_TEST_DATA=$here/data CK_FORK=no
blas=$("$python" "$here/gpu_check_tools.py" cublaslt "$root/lib/libcuddle-cuda.so")
ours() { LD_LIBRARY_PATH=$blas${blas:+${LD_LIBRARY_PATH:+:}}${LD_LIBRARY_PATH:-} "$@"; }

# --------------------------------------------------------------------------------------------------------------- stages

report() { "$python" "$here/gpu_check_tools.py" report "$out" >>"$log" 2>&1; }

failed=0 making=""
finish() {
    [ -n "$making" ] && kill -KILL -- "-$making" 2>/dev/null
    report
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# stage NAME SECONDS COMMAND...: in the background and watched, since what waits for a driver that hangs may not even be killed.
stage() {
    local name=$1 limit=$2 left=$((total - SECONDS)) began=$EPOCHREALTIME status code pid
    shift 2
    [ "$limit" -le $left ] || limit=$left
    echo "== $name" >>"$log"
    if [ "$limit" -lt 1 ]; then
        status="not run"
    else
        ( "$@" </dev/null >>"$log" 2>&1
            echo $? >"$work/code.tmp" && mv "$work/code.tmp" "$work/$name.code" ) &
        pid=$!
        while [ ! -e "$work/$name.code" ] && kill -0 $pid 2>/dev/null && elapsed_below "$began" "$limit"; do sleep 0.1; done
        if code=$(cat "$work/$name.code" 2>/dev/null); then
            case $code in 0) status=passed ;; 77) status=skipped ;; *) status="failed ($code)" ;; esac
        else
            status="timed out"
        fi
        kill -KILL -- "-$pid" 2>/dev/null
        disown $pid 2>/dev/null
    fi
    case $status in passed | skipped) ;; *) failed=1 ;; esac
    printf '{"stage":"%s","status":"%s","seconds":%s,"limit":%d}\n' "$name" "$status" "$(seconds_since "$began")" "$limit" >>"$stages"
    printf '%-22s %-12s %6s s\n' "$name" "$status" "$(seconds_since "$began")"
    echo "== $name: $status" >>"$log"
    report
}
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
elapsed_below() { [ $((${EPOCHREALTIME/./} - ${1/./})) -lt $(($2 * 1000000)) ]; }

# measure 'JSON MEMBERS' COMMAND...: what the command prints is one JSON value.
measure() {
    local members=$1 line
    shift
    line=$("$@") || { echo "failed ($?): $*"; return 1; }
    printf '{%s,"data":%s}\n' "$members" "$line" >>"$results"
}

# several KIND NAME...: runs one_KIND for each name, four at a time, and records how each ended.
several() {
    local kind=$1 name bad=0
    shift
    for name in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge 4 ]; do sleep 0.05; done
        ( began=$EPOCHREALTIME
            "one_$kind" "$name" >"$work/$kind.log.$BASHPID" 2>&1
            code=$?
            { echo "-- $kind $name: $code" && cat "$work/$kind.log.$BASHPID"; } >>"$log"
            printf '{"kind":"%s","name":"%s","code":%d,"seconds":%s}\n' "$kind" "$name" $code "$(seconds_since "$began")" >>"$results"
            [ $code -eq 0 ] || [ $code -eq 77 ] || : >"$work/$kind.bad" ) &
    done
    wait
    [ -e "$work/$kind.bad" ] && bad=1
    return $bad
}

# ------------------------------------------------------------------------------------------------------- what they run

bench() { ours "$cuddle" bench "$@" --device $device --json; }
bandwidth() { cat "$work/bandwidth" 2>/dev/null; } # GB/s of copies on the device

facts() { measure "\"kind\":\"$1\"" "$python" "$here/gpu_check_tools.py" facts "$cuddle"; }
smoke() { ours "$cuddle" run "$here/data/models/kjv-gpt2" "In the beginning" --device $device --max-tokens 40 --temperature 0 --log info; }

one_test() {
    case $1 in
    device) ours timeout -k 2 100 "$here/bin/cuda_device" ;;
    *) ours timeout -k 2 100 "$here/bin/cuda_tests" "$1" ;;
    esac
}
cuda_tests() {
    [ $dry -eq 0 ] || return 77
    # shellcheck disable=SC2046 # a list of words
    several test device $("$here/bin/cuda_tests" --list)
}
golden() {
    [ $dry -eq 0 ] || return 77
    ours "$here/bin/golden" write "$out/golden.txt"
}

one_sanitizer() { # "TOOL TEST"
    local tool=${1% *} test=${1#* } program=("$here/bin/cuda_tests" "${1#* }")
    [ "$test" = device ] && program=("$here/bin/cuda_device")
    ours timeout -k 2 60 "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 "${program[@]}"
}
sanitizers() {
    sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
    { [ -n "$sanitizer" ] && [ $dry -eq 0 ]; } || return 77
    local names=() test
    for test in device rmsnorm rope gather embed gate; do names+=("memcheck $test" "racecheck $test"); done
    several sanitizer "${names[@]}"
}

reference() { ours "$python" "$here/gpu_check_reference.py" --device $device --results "$results" "$@"; }
ceilings() { reference ceilings --bandwidth-file "$work/bandwidth"; }
parity() { reference parity --cuddle "$cuddle" --data "$here/data/parity"; }
parity_of() { reference parity --cuddle "$cuddle" --model "$work/$1"; }

make_checkpoints() {
    "$python" "$here/make_checkpoint.py" "$small" "$work/$small" && "$python" "$here/make_checkpoint.py" "$large" "$work/$large"
}
await() { # a checkpoint that is being made
    while [ ! -e "$work/$1/config.json" ]; do
        kill -0 "$making" 2>/dev/null || [ -e "$work/$1/config.json" ] || return 1
        sleep 0.1
    done
}

load() { # SHAPE RUNS [--cold]
    local mode cold=false bad=0
    [ "${3:-}" = --cold ] && cold=true
    for mode in ${loads//,/ }; do
        measure "\"kind\":\"load\",\"model\":\"$1\",\"asked\":\"$mode\",\"cold\":$cold" bench "$work/$1" --only-load --load "$mode" --repeat "$2" \
            --max-context 1024 ${3:-} || bad=1
    done
    return $bad
}
decode() { # SHAPE
    local batch bad=0 given
    given=$(bandwidth)
    for batch in $batches; do
        measure "\"kind\":\"decode\",\"model\":\"$1\"" bench "$work/$1" --batch "$batch" --prompt-tokens $prompt --generate $generate --repeat $runs \
            --max-context $((prompt + generate)) --no-probe ${given:+--bandwidth $given} || bad=1
    done
    return $bad
}
prefill() { # SHAPE
    local tokens bad=0
    for tokens in $prefills; do
        measure "\"kind\":\"prefill\",\"model\":\"$1\"" bench "$work/$1" --prompt-tokens "$tokens" --generate 2 --repeat $runs --max-batch "$tokens" \
            --max-context $((tokens + 64)) --no-probe || bad=1
    done
    return $bad
}
first_token() { # SHAPE
    measure "\"kind\":\"first_token\",\"model\":\"$1\"" ours "$python" "$here/gpu_check_tools.py" first-token $runs "$cuddle" run "$work/$1" \
        "1 2 3 4 5 6 7 8" --tokens --max-tokens 2 --temperature 0 --max-context 1024 --device $device
}
beside() { reference bench --model "$work/$1" --name "$1" --prompt $prompt --generate $generate --batches "$batches" --prefills "$prefills"; }
hang() { # for --dry-run: neither asked nor told to end
    trap '' TERM INT
    sleep 1000
}

# ---------------------------------------------------------------------------------------------------------------- all of it

( make_checkpoints >>"$work/making.log" 2>&1 ) & # while the tests run
making=$!
disown $making

stage facts 20 facts facts
stage smoke 30 smoke
if [ $dry -eq 1 ]; then
    stage hang 1 hang # which must be ended
    failed=0
fi
stage golden 20 golden
stage tests 120 cuda_tests
stage parity 60 parity
stage ceilings 30 ceilings
stage "make-$small" 60 await "$small"
stage "load-$small" 45 load "$small" $runs
stage "decode-$small" 45 decode "$small"
stage "prefill-$small" 25 prefill "$small"
stage "first-token-$small" 20 first_token "$small"
if [ "$large" != "$small" ]; then
    stage "make-$large" 90 await "$large"
    stage "load-$large" 45 load "$large" $runs
    stage "decode-$large" 60 decode "$large"
    stage "prefill-$large" 30 prefill "$large"
    stage "first-token-$large" 30 first_token "$large"
fi
stage "parity-$small" 40 parity_of "$small"
stage sanitizers 75 sanitizers
stage "transformers-$small" 45 beside "$small"
stage "cold-$small" 40 load "$small" $cold_runs --cold
if [ "$large" != "$small" ]; then
    stage "transformers-$large" 60 beside "$large"
    loads=ring
    stage "cold-$large" 60 load "$large" 1 --cold
fi
stage facts-after 20 facts facts_after # clocks, above all
{ echo "== the checkpoints" && cat "$work/making.log"; } >>"$log"
report
echo "results: $out/gpu_check.md"
exit $failed
