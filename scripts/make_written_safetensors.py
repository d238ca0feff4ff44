#!/usr/bin/env python3
"""Writes tests/written/: small files as the reference writer (the PyPI package safetensors) makes them. tests/test_safetensors_writer.c
writes the same tensors and compares byte for byte.

    make_written_safetensors.py [--check FOLDER]     --check: instead, the reference must read every file of a folder and write it again
                                                     to the same bytes
"""
import argparse
import ctypes
import json
import pathlib
import sys

import safetensors
from safetensors import TensorSpec, serialize

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "written"
# What the package calls a dtype, its bytes per element of the shape given, and its name in the file. F6 has no name in the package.
DTYPES = {"bool": (1, "BOOL"), "float4_e2m1fn_x2": (1, "F4"), "uint8": (1, "U8"), "int8": (1, "I8"), "float8_e5m2": (1, "F8_E5M2"),
          "float8_e4m3fn": (1, "F8_E4M3"), "float8_e8m0fnu": (1, "F8_E8M0"), "float8_e4m3fnuz": (1, "F8_E4M3FNUZ"),
          "float8_e5m2fnuz": (1, "F8_E5M2FNUZ"), "int16": (2, "I16"), "uint16": (2, "U16"), "float16": (2, "F16"), "bfloat16": (2, "BF16"),
          "int32": (4, "I32"), "uint32": (4, "U32"), "float32": (4, "F32"), "complex64": (8, "C64"), "float64": (8, "F64"),
          "int64": (8, "I64"), "uint64": (8, "U64")}
PACKAGE = {name: ours for ours, (_, name) in DTYPES.items()}


def product(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def write(tensors, metadata=None):
    """tensors: name -> (the package's dtype, shape); bytes are drawn from the name."""
    keep, specs = [], {}
    for name, (dtype, shape) in tensors.items():
        size = product(shape) * DTYPES[dtype][0]
        seed = sum(name.encode())
        data = ctypes.create_string_buffer(bytes((seed + 7 * i) & 0xff for i in range(size)), max(size, 1))
        keep.append(data)
        specs[name] = TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(data), data_len=size)
    return serialize(specs, metadata)


def fixtures():
    yield "no-tensors", write({})
    yield "every-dtype", write({f"{i:02}": (dtype, [3, 2]) for i, dtype in enumerate(DTYPES)})
    yield "dtypes-before-names", write({f"{chr(ord('z') - i)}": (dtype, [1]) for i, dtype in enumerate(DTYPES)})
    names = ["", "w", "w.1", "w.10", "w.2", "W", "\u00e4", "\u4e2d", "\U0001f917", "\uffff", "a\"b\\c/d", "\b\f\n\r\t\x01\x1f\x7f", "__metadata"]
    yield "names", write({name: ("int8", [1]) for name in names})
    yield "shapes", write({"scalar": ("float32", []), "empty": ("float32", [0]), "inner": ("float32", [3, 0, 2]), "eight": ("float32", [1, 2, 1, 1, 1, 1, 1, 2]),
                           "large": ("float32", [0, 2**40])})
    yield "metadata", write({"a": ("bfloat16", [2])}, {"format \u00e4\"\\\n\x02": "pt \U0001f917\x7f\t/"})
    yield "only-metadata", write({}, {"format": "pt"})
    layers = {f"model.layers.{i}.{part}.weight": ("bfloat16", [8, 4]) for i in range(11) for part in ("mlp.up_proj", "self_attn.q_proj")}
    norms = {f"model.layers.{i}.input_layernorm.weight": ("float32", [4]) for i in range(11)}
    yield "checkpoint", write({"model.embed_tokens.weight": ("bfloat16", [16, 4]), **layers, **norms}, {"format": "pt"})
    for i in range(8):
        yield f"padding-{i}", write({"n" * (i + 1): ("uint8", [1])})


def check(folder):
    wrong = 0
    files = sorted(pathlib.Path(folder).glob("*.safetensors"))
    for path in files:
        blob = path.read_bytes()
        size = int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8:8 + size])
        metadata = header.pop("__metadata__", None)
        keep, specs = [], {}
        said = ""
        try:
            read = dict(safetensors.deserialize(blob))
            for name, t in read.items():
                data = ctypes.create_string_buffer(bytes(t["data"]), max(len(t["data"]), 1))
                keep.append(data)
                shape = list(t["shape"])
                if t["dtype"] == "F4":
                    shape[-1] //= 2 # the package counts pairs
                specs[name] = TensorSpec(dtype=PACKAGE[t["dtype"]], shape=shape, data_ptr=ctypes.addressof(data), data_len=len(t["data"]))
            if set(read) != set(header): said = "other tensors"
            elif serialize(specs, metadata) != blob and len(metadata or {}) < 2: said = "writes other bytes"
        except safetensors.SafetensorError as e:
            said = str(e)
        except KeyError as e:
            said = "" if str(e).startswith("'F6") else f"dtype {e}" # read, but it cannot be written with the package
        if said:
            wrong += 1
            print(f"WRONG {path.name}: {said}")
    print(f"safetensors {safetensors.__version__}: {len(files)} files, {wrong} wrong")
    return 1 if wrong or not files else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="FOLDER")
    args = parser.parse_args()
    if args.check:
        return check(args.check)
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.safetensors"):
        old.unlink()
    for name, blob in fixtures():
        (OUT / f"{name}.safetensors").write_bytes(blob)
    return 0


if __name__ == "__main__":
    sys.exit(main())
