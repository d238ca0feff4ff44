#!/bin/bash
# gpu_check.sh without a GPU: what it does then, its dry run on the CPU, all its stages with stand-ins for programs that need a GPU, and that
# it ends when its time is up. Usage: test_gpu_check.sh ARCHIVE
set -u
[ -e "$1" ] || { echo "skipped: no archive" && exit 77; }
PATH=/usr/local/bin:/usr/bin:/bin
python=$(command -v python3) || { echo "skipped: no python3" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
bad() {
    echo "FAIL $1"
    [ -z "${2:-}" ] || tail -40 "$2"
    failures=$((failures + 1))
}
tar -xzf "$1" -C "$work"
root=$(echo "$work"/cuddle-*-linux-*)
mkdir "$work/tmp" "$work/fake"

check() { # NAME EXIT_CODE [SETTING=VALUE...] -- ARGUMENT...
    name=$1 wanted=$2 settings=()
    shift 2
    while [ "$1" != -- ]; do settings+=("$1") && shift; done
    shift
    env -i PATH="$work/fake:$PATH" TMPDIR="$work/tmp" OUT="$work/$name" "${settings[@]}" "$root/tests/gpu_check.sh" "$@" >"$work/$name.txt" 2>&1
    code=$?
    [ $code -eq "$wanted" ] || bad "$name: exit code $code instead of $wanted" "$work/$name.txt"
    [ -z "$(ls "$work/tmp")" ] || bad "$name: something is left in TMPDIR"
}
status() { # STAGE WANTED, a pattern
    grep -q -E "^$1 +$2 " "$work/$name.txt" || bad "$name: $1 is not $2" "$work/$name.txt"
}
holds() { grep -q -- "$2" "$work/$name/$1" || bad "$name: $1 does not say: $2" "$work/$name/$1"; }
whole() {
    "$python" -m json.tool "$work/$name/gpu_check.json" >/dev/null || bad "$name: gpu_check.json is not JSON"
    holds gpu_check.md '^## Stages'
}

if [ ! -e /dev/nvidia0 ]; then
    check none 77 --
    grep -q "no NVIDIA GPU" "$work/none.txt" || bad "no sentence without a GPU"
fi

check dry 0 -- --dry-run
whole
status hang "timed out"
for stage in facts smoke make-tiny load-tiny decode-tiny prefill-tiny first-token-tiny cold-tiny; do status "$stage" passed; done
for stage in golden tests sanitizers; do status "$stage" skipped; done
for row in '| tiny | read | read | warm | 2 |' '| tiny | map | map | cold | 2 |' '| tiny | cuddle | 2 |' '| tiny | cuddle | 64 |' '| hang | timed out |'; do
    holds gpu_check.md "$row"
done
grep -q "No results" "$work/dry/gpu_check.md" || bad "stages that were skipped have results"

check short 1 GPU_CHECK_SECONDS=2 -- --dry-run
whole
status first-token-tiny "not run"
status cold-tiny "not run"

# The same weights in one file and in several.
for most in 5 0.002; do
    "$python" "$root/tests/make_checkpoint.py" tiny "$work/tiny-$most" --shard-gb $most >/dev/null || bad "make_checkpoint.py"
    "$root/bin/cuddle" run "$work/tiny-$most" "1 2 3" --tokens --json --logprobs 5 --max-tokens 4 --temperature 0 --device cpu 2>/dev/null |
        sed -n 's/.*"logprobs":\[/[/p' >"$work/said-$most"
done
[ "$(find "$work/tiny-0.002" -name 'model-0000*-of-00003.safetensors' | wc -l)" -eq 3 ] || bad "not in three files"
[ -s "$work/said-5" ] || bad "nothing is said with one file"
cmp "$work/said-5" "$work/said-0.002" || bad "shards say something else"

# ------------------------------------------------------------------------------------ every stage, with nothing behind it
fake() { # FILE LINE...: a program
    file=$1
    shift
    rm -f "$file"
    printf '%s\n' '#!/bin/sh' "$@" >"$file"
    chmod +x "$file"
}
mv "$root/bin/cuddle" "$root/bin/cuddle.real"
# shellcheck disable=SC2016 # for the programs to expand
{
    fake "$work/fake/nvidia-smi" 'echo "a GPU"'
    fake "$work/fake/compute-sanitizer" 'echo "$*" >>"$TMPDIR/../sanitized"; for last; do :; done; [ "$last" != gate ]'
    mkdir -p "$root/tests/bin"
    fake "$root/tests/bin/cuda_tests" '[ "$1" != --list ] || { echo embed; echo gate; echo rope; exit; }' 'echo "testing $1 with $CUDDLE_TEST_DATA"' \
        '[ "$1" != rope ]'
    fake "$root/tests/bin/cuda_device" 'exit 0'
    fake "$root/tests/bin/golden" 'echo "golden" >"$2"'
    # Small figures for those that are asked for, on the CPU.
    fake "$root/bin/cuddle" 'n=$#' 'while [ $n -gt 0 ]; do' 'a=$1; shift; n=$((n - 1)); set -- "$@" "$a"' 'case $a in --device) v=cpu ;; --load) v=read ;;' \
        '--prompt-tokens | --max-batch) v=16 ;; --generate) v=4 ;; --max-context) v=64 ;; --repeat) v=1 ;; --batch) v=2 ;; *) continue ;; esac' \
        'shift; n=$((n - 1)); set -- "$@" $v' 'done' "exec '$root/bin/cuddle.real' \"\$@\""
}
sed -i 's/^def main() -> int:/SHAPES = {name: SHAPES["tiny"] for name in SHAPES}\n\n\n&/' "$root/tests/make_checkpoint.py"
cat >"$root/tests/gpu_check_reference.py" <<'END'
import json, sys
a = sys.argv
verb = [v for v in ("ceilings", "parity", "bench") if v in a][0]
value = {"ceilings": {"kind": "ceilings", "data": {"copy_gb_per_second": 100.0, "pinned_gb_per_second": 9.0, "gemm_tflops": 7.0}},
         "parity": {"kind": "parity", "model": "x", "rms": 1.0, "rms_reference": 2.0, "most": 1, "most_reference": 1, "same": 3, "positions": 4, "passed": True},
         "bench": {"kind": "transformers", "model": "llama-3.2-1b", "data": {"first_token": 9.5, "decode": {"1": 33.0, "8": None}, "prefill": {"512": 44.0}}}}[verb]
open(a[a.index("--results") + 1], "a").write(json.dumps(value) + "\n")
if verb == "ceilings": open(a[a.index("--bandwidth-file") + 1], "w").write("100.00")
END
check all 1 --
whole
status tests 'failed \(1\)'
status sanitizers 'failed \(1\)'
for stage in facts smoke golden parity ceilings transformers-llama-3.1-8b; do status $stage passed; done
for model in llama-3.2-1b llama-3.1-8b; do
    for stage in make load decode prefill first-token cold; do status "$stage-$model" passed; done
done
for row in '| test rope | FAILED (1) |' '| test embed | passed |' '| sanitizer racecheck gate | FAILED (1) |' '| sanitizer memcheck device | passed |' \
    '| llama-3.2-1b | ring | read | warm |' '| llama-3.1-8b | auto | read | warm |' '| llama-3.1-8b | ring | read | cold |' \
    '| copy_gb_per_second | 100 |' '| x | 1 | 2 |.*passed' '| llama-3.2-1b | transformers | 1 | 33 |' '| llama-3.2-1b | transformers | 9.5 |'; do
    holds gpu_check.md "$row"
done
holds gpu_check.log "testing rope with $root/tests/data"
holds golden.txt golden
[ "$(grep -c . "$work/sanitized")" -eq 12 ] || bad "the sanitizers did not run 12 times"
[ "$(find "$work/all" -type f | wc -l)" -le 8 ] || bad "more files than a person wants to carry"
[ $failures -eq 0 ]
