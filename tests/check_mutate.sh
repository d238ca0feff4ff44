#!/bin/sh
# scripts/mutate.py can still be relied upon: every file of every family has places, every test of the host's families exists, a mutant that
# its test must see is killed, and one that nothing can see survives and is reported. Runs in build/asan.
#   check_mutate.sh SOURCE_DIR
set -u
cd "$1" || exit 1
command -v python3 >/dev/null && command -v ninja >/dev/null || { echo "no python3 or no ninja" && exit 77; }
export PYTHONDONTWRITEBYTECODE=1
bad=0
fail() {
    echo "$*"
    bad=1
}

for target in cuda host; do
    listed=$(python3 scripts/mutate.py --target $target --list --sample 1) || fail "--target $target --list fails"
    [ "$(echo "$listed" | wc -l)" -ge 15 ] || fail "--target $target --list: too few families"
done
for name in $(grep -o '"test_[a-z0-9_]*"' scripts/mutation/host.py | tr -d '"' | sort -u); do
    [ -f "tests/$name.c" ] || fail "scripts/mutation/host.py names $name, which is no test"
done

# A vector too long for its buffer; a turn more with nothing left to do.
killed='host/cpu/gate.c:min64:const int64_t n = cud_max64(CUD_CPU_CHUNK, cols - c);'
survives='host/cpu/gate.c:less:for (int64_t c = 0; c <= cols; c += CUD_CPU_CHUNK) {'
out=$(python3 scripts/mutate.py --target host --variant asan --family gate --jobs 1 --check --id "$killed" --id "$survives" 2>&1)
[ $? -eq 1 ] || fail "--check passes with half of the mutants alive"
echo "$out" | grep -q ' 2 tried, 2 compiled, 1 killed: 50.0 %$' || fail "expected one of two killed:"
echo "$out" | grep -q '^host/cpu/gate.c:[0-9]*:min64:[0-9]* *test_gate asan ' || fail "expected test_gate to kill cud_max64:"
echo "$out" | grep -q '^survivor host/cpu/gate.c:[0-9]*:less:' || fail "expected c <= cols to survive:"
[ $bad -eq 0 ] || echo "$out"
exit $bad
