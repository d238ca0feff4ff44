#!/usr/bin/env python3
"""Breaks the CUDA kernels one place at a time and sees whether their tests notice.

    scripts/mutate.py [--check] [--family NAME] [--id ID] [--list] [--jobs N] [--sample N]

Needs build/asan, built. A mutant is one edit of one line: the kernels that hold the line are compiled with the emulation's flags into a
scratch folder, linked in front of the library into the tests of that family (FAMILIES), and run, the race build first: it compiles in a
quarter of the sanitizer build's time. It is killed by the first run that fails, or that takes ten times as long as with the true kernels,
which must pass before anything is mutated. A mutant that does not compile does not count. Which places are tried is drawn by --seed,
the same number (--sample) of each family, so that small families count as much as large ones.

--check fails unless 90 % are killed and tests/emulation/mutants.md says why each survivor lives.
"""

import argparse
import concurrent.futures
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "asan"
TABLE = ROOT / "tests" / "emulation" / "mutants.md"

# family: files that are mutated, sources to compile then, tests (without their variant)
FAMILIES = {
    "rmsnorm": (["rmsnorm.cu"], ["rmsnorm.cu"], ["test_op_rmsnorm"]),
    "layernorm": (["layernorm.cu"], ["layernorm.cu"], ["test_op_layernorm"]),
    "norm": (["norm.cuh"], ["rmsnorm.cu", "layernorm.cu"], ["test_op_rmsnorm", "test_op_layernorm"]),
    "embed": (["embed.cu"], ["embed.cu"], ["test_op_embed"]),
    "gather": (["gather.cu"], ["gather.cu"], ["test_op_gather"]),
    "gate": (["gate.cu", "activation.cuh"], ["gate.cu"], ["test_op_gate"]),
    "rope": (["rope.cu"], ["rope.cu"], ["test_op_rope"]),
    "log_softmax": (["log_softmax.cu"], ["log_softmax.cu"], ["test_op_log_softmax"]),
    "pooling": (["pooling.cu"], ["pooling.cu"], ["test_op_pooling"]),
    "sample": (["sample.cu", "sample.cuh"], ["sample.cu"], ["test_sample_cuda"]),
    "advance": (["advance.cu"], ["advance.cu"], ["test_sample_cuda", "test_device_engine"]),
    "linear_few": (["linear_few.cu"], ["linear_few.cu"], ["test_op_linear", "test_linear_cuda"]),
    "linear_skinny": (["linear_skinny.cu"], ["linear_skinny.cu"], ["test_op_linear", "test_linear_cuda"]),
    "linear_tiled": (["linear_tiled.cu"], ["linear_tiled.cu"], ["test_op_linear", "test_linear_cuda"]),
    "linear_blocks": (["linear_blocks.cu"], ["linear_blocks.cu"], ["test_op_linear", "test_linear_cuda"]),
    "linear": (["linear.cuh"], ["linear_skinny.cu", "linear_few.cu", "linear_tiled.cu", "linear_blocks.cu"], ["test_linear_cuda", "test_op_linear"]),
    # of all that include these, what is cheap and uses most of them
    "typed": (["typed.cuh"], ["gather.cu", "embed.cu", "rope.cu"], ["test_op_gather", "test_op_rope", "test_op_embed"]),
    "device": (["device.h"], ["log_softmax.cu", "rmsnorm.cu"], ["test_op_log_softmax", "test_op_rmsnorm"]),
    "attend": (["attend.cuh", "attend_plain.cuh", "attend_decode.cuh", "attend_prefill.cuh"], ["attend.cu"], ["test_op_attend"]),
}
# the schedules that CTest runs, tests/emulation/CMakeLists.txt
VARIANTS = {
    "emulated_race": [{}, {"CUDDLE_EMU_ORDER": "reverse"}],
    "emulated": [{}, {"CUDDLE_EMU_ORDER": "random", "CUDDLE_EMU_STREAMS": "random", "CUDDLE_EMU_SEED": "1"}],
}
SECONDS = 240  # of one run, at least

# kind, pattern, replacement
MUTATORS = [
    ("barrier", r"__syncthreads\(\);", ";"),
    ("warp-barrier", r"__syncwarp\(\);", ";"),
    ("copy-wait", r"dev_copy_async_wait<[^>]*>\(\);", ";"),
    ("less", r"(?<=[\w\])]) < (?=[\w(])", " <= "),
    ("less-equal", r"(?<=[\w\])]) <= (?=[\w(])", " < "),
    ("greater", r"(?<=[\w\])]) > (?=[\w(])", " >= "),
    ("greater-equal", r"(?<=[\w\])]) >= (?=[\w(])", " > "),
    ("plus-one", r"(?<=[\w\])]) \+ 1\b", " + 2"),
    ("minus-one", r"(?<=[\w\])]) - 1\b", " - 2"),
    ("plus", r"(?<=[\w\])]) \+ (?=[\w(])", " - "),
    ("minus", r"(?<=[\w\])]) - (?=[\w(])", " + "),
    ("times", r"(?<=[\w\])]) \* (?=[\w(])", " + "),
    ("remainder", r"(?<=[\w\])]) % (?=[\w(])", " / "),
    ("scale", r" \* [a-z.]*(scale|eps|inverse|factor|keep)\w*", ""),
    ("and", r" && ", " || "),
    ("or", r" \|\| ", " && "),
    ("guard", r"^(\s*)if \([^;]*\) (?:return|continue);", r"\1;"),
    ("min", r"\bmin\(", "max("),
    ("max", r"\bmax\(", "min("),
    ("maximum", r"\bfmaxf\(", "fminf("),
    ("zero", r"= 0\.0f;", "= 1.0f;"),
    ("all-lanes", r"\bDEV_ALL_LANES\b", "0x0fffffffu"),
]


def code_of(line: str) -> str:
    return line.split("/*")[0].split("//")[0]


def sites(family: str) -> list[tuple[str, int, str, str]]:
    """(id, line number, file, new line) of every mutation of device code."""
    found = []
    for name in FAMILIES[family][0]:
        inside = False  # of the part that launches kernels: plain host code
        comment = nvcc = False  # nvcc: what it alone sees
        seen: dict[str, int] = {}
        for number, line in enumerate((ROOT / "cuda" / name).read_text().splitlines(), 1):
            if line.startswith('extern "C"') or re.match(r"(static )?(inline )?(cudaError_t|cuddle_status|heads|bool)\b", line):
                inside = True
            elif re.match(r"(template|DEV_FN|__global__|struct|static __device__|/\*)", line):
                inside = False
            begins, ends = line.rfind("/*"), line.rfind("*/")
            was_comment, comment = comment, (begins > ends) if begins >= 0 else comment and ends < 0
            code = code_of(line)
            nvcc = line.startswith("#ifdef __CUDACC__") or (nvcc and not re.match(r"#(else|endif)", line))
            if inside or nvcc or was_comment or re.match(r"\s*(#|template|static_assert|\*|enum|typedef|using|constexpr)", code):
                continue
            for kind, pattern, replacement in MUTATORS:
                for match in re.finditer(pattern, code):
                    new = code[:match.start()] + match.expand(replacement) + line[match.end():]
                    key = f"{name}:{kind}:{' '.join(code.split())}"
                    seen[key] = seen.get(key, 0) + 1
                    found.append((f"{name}:{number}:{kind}:{match.start()}", number, name, new))
    return found


def commands(target: str) -> list[str]:
    out = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", target], capture_output=True, text=True, check=True).stdout
    return out.splitlines()


class Builder:
    def __init__(self, family: str):
        self.sources, self.tests = FAMILIES[family][1:]
        self.compile: dict[str, list[tuple[str, str]]] = {}
        self.link: dict[tuple[str, str], str] = {}
        for variant, library in zip(VARIANTS, ("emulated_kernels_race", "emulated_kernels")):
            lines = commands(f"tests/emulation/{self.tests[0]}_{variant}")
            self.compile[variant] = []
            for source in self.sources:
                wanted = f"{library}.dir/__/__/cuda/{source}.o "
                self.compile[variant].append((source, next(line for line in lines if wanted in line and " -c " in line)))
            for test in self.tests:
                self.link[test, variant] = commands(f"tests/emulation/{test}_{variant}")[-1]

    def objects(self, scratch: Path, variant: str) -> list[str] | None:
        made = []
        for source, line in self.compile[variant]:
            words = [w for w in shlex.split(line) if w != "ccache"]
            target = str(scratch / f"{variant}_{source}.o")
            words[words.index("-o") + 1] = target
            words[words.index("-c") + 1] = str(scratch / "cuda" / source)
            for flag in ("-MF", "-MT"):
                if flag in words:
                    words[words.index(flag) + 1] = target + ".d"
            words.append("-w")  # an unused variable is no reason to leave a mutant out
            words = [f"-I{scratch}/cuda" if w == f"-I{ROOT}/cuda" else w for w in words]
            if subprocess.run(words, cwd=BUILD, capture_output=True).returncode:
                return None
            made.append(target)
        return made

    def program(self, scratch: Path, test: str, variant: str, objects: list[str]) -> str:
        line = self.link[test, variant]
        line = line.split("&&")[1].strip() if "&&" in line else line
        words = [w for w in shlex.split(line) if w != "ccache"]
        at = words.index("-o")
        target = str(scratch / f"{test}_{variant}")
        words[at + 1] = target
        words[at:at] = objects
        subprocess.run(words, cwd=BUILD, check=True, capture_output=True)
        return target


def run(program: str, schedule: dict[str, str], folder: Path, limit: float | None) -> int | str:
    env = dict(os.environ, CK_FORK="no", UBSAN_OPTIONS="halt_on_error=1", ASAN_OPTIONS="detect_stack_use_after_return=0:detect_leaks=0")
    env.pop("CUDDLE_EMU_LAUNCH_LOG", None)
    try:
        return subprocess.run([program], cwd=folder, env=env | schedule, capture_output=True, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        return "timeout"


def true_kernels(tests: list[str]) -> dict[str, float]:
    """Seconds a program may take. A program that fails or skips without any mutation would call every mutant killed, or none."""
    limits = {}
    for test in tests:
        for variant, schedules in VARIANTS.items():
            for schedule in schedules:
                began = time.monotonic()
                code = run(str(BUILD / "tests" / "emulation" / f"{test}_{variant}"), schedule, BUILD, None)
                if code != 0:
                    sys.exit(f"{test}_{variant} {schedule} fails without any mutation: {code}")
                name = f"{test}_{variant}"
                limits[name] = max(limits.get(name, SECONDS), 10 * (time.monotonic() - began))
    return limits


def run_mutant(limits: dict[str, float], builder: Builder, mutant: tuple[str, int, str, str]) -> tuple[str, str, float]:
    """(id, verdict, seconds): what killed it, "survived", or "does not compile"."""
    name, number, file, new = mutant
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shutil.copytree(ROOT / "cuda", scratch / "cuda")
        lines = (scratch / "cuda" / file).read_text().splitlines()
        lines[number - 1] = new
        (scratch / "cuda" / file).write_text("\n".join(lines) + "\n")
        for variant in VARIANTS:
            objects = builder.objects(scratch, variant)
            if objects is None:
                return name, "does not compile", time.monotonic() - began
            for test in builder.tests:
                program = builder.program(scratch, test, variant, objects)
                for schedule in VARIANTS[variant]:
                    code = run(program, schedule, scratch, limits[f"{test}_{variant}"])
                    if code != 0:
                        how = [schedule.get("CUDDLE_EMU_ORDER", ""), "timeout" if code == "timeout" else ""]
                        return name, " ".join([f"{test}_{variant}", *filter(None, how)]), time.monotonic() - began
    return name, "survived", time.monotonic() - began


def line_of(mutant_id: str) -> str:
    file, number = mutant_id.split(":")[:2]
    return (ROOT / "cuda" / file).read_text().splitlines()[int(number) - 1].strip()


def reasons() -> dict[str, str]:
    """From the table of survivors: (kind, line of code) to reason."""
    if not TABLE.exists():
        return {}
    rows = re.findall(r"^\| `([^`]+)` \| ([\w-]+) \| `(.+?)` \| (.+?) \|$", TABLE.read_text(), re.M)
    return {f"{file}:{kind}:{code}": reason for file, kind, code, reason in rows}


def key_of(mutant_id: str) -> str:
    file, _, kind, _ = mutant_id.split(":")
    return f"{file}:{kind}:{line_of(mutant_id)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--id", action="append")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--sample", type=int, default=6, help="mutants of each family (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    work = []
    total = 0
    for family in options.family or FAMILIES:
        all_sites = sites(family)
        total += len(all_sites)
        if options.id:
            chosen = [s for s in all_sites if s[0] in options.id]
        elif options.sample:
            chosen = random.Random(f"{options.seed}:{family}").sample(all_sites, min(options.sample, len(all_sites)))
        else:
            chosen = all_sites
        if options.list:
            print(*(s[0] + "  " + s[3].strip() for s in chosen), sep="\n")
        elif chosen:
            builder = Builder(family)
            work += [(builder, s) for s in chosen]
    if options.list:
        return
    limits = true_kernels(sorted({test for builder, _ in work for test in builder.tests}))
    killed, survivors = 0, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run_mutant, limits, *w) for w in work]):
            name, verdict, seconds = future.result()
            print(f"{name:44} {verdict:48} {seconds:6.1f} s", flush=True)
            if verdict == "survived":
                survivors.append(name)
            elif verdict != "does not compile":
                killed += 1
    counted = killed + len(survivors)
    share = 100 * killed / counted if counted else 0
    known = reasons()
    print(f"{total} places, {len(work)} tried, {counted} compiled, {killed} killed: {share:.1f} %")
    unexplained = [s for s in survivors if key_of(s) not in known]
    for name in sorted(survivors):
        print(f"survivor {name}: {line_of(name)}  [{known.get(key_of(name), 'NO REASON')}]")
    if options.check and (share < 90 or unexplained or not counted):
        sys.exit(f"failed: {share:.1f} % killed, {len(unexplained)} survivors without a reason in {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
