#!/usr/bin/env python3
"""Texts that the demo checkpoint makes under each schema of tests/schemas with a hot temperature, judged by the jsonschema package.

    scripts/compare_schemas.py --library build/host/libcuddle.so [--texts 20] [--temperature 2.5] [--max-tokens 400]

Every text must end within max_tokens and be valid. Control: the same prompts without the schema give no text that is."""

import argparse
import ctypes as c
import importlib.metadata
import json
import sys
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parent.parent


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("text", c.c_char * 252)]


class GrammarOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int), ("source", c.c_char_p), ("length", c.c_size_t),
                ("choices", c.c_void_p), ("choice_count", c.c_size_t), ("max_source", c.c_size_t), ("max_memory", c.c_size_t),
                ("max_steps", c.c_uint64), ("max_depth", c.c_int)]


class ModelOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dtype", c.c_char_p), ("load", c.c_int), ("max_context", c.c_int), ("max_sequences", c.c_int),
                ("max_batch", c.c_int), ("kv_tokens", c.c_int64), ("progress", c.c_void_p), ("progress_user", c.c_void_p), ("measure_ceiling", c.c_int)]


class Generation(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("max_tokens", c.c_int), ("temperature", c.c_float), ("top_k", c.c_int), ("top_p", c.c_float),
                ("min_p", c.c_float), ("repetition_penalty", c.c_float), ("seed", c.c_uint64), ("stop", c.c_void_p), ("stop_count", c.c_size_t),
                ("stop_tokens", c.c_void_p), ("stop_token_count", c.c_size_t), ("ignore_eos", c.c_int), ("no_special", c.c_int), ("logprobs", c.c_int),
                ("prompt_logprobs", c.c_int), ("suppress", c.c_void_p), ("suppress_count", c.c_size_t), ("grammar", c.c_void_p)]


class Segment(c.Structure):
    _fields_ = [("kind", c.c_int), ("text", c.c_char_p), ("tokens", c.c_void_p), ("count", c.c_size_t)]


class Result(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("finish", c.c_int), ("prompt_ids", c.c_void_p), ("prompt_count", c.c_size_t), ("ids", c.c_void_p),
                ("count", c.c_size_t), ("text", c.c_void_p), ("text_length", c.c_size_t)]


FINISH_EOS = 1
KIND_SCHEMA = 1


class Library:
    def __init__(self, path):
        self.lib = c.CDLL(str(path))

    def call(self, name, *args):
        err = Error()
        if getattr(self.lib, name)(*args, c.byref(err)):
            raise RuntimeError(f"{name}: {err.text.decode()}")

    def make(self, name, *args):
        out = c.c_void_p()
        self.call(name, c.byref(out), *args)
        return out

    def options(self, struct, name, **fields):
        out = struct()
        getattr(self.lib, name)(c.byref(out), c.c_size_t(c.sizeof(out)))
        for key, value in fields.items():
            setattr(out, key, value)
        return out


def submit(lib, model, prompt, options):
    segment = Segment(0, prompt, None, len(prompt))
    return lib.make("cuddle_request_submit", model, c.byref(segment), c.c_size_t(1), c.byref(options), None, None)


def finish(lib, request):
    """The text and how it ended."""
    lib.call("cuddle_request_wait", request, -1)
    result = Result(struct_size=c.sizeof(Result))
    lib.call("cuddle_request_result", request, c.byref(result))
    text = c.string_at(result.text, result.text_length).decode("utf-8", "replace")
    ended, count = result.finish == FINISH_EOS, result.count
    lib.lib.cuddle_request_free(request)
    return text, ended, count


def valid(validator, text):
    try:
        return validator.is_valid(json.loads(text))
    except ValueError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, type=Path)
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--temperature", type=float, default=2.5)
    parser.add_argument("--max-tokens", type=int, default=400)
    args = parser.parse_args()
    lib = Library(args.library)
    engine = lib.make("cuddle_engine_new", None)
    options = lib.options(ModelOptions, "cuddle_model_options_init", max_sequences=16, max_context=480)
    model = lib.make("cuddle_model_load", engine, str(ROOT / "tests/models/kjv-gpt2").encode(), c.byref(options))
    lib.lib.cuddle_model_tokenizer.restype = c.c_void_p
    tokenizer = c.c_void_p(lib.lib.cuddle_model_tokenizer(model))
    prompt = b"And the king said, "
    wrong, made, longest, controls, lucky, seed = 0, 0, 0, 0, 0, 0
    for path in sorted((ROOT / "tests/schemas").glob("*.json")):
        source = path.read_bytes()
        schema = json.loads(source)
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        grammar = lib.make("cuddle_grammar_compile", tokenizer,
                           c.byref(lib.options(GrammarOptions, "cuddle_grammar_options_init", kind=KIND_SCHEMA, source=source, length=len(source))))
        common = dict(temperature=args.temperature, top_k=0, top_p=1.0)
        requests = []
        for i in range(args.texts):
            seed += 1
            own = dict(common, seed=seed)
            requests.append((submit(lib, model, prompt, lib.options(Generation, "cuddle_generation_options_init", max_tokens=args.max_tokens, grammar=grammar, **own)),
                             submit(lib, model, prompt, lib.options(Generation, "cuddle_generation_options_init", max_tokens=48, **own))))
        for held, control in requests:
            text, ended, count = finish(lib, held)
            made, longest = made + 1, max(longest, count)
            if not ended or not valid(validator, text):
                wrong += 1
                print(f"{path.name}: {'not valid' if ended else 'not ended'}: {text[:200]!r}")
            controls += 1
            lucky += valid(validator, finish(lib, control)[0])
        lib.lib.cuddle_grammar_free(grammar)
    lib.lib.cuddle_model_free(model)
    lib.lib.cuddle_engine_free(engine)
    print(f"{made} texts under {len(list((ROOT / 'tests/schemas').glob('*.json')))} schemas at temperature {args.temperature}, the longest of {longest} tokens: "
          f"{made - wrong} valid and ended; without the schema {lucky} of {controls} are valid (jsonschema {importlib.metadata.version('jsonschema')})")
    return 1 if wrong or lucky or not made else 0


if __name__ == "__main__":
    sys.exit(main())
