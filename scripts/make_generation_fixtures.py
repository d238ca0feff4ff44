#!/usr/bin/env python3
"""Writes tests/generation/: what transformers makes of rows of logits, of prompts, and of texts to be scored.

    pip install torch==2.15 transformers==5.24 safetensors
    python scripts/make_generation_fixtures.py            # all three files
    python scripts/make_generation_fixtures.py --check    # compares with fresh ones

processors.json: rows of logits and histories, each with parameters of generate() and the probabilities that its own list of processors
leaves (softmax in float64 of what it makes of float32), every processor alone and in random company. greedy.json: tokens that checkpoints
of tests/ produce under the processors that do not sample. scores.json: log-probabilities of prompts and of continuations.

frequency_penalty and presence_penalty are not transformers': they are vLLM's apply_penalties() written out, applied where this library
applies them, behind the repetition penalty. `allowed` is prefix_allowed_tokens_fn.
"""

import argparse
import json
import math
import random
import sys
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GPT2Config, GPT2LMHeadModel, LogitsProcessor
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor, SequenceBiasLogitsProcessor, NoBadWordsLogitsProcessor

TESTS = Path(__file__).resolve().parent.parent / "tests"
SMALL, LARGE = 32, 160          # vocabularies; top-h looks at 100 tokens
FAINT = 1e-11                   # below this a probability is not told from none: weights have 40 bits
SINGLES, COMBINATIONS = 3, 200  # cases: of each processor alone, and of several
NOT_SAMPLING = ("sequence_bias", "repetition_penalty", "frequency_penalty", "presence_penalty", "no_repeat_ngram_size", "bad_words_ids",
                "min_length", "min_new_tokens", "allowed", "forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty",
                "suppress_tokens", "begin_suppress_tokens")
SAMPLING = ("temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


class ProducedPenalties(LogitsProcessor):
    """vLLM's frequency and presence penalty."""

    def __init__(self, frequency: float, presence: float, prompt_length: int):
        self.frequency, self.presence, self.prompt_length = frequency, presence, prompt_length

    def __call__(self, input_ids, scores):
        counts = torch.zeros_like(scores)
        for token in input_ids[0, self.prompt_length:].tolist():
            counts[0, token] += 1
        return scores - self.frequency * counts - self.presence * (counts > 0)


def processors(model, prompt_length: int, max_new_tokens: int, eos: list[int], parameters: dict, sampling: bool):
    """The list that generate() itself would build, and the penalties it does not have."""
    own = dict(parameters)
    frequency, presence, allowed = own.pop("frequency_penalty", 0.0), own.pop("presence_penalty", 0.0), own.pop("allowed", None)
    config = GenerationConfig(do_sample=sampling, num_beams=1, num_return_sequences=1, max_length=prompt_length + max_new_tokens, **own)
    config._eos_token_tensor = torch.tensor(eos)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = model._get_logits_processor(config, input_ids_seq_length=prompt_length, device="cpu",
                                            prefix_allowed_tokens_fn=(lambda _, __: allowed) if allowed else None)
    if frequency or presence:
        before = (RepetitionPenaltyLogitsProcessor, SequenceBiasLogitsProcessor)
        at = sum(isinstance(step, before) and not isinstance(step, NoBadWordsLogitsProcessor) for step in steps)
        steps.insert(at, ProducedPenalties(frequency, presence, prompt_length))
    return steps


# processors.json

def drawn(seed: int, count: int, scale: float) -> list[float]:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed)) * scale
    return [round(value, 4) for value in values.tolist()]


def some_sequences(rng: random.Random, ids: list[int], vocabulary: int) -> list[list[int]]:
    """Single tokens, some of which have come before, and longer ones of which half would be completed now."""
    found = []
    for _ in range(rng.randint(1, 6)):
        length = rng.choice((1, 1, 2, 2, 3, 4))
        last = rng.choice(ids) if rng.random() < 0.3 else rng.randrange(vocabulary)
        others = ids[len(ids) - length + 1:] if length > 1 and length <= len(ids) else []
        if len(others) < length - 1 or rng.random() < 0.4:
            others = [rng.randrange(vocabulary) for _ in range(length - 1)]
        found.append(others + [last])
    return found


def a_value(rng: random.Random, name: str, ids: list[int], prompt_length: int, max_new_tokens: int, eos: list[int], vocabulary: int):
    produced = len(ids) - prompt_length
    tokens = lambda most: [rng.randrange(vocabulary) for _ in range(rng.randint(1, most))]
    return {
        "sequence_bias": lambda: [[s, round(rng.uniform(-3, 3), 2)] for s in some_sequences(rng, ids, vocabulary)],
        "repetition_penalty": lambda: round(rng.choice((rng.uniform(1.05, 1.6), rng.uniform(0.6, 0.95))), 2),
        "frequency_penalty": lambda: round(rng.uniform(-1, 1.5), 2), "presence_penalty": lambda: round(rng.uniform(-1, 1.5), 2),
        "no_repeat_ngram_size": lambda: rng.choice((1, 2, 2, 3, 4)), "bad_words_ids": lambda: some_sequences(rng, ids, vocabulary) + [[eos[0]]],
        "min_length": lambda: len(ids) + rng.choice((0, 1)), "min_new_tokens": lambda: produced + rng.choice((0, 1)),
        "allowed": lambda: sorted(set(tokens(vocabulary // 2) + eos[:1])), "forced_bos_token_id": lambda: rng.randrange(vocabulary),
        "forced_eos_token_id": lambda: rng.choice((eos[0], eos)),
        "exponential_decay_length_penalty": lambda: [max(0, produced - rng.randint(0, 3)), round(rng.uniform(1.01, 1.4), 3)],
        "suppress_tokens": lambda: tokens(8), "begin_suppress_tokens": lambda: tokens(8), "temperature": lambda: round(rng.uniform(0.4, 2), 2),
        "top_h": lambda: round(rng.uniform(0.2, 0.95), 2), "top_k": lambda: rng.randint(1, 24), "top_p": lambda: round(rng.uniform(0.3, 0.98), 2),
        "min_p": lambda: round(rng.uniform(0.01, 0.3), 3), "typical_p": lambda: round(rng.uniform(0.2, 0.95), 2),
        "epsilon_cutoff": lambda: round(rng.uniform(0.002, 0.08), 4), "eta_cutoff": lambda: round(rng.uniform(0.002, 0.4), 4),
    }[name]()


class Rows:
    """Rows of logits that cases share, and models that make lists of processors for them."""

    def __init__(self):
        self.logits = [drawn(i, SMALL, scale) for i, scale in enumerate((0.5, 1, 1.5, 2, 2, 2.5, 3))] + [drawn(9, LARGE, 1), drawn(10, LARGE, 2)]
        self.models = {n: GPT2LMHeadModel(GPT2Config(vocab_size=n, n_embd=4, n_head=1, n_layer=1, n_positions=4, bos_token_id=0, eos_token_id=0))
                       for n in (SMALL, LARGE)}


def run(rows: Rows, case: dict, sampling: bool, dtype: torch.dtype) -> torch.Tensor:
    """The processed row."""
    logits = rows.logits[case["row"]]
    ids = case["prompt"] + case["produced"]
    steps = processors(rows.models[len(logits)], len(case["prompt"]), case["max_new_tokens"], case["eos"], case["parameters"], sampling)
    return steps(torch.tensor([ids]), torch.tensor([logits], dtype=dtype))[0]


def processed(rows: Rows, case: dict) -> dict | None:
    """The case with its results; None where rounding decides something, or nothing is left."""
    single, double = run(rows, case, True, torch.float32), run(rows, case, True, torch.float64)
    left = single.double().softmax(-1)
    if not torch.isfinite(single).any() or not torch.equal(single > -math.inf, double > -math.inf):
        return None
    if (left - double.softmax(-1)).abs().max() > 1e-5:
        return None
    kept = [i for i, p in enumerate(left.tolist()) if p >= FAINT]
    best = run(rows, case, False, torch.float32)
    return {**case, "ids": kept, "probabilities": [float(f"{left[i]:.8g}") for i in kept], "greedy": int(best.argmax())}


def a_case(rng: random.Random, rows: Rows, names: list[str], large: bool) -> dict:
    row = rng.randrange(len(rows.logits)) if large else rng.randrange(len(rows.logits) - 2)
    vocabulary = len(rows.logits[row])
    pool = rng.sample(range(vocabulary), rng.randint(2, 6))     # few tokens, so that some come again
    prompt = [rng.choice(pool) for _ in range(1 if "forced_bos_token_id" in names and rng.random() < 0.7 else rng.randint(1, 12))]
    produced = [rng.choice(pool) for _ in range(0 if "begin_suppress_tokens" in names and rng.random() < 0.7 else rng.randint(0, 9))]
    if "forced_bos_token_id" in names and len(prompt) == 1:
        produced = produced[:rng.randint(0, 1)]
    eos = rng.sample(range(vocabulary), rng.randint(1, 2))
    case = {"row": row, "prompt": prompt, "produced": produced, "eos": eos, "max_new_tokens": len(produced) + (1 if rng.random() < 0.6 else 5)}
    case["parameters"] = {name: a_value(rng, name, prompt + produced, len(prompt), case["max_new_tokens"], eos, vocabulary) for name in names}
    return case


def some_cases(rng: random.Random, rows: Rows, count: int, choose, large: bool, alone: float = 1) -> list[dict]:
    """`count` cases, of those that leave a single token only the share `alone`."""
    cases = []
    while len(cases) < count:
        try:
            case = processed(rows, a_case(rng, rows, choose(), large))
        except ValueError:      # parameters that transformers refuses together
            continue
        if case and (len(case["ids"]) > 1 or rng.random() < alone):
            cases.append(case)
    return cases


def processor_table() -> dict:
    rng, rows, cases = random.Random(7), Rows(), []
    for name in NOT_SAMPLING + SAMPLING:
        cases += some_cases(rng, rows, SINGLES, lambda: [name], name in ("top_h", "typical_p", "eta_cutoff"))
    cases += some_cases(rng, rows, 4, lambda: ["top_h", rng.choice(("top_k", "top_p", "typical_p"))], True)

    def company() -> list[str]:
        return [name for name in NOT_SAMPLING if rng.random() < (0.1 if "forced" in name else 0.3)] + [name for name in SAMPLING if rng.random() < 0.3]
    cases += some_cases(rng, rows, COMBINATIONS, company, False, alone=0.1)
    return {"faint": FAINT, "rows": rows.logits, "cases": cases}


# greedy.json

CHECKPOINTS = ("models/kjv-gpt2", "parity/gpt2/base", "parity/llama/base", "parity/qwen2/base", "parity/mistral/window", "parity/gemma2/base")
GAP = 2e-3                      # of the two best processed logits, as a share of the largest; logits agree within 1e-4 of that


def load(path: str):
    return AutoModelForCausalLM.from_pretrained(TESTS / path, dtype=torch.float32, attn_implementation="eager").eval()


def greedy_run(model, case: dict) -> list[int] | None:
    """Tokens until an end or the last; None where two are nearly as good."""
    ids, made = list(case["prompt"]), []
    steps = processors(model, len(ids), case["max_new_tokens"], case["eos"], case["parameters"], False)
    while len(made) < case["max_new_tokens"]:
        scores = steps(torch.tensor([ids]), model(torch.tensor([ids])).logits[0, -1:].float())[0]
        best, second = scores.topk(2).values.tolist()
        if best - second < GAP * max(1.0, abs(best)):
            return None
        ids.append(int(scores.argmax()))
        made.append(ids[-1])
        if ids[-1] in case["eos"]:
            break
    return made


def greedy_table() -> dict:
    rng, cases = random.Random(11), []
    for path in CHECKPOINTS:
        model = load(path)
        vocabulary = model.config.vocab_size
        eos = model.generation_config.eos_token_id
        eos = [eos] if isinstance(eos, int) else list(eos)
        found = 0
        while found < 6:
            prompt = [rng.randrange(vocabulary) for _ in range(1 if found == 0 else rng.randint(4, 10))]
            names = [name for name in NOT_SAMPLING if rng.random() < 0.6] if found else ["forced_bos_token_id", "begin_suppress_tokens", "min_new_tokens"]
            case = {"checkpoint": path, "prompt": prompt, "eos": eos, "max_new_tokens": 16}
            free = {"checkpoint": path, "prompt": prompt, "eos": eos, "max_new_tokens": 16, "parameters": {}}
            likely = greedy_run(model, free)    # what to forbid and favour is what would come
            if likely is None:
                continue
            ids = prompt + likely
            case["parameters"] = {name: a_value(rng, name, ids, len(prompt), 16, eos, vocabulary) for name in names}
            if "min_new_tokens" in names:
                case["parameters"]["min_new_tokens"] = rng.randint(1, 12)
            if "min_length" in names:
                case["parameters"]["min_length"] = len(prompt) + rng.randint(1, 12)
            if "exponential_decay_length_penalty" in names:
                case["parameters"]["exponential_decay_length_penalty"] = [rng.randint(0, 8), 1.3]
            if "allowed" in names:
                case["parameters"]["allowed"] = sorted(set(rng.sample(range(vocabulary), vocabulary // 2) + likely + eos))
            if "bad_words_ids" in names:
                case["parameters"]["bad_words_ids"] = [[likely[0]], likely[1:3], likely[2:5], eos]
            try:
                case["ids"] = greedy_run(model, case)
            except ValueError:
                continue
            if case["ids"] and case["ids"] != likely:
                cases.append(case)
                found += 1
    return {"cases": cases}


# scores.json

TEXTS = (("In the beginning", " God created the heaven and the earth."), ("And God said", ", Let there be light"), ("The LORD is my ", "shepherd; I shall not want."),
         ("Blessed are the", " meek"), ("And it came to pass", ", that the king of Babylon sent unto him, and he did eat bread before him."))
TOP = 5


def score_table() -> dict:
    """As lm-eval's loglikelihood(): blanks at the end of a context go to the continuation, whose tokens are those of both texts behind as many as
    the context has."""
    model, tokenizer = load("models/kjv-gpt2"), AutoTokenizer.from_pretrained(TESTS / "models/kjv-gpt2")
    cases = []
    for context, continuation in TEXTS:
        blanks = len(context) - len(context.rstrip())
        moved = (context[:-blanks], context[-blanks:] + continuation) if blanks else (context, continuation)
        ids, begin = tokenizer.encode("".join(moved)), len(tokenizer.encode(moved[0]))
        logprobs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        places = []
        for at in range(1, len(ids)):
            values, top = logprobs[at - 1].topk(TOP)
            assert (values[:-1] - values[1:]).min() > 1e-4, context
            places.append({"logprob": float(f"{logprobs[at - 1, ids[at]]:.7g}"), "greedy": int(top[0]) == ids[at], "top": top.tolist(),
                           "top_logprobs": [float(f"{v:.7g}") for v in values.tolist()]})
        own = places[begin - 1:]
        cases.append({"context": context, "continuation": continuation, "ids": ids, "from": begin, "places": places,
                      "logprob": float(f"{sum(place['logprob'] for place in own):.7g}"), "greedy": all(place["greedy"] for place in own)})
    return {"top": TOP, "cases": cases}


def text(table: dict) -> str:
    """JSON with a line per case."""
    cases = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in table.pop("cases"))
    head = "".join(f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))},\n" for key, value in table.items())
    return f'{{\n "made_by": "transformers {transformers.__version__}",\n{head} "cases": [\n{cases}\n ]\n}}\n'


def alike(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)):
        return abs(a - b) <= 1e-5 + 1e-5 * abs(a)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(alike, a, b))
    return a == b


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for name, table in (("processors", processor_table), ("greedy", greedy_table), ("scores", score_table)):
        path = TESTS / "generation" / f"{name}.json"
        fresh = text(table())
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(fresh)
        elif not alike(json.loads(path.read_text())["cases"], json.loads(fresh)["cases"]):
            sys.exit(f"{path} differs")
        print(f"{name}: {len(json.loads(fresh)['cases'])} cases, {len(fresh)} bytes")


if __name__ == "__main__":
    main()
