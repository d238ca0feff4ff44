"""The gate: a wrong tensor, a misread field or a plausible mistake in a forward must show in the logits."""

import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers.models.gemma2 import modeling_gemma2
from transformers.models.gpt2 import modeling_gpt2
from transformers.models.gpt_neox import modeling_gpt_neox
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.phi3 import modeling_phi3
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

from . import draw, reference
from .cases import Case

LEAST = 10          # a movement that counts, in tolerances
NOTHING = 0.1       # an insensitive field may move the logits by no more than this


@dataclass(frozen=True)
class Absent:
    """Stands for the value of a field that the file leaves out."""

    default: object


MODELING = {"gpt2": modeling_gpt2, "llama": modeling_llama, "mistral": modeling_mistral, "qwen2": modeling_qwen2,
            "qwen3": modeling_qwen3, "gpt_neox": modeling_gpt_neox, "phi3": modeling_phi3, "gemma2": modeling_gemma2}


# ---- fields ---------------------------------------------------------------------------------------------------------

TRAINING = "training only"
OTHER_HEADS = "only used by GPT2DoubleHeadsModel"
LABEL = "provenance, not read"
ANY = "any family"
TOKENS = "for the tokenizer and for stopping, not part of the forward"
LIMIT = "the limit of a sequence"
KINDS = "layer_types says it for each layer"
OFF = "use_sliding_window is false"

# Fields that may not move the logits, with the value the gate tries all the same and the reason.
INSENSITIVE = {
    "gpt2": {
        "add_cross_attention": (True, "needs an encoder's states, and adds tensors"),
        "attn_pdrop": (0.7, TRAINING), "embd_pdrop": (0.7, TRAINING), "resid_pdrop": (0.7, TRAINING),
        "n_ctx": (7, "an older name of n_positions, not read any more"),
        "reorder_and_upcast_attn": (True, "order and precision of the same product; equal in float32"),
        "summary_activation": ("tanh", OTHER_HEADS), "summary_first_dropout": (0.7, OTHER_HEADS),
        "summary_proj_to_labels": (False, OTHER_HEADS), "summary_type": ("last", OTHER_HEADS),
        "summary_use_proj": (False, OTHER_HEADS),
        "task_specific_params": (None, "defaults of a pipeline, not part of the forward"),
    },
    "llama": {
        "max_position_embeddings": (48, "the limit of a sequence; rope does not read it where "
                                    "original_max_position_embeddings is given or not used"),
        "pretraining_tp": (2, "split of the products in transformers 4; ignored by 5"),
    },
    "mistral": {}, "qwen2": {}, "qwen3": {},
    "gpt_neox": {
        "hidden_dropout": (0.7, TRAINING), "classifier_dropout": (0.7, TRAINING),
        "is_decoder": (True, "it always is"),
    },
    "phi3": {
        "embd_pdrop": (0.7, TRAINING), "resid_pdrop": (0.7, TRAINING),
        "original_max_position_embeddings": (48, "read by longrope alone"),
    },
    "gemma2": {
        "hidden_act": ("relu", "hidden_activation says it"),
        "sliding_window_size": (3, "sliding_window says it"),
        "cache_implementation": ("static", "memory only"),
        "use_bidirectional_attention": (False, "false is what null means"),
    },
    ANY: {
        "bos_token_id": (3, TOKENS), "eos_token_id": (3, TOKENS), "pad_token_id": (3, TOKENS),
        "dtype": ("float64", "the storage type is read from the tensors; the reference computes in float32"),
        "torch_dtype": ("float64", "the storage type is read from the tensors; the reference computes in float32"),
        "initializer_range": (0.5, TRAINING), "attention_dropout": (0.7, TRAINING),
        "max_position_embeddings": (48, LIMIT),
        "transformers_version": ("4.0.0", LABEL),
        "use_cache": (False, "speed only"),
    },
}

# Fields that choose what is loaded; there is nothing to run with another value.
LOADER = {
    "architectures": "chooses the head; anything but the family's causal LM must be refused or be another task",
    "model_type": "chooses the family",
}

# Other valid values. A dict is merged into the configuration (fields that only together keep the shapes).
MUTANTS = {
    "activation_function": ["gelu", "gelu_new", "relu", "silu"],
    "hidden_act": ["gelu", "gelu_pytorch_tanh", "relu", "silu"],
    "hidden_activation": ["relu", "silu"],      # gelu is too near without a bias; llama/yarn tells the two apart
    "layer_norm_eps": [1e-6, 0.1],
    "use_parallel_residual": [False, True],
    "partial_rotary_factor": [0.25, 0.5, 0.75, 1.0],
    "rotary_pct": [0.25, 0.5, 0.75, 1.0],
    "rotary_emb_base": [100.0, 10000.0, 1e6],
    "query_pre_attn_scalar": [16, 100, 256],
    "attn_logit_softcapping": [None, 1.0, 50.0],
    "final_logit_softcapping": [None, 1.0, 30.0],
    "layer_norm_epsilon": [1e-5, 0.1],
    "rms_norm_eps": [1e-6, 1e-5, 0.1],
    "scale_attn_weights": [False, True],
    "scale_attn_by_inverse_layer_idx": [False, True],
    "tie_word_embeddings": [False, True],
    "attention_bias": [False, True],
    "mlp_bias": [False, True],
    "rope_theta": [100.0, 10000.0, 1e6],
    "rope_type": ["default", "linear"],
    "type": ["default", "dynamic"],
    "factor": [1.0, 2.0, 8.0],
    "low_freq_factor": [1.0, 0.25],
    "high_freq_factor": [2.0, 8.0],
    "original_max_position_embeddings": [32, 8192],
    "beta_fast": [8.0, 32.0],
    "beta_slow": [1.0, 0.25],
    "truncate": [True, False],
    "mscale": [1.0, 0.5],
    "mscale_all_dim": [1.0, 0.5],
    "attention_factor": [1.0, 1.3],
    "n_inner": [None, 4],
}
TANH_GELU = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")     # names of one function
DOUBLED = {"n_embd", "hidden_size"}
ONE_MORE_OR_LESS = {"n_layer", "n_positions", "vocab_size", "intermediate_size", "num_hidden_layers"}

# Fields that a case's file may leave out, with their default; the gate proves that another value would show.
IMPLIED = {
    "gpt2": {"n_inner": None, "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True,
             "tie_word_embeddings": True},
    "llama": {"attention_bias": False, "head_dim": None, "mlp_bias": False, "num_key_value_heads": None},
    "mistral": {"head_dim": None},
    "qwen2": {"head_dim": None, "use_sliding_window": False},
    "qwen3": {},
    "gpt_neox": {},
    "phi3": {"head_dim": None},
    "gemma2": {"attention_bias": False},
    "yarn": {"attention_factor": None, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": True},
}


def head_mutants(case: Case, config: dict, field: str) -> list[dict]:
    """Other head counts: the field alone, and with the fields that keep every shape as it is."""
    if case.family == "gpt2":
        return [{"n_head": n} for n in (1, 2, 3, 4, 6) if config["n_embd"] % n == 0 and n != config["n_head"]]
    if case.family == "gpt_neox":
        return [{field: n} for n in (2, 3, 4, 6) if config["hidden_size"] % n == 0 and n != config[field]]
    heads, kv = config["num_attention_heads"], config.get("num_key_value_heads", config["num_attention_heads"])
    width = config.get("head_dim", config["hidden_size"] // heads)
    alone = {"num_attention_heads": heads * 2, "num_key_value_heads": max(1, kv // 2) if kv > 1 else heads,
             "head_dim": width * 2}
    together = []
    for times in (2, 3, 4, 5):
        if width % times == 0 and width // times % 2 == 0:
            together.append((heads * times, kv * times, width // times))
        if heads % times == 0 and kv % times == 0:
            together.append((heads // times, kv // times, width * times))
    return [{field: alone[field]}] + [
        {"num_attention_heads": h, "num_key_value_heads": k, "head_dim": w} for h, k, w in together
        if config["hidden_size"] % h == 0]


def mutants(case: Case, config: dict, field: str, value) -> list[dict]:
    """Changed configurations for a field, as dicts to merge."""
    if field in ("n_head", "num_attention_heads", "num_key_value_heads", "head_dim"):
        return head_mutants(case, config, field)
    if field in DOUBLED:
        return [{field: value * 2}]
    if field == "sliding_window":
        return [{field: other} for other in ([value - 1, value + 1] if value else [5, 12])]
    if field == "use_sliding_window":
        return [{field: not value, "layer_types": None}]
    if field == "max_window_layers":
        return [{field: other} for other in (value - 1, value + 1)]
    if field == "layer_types":
        swapped = {"full_attention": "sliding_attention", "sliding_attention": "full_attention"}
        return [{field: [swapped[kind] if i == layer else kind for i, kind in enumerate(value)]}
                for layer in range(len(value))]
    if field in ONE_MORE_OR_LESS:
        return [{field: value + step} for step in (-1, 1)]
    if field not in MUTANTS:
        raise SystemExit(f"{case.id}: {field} is in none of the tables of sensitivity.py")
    same = TANH_GELU if value in TANH_GELU else (value,)
    return [{field: other} for other in MUTANTS[field] if other not in same]


def fields_of(case: Case, config: dict) -> list[tuple[str | None, str, object]]:
    """(object it lies in, field, value) for every field of the file and for those whose default it relies on."""
    found = []
    for field, value in config.items():
        if field in ("rope_parameters", "rope_scaling") and value:
            found += [(field, inner, inner_value) for inner, inner_value in value.items()]
        else:
            found.append((None, field, value))
    found += [(None, field, Absent(value)) for field, value in IMPLIED[case.family].items() if field not in config]
    rope = next((name for name in ("rope_parameters", "rope_scaling") if config.get(name)), None)
    if rope:
        kind = config[rope].get("rope_type", config[rope].get("type"))
        found += [(rope, field, Absent(value)) for field, value in IMPLIED.get(kind, {}).items()
                  if field not in config[rope]]
    return found


def merged(config: dict, inside: str | None, change: dict) -> dict:
    config = json.loads(json.dumps(config))
    (config[inside] if inside else config).update(change)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type"))
    if kind in ("linear", "dynamic"):
        rope.setdefault("factor", 2.0)
    return config


def outcome(directory: Path, config: dict, ids, expected) -> float | str:
    """The movement under a changed configuration, or what keeps transformers from loading the tensors with it."""
    with tempfile.TemporaryDirectory() as copy:
        for path in directory.glob("*.safetensors*"):
            if path.name != "expected.safetensors":
                shutil.copy(path, copy)
        Path(copy, "config.json").write_text(json.dumps(config))
        report: dict = {}
        torch.manual_seed(0)
        try:
            model = reference.load(Path(copy), report=report)
        except StrictDataclassClassValidationError:
            return "transformers refuses the configuration"
        except RuntimeError as error:
            if "ignore_mismatched_sizes" not in str(error):
                raise
            return "shape, checked by the loader"
        if report["missing_keys"]:
            return "missing tensor, checked by the loader"
        if any(".attn." not in name for name in report["unexpected_keys"]) or \
                any(name.endswith("_proj.bias") for name in report["unexpected_keys"]):
            return "leftover tensor, checked by the loader"
        return reference.movement(expected, reference.logits(model, ids))


def window_row(config: dict, field: str):
    """Qwen's fields of the sliding window that do not count because another one does; as the rows of INSENSITIVE."""
    if "use_sliding_window" not in config:
        return None
    if field == "max_window_layers" and "layer_types" in config:
        return 0, KINDS
    if field in ("max_window_layers", "sliding_window") and not config["use_sliding_window"]:
        return 3, OFF
    return None


def judge_field(case: Case, directory: Path, config: dict, inside, field, value, ids, expected):
    """('moves', least movement) or ('loader' | 'insensitive', reason) for one field."""
    if field in LOADER:
        return "loader", LOADER[field]
    row = INSENSITIVE[case.family].get(field) or INSENSITIVE[ANY].get(field) or window_row(config, field)
    if field == "tie_word_embeddings" and value is False:
        row = (True, "transformers 5 keeps a stored lm_head.weight that differs from the embedding, "
                     "whatever the field says")
    if row and inside is None:
        if outcome_is_quiet(outcome(directory, merged(config, inside, {field: row[0]}), ids, expected)):
            return "insensitive", row[1]
        raise SystemExit(f"{case.id}: {field} is listed as insensitive but moves the logits")
    if field in ("rope_scaling", "rope_parameters"):     # null: no scaling
        changes = [{field: {"rope_type": "linear", "factor": 2.0}}]
    else:
        changes = mutants(case, config, field, value.default if isinstance(value, Absent) else value)
    results = [outcome(directory, merged(config, inside, change), ids, expected) for change in changes]
    moved = [result for result in results if isinstance(result, float)]
    if not moved:
        return "loader", results[0]
    if min(moved) < LEAST:
        raise SystemExit(f"{case.id}: {field} moves the logits too little: {list(zip(changes, results))}")
    return "moves", min(moved)


def outcome_is_quiet(result: float | str) -> bool:
    return isinstance(result, str) and result.startswith("missing") or isinstance(result, float) and result < NOTHING


def judge_fields(case: Case, directory: Path, ids, expected) -> dict[str, dict]:
    config = json.loads((directory / "config.json").read_text())
    result: dict[str, dict] = {"moves": {}, "loader": {}, "insensitive": {}}
    for inside, field, value in fields_of(case, config):
        kind, what = judge_field(case, directory, config, inside, field, value, ids, expected)
        name = (f"{inside}." if inside else "") + field + (" (absent)" if isinstance(value, Absent) else "")
        result[kind][name] = what
    return result


# ---- tensors --------------------------------------------------------------------------------------------------------

def wrong_tensors(name: str, value: torch.Tensor):
    """What a plausible bug makes of a tensor: a scale, an offset by one, an unread last or first part."""
    yield "scale", value * 1.1
    yield "offset", value.flatten().roll(1).view_as(value)
    # as GPT-2's, hardly felt in the dimensions that rope turns slowly or not at all
    if name.endswith(("k_proj.bias", "query_key_value.bias[k]")):
        return
    last = reference.LENGTHS[-1] - 1 if name.endswith("wpe.weight") else -1     # positions in use
    for row in (0, last):
        part = value.clone()
        part[row] = 0.0
        yield f"row {row}", part
    if value.dim() == 2:
        part = value.clone()
        part[:, -1] = 0.0
        yield "last column", part
        if value.shape[0] == value.shape[1]:
            yield "transposed", value.t()


def parts_of(case: Case, name: str, value: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """A fused projection of q, k and v is judged as the three tensors it is, gate and up as two."""
    if name.endswith(("query_key_value.weight", "query_key_value.bias")):
        heads = value.view(case.config["num_attention_heads"], 3, -1, *value.shape[1:])
        return [(f"{name}[{kind}]", heads[:, i]) for i, kind in enumerate("qkv")]
    if name.endswith("qkv_proj.weight"):
        heads, kv = case.config["num_attention_heads"], case.config["num_key_value_heads"]
        width = value.shape[0] // (heads + 2 * kv)
        parts = value.split([heads * width, kv * width, kv * width])
        return [(f"{name}[{kind}]", part) for kind, part in zip("qkv", parts)]
    if name.endswith("gate_up_proj.weight"):
        return [(f"{name}[{kind}]", part) for kind, part in zip(("gate", "up"), value.chunk(2))]
    if ".c_attn." not in name:
        return [(name, value)]
    return [(f"{name}[{kind}]", part) for kind, part in zip("qkv", value.chunk(3, -1))]


def judge_tensors(case: Case, directory: Path, ids, expected) -> tuple[dict[str, float], dict[str, str]]:
    model, moves, quiet = reference.load(directory), {}, {}
    for name, parameter in model.named_parameters():
        for part_name, part in parts_of(case, name, parameter.data):
            kept, least = part.clone(), float("inf")
            rows = kept.flatten(0, 1) if ".query_key_value." in name else kept      # of heads
            for what, wrong in wrong_tensors(part_name, rows):
                part.copy_(wrong.view_as(part))
                moved = reference.movement(expected, reference.logits(model, ids))
                if part_name.endswith("c_attn.bias[k]"):
                    assert moved < LEAST, part_name
                    quiet[part_name] = "a key bias adds the same to every score of a query; softmax ignores it"
                elif moved < LEAST:
                    raise SystemExit(f"{case.id}: {part_name} ({what}) moves the logits by {moved:.2g} tolerances only")
                least = min(least, moved)
            part.copy_(kept)
            if part_name not in quiet:
                moves[part_name] = least
    return moves, quiet


# ---- mistakes in a forward ------------------------------------------------------------------------------------------

def interleaved(x):
    """rotate_half as if the pairs were (2i, 2i+1)."""
    return torch.stack((-x[..., 1::2], x[..., 0::2]), -1).flatten(-2)


def interleaved_rope(q, k, cos, sin, unsqueeze_dim=1):
    turning = cos.shape[-1]
    cos, sin = (value[..., :turning // 2].repeat_interleave(2, -1).unsqueeze(unsqueeze_dim) for value in (cos, sin))

    def turned(x):
        part, rest = x[..., :turning], x[..., turning:]
        return torch.cat((part * cos + interleaved(part) * sin, rest), -1)
    return turned(q), turned(k)


def backward_rope(modeling):
    plain = modeling.apply_rotary_pos_emb
    return lambda q, k, cos, sin, unsqueeze_dim=1: plain(q, k, cos, -sin, unsqueeze_dim)


def last_part_rope(modeling):
    """The last dimensions of a head turn instead of the first."""
    plain = modeling.apply_rotary_pos_emb

    def turn(q, k, cos, sin, unsqueeze_dim=1):
        rest = q.shape[-1] - cos.shape[-1]
        back, forth = (lambda x: x.roll(rest, -1)), (lambda x: x.roll(-rest, -1))
        return tuple(back(x) for x in plain(forth(q), forth(k), cos, sin, unsqueeze_dim))
    return turn


@contextmanager
def changed_input(module: torch.nn.Module, change):
    handle = module.register_forward_pre_hook(lambda _, inputs: (change(inputs[0]), *inputs[1:]))
    yield
    handle.remove()


def leaky_mask(modeling, name):
    """Every query sees one key of the future (and all of the past)."""
    original = getattr(modeling, name)

    def create(*args, **kwargs):
        mask = original(*args, **kwargs)
        rows = mask.shape[-2]
        seen = torch.ones(rows, mask.shape[-1], dtype=torch.bool).tril(1)
        return torch.zeros_like(mask).masked_fill(~seen, torch.finfo(mask.dtype).min)
    return mock.patch.object(modeling, name, create)


@contextmanager
def normed_late(modeling, model):
    """Queries and keys are turned first and normed then."""
    plain = modeling.apply_rotary_pos_emb
    norms = [(layer.self_attn.q_norm, layer.self_attn.k_norm) for layer in model.model.layers]
    calls, weights = [0], [[norm.weight.data.clone() for norm in pair] for pair in norms]
    for pair in norms:
        for norm in pair:
            norm.weight.data.fill_(1.0)

    def turn(q, k, cos, sin, unsqueeze_dim=1):
        at = weights[calls[0] % len(weights)]
        calls[0] += 1
        q, k = plain(q, k, cos, sin, unsqueeze_dim)
        return q * at[0], k * at[1]
    with mock.patch.object(modeling, "apply_rotary_pos_emb", turn):
        yield
    for pair, kept in zip(norms, weights):
        for norm, weight in zip(pair, kept):
            norm.weight.data.copy_(weight)


@contextmanager
def q_k_v_in_blocks(model):
    """The fused projection read as [q | k | v] instead of [head][q, k, v]."""
    projections = [layer.attention.query_key_value for layer in model.gpt_neox.layers]
    kept = [module.weight.data.clone() for module in projections]
    heads = model.config.num_attention_heads
    for module in projections:
        rows = module.weight.data.view(3, heads, -1, module.weight.shape[1])
        module.weight.data = rows.transpose(0, 1).reshape(module.weight.shape).contiguous()
    yield
    for module, weight in zip(projections, kept):
        module.weight.data = weight


def mistakes(case: Case, model: torch.nn.Module):
    """Names and context managers under which a forward is wrong in one way."""
    modeling = MODELING[case.family]
    if any(draw.window_of(model.config, layer) is None for layer in range(model.config.num_hidden_layers)):
        yield "causal mask off by one", leaky_mask(modeling, "create_causal_mask")
    if any(draw.window_of(model.config, layer) for layer in range(model.config.num_hidden_layers)):
        yield "mask of the window off by one", leaky_mask(modeling, "create_sliding_window_causal_mask")
    if case.family == "gpt2":
        yield "positions from 1", changed_input(model.transformer.wpe, lambda positions: positions + 1)
        return
    yield "rope in interleaved pairs", mock.patch.object(modeling, "apply_rotary_pos_emb", interleaved_rope)
    yield "rope turned backwards", mock.patch.object(modeling, "apply_rotary_pos_emb", backward_rope(modeling))
    rope = model.config.rope_parameters or {}
    if rope.get("partial_rotary_factor", 1) < 1:
        yield "rope of the last dimensions", mock.patch.object(
            modeling, "apply_rotary_pos_emb", last_part_rope(modeling))
    if draw.normed_heads(model):
        yield "heads normed after rope", normed_late(modeling, model)
    if case.family == "gpt_neox":
        yield "q, k and v not apart by head", q_k_v_in_blocks(model)
        return
    heads, kv = model.config.num_attention_heads, model.config.num_key_value_heads
    if 1 < kv < heads:
        yield "key heads tiled, not repeated", mock.patch.object(
            modeling, "repeat_kv", lambda x, n: x.repeat(1, n, 1, 1))
    if kv == heads:
        yield "key heads of the neighbour", mock.patch.object(modeling, "repeat_kv", lambda x, n: x.roll(1, 1))


def judge_mistakes(case: Case, directory: Path, ids, expected) -> dict[str, float]:
    result, model = {}, reference.load(directory)
    for name, wrong in mistakes(case, model):
        with wrong:
            result[name] = reference.movement(expected, reference.logits(model, ids))
        assert result[name] > LEAST, f"{case.id}: '{name}' moves the logits by {result[name]:.2g} tolerances only"
    assert reference.movement(expected, reference.logits(model, ids)) < NOTHING, "a mistake was not undone"
    return result


# ---- the file -------------------------------------------------------------------------------------------------------

def rounded(moves: dict[str, float]) -> dict[str, int | float]:
    return {name: int(float(f"{value:.2g}")) for name, value in moves.items()}


def judge(case: Case, directory: Path) -> dict:
    """What sensitivity.json holds."""
    ids, expected = reference.read_expected(directory)
    fields = judge_fields(case, directory, ids, expected)
    tensors, quiet = judge_tensors(case, directory, ids, expected)
    return {
        "tensors": rounded(tensors),
        "fields": rounded(fields["moves"]),
        "mistakes": rounded(judge_mistakes(case, directory, ids, expected)),
        "loader": fields["loader"],
        "insensitive": {**fields["insensitive"], **quiet},
    }


def write(case: Case, directory: Path) -> None:
    (directory / "sensitivity.json").write_text(json.dumps(judge(case, directory), indent=1) + "\n")
