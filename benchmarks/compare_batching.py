#!/usr/bin/env python3
"""Continuous batching beside llama.cpp and transformers, in one interleaved run: compare_batching.py CHECKPOINT --cuddle LIBCUDDLE [peers]

CHECKPOINT is one of make_checkpoint.py, llama-3.2-1b say. A round gives each contestant the same new prompts, first one request, then --requests at once: --in
tokens each, greedy, --out tokens out whatever they are. Counted are output tokens over the time from the first request's submission to the last
one's end, prompts included. Printed are medians of the rounds with the least and the most, and of cuddle's speed over the peer's in a round.
All compute with --threads threads, and each lives in a process of its own that keeps its model loaded.

Peers are asked for by option, all on the CPU:
  --gguf FILE      llama.cpp, through the package llama-cpp-python, which pip compiles for the machine it is on; make_gguf.py writes FILE
  --transformers   `generate_batch` (continuous batching) and `generate` (one batch) of transformers; needs torch and psutil

First tokens are compared with cuddle's: with random weights rounding lets some differ, but where most do it is another model, and the exit code is 1.
The shape `tiny` is too small for that, it repeats what came last."""

import argparse
import collections
import contextlib
import ctypes
import json
import logging
import multiprocessing
import os
import platform
import random
import re
import shlex
import statistics
import subprocess
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("text", ctypes.c_char * 252)]


class Segment(ctypes.Structure):
    _fields_ = [("kind", c_int), ("text", c_char_p), ("tokens", POINTER(c_int32)), ("count", c_size_t)]


# The beginnings of these structs: the library leaves the rest as it is by default.
class EngineOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("device", c_char_p), ("threads", c_int), ("cpu_threads", c_int)]


class ModelOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("dtype", c_char_p), ("load", c_int), ("max_context", c_int), ("max_sequences", c_int),
                ("max_batch", c_int), ("kv_tokens", c_int64)]


class GenerationOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("max_tokens", c_int), ("temperature", c_float), ("top_k", c_int), ("top_p", c_float), ("min_p", c_float),
                ("repetition_penalty", c_float), ("seed", c_uint64), ("stop", c_void_p), ("stop_count", c_size_t), ("stop_tokens", c_void_p),
                ("stop_token_count", c_size_t), ("ignore_eos", c_int)]


class Result(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("finish", c_int), ("prompt_ids", POINTER(c_int32)), ("prompt_count", c_size_t),
                ("ids", POINTER(c_int32)), ("count", c_size_t)]


class Cuddle:
    def __init__(self, options):
        self.lib = ctypes.CDLL(options.cuddle)
        self.lib.cuddle_version.restype = self.lib.cuddle_engine_device_name.restype = c_char_p
        self.lib.cuddle_engine_device_name.argtypes = self.lib.cuddle_request_free.argtypes = [c_void_p]
        self.lib.cuddle_model_wait.argtypes = self.lib.cuddle_request_wait.argtypes = [c_void_p, c_int, POINTER(Error)]
        self.lib.cuddle_model_load.argtypes = [POINTER(c_void_p), c_void_p, c_char_p, POINTER(ModelOptions), POINTER(Error)]
        self.lib.cuddle_request_submit.argtypes = [POINTER(c_void_p), c_void_p, POINTER(Segment), c_size_t, POINTER(GenerationOptions), c_void_p,
                                                   c_void_p, POINTER(Error)]
        self.lib.cuddle_request_result.argtypes = [c_void_p, POINTER(Result), POINTER(Error)]
        engine, self.model = c_void_p(), c_void_p()
        asked = self.options("engine", EngineOptions)
        asked.device, asked.cpu_threads = b"cpu", options.threads
        self.check("cuddle_engine_new", byref(engine), byref(asked))
        asked = self.options("model", ModelOptions)
        asked.max_context, asked.max_sequences = options.tokens_in + options.tokens_out, options.requests
        self.check("cuddle_model_load", byref(self.model), engine, os.fsencode(options.checkpoint), byref(asked))
        self.check("cuddle_model_wait", self.model, -1)
        self.version = f"cuddle {self.lib.cuddle_version().decode()} ({self.lib.cuddle_engine_device_name(engine).decode()})"

    def options(self, kind: str, struct):
        out = struct()
        getattr(self.lib, f"cuddle_{kind}_options_init")(byref(out), c_size_t(ctypes.sizeof(out)))
        return out

    def check(self, function: str, *arguments):
        err = Error()
        if getattr(self.lib, function)(*arguments, byref(err)):
            raise RuntimeError(err.text.decode())

    def run(self, prompts, tokens_out):
        asked = self.options("generation", GenerationOptions)
        asked.max_tokens, asked.temperature, asked.ignore_eos = tokens_out, 0, 1
        arrays = [(c_int32 * len(p))(*p) for p in prompts]
        requests = [c_void_p() for _ in prompts]
        began = time.perf_counter()
        for request, ids in zip(requests, arrays):
            self.check("cuddle_request_submit", byref(request), self.model, byref(Segment(1, None, ids, len(ids))), 1, byref(asked), None, None)
        for request in requests:
            self.check("cuddle_request_wait", request, -1)
        seconds = time.perf_counter() - began
        outputs = []
        for request in requests:
            result = Result(ctypes.sizeof(Result))
            self.check("cuddle_request_result", request, byref(result))
            outputs.append(result.ids[:result.count])
            self.lib.cuddle_request_free(request)
        return seconds, outputs


class LlamaCpp:
    """Every step a batch of all sequences, as llama-batched-bench has it: who goes when costs nothing. The likeliest token is numpy's to find."""

    def __init__(self, options):
        import llama_cpp
        import numpy

        self.llama, self.numpy = llama_cpp, numpy
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, None)
        llama_cpp.llama_backend_init()
        self.version = f"llama.cpp of llama-cpp-python {llama_cpp.__version__}"
        model = llama_cpp.llama_model_load_from_file(os.fsencode(options.gguf), llama_cpp.llama_model_default_params())
        if not model:
            raise RuntimeError(f"{options.gguf} could not be loaded")
        asked = llama_cpp.llama_context_default_params()
        asked.n_batch, asked.n_seq_max = options.requests * options.tokens_in, options.requests
        asked.n_ctx = options.requests * (options.tokens_in + options.tokens_out)
        asked.n_threads = asked.n_threads_batch = options.threads
        self.context = llama_cpp.llama_init_from_model(model, asked)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.batch = llama_cpp.llama_batch_init(asked.n_batch, 0, 1)

    def decode(self, rows):
        """rows: (token, position, sequence, logits wanted)"""
        for i, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i] = token, position, 1
            self.batch.seq_id[i][0], self.batch.logits[i] = sequence, wanted
        self.batch.n_tokens = len(rows)
        if self.llama.llama_decode(self.context, self.batch):
            raise RuntimeError("llama_decode failed")
        logits = (self.llama.llama_get_logits_ith(self.context, i) for i, row in enumerate(rows) if row[3])
        return [int(self.numpy.ctypeslib.as_array(of_one, (self.vocabulary,)).argmax()) for of_one in logits]

    def run(self, prompts, tokens_out):
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        began = time.perf_counter()
        last = self.decode([(token, i, s, i + 1 == len(p)) for s, p in enumerate(prompts) for i, token in enumerate(p)])
        outputs = [[token] for token in last]
        for position in range(len(prompts[0]), len(prompts[0]) + tokens_out - 1):
            last = self.decode([(token, position, s, True) for s, token in enumerate(last)])
            for output, token in zip(outputs, last):
                output.append(token)
        return time.perf_counter() - began, outputs


class Transformers:
    def __init__(self, options):
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.ERROR)
        torch.set_num_threads(options.threads)
        self.torch = torch
        self.version = f"transformers {transformers.__version__}, torch {torch.__version__}"
        self.model = transformers.AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=torch.bfloat16).eval()
        self.model.generation_config.eos_token_id = None
        self.asked = transformers.GenerationConfig(do_sample=False, eos_token_id=None, pad_token_id=0)


class TransformersGenerate(Transformers):
    def run(self, prompts, tokens_out):
        ids = self.torch.tensor(prompts)
        began = time.perf_counter()
        out = self.model.generate(ids, attention_mask=self.torch.ones_like(ids), generation_config=self.asked, max_new_tokens=tokens_out)
        return time.perf_counter() - began, out[:, ids.shape[1]:].tolist()


class TransformersGenerateBatch(Transformers):
    def __init__(self, options):
        import transformers

        super().__init__(options)
        blocks = options.requests * -(-(options.tokens_in + options.tokens_out) // 256) + 1
        self.batching = transformers.ContinuousBatchingConfig(page_size=256, num_blocks=blocks, max_requests_per_batch=options.requests)

    def run(self, prompts, tokens_out):
        began = time.perf_counter()
        out = self.model.generate_batch(prompts, generation_config=self.asked, continuous_batching_config=self.batching, persistent_manager=True,
                                        progress_bar=False, max_new_tokens=tokens_out)
        return time.perf_counter() - began, [o.generated_tokens for o in out.values()]


def serve(kind, options, pipe):
    """The life of a contestant's process: sends its version, then a time and outputs for each (prompts, tokens out), until None comes."""
    try:
        contestant = kind(options)
        pipe.send(contestant.version)
        while (work := pipe.recv()) is not None:
            pipe.send(contestant.run(*work))
    except EOFError:  # nobody asks any more
        pass
    except Exception as failure:  # pylint: disable=broad-except
        pipe.send(RuntimeError(f"{type(failure).__name__}: {failure}"))  # one that can be sent whatever it was


class Contestant:
    def __init__(self, name: str, kind, options):
        self.name, self.speeds, self.ratios, self.same = name, collections.defaultdict(list), collections.defaultdict(list), [0, 0]
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(kind, options, theirs))
        self.process.start()
        theirs.close()
        self.version = self.answer()

    def answer(self):
        try:
            out = self.pipe.recv()
        except EOFError:
            sys.exit(f"{self.name}: its process died")
        if isinstance(out, Exception):
            sys.exit(f"{self.name}: {out}")
        return out

    def run(self, prompts, tokens_out):
        self.pipe.send((prompts, tokens_out))
        seconds, outputs = self.answer()
        if [len(o) for o in outputs] != [tokens_out] * len(prompts):
            sys.exit(f"{self.name}: {[len(o) for o in outputs]} tokens came, not {tokens_out} each")
        return len(prompts) * tokens_out / seconds, outputs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # it ended by itself
            self.pipe.send(None)
        self.process.join()


@contextlib.contextmanager
def surroundings(command: str | None):
    """While the body runs, so does `cat` under `command`."""
    if command is None:
        yield
        return
    with subprocess.Popen([*shlex.split(command), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as around:
        around.stdin.write(b"\n")
        around.stdin.flush()
        around.stdout.readline()  # now it runs
        yield


def series(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} | {min(values):.4g} to {max(values):.4g}"


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return re.search(r"model name\s*: (.*)", f.read())[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--cuddle", required=True, metavar="LIBCUDDLE", help="libcuddle.so")
    parser.add_argument("--gguf", metavar="FILE", help="the checkpoint for llama.cpp")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--in", type=int, default=128, dest="tokens_in")
    parser.add_argument("--out", type=int, default=128, dest="tokens_out")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--around", metavar="COMMAND", help="runs `COMMAND cat` around each measurement: something that keeps the machine quiet")
    options = parser.parse_args()
    with open(os.path.join(options.checkpoint, "config.json"), encoding="utf-8") as f:
        vocabulary = json.load(f)["vocab_size"]
    multiprocessing.set_start_method("spawn")
    counts = sorted({1, options.requests})
    kinds = [("cuddle", Cuddle, True), ("llama.cpp", LlamaCpp, options.gguf),
             ("transformers, generate_batch", TransformersGenerateBatch, options.transformers),
             ("transformers, generate", TransformersGenerate, options.transformers)]
    draw = random.Random(1)

    def prompts(count: int) -> list[list[int]]:
        return [[draw.randrange(vocabulary) for _ in range(options.tokens_in)] for _ in range(count)]

    with contextlib.ExitStack() as stack:
        contestants = [stack.enter_context(Contestant(name, kind, options)) for name, kind, wanted in kinds if wanted]
        for c in contestants:  # once as large as it gets, before anything counts
            c.run(prompts(options.requests), min(2, options.tokens_out))
        for turn in range(options.rounds):
            for count in counts:
                asked, expected = prompts(count), None
                # single requests are short: one measurement all together
                for together in [contestants] if count == 1 else [[c] for c in contestants]:
                    with surroundings(options.around):
                        for c in together:
                            speed, outputs = c.run(asked, options.tokens_out)
                            print(f"round {turn + 1}, {count} at once, {c.name}: {speed:.4g} tokens/s", file=sys.stderr)
                            expected = expected or outputs
                            c.speeds[count].append(speed)
                            c.ratios[count].append(contestants[0].speeds[count][-1] / speed)
                            c.same[0] += sum(a[0] == b[0] for a, b in zip(outputs, expected))
                            c.same[1] += count
    versions = list(dict.fromkeys(c.version for c in contestants))
    print(f"{'; '.join(versions)}; Python {platform.python_version()}; {processor()}, {options.threads} threads; {options.tokens_in} tokens in, "
          f"{options.tokens_out} out\n\n| requests | | tokens/s | range of {options.rounds} | cuddle : it | range | first tokens as cuddle's |\n"
          "|---|---|---|---|---|---|---|")
    for count in counts:
        for c in contestants:
            print(f"| {count} | {c.name} | {series(c.speeds[count])} | {series(c.ratios[count])} | {c.same[0]} of {c.same[1]} |")
    return 1 if any(2 * c.same[0] < c.same[1] for c in contestants) else 0


if __name__ == "__main__":
    sys.exit(main())
