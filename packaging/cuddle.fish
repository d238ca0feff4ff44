# fish completion for cuddle. What is offered is what `cuddle --help` and `cuddle VERB --help` list: there is no list to keep here.
function __cuddle_verbs
    cuddle --help 2>/dev/null | string replace -rf '^  ([a-z][a-z-]*) +(.*)' '$1\t$2'
end
function __cuddle_help # of the verb that the command line has
    set -l words (commandline -opc)
    cuddle $words[2] --help 2>/dev/null </dev/null
end
function __cuddle_options
    __cuddle_help | string replace -rf '^  (--[a-z-]+)( [^ ]+)?( +(.*))?$' '$1\t$4'
end
function __cuddle_values # of the option before the cursor
    set -l words (commandline -opc)
    string match -qr -- '^--[a-z-]+$' $words[-1]; or return 1
    __cuddle_help | string replace -rf "^  $words[-1] ([^ ]+).*" '$1' | string replace '[:N]' '' | string split '|'
end
complete -c cuddle -f -n __fish_use_subcommand -a '(__cuddle_verbs)'
complete -c cuddle -f -n '__cuddle_values >/dev/null' -a '(__cuddle_values)'
complete -c cuddle -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(__cuddle_options)'
