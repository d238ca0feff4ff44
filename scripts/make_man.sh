#!/bin/bash
# The man page cuddle(1), from packaging/cuddle.1.in and what the program's --help says:
#   scripts/make_man.sh build/host/cuddle >packaging/cuddle.1
set -euo pipefail
program=$(realpath "${1:?the program}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$("$program" --version | cut -d' ' -f2)

# `cuddle VERB --help` as a section. The group of options that verbs have in common goes to a file of its own.
section() {
    awk -v shared="$work/shared" -v title="engine and model" '
        function quoted(text) { gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text); return text }
        function prose(text) { gsub(/\\/, "\\e", text); return text ~ /^[.'\'']/ ? "\\&" text : text }
        function put(text) { if (group == title) print text >shared; else print text }
        NR == 1 { sub(/^usage: /, ""); print ".SS " quoted($0); next }
        /^$/ { blank = 1; next }
        /^[a-z ]+:$/ {
            group = substr($0, 1, length($0) - 1)
            if (group == title) print ".PP\nTakes the engine and model options too."
            else if (group != "options") print ".PP\n" prose($0)
            next
        }
        /^  --help / { exit }
        /^  --/ {
            text = substr($0, 3)
            at = match(text, /  +/)
            head = at ? substr(text, 1, at - 1) : text
            space = index(head, " ")
            put(".TP")
            put("\\fB" quoted(space ? substr(head, 1, space - 1) : head) "\\fR" (space ? " \\fI" quoted(substr(head, space + 1)) "\\fR" : ""))
            if (at) put(prose(substr(text, at + RLENGTH)))
            next
        }
        /^ / { sub(/^ +/, ""); put(prose($0)); next }
        { if (blank && NR > 3) print ".PP"; blank = 0; print prose($0) }'
}
"$program" --help | sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r verb; do
    "$program" "$verb" --help | section
done >"$work/verbs"

sed -e "s/@VERSION@/$version/; s/@MAJOR@/${version%%.*}/" \
    -e "/^@VERBS@/{r $work/verbs
        d}" -e "/^@SHARED@/{r $work/shared
        d}" packaging/cuddle.1.in
