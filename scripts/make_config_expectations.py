#!/usr/bin/env python3
"""Writes tests/config_expected.json: what transformers makes of a config.json that says little.

    pip install transformers==5.24
    make_config_expectations.py

A case has the text of config.json and what transformers' configuration class then holds, in its own terms. The cases of a family: nothing but
model_type; each of its settings alone, with a value that no other has; each setting null, where transformers takes that; each that does not matter to inference.
"""
import json
import math
import pathlib

from transformers import CONFIG_MAPPING

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "config_expected.json"
LLAMA = {"vocab_size": 83, "hidden_size": 96 * 64, "intermediate_size": 68, "num_hidden_layers": 3, "num_attention_heads": 64, "num_key_value_heads": 2,
         "max_position_embeddings": 65, "rms_norm_eps": 1e-3, "tie_word_embeddings": None, "hidden_act": "relu"}
SETTINGS = {  # a bool stands for the other value than the default: None here
    "gpt2": {"vocab_size": 83, "n_positions": 65, "max_position_embeddings": 66, "n_embd": 48, "hidden_size": 36, "n_layer": 3, "num_hidden_layers": 5,
             "n_head": 6, "num_attention_heads": 3, "n_inner": 68, "activation_function": "relu", "layer_norm_epsilon": 1e-3,
             "tie_word_embeddings": None, "scale_attn_weights": None, "scale_attn_by_inverse_layer_idx": None},
    "llama": {**LLAMA, "head_dim": 80, "attention_bias": None, "mlp_bias": None},
    "mistral": {**LLAMA, "head_dim": 80, "sliding_window": 11},
    "qwen2": {**LLAMA, "use_sliding_window": None, "sliding_window": 11, "max_window_layers": 2},
    "qwen3": {**LLAMA, "head_dim": 80, "attention_bias": None, "use_sliding_window": None, "sliding_window": 11, "max_window_layers": 2},
    "gpt_neox": {**{k: v for k, v in LLAMA.items() if k not in ("num_key_value_heads", "rms_norm_eps")}, "hidden_size": 96 * 32, "num_attention_heads": 32,
                 "layer_norm_eps": 1e-3, "attention_bias": None, "use_parallel_residual": None},
    "phi3": {**LLAMA, "sliding_window": 11},
    "gemma2": {**{k: v for k, v in LLAMA.items() if k != "hidden_act"}, "hidden_activation": "relu", "head_dim": 80, "attention_bias": None,
               "query_pre_attn_scalar": 144, "attn_logit_softcapping": 7.0, "final_logit_softcapping": 9.0, "sliding_window": 11},
}
TOGETHER = {  # settings that mean something only with another
    "gpt2": [],
    "llama": [{"eos_token_id": 0}, {"eos_token_id": [0, 7, 5]}, {"eos_token_id": None}], "mistral": [], "phi3": [],
    "qwen2": [{"use_sliding_window": True, "sliding_window": 11}, {"use_sliding_window": True, "max_window_layers": 2},
              {"use_sliding_window": True, "num_hidden_layers": 29}],
    "qwen3": [{"use_sliding_window": True, "sliding_window": 11}, {"use_sliding_window": True, "max_window_layers": 2},
              {"use_sliding_window": True, "num_hidden_layers": 29}],
    "gpt_neox": [{"rotary_pct": 0.5}, {"rotary_emb_base": 500}],
    "gemma2": [{"layer_types": ["full_attention", "full_attention", "sliding_attention"], "num_hidden_layers": 3}],
}

IGNORED = {  # without effect on inference: nothing else may change
    "gpt2": {"attn_pdrop": 0.3, "embd_pdrop": 0.3, "resid_pdrop": 0.3, "reorder_and_upcast_attn": True, "summary_activation": "tanh",
             "summary_first_dropout": 0.3, "summary_proj_to_labels": False, "summary_type": "last", "summary_use_proj": False},
    "llama": {"pretraining_tp": 2, "attention_dropout": 0.3}, "mistral": {"attention_dropout": 0.3}, "qwen2": {"attention_dropout": 0.3},
    "qwen3": {"attention_dropout": 0.3}, "gpt_neox": {"attention_dropout": 0.3, "hidden_dropout": 0.3, "classifier_dropout": 0.3},
    "phi3": {"attention_dropout": 0.3, "embd_pdrop": 0.3, "resid_pdrop": 0.3},
    "gemma2": {"attention_dropout": 0.3, "hidden_act": "gelu", "sliding_window_size": 7, "cache_implementation": "hybrid"},
}


def expected(c):
    heads, hidden = c.num_attention_heads, c.hidden_size
    head_dim = getattr(c, "head_dim", None) or hidden // heads
    window = getattr(c, "sliding_window", None) or 0
    kinds = getattr(c, "layer_types", None) or ["sliding_attention"] * c.num_hidden_layers
    windows = [window if kind == "sliding_attention" else 0 for kind in kinds]
    rope = getattr(c, "rope_parameters", None)
    attention_bias = getattr(c, "attention_bias", c.model_type == "gpt2")
    scalar = getattr(c, "query_pre_attn_scalar", head_dim)
    act = getattr(c, "activation_function", None) or getattr(c, "hidden_activation", None) or c.hidden_act
    eos = c.eos_token_id
    return {
        "vocab_size": c.vocab_size, "hidden_size": hidden, "num_hidden_layers": c.num_hidden_layers, "num_attention_heads": heads,
        "num_key_value_heads": getattr(c, "num_key_value_heads", None) or heads, "head_dim": head_dim,
        "intermediate_size": (c.n_inner or 4 * hidden) if c.model_type == "gpt2" else c.intermediate_size,
        "max_position_embeddings": c.max_position_embeddings,
        "eps": next(getattr(c, k) for k in ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon") if hasattr(c, k)),
        "tie_word_embeddings": c.tie_word_embeddings, "act": act,
        "windows": windows if len(set(windows)) > 1 else windows[0],
        "rope_theta": rope["rope_theta"] if rope else 0, "rotary": rope.get("partial_rotary_factor", 1.0) if rope else 0,
        "attention_bias": attention_bias or c.model_type == "qwen2",
        "output_bias": attention_bias, "mlp_bias": getattr(c, "mlp_bias", c.model_type in ("gpt2", "gpt_neox")),
        "parallel": getattr(c, "use_parallel_residual", False),
        "scale": 1.0 if getattr(c, "scale_attn_weights", True) is False else 1 / math.sqrt(scalar),
        "scale_by_layer": getattr(c, "scale_attn_by_inverse_layer_idx", False),
        "score_cap": getattr(c, "attn_logit_softcapping", None) or 0, "logit_cap": getattr(c, "final_logit_softcapping", None) or 0,
        "embed_scale": math.sqrt(hidden) if c.model_type == "gemma2" else 0,
        "eos": [] if eos is None else eos if isinstance(eos, list) else [eos],
    }


def main():
    cases = []
    for family, settings in SETTINGS.items():
        default = CONFIG_MAPPING[family]()
        changes = [{}, *({k: (not getattr(default, k)) if v is None else v} for k, v in settings.items()), *({k: None} for k in settings), *TOGETHER[family],
                   *({k: v} for k, v in IGNORED[family].items())]
        for change in changes:
            if change == {"sliding_window": None} and family == "gemma2":
                continue  # its class takes it, its forward does not
            try:
                config = CONFIG_MAPPING[family].from_dict(dict(change))
                meant = expected(config)
                if None not in meant.values():
                    cases.append({"config": {"model_type": family, **change}, "expected": meant})
            except Exception:
                if None not in change.values():
                    raise
    OUT.write_text('{"cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]}\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
