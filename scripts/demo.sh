#!/bin/bash
# Builds cuddle and lets the demo checkpoint write verses. Further arguments go to `cuddle run`, e.g. --seed 7 --max-tokens 40.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_deps.sh
{
    cmake --preset host --log-level=WARNING
    cmake --build --preset host --parallel "$(nproc)" --target cuddle_program
} >&2
exec build/host/cuddle run tests/models/kjv-gpt2 "In the beginning" --echo --max-tokens 200 "$@"
