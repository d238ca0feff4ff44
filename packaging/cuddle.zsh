#compdef cuddle
# What is offered is what `cuddle --help` and `cuddle VERB --help` list: there is no list to keep here.
local program=${words[1]/#\~\//$HOME/} line name value text
local -a match mbegin mend offered
if (( CURRENT == 2 )); then
    offered=(${(f)"$($program --help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  *\(.*\)/\1:\2/p')"})
    _describe verb offered
    return
fi
for line in ${(f)"$($program $words[2] --help 2>/dev/null </dev/null)"}; do
    [[ $line =~ '^  (--[a-z-]+)( ([^ ]+))?( +(.*))?$' ]] || continue
    name=$match[1] value=$match[3] text=${${match[5]//\[/\\[}//\]/\\]}
    case $value in
    '') offered+=("${name}[$text]") ;;
    *'|'*) offered+=("*$name=[$text]:value:(${${value//|/ }//\[:N\]/})") ;;
    *) offered+=("*$name=[$text]:$value: ") ;;
    esac
done
(( CURRENT-- ))
shift words
_arguments $offered '*:file:_files'
