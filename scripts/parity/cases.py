"""The table of cases: one row per directory tests/parity/<family>/<case>."""

from dataclasses import dataclass
from typing import Callable


def as_written(config: dict) -> dict:
    """The spelling of the installed transformers (5.x): `dtype`, `rope_parameters`."""
    return config


def llama_v4(config: dict) -> dict:
    """The spelling of transformers 4.46 and newer 4.x: `rope_theta` and `rope_scaling` at the top, `torch_dtype`."""
    config = dict(config)
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.3"
    return dict(sorted(config.items()))


def llama_v4_base(config: dict) -> dict:
    """As llama_v4, without `head_dim`, which 4.x did not write before it became a field."""
    config = llama_v4(config)
    del config["head_dim"]
    return config


def llama_v4_first(config: dict) -> dict:
    """The spelling of the first llama repositories: `type` in rope_scaling, no later fields at all."""
    config = llama_v4_base(config)
    rope = config["rope_scaling"]
    config["rope_scaling"] = {"type": rope.pop("rope_type"), **rope}
    for later in ("attention_bias", "attention_dropout", "mlp_bias", "num_key_value_heads"):
        del config[later]
    config["transformers_version"] = "4.31.0"
    return config


def gpt2_original(config: dict) -> dict:
    """The spelling of the original gpt2 repository: `n_ctx`, task_specific_params, no later fields, no dtype."""
    config = dict(config)
    for later in ("add_cross_attention", "dtype", "n_inner", "pad_token_id", "reorder_and_upcast_attn",
                  "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "tie_word_embeddings",
                  "transformers_version", "use_cache"):
        del config[later]
    config["n_ctx"] = config["n_positions"]
    config["task_specific_params"] = {"text-generation": {"do_sample": True, "max_length": 50}}
    return dict(sorted(config.items()))


def rope_v4(config: dict) -> dict:
    """The spelling of transformers 4 before `layer_types`."""
    config = llama_v4(config)
    config.pop("layer_types", None)
    return config


def qwen_v4(config: dict) -> dict:
    """As rope_v4; a window is given and switched off, as Qwen's repositories have it (5.x writes null then)."""
    config = rope_v4(config)
    config["sliding_window"], config["max_window_layers"] = 5, 1
    return config


def neox_v4(config: dict) -> dict:
    """The spelling of the Pythia repositories: `rotary_pct`, `rotary_emb_base`."""
    config = dict(config)
    rope = config.pop("rope_parameters")
    config["rotary_emb_base"] = int(rope["rope_theta"])
    config["rotary_pct"] = rope["partial_rotary_factor"]
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.24.0"
    for later in ("attention_dropout", "hidden_dropout", "classifier_dropout", "is_decoder", "pad_token_id"):
        del config[later]
    return dict(sorted(config.items()))


def phi3_v4(config: dict) -> dict:
    """As llama_v4; a partial rotation stands at the top."""
    config = dict(config)
    rope = dict(config["rope_parameters"])
    config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    config["rope_parameters"] = rope
    return llama_v4(config)


def gemma2_v4(config: dict) -> dict:
    """The spelling of the first Gemma 2 repositories: no `layer_types`, and fields that say things twice."""
    config = rope_v4(config)
    config["hidden_act"] = config["hidden_activation"]
    config["sliding_window_size"] = config["sliding_window"]
    config["cache_implementation"] = "hybrid"
    del config["use_bidirectional_attention"], config["rope_scaling"]
    return dict(sorted(config.items()))


@dataclass(frozen=True)
class Case:
    """One checkpoint. `config` goes to the configuration class of transformers, `spelling` rewrites what that wrote."""

    family: str
    name: str
    config: dict
    dtype: str = "float32"
    spelling: Callable[[dict], dict] = as_written
    shard: str | None = None        # max_shard_size of save_pretrained
    tensors_of: str | None = None   # same tensors (and therefore outputs) as this case of the family
    base_names: bool = False        # tensor names without the model prefix, with the legacy buffers

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"


LLAMA3 = dict(
    vocab_size=91, hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=3,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=128, rms_norm_eps=0.02, attention_bias=True,
    mlp_bias=True, tie_word_embeddings=True, bos_token_id=1, eos_token_id=[2, 5],
    # head_dim 16 and theta 500: wavelengths 6.3 13.7 | 29.7 64.6 | 140 305 664 1443, borders 16 and 128
    rope_parameters=dict(rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=0.5, high_freq_factor=4.0,
                         original_max_position_embeddings=64),
)

QWEN2_WINDOW = dict(
    vocab_size=84, hidden_size=40, intermediate_size=52, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=0.01, tie_word_embeddings=False,
    bos_token_id=1, eos_token_id=2, use_sliding_window=True, sliding_window=6, max_window_layers=1,
    rope_parameters=dict(rope_type="default", rope_theta=1000.0),
)

GEMMA2 = dict(
    vocab_size=90, hidden_size=40, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=12, max_position_embeddings=64, rms_norm_eps=0.02, query_pre_attn_scalar=10,
    attn_logit_softcapping=8.0, final_logit_softcapping=2.5, sliding_window=9, tie_word_embeddings=True,
    bos_token_id=2, eos_token_id=1, pad_token_id=0, rope_parameters=dict(rope_type="default", rope_theta=1000.0),
)

CASES = [
    Case("gpt2", "base",
         dict(vocab_size=89, n_embd=24, n_head=3, n_layer=2, n_positions=40, layer_norm_epsilon=0.02,
              bos_token_id=1, eos_token_id=2)),
    Case("gpt2", "inverse-layer-scale",
         dict(vocab_size=97, n_embd=48, n_head=4, n_layer=3, n_positions=48, n_inner=68, layer_norm_epsilon=0.01,
              activation_function="gelu", scale_attn_by_inverse_layer_idx=True, bos_token_id=1, eos_token_id=2),
         dtype="bfloat16"),
    Case("gpt2", "unprefixed",
         dict(vocab_size=85, n_embd=32, n_head=4, n_layer=2, n_positions=36, layer_norm_epsilon=0.01,
              bos_token_id=84, eos_token_id=84),
         dtype="float16", spelling=gpt2_original, base_names=True),
    Case("llama", "base",
         dict(vocab_size=83, hidden_size=48, intermediate_size=68, num_hidden_layers=2, num_attention_heads=6,
              num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=0.01, tie_word_embeddings=False,
              bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
         spelling=llama_v4_base),
    Case("llama", "llama3-rope", LLAMA3),
    Case("llama", "llama3-rope-v4", LLAMA3, spelling=llama_v4, tensors_of="llama3-rope"),
    Case("llama", "sharded-bf16",
         dict(vocab_size=93, hidden_size=40, intermediate_size=60, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=4, max_position_embeddings=96, rms_norm_eps=0.01, tie_word_embeddings=False,
              bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_type="default", rope_theta=500.0)),
         dtype="bfloat16", shard="30KB"),
    Case("llama", "linear-rope",
         dict(vocab_size=87, hidden_size=40, intermediate_size=52, num_hidden_layers=2, num_attention_heads=5,
              num_key_value_heads=5, max_position_embeddings=80, rms_norm_eps=0.02, tie_word_embeddings=False,
              bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_type="linear", rope_theta=1000.0, factor=2.5)),
         dtype="float16", spelling=llama_v4_first),
    Case("llama", "yarn",
         dict(vocab_size=95, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=0.01, mlp_bias=True,
              hidden_act="gelu_pytorch_tanh", tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              # the ramp over the 8 frequencies goes from 1.9 to 6.2
              rope_parameters=dict(rope_type="yarn", rope_theta=50.0, factor=4.0, beta_fast=4.0, beta_slow=0.5,
                                   truncate=False, original_max_position_embeddings=64)),
         dtype="bfloat16"),
    Case("llama", "yarn-mscale",
         dict(vocab_size=81, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=1, head_dim=16, max_position_embeddings=256, rms_norm_eps=0.01,
              tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
              # beta_fast 32 and beta_slow 1 by default: the ramp goes from 0.2 to 7.6, rounded to 0 and 8
              rope_parameters=dict(rope_type="yarn", rope_theta=50.0, factor=4.0, mscale=0.7, mscale_all_dim=1.3,
                                   original_max_position_embeddings=256)),
         dtype="float16", spelling=llama_v4),
    Case("mistral", "window",
         dict(vocab_size=82, hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=6,
              num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=0.01, sliding_window=7,
              tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=1000.0))),
    Case("mistral", "no-window",
         dict(vocab_size=86, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=1, max_position_embeddings=64, rms_norm_eps=0.01, sliding_window=None,
              tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=1e4)),
         dtype="bfloat16", spelling=rope_v4),
    Case("qwen2", "base",
         dict(vocab_size=88, hidden_size=48, intermediate_size=60, num_hidden_layers=2, num_attention_heads=6,
              num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=0.01, tie_word_embeddings=True,
              bos_token_id=1, eos_token_id=2, use_sliding_window=False,
              rope_parameters=dict(rope_type="default", rope_theta=1e4)),
         dtype="bfloat16", spelling=qwen_v4),
    Case("qwen2", "window", QWEN2_WINDOW),
    Case("qwen2", "window-v4", QWEN2_WINDOW, spelling=rope_v4, tensors_of="window"),
    Case("qwen3", "base",
         dict(vocab_size=83, hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=16, max_position_embeddings=64, rms_norm_eps=0.02,
              tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, use_sliding_window=False,
              rope_parameters=dict(rope_type="default", rope_theta=1e4)),
         dtype="bfloat16", spelling=qwen_v4),
    Case("qwen3", "window",
         dict(vocab_size=85, hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=3,
              num_key_value_heads=3, head_dim=12, max_position_embeddings=64, rms_norm_eps=0.02, attention_bias=True,
              tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, use_sliding_window=True, sliding_window=18,
              layer_types=["sliding_attention", "full_attention"],
              rope_parameters=dict(rope_type="default", rope_theta=500.0))),
    Case("gpt_neox", "parallel",
         dict(vocab_size=87, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=3,
              max_position_embeddings=64, layer_norm_eps=0.01, bos_token_id=1, eos_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.5))),
    Case("gpt_neox", "sequential",
         dict(vocab_size=89, hidden_size=48, intermediate_size=60, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64, layer_norm_eps=0.01, use_parallel_residual=False, attention_bias=False,
              hidden_act="gelu_fast", tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=1.0)),
         dtype="float16", spelling=neox_v4),
    Case("phi3", "window",
         dict(vocab_size=84, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
              num_key_value_heads=1, max_position_embeddings=64, original_max_position_embeddings=64,
              rms_norm_eps=0.01, sliding_window=8, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              pad_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.75))),
    Case("phi3", "no-window",
         dict(vocab_size=86, hidden_size=40, intermediate_size=52, num_hidden_layers=2, num_attention_heads=5,
              num_key_value_heads=5, max_position_embeddings=64, original_max_position_embeddings=64,
              rms_norm_eps=0.01, sliding_window=None, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
              pad_token_id=2,
              rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=1.0)),
         dtype="bfloat16", spelling=phi3_v4),
    Case("gemma2", "base", GEMMA2, dtype="bfloat16"),
    Case("gemma2", "base-v4", GEMMA2, dtype="bfloat16", spelling=gemma2_v4, tensors_of="base"),
    Case("gemma2", "no-caps",
         dict(vocab_size=92, hidden_size=40, intermediate_size=52, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=4, head_dim=12, max_position_embeddings=64, rms_norm_eps=0.02,
              query_pre_attn_scalar=8, attn_logit_softcapping=None, final_logit_softcapping=None, sliding_window=17,
              attention_bias=True, bos_token_id=2, eos_token_id=1, pad_token_id=0,
              rope_parameters=dict(rope_type="default", rope_theta=1e4)),
         dtype="float16"),
]
