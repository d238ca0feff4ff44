#!/usr/bin/env python3
"""Makes the parity fixtures under tests/parity: tiny checkpoints and what transformers computes with them.

    python scripts/make_parity.py                                    remakes everything
    python scripts/make_parity.py --family llama --case base         one case
    python scripts/make_parity.py --check                            compares the files on disk with fresh ones

Needs: pip install torch==2.15 transformers==5.24 safetensors (a CPU is enough).

For each case a checkpoint is drawn (parity/draw.py), written by transformers, respelled (parity/cases.py), run in
float32 (parity/reference.py), and then attacked: every tensor, every field of config.json and a few mistakes in the
forward must move the logits by ten tolerances (parity/sensitivity.py). The sampling table is parity/sampling.py's, and
caches of another type than the activations are parity/cache.py's.
tests/parity/README.md describes the files.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

from parity import cache, reference, sampling, sensitivity
from parity.cases import Case

ROOT = Path(__file__).resolve().parent.parent / "tests" / "parity"


def make(case: Case, root: Path) -> None:
    """Write one case below `root`, replacing what is there only once all of it is done."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        reference.write_checkpoint(case, directory)
        reference.write_expected(case, directory)
        if case.tensors_of:
            reference.check_same_tensors(case, directory, root)
        sensitivity.write(case, directory)
        target = root / case.family / case.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in directory.iterdir():
            shutil.copyfile(path, target / path.name)


def check_files(case: Case, fresh: Path, committed: Path) -> None:
    """The same files, the same text of JSON, the same tensors within the tolerance (ids exactly)."""
    names = sorted(path.name for path in fresh.iterdir())
    assert names == sorted(path.name for path in committed.iterdir()), f"{case.id}: files differ"
    for name in names:
        if name == "sensitivity.json":
            a, b = json.loads((fresh / name).read_text()), json.loads((committed / name).read_text())
            assert {key: list(a[key]) for key in a} == {key: list(b[key]) for key in b}, f"{case.id}: {name}"
        elif name.endswith(".json"):
            assert (fresh / name).read_text() == (committed / name).read_text(), f"{case.id}: {name}"
        else:
            check_tensors(f"{case.id}: {name}", load_file(fresh / name), load_file(committed / name))


def check_tensors(what: str, fresh: dict, committed: dict) -> None:
    assert fresh.keys() == committed.keys(), what
    for key, value in fresh.items():
        other = committed[key]
        assert value.dtype == other.dtype and value.shape == other.shape, f"{what}: {key}"
        limit = reference.TOLERANCE * value.abs().max().item() if value.is_floating_point() else 0
        assert (value.double() - other.double()).abs().max().item() <= limit, f"{what}: {key}"


def check(case: Case, root: Path, fresh_root: Path) -> None:
    """A fresh case equals the committed one, and the committed checkpoint gives the committed logits."""
    make(case, fresh_root)
    committed = root / case.family / case.name
    check_files(case, fresh_root / case.family / case.name, committed)
    ids, expected = reference.read_expected(committed)
    moved = reference.movement(expected, reference.logits(reference.load(committed), ids))
    assert moved <= 1, f"{case.id}: the committed checkpoint is off by {moved:.2g} tolerances"


def run(cases: list[Case], with_sampling: bool, with_cache: bool, checking: bool) -> None:
    with tempfile.TemporaryDirectory() as fresh:
        for case in cases:
            start = time.monotonic()
            if checking:
                if case.tensors_of:     # check_same_tensors() looks for it beside the fresh case
                    shutil.copytree(ROOT / case.family / case.tensors_of,
                                    Path(fresh) / case.family / case.tensors_of, dirs_exist_ok=True)
                check(case, ROOT, Path(fresh))
            else:
                make(case, ROOT)
            print(f"{case.id}: {'same' if checking else 'made'} in {time.monotonic() - start:.1f} s")
        if with_sampling:
            (sampling.check if checking else sampling.write)(ROOT / "sampling")
            print(f"sampling: {'same' if checking else 'made'}")
        if with_cache:
            (cache.check if checking else cache.write)(ROOT / "cache")
            print(f"cache: {'same' if checking else 'made'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", help="only this family; 'sampling' for the sampling table, 'cache' for caches of another type")
    parser.add_argument("--case", help="only this case")
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    cases = reference.selected(options.family, options.case)
    with_sampling = options.case is None and options.family in (None, "sampling")
    with_cache = options.case is None and options.family in (None, "cache")
    if not cases and not with_sampling and not with_cache:
        parser.error("no such case")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    try:
        run(cases, with_sampling, with_cache, options.check)
    except AssertionError as error:
        sys.exit(f"failed: {error}")


if __name__ == "__main__":
    main()
