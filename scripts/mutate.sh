#!/bin/bash
# Mutation testing of the CUDA kernels: builds the tests that run on the emulated device, then breaks kernels one place at a time and sees
# whether they notice. Options: scripts/mutate.py --help. For the night, not for every change.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset asan --log-level=WARNING >/dev/null
cmake --build --preset asan --parallel "$(nproc)" >/dev/null
exec python3 scripts/mutate.py "$@"
