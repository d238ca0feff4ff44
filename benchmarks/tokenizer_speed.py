#!/usr/bin/env python3
"""Encoding speed beside the `tokenizers` package, in one interleaved run: tokenizer_speed.py LIBCUDDLE TEXT TOKENIZER...

LIBCUDDLE is libcuddle.so, TEXT a file of UTF-8 text, each TOKENIZER a tokenizer.json or a folder that holds one. Needs `tokenizers`. TEXT is cut
into documents of about --document bytes; each round encodes all of them once with each library, on one thread, one call a document, special
tokens off, and the ids must be the same. Printed are medians of the rounds in 1e6 bytes a second, and the median of the rounds' ratios. Loading
is timed the same way, in rounds of its own."""

import argparse
import ctypes
import os
import platform
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402  (reads the environment)


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 252)]


class Encoding(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("ids", ctypes.POINTER(ctypes.c_int32))]


class Cuddle:
    def __init__(self, path: str):
        self.lib = ctypes.CDLL(path)
        self.lib.cuddle_version.restype = ctypes.c_char_p
        self.lib.cuddle_tokenizer_free.argtypes = [ctypes.c_void_p]
        self.lib.cuddle_tokenize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p]
        self.lib.cuddle_encoding_free.argtypes = [ctypes.c_void_p]

    def load(self, path: str) -> ctypes.c_void_p:
        err, out = Error(), ctypes.c_void_p()
        if self.lib.cuddle_tokenizer_load(ctypes.byref(out), path.encode(), ctypes.byref(err)):
            sys.exit(f"{path}: {err.text.decode()}")
        return out

    def encode(self, tokenizer: ctypes.c_void_p, documents: list[bytes], keep: list | None) -> float:
        err, out, total = Error(), ctypes.POINTER(Encoding)(), 0.0
        for text in documents:
            began = time.perf_counter()
            status = self.lib.cuddle_tokenize(ctypes.byref(out), tokenizer, text, len(text), 1, ctypes.byref(err))
            total += time.perf_counter() - began
            if status:
                sys.exit(err.text.decode())
            if keep is not None:
                keep.append(out.contents.ids[: out.contents.count])
            self.lib.cuddle_encoding_free(out)
        return total


def reference(tokenizer: tokenizers.Tokenizer, documents: list[str], keep: list | None) -> float:
    total = 0.0
    for text in documents:
        began = time.perf_counter()
        encoding = tokenizer.encode(text, add_special_tokens=False)
        total += time.perf_counter() - began
        if keep is not None:
            keep.append(encoding.ids)
    return total


def documents_of(path: str, size: int) -> list[str]:
    with open(path, encoding="utf-8-sig") as f:
        text = f.read()
    found, now = [], ""
    for line in text.splitlines(keepends=True):
        now += line
        if len(now) >= size:
            found.append(now)
            now = ""
    return found + [now] if now else found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("libcuddle")
    parser.add_argument("text")
    parser.add_argument("tokenizer", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--document", type=int, default=4096, help="bytes of a document (default: 4096)")
    options = parser.parse_args()
    cuddle = Cuddle(options.libcuddle)
    documents = documents_of(options.text, options.document)
    encoded = [d.encode() for d in documents]
    size = sum(map(len, encoded))
    print(f"cuddle {cuddle.lib.cuddle_version().decode()}, tokenizers {tokenizers.__version__}, Python {platform.python_version()}; "
          f"{len(documents)} documents, {size} bytes, {options.rounds} rounds\n")
    print("| tokenizer | cuddle MB/s | tokenizers MB/s | ratio | cuddle loads in ms | tokenizers ms | ratio |\n|---|---|---|---|---|---|---|")
    failed = 0
    for path in options.tokenizer:
        file = os.path.join(path, "tokenizer.json") if os.path.isdir(path) else path
        ours, theirs = cuddle.load(path), tokenizers.Tokenizer.from_file(file)
        theirs.no_truncation()
        theirs.no_padding()
        ids, expected = [], []
        cuddle.encode(ours, encoded, ids)
        reference(theirs, documents, expected)
        differing = sum(a != b for a, b in zip(ids, expected))
        failed += differing
        speeds, loads = [], []
        for _ in range(options.rounds):
            speeds.append((size / cuddle.encode(ours, encoded, None) / 1e6, size / reference(theirs, documents, None) / 1e6))
        for _ in range(options.rounds):  # not in between: the first text behind a load pays for what is left on the heap
            began = time.perf_counter()
            again = cuddle.load(path)
            middle = time.perf_counter()
            tokenizers.Tokenizer.from_file(file)
            loads.append(((middle - began) * 1e3, (time.perf_counter() - middle) * 1e3))
            cuddle.lib.cuddle_tokenizer_free(again)
        cuddle.lib.cuddle_tokenizer_free(ours)
        a, b = (statistics.median(s[i] for s in speeds) for i in range(2))
        c, d = (statistics.median(s[i] for s in loads) for i in range(2))
        name = os.path.basename(os.path.normpath(path))
        print(f"| {name} | {a:.1f} | {b:.1f} | {statistics.median(s[0] / s[1] for s in speeds):.2f} | {c:.1f} | {d:.1f} | "
              f"{statistics.median(s[1] / s[0] for s in loads):.2f} |" + (f" **{differing} documents differ**" if differing else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
