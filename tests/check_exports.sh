#!/bin/sh
# What libcuddle exports is what cuddle.h declares. Usage: check_exports.sh LIBRARY HEADER
set -eu
library=$1 header=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each declaration from CUDDLE_API to its semicolon on one line; its name is the first one that a parenthesis follows.
awk '/^CUDDLE_API / { inside = 1; text = "" } inside { text = text " " $0 } inside && /;/ { print text; inside = 0 }' "$header" |
    sed -n 's/^[^(]*[ *]\(cuddle_[a-z0-9_]*\)(.*$/\1/p' | sort >"$work/declared"
# A sanitizer's own symbols are not ours.
nm -D --defined-only "$library" | awk '{ sub(/@.*/, "", $NF); print $NF }' | grep -v -E '^__(asan|ubsan|tsan|odr_asan|lsan|sanitizer|interceptor)' |
    sort >"$work/exported" || true

test -s "$work/declared" || { echo "no declarations were found in $header"; exit 1; }
if ! diff "$work/declared" "$work/exported" >"$work/diff"; then
    sed -n -e 's/^< /declared in cuddle.h, but not exported: /p' -e 's/^> /exported, but not in cuddle.h: /p' "$work/diff"
    exit 1
fi
echo "$(wc -l <"$work/declared") functions are declared and exported"
