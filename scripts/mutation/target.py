"""What can be mutated, and what says so: a target is some families of files with their tests, built in one or several variants."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

Replacement = str | Callable[[str], str]  # a template with \1 for groups, or a function of what was matched
Mutator = tuple[str, str, Replacement]  # kind, pattern, replacement


@dataclass
class Family:
    files: list[str]  # that are mutated, relative to the target's root
    tests: list[str]  # without their variant, the cheapest first
    sources: list[str] = field(default_factory=list)  # to compile then; none: all that include the file
    share: int = 1  # of the sample, for families of many places
    judges: tuple[str, ...] = ()  # variants whose tests are asked; none: all


@dataclass
class Variant:
    name: str
    build: Path
    object: str  # of a source, as the build calls it
    program: str  # of a test
    schedules: list[dict[str, str]]
    flags: list[str] = field(default_factory=list)  # for mutants, after the build's own
    memory: bool = True  # may be limited: not under AddressSanitizer, which reserves more than any machine has


@dataclass
class Site:
    """One mutation of one line."""

    file: str
    number: int
    kind: str
    column: int
    old: str
    new: str

    @property
    def id(self) -> str:
        return f"{self.file}:{self.number}:{self.kind}:{self.column}"

    @property
    def shown(self) -> str:
        """What the line becomes; what it was, if nothing is left of it."""
        return self.old.strip() if self.new.strip() in ("", ";") else self.new.strip()


@dataclass
class Target:
    root: Path
    copied: list[str]  # folders below ROOT that a mutant has a copy of
    families: dict[str, Family]
    variants: list[Variant]
    mutants_of: Callable[[str, str], list[Site]]  # of a file and its text
    table: Path  # of survivors
    table_shows_new: bool  # the mutated line, rather than the line as it is
    sample: int  # mutants of each family
    seconds: int  # of the processor for one run, at least

    def sites(self, family: str) -> list[Site]:
        found: list[Site] = []
        for name in self.families[family].files:
            places = self.mutants_of(name, (self.root / name).read_text())
            if not places:
                raise SystemExit(f"{name} of family {family} has nothing to mutate")
            found += places
        return found

    def judges(self, family: str) -> list[Variant]:
        return [v for v in self.variants if v.name in self.families[family].judges] or self.variants

    def key(self, site: Site) -> str:
        return f"{site.file}:{site.kind}:{site.shown if self.table_shows_new else site.old.strip()}"

    def reasons(self) -> dict[str, str]:
        """From the table of survivors."""
        text = self.table.read_text() if self.table.exists() else ""
        rows = re.findall(r"^\| `([^`]+)` \| ([\w-]+) \| `(.+?)` \| (.+?) \|$", text, re.M)
        return {f"{file}:{kind}:{code.replace(chr(92) + '|', '|')}": reason for file, kind, code, reason in rows}


# What C and CUDA have in common.
MUTATORS: list[Mutator] = [
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
]


def in_comment(line: str, was: bool) -> bool:
    """Whether a comment goes on after the line."""
    begins, ends = line.rfind("/*"), line.rfind("*/")
    return (begins > ends) if begins >= 0 else was and ends < 0


def code_of(line: str) -> str:
    return line.split("/*")[0].split("//")[0]


def mutate(file: str, number: int, line: str, mutators: list[Mutator], strings: bool = False) -> list[Site]:
    """Every mutation of one line of code. Patterns see into strings only if `strings`."""
    code = code_of(line)
    masked = code if strings else re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: '"' + "\1" * (len(m[0]) - 2) + '"', code)
    found = []
    for kind, pattern, replacement in mutators:
        for match in re.finditer(pattern, masked):
            if callable(replacement):
                new = replacement(code[match.start():match.end()])
            else:
                new = re.sub(r"\\(\d)", lambda group: code[slice(*match.span(int(group[1])))], replacement)
            if new != code[match.start():match.end()]:
                found.append(Site(file, number, kind, match.start(), line, code[:match.start()] + new + line[match.end():]))
    return found
