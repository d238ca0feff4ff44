#!/bin/bash
# The man page and the shells' completions have the verbs and options that --help has. Usage: test_help.sh SOURCE CUDDLE
set -u
source=$1 program=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
same() { # WHAT, EXPECTED and FOUND being lists in files
    sort -u "$work/expected" >"$work/a" && sort -u "$work/found" >"$work/b"
    if ! [ -s "$work/a" ] || ! diff "$work/a" "$work/b" >"$work/diff"; then
        echo "FAIL $1 (<: in --help, >: offered)" && grep '^[<>]' "$work/diff"
        failures=$((failures + 1))
    fi
}

mkdir "$work/bin" && ln -s "$program" "$work/bin/cuddle" && export PATH="$work/bin:$PATH"
verbs=$(cuddle --help | sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
options() { cuddle "$1" --help | grep -oE '^  --[a-z-]+' | tr -d ' '; }
values() { cuddle "$1" --help | sed -n 's/^  --log \([a-z|]*\).*/\1/p' | tr '|' '\n'; }

# ------------------------------------------------------------------------------------------------------- cuddle(1)
man=$source/packaging/cuddle.1
"$source/scripts/make_man.sh" "$program" | diff "$man" - >"$work/diff" || {
    echo "FAIL cuddle.1 is not what the program says: scripts/make_man.sh $program >packaging/cuddle.1" && head -20 "$work/diff"
    failures=$((failures + 1))
}
bold() { grep -oE '^\\fB\\-\\-[^ ]+\\fR' | sed 's/^\\fB//; s/\\fR$//; s/\\//g'; }
for verb in $verbs; do
    options "$verb" >"$work/expected"
    awk -v verb="$verb" '/^\.S[SH]/ { inside = $2 == "cuddle" && $3 == verb } inside' "$man" >"$work/section"
    {
        bold <"$work/section"
        if grep -q 'engine and model options' "$work/section"; then sed -n '/^.SH ENGINE AND MODEL/,/^.SH EXIT/p' "$man" | bold; fi
        echo --help # is said once, above
    } >"$work/found"
    same "cuddle.1: options of $verb"
done
for page in cuddle.1 libcuddle.3; do
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$source/packaging/$page" | grep -v 'missing date' && failures=$((failures + 1))
    fi
done
# libcuddle(3) names functions: they exist.
grep -oE 'cuddle_[a-z_]+ ?"?\(' "$source/packaging/libcuddle.3" | tr -d ' "(' | while read -r name; do
    grep -q -E "CUDDLE_API .*\b$name\(" "$source/include/cuddle.h" || echo "$name"
done >"$work/unknown"
[ ! -s "$work/unknown" ] || { echo "FAIL libcuddle.3 names what cuddle.h does not have: $(cat "$work/unknown")" && failures=$((failures + 1)); }

# -------------------------------------------------------------------------------------------------------------- bash
in_bash() { # WORD... the last one being completed
    bash --norc -c '
        source "$1" && shift
        compopt() { :; } # which needs a completion that bash began
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _cuddle "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$source/packaging/cuddle.bash" "$@"
}

# --------------------------------------------------------------------------------------------------------------- zsh
in_zsh() { # zsh's own functions, which begin where this one ends, tell what they are given
    zsh -f -c '
        _describe() { print -l -- ${${(P)2}%%:*} }
        _arguments() { print -l -- "$@" }
        functions[_cuddle]="$(<$1)"
        shift
        words=("$@") CURRENT=$#
        _cuddle' zsh "$source/packaging/cuddle.zsh" "$@"
}

# -------------------------------------------------------------------------------------------------------------- fish
# shellcheck disable=SC2016 # fish's own variables
in_fish() { fish -N -c 'source $argv[1]; complete -C $argv[2]' "$source/packaging/cuddle.fish" "$*" | cut -f1; }

for shell in bash zsh fish; do
    command -v $shell >/dev/null || { echo "skipped: no $shell" && continue; }
    {
        echo "$verbs"
        [ $shell = fish ] || printf -- '--help\n--version\n'
    } >"$work/expected"
    in_$shell cuddle "" >"$work/found"
    same "$shell: verbs"
    for verb in $verbs; do
        options "$verb" >"$work/expected"
        in_$shell cuddle "$verb" -- >"$work/found"
        [ $shell != zsh ] || sed -i -nE 's/^\*?(--[a-z-]+).*/\1/p' "$work/found"
        same "$shell: options of $verb"
    done
    values run >"$work/expected"
    if [ $shell = zsh ]; then in_zsh cuddle run m --log "" | sed -n 's/^\*--log=.*:value:(\(.*\))$/\1/p' | tr ' ' '\n'; else
        in_$shell cuddle run m --log ""
    fi >"$work/found"
    same "$shell: values of --log"
done

# bash breaks words at "=", and finishes a word that was begun.
printf 'cpu\ncuda\n' >"$work/expected" && in_bash cuddle run m --device = c >"$work/found" && same "bash: --device=c"
echo --temperature >"$work/expected" && in_bash cuddle run m --te >"$work/found" && same "bash: --te"
in_bash cuddle run m --top-k "" >"$work/found" # a number: nothing to offer
[ -z "$(cat "$work/found")" ] || { echo "FAIL bash: --top-k offers $(cat "$work/found")" && failures=$((failures + 1)); }
[ $failures -eq 0 ]
