"""Building a case: the checkpoint on disk and what transformers computes with it."""

import json
from pathlib import Path
from zlib import crc32

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from . import draw
from .cases import CASES, Case

TOLERANCE = 1e-4            # of the largest |logit| of the case
LENGTHS = (1, 7, 33)        # tokens of the three sequences
PROMPT, GREEDY = 9, 24      # tokens of the greedy prompt and of its continuation
GREEDY_GAP = 100            # least distance of the two best logits on the greedy path, in tolerances
GREEDY_DISTINCT = 8         # least number of different tokens on the greedy path


def seed_of(case: Case) -> int:
    return crc32((case.tensors_of or case.name).encode() + case.family.encode())


def sequences(case: Case) -> list[torch.Tensor]:
    """The token ids; the longest sequence holds the first and the last token of the vocabulary."""
    generator = torch.Generator().manual_seed(seed_of(case) + 1)
    vocab = case.config["vocab_size"]
    result = [torch.randint(0, vocab, (1, length), generator=generator) for length in LENGTHS]
    result[-1][0, 5], result[-1][0, -1] = 0, vocab - 1
    return result


def load(directory: Path, dtype: torch.dtype = torch.float32, report: dict | None = None) -> torch.nn.Module:
    """The checkpoint as transformers loads it; `report` receives what it says about missing and leftover tensors."""
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    if report is not None:
        report.update(info)
    return model.eval()


def logits(model: torch.nn.Module, ids: list[torch.Tensor]) -> list[torch.Tensor]:
    return [model(sequence).logits[0].float() for sequence in ids]


def movement(expected: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest change of a logit, in tolerances."""
    scale = max(value.abs().max().item() for value in expected)
    change = max((a - b).abs().max().item() for a, b in zip(expected, other))
    return change / scale / TOLERANCE


def write_checkpoint(case: Case, directory: Path) -> None:
    """Draw the tensors and let transformers write the files; then the spelling of the case."""
    fields = dict(case.config)
    if "rope_parameters" in fields:     # transformers writes into it
        fields["rope_parameters"] = dict(fields["rope_parameters"])
    torch.manual_seed(seed_of(case))
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(case.family, **fields), attn_implementation="eager")
    model.eval()
    draw.draw(model, sequences(case)[-1], seed_of(case))
    options = {"max_shard_size": case.shard} if case.shard else {}
    model.to(getattr(torch, case.dtype)).save_pretrained(directory, **options)
    path = directory / "config.json"
    config = case.spelling(json.loads(path.read_text()))
    path.write_text(json.dumps(config, indent=2) + "\n")
    if case.base_names:
        drop_prefix(directory / "model.safetensors", model)


def drop_prefix(path: Path, model: torch.nn.Module) -> None:
    """Name the tensors as the original gpt2 repository does, which also stored two buffers of the causal mask."""
    tensors = {name.removeprefix("transformer."): value for name, value in load_file(path).items()}
    positions = model.config.n_positions
    for layer in range(model.config.n_layer):
        kind = torch.float32 if layer == 0 else torch.uint8
        tensors[f"h.{layer}.attn.bias"] = torch.ones(positions, positions).tril().to(kind)[None, None].contiguous()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, path, metadata={"format": "pt"})


def greedy(model: torch.nn.Module, case: Case, scale: float) -> dict[str, torch.Tensor]:
    """A prompt whose greedy continuation is decided by a wide margin at every step."""
    generator = torch.Generator().manual_seed(seed_of(case) + 2)
    for _ in range(5000):
        prompt = torch.randint(0, case.config["vocab_size"], (1, PROMPT), generator=generator)
        ids, cache = prompt, None
        for _ in range(GREEDY):
            out = model(ids if cache is None else ids[:, -1:], past_key_values=cache, use_cache=True)
            cache, best = out.past_key_values, out.logits[0, -1].topk(2)
            if best.values[0] - best.values[1] <= GREEDY_GAP * TOLERANCE * scale:
                break
            ids = torch.cat([ids, best.indices[None, :1]], 1)
        continuation = ids[0, PROMPT:]
        if len(continuation) == GREEDY and len(continuation.unique()) >= GREEDY_DISTINCT:
            return {"greedy.prompt": prompt[0].clone(), "greedy.ids": continuation.clone()}
    raise SystemExit(f"{case.id}: no prompt with a clear greedy path")


def check_precision(directory: Path, ids: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    """float32 must reach the tolerance with room to spare: compare with the same forward in float64."""
    noise = movement(expected, logits(load(directory, torch.float64), ids))
    assert noise < 0.1, f"{directory}: float32 is off by {noise:.2g} tolerances"


def bfloat16_error(directory: Path, ids: list[torch.Tensor], expected: list[torch.Tensor]) -> torch.Tensor:
    """How far transformers' own bfloat16 is from its float32: the root of the mean square over all logits."""
    rounded = logits(load(directory, torch.bfloat16), ids)
    squares = torch.cat([(a.double() - b.double()).square().flatten() for a, b in zip(expected, rounded)])
    return squares.mean().sqrt().float().reshape(1)


def write_expected(case: Case, directory: Path) -> None:
    """expected.safetensors, from the files as they lie on disk."""
    report: dict = {}
    model = load(directory, report=report)
    leftover = {name for name in report["unexpected_keys"] if not name.endswith((".attn.bias", ".attn.masked_bias"))}
    assert not leftover and not report["missing_keys"], report
    check_rope_branches(case)
    ids = sequences(case)
    draw.check_drawn(model, ids[-1])
    expected = logits(model, ids)
    check_precision(directory, ids, expected)
    tensors = greedy(model, case, max(value.abs().max().item() for value in expected))
    tensors["bfloat16.error"] = bfloat16_error(directory, ids, expected)
    for i, (sequence, value) in enumerate(zip(ids, expected)):
        tensors[f"ids.{i}"] = sequence[0].clone()
        tensors[f"logits.{i}"] = value.contiguous()
    save_file(tensors, directory / "expected.safetensors")


def check_rope_branches(case: Case) -> None:
    """A llama3 case must have frequencies that are kept, divided and blended; a yarn case a ramp with a middle."""
    rope = case.config.get("rope_parameters", {})
    if rope.get("rope_type") not in ("llama3", "yarn"):
        return
    config = AutoConfig.for_model(case.family, **{**case.config, "rope_parameters": dict(rope)})
    plain = rope["rope_theta"] ** -(torch.arange(0, config.head_dim, 2) / config.head_dim)
    ratio = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)[0] / plain * rope["factor"]      # factor: kept, 1: divided
    kept, divided = (ratio - rope["factor"]).abs() < 1e-5, (ratio - 1).abs() < 1e-5
    assert kept.any() and (~kept & ~divided).any(), f"{case.id}: rope branches {ratio}"
    assert divided.any() or rope["rope_type"] == "yarn", f"{case.id}: rope branches {ratio}"


def check_same_tensors(case: Case, directory: Path, root: Path) -> None:
    """A case that only spells its configuration differently must give the very same bits."""
    twin = root / case.family / case.tensors_of
    for name in ("model.safetensors", "expected.safetensors"):
        a, b = load_file(directory / name), load_file(twin / name)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), f"{case.id}: {name}"


def read_expected(directory: Path) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    tensors = load_file(directory / "expected.safetensors")
    count = sum(name.startswith("ids.") for name in tensors)
    return [tensors[f"ids.{i}"][None] for i in range(count)], [tensors[f"logits.{i}"] for i in range(count)]


def selected(family: str | None, name: str | None) -> list[Case]:
    return [case for case in CASES if family in (None, case.family) and name in (None, case.name)]
