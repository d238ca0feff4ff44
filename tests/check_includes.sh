#!/bin/sh
# No folder includes what lies above it (ARCHITECTURE.md, "Layout"). Usage: check_includes.sh ROOT
set -eu
cd "$1"
failed=0

# check FOLDER ALLOWED...: quoted includes in FOLDER name a header of one of these folders of ours, or one of these headers.
check() {
    folder=$1
    shift
    test -d "$folder" || return 0
    allowed=" $* "
    for file in $(find "$folder" -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) | sort); do
        # shellcheck disable=SC2013 # names of headers have no spaces
        for name in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file"); do
            case $allowed in
            *" $name "* | *" ${name%%/*}/ "*) continue ;;
            esac
            test -f "$folder/$name" && continue # beside the file
            test "$file" = runtime/api/backends.c && case $name in cpu/cpu.h | cuda/module.h) continue ;; esac # the one file that names a backend
            echo "$file includes \"$name\"; $folder may include$allowed"
            failed=1
        done
    done
}

check runtime/core cuddle.h core/
check host/format cuddle.h core/ format/
check host/text cuddle.h core/ format/ text/
check host/jinja cuddle.h core/ format/ text/ jinja/
check host/grammar cuddle.h core/ format/ text/ grammar/
check host/cpu cuddle.h core/ cpu/
check cuda cuddle.h core/ cuda/
check runtime/models cuddle.h core/ format/ text/ models/
check runtime/engine cuddle.h core/ format/ text/ grammar/ models/ engine/
check runtime/tasks cuddle.h core/ format/ text/ grammar/ models/ engine/ tasks/
check runtime/api cuddle.h core/ format/ text/ jinja/ grammar/ models/ engine/ tasks/ api/
check runtime/cli cuddle.h cli/
check runtime/server cuddle.h server/
check runtime/hub cuddle.h hub/
exit $failed
