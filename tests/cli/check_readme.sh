#!/bin/sh
# The C program in the README is examples/stream.c, and the two commands it names exist. Usage: check_readme.sh ROOT
set -eu
cd "$1"
failed=0
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md | cmp -s - examples/stream.c || {
    echo "the first C block of README.md differs from examples/stream.c"
    failed=1
}
for script in scripts/demo.sh scripts/test.sh; do
    grep -q "^$script\$" README.md || { echo "README.md does not show $script as a command"; failed=1; }
    test -x "$script" || { echo "$script is not executable"; failed=1; }
done
exit $failed
