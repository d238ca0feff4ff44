# bash completion for cuddle. What is offered is what `cuddle --help` and `cuddle VERB --help` list: there is no list to keep here.
_cuddle()
{
    local program=${1/#~\//$HOME/} current=$2 option=$3 verb=${COMP_WORDS[1]} help values
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        help=$("$program" --help 2>/dev/null | sed -n 's/^  \(\(--\)\{0,1\}[a-z-]*\) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$help" -- "$current")
        return
    fi
    help=$("$program" "$verb" --help 2>/dev/null </dev/null)
    if [[ $current == "=" ]]; then # bash breaks words there
        current=""
    elif [[ $option == "=" ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $option =~ ^--[a-z-]+$ ]]; then
        values=$(sed -n "s/^  $option \([^ ]*\).*/\1/p" <<<"$help")
        if [[ $values == *"|"* ]]; then
            values=${values//"[:N]"/}
            mapfile -t COMPREPLY < <(compgen -W "${values//|/ }" -- "$current")
        fi
        if [[ $values ]]; then # it takes a value, and that is no file
            compopt +o default 2>/dev/null
            return
        fi
    fi
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help")" -- "$current")
    fi
}
complete -o default -F _cuddle cuddle
