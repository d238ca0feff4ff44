#!/usr/bin/env python3
"""Writes tests/bad/safetensors/ and tests/bad/index/: one small file per rule of the format and per boundary of a rule.

    make_bad_safetensors.py            writes the cases
    make_bad_safetensors.py --check    compares the verdicts with those of the PyPI package safetensors, writes nothing
    make_bad_safetensors.py --corpus   also refreshes the fuzz corpora from the cases

A case is a folder with the input and `error`, which is empty if the input must be accepted, else holds the status and the sentence.
The numbers are those of the rules: 1-3 container, 4-6 JSON, 7 padding, 8 coverage, 9 __metadata__, 10 fields, 11 dtype, 12 shape,
13-14 offsets, 15-17 sizes, 18 empty tensors, 19 alignment, 20 names, 21 nesting, 22 payload.
"""
import argparse
import pathlib
import shutil
import struct
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
        "U64": 64}
FORMAT, UNSUPPORTED = "CUDDLE_E_FORMAT", "CUDDLE_E_UNSUPPORTED"
M64 = 2**64

cases = {}  # name -> (bytes, expected error or "", verdict of the reference: True accepts)


def case(name, blob, error="", status=FORMAT, reference=None):
    """`reference` where the reference's verdict is not ours."""
    assert name not in cases, name
    assert (error == "") == name.startswith("ok-"), name
    text = f"{status}: input.safetensors: {error}\n" if error else ""
    cases[name] = (blob, text, error == "" if reference is None else reference)


def st(header, data=b"", length=None):
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(data)


def t(dtype="U8", shape="[1]", offsets="[0,1]", more=""):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{more}}}'


def one(entry, data=b"", name="a"):
    return st(f'{{"{name}":{entry}}}', data)


def at(position):
    return f"byte {8 + position}: "


ONE = one(t(), b"\1")

# ---- container
case("r01-empty-file", b"", "the file has 0 bytes, expected at least 8 for the length of the header")
case("r01-seven-bytes", b"\0" * 7, "the file has 7 bytes, expected at least 8 for the length of the header")
case("r02-header-too-large", struct.pack("<Q", 100000001) + b"{}", "the header's length is 100000001, at most 100000000 are allowed")
case("r02-header-length-max", b"\xff" * 8 + b"{}", f"the header's length is {M64 - 1}, at most 100000000 are allowed")
case("r02-header-length-wraps", struct.pack("<Q", M64 - 8) + b"{}", f"the header's length is {M64 - 8}, at most 100000000 are allowed")
case("r03-largest-header-in-small-file", struct.pack("<Q", 100000000) + b"{}",
     "the header's length is 100000000, but only 2 bytes follow it")
case("r03-header-one-longer-than-file", st("{}", length=3), "the header's length is 3, but only 2 bytes follow it")
case("r03-header-big-endian", b"\0\0\0\0\0\0\0\2{}", f"the header's length is {2 << 56}, at most 100000000 are allowed")
case("ok-r03-header-fills-file", st("{}"))

# ---- UTF-8 and JSON
for name, raw in (("overlong", b"\xc0\xaf"), ("surrogate", b"\xed\xa0\x80"), ("lone-continuation", b"\x80"), ("cut", b"\xe2\x82"),
                  ("above-10ffff", b"\xf4\x90\x80\x80"), ("overlong-3", b"\xe0\x80\xaf"), ("overlong-4", b"\xf0\x80\x80\xaf"),
                  ("ff", b"\xff")):
    case(f"r04-utf8-{name}", st(b'{"' + raw + b'":' + t().encode() + b"}", b"\1"),
         at(2) + f"found byte 0x{raw[0]:02x}, expected valid UTF-8")
case("r04-utf8-outside-string", st(b"{\xff}"), at(1) + "found byte 0xff, expected a key in quotes")
case("r04-utf8-in-ignored-field", one(t(more=',"x":"?"'), b"\1").replace(b"?", b"\xff"),
     "byte 65: found byte 0xff, expected valid UTF-8")
case("r05-header-length-zero", st(""), "the header is empty, expected a JSON object")
case("r05-only-whitespace", st("    "), at(4) + "found the end, expected a JSON value")
case("r05-not-json", st("hello"), at(0) + "found 'h', expected a JSON value")
case("r05-trailing-nul", st("{}\0\0"), at(2) + "found byte 0x00, expected nothing after the root value")
case("r05-trailing-garbage", st("{}x"), at(2) + "found 'x', expected nothing after the root value")
case("r05-two-objects", st("{}{}"), at(2) + "found '{', expected nothing after the root value")
case("r05-two-objects-comma", st("{},{}"), at(2) + "found ',', expected nothing after the root value")
case("r05-bom", st(b"\xef\xbb\xbf{}"), at(0) + "found byte 0xef, expected a JSON value")
case("r05-comment", st("{/**/}"), at(1) + "found '/', expected a key in quotes")
case("r05-unclosed", st('{"a"'), at(4) + "found the end, expected ':'")
case("r05-unclosed-string", st('{"a'), at(3) + "found the end, expected the end of a string")
case("r05-no-colon", st('{"a" 1}'), at(5) + "found '1', expected ':'")
case("r05-no-comma", st('{"__metadata__":{} "a":1}'), at(19) + "found '\"', expected ',' or '}'")
case("r05-trailing-comma-root", st('{"__metadata__":{},}'), at(19) + "found '}', expected a key in quotes")
case("r05-trailing-comma-shape", one(t(shape="[1,]"), b"\1"), at(30) + "found ']', expected a JSON value")
case("r05-leading-comma", st("{,}"), at(1) + "found ',', expected a key in quotes")
case("r05-single-quotes", st("{'a':1}"), at(1) + "found ''', expected a key in quotes")
case("r05-unquoted-key", st("{a:1}"), at(1) + "found 'a', expected a key in quotes")
case("r05-number-key", st("{1:1}"), at(1) + "found '1', expected a key in quotes")
case("r05-mismatched-brackets", one(t(shape="[1}"), b"\1"), at(29) + "found '}', expected ',' or ']'")
X = len('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":')  # where the value of an ignored field begins
for name, value, error in (
        ("nan", "NaN", at(X) + "found 'N', expected a JSON value"),
        ("infinity", "-Infinity", at(X + 1) + "found 'I', expected a digit"),
        ("leading-zero", "01", at(X) + "a number begins with a superfluous 0"),
        ("leading-plus", "+1", at(X) + "found '+', expected a JSON value"),
        ("bare-minus", "-", at(X + 1) + "found '}', expected a digit"),
        ("no-fraction", "1.", at(X + 2) + "found '}', expected a digit"),
        ("no-whole", ".5", at(X) + "found '.', expected a JSON value"),
        ("no-exponent", "1e", at(X + 2) + "found '}', expected a digit"),
        ("no-exponent-digits", "1e+", at(X + 3) + "found '}', expected a digit"),
        ("hex-number", "0x1", at(X + 1) + "found 'x', expected ',' or '}'"),
        ("True", "True", at(X) + "found 'T', expected a JSON value"),
        ("tru", "tru", at(X) + "found 't', expected a JSON value"),
        ("truex", "truex", at(X + 4) + "found 'x', expected ',' or '}'"),
        ("raw-newline", '"\n"', at(X + 1) + "found byte 0x0a, expected control characters in strings to be escaped"),
        ("raw-tab", '"\t"', at(X + 1) + "found byte 0x09, expected control characters in strings to be escaped"),
        ("raw-nul", '"\0"', at(X + 1) + "found byte 0x00, expected control characters in strings to be escaped"),
        ("lone-high-surrogate", '"\\ud800"', at(X + 1) + "an escaped surrogate has no partner"),
        ("lone-low-surrogate", '"\\udc00"', at(X + 1) + "an escaped surrogate has no partner"),
        ("high-high-surrogate", '"\\ud800\\ud800"', at(X + 1) + "an escaped surrogate has no partner"),
        ("high-surrogate-then-a", '"\\ud800a"', at(X + 1) + "an escaped surrogate has no partner"),
        ("short-u", '"\\u12"', at(X + 1) + "\\u is not followed by four hexadecimal digits"),
        ("bad-u", '"\\u12g4"', at(X + 1) + "\\u is not followed by four hexadecimal digits"),
        ("bad-escape", '"\\x"', at(X + 2) + "found 'x', expected one of \"\\/bfnrtu after a backslash"),
        ("nothing", "", at(X) + "found '}', expected a JSON value")):
    case(f"r05-{name}", one(t(more=f',"x":{value}'), b"\1"), error)
case("r05-escape-at-end", st('{"\\'), at(3) + "found the end, expected the rest of an escape")
for name, value in (("array", "[]"), ("array-of-tensors", "[" + t() + "]"), ("string", '"a"'), ("number", "1"), ("null", "null"),
                    ("true", "true"), ("false", "false")):
    shown = {"[": "an array"}.get(value[0], value)
    case(f"r06-root-{name}", st(value), f"the header is {shown}, expected an object")

# ---- padding
case("ok-r07-trailing-spaces", st("{}      "))
case("ok-r07-leading-spaces", st("      {}"))
case("ok-r07-whitespace-everywhere",
     st(' \t\r\n{ "a"\n:\t{ "dtype" : "U8" , "shape" : [ 1 ] , "data_offsets" : [ 0 , 1 ] } \r} \n', b"\1"))
case("r07-vertical-tab", st("{}\v"), at(2) + "found byte 0x0b, expected nothing after the root value")
case("r07-form-feed", st("\f{}"), at(0) + "found byte 0x0c, expected a JSON value")
case("r07-no-break-space", st(b"\xc2\xa0{}"), at(0) + "found byte 0xc2, expected a JSON value")

# ---- coverage
case("ok-r08-no-tensors", st('{"__metadata__":{}}'))
case("r08-no-tensors-but-data", st("{}", b"\1"), "1 bytes follow the last tensor, expected none")
case("r08-one-byte-short", one(t("F32", "[1]", "[0,4]"), bytes(3)),
     'tensor "a" ends at 4 of the data, but the file ends at 3: it is incomplete')
case("r08-no-data", one(t("F32", "[2,2]", "[0,16]")), 'tensor "a" ends at 16 of the data, but the file ends at 0: it is incomplete')
case("r08-one-byte-more", one(t(), b"\1\2"), "1 bytes follow the last tensor, expected none")
case("r08-polyglot-zip", one(t(), b"\1PK\5\6" + bytes(18)), "22 bytes follow the last tensor, expected none")

# ---- __metadata__
case("ok-r09-metadata", st('{"__metadata__":{"format":"pt","":"","\\u00e4":"\\ud83e\\udd17"},"a":' + t() + "}", b"\1"))
case("ok-r09-empty", st('{"__metadata__":{},"a":' + t() + "}", b"\1"))
case("ok-r09-null", st('{"__metadata__":null,"a":' + t() + "}", b"\1"))
case("ok-r09-last", st('{"a":' + t() + ',"__metadata__":{"k":"v"}}', b"\1"))
for name, value, shown in (("array", "[]", "an array"), ("string", '"x"', '"x"'), ("number", "1", "1"), ("true", "true", "true")):
    case(f"r09-{name}", st('{"__metadata__":' + value + "}"), f"__metadata__ is {shown}, expected an object of strings")
for name, value, shown in (("number", "1", "1"), ("null", "null", "null"), ("false", "false", "false"), ("object", "{}", "an object"),
                           ("array", '["x"]', "an array")):
    case(f"r09-value-{name}", st('{"__metadata__":{"k":' + value + "}}"), f'__metadata__ has {shown} at key "k", expected a string')
case("r09-twice", st('{"__metadata__":{},"__metadata__":{}}'), "the header has __metadata__ twice")
case("r09-twice-escaped", st('{"__metadata__":{},"__meta\\u0064ata__":{}}'), "the header has __metadata__ twice")
case("r09-twice-null", st('{"__metadata__":null,"__metadata__":null}'), "the header has __metadata__ twice")
case("r09-same-key-twice", st('{"__metadata__":{"k":"1","k":"2"}}'), '__metadata__ has the key "k" twice', reference=True)
case("r09-key-with-nul", st('{"__metadata__":{"k\\u0000":"1"}}'), "__metadata__ has a key with U+0000 in it, which is not supported",
     UNSUPPORTED, reference=True)
case("r09-value-with-nul", st('{"__metadata__":{"k":"\\u0000"}}'),
     '__metadata__ has U+0000 in the value of "k", which is not supported', UNSUPPORTED, reference=True)
case("r09-tensor-as-metadata", st('{"__metadata__":' + t() + "}", b"\1"), '__metadata__ has an array at key "shape", expected a string')
case("r09-case-matters", st('{"__METADATA__":{}}'), 'tensor "__METADATA__": the field "dtype" is missing')

# ---- fields
case("ok-r10-any-order", st('{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}', b"\1"))
case("ok-r10-unknown-fields", one(t(more=',"x":[1,{"y":null,"y":[true,-1.5e-3,""]}],"":{}'), b"\1"))
case("ok-r10-escaped-field", st('{"a":{"d\\u0074ype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1"))
case("r10-no-dtype", st('{"a":{"shape":[1],"data_offsets":[0,1]}}', b"\1"), 'tensor "a": the field "dtype" is missing')
case("r10-no-shape", st('{"a":{"dtype":"U8","data_offsets":[0,1]}}', b"\1"), 'tensor "a": the field "shape" is missing')
case("r10-no-offsets", st('{"a":{"dtype":"U8","shape":[1]}}', b"\1"), 'tensor "a": the field "data_offsets" is missing')
case("r10-no-fields", st('{"a":{}}'), 'tensor "a": the field "dtype" is missing')
case("r10-wrong-case", st('{"a":{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1"), 'tensor "a": the field "dtype" is missing')
case("r10-nul-after-field", st('{"a":{"dtype\\u0000":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1"),
     'tensor "a": the field "dtype" is missing')
case("r10-dtype-twice", one(t(more=',"dtype":"U8"'), b"\1"), 'tensor "a": the field "dtype" is there twice')
case("r10-shape-twice", one(t(more=',"shape":[1]'), b"\1"), 'tensor "a": the field "shape" is there twice')
case("r10-offsets-twice", one(t(more=',"data_offsets":[0,1]'), b"\1"), 'tensor "a": the field "data_offsets" is there twice')
case("r10-unknown-twice", one(t(more=',"x":1,"x":1'), b"\1"), 'tensor "a": the field "x" is there twice', reference=True)
case("ok-r10-unknown-in-two-tensors", st('{"a":' + t(more=',"x":1') + ',"b":' + t(offsets="[1,2]", more=',"x":1') + "}", b"\1\2"))
for name, value, shown in (("string", '"x"', '"x"'), ("null", "null", "null"), ("number", "7", "7")):
    case(f"r10-tensor-{name}", one(value), f'tensor "a" is {shown}, expected an object')
case("r10-tensor-array", one('["U8",[1],[0,1]]', b"\1"), 'tensor "a" is an array, expected an object', reference=True)

# ---- dtype
for name, bits in BITS.items():
    n = 4 if bits == 6 else 2 if bits == 4 else 1
    case(f"ok-r11-{name}", one(t(name, f"[{n}]", f"[0,{n * bits // 8}]"), b"\1" * (n * bits // 8)))
for name in ("f32", "F128", "C128", "I4", "BF8", "", "F32 ", "F3", "float32", "F8_E4M3FN", "U4"):
    folder = name.replace(" ", "-space") if name else "empty"
    case(f"r11-{'lower-' if name == 'f32' else ''}{folder}", one(t(name, "[1]", "[0,4]"), bytes(4)),
         f'tensor "a": dtype is "{name}", expected a name like F32 or BF16')
case("r11-nul", one(t("F32\\u0000", "[1]", "[0,4]"), bytes(4)), 'tensor "a": dtype is "F32", expected a name like F32 or BF16')
case("ok-r11-escaped", one(t("F\\u00332", "[1]", "[0,4]"), bytes(4)))
for name, value, shown in (("null", "null", "null"), ("number", "32", "32"), ("array", '["F32"]', "an array")):
    case(f"r11-{name}", one(t().replace('"U8"', value), b"\1"), f'tensor "a": dtype is {shown}, expected a string')
case("r11-object", one(t().replace('"U8"', '{"U8":null}'), b"\1"), 'tensor "a": dtype is an object, expected a string', reference=True)

# ---- shape
case("ok-r12-scalar", one(t("F32", "[]", "[0,4]"), bytes(4)))
case("ok-r12-rank-8", one(t("U8", "[1,1,1,2,1,1,1,1]", "[0,2]"), b"\1\2"))
case("r12-rank-9", one(t("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), b"\1"), 'tensor "a": rank 9 is not supported, at most 8', UNSUPPORTED,
     reference=True)
case("r12-rank-1000", one(t("U8", "[" + ",".join(["1"] * 1000) + "]", "[0,1]"), b"\1"), 'tensor "a": rank 1000 is not supported, at most 8',
     UNSUPPORTED, reference=True)
for name, value in (("minus-one", "-1"), ("minus-zero", "-0"), ("real", "1.0"), ("exponent", "1e0"), ("2-64", str(M64)), ("2-64-times-10", f"{M64}0"),
                    ("true", "true"), ("null", "null"), ("string", '"1"')):
    case(f"r12-{name}", one(t(shape=f"[{value}]"), b"\1"), f'tensor "a": shape[0] is {value}, expected an integer from 0 to 2^64 - 1')
case("r12-nested", one(t(shape="[[1]]"), b"\1"), 'tensor "a": shape[0] is an array, expected an integer from 0 to 2^64 - 1')
case("r12-second", one(t(shape="[1,-1]"), b"\1"), 'tensor "a": shape[1] is -1, expected an integer from 0 to 2^64 - 1')
for name, value, shown in (("not-array", "1", "1"), ("object", "{}", "an object"), ("null-shape", "null", "null"), ("string-shape", '"1"', '"1"')):
    case(f"r12-{name}", one(t(shape=value), b"\1"), f'tensor "a": shape is {shown}, expected an array of integers')
case("ok-r12-largest-dimension", one(t("U8", f"[0,{2**63 - 1}]", "[0,0]")))
case("r12-dimension-2-63", one(t("U8", f"[0,{2**63}]", "[0,0]")),
     f'tensor "a": shape [0,{2**63}] has a dimension over 2^63 - 1, which is not supported', UNSUPPORTED, reference=True)

# ---- offsets
for name, value, shown in (("minus", "[-1,0]", "data_offsets[0] is -1, expected an integer from 0 to 2^64 - 1"),
                           ("minus-zero", "[-0,1]", "data_offsets[0] is -0, expected an integer from 0 to 2^64 - 1"),
                           ("real", "[0,1.0]", "data_offsets[1] is 1.0, expected an integer from 0 to 2^64 - 1"),
                           ("2-64", f"[0,{M64}]", f"data_offsets[1] is {M64}, expected an integer from 0 to 2^64 - 1"),
                           ("string", '["0","1"]', 'data_offsets[0] is "0", expected an integer from 0 to 2^64 - 1'),
                           ("null-element", "[0,null]", "data_offsets[1] is null, expected an integer from 0 to 2^64 - 1"),
                           ("nested", "[[0,1]]", "data_offsets[0] is an array, expected an integer from 0 to 2^64 - 1"),
                           ("none", "[]", "data_offsets has 0 elements, expected 2"),
                           ("one", "[0]", "data_offsets has 1 elements, expected 2"),
                           ("three", "[0,1,2]", "data_offsets has more than 2 elements, expected 2"),
                           ("null", "null", "data_offsets is null, expected an array of 2 integers"),
                           ("object", '{"0":0,"1":1}', "data_offsets is an object, expected an array of 2 integers"),
                           ("number", "1", "data_offsets is 1, expected an array of 2 integers")):
    case(f"r13-{name}", one(t(offsets=value), b"\1"), f'tensor "a": {shown}')
two = lambda a, b, **k: '{"a":' + t(offsets=a, **k) + ',"b":' + t(offsets=b, **k) + "}"
case("ok-r14-two", st(two("[0,1]", "[1,2]"), b"\1\2"))
case("ok-r14-header-order-is-free", st(two("[1,2]", "[0,1]"), b"\1\2"))
case("r14-first-not-at-zero", one(t(offsets="[1,2]"), b"\1\2"), 'tensor "a" begins at 1 of the data, expected 0: no hole is allowed')
case("r14-hole", st(two("[0,1]", "[2,3]"), b"\1\2\3"), 'tensor "b" begins at 2 of the data, expected 1: no hole is allowed')
case("r14-overlap", st(two("[0,2]", "[1,3]", shape="[2]"), b"\1\2\3"), 'tensor "b" begins at 1 of the data, but tensor "a" ends at 2')
case("r14-alias", st(two("[0,1]", "[0,1]"), b"\1"), 'tensor "b" begins at 0 of the data, but tensor "a" ends at 1')
case("r14-inside", st('{"a":' + t(shape="[4]", offsets="[0,4]") + ',"b":' + t(offsets="[1,2]") + "}", b"\1\2\3\4"),
     'tensor "b" begins at 1 of the data, but tensor "a" ends at 4')
case("r14-reversed", one(t(offsets="[1,0]"), b"\1"), 'tensor "a": data_offsets end at 0 before they begin at 1')
case("r14-begin-max", one(t(offsets=f"[{M64 - 1},0]"), b"\1"), f'tensor "a": data_offsets end at 0 before they begin at {M64 - 1}')
case("r14-wraps", st('{"a":' + t(offsets="[0,1]") + ',"b":' + t("U8", "[1]", f"[{M64 - 2},{M64 - 1}]") + "}", b"\1"),
     f'tensor "b" begins at {M64 - 2} of the data, expected 1: no hole is allowed')
case("r14-json-attack", st("{" + ",".join(f'"weight_{i}":' + t("F32", "[2,2]", "[0,16]") for i in range(10)) + "}", bytes(16)),
     'tensor "weight_1" begins at 0 of the data, but tensor "weight_0" ends at 16')

# ---- sizes
case("r15-elements-overflow", one(t("U8", f"[{2**32},{2**32}]", "[0,1]"), b"\1"),
     f'tensor "a": the size of shape [{2**32},{2**32}] in U8 is over 2^64 bits')
case("r15-bits-overflow", one(t("F64", f"[{2**58}]", "[0,1]"), b"\1"), f'tensor "a": the size of shape [{2**58}] in F64 is over 2^64 bits')
case("r15-upstream-overflow", one(t("F32", f"[2,{M64 - 1}]", "[0,16]"), bytes(16)),
     f'tensor "a": the size of shape [2,{M64 - 1}] in F32 is over 2^64 bits')
case("r15-upstream-bits-overflow", one(t("F32", f"[2,{2**62}]", "[0,16]"), bytes(16)),
     f'tensor "a": the size of shape [2,{2**62}] in F32 is over 2^64 bits')
case("r15-overflow-before-zero", one(t("U8", f"[{M64 - 1},4,0]", "[0,0]")),
     f'tensor "a": the size of shape [{M64 - 1},4,0] in U8 is over 2^64 bits')
case("ok-r15-zero-first", one(t("U8", f"[0,{2**62},{2**62}]", "[0,0]")))
case("r15-largest-bits", one(t("U8", f"[{2**61 - 1}]", f"[0,{2**61 - 1}]"), b"\1"),
     f'tensor "a" ends at {2**61 - 1} of the data, but the file ends at 1: it is incomplete')
case("r16-f4-odd", one(t("F4", "[3]", "[0,2]"), b"\1\2"), 'tensor "a": shape [3] in F4 is 12 bits, expected whole bytes')
case("r16-f4-scalar", one(t("F4", "[]", "[0,1]"), b"\1"), 'tensor "a": shape [] in F4 is 4 bits, expected whole bytes')
case("ok-r16-f4-odd-last-dimension", one(t("F4", "[2,3]", "[0,3]"), b"\1\2\3"))
case("r16-f6-two", one(t("F6_E2M3", "[2]", "[0,2]"), b"\1\2"), 'tensor "a": shape [2] in F6_E2M3 is 12 bits, expected whole bytes')
case("r16-f6-three", one(t("F6_E3M2", "[3]", "[0,3]"), b"\1\2\3"), 'tensor "a": shape [3] in F6_E3M2 is 18 bits, expected whole bytes')
case("ok-r16-f6-eight", one(t("F6_E3M2", "[2,4]", "[0,6]"), bytes(6)))
case("r17-too-few-bytes", one(t("F32", "[2]", "[0,4]"), bytes(4)),
     'tensor "a": data_offsets hold 4 bytes, expected 8 for shape [2] in F32')
case("r17-too-many-bytes", one(t("F32", "[1]", "[0,8]"), bytes(8)),
     'tensor "a": data_offsets hold 8 bytes, expected 4 for shape [1] in F32')
case("r17-scalar-without-bytes", one(t("F32", "[]", "[0,0]")), 'tensor "a": data_offsets hold 0 bytes, expected 4 for shape [] in F32')
case("r17-empty-with-bytes", one(t("F32", "[0]", "[0,4]"), bytes(4)),
     'tensor "a": data_offsets hold 4 bytes, expected 0 for shape [0] in F32')
case("r17-upstream-zero-shape", one(t("I32", "[2,0]", "[0,4]"), bytes(4)),
     'tensor "a": data_offsets hold 4 bytes, expected 0 for shape [2,0] in I32')

# ---- empty tensors
case("ok-r18-only-empty", one(t("F32", "[2,0]", "[0,0]")))
case("ok-r18-several-at-a-boundary", st('{"a":' + t() + "," + ",".join(f'"{n}":' + t("F32", "[0]", o) for n, o in
                                        (("b", "[1,1]"), ("c", "[0,0]"), ("d", "[1,1]"), ("e", "[2,2]"))) + ',"f":' + t(offsets="[1,2]") + "}",
                                        b"\1\2"))
case("r18-inside-another", st('{"a":' + t("F32", "[1]", "[0,4]") + ',"b":' + t("U8", "[0]", "[2,2]") + "}", bytes(4)),
     'tensor "b" begins at 2 of the data, but tensor "a" ends at 4')
case("r18-past-the-end", st('{"a":' + t() + ',"b":' + t("U8", "[0]", "[2,2]") + "}", b"\1"),
     'tensor "b" begins at 2 of the data, expected 1: no hole is allowed')
case("r18-far-past-the-end", st('{"a":' + t() + ',"b":' + t("U8", "[0]", f"[{M64 - 1},{M64 - 1}]") + "}", b"\1"),
     f'tensor "b" begins at {M64 - 1} of the data, expected 1: no hole is allowed')

# ---- alignment, names, nesting, payload
case("ok-r19-misaligned", st('{"a":' + t() + ',"b":' + t("F32", "[1]", "[1,5]") + "}", b"\1\0\0\x80\x3f"))
case("ok-r19-misaligned-header", st('{"b":' + t("F64", "[1]", "[0,8]") + "} ", bytes(8)))
case("ok-r20-empty-name", one(t(), b"\1", name=""))
case("ok-r20-path-as-name", one(t(), b"\1", name="../../etc/passwd"))
case("ok-r20-any-unicode", one(t(), b"\1", name="\u00fc\u4e2d\U0001f917\\u00e9\\ud83e\\udd17\\n\\\"\\\\\\/\x7f"))
case("r20-nul-in-name", one(t(), b"\1", name="a\\u0000b"), "the name of tensor 0 has U+0000 in it, which is not supported", UNSUPPORTED,
     reference=True)
case("r20-twice-same-range", st('{"a":' + t() + ',"a":' + t() + "}", b"\1"), 'tensor "a" is there twice', reference=True)
case("r20-twice-other-range", st('{"a":' + t() + ',"a":' + t(offsets="[1,2]") + "}", b"\1\2"), 'tensor "a" is there twice')
case("r20-twice-escaped", st('{"a":' + t() + ',"\\u0061":' + t() + "}", b"\1"), 'tensor "a" is there twice', reference=True)
case("ok-r20-not-normalized", st('{"\u00e9":' + t() + ',"e\u0301":' + t(offsets="[1,2]") + "}", b"\1\2"))
case("r20-control-in-message", one("1", name="\\u001b[31m\\n\u202e"), 'tensor "?[31m????" is 1, expected an object')
case("ok-r21-nesting-127", one(t(more=',"x":' + "[" * 125 + "]" * 125), b"\1"))
case("r21-nesting-128", one(t(more=',"x":' + "[" * 126 + "]" * 126), b"\1"), at(X + 125) + "objects and arrays are nested more than 127 deep")
case("r21-nesting-objects", one(t(more=',"x":' + '{"y":' * 126 + "1" + "}" * 126), b"\1"),
     at(X + 5 * 125) + "objects and arrays are nested more than 127 deep")
case("r21-nesting-root", st("[" * 5000), "the header is an array, expected an object")
case("r21-nesting-shape", one(t(shape="[" * 5000)), 'tensor "a": shape[0] is an array, expected an integer from 0 to 2^64 - 1')
case("ok-r22-bool-seven", one(t("BOOL", "[1]", "[0,1]"), b"\7"))
case("ok-r22-nan", one(t("F32", "[2]", "[0,8]"), b"\xff" * 8))
HUGE = at(X) + "a number is 10^308 or more"
case("r05-number-too-large-for-double", one(t(more=',"x":1e999'), b"\1"), HUGE)
case("r05-number-of-10-308", one(t(more=',"x":-0.001e311'), b"\1"), HUGE, reference=True)
case("r05-number-of-309-digits", one(t(more=f',"x":{10**308}'), b"\1"), HUGE, reference=True)
case("ok-r05-numbers-below-10-308", one(t(more=f',"x":[{10**308 - 1},9.99e307,-0.01e309,{10**400}e-300,0e999,1e-99999999999999999999]'), b"\1"))
case("ok-r05-large-integer-ignored", one(t(more=f',"x":{10**30}'), b"\1"))
case("ok-r05-every-escape", one(t(more=',"x":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\\ud83d\\uDE00"'), b"\1"))

# ---- indexes: folder -> (files, error)
indexes = {}
INDEX = "model.safetensors.index.json"


def index(name, files, error="", status=FORMAT):
    assert name not in indexes, name
    assert (error == "") == name.startswith("ok-"), name
    indexes[name] = ({k: v.encode() if isinstance(v, str) else v for k, v in files.items()}, f"{status}: {error}\n" if error else "")


A, B = one(t(), b"\1", "a"), one(t(), b"\2", "b")
index("ok-two-shards", {INDEX: '{"metadata":{"total_size":2},"weight_map":{"b":"s2.safetensors","a":"s1.safetensors"}}', "s1.safetensors": A,
                        "s2.safetensors": B})
index("ok-total-size-wrong", {INDEX: '{"metadata":{"total_size":-7e99},"weight_map":{"a":"s1.safetensors"}}', "s1.safetensors": A})
index("ok-stray-file-ignored", {INDEX: '{"weight_map":{"a":"s1.safetensors"}}', "s1.safetensors": A, "stray.safetensors": b"junk"})
index("ok-stored-but-not-mapped", {INDEX: '{"weight_map":{"a":"s1.safetensors","c":"s2.safetensors"}}',
                                   "s1.safetensors": st(two("[0,1]", "[1,2]"), b"\1\2"), "s2.safetensors": one(t(), b"\3", "c")})
index("two-shards-have-it", {INDEX: '{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}', "s1.safetensors": A,
                             "s2.safetensors": st(two("[0,1]", "[1,2]"), b"\3\4")},
      f'{INDEX}: tensor "a" is in shard "s1.safetensors" and in shard "s2.safetensors"')
index("two-shards-have-what-is-not-mapped", {INDEX: '{"weight_map":{"c":"s3.safetensors","b":"s1.safetensors","d":"s2.safetensors"}}',
                                             "s1.safetensors": st(two("[0,1]", "[1,2]"), b"\1\2"), "s2.safetensors": one(t(), b"\1", "d"),
                                             "s3.safetensors": st(two("[0,1]", "[1,2]").replace('"b"', '"c"'), b"\3\4")},
      f'{INDEX}: tensor "a" is in shard "s1.safetensors" and in shard "s3.safetensors"')
index("ok-single-file-wins", {INDEX: "not even JSON", "model.safetensors": A})
index("ok-unknown-keys", {INDEX: '{"x":[{}],"weight_map":{"a":"s1.safetensors"},"y":null}', "s1.safetensors": A})
index("missing-shard", {INDEX: '{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}', "s1.safetensors": A},
      f'{INDEX}: its shard "s2.safetensors" is missing', "CUDDLE_E_IO")
index("tensor-not-in-shard", {INDEX: '{"weight_map":{"a":"s1.safetensors","c":"s2.safetensors"}}', "s1.safetensors": A, "s2.safetensors": B},
      f'{INDEX}: tensor "c" is not in its shard "s2.safetensors"')
index("tensor-in-the-other-shard", {INDEX: '{"weight_map":{"a":"s2.safetensors","b":"s2.safetensors"}}', "s1.safetensors": A, "s2.safetensors": B},
      f'{INDEX}: tensor "a" is not in its shard "s2.safetensors"')
index("tensor-in-the-wrong-shard", {INDEX: '{"weight_map":{"a":"s2.safetensors","b":"s1.safetensors"}}', "s1.safetensors": A, "s2.safetensors": B},
      f'{INDEX}: tensor "a" is in shard "s1.safetensors", expected it in "s2.safetensors"')
index("bad-shard", {INDEX: '{"weight_map":{"a":"s1.safetensors"}}', "s1.safetensors": A[:-1]},
      's1.safetensors: tensor "a" ends at 1 of the data, but the file ends at 0: it is incomplete')
for name, value, reason in (("slash", "sub/s1.safetensors", "has a '/' in it"), ("absolute", "/etc/passwd", "is absolute"),
                            ("parent", "../s1.safetensors", "has a '/' in it"), ("dots", "..", 'has ".." in it'),
                            ("backslash", "..\\\\s1.safetensors", "has a '\\' in it"), ("empty", "", "is empty"),
                            ("nul", "s1.safetensors\\u0000", "has U+0000 in it"), ("long", "x" * 256, "has more than 255 bytes")):
    shown = value.replace("\\\\", "\\").replace("\\u0000", "")
    shown = shown[:48] + "..." if len(shown) > 48 else shown
    index(f"shard-name-{name}", {INDEX: f'{{"weight_map":{{"a":"{value}"}}}}', "s1.safetensors": A},
          f'{INDEX}: tensor "a": the file name "{shown}" {reason}, expected a file beside the index')
index("same-tensor-twice", {INDEX: '{"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}}', "s1.safetensors": A, "s2.safetensors": A},
      f'{INDEX}: weight_map has tensor "a" twice')
index("weight-map-twice", {INDEX: '{"weight_map":{"a":"s1.safetensors"},"weight_map":{}}', "s1.safetensors": A},
      f'{INDEX}: the key "weight_map" is there twice')
index("weight-map-missing", {INDEX: '{"metadata":{"total_size":1}}'}, f"{INDEX}: weight_map is missing")
index("weight-map-empty", {INDEX: '{"weight_map":{}}'}, f"{INDEX}: weight_map is empty")
index("weight-map-array", {INDEX: '{"weight_map":["a"]}'}, f"{INDEX}: weight_map is an array, expected an object")
index("weight-map-null", {INDEX: '{"weight_map":null}'}, f"{INDEX}: weight_map is null, expected an object")
index("weight-map-number-value", {INDEX: '{"weight_map":{"a":1}}'}, f'{INDEX}: weight_map has 1 for tensor "a", expected a file name')
index("weight-map-list-value", {INDEX: '{"weight_map":{"a":["s1.safetensors"]}}'},
      f'{INDEX}: weight_map has an array for tensor "a", expected a file name')
index("tensor-name-nul", {INDEX: '{"weight_map":{"a\\u0000":"s1.safetensors"}}'},
      f"{INDEX}: the name of tensor 0 has U+0000 in it, which is not supported", UNSUPPORTED)
index("root-array", {INDEX: "[]"}, f"{INDEX}: is an array, expected an object")
index("not-json", {INDEX: "model"}, f"{INDEX}: byte 0: found 'm', expected a JSON value")
index("empty-index", {INDEX: ""}, f"{INDEX}: byte 0: found the end, expected a JSON value")
index("trailing-comma", {INDEX: '{"weight_map":{"a":"s1.safetensors",}}'}, f"{INDEX}: byte 36: found '}}', expected a key in quotes")
# These name the folder as it was given: the test goes there and opens "input".
index("no-weights", {"config.json": "{}"}, "input: no model.safetensors and no model.safetensors.index.json in this directory",
      "CUDDLE_E_IO")
index("only-adapter", {"config.json": "{}", "adapter_model.safetensors": A},
      'input: no model.safetensors and no model.safetensors.index.json; there is "adapter_model.safetensors", which can be named itself',
      "CUDDLE_E_IO")
PICKLE = "which is executable pickle data and not read; "
CONVERT = PICKLE + "convert it with transformers: AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)"
OTHER = PICKLE + "use a repository of the model that has safetensors"
ORIGINAL = "is not supported; use the model's original repository, which has safetensors"
OLD = "convert them with transformers 4: AutoModelForCausalLM.from_pretrained(dir, from_{}=True).save_pretrained(dir)"
index("only-pickle", {"pytorch_model.bin": "x", "training_args.bin": "x", "model.onnx": "x"}, f"input: only pytorch_model.bin, {CONVERT}", UNSUPPORTED)
index("only-pickle-shards", {"pytorch_model-00002-of-00002.bin": "x", "pytorch_model-00001-of-00002.bin": "x",
                             "pytorch_model.bin.index.json": "{}"}, f"input: only pytorch_model-00001-of-00002.bin, {CONVERT}", UNSUPPORTED)
index("only-training-args", {"training_args.bin": "x"},
      "input: no model.safetensors and no model.safetensors.index.json in this directory", "CUDDLE_E_IO")
for name, file, text in (("gguf", "model.Q4_K.gguf", f"and GGUF {ORIGINAL}"), ("onnx", "model.onnx", f"and ONNX {ORIGINAL}"),
                         ("tensorflow", "tf_model.h5", "weights for TensorFlow; " + OLD.format("tf")),
                         ("flax", "flax_model.msgpack", "weights for Flax; " + OLD.format("flax")),
                         ("pt", "model.pt", OTHER), ("pth", "consolidated.00.pth", OTHER), ("ckpt", "step-100.ckpt", OTHER)):
    index(f"only-{name}", {file: "x", "README.md": "x"}, f"input: only {file}, {text}", UNSUPPORTED)


def write(folder, files):
    folder.mkdir(parents=True)
    for name, blob in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(blob)


def check():
    import safetensors
    print("safetensors", safetensors.__version__)
    wrong = deviations = 0
    for name, (blob, error, reference) in cases.items():
        try:
            safetensors.deserialize(blob)
            accepted, said = True, "accepted"
        except safetensors.SafetensorError as e:
            accepted, said = False, str(e)
        if accepted != reference:
            wrong += 1
            print(f"WRONG {name}: the reference says: {said}")
        elif accepted != (error == ""):
            deviations += 1
            print(f"deviation {name}: ours: {error.strip() or 'accepted'}; the reference's: {said}")
    print(f"{len(cases)} cases, {deviations} deliberate deviations, {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--corpus", action="store_true")
    args = parser.parse_args()
    if args.check:
        return 1 if check() else 0
    for folder in ("safetensors", "index"):
        shutil.rmtree(TESTS / "bad" / folder, ignore_errors=True)
    for name, (blob, error, _) in cases.items():
        write(TESTS / "bad" / "safetensors" / name, {"input.safetensors": blob, "error": error.encode()})
    for name, (files, error) in indexes.items():
        write(TESTS / "bad" / "index" / name, {"input/" + k: v for k, v in files.items()} | {"error": error.encode()})
    if args.corpus:
        pick = [n for n in cases if n.startswith("ok-") and "r11" not in n] + ["ok-r11-F4", "ok-r11-BF16"]
        pick += ["r05-lone-high-surrogate", "r14-json-attack", "r21-nesting-128", "r09-same-key-twice", "r10-unknown-twice", "r04-utf8-cut"]
        shutil.rmtree(TESTS / "fuzz/corpus/safetensors", ignore_errors=True)
        write(TESTS / "fuzz/corpus/safetensors", {n: cases[n][0] for n in pick})
        shutil.rmtree(TESTS / "fuzz/corpus/index", ignore_errors=True)
        write(TESTS / "fuzz/corpus/index", {n: f[INDEX] for n, (f, _) in indexes.items() if f.get(INDEX)})
    print(f"{len(cases)} safetensors cases, {len(indexes)} index cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
