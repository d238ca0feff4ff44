#!/usr/bin/env python3
"""Writes tests/generation/beams.json: what transformers' beam search makes of prompts.

    pip install torch==2.15 transformers==5.24 safetensors
    python scripts/make_beam_fixtures.py            # the file
    python scripts/make_beam_fixtures.py --check    # compares with a fresh one

Each case: a checkpoint of tests/, token ids, parameters of generate(), and the sequences that it returns with their scores. The ends of a case are
tokens that its model likes, so that sequences end at different lengths."""

import argparse
import json
import random
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

TESTS = Path(__file__).resolve().parent.parent / "tests"
OUT = TESTS / "generation" / "beams.json"
CHECKPOINTS = {"models/kjv-gpt2": 30, "parity/llama/llama3-rope": 16, "parity/gemma2/base": 8}


def ends_of(model, prompt: list[int], count: int) -> list[int]:
    """Tokens that greedy decoding soon produces."""
    with torch.no_grad():
        ids = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_new_tokens=12, eos_token_id=None,
                             pad_token_id=0, num_beams=1)[0, len(prompt):].tolist()
    return sorted(set(ids[3:3 + 2 * count:2]))


def case(name: str, model, rng: random.Random) -> dict:
    vocabulary = model.config.vocab_size
    prompt = [rng.randrange(2, vocabulary) for _ in range(rng.choice((1, 3, 14, 17, 34)))]
    beams = rng.randint(2, 6)
    parameters = {"num_beams": beams, "num_return_sequences": rng.randint(1, beams), "length_penalty": rng.choice((-1.0, 0.0, 0.5, 1.0, 1.0, 2.0)),
                  "early_stopping": rng.choice((False, True, "never")), "max_new_tokens": rng.choice((1, 5, 20, 28))}
    if rng.random() < 0.3:
        parameters["repetition_penalty"] = 1.3
    if rng.random() < 0.2:
        parameters["no_repeat_ngram_size"] = 2
    if rng.random() < 0.2:
        parameters["min_new_tokens"] = min(4, parameters["max_new_tokens"])
    ends = ends_of(model, prompt, rng.randint(1, 2))
    with torch.no_grad():
        made = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, eos_token_id=ends, pad_token_id=0,
                              return_dict_in_generate=True, output_scores=True, **parameters)
    sequences = []
    for row in made.sequences[:, len(prompt):].tolist():
        at = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
        sequences.append(row[:at])
    return {"checkpoint": name, "prompt": prompt, "ends": ends, "parameters": parameters, "sequences": sequences,
            "scores": [round(score, 6) for score in made.sequences_scores.tolist()]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(5)
    cases = []
    for name, count in CHECKPOINTS.items():
        model = AutoModelForCausalLM.from_pretrained(TESTS / name, dtype=torch.float32).eval()
        cases += [case(name, model, rng) for _ in range(count)]
    text = '{"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n"
    if arguments.check:
        same = OUT.read_text() == text
        print("the same" if same else "others")
        return 0 if same else 1
    OUT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
