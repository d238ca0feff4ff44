#!/bin/sh
# Lists the kernels that the programs in a launch log contain and never launched. Usage: uncovered_kernels.sh LOG
# The log comes from running the race programs with CUDDLE_EMU_LAUNCH_LOG=LOG. Exit code 1 if there are any.
set -eu
log=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/all"
: >"$work/launched"
for program in $(cut -d' ' -f1 "$log" | sort -u); do
    # A function whose name ends in _kernel, with its template arguments: "rmsnorm_kernel<32>".
    nm -C --defined-only "$program" | grep -v ' emu::' | sed 's/, /,/g' | sed -nE 's/^0*([0-9a-f]+) [tTwW] (void )?(.*::)?([A-Za-z0-9_]+_kernel(<[^(]*>)?)\(.*$/\1 \4/p' | sort >"$work/symbols"
    cut -d' ' -f2 "$work/symbols" >>"$work/all"
    grep "^$program " "$log" | cut -d' ' -f2 | sed 's/^0x//' | sort -u >"$work/offsets"
    join "$work/offsets" "$work/symbols" | cut -d' ' -f2 >>"$work/launched"
done
sort -u "$work/all" >"$work/a"
sort -u "$work/launched" >"$work/b"
comm -23 "$work/a" "$work/b" >"$work/missing"
echo "$(wc -l <"$work/a") kernels, $(wc -l <"$work/missing") never launched"
cat "$work/missing"
test ! -s "$work/missing"
