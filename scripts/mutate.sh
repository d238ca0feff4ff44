#!/bin/bash
# Mutation testing: builds what scripts/mutate.py needs and runs it: it breaks the code one place at a time and sees whether the tests notice.
#   scripts/mutate.sh [--target cuda|host] [...]    options: scripts/mutate.py --help; default: cuda
# For the night, not for every change.
set -euo pipefail
cd "$(dirname "$0")/.."
presets=asan
case " $* " in *" --target host "* | *" --target=host "*) presets="host asan" ;; esac
for preset in $presets; do
    cmake --preset "$preset" --log-level=WARNING >/dev/null
    cmake --build --preset "$preset" --parallel "$(nproc)" >/dev/null
done
exec python3 scripts/mutate.py "$@"
