#!/bin/sh
# What golden writes it finds equal, and one bit, one word or one section that is not the same it finds.
# Usage: test_golden.sh GOLDEN
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" write "$work/golden.txt" >"$work/log" || { cat "$work/log" && exit 1; }
"$1" compare "$work/golden.txt" || { echo "FAIL: it differs from itself" && exit 1; }
failures=0
red() { # WHAT: the altered file must be found wrong
    if "$1" compare "$work/altered.txt" >"$work/log"; then
        echo "FAIL: not found: $2"
        failures=1
    fi
}
for section in ldmatrix "mma bf16 ldmatrix.trans" "mma f16 from memory" conversions exp_fast "cp.async of 16 bytes, 130 floats" atomics; do
    awk -v name="section $section:" 'index($0, name) == 1 { print; getline; first = substr($0, 1, 1); $0 = (first == "4" ? "b" : "4") substr($0, 2) } { print }' \
        "$work/golden.txt" >"$work/altered.txt"
    cmp -s "$work/golden.txt" "$work/altered.txt" && echo "FAIL: there is no section $section" && failures=1
    red "$1" "a word of $section"
done
sed '/^section atomics/,$d' "$work/golden.txt" >"$work/altered.txt"
red "$1" "missing sections"
sed 's/^section atomics: 6/section atomics: 5/' "$work/golden.txt" >"$work/altered.txt"
red "$1" "a section of another length"
"$1" compare "$work/none" >"$work/log"
[ $? -eq 77 ] || { echo "FAIL: a missing file is not skipped" && failures=1; }
exit $failures
