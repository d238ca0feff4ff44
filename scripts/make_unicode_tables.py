#!/usr/bin/env python3
"""Writes host/text/unicode_tables.c: what the reference implementation takes each character for.

The library `tokenizers` is built from several crates, each with the tables of another Unicode version, so no single version would do:
every character is asked about (made with tokenizers 0.23.3). Run it again when the reference changes its mind. Needs the package
unicodedata2 too, for what is newer than the reference's tables or older than this Python's.
    python scripts/make_unicode_tables.py
"""
import base64
import pathlib
import sys
import unicodedata

import tokenizers
import unicodedata2
from tokenizers import normalizers, pre_tokenizers

from charsmap import charsmap

OUT = pathlib.Path(__file__).resolve().parent.parent / "host" / "text" / "unicode_tables.c"
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
ACUTE, ZWJ, KA, VIRAMA, TA = "\u0301", "\u200d", "\u0915", "\u094d", "\u0924"
PICTOGRAPHS = ("\u00a9", "\u00ae")


def ranges(codes):
    out = []
    for c in sorted(codes):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def pieces(step, text):
    return len(step.pre_tokenize_str(text))


def simple_sets():
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    accents = normalizers.StripAccents()
    punctuation, digits, words = pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Whitespace()
    return {
        "punct": [c for c in CODES if pieces(punctuation, f"a{chr(c)}b") == 3],
        "numeric": [c for c in CODES if pieces(digits, f"a{chr(c)}b") == 3],
        "word": [c for c in CODES if pieces(words, f"a{chr(c)}b") == 1],
        "mark": [c for c in CODES if accents.normalize_str(f"a{chr(c)}b") == "ab"],
        "nonspacing": [c for c in CODES if strip.normalize_str(f"a{chr(c)}b") == "ab"],
        "control": [c for c in CODES if clean.normalize_str(f"a{chr(c)}b") == "ab"],
    }


def unnormalized():
    """Characters that decompose or have a combining class today and did not yet in the reference's tables."""
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    out = []
    for c in CODES:
        s = chr(c)
        if unicodedata2.normalize("NFKD", s) != s == nfkd(s):
            out.append(c)
        elif unicodedata2.combining(s) and c not in (0x334, 0x345):  # classes 1 and 240, the lowest and the highest
            if nfd(f"a{s}\u0334") == f"a{s}\u0334" and nfd(f"a\u0345{s}") == f"a\u0345{s}":
                out.append(c)
    return out


def new_capitals():
    """[begin, end, distance to the small letter], of those that an older library has none for."""
    lower = normalizers.Lowercase().normalize_str
    out = []
    for c in CODES:
        small = lower(chr(c))
        if small == chr(c) or unicodedata.category(chr(c)) != "Cn":
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == ord(small) - c:
            out[-1][1] = c
        else:
            out.append([c, c, ord(small) - c])
    return out


def scripts():
    """[begin, end, number]: 0 is for characters that go with every script."""
    step = pre_tokenizers.UnicodeScripts()
    any_script = {c for c in CODES if not pieces(step, chr(c))}
    found, out = [], []
    for begin, end in ranges(set(CODES) - any_script):
        at = 0
        for text, (first, last) in step.pre_tokenize_str("".join(map(chr, range(begin, end + 1)))):
            number = next((i for i, other in enumerate(found, 1) if pieces(step, other + text[0]) == 1), None)
            if number is None:
                found.append(text[0])
                number = len(found)
            assert first == at
            at = last
            if out and out[-1][1] == begin + first - 1 and out[-1][2] == number:
                out[-1][1] = begin + last - 1
            else:
                out.append([begin + first, begin + last - 1, number])
    return out


def grapheme_classes():
    """What a character does in a grapheme cluster, found through Precompiled, which replaces a cluster of less than six bytes as a
    whole by what its beginning maps to: a mark behind such a beginning goes if it belongs to the cluster and stays if it does not."""
    def step(keys):
        return normalizers.Precompiled(base64.b64decode(charsmap({key: "<" for key in keys}))).normalize_str

    classes = {}
    bmp = [chr(c) for c in CODES if 0 < c < 0x10000]
    after_a, after_c, acute = step("A"), step(PICTOGRAPHS[0]), step(PICTOGRAPHS[1])
    attached = {chr(c) for c in CODES if c and after_a("A" + chr(c)) == "<"}
    all_bmp = step([c for c in bmp if c not in attached])
    for c in attached - {ZWJ}:
        extends = acute(PICTOGRAPHS[0] + c + ZWJ + PICTOGRAPHS[1] + ACUTE).endswith(ACUTE)
        classes[c] = "EXTEND" if extends else "SPACING"
    joins = step([TA])
    for c in attached - {ZWJ}:
        if classes[c] == "EXTEND" and joins(KA + VIRAMA + c + TA + ACUTE).endswith(ACUTE):
            classes[c] = "CONJUNCT_LINKER" if joins(KA + c + TA + ACUTE).endswith(ACUTE) else "CONJUNCT_EXTEND"
    for c in map(chr, CODES):
        if c not in attached and after_c(PICTOGRAPHS[0] + ZWJ + c).startswith("<" + ZWJ):
            classes[c] = "PICTOGRAPH"
    for c in bmp:
        if c in attached or c in "\r\n" or c in classes:
            continue
        if not all_bmp(c + ACUTE) == "<":
            classes[c] = "CONTROL"
        elif all_bmp(c + "A") == "<":
            classes[c] = "PREPEND"
        elif all_bmp(KA + VIRAMA + c + ACUTE).endswith(ACUTE):
            classes[c] = "CONJUNCT_CONSONANT"
    for high in range(0x110, 0x120):  # of the four bytes long only those that begin a cluster with an ASCII character matter
        codes = [chr(c) for c in range(high << 8, (high + 1) << 8)]
        whole = step(codes)
        for c in codes:
            if c not in classes and whole(c + "A") == "<":
                classes[c] = "PREPEND"
    out = []
    for c in sorted(classes):
        if out and out[-1][1] == ord(c) - 1 and out[-1][2] == classes[c]:
            out[-1][1] = ord(c)
        else:
            out.append([ord(c), ord(c), classes[c]])
    return out


def table(kind, name, rows, field):
    lines, line = [], "   "
    for row in rows:
        text = f" {{ {', '.join(field(row))} }},"
        if len(line) + len(text) > 130:
            lines.append(line)
            line = "   "
        line += text
    return f"const {kind} cud_{name}[] = {{\n" + "\n".join(lines + [line]) + "\n};\n" + f"const size_t cud_{name}_count = sizeof cud_{name} / sizeof *cud_{name};\n"


def main():
    out = [f"/* Written by scripts/make_unicode_tables.py from what tokenizers {tokenizers.__version__} does with each character. Do not edit. */\n"
           '#include "text/unicode_tables.h"\n\n/* clang-format off */\n']
    for name, codes in simple_sets().items():
        out.append(table("cud_range", f"{name}_ranges", ranges(codes), lambda row: (hex(row[0]), hex(row[1]))))
    out.append(table("cud_range", "unnormalized_ranges", ranges(unnormalized()), lambda row: (hex(row[0]), hex(row[1]))))
    out.append(table("cud_class_range", "capital_ranges", new_capitals(), lambda row: (hex(row[0]), hex(row[1]), str(row[2]))))
    out.append(table("cud_class_range", "script_ranges", scripts(), lambda row: (hex(row[0]), hex(row[1]), str(row[2]))))
    out.append(table("cud_class_range", "grapheme_ranges", grapheme_classes(), lambda row: (hex(row[0]), hex(row[1]), "CUD_GRAPHEME_" + row[2])))
    OUT.write_text("\n".join(out))


if __name__ == "__main__":
    sys.exit(main())
