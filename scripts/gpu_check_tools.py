#!/usr/bin/env python3
"""The parts of gpu_check.sh that a shell is not for; needs nothing but Python.

  cublaslt MODULE           prints the folder of the cuBLASLt that the CUDA module opens, nothing if the system finds it or there is none
  facts CUDDLE              prints what this machine is, as JSON
  first-token N COMMAND...  runs it N times, and prints the seconds from exec to its first byte of output, as JSON
  report OUT                makes gpu_check.json and gpu_check.md of stages.jsonl and results.jsonl
"""

import ctypes
import glob
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time


def cublaslt(module: str) -> int:
    try:
        with open(module, "rb") as f:
            name = re.search(rb"libcublasLt\.so\.\d+", f.read())
    except OSError:
        return 0
    if not name:
        return 0
    name = name.group().decode()
    try:
        ctypes.CDLL(name)
        return 0
    except OSError:
        pass
    places = glob.glob("/usr/local/cuda*/lib64") + glob.glob("/usr/local/cuda*/targets/*/lib")
    spec = importlib.util.find_spec("nvidia")
    for base in spec.submodule_search_locations if spec and spec.submodule_search_locations else []:
        places += glob.glob(base + "/*/lib")
    for place in places:
        if os.path.exists(os.path.join(place, name)):
            print(place)
            return 0
    return 0


def output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=15)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError) as e:
        return f"{command[0]}: {e}"


def facts(cuddle: str) -> int:
    query = "name,driver_version,memory.total,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,pcie.link.gen.max,pcie.link.width.max"
    print(json.dumps({
        "doctor": output_of(cuddle, "doctor").splitlines(),
        "nvidia_smi": output_of("nvidia-smi", "--query-gpu=" + query, "--format=csv").splitlines(),
        "kernel": platform.release(), "processors": os.cpu_count(), "python": platform.python_version(),
    }))
    return 0


def first_token(count: int, command: list) -> int:
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            first = process.stdout.read(1)
            seconds.append(time.monotonic() - began)
            process.stdout.read()
        if process.returncode or not first:
            print(f"exit code {process.returncode}: {' '.join(command)}", file=sys.stderr)
            return 1
    print(json.dumps({"seconds": seconds, "median": statistics.median(seconds)}))
    return 0


# --------------------------------------------------------------------------------------------------------------- report

def lines_of(path: str) -> list:
    """The values in a file of JSON lines; a line that is not whole, of a stage that was ended, is left out."""
    values = []
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                try:
                    values.append(json.loads(line))
                except ValueError:
                    pass
    except OSError:
        pass
    return values


def table(heads: list, rows: list) -> list:
    if not rows:
        return ["", "No results.", ""]
    return ["", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)] + \
        ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows] + [""]


def cell(value) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) and value < 1000 else f"{value:.0f}" if isinstance(value, float) else str(value)


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if part is not None and whole else None


def prefill_flops(shape: str, tokens: int):
    """Multiplications and additions that a prompt needs: every matrix for each token, the head once, causal attention."""
    try:
        from make_checkpoint import SHAPES
    except ImportError:
        return None
    if shape not in SHAPES:
        return None
    hidden, inner, layers, heads, kv_heads, head, vocabulary = SHAPES[shape][:7]
    matrices = hidden * head * (2 * heads + 2 * kv_heads) + 3 * hidden * inner
    return 2 * tokens * layers * matrices + 2 * hidden * vocabulary + 2 * tokens * tokens * heads * head * layers


def prefill_row(model: str, who: str, tokens: int, rate: float, peak):
    flops = prefill_flops(model, tokens)
    tflops = flops / (tokens / rate) / 1e12 if flops and rate else None
    return [model, who, tokens, rate, tflops, percent(tflops, peak)]


def load_row(r: dict) -> list:
    data, last = r["data"], r["data"]["loads"][-1]
    total = last["page_cache_bytes"] + last["direct_bytes"] + last["plain_bytes"] + last["registered_bytes"]
    return [r["model"], r["asked"], last["mode"], "cold" if r["cold"] else "warm", len(data["loads"]),
            statistics.median(load["seconds"] for load in data["loads"]), data["gb_per_second"], last["ceiling_gb_per_second"],
            percent(data["share_of_ceiling"], 1), percent(last["page_cache_bytes"] + last["registered_bytes"], total), last["fallbacks"] or "none"]


def markdown(facts_: dict, stages: list, results: list) -> list:
    def of(kind: str) -> list:
        return [r for r in results if r.get("kind") == kind]

    ceiling = (of("ceilings") or [{}])[-1].get("data", {})
    copy, peak = ceiling.get("copy_gb_per_second"), ceiling.get("gemm_tflops")
    beside = [r["data"] | {"model": r["model"]} for r in of("transformers")]
    after = [line for r in of("facts_after") for line in r["data"]["nvidia_smi"][1:]]
    text = ["# gpu_check", "", "```"] + facts_.get("nvidia_smi", []) + [f"{line} (at the end)" for line in after] + facts_.get("doctor", []) + \
        ["```", "", "## Stages"]
    text += table(["stage", "result", "seconds"], [[s["stage"], s["status"], s["seconds"]] for s in stages])
    text += ["## Tests"] + table(["test", "result", "seconds"], [
        [f"{r['kind']} {r['name']}", {0: "passed", 77: "skipped", 124: "timed out", 137: "timed out"}.get(r["code"], f"FAILED ({r['code']})"),
         r["seconds"]] for r in of("test") + of("sanitizer")])
    text += ["## Parity in bfloat16", "", "Log-probabilities of the likeliest tokens along cuddle's greedy path: distance from transformers in "
             "float32, of cuddle and of transformers in bfloat16. Allowed: 1.5 times the latter."]
    text += table(["model", "rms, cuddle", "rms, transformers", "largest, cuddle", "largest, transformers", "same greedy tokens", "result"], [
        [r["model"], r.get("rms"), r.get("rms_reference"), r.get("most"), r.get("most_reference"), f"{r.get('same')} of {r.get('positions')}",
         "passed" if r["passed"] else "FAILED " + r.get("error", "")] for r in of("parity")])
    text += ["## Ceilings, measured in this run"] + table(["what", "value"], [[k, v] for k, v in sorted(ceiling.items())])
    text += ["## Loading", "", "Medians. Cold: dropped from the page cache before; 'in memory' is what was found there nevertheless."]
    text += table(["model", "asked", "mode", "cache", "runs", "seconds", "GB/s", "pinned ceiling GB/s", "of it", "in memory", "fallbacks"],
                  [load_row(r) for r in of("load")])
    text += ["## Decoding", "", "GB/s of weights, and with the keys and values of a sequence halfway through; shares of the copy bandwidth above."]
    text += table(["model", "who", "batch", "tokens/s", "GB/s weights", "of copy", "GB/s with KV", "of copy"], [
        [r["model"], "cuddle", d["batch"], d["decode_tokens_per_second"], d["decode_gb_per_second"], percent(d["decode_gb_per_second"], copy),
         d["decode_gb_per_second"] + d["kv_gb_per_second"], percent(d["decode_gb_per_second"] + d["kv_gb_per_second"], copy)]
        for r in of("decode") for d in [r["data"]]] + [
        [b["model"], "transformers", int(batch), rate, None, None, None, None] for b in beside for batch, rate in b["decode"].items()])
    text += ["## Prefill", "", "The share is of the matrix product measured above."]
    text += table(["model", "who", "tokens", "tokens/s", "TFLOP/s", "of GEMM"],
                  [prefill_row(r["model"], "cuddle", r["data"]["prompt_tokens"], r["data"]["prefill_tokens_per_second"], peak) for r in of("prefill")] +
                  [prefill_row(b["model"], "transformers", int(tokens), rate, peak) for b in beside for tokens, rate in b["prefill"].items()])
    text += ["## From exec to the first token", "", "Files in the page cache."]
    text += table(["model", "who", "seconds"], [[r["model"], "cuddle", r["data"]["median"]] for r in of("first_token")] +
                  [[b["model"], "transformers", b["first_token"]] for b in beside])
    return text


def write(path: str, text: str):
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".tmp", path)


def report(out: str) -> int:
    stages, results = (lines_of(os.path.join(out, name)) for name in ("stages.jsonl", "results.jsonl"))
    known = [r["data"] for r in results if r.get("kind") == "facts"]
    facts_ = known[-1] if known else {}
    write(os.path.join(out, "gpu_check.json"), json.dumps({"facts": facts_, "stages": stages, "results": results}, indent=1) + "\n")
    write(os.path.join(out, "gpu_check.md"), "\n".join(markdown(facts_, stages, results)).rstrip() + "\n")
    return 0


def main() -> int:
    verb, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if verb == "cublaslt" and len(arguments) == 1:
        return cublaslt(arguments[0])
    if verb == "facts" and len(arguments) == 1:
        return facts(arguments[0])
    if verb == "first-token" and len(arguments) > 1:
        return first_token(int(arguments[0]), arguments[1:])
    if verb == "report" and len(arguments) == 1:
        return report(arguments[0])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
