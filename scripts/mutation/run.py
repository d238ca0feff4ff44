"""Building a mutant and asking its tests."""

import math
import os
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mutation.target import ROOT, Site, Target, Variant


def ninja(build: Path, *words: str) -> list[str]:
    return subprocess.run(["ninja", "-C", str(build), *words], capture_output=True, text=True, check=True).stdout.splitlines()


class Builder:
    """The command lines of a target's programs, and those who include a file."""

    def __init__(self, target: Target, tests: set[str]):
        self.target = target
        self.compile: dict[str, list[list[str]]] = {}
        self.link: dict[tuple[str, str], list[str]] = {}
        self.includers: dict[Path, set[str]] = {}  # file to objects of the first variant, whose names all variants share
        for variant in target.variants:
            lines: dict[str, None] = {}
            for test in tests:
                own = ninja(variant.build, "-t", "commands", variant.program.format(test))
                self.link[variant.name, test] = self.words(own[-1].split("&&")[1] if "&&" in own[-1] else own[-1])
                lines |= dict.fromkeys(line for line in own if " -c " in line)
            self.compile[variant.name] = [self.words(line) for line in lines]
        here = target.variants[0].build
        for line in ninja(here, "-t", "deps"):
            if not line.startswith(" ") and ":" in line:
                output = line.split(":")[0]
            elif line.strip():
                self.includers.setdefault(Path(os.path.normpath(here / line.strip())), set()).add(output)

    @staticmethod
    def words(line: str) -> list[str]:
        return [word for word in shlex.split(line) if word != "ccache"]

    def sources(self, family: str, file: str) -> list[str]:
        """What must be compiled when `file` has changed."""
        if self.target.families[family].sources:
            return self.target.families[family].sources
        before, after = self.target.variants[0].object.split("{}")
        objects = self.includers.get(self.target.root / file, set())
        return sorted(name.split(before)[1].removesuffix(after) for name in objects if before in name)

    def object(self, scratch: Path, variant: Variant, name: str) -> str | None:
        """The object whose name in the build ends so, of the scratch folder's sources. None if it does not compile."""
        words = list(next(line for line in self.compile[variant.name] if line[line.index("-o") + 1].endswith(name)))
        made = str(scratch / f"{variant.name}_{name.replace('/', '_')}")
        words[words.index("-o") + 1] = made
        for flag in ("-MF", "-MT"):
            if flag in words:
                words[words.index(flag) + 1] = made + ".d"
        words += [*variant.flags, "-w"]  # an unused variable is no reason to leave a mutant out
        for folder in self.target.copied:
            words = [word.replace(f"{ROOT}/{folder}", f"{scratch}/{folder}") for word in words]
        return None if subprocess.run(words, cwd=variant.build, capture_output=True).returncode else made

    def program(self, scratch: Path, variant: Variant, test: str, file: str, objects: list[str]) -> str | None:
        words = list(self.link[variant.name, test])
        own = f"{test}.dir/{test}.c.o"
        for i, word in enumerate(words):  # a header that the test itself includes
            if word.endswith(own) and word in self.includers.get(self.target.root / file, ()):
                words[i] = self.object(scratch, variant, own)
                if not words[i]:
                    return None
        at = words.index("-o")
        made = str(scratch / f"{test}_{variant.name}")
        words[at + 1] = made
        words[at:at] = objects  # before the library, which then has nothing to add
        subprocess.run(words, cwd=variant.build, check=True, capture_output=True)
        return made


@dataclass
class Limit:
    """Of one run: processor seconds, which a loop without end uses up, and waking seconds, for what waits for ever. Not the clock's: the
    machine may be busy, or asleep."""

    busy: float
    waking: float


def run(program: str, variant: Variant, schedule: dict[str, str], folder: Path, limit: Limit | None) -> int | str:
    """The exit status, or "failed" as soon as a test has, or "timeout"."""
    env = dict(os.environ, CK_FORK="no", CK_TAP_LOG_FILE_NAME="-", UBSAN_OPTIONS="halt_on_error=1",
               ASAN_OPTIONS="detect_stack_use_after_return=0:detect_leaks=0:hard_rss_limit_mb=8192") | schedule
    env.pop("CUDDLE_EMU_LAUNCH_LOG", None)
    bounds = [f"--cpu={math.ceil(limit.busy)}"] if limit else []
    bounds += [f"--as={16 << 30}"] if variant.memory else []
    with subprocess.Popen(["prlimit", *bounds, program] if bounds else [program], cwd=folder, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        done = threading.Event()
        late = threading.Event()

        def watch() -> None:
            waking = 0
            while not done.wait(1):
                waking += 1
                if limit and waking > limit.waking:
                    late.set()
                    process.kill()

        watcher = threading.Thread(target=watch)
        watcher.start()
        failed = any(line.startswith(b"not ok") for line in process.stdout)
        if failed:
            process.kill()
        code = process.wait()
        done.set()
        watcher.join()
    if late.is_set() or code in (-signal.SIGXCPU, -signal.SIGKILL) and not failed:
        return "timeout"
    return "failed" if failed else code


def time_limit(target: Target, variant: Variant, test: str) -> tuple[str, Limit]:
    """Ten times what it takes without a mutation. A program that fails then would call every mutant killed."""
    limit = Limit(target.seconds, 10 * target.seconds)
    for schedule in variant.schedules:
        began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as folder:
            code = run(str(variant.build / variant.program.format(test)), variant, schedule, Path(folder), None)
        if code != 0:
            raise SystemExit(f"{variant.program.format(test)} {schedule} fails without any mutation: {code}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # with what ended beside it: never too little
        limit.busy = max(limit.busy, 10 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime))
        limit.waking = max(limit.waking, 10 * (time.monotonic() - began))
    return f"{test} {variant.name}", limit


def try_mutant(builder: Builder, limits: dict[str, Limit], family: str, site: Site) -> tuple[Site, str, float]:
    """(site, verdict, seconds): what killed it, "survived", or "does not compile"."""
    target = builder.target
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in target.copied:
            shutil.copytree(ROOT / name, scratch / name)
        changed = scratch / target.root.relative_to(ROOT) / site.file
        lines = changed.read_text().splitlines()
        lines[site.number - 1] = site.new
        changed.write_text("\n".join(lines) + "\n")
        sources = builder.sources(family, site.file)
        for variant in target.judges(family):
            objects = [builder.object(scratch, variant, variant.object.format(source)) for source in sources]
            for test in target.families[family].tests:
                program = builder.program(scratch, variant, test, site.file, objects) if None not in objects else None
                if not program:
                    return site, "does not compile", time.monotonic() - began
                for schedule in variant.schedules:
                    code = run(program, variant, schedule, scratch, limits[f"{test} {variant.name}"])
                    if code != 0:
                        how = [*schedule.values(), "timeout" if code == "timeout" else ""]
                        return site, " ".join([test, variant.name, *filter(None, how)]), time.monotonic() - began
    return site, "survived", time.monotonic() - began
