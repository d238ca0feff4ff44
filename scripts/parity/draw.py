"""Drawing the tensors of a case so that an error anywhere in a forward shows in the logits."""

import math

import torch
from transformers.pytorch_utils import Conv1D

ENTROPY_LIMIT = 0.70    # of uniform, mean over heads and rows; what the finished checkpoint must keep
ENTROPY_TARGET = 0.62   # what drawing aims at
BRANCH = 3.0            # deviation of what a branch adds to the residual stream; more than the embedding's 1, so
                        # that a tied model does not just repeat its last token
RESIDUAL = ("attn.c_proj", "mlp.c_proj", "o_proj", "down_proj", "attention.dense", "dense_4h_to_h")
EMBEDDINGS = ("wte.weight", "wpe.weight", "embed_tokens.weight", "embed_in.weight")
BRANCH_NORMS = ("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")     # of gemma2
HEAD_NORMS = ("q_norm.weight", "k_norm.weight")


def is_norm(name: str) -> bool:
    module = name.rsplit(".", 2)[-2]
    return module.startswith("ln_") or module.endswith("norm")


def is_gemma(model: torch.nn.Module) -> bool:
    """Norms multiply with 1 + w, embeddings with sqrt(hidden), and what is added to the residual stream is normed."""
    return model.config.model_type.startswith("gemma")


def norm_factor(model: torch.nn.Module, name: str, value: torch.Tensor) -> torch.Tensor:
    """What a norm multiplies with, over what it should on average."""
    if not is_gemma(model):
        return value
    return (value + 1) / (BRANCH if name.endswith(BRANCH_NORMS) else 1)


def redraw(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Every parameter anew: norms in [0.5, 1.5], visible biases, embeddings N(0, 1), linears for unit variance."""
    config = model.config.to_dict()
    gelu = "gelu" in config.get("activation_function", config.get("hidden_act", config.get("hidden_activation")))
    for name, parameter in model.named_parameters():
        normal = torch.randn(parameter.shape, generator=generator)
        if name.endswith(".bias"):
            value = 0.2 * normal + 0.15 * normal.sign()
            if gelu and name.endswith(("c_fc.bias", "gate_proj.bias", "dense_h_to_4h.bias")):
                value -= 2.5    # so far left, gelu and its tanh approximation differ by a visible part of their value
        elif is_norm(name):
            value = 0.5 + torch.rand(parameter.shape, generator=generator)
            if is_gemma(model):
                value = value * (BRANCH if name.endswith(BRANCH_NORMS) else 1) - 1
        elif name.endswith(EMBEDDINGS):
            value = normal / math.sqrt(model.config.hidden_size) if is_gemma(model) else normal
        else:
            value = normal / math.sqrt(model.config.hidden_size)
        parameter.data.copy_(value)


def linears(model: torch.nn.Module):
    """Names and modules of the linears that are drawn as such; a tied lm_head is the embedding and is left out."""
    tied = model.get_input_embeddings().weight
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module.weight is not tied:
            yield name, module


def output_blocks(name: str, module: torch.nn.Module, config) -> list[tuple[str, slice | torch.Tensor]]:
    """The outputs of a linear as named ranges or indices: three for a fused projection of q, k and v, else one."""
    width = module.nf if isinstance(module, Conv1D) else module.out_features
    if name.endswith("attn.c_attn"):
        third = width // 3
        return [(kind, slice(i * third, (i + 1) * third)) for i, kind in enumerate("qkv")]
    if name.endswith("query_key_value"):    # [head][q, k, v][head_dim]
        index = torch.arange(width).view(config.num_attention_heads, 3, -1)
        return [(kind, index[:, i].flatten()) for i, kind in enumerate("qkv")]
    if name.endswith("qkv_proj"):
        kv = width // (config.num_attention_heads // config.num_key_value_heads + 2)
        ends = (0, width - 2 * kv, width - kv, width)
        return [(kind, slice(ends[i], ends[i + 1])) for i, kind in enumerate("qkv")]
    kind = name.rsplit(".", 1)[-1]
    return [(kind[0] if kind in ("q_proj", "k_proj") else kind, slice(0, width))]


def layer_of(name: str) -> int:
    parts = name.split(".")
    return next((int(part) for part in parts if part.isdigit()), -1)


def target_of(model: torch.nn.Module, name: str, kind: str, gains: list[float]) -> float:
    """The deviation a range of outputs of the linear `name` is scaled to. Normed heads have the gain in their norms."""
    if kind in ("q", "k"):
        return 1.0 if normed_heads(model) else gains[layer_of(name)]
    return BRANCH if name.endswith(RESIDUAL) and not is_gemma(model) else 1.0


def normed_heads(model: torch.nn.Module) -> bool:
    return any(name.endswith(HEAD_NORMS) for name, _ in model.named_parameters())


def calibrate(model: torch.nn.Module, ids: torch.Tensor, gains: list[float]) -> None:
    """Rescale each linear in one forward to the deviation target_of() wants before the bias."""

    def rescale(name):
        def hook(module, inputs, output):
            bias = module.bias if module.bias is not None else 0.0
            for kind, block in output_blocks(name, module, model.config):
                spread = (output - bias)[..., block].std().item()
                factor = float(f"{target_of(model, name, kind, gains) / spread:.3g}")
                if isinstance(module, Conv1D):
                    module.weight.data[:, block] *= factor
                else:
                    module.weight.data[block] *= factor
            handle = handles.pop(name)
            handle.remove()
            return module(*inputs)
        return hook

    handles = {name: module.register_forward_hook(rescale(name)) for name, module in linears(model)}
    model(ids)


def window_of(config, layer: int) -> int | None:
    """How many keys a query of the layer sees at most."""
    kinds = getattr(config, "layer_types", None)
    slides = kinds[layer] == "sliding_attention" if kinds else True
    return getattr(config, "sliding_window", None) if slides else None


def entropies(model: torch.nn.Module, ids: torch.Tensor) -> list[float]:
    """Per layer the mean attention entropy over ln(visible keys), over heads and the rows with 4 keys or more."""
    result = []
    for layer, attention in enumerate(model(ids, output_attentions=True).attentions):
        weights = attention[0].double()
        entropy = -(weights * weights.clamp_min(1e-300).log()).sum(-1)
        visible = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)
        visible = visible.clamp_max(window_of(model.config, layer) or ids.shape[1]).log()
        result.append((entropy / visible)[:, 3:].mean().item())
    return result


def draw(model: torch.nn.Module, ids: torch.Tensor, seed: int) -> None:
    """Redraw, then scale queries and keys of each layer up until attention chooses."""
    redraw(model, torch.Generator().manual_seed(seed))
    gains = [1.0] * model.config.num_hidden_layers
    head_norms = {name: parameter.data.clone() for name, parameter in model.named_parameters()
                  if name.endswith(HEAD_NORMS)}
    for _ in range(80):
        for name, value in head_norms.items():
            model.get_parameter(name).data.copy_(value * gains[layer_of(name)])
        calibrate(model, ids, gains)
        measured = entropies(model, ids)
        flat = [layer for layer, value in enumerate(measured) if value > ENTROPY_TARGET]
        if not flat:
            return
        gains[flat[0]] *= 1.1
    raise SystemExit(f"attention stays flat: {measured}")


def check_drawn(model: torch.nn.Module, ids: torch.Tensor) -> None:
    """Assert on the finished checkpoint what redraw and calibrate promise."""
    for name, parameter in model.named_parameters():
        value = parameter.data
        if name.endswith(".bias"):
            assert 0.2 < value.std() < 0.5, name
        elif is_norm(name):
            value = norm_factor(model, name, value)
            most = math.inf if name.endswith(HEAD_NORMS) else 1.51
            assert 0.49 <= value.min() < value.max() <= most and value.std() > 0.15, name
        elif name.endswith(EMBEDDINGS):
            assert 0.9 < value.std() * (math.sqrt(model.config.hidden_size) if is_gemma(model) else 1) < 1.1, name

    def look(name):
        def hook(module, inputs, output):
            for kind, block in output_blocks(name, module, model.config):
                spread = output[..., block].std().item() / target_of(model, name, kind, [1.0] * 99)
                low, high = (0.8, 4.0) if kind in ("q", "k") else (0.6, 1.6)
                assert low < spread < high, f"{name} {kind}: deviation {spread}"
        return hook

    handles = [module.register_forward_hook(look(name)) for name, module in linears(model)]
    measured = entropies(model, ids)
    for handle in handles:
        handle.remove()
    assert all(0.1 < value < ENTROPY_LIMIT for value in measured), f"attention entropy {measured}"
