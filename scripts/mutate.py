#!/usr/bin/env python3
"""Breaks the code one place at a time and sees whether its tests notice.

    scripts/mutate.py [--target cuda|host] [--check] [--family NAME] [--id ID] [--list] [--jobs N] [--sample N] [--variant NAME]

Targets (scripts/mutation/): `cuda`, the kernels on the emulated device, needs build/asan, built; `host`, the CPU's ops and the models, needs
build/host and build/asan. A mutant is one edit of one line: what holds the line is compiled with the build's own command lines into a scratch
folder, linked in front of the library into the tests of its family, and run in each variant of the build, the quickest first. It is killed by
the first run that fails, or that takes ten times what the true code does, which must pass before anything is mutated. A mutant that
does not compile does not count. Which places are tried is drawn by --seed, the same number (--sample) of each family (a few count double or
more), so that small families count as much as large ones. --id takes what a run prints, or "file:kind:code" as in the table of survivors.

--check fails unless 90 % are killed and the target's table (tests/emulation/mutants.md, tests/mutants.md) says why each survivor lives.
"""

import argparse
import concurrent.futures
import os
import random
import sys

from mutation import cuda, host
from mutation.run import Builder, time_limit, try_mutant
from mutation.target import ROOT

TARGETS = {"cuda": cuda.TARGET, "host": host.TARGET}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, default="cuda")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--family", action="append")
    parser.add_argument("--id", action="append")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--sample", type=int, help="mutants of each family (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", help="only this one")
    options = parser.parse_args()
    target = TARGETS[options.target]
    for name in options.family or []:
        if name not in target.families:
            parser.error(f"no family {name}, expected one of {', '.join(target.families)}")
    target.variants = [v for v in target.variants if options.variant in (None, v.name)] or parser.error(f"no variant {options.variant}")
    sample = target.sample if options.sample is None else options.sample
    work = []
    places = {}
    for family in options.family or target.families:
        chosen = sites = target.sites(family)
        places[family] = len(sites)
        if options.id:
            chosen = [s for s in sites if s.id in options.id or target.key(s) in options.id]
        elif sample:
            share = sample * target.families[family].share
            chosen = random.Random(f"{options.seed}:{family}").sample(sites, min(share, len(sites)))
        work += [(family, s) for s in chosen]
    if options.list:
        print(*(f"{s.id}  {s.new.strip()}" for _, s in work), sep="\n")
        return
    tests = {test for family, _ in work for test in target.families[family].tests}
    builder = Builder(target, tests)
    tally = {family: [0, 0, 0] for family in places}  # tried, compiled, killed
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        judges = {(test, v.name): v for family in {f for f, _ in work} for test in target.families[family].tests for v in target.judges(family)}
        limits = dict(pool.map(lambda pair: time_limit(target, judges[pair], pair[0]), sorted(judges)))
        runs = {pool.submit(try_mutant, builder, limits, *item): item[0] for item in work}
        for future in concurrent.futures.as_completed(runs):
            site, verdict, seconds = future.result()
            print(f"{site.id:48} {verdict:44} {seconds:6.1f} s", flush=True)
            compiled = verdict != "does not compile"
            if verdict == "survived":
                survivors.append(site)
            for i, one in enumerate((True, compiled, compiled and verdict != "survived")):
                tally[runs[future]][i] += one
    counted, killed = (sum(row[i] for row in tally.values()) for i in (1, 2))
    share = 100 * killed / counted if counted else 0
    for family, row in tally.items():
        if len(tally) > 1:
            print(f"{family:16} {places[family]:5} places, {row[0]:3} tried, {row[1]:3} compiled, {row[2]:3} killed")
    known = target.reasons()
    print(f"{sum(places.values())} places, {len(work)} tried, {counted} compiled, {killed} killed: {share:.1f} %")
    unexplained = [s for s in survivors if target.key(s) not in known]
    for site in sorted(survivors, key=lambda s: s.id):
        print(f"survivor {site.id}: {site.shown if target.table_shows_new else site.old.strip()}  [{known.get(target.key(site), 'NO REASON')}]")
    if options.check and (share < 90 or unexplained or not counted):
        sys.exit(f"failed: {share:.1f} % killed, {len(unexplained)} survivors without a reason in {target.table.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
