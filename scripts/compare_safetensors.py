#!/usr/bin/env python3
"""Holds libcuddle's reader and writer of safetensors against the PyPI package safetensors, through the public C functions.

    compare_safetensors.py LIBCUDDLE.so [--files 10000] [--written 500] [--seed 1] [--keep FOLDER]

Draws files, most of them damaged: in a byte, a token, a field, the container. Both must accept or refuse each, and see the same names,
dtypes, shapes, bytes and metadata in what they accept. Files that only the package accepts are counted by what host/format/safetensors.h
lists, and Python's own JSON parser must find that in the file; a file that only cuddle accepts is an error. Then each writes files that the
other reads. Needs: pip install numpy safetensors==0.8.0
"""
import argparse
import collections
import ctypes as c
import json
import math
import pathlib
import random
import re
import struct
import sys
import tempfile

import safetensors

MAX_RANK = 8
NAMES = ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16", "U16", "F16", "BF16", "I32", "U32", "F32",
         "I64", "U64", "F64", "C64", "F6_E2M3", "F6_E3M2", "F4"]  # cuddle_dtype
BITS = dict(zip(NAMES, [8] * 8 + [16] * 4 + [32] * 3 + [64] * 4 + [6, 6, 4]))
PACKAGE = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
           "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "I16": "int16", "U16": "uint16", "F16": "float16",
           "BF16": "bfloat16", "I32": "int32", "U32": "uint32", "F32": "float32", "I64": "int64", "U64": "uint64", "F64": "float64",
           "C64": "complex64"}  # what the package's writer calls them; it has no name for F6, and counts F4 in pairs


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("text", c.c_char * 252)]


class TensorInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("rank", c.c_int), ("shape", c.c_int64 * MAX_RANK), ("bytes", c.c_uint64),
                ("shard", c.c_int), ("offset", c.c_uint64)]


class Refused(Exception):
    pass


class Cuddle:
    """The functions of cuddle.h that are needed."""

    def __init__(self, path):
        self.lib = c.CDLL(path)
        out, opaque, text, size = c.POINTER(c.c_void_p), c.c_void_p, c.c_char_p, c.c_size_t
        for name, result, arguments in (
                ("open", c.c_int, [out, text]), ("free", None, [opaque]), ("count", c.c_int64, [opaque]),
                ("get", c.c_int, [opaque, c.c_int64, c.POINTER(TensorInfo)]), ("find", c.c_int64, [opaque, text]),
                ("read", c.c_int, [opaque, c.c_int64, c.c_void_p, c.c_uint64, size]), ("metadata_count", c.c_int, [opaque]),
                ("metadata", c.c_int, [opaque, c.c_int, c.POINTER(text), c.POINTER(text)]), ("writer_new", c.c_int, [out, text]),
                ("writer_metadata", c.c_int, [opaque, text, text]),
                ("writer_declare", c.c_int, [opaque, text, c.c_int, c.POINTER(c.c_int64), c.c_int]),
                ("writer_write", c.c_int, [opaque, text, c.c_char_p, size]), ("writer_finish", c.c_int, [opaque]), ("writer_free", None, [opaque])):
            function = getattr(self.lib, "cuddle_safetensors_" + name)
            fails = result is c.c_int and name != "metadata_count"
            function.restype, function.argtypes = result, arguments + ([c.POINTER(Error)] if fails else [])

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.lib, "cuddle_safetensors_" + name)(*arguments, c.byref(error)) != 0:
            raise Refused(error.text.decode())

    def read(self, path):
        """({name: (dtype, shape, bytes)}, metadata)"""
        st = c.c_void_p()
        self.call("open", c.byref(st), str(path).encode())
        try:
            tensors, metadata = {}, {}
            for i in range(self.lib.cuddle_safetensors_count(st)):
                info = TensorInfo()
                self.call("get", st, i, c.byref(info))
                data = c.create_string_buffer(max(info.bytes, 1))
                self.call("read", st, i, data, 0, info.bytes)
                assert info.name.decode() not in tensors and self.lib.cuddle_safetensors_find(st, info.name) == i
                tensors[info.name.decode()] = (NAMES[info.type], list(info.shape[:info.rank]), data.raw[:info.bytes])
            for i in range(self.lib.cuddle_safetensors_metadata_count(st)):
                key, value = c.c_char_p(), c.c_char_p()
                self.call("metadata", st, i, c.byref(key), c.byref(value))
                metadata[key.value.decode()] = value.value.decode()
            return tensors, metadata
        finally:
            self.lib.cuddle_safetensors_free(st)

    def write(self, path, tensors, metadata):
        w = c.c_void_p()
        self.call("writer_new", c.byref(w), str(path).encode())
        try:
            for key, value in metadata.items():
                self.call("writer_metadata", w, key.encode(), value.encode())
            for name, (dtype, shape, _) in tensors.items():
                self.call("writer_declare", w, name.encode(), NAMES.index(dtype), (c.c_int64 * max(len(shape), 1))(*shape), len(shape))
            for name, (_, _, data) in tensors.items():
                self.call("writer_write", w, name.encode(), data, len(data))
            self.call("writer_finish", w)
        finally:
            self.lib.cuddle_safetensors_writer_free(w)


def package_read(path, blob):
    try:
        found = safetensors.deserialize(blob)
    except safetensors.SafetensorError as error:
        raise Refused(str(error)) from None
    tensors = {name: (t["dtype"], list(t["shape"]), bytes(t["data"])) for name, t in found}
    with safetensors.safe_open(path, framework="np") as f:
        return tensors, f.metadata() or {}


# ---- drawing files

PIECES = ["w", "model.layers.0", ".", "weight", "\u00e4", "\u4e2d", "\U0001f917", "\"", "\\", "/", "\n", "\x7f", " ", "__metadata__", "0"]
VALUES = ["null", "true", "{}", "[]", "0", "1", "-1", "1.0", "1e2", "-0", "18446744073709551615", "18446744073709551616", "9223372036854775808", "1e999",
          "9e308", "1.5e308", "1e308", "-9e307", "1" + "0" * 320, '""', '"F32"', '"\\u0000"', '"U8"', "[0,1]", "[0,0]", '{"dtype":"U8"}', '["U8",[1],[0,1]]',
          '{"U8":null}', "[" * 130 + "]" * 130, "[" * 120 + "]" * 120, '"\\ud800"', '"\\ud83e\\udd17"', "NaN", "01", "[1,]", '{"a":1,"a":2}']
BYTES = b"\"\\{}[]:,-+.eE0123456789 \n\t\0trufalsn/\x80\xc3\xa4\xed\xa0\xf0\x9f\xff"


def name(r):
    return "".join(r.choice(PIECES) for _ in range(r.randrange(4)))


def quoted(r, text):
    out = json.dumps(text, ensure_ascii=r.random() < 0.5)
    return out.replace("/", "\\/") if r.random() < 0.2 else out


def draw_tensors(r, most=6):
    tensors = {}
    for _ in range(r.randrange(most)):
        while True:
            dtype, shape = r.choice(NAMES), [r.choice([0, 1, 1, 2, 2, 3, 4, 5]) for _ in range(r.randrange(5))]
            bits = math.prod(shape) * BITS[dtype]
            if bits % 8 == 0 and bits <= 4096:
                break
        label = name(r)
        if label != "__metadata__":
            tensors[label] = (dtype, shape, r.randbytes(bits // 8))
    return tensors


def entry(r, dtype, shape, begin, end, damage):
    fields = [("dtype", quoted(r, dtype)), ("shape", "[" + ",".join(str(n) for n in shape) + "]"), ("data_offsets", f"[{begin},{end}]")]
    r.shuffle(fields)
    if r.random() < 0.1:
        fields.append((name(r), r.choice(VALUES[:12] + VALUES[14:17])))
    if damage:
        which = r.randrange(3)
        kind = r.randrange(8)
        if kind == 0:
            del fields[which]
        elif kind == 1:
            fields.append(fields[which])
        elif kind == 2:
            fields[which] = (fields[which][0], r.choice(VALUES))
        elif kind == 3:
            fields += [("x", r.choice(VALUES)), (r.choice(["x", "y"]), r.choice(VALUES))]
        elif kind == 4:
            shape = r.choice([shape + [1], shape + [0], [1] * r.choice([8, 9, 20]) + shape, [2**63] + shape + [0], [0, 2**63, 2**64 - 1], shape[:-1],
                              [2**62, 2**3, 0], [0, 2**62, 2**3]])
            fields = [f if f[0] != "shape" else ("shape", json.dumps(shape, separators=(",", ":"))) for f in fields]
        elif kind == 5:
            return f"[{quoted(r, dtype)},{json.dumps(shape)},[{begin},{end}]]"  # the fields in the order of the package's struct
        elif kind == 6:
            fields = [f if f[0] != "dtype" else ("dtype", f'{{{quoted(r, dtype)}:{r.choice(["null", "null", "1"])}}}') for f in fields]
        else:
            begin, end = r.choice([(begin + 1, end), (begin, end + 1), (end, begin), (begin + 1, end + 1), (begin, max(end - 1, 0)), (0, end), (end, end)])
            fields = [f if f[0] != "data_offsets" else ("data_offsets", f"[{begin},{end}]") for f in fields]
    return "{" + ",".join(f"{quoted(r, k)}:{v}" for k, v in fields) + "}"


def draw_file(r, damage):
    """damage: None, or where: "field", "member", "token", "byte", "container"."""
    tensors = draw_tensors(r)
    members, data = [], b""
    victim = r.randrange(len(tensors)) if damage == "field" and tensors else -1
    for i, (label, (dtype, shape, content)) in enumerate(tensors.items()):
        members.append((label, entry(r, dtype, shape, len(data), len(data) + len(content), i == victim)))
        data += content
    r.shuffle(members)
    if r.random() < 0.5:
        pairs = {name(r): name(r) for _ in range(r.randrange(4))}
        members.insert(r.randrange(len(members) + 1), ("__metadata__", "{" + ",".join(f"{quoted(r, k)}:{quoted(r, v)}" for k, v in pairs.items()) + "}"))
    if damage == "member":
        kind = r.randrange(6)
        if kind == 0 and members:
            members.append(r.choice(members))
        elif kind == 1:
            members.append((r.choice(["__metadata__", "new", "a\0b"]), r.choice(VALUES)))
        elif kind == 2:
            members.append(("__metadata__", "{" + ",".join(f'"{r.choice("kl")}":{r.choice(VALUES[-6:] + VALUES[14:18])}' for _ in range(2)) + "}"))
        elif kind == 3 and members:
            del members[r.randrange(len(members))]
        elif kind == 4:
            members.append((name(r) + "\0", entry(r, "U8", [0], len(data), len(data), False)))
        else:
            members.append((name(r), entry(r, "U8", [0], len(data), len(data), False)))
    space = (lambda: r.choice(["", "", "", " ", "\n", "\t "])) if r.random() < 0.3 else (lambda: "")
    header = ("{" + ",".join(f"{space()}{quoted(r, k)}{space()}:{space()}{v}" for k, v in members) + space() + "}").encode("utf-8", "surrogatepass")
    if damage == "token":
        tokens = re.findall(rb'"(?:[^"\\]|\\.)*"|[0-9.eE+-]+|[{}\[\]:,]|\w+|\s+', header)
        for _ in range(r.randrange(1, 3)):
            at = r.randrange(len(tokens))
            tokens[at:at + r.randrange(2)] = [r.choice([r.choice(tokens), r.choice(VALUES).encode()])]
        header = b"".join(tokens)
    if damage == "byte":
        for _ in range(r.randrange(1, 4)):
            at = r.randrange(len(header) + 1)
            header = header[:at] + r.choice([b"", bytes([r.choice(BYTES)])]) + header[at + r.randrange(2):]
    header += b" " * r.choice([0, 0, 0, -len(header) % 8, 3])
    length = len(header)
    blob = struct.pack("<Q", length) + header + data
    if damage == "container":
        kind = r.randrange(5)
        if kind == 0:
            blob = blob[:r.randrange(len(blob) + 1)]
        elif kind == 1:
            blob += r.randbytes(r.randrange(1, 4))
        elif kind == 2:
            blob = struct.pack("<Q", r.choice([length + 1, max(length - 1, 0), 0, 100000001, 2**63, 2**64 - 1, len(blob) - 8])) + blob[8:]
        elif kind == 3:
            blob = struct.pack(">Q", length) + blob[8:]
        else:
            blob = blob[:8] + r.choice([b"\xef\xbb\xbf", b"[", b"\0", b"{}"]) + blob[8:]
    return blob


# ---- where cuddle is stricter: its sentence, and what Python must find in the header

STRICTER = {
    "a key that is there twice": r"there twice$|__metadata__ has the key .* twice$|has __metadata__ twice$",
    "a tensor that is no object": r"tensor .* is .*, expected an object$",
    "a dtype that is no string": r"dtype is .*, expected a string$",
    "U+0000 in a name or in __metadata__": r"U\+0000 in .*, which is not supported$|with U\+0000 in it, which is not supported$",
    "a rank over 8": r"rank [0-9]+ is not supported, at most 8$",
    "a dimension from 2^63 on": r"has a dimension over 2\^63 - 1, which is not supported$",
    "a number of 10^308 or more in a field that is not known": r"a number is 10\^308 or more$",
}


class Pairs(list):
    """A JSON object, keys that are there twice included."""


def walk(value, path=()):
    yield path, value
    if isinstance(value, Pairs):
        for key, member in value:
            yield from walk(member, path + (key,))
    elif isinstance(value, list):
        for member in value:
            yield from walk(member, path + (None,))


def reasons(blob):
    """Which of STRICTER hold, by Python's parser."""
    text = blob[8:8 + struct.unpack("<Q", blob[:8])[0]].decode()
    root = json.loads(text, object_pairs_hook=Pairs, parse_int=lambda s: float(s) if len(s) > 30 else int(s))
    found = set()
    for path, value in walk(root):
        if isinstance(value, Pairs) and len(path) <= 1 and len({k for k, _ in value}) < len(value):
            found.add("a key that is there twice")
        if len(path) == 1 and path[0] != "__metadata__" and not isinstance(value, Pairs):
            found.add("a tensor that is no object")
        if len(path) == 2 and path[1] == "dtype" and not isinstance(value, str):
            found.add("a dtype that is no string")
        if path and ("\0" in (path[-1] or "") or (path[0] == "__metadata__" and isinstance(value, str) and "\0" in value)):
            found.add("U+0000 in a name or in __metadata__")
        if len(path) == 2 and path[1] == "shape" and isinstance(value, list):
            if len(value) > MAX_RANK:
                found.add("a rank over 8")
            if any(isinstance(n, int) and n >= 2**63 for n in value):
                found.add("a dimension from 2^63 on")
        if isinstance(value, (int, float)) and abs(value) >= 9.99e307:
            found.add("a number of 10^308 or more in a field that is not known")
    return found


def compare_readers(cuddle, folder, args):
    r = random.Random(args.seed)
    counts, stricter, wrong = collections.Counter(), collections.Counter(), 0
    path = folder / "file.safetensors"
    for number in range(args.files):
        damage = r.choice([None, "field", "field", "member", "token", "byte", "container"])
        blob = draw_file(r, damage)
        path.write_bytes(blob)
        ours = theirs = said_ours = said_theirs = None
        try:
            ours = cuddle.read(path)
        except Refused as refusal:
            said_ours = str(refusal)
        try:
            theirs = package_read(path, blob)
        except Refused as refusal:
            said_theirs = str(refusal)
        problem = None
        if ours and theirs:
            counts["accepted by both"] += 1
            if ours != theirs:
                problem = f"they read different things: {ours} and {theirs}"
        elif not ours and not theirs:
            counts["refused by both"] += 1
        elif ours:
            problem = f"only cuddle accepts it; the package: {said_theirs}"
        else:
            counts["refused by cuddle alone"] += 1
            kind = next((k for k, pattern in STRICTER.items() if re.search(pattern, said_ours)), None)
            if kind is None or kind not in reasons(blob):
                problem = f"cuddle refuses it for no reason that is listed: {said_ours}"
            else:
                stricter[kind] += 1
        if problem:
            wrong += 1
            print(f"WRONG file {number}, damaged in: {damage}: {problem}")
            if args.keep:
                (args.keep / f"{number}.safetensors").write_bytes(blob)
    print(f"{args.files} files: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) + f"; {wrong} disagreements")
    for kind in STRICTER:
        print(f"  stricter: {stricter[kind]:5} {kind}")
        if args.files >= 10000 and not stricter[kind]:
            wrong += 1
            print("WRONG: that was never seen: is it still so?")
    return wrong


def compare_writers(cuddle, folder, args):
    r = random.Random(args.seed + 1)
    same = wrong = 0
    ours_path, theirs_path = folder / "ours.safetensors", folder / "theirs.safetensors"
    for number in range(args.written):
        tensors = draw_tensors(r, 12)
        metadata = {name(r): name(r) for _ in range(r.randrange(3))}
        cuddle.write(ours_path, tensors, metadata)
        if package_read(ours_path, ours_path.read_bytes()) != (tensors, metadata):
            wrong += 1
            print(f"WRONG written file {number}: the package reads something else than cuddle wrote")
        tensors = {k: t for k, t in tensors.items() if t[0] in PACKAGE}
        keep = [c.create_string_buffer(t[2], max(len(t[2]), 1)) for t in tensors.values()]
        specs = {k: safetensors.TensorSpec(dtype=PACKAGE[t[0]], shape=t[1], data_ptr=c.addressof(b), data_len=len(t[2]))
                 for (k, t), b in zip(tensors.items(), keep)}
        theirs_path.write_bytes(safetensors.serialize(specs, metadata or None))
        if cuddle.read(theirs_path) != (tensors, metadata):
            wrong += 1
            print(f"WRONG written file {number}: cuddle reads something else than the package wrote")
        cuddle.write(ours_path, tensors, metadata)
        if len(metadata) <= 1:  # the package writes several pairs in any order
            same += 1
            if ours_path.read_bytes() != theirs_path.read_bytes():
                wrong += 1
                print(f"WRONG written file {number}: the bytes differ")
    print(f"{args.written} files written by each and read by the other, {same} of them compared byte for byte; {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="libcuddle.so")
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--written", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="where to leave the files they disagree about")
    args = parser.parse_args()
    print("safetensors", safetensors.__version__)
    cuddle = Cuddle(args.library)
    with tempfile.TemporaryDirectory() as folder:
        wrong = compare_readers(cuddle, pathlib.Path(folder), args) + compare_writers(cuddle, pathlib.Path(folder), args)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
