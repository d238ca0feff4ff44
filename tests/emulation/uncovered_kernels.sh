#!/bin/sh
# Lists the kernels that programs contain and never launched; exit code 1 if there are any. Usage: uncovered_kernels.sh LOGS [EXCEPT]
# LOGS: a file that CUDDLE_EMU_LAUNCH_LOG named when the race programs ran, or a folder of them. EXCEPT: names that do not count.
set -eu
except=${2:-^$}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$1" -type f -exec cat {} + >"$work/log"
: >"$work/all"
: >"$work/launched"
for program in $(cut -d' ' -f1 "$work/log" | sort -u); do
    # A function whose name ends in _kernel, with its template arguments: "rmsnorm_kernel<32>".
    "${NM:-nm}" -C --defined-only "$program" | grep -v ' emu::' | sed 's/, /,/g' |
        sed -nE 's/^0*([0-9a-f]+) [tTwW] (void )?(.*::)?([A-Za-z0-9_]+_kernel(<[^(]*>)?)\(.*$/\1 \4/p' | sort >"$work/symbols"
    cut -d' ' -f2 "$work/symbols" >>"$work/all"
    grep "^$program " "$work/log" | cut -d' ' -f2 | sed 's/^0x//' | sort -u >"$work/offsets"
    join "$work/offsets" "$work/symbols" | cut -d' ' -f2 >>"$work/launched"
done
sort -u "$work/all" >"$work/a"
sort -u "$work/launched" >"$work/b"
comm -23 "$work/a" "$work/b" | grep -Ev -- "$except" >"$work/missing" || true
echo "$(wc -l <"$work/a") kernels, $(wc -l <"$work/b") launched, $(wc -l <"$work/missing") missing"
cat "$work/missing"
test -s "$work/b" # or nothing was looked at
test ! -s "$work/missing"
