#!/usr/bin/env python3
"""Writes tests/bad/sentence/<case>/: sentence-transformers layouts that are refused, and in `error` the status and the sentence.

    python scripts/make_bad_layouts.py            # remakes the folder
    python scripts/make_bad_layouts.py --check    # compares it with a fresh one
    python scripts/make_bad_layouts.py --corpus   # also refreshes tests/fuzz/corpus/sentence_layout from it and from tests/tasks/layouts

Their models have hidden states of 8 components."""

import argparse
import json
import shutil
import struct
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "tests" / "bad" / "sentence"
PREFIX = "sentence_transformers.models."
POOLING = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
DENSE = {"in_features": 8, "out_features": 2, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}
FORMAT, UNSUPPORTED, LIMIT, IO = "CUDDLE_E_FORMAT", "CUDDLE_E_UNSUPPORTED", "CUDDLE_E_LIMIT", "CUDDLE_E_IO"


def modules(*kinds: str, **changes) -> list[dict]:
    out = [{"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": PREFIX + kind} for i, kind in enumerate(kinds)]
    out[-1] |= changes
    return out


def tensors(kind: str = "F32", **shapes) -> bytes:
    size, offset, header = {"F32": 4, "F64": 8, "I64": 8}[kind], 0, {}
    for name, shape in shapes.items():
        count = size
        for n in shape:
            count *= n
        header[name.replace("__", ".")] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


CASES: dict[str, tuple] = {}


def case(name: str, error: str, **files) -> None:
    CASES[name] = (error, {"modules.json": modules("Transformer", "Pooling"), "1_Pooling/config.json": POOLING} |
                   {key.replace("__", "/").replace("_json", ".json").replace("_safetensors", ".safetensors"): value for key, value in files.items()})


def list_case(name: str, error: str, value) -> None:
    case(name, error, modules_json=value)


def pooling_case(name: str, error: str, value) -> None:
    case(name, error, **{"1_Pooling__config_json": value})


def dense_case(name: str, error: str, value=None, weights: bytes | None = None, **more) -> None:
    files = {"modules_json": modules("Transformer", "Pooling", "Dense"), "2_Dense__config_json": DENSE if value is None else value}
    if weights is not None:
        files["2_Dense__model_safetensors"] = weights
    case(name, error, **(files | more))


GOOD = tensors(linear__weight=[2, 8], linear__bias=[2])
ORDER = "expected a Transformer, then a Pooling, then Dense and Normalize only"
KNOWN = "expected sentence_transformers' Transformer, Pooling, Dense or Normalize"

list_case("empty-file", f"{FORMAT}: modules.json: the file is empty, expected a list", b"")
list_case("not-json", f"{FORMAT}: modules.json: byte 0: found 'm', expected a JSON value", b"modules")
list_case("object", f"{FORMAT}: modules.json: is an object, expected a list", {})
list_case("cut", f"{FORMAT}: modules.json: byte 1: found the end, expected a JSON value", b"[")
list_case("no-modules", f"{UNSUPPORTED}: modules.json: lists 0 modules, expected a Transformer and a Pooling at least", [])
list_case("one-module", f"{UNSUPPORTED}: modules.json: lists 1 modules, expected a Transformer and a Pooling at least", modules("Transformer"))
list_case("many-modules", f"{LIMIT}: modules.json: lists 17 modules, at most 16 are read", modules("Transformer", "Pooling", *["Normalize"] * 15))
list_case("module-number", f"{FORMAT}: modules.json: \"[0]\" is 3, expected an object", [3])
list_case("no-type", f"{FORMAT}: modules.json: \"[0].type\" is missing, expected a string", [{"path": ""}])
list_case("type-number", f"{FORMAT}: modules.json: \"[0].type\" is 1, expected a string", [{"type": 1}])
list_case("type-cnn", f"{UNSUPPORTED}: modules.json: \"[1].type\" is \"sentence_transformers.models.CNN\", {KNOWN}", modules("Transformer", "CNN"))
list_case("type-static", f"{UNSUPPORTED}: modules.json: \"[0].type\" is \"sentence_transformers.models.StaticEmbedding\", {KNOWN}", modules("StaticEmbedding"))
list_case("type-own-code", f"{UNSUPPORTED}: modules.json: \"[0].type\" is \"custom_st.Transformer\", {KNOWN}", modules("Transformer", type="custom_st.Transformer"))
list_case("pooling-first", f"{UNSUPPORTED}: modules.json: \"[0].type\" is \"sentence_transformers.models.Pooling\", {ORDER}", modules("Pooling", "Transformer"))
list_case("two-poolings", f"{UNSUPPORTED}: modules.json: \"[2].type\" is \"sentence_transformers.models.Pooling\", {ORDER}", modules("Transformer", "Pooling", "Pooling"))
list_case("two-transformers", f"{UNSUPPORTED}: modules.json: \"[1].type\" is \"sentence_transformers.models.Transformer\", {ORDER}", modules("Transformer", "Transformer"))
list_case("dense-first", f"{UNSUPPORTED}: modules.json: \"[1].type\" is \"sentence_transformers.models.Dense\", {ORDER}", modules("Transformer", "Dense", "Pooling"))
list_case("no-path", f"{FORMAT}: modules.json: \"[0].path\" is missing, expected a string", [{"type": PREFIX + "Transformer"}])
for name, path in {"absolute": "/etc", "above": "../other", "above-within": "1_Pooling/../../x", "above-end": "a/.."}.items():
    list_case(f"path-{name}", f"{FORMAT}: modules.json: \"[1].path\" is \"{path}\", expected a folder below the checkpoint's", modules("Transformer", "Pooling", path=path))
list_case("path-long", f"{FORMAT}: modules.json: \"[1].path\" is \"{'a' * 48}...\", expected a folder below the checkpoint's", modules("Transformer", "Pooling", path="a" * 256))
list_case("path-nowhere", f"{IO}: elsewhere/config.json: No such file or directory", modules("Transformer", "Pooling", path="elsewhere"))

WIDTH = "expected an integer from 1 to 1048576"
MODE = "expected cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken"
pooling_case("pooling-empty", f"{FORMAT}: 1_Pooling/config.json: \"embedding_dimension\" is missing, {WIDTH}", {})
pooling_case("pooling-no-width", f"{FORMAT}: 1_Pooling/config.json: \"embedding_dimension\" is missing, {WIDTH}", {"pooling_mode": "mean"})
pooling_case("pooling-width-zero", f"{FORMAT}: 1_Pooling/config.json: \"word_embedding_dimension\" is 0, {WIDTH}", {"word_embedding_dimension": 0})
pooling_case("pooling-width-large", f"{FORMAT}: 1_Pooling/config.json: \"embedding_dimension\" is 1048577, {WIDTH}", {"embedding_dimension": 1048577})
pooling_case("pooling-width-other", f"{FORMAT}: 1_Pooling/config.json: the module takes 9 components, but what comes before it gives 8", {"embedding_dimension": 9})
pooling_case("pooling-unknown-key", f"{UNSUPPORTED}: 1_Pooling/config.json: \"pooling_mode_median\" of a pooling module is not supported", POOLING | {"pooling_mode_median": True})
pooling_case("pooling-mode-unknown", f"{UNSUPPORTED}: 1_Pooling/config.json: \"pooling_mode\" is \"median\", {MODE}", {"embedding_dimension": 8, "pooling_mode": "median"})
pooling_case("pooling-mode-number", f"{FORMAT}: 1_Pooling/config.json: \"pooling_mode\" is 1, expected an array", {"embedding_dimension": 8, "pooling_mode": 1})
pooling_case("pooling-mode-null", f"{FORMAT}: 1_Pooling/config.json: \"pooling_mode\" is null, expected an array", {"embedding_dimension": 8, "pooling_mode": None})
pooling_case("pooling-modes-empty", f"{FORMAT}: 1_Pooling/config.json: \"pooling_mode\" is an array, expected a mode or a list of some", {"embedding_dimension": 8, "pooling_mode": []})
pooling_case("pooling-modes-many", f"{LIMIT}: 1_Pooling/config.json: \"pooling_mode\" lists more than 6 modes", {"embedding_dimension": 8, "pooling_mode": ["mean"] * 7})
pooling_case("pooling-modes-number", f"{FORMAT}: 1_Pooling/config.json: \"pooling_mode[1]\" is 2, expected a string", {"embedding_dimension": 8, "pooling_mode": ["mean", 2]})
pooling_case("pooling-flag-number", f"{FORMAT}: 1_Pooling/config.json: \"pooling_mode_mean_tokens\" is 1, expected true or false", POOLING | {"pooling_mode_mean_tokens": 1})
pooling_case("pooling-prompt-string", f"{FORMAT}: 1_Pooling/config.json: \"include_prompt\" is \"no\", expected true or false", POOLING | {"include_prompt": "no"})
pooling_case("pooling-list", f"{FORMAT}: config.json: is an array, expected an object", [])
pooling_case("pooling-twice", f"{FORMAT}: config.json: byte 31: the key \"embedding_dimension\" is there twice", b'{"embedding_dimension": 8,     "embedding_dimension": 8}')

ACTIVATION = "expected torch.nn's Identity, Tanh, ReLU, GELU, SiLU or Sigmoid"
dense_case("dense-no-in", f"{FORMAT}: 2_Dense/config.json: \"in_features\" is missing, {WIDTH}", {"out_features": 2})
dense_case("dense-out-negative", f"{FORMAT}: 2_Dense/config.json: \"out_features\" is -1, {WIDTH}", DENSE | {"out_features": -1})
dense_case("dense-in-other", f"{FORMAT}: 2_Dense/config.json: the module takes 7 components, but what comes before it gives 8", DENSE | {"in_features": 7})
dense_case("dense-activation", f"{UNSUPPORTED}: 2_Dense/config.json: \"activation_function\" is \"torch.nn.modules.activation.Softplus\", {ACTIVATION}",
           DENSE | {"activation_function": "torch.nn.modules.activation.Softplus"})
dense_case("dense-activation-own", f"{UNSUPPORTED}: 2_Dense/config.json: \"activation_function\" is \"os.system.Tanh\", {ACTIVATION}", DENSE | {"activation_function": "os.system.Tanh"})
dense_case("dense-tokens", f"{UNSUPPORTED}: 2_Dense/config.json: \"module_input_name\" is \"token_embeddings\", expected \"sentence_embedding\"",
           DENSE | {"module_input_name": "token_embeddings"})
dense_case("dense-no-weights", f"{IO}: 2_Dense: no model.safetensors and no model.safetensors.index.json in this directory")
dense_case("dense-no-bias", f"{FORMAT}: 2_Dense: there is no tensor \"linear.bias\"", weights=tensors(linear__weight=[2, 8]))
dense_case("dense-other-name", f"{FORMAT}: 2_Dense: there is no tensor \"linear.weight\"", weights=tensors(weight=[2, 8]))
dense_case("dense-shape", f"{FORMAT}: 2_Dense: the shape of \"linear.weight\" is not [2, 8]", weights=tensors(linear__weight=[8, 2], linear__bias=[2]))
dense_case("dense-rank", f"{FORMAT}: 2_Dense: the shape of \"linear.bias\" is not [2]", weights=tensors(linear__weight=[2, 8], linear__bias=[1, 2]))
dense_case("dense-type", f"{UNSUPPORTED}: 2_Dense: \"linear.weight\" is F64, expected F32, F16 or BF16", weights=tensors("F64", linear__weight=[2, 8], linear__bias=[2]))
dense_case("dense-more", f"{FORMAT}: 2_Dense: has 3 tensors, expected those of its config.json, which are 2", weights=tensors(linear__weight=[2, 8], linear__bias=[2], extra=[1]))
dense_case("dense-no-residual", f"{FORMAT}: 2_Dense: there is no tensor \"residual.weight\"", DENSE | {"use_residual": True}, GOOD)
case("normalize-tokens", f"{UNSUPPORTED}: 2_Normalize/config.json: \"module_input_name\" is \"token_embeddings\", expected \"sentence_embedding\"",
     modules_json=modules("Transformer", "Pooling", "Normalize"), **{"2_Normalize__config_json": {"module_input_name": "token_embeddings"}})

BERT = "sentence_bert_config.json"
case("length-zero", f"{FORMAT}: {BERT}: \"max_seq_length\" is 0, expected an integer from 1 to 2147483647", sentence_bert_config_json={"max_seq_length": 0})
case("lower-case-number", f"{FORMAT}: {BERT}: \"do_lower_case\" is 1, expected true or false", sentence_bert_config_json={"do_lower_case": 1})
case("transformer-task", f"{UNSUPPORTED}: {BERT}: \"transformer_task\" is \"fill-mask\", expected \"feature-extraction\"", sentence_bert_config_json={"transformer_task": "fill-mask"})
case("query-expansion", f"{UNSUPPORTED}: {BERT}: \"query_expansion\" is an object, expected nothing: it is not supported", sentence_bert_config_json={"query_expansion": {"a": 1}})
case("tokenizer-args", f"{UNSUPPORTED}: sentence_xlnet_config.json: \"tokenizer_args\" is an object, expected nothing: it is not supported",
     **{"sentence_xlnet_config_json": {"tokenizer_args": {"use_fast": False}}})

ST = "config_sentence_transformers.json"
case("sparse", f"{UNSUPPORTED}: {ST}: \"model_type\" is \"SparseEncoder\", expected \"SentenceTransformer\"", config_sentence_transformers_json={"model_type": "SparseEncoder"})
case("prompts-list", f"{FORMAT}: {ST}: \"prompts\" is an array, expected an object", config_sentence_transformers_json={"prompts": []})
case("prompt-number", f"{FORMAT}: {ST}: \"prompts.query\" is 1, expected a string", config_sentence_transformers_json={"prompts": {"query": 1}})
case("prompts-many", f"{LIMIT}: {ST}: has 1025 prompts, at most 1024 are read", config_sentence_transformers_json={"prompts": {f"p{i}": "" for i in range(1025)}})
case("default-prompt", f"{FORMAT}: {ST}: \"default_prompt_name\" is \"passage\", expected the name of one of its prompts",
     config_sentence_transformers_json={"prompts": {"query": "q: "}, "default_prompt_name": "passage"})
case("similarity", f"{UNSUPPORTED}: {ST}: \"similarity_fn_name\" is \"maxsim\", expected cosine, dot, euclidean or manhattan", config_sentence_transformers_json={"similarity_fn_name": "maxsim"})
case("truncate-zero", f"{FORMAT}: {ST}: \"truncate_dim\" is 0, {WIDTH}", config_sentence_transformers_json={"truncate_dim": 0})


def make(place: Path) -> None:
    for name, (error, files) in CASES.items():
        for file, value in (files | {"error": (error + "\n").encode()}).items():
            path = place / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())


READERS = ("modules.json", "_Pooling/config.json", "_Dense/config.json", "sentence_bert_config.json", "config_sentence_transformers.json")


def make_corpus(place: Path) -> None:
    """A byte that says which reader it is for, then the file."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    layouts = OUT.parent.parent / "tasks" / "layouts"
    seen = set()
    for file in sorted([*OUT.rglob("*.json"), *layouts.rglob("*.json")]):
        reader = next((i for i, name in enumerate(READERS) if file.as_posix().endswith(name)), None)
        text = file.read_bytes()
        if reader is None or len(text) > 1500 or (reader, text) in seen:
            continue
        seen.add((reader, text))
        (place / f"{file.relative_to(OUT if OUT in file.parents else layouts).parts[0]}-{reader}").write_bytes(bytes([reader]) + text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--corpus", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check:
        shutil.rmtree(OUT, ignore_errors=True)
        make(OUT)
        if arguments.corpus:
            make_corpus(OUT.parent.parent / "fuzz" / "corpus" / "sentence_layout")
        return 0
    with tempfile.TemporaryDirectory() as fresh:
        make(Path(fresh))
        files = lambda place: {path.relative_to(place): path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}
        same = files(fresh) == files(OUT)
    print("the same" if same else "others")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
