"""tests/parity/sampling/expected.json: what transformers' logits processors leave of a row of logits."""

import json
import math
import warnings
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GenerationConfig, LogitsProcessorList

VOCAB = 40
# Parameters of generate() that a case may set, in the order in which transformers applies them.
PARAMETERS = ("repetition_penalty", "suppress_tokens", "temperature", "top_k", "top_p", "min_p")
# Everything that installs a processor for a decoder-only model, to record the whole order.
EVERYTHING = dict(
    sequence_bias=[[[3], 1.0]], repetition_penalty=1.1, no_repeat_ngram_size=2, bad_words_ids=[[4]], min_length=1,
    min_new_tokens=1, forced_bos_token_id=1, forced_eos_token_id=2, remove_invalid_values=True,
    exponential_decay_length_penalty=(5, 1.1), suppress_tokens=[5], begin_suppress_tokens=[6], temperature=0.9,
    top_h=0.9, top_k=5, top_p=0.9, min_p=0.1, typical_p=0.9, epsilon_cutoff=0.1, eta_cutoff=0.1,
    renormalize_logits=True, do_sample=True, max_length=9, eos_token_id=2)


def processors(prompt_length: int = 1, **parameters):
    """The list that generate() itself would build."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_embd=4, n_head=1, n_layer=1, n_positions=4,
                                       bos_token_id=0, eos_token_id=0))
    config = GenerationConfig(**{"do_sample": True, **parameters})
    config._eos_token_tensor = torch.tensor([0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model._get_logits_processor(config, input_ids_seq_length=prompt_length, device="cpu")


def probabilities(logits: list[float], previous: list[int], parameters: dict, dtype: torch.dtype,
                  backwards: bool = False) -> torch.Tensor:
    scores = torch.tensor([logits], dtype=dtype)
    ids = torch.tensor([previous], dtype=torch.long)
    steps = processors(max(1, len(previous)), **parameters)
    return (LogitsProcessorList(reversed(steps)) if backwards else steps)(ids, scores).softmax(-1)[0]


def drawn(seed: int, count: int = VOCAB, scale: float = 2.0) -> list[float]:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed)) * scale
    return [round(value, 4) for value in values.tolist()]


def with_ties(seed: int) -> list[float]:
    """Three equal logits of which the fifth best is the middle one."""
    values = drawn(seed)
    order = sorted(range(VOCAB), key=lambda i: -values[i])
    for i in order[3:6]:
        values[i] = values[order[4]]
    return values


def powers_of_two() -> list[float]:
    """Probabilities 1/2, 1/4 and eight of 1/32 up to rounding, the rest 0, so that sums can hit a border."""
    values = [-200.0] * VOCAB
    step = torch.tensor(math.log(2.0)).item()       # float32; a little above ln 2, so no sum exceeds its border
    values[17], values[3] = 0.0, -step
    for i in range(8):
        values[5 * i] = -4 * step
    return values


def rows() -> list[tuple[str, list[float], list[int], dict]]:
    """(name, logits, ids so far, parameters)."""
    return [
        ("plain softmax", drawn(1), [], {}),
        ("one token", [0.5], [0], dict(temperature=0.7, top_k=50, top_p=0.9)),
        ("temperature 0.5", drawn(2), [], dict(temperature=0.5)),
        ("temperature 2", drawn(2), [], dict(temperature=2.0)),
        ("top_k 5", drawn(3), [], dict(top_k=5)),
        ("top_k 1", drawn(3), [], dict(top_k=1)),
        ("top_k 5 with three equal logits at its border: all three stay", with_ties(4), [], dict(top_k=5)),
        ("top_k larger than the vocabulary", drawn(5), [], dict(top_k=1000)),
        ("top_k 0 switches it off", drawn(5), [], dict(top_k=0)),
        ("top_p 0.9", drawn(6), [], dict(top_p=0.9)),
        ("top_p 1 removes nothing", drawn(6), [], dict(top_p=1.0)),
        ("top_p smaller than the best probability keeps the best", drawn(6), [], dict(top_p=0.01)),
        ("top_p 0.75 exactly at a border: two stay", powers_of_two(), [], dict(top_p=0.75)),
        ("top_p 0.5 exactly at a border: one stays", powers_of_two(), [], dict(top_p=0.5)),
        ("top_p 0.76 just over a border keeps one of eight equals more: which is free", powers_of_two(), [],
         dict(top_p=0.76)),
        ("min_p 0.1", drawn(7), [], dict(min_p=0.1)),
        ("min_p 0 removes nothing", drawn(7), [], dict(min_p=0.0)),
        ("min_p 1 keeps the best", drawn(7), [], dict(min_p=1.0)),
        ("repetition penalty on positive, negative and zero logits, once per token", [0.0, 1.5, -1.5] + drawn(8, 37),
         [0, 1, 2, 2, 1, 2, 30], dict(repetition_penalty=1.3)),
        ("repetition penalty below 1 rewards", drawn(9), [4, 8, 15, 16, 23], dict(repetition_penalty=0.8)),
        ("suppressed tokens", drawn(10), [], dict(suppress_tokens=[0, 7, 39])),
        ("suppression comes before top_k", drawn(11), [], dict(suppress_tokens=best_of(drawn(11), 2), top_k=3)),
        ("temperature comes before top_p", drawn(12), [], dict(temperature=2.0, top_p=0.6)),
        ("temperature comes before min_p", drawn(12), [], dict(temperature=0.5, min_p=0.05)),
        ("top_p on what top_k leaves", drawn(13), [], dict(top_k=6, top_p=0.7)),
        ("min_p on what top_p leaves", drawn(14, 64), [], dict(top_p=0.8, min_p=0.3)),
        ("everything", drawn(15, 64), [3, 1, 4, 1, 5, 9, 26, 53],
         dict(repetition_penalty=1.2, suppress_tokens=best_of(drawn(15, 64), 1), temperature=1.6, top_k=20,
              top_p=0.85, min_p=0.1)),
    ]


def best_of(logits: list[float], count: int) -> list[int]:
    return sorted(range(len(logits)), key=lambda i: -logits[i])[:count]


def free_ids(logits: list[float], result: torch.Tensor) -> list[int]:
    """Tokens of equal logits of which some stay and some go: the sort decides, another choice is as good."""
    kept = {logits[i] for i in range(len(logits)) if result[i] > 0}
    gone = {logits[i] for i in range(len(logits)) if result[i] == 0 and logits[i] > -100}
    return [i for i in range(len(logits)) if logits[i] in kept & gone]


def case(name: str, logits: list[float], previous: list[int], parameters: dict) -> dict:
    """One case. float32 and float64 must keep the same tokens, or rounding decides; another order must show."""
    result = probabilities(logits, previous, parameters, torch.float32)
    exact = probabilities(logits, previous, parameters, torch.float64)
    assert torch.equal(result > 0, exact.float() > 0), name
    assert (result - exact).abs().max() < 1e-6, name
    if len(parameters) > 1 and len(logits) > 1:
        other = probabilities(logits, previous, parameters, torch.float32, backwards=True)
        assert not torch.equal(result > 0, other > 0), f"{name}: the order does not show"
    row = {"name": name, "parameters": parameters, "previous": previous, "logits": logits,
           "probabilities": [float(f"{value:.8g}") for value in exact.float().tolist()]}
    free = free_ids(logits, result) if "suppress_tokens" not in parameters else []
    if free:
        row["free"] = free
    return row


def table() -> dict:
    names = [type(processor).__name__ for processor in processors(**EVERYTHING)]
    used = [type(processor).__name__ for processor in processors(**dict(
        repetition_penalty=1.1, suppress_tokens=[1], temperature=0.9, top_k=5, top_p=0.9, min_p=0.1))]
    return {"order": used, "order_of_all": names, "cases": [case(*row) for row in rows()]}


def text() -> str:
    """JSON with one line per field of a case."""
    content = table()
    cases = [",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in row.items())
             for row in content.pop("cases")]
    head = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in content.items())
    return "{\n" + head + ' "cases": [\n {' + "},\n {".join(cases) + "}\n ]\n}\n"


def write(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "expected.json").write_text(text())


def check(directory: Path) -> None:
    committed, fresh = json.loads((directory / "expected.json").read_text()), json.loads(text())
    assert committed["order"] == fresh["order"] and committed["order_of_all"] == fresh["order_of_all"], "sampling order"
    assert len(committed["cases"]) == len(fresh["cases"]), "sampling cases"
    for old, new in zip(committed["cases"], fresh["cases"]):
        close = all(abs(a - b) <= 1e-6 and (a > 0) == (b > 0)
                    for a, b in zip(old.pop("probabilities"), new.pop("probabilities"), strict=True))
        assert close and old == new, f"sampling: {new['name']}"
