"""A KV cache of another type than the activations: what transformers computes in float32 when its cache rounds what it is given."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import DynamicCache

from . import reference

CASES = ("gpt2/base", "llama/base", "qwen3/base", "gemma2/no-caps")     # without and with rotation, grouped heads, normed heads, a window
TYPES = ("bfloat16", "float16")


class RoundingCache(DynamicCache):
    def __init__(self, kind: torch.dtype, config) -> None:
        super().__init__(config=config)
        self.kind = kind

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        rounded = [states.to(self.kind).to(states.dtype) for states in (key_states, value_states)]
        return super().update(*rounded, layer_idx, *args, **kwargs)


def logits(root: Path) -> dict[str, torch.Tensor]:
    """Of the longest sequence of each case: far enough from what float32 gives for a test to tell them apart."""
    result = {}
    for case in CASES:
        model = reference.load(root / case)
        ids, plain = reference.read_expected(root / case)
        for kind in TYPES:
            cache = RoundingCache(getattr(torch, kind), model.config)
            value = model(ids[-1], past_key_values=cache, use_cache=True).logits[0].float().contiguous()
            assert reference.movement([plain[-1]], [value]) > 1, f"{case}: a cache of {kind} makes no difference"
            result[f"{case}.{kind}"] = value
    return result


def write(directory: Path) -> None:
    save_file(logits(directory.parent), directory / "expected.safetensors")


def check(directory: Path) -> None:
    fresh, committed = logits(directory.parent), load_file(directory / "expected.safetensors")
    assert fresh.keys() == committed.keys(), "cache: the cases differ"
    for key, value in fresh.items():
        assert (value - committed[key]).square().mean() <= 1e-3 * value.square().mean() * reference.TOLERANCE, f"cache: {key}"
