#!/usr/bin/env python3
"""Compares libcuddle's tokenizers with the PyPI package `tokenizers` on generated strings: ids, offsets, the mask of special tokens,
decoded text with and without special tokens, and the decoding as a stream.

    python scripts/compare_tokenizers.py [--library build/host/libcuddle.so] [--strings 1000] [--seed 1] [--only NAME] [PATH ...]

PATH is a tokenizer.json or a directory with one. They are compared beside tests/tokenizers/* and combinations of components that are
made here. Prints one line per tokenizer and the first differences of each; exits 1 if there is any.
"""
import argparse
import ctypes
import json
import os
import pathlib
import random
import sys
import tempfile
import unicodedata

from tokenizers import Tokenizer

import make_tokenizer_fixtures as fixtures
from charsmap import charsmap

ROOT = pathlib.Path(__file__).resolve().parent.parent


# ---- libcuddle ----

class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 252)]


class Encoding(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("ids", ctypes.POINTER(ctypes.c_int32)), ("begin", ctypes.POINTER(ctypes.c_size_t)),
                ("end", ctypes.POINTER(ctypes.c_size_t)), ("special", ctypes.POINTER(ctypes.c_uint8))]


class Failed(Exception):
    pass


class Cuddle:
    """A tokenizer of the library."""
    lib = None

    def __init__(self, path):
        self.t = ctypes.c_void_p()
        self.err = Error()
        self.call("cuddle_tokenizer_load", ctypes.byref(self.t), str(path).encode())

    def call(self, name, *args):
        if getattr(self.lib, name)(*args, ctypes.byref(self.err)):
            raise Failed(self.err.text.decode())

    def encode(self, text, special):
        data = text.encode()
        e = ctypes.POINTER(Encoding)()
        self.call("cuddle_tokenize", ctypes.byref(e), self.t, data, ctypes.c_size_t(len(data)), 0 if special else 1)
        n, c = e.contents.count, e.contents
        result = (c.ids[:n], list(zip(c.begin[:n], c.end[:n])), c.special[:n])
        self.lib.cuddle_encoding_free(e)
        return result

    def decode(self, ids, skip):
        text, length = ctypes.c_void_p(), ctypes.c_size_t()
        array = (ctypes.c_int32 * len(ids))(*ids)
        self.call("cuddle_detokenize", ctypes.byref(text), ctypes.byref(length), self.t, array, ctypes.c_size_t(len(ids)), int(skip))
        result = ctypes.string_at(text, length.value)
        self.lib.cuddle_text_free(text)
        return result

    def stream(self, ids, skip):
        d, piece, length, out = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t(), b""
        self.call("cuddle_detokenizer_new", ctypes.byref(d), self.t, int(skip))
        for id_ in ids:
            self.call("cuddle_detokenizer_push", d, ctypes.c_int32(id_), ctypes.byref(piece), ctypes.byref(length))
            out += ctypes.string_at(piece, length.value)
        self.call("cuddle_detokenizer_finish", d, ctypes.byref(piece), ctypes.byref(length))
        out += ctypes.string_at(piece, length.value)
        self.lib.cuddle_detokenizer_free(d)
        return out

    def free(self):
        self.lib.cuddle_tokenizer_free(self.t)


def open_library(path):
    lib = ctypes.CDLL(str(path))
    for name in ("cuddle_encoding_free", "cuddle_text_free", "cuddle_detokenizer_free", "cuddle_tokenizer_free"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
        getattr(lib, name).restype = None
    Cuddle.lib = lib


# ---- strings ----

SPACES = " \t\n\r\u000b\u000c\u0085\u00a0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u180e\u200b"
MARKS = "\u0300\u0301\u0302\u0323\u0327\u0338\u20dd\u093c\u094d\u0dcf\u3099\u309a\ufe0f\u200d\u0345\u05bf"
EMOJI = ["\U0001f917", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f4bb", "\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\u00a9\u200d\u00ae", "1\ufe0f\u20e3"]
BLOCKS = [(0x20, 0x7e), (0xa0, 0x24f), (0x370, 0x3ff), (0x400, 0x52f), (0x590, 0x6ff), (0x900, 0x97f), (0x980, 0xdff), (0xe00, 0xfff), (0x1000, 0x10ff), (0x1100, 0x11ff),
          (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2100, 0x2bff), (0x2e80, 0x30ff), (0x3200, 0x33ff), (0x3400, 0x9fff), (0xac00, 0xd7fb), (0xf900, 0xfaff), (0xfb00, 0xffff)]


def any_char(rng):
    while True:
        c = rng.randrange(rng.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000]))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def part(rng, tokens):
    kind = rng.randrange(12)
    if kind < 3:
        return rng.choice(tokens)
    if kind < 5:
        return rng.choice(fixtures.TEXTS + fixtures.NASTY)[rng.randrange(8):][:rng.randrange(1, 12)]
    if kind == 5:
        return rng.choice(SPACES) * rng.randrange(1, 4)
    if kind == 6:
        return rng.choice("aeon\u0438\u3042\u0915") + "".join(rng.choice(MARKS) for _ in range(rng.randrange(4)))
    if kind == 7:
        return rng.choice(EMOJI)
    if kind == 8:
        begin, end = rng.choice(BLOCKS)
        return "".join(chr(rng.randint(begin, end)) for _ in range(rng.randrange(1, 8)))
    if kind == 9:
        return "".join(any_char(rng) for _ in range(rng.randrange(1, 4)))
    if kind == 10:
        return rng.choice(".,!?'\"-_#$%&()|<>/\\") * rng.randrange(1, 3)
    return rng.choice("ab1 ") * rng.choice([1, 2, 3, 30])


def make_strings(rng, tokens, count):
    yield from fixtures.TEXTS + fixtures.NASTY
    for _ in range(count):
        yield "".join(part(rng, tokens) for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 8, 13])))


# ---- combinations ----

def combinations(count):
    """Every component and option at least once, in company of random others."""
    alphabet = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    special = [{"id": None, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for c in ("[CLS]", "[SEP]")]
    base = [json.loads(t.to_str()) for t in (
        fixtures.wordpiece_model(), fixtures.wordlevel_model(), fixtures.unigram_model(), fixtures.unigram_model(True), fixtures.sentencepiece(), fixtures.byte_level())]
    everything = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": True, "ignore_merges": False, "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}
    letters = [d["model"] for d in base] + [everything, {**base[0]["model"], "continuing_subword_prefix": "", "max_input_chars_per_word": 5}]

    def bert(clean, ideographs, accents, lower):
        return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": ideographs, "strip_accents": accents, "lowercase": lower}

    def sequence(key, *items):
        return {"type": "Sequence", key: list(items)}

    def split(behavior, invert=False, **pattern):
        return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}

    charmap = {"type": "Precompiled", "precompiled_charsmap": charsmap(fixtures.RULES)}
    normal = [None, bert(True, True, None, True), bert(True, False, False, False), bert(False, True, False, False), bert(False, False, True, False), bert(False, False, False, True),
              {"type": "Nmt"}, charmap, sequence("normalizers", {"type": "Nmt"}, charmap, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
              *({"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")), {"type": "Strip", "strip_left": True, "strip_right": True},
              {"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Prepend", "prepend": "x"}, {"type": "Replace", "pattern": {"String": "e"}, "content": "EE"},
              sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"}, charmap)]
    meta = [{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": cut} for scheme in ("always", "first", "never") for cut in (True, False)]
    pre = [None, {"type": "BertPreTokenizer"}, {"type": "UnicodeScripts"}, {"type": "FixedLength", "length": 4}, {"type": "FixedLength"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
           {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False}, {"type": "CharDelimiterSplit", "delimiter": "e"}, alphabet,
           {**alphabet, "add_prefix_space": False, "use_regex": False}, *meta, *({"type": "Punctuation", "behavior": b} for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")),
           *(split(b, i, Regex="[aeiou]+|\\s") for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for i in (False, True)),
           sequence("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "UnicodeScripts"}, {"type": "Digits", "individual_digits": True}),
           sequence("pretokenizers", {"type": "UnicodeScripts"}, meta[1]), sequence("pretokenizers", {"type": "BertPreTokenizer"}, {"type": "FixedLength", "length": 2})]
    ends = {"sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}
    process = [None, {"type": "BertProcessing", **ends}, *({"type": "RobertaProcessing", **ends, "trim_offsets": t, "add_prefix_space": a} for t in (True, False) for a in (True, False)),
               {**alphabet, "trim_offsets": True, "add_prefix_space": False}, alphabet,
               sequence("processors", alphabet, {"type": "BertProcessing", **ends}), sequence("processors", {"type": "BertProcessing", **ends}, {"type": "RobertaProcessing", **ends, "trim_offsets": True, "add_prefix_space": True})]
    decode = [None, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "WordPiece", "prefix": "", "cleanup": False}, {"type": "WordPiece", "prefix": "a", "cleanup": True},
              {"type": "BPEDecoder", "suffix": "e"}, {"type": "CTC", "pad_token": "a", "word_delimiter_token": "e", "cleanup": True}, {"type": "CTC", "pad_token": "", "word_delimiter_token": "|", "cleanup": False},
              {"type": "ByteFallback"}, alphabet, {"type": "Fuse"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
              sequence("decoders", {"type": "ByteFallback"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "Replace", "pattern": {"String": "the"}, "content": "T"}),
              sequence("decoders", {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "BPEDecoder", "suffix": " "}, {"type": "CTC", "pad_token": "i", "word_delimiter_token": "s", "cleanup": True}),
              sequence("decoders", {"type": "Fuse"}, {"type": "CTC", "pad_token": "a", "word_delimiter_token": "e", "cleanup": True}),
              sequence("decoders", {"type": "CTC", "pad_token": "a", "word_delimiter_token": "e", "cleanup": True}, {"type": "BPEDecoder", "suffix": "i"})]
    rng = random.Random(7)
    lists = [letters, normal, pre, process, decode]
    orders = [rng.sample(range(len(l)), len(l)) for l in lists]
    for i in range(count):
        model, normalizer, pre_tokenizer, processor, decoder = (l[o[i % len(l)]] if i < 2 * len(l) else rng.choice(l) for l, o in zip(lists, orders))
        document = {**base[0], "added_tokens": special, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": processor, "decoder": decoder, "model": model}
        if model["type"] == "Unigram":
            known = {token: id_ for id_, (token, _) in enumerate(model["vocab"])}
        else:
            known = model["vocab"]
        used = len(known)
        for token in special:
            token["id"] = known.get(token["content"], used)
            used += token["id"] == used
        names = [(c or {"type": "-"})["type"] for c in (model, normalizer, pre_tokenizer, processor, decoder)]
        yield f"{i:02} " + " ".join(names), json.dumps(document)


# ---- comparing ----

def attempt(call, *args):
    try:
        return call(*args)
    except Failed as error:
        return f"failed: {error}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None  # the reference gives up; what we do then is our own business


def byte_offsets(text, encoding):
    at = [0]
    for char in text:
        at.append(at[-1] + len(char.encode()))
    return [(at[a], at[b]) for a, b in encoding.offsets]


def compare(name, document, count, seed, show):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        path.write_text(document)
        reference = Tokenizer.from_str(document)
        reference.no_truncation()
        reference.no_padding()
        ours = Cuddle(path)
    rng = random.Random(f"{seed} {name}")
    size = reference.get_vocab_size()
    tokens = sorted(reference.get_vocab())
    strings = skipped = 0
    different = dict.fromkeys(["ids", "offsets", "special", "text", "stream"], 0)

    def differs(what, *values):
        different[what] += 1
        if sum(different.values()) <= show:
            print(f"  {what}: " + " | ".join(ascii(v) if isinstance(v, (str, bytes)) else str(v) for v in values))

    # Regular expressions run in another engine here, whose \\p{L} may be of another Unicode version than the reference's.
    settled = '"Regex"' in document or '"use_regex":true' in document.replace(" ", "")
    for text in make_strings(rng, tokens, count):
        if settled:
            text = "".join(c for c in text if unicodedata.category(c) != "Cn")
        strings += 1
        for special in (True, False):
            want = attempt(lambda: reference.encode(text, add_special_tokens=special))
            if want is None:
                skipped += 1
                continue
            got = attempt(ours.encode, text, special)
            if isinstance(got, str):
                differs("ids", text, want.ids, got)
                continue
            if got[0] != want.ids:
                differs("ids", text, want.ids, got[0])
            elif got[1] != byte_offsets(text, want):
                differs("offsets", text, byte_offsets(text, want), got[1])
            elif got[2] != want.special_tokens_mask:
                differs("special", text, want.special_tokens_mask, got[2])
        ids = want.ids if want and rng.randrange(2) else [rng.randrange(size + 2) for _ in range(rng.randrange(12))]
        for skip in (False, True):
            want_text = attempt(lambda: reference.decode(ids, skip_special_tokens=skip))
            got_text = attempt(ours.decode, ids, skip)
            if want_text is None:
                skipped += 1
            elif isinstance(got_text, str) or got_text != want_text.encode():
                differs("text", ids, want_text, got_text)
            if not isinstance(got_text, str) and attempt(ours.stream, ids, skip) != got_text:
                differs("stream", ids, got_text)
    ours.free()
    found = sum(different.values())
    print(f"{name}: {strings} strings, {skipped} that the reference fails on, {found} differences"
          + (" (" + ", ".join(f"{v} {k}" for k, v in different.items() if v) + ")" if found else ""), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=pathlib.Path)
    parser.add_argument("--library", default=ROOT / "build" / "host" / "libcuddle.so")
    parser.add_argument("--strings", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--combinations", type=int, default=64)
    parser.add_argument("--show", type=int, default=3, help="differences to print for each tokenizer")
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--shard", default="0/1", metavar="I/N", help="of the tokenizers every N-th one from the I-th on")
    args = parser.parse_args()
    open_library(args.library)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    jobs = []
    for path in sorted((ROOT / "tests" / "tokenizers").iterdir()) + args.paths:
        file = path / "tokenizer.json" if path.is_dir() else path
        if path not in args.paths and not file.exists():
            continue  # vocabulary files alone: made by transformers, not by `tokenizers`
        jobs.append((file.parent.name, file.read_text()))
    jobs += combinations(args.combinations)
    jobs = [job for job in jobs if args.only in job[0]]
    first, step = map(int, args.shard.split("/"))
    jobs = jobs[first::step]
    failed = [name for name, document in jobs if compare(name, document, args.strings, args.seed, args.show)]
    print(f"{len(jobs)} tokenizers, {args.strings} strings each: " + (f"{len(failed)} differ: {', '.join(failed)}" if failed else "no difference"))
    return bool(failed) or not jobs


if __name__ == "__main__":
    sys.exit(main())
