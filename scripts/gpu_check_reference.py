#!/usr/bin/env python3
"""What gpu_check.sh compares with: PyTorch and transformers on the same device. Exit code 77 where they are not installed.

  ceilings   copies on the device, page-locked copies to it, and a large bfloat16 matrix product
  parity     cuddle's bfloat16 log-probabilities against transformers', in float32 and in bfloat16
  bench      transformers' own loading, decoding, prefill and time to the first token
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import time

try:
    import torch
    import transformers
    from safetensors import safe_open
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

PARITY_TOKENS = 16
ALLOWED = 1.5  # times transformers' own distance
FLOOR = 1e-3   # a distance that is nobody's fault


def synchronize(device: str):
    if device == "cuda":
        torch.cuda.synchronize()


def median_seconds(device: str, run, least: int = 5, seconds: float = 0.5) -> float:
    """Of one call: at least `least`, and as many as fit the time; two before that do not count."""
    for _ in range(2):
        run()
    times, end = [], time.monotonic() + seconds
    while len(times) < least or (time.monotonic() < end and len(times) < 200):
        synchronize(device)
        began = time.monotonic()
        run()
        synchronize(device)
        times.append(time.monotonic() - began)
    return statistics.median(times)


def put(arguments, value: dict):
    line = json.dumps(value)
    print(line)
    with open(arguments.results, "a", encoding="utf-8") as f:
        f.write(line + "\n")


def ceilings(arguments) -> int:
    device = arguments.device
    size = 1 << 30 if device == "cuda" else 1 << 24
    a, b = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    a.random_(0, 255)
    copy = 2 * size / median_seconds(device, lambda: b.copy_(a)) / 1e9  # read and written
    pinned = None
    if device == "cuda":
        host = torch.empty(size, dtype=torch.uint8).pin_memory()
        pinned = size / median_seconds(device, lambda: a.copy_(host, non_blocking=True)) / 1e9
    del a, b
    n = 8192 if device == "cuda" else 256
    x, y = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    z = torch.empty_like(x)
    tflops = 2 * n ** 3 / median_seconds(device, lambda: torch.matmul(x, y, out=z)) / 1e12
    put(arguments, {"kind": "ceilings", "data": {"copy_gb_per_second": copy, "pinned_gb_per_second": pinned, "gemm_tflops": tflops, "gemm_size": n}})
    if arguments.bandwidth_file:
        with open(arguments.bandwidth_file, "w", encoding="utf-8") as f:
            f.write(f"{copy:.2f}")
    return 0


# --------------------------------------------------------------------------------------------------------------- parity

def load(path: str, dtype, device: str):
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager")
    return model.to(device).eval()


def logprobs(path: str, dtype, device: str, ids: list):
    model = load(path, dtype, device)
    with torch.no_grad():
        logits = model(torch.tensor([ids], device=device)).logits[0].float()
    return torch.log_softmax(logits, -1).cpu()


def continued(arguments, path: str, prompt: list) -> dict:
    command = [arguments.cuddle, "run", path, " ".join(map(str, prompt)), "--tokens", "--json", "--logprobs", "20", "--max-tokens", str(PARITY_TOKENS),
               "--temperature", "0", "--repetition-penalty", "1", "--ignore-eos", "--dtype", "bfloat16", "--device", arguments.device]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit code {done.returncode}")
    return json.loads(done.stdout)


def compare(arguments, path: str, name: str, prompt: list) -> bool:
    got = continued(arguments, path, prompt)
    ids = prompt + got["ids"]
    exact = logprobs(path, torch.float32, arguments.device, ids)
    rounded = logprobs(path, torch.bfloat16, arguments.device, ids)
    ours, theirs, same = [], [], 0
    for i, entry in enumerate(got["logprobs"]):
        row = len(prompt) - 1 + i
        same += int(rounded[row].argmax()) == entry["id"]
        for top in entry["top"]:
            truth = float(exact[row, top["id"]])
            ours.append(top["logprob"] - truth)
            theirs.append(float(rounded[row, top["id"]]) - truth)
    rms, rms_reference = ((sum(d * d for d in values) / len(values)) ** 0.5 for values in (ours, theirs))
    passed = rms <= ALLOWED * rms_reference + FLOOR
    put(arguments, {"kind": "parity", "model": name, "rms": rms, "rms_reference": rms_reference, "most": max(map(abs, ours)),
                    "most_reference": max(map(abs, theirs)), "same": same, "positions": len(got["ids"]), "passed": passed})
    return passed


def compared(arguments, path: str, name: str, prompt: list) -> bool:
    """As compare(); a case that cannot be run is one that failed."""
    try:
        return compare(arguments, path, name, prompt)
    except Exception as e:  # whatever a library raises; the other cases are worth running
        put(arguments, {"kind": "parity", "model": name, "passed": False, "error": f"{type(e).__name__}: {e}"})
        return False


def parity(arguments) -> int:
    if arguments.model:
        config = transformers.AutoConfig.from_pretrained(arguments.model)
        prompt = [(7919 * i + 13) % config.vocab_size for i in range(40)]
        return 0 if compared(arguments, arguments.model, os.path.basename(arguments.model), prompt) else 1
    good = True
    for path in sorted(os.path.dirname(p) for p in glob.glob(os.path.join(arguments.data, "*", "*", "config.json"))):
        with safe_open(os.path.join(path, "expected.safetensors"), "pt") as f:
            prompt = f.get_tensor("greedy.prompt").tolist()
        good = compared(arguments, path, os.path.relpath(path, arguments.data), prompt) and good
    return 0 if good else 1


# ---------------------------------------------------------------------------------------------------------------- bench

def since_exec() -> float:
    """Seconds since this process was started."""
    with open("/proc/self/stat", encoding="utf-8") as f:
        started = int(f.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def bench(arguments) -> int:
    device = arguments.device
    began = time.monotonic()
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.bfloat16, device_map=device if device == "cuda" else None)
    synchronize(device)
    seconds = time.monotonic() - began
    result = {"load": seconds, "decode": {}, "prefill": {}, "torch": torch.__version__, "transformers": transformers.__version__}
    vocabulary = model.config.vocab_size

    def generate(ids, count):
        model.generate(ids, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0)

    with torch.no_grad():
        ids = torch.randint(0, vocabulary, (1, 8), device=device)
        generate(ids, 1)
        synchronize(device)
        result["first_token"] = since_exec()
        for tokens in map(int, arguments.prefills.split()):
            ids = torch.randint(0, vocabulary, (1, tokens), device=device)
            result["prefill"][tokens] = tokens / median_seconds(device, lambda: model(ids, logits_to_keep=1))
        for batch in map(int, arguments.batches.split()):
            if batch not in (1, 8):  # the others would take minutes
                continue
            ids = torch.randint(0, vocabulary, (batch, arguments.prompt), device=device)
            count = min(arguments.generate, 33)
            alone = median_seconds(device, lambda: generate(ids, 1), 3, 0)
            whole = median_seconds(device, lambda: generate(ids, count), 3, 0)
            result["decode"][batch] = batch * (count - 1) / (whole - alone) if whole > alone else None
    put(arguments, {"kind": "transformers", "model": arguments.name, "data": result})
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="What gpu_check.sh compares with.")
    parser.add_argument("verb", choices=["ceilings", "parity", "bench"])
    for name, value in (("device", "cuda"), ("results", os.devnull), ("bandwidth-file", ""), ("cuddle", "cuddle"), ("data", ""), ("model", ""),
                        ("name", ""), ("batches", "1 8"), ("prefills", "512 4096")):
        parser.add_argument("--" + name, default=value)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("skipped: PyTorch finds no CUDA device")
        return 77
    return {"ceilings": ceilings, "parity": parity, "bench": bench}[arguments.verb](arguments)


if __name__ == "__main__":
    sys.exit(main())
