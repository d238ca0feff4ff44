#!/usr/bin/env python3
"""Writes tests/bad/config/ and tests/bad/generation_config/: one small file per rule and per bound of a setting.

    make_bad_configs.py            writes the cases
    make_bad_configs.py --corpus   also refreshes the fuzz corpora from the cases

A case is a folder with config.json (or generation_config.json) and `error`: the status and the sentence, or nothing if the file must be
accepted (ok-...). The sentences are written from the rules here, not taken from the library.
"""
import argparse
import json
import pathlib
import shutil

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"
FORMAT, UNSUPPORTED, LIMIT = "CUDDLE_E_FORMAT", "CUDDLE_E_UNSUPPORTED", "CUDDLE_E_LIMIT"
GONE = object()  # a key to take away

# The smallest configs that say everything a forward needs.
BASE = {
    "gpt2": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 89, "n_positions": 40, "n_embd": 24, "n_layer": 2, "n_head": 3},
    "llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 83, "hidden_size": 48, "intermediate_size": 68,
              "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 64},
}
FIRST = tuple(BASE)  # the rules that all families share are tried on these
for family, name in (("mistral", "MistralForCausalLM"),
                     ("qwen2", "Qwen2ForCausalLM"),
                     ("qwen3", "Qwen3ForCausalLM"),
                     ("gpt_neox", "GPTNeoXForCausalLM"),
                     ("phi3", "Phi3ForCausalLM"),
                     ("gemma2", "Gemma2ForCausalLM")):
    BASE[family] = {**BASE["llama"], "model_type": family, "architectures": [name]}
del BASE["gpt_neox"]["num_key_value_heads"]  # it has no such setting
ENCODERS = ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "mpnet", "modernbert", "nomic_bert"]
FAMILIES = ", ".join([*BASE, *ENCODERS[:-1]]) + " or " + ENCODERS[-1]
ACTIVATIONS = ("gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh, gelu_python_tanh, gelu_accurate, quick_gelu, silu, swish, relu, relu2, "
               "tanh or linear")

configs = {}      # name -> (bytes, error)
generations = {}  # the same


def put(into, file, name, content, error, status):
    assert name not in into, name
    assert (error == "") == name.startswith("ok-"), name
    text = content if isinstance(content, bytes) else (json.dumps(content, ensure_ascii=False) + "\n").encode()
    into[name] = (text, f"{status}: {file}: {error}\n" if error else "")


def raw(name, content, error, status=FORMAT):
    put(configs, "config.json", name, content, error, status)


def case(family, name, changes, error="", status=FORMAT):
    merged = {k: v for k, v in {**BASE[family], **changes}.items() if v is not GONE}
    raw(f"{family}-{name}" if error else f"ok-{family}-{name}", merged, error, status)


def real(text):
    """A real has a point or an exponent, without leading zeros in the exponent."""
    return (text if set(text) & set(".e") else text + ".0").replace("e-0", "e-")


def shown(value):
    """A value as a sentence shows it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return f'"{value}"'
    return real(f"{value:.12g}") if isinstance(value, float) else str(value)


def wrong(key, value, expected):
    return f'"{key}" is {shown(value)}, expected {expected}'


def number_of(value):
    """As a bound is shown: a real with a point or an exponent."""
    return real(f"{value:.6g}")


def integer(family, key, low, high, at_low=None, at_high=None, at_null=None):
    expected = f"an integer from {low} to {high}"
    for name, value in (("below", low - 1), ("above", high + 1), ("string", str(low)), ("real", low + 0.5), ("bool", True)):
        case(family, f"{key}-{name}", {key: value}, wrong(key, value, expected))
    case(family, f"{key}-null", {key: None, **(at_null or {})})
    case(family, f"{key}-least", {key: low, **(at_low or {})})
    case(family, f"{key}-most", {key: high, **(at_high or {})})


def number(family, key, low, high):
    expected = f"a number from {number_of(low)} to {number_of(high)}"
    for name, value in (("below", low - 0.5), ("above", high + 0.5), ("string", "1e-5"), ("bool", False), ("object", {})):
        case(family, f"{key}-{name}", {key: value}, wrong(key, value, expected))
    for name, value in (("null", None), ("least", low), ("most", high), ("integer", int(high))):
        case(family, f"{key}-{name}", {key: value})


def boolean(family, key, on=None):
    for name, value in (("number", 1), ("string", "true"), ("list", [True])):
        case(family, f"{key}-{name}", {key: value}, wrong(key, value, "true or false"))
    case(family, f"{key}-null", {key: None})
    case(family, f"{key}-true", {key: True, **(on or {})})
    case(family, f"{key}-false", {key: False})


# ---- what a file must be
raw("empty-file", b"", "the file is empty, expected an object")
raw("only-spaces", b"  \n", "byte 3: found the end, expected a JSON value")
raw("not-json", b"hello", "byte 0: found 'h', expected a JSON value")
raw("root-array", b"[]", "is an array, expected an object")
raw("root-null", b"null", "is null, expected an object")
raw("empty-object", b"{}", '"model_type" is missing, expected a string')
raw("duplicate-key", b'{"model_type": "llama",\n "vocab_size": 5,\n "vocab_size": 6}', 'byte 43: the key "vocab_size" is there twice')
raw("trailing-comma", b'{"model_type": "llama",}', "byte 23: found '}', expected a key in quotes")
raw("nan", b'{"model_type": "llama", "rms_norm_eps": NaN}', "byte 40: found 'N', expected a JSON value")
raw("nul", b'{"model_type": "llama"}\0', "byte 23: found byte 0x00, expected nothing after the root value")
raw("nul-in-string", b'{"model_type": "lla\\u0000ma"}', "byte 15: a string holds a U+0000")
raw("not-utf8", b'{"model_type": "\xff"}', "byte 16: found byte 0xff, expected valid UTF-8")
raw("deep", b'{"x": ' + b"[" * 3000 + b"]" * 3000 + b"}", "byte 132: objects and arrays are nested more than 127 deep")
raw("cut", b'{"model_type": "llama", "vocab', "byte 30: found the end, expected the end of a string")

# ---- which model
raw("model_type-unknown", {"model_type": "gpt_bigcode"}, wrong("model_type", "gpt_bigcode", FAMILIES), UNSUPPORTED)
raw("model_type-case", {"model_type": "Llama"}, wrong("model_type", "Llama", FAMILIES), UNSUPPORTED)
raw("model_type-empty", {"model_type": ""}, wrong("model_type", "", FAMILIES), UNSUPPORTED)
raw("model_type-long", {"model_type": "m" * 5000}, f'"model_type" is "{"m" * 48}...", expected {FAMILIES}'[:235] + "...", UNSUPPORTED)  # a sentence has 251 bytes
raw("model_type-control", {"model_type": "a\x1b[2Jb\u202e"}, f'"model_type" is "a?[2Jb???", expected {FAMILIES}', UNSUPPORTED)
raw("model_type-null", {"model_type": None}, wrong("model_type", None, "a string"))
raw("model_type-number", {"model_type": 5}, wrong("model_type", 5, "a string"))
for family, first, others in (("gpt2", "GPT2LMHeadModel", ("GPT2Model", "GPT2ForSequenceClassification", "GPT2DoubleHeadsModel", "LlamaForCausalLM")),
                              ("llama", "LlamaForCausalLM", ("LlamaModel", "LlamaForSequenceClassification", "MistralForCausalLM", ""))):
    for other in others:
        case(family, f"architecture-{other or 'empty'}", {"architectures": [other]},
             f'architecture "{other}" is not supported for model_type "{family}", expected "{first}"', UNSUPPORTED)
    case(family, "architectures-string", {"architectures": first}, wrong("architectures", first, "an array"))
    case(family, "architectures-of-numbers", {"architectures": [5]}, wrong("architectures[0]", 5, "a string"))
    for name, value in (("null", None), ("empty", []), ("missing", GONE)):
        case(family, f"architectures-{name}", {"architectures": value})

# ---- rows, with their bounds
integer("gpt2", "vocab_size", 1, 1 << 24)
integer("gpt2", "n_positions", 1, 1 << 24)
integer("gpt2", "n_embd", 1, 1 << 20, {"n_head": 1}, {"n_head": 4})
integer("gpt2", "n_layer", 1, 1024)
integer("gpt2", "n_head", 1, 4096, None, {"n_embd": 4096})
integer("gpt2", "n_inner", 1, 1 << 22)
number("gpt2", "layer_norm_epsilon", 0, 1)
for key in ("tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"):
    boolean("gpt2", key)
integer("llama", "vocab_size", 1, 1 << 24)
integer("llama", "hidden_size", 1, 1 << 20, {"head_dim": 8}, {"num_attention_heads": 4}, {"num_attention_heads": 8})
integer("llama", "intermediate_size", 1, 1 << 22)
integer("llama", "num_hidden_layers", 1, 1024)
integer("llama", "num_attention_heads", 1, 4096, {"num_key_value_heads": 1}, {"head_dim": 8}, {"hidden_size": 64})
integer("llama", "num_key_value_heads", 1, 4096, None, {"num_attention_heads": 4096, "head_dim": 8})
integer("llama", "head_dim", 1, 4096, {"head_dim": 2})
integer("llama", "max_position_embeddings", 1, 1 << 30)
number("llama", "rms_norm_eps", 0, 1)
for key in ("tie_word_embeddings", "attention_bias", "mlp_bias"):
    boolean("llama", key)
for family, key in (("gpt2", "activation_function"), ("llama", "hidden_act")):
    for value in ("mish", "", "GELU", "gelu_10", "xielu"):
        case(family, f"{key}-{value or 'empty'}", {key: value}, wrong(key, value, ACTIVATIONS), UNSUPPORTED)
    case(family, f"{key}-number", {key: 3}, wrong(key, 3, "a string"))
    case(family, f"{key}-list", {key: ["gelu"]}, wrong(key, ["gelu"], "a string"))
    case(family, f"{key}-null", {key: None})
# The other names of gpt2's rows: the sentence says the one that the file has.
case("gpt2", "hidden_size-below", {"n_embd": GONE, "hidden_size": 0}, wrong("hidden_size", 0, f"an integer from 1 to {1 << 20}"))
case("gpt2", "n_ctx-below", {"n_positions": GONE, "n_ctx": 0}, wrong("n_ctx", 0, f"an integer from 1 to {1 << 24}"))
case("gpt2", "num_attention_heads-string", {"n_head": GONE, "num_attention_heads": "3"}, wrong("num_attention_heads", "3", "an integer from 1 to 4096"))
case("llama", "vocab_size-huge", {"vocab_size": 10**30}, '"vocab_size" is 1e30, expected an integer from 1 to 16777216')
case("llama", "rms_norm_eps-huge", {"rms_norm_eps": 10**30}, '"rms_norm_eps" is 1e30, expected a number from 0.0 to 1.0')

# ---- rows together
case("gpt2", "heads-do-not-divide", {"n_embd": 25}, "hidden size 25 is not a multiple of 3 attention heads")
case("llama", "heads-do-not-divide", {"hidden_size": 50}, "hidden size 50 is not a multiple of 6 attention heads")
case("llama", "heads-do-not-divide-but-head_dim", {"hidden_size": 50, "head_dim": 8})
case("llama", "kv-heads-do-not-divide", {"num_key_value_heads": 4}, "6 attention heads are not a multiple of 4 key-value heads")
case("llama", "more-kv-heads-than-heads", {"num_key_value_heads": 12}, "6 attention heads are not a multiple of 12 key-value heads")
case("llama", "head_dim-odd", {"head_dim": 7}, "7 dimensions of head_dim 7 are rotary, expected an even number", UNSUPPORTED)
case("llama", "head_dim-one", {"head_dim": 1}, "1 dimensions of head_dim 1 are rotary, expected an even number", UNSUPPORTED)
case("llama", "derived-head_dim-odd", {"hidden_size": 42}, "7 dimensions of head_dim 7 are rotary, expected an even number", UNSUPPORTED)
case("llama", "heads-too-large", {"num_attention_heads": 4096, "head_dim": 1026},
     f"4096 attention heads of head_dim 1026 are {4096 * 1026} in all, expected at most {1 << 22}", LIMIT)
case("llama", "heads-as-large-as-can-be", {"num_attention_heads": 4096, "head_dim": 1024})

# ---- rope
NUMBER = "a number from 0.001 to 1000000.0"
LLAMA3 = {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "factor": 4}
V5 = ("number", "empty", "null", "default", "type-longrope", "linear", "llama3", "yarn", "yarn-unknown-key", "llama3-factor-string", "theta-below",
      "yarn-theta-one", "partial", "partial-outside", "inner-partial-beats-outer")
for place in ("rope_scaling", "rope_parameters"):
    v5 = place == "rope_parameters"

    def rope(name, value, error="", status=FORMAT, more=None):
        if v5 and name not in V5:
            return  # the same code: that the sentence names the other place is enough
        case("llama", f"{'v5' if v5 else 'v4'}-rope-{name}", {place: value, **(more or {})}, error and error.replace("@", place), status)

    rope("number", 5, wrong("@", 5, "an object"))
    rope("list", [{"factor": 2}], wrong("@", [], "an object"))
    rope("empty", {})
    rope("null", None)
    rope("default", {"rope_type": "default"})
    rope("factor-without-a-type", {"factor": 2}, wrong("@.factor", 2, 'null: it is not supported for rope type "default"'), UNSUPPORTED)
    for kind in ("dynamic", "longrope", "su", "mrope", "proportional", "Yarn", ""):
        rope(f"type-{'yarn-in-capitals' if kind == 'Yarn' else kind or 'empty'}", {"rope_type": kind, "factor": 2},
             wrong("@.rope_type", kind, "default, linear, llama3 or yarn"), UNSUPPORTED)
    rope("old-type-dynamic", {"type": "dynamic", "factor": 2}, wrong("@.type", "dynamic", "default, linear, llama3 or yarn"), UNSUPPORTED)
    rope("type-number", {"rope_type": 1}, wrong("@.rope_type", 1, "a string"))
    rope("rope_type-beats-type", {"type": "dynamic", "rope_type": "linear", "factor": 2})
    for kind, full in (("linear", {"rope_type": "linear", "factor": 2}), ("llama3", LLAMA3), ("yarn", YARN)):
        rope(kind, full)
        rope(f"{kind}-unknown-key", {**full, "beta": 3}, wrong("@.beta", 3, f'null: it is not supported for rope type "{kind}"'), UNSUPPORTED)
        rope(f"{kind}-unknown-key-true", {**full, "finetuned": True},
             wrong("@.finetuned", True, f'false: it is not supported for rope type "{kind}"'), UNSUPPORTED)
        rope(f"{kind}-unknown-key-that-says-nothing", {**full, "beta": None, "mrope_section": [], "finetuned": False})
        rope(f"{kind}-no-factor", {k: v for k, v in full.items() if k != "factor"}, f'"@.factor" is missing, expected {NUMBER}')
        rope(f"{kind}-factor-null", {**full, "factor": None}, wrong("@.factor", None, NUMBER))
        rope(f"{kind}-factor-zero", {**full, "factor": 0}, wrong("@.factor", 0, NUMBER))
        rope(f"{kind}-factor-above", {**full, "factor": 1e6 + 1}, wrong("@.factor", 1e6 + 1, NUMBER).replace("1e+06", "1000001.0"))
        rope(f"{kind}-factor-string", {**full, "factor": "2"}, wrong("@.factor", "2", NUMBER))
    for key in ("low_freq_factor", "high_freq_factor"):
        rope(f"llama3-no-{key}", {k: v for k, v in LLAMA3.items() if k != key}, f'"@.{key}" is missing, expected {NUMBER}')
        rope(f"llama3-{key}-zero", {**LLAMA3, key: 0}, wrong(f"@.{key}", 0, NUMBER))
    rope("llama3-factors-equal", {**LLAMA3, "high_freq_factor": 1}, wrong("@.high_freq_factor", 1, "more than low_freq_factor (1)"))
    rope("llama3-beta_fast", {**LLAMA3, "beta_fast": 3}, wrong("@.beta_fast", 3, 'null: it is not supported for rope type "llama3"'), UNSUPPORTED)
    for kind, full in (("llama3", LLAMA3), ("yarn", YARN)):
        for name, value in (("zero", 0), ("above", (1 << 30) + 1), ("real", 0.5)):
            rope(f"{kind}-original-{name}", {**full, "original_max_position_embeddings": value},
                 wrong("@.original_max_position_embeddings", value, f"an integer from 1 to {1 << 30}"))
    for key in ("beta_fast", "beta_slow", "attention_factor"):
        rope(f"yarn-{key}-below", {**YARN, key: -1}, wrong(f"@.{key}", -1, NUMBER))
        rope(f"yarn-{key}-string", {**YARN, key: "x"}, wrong(f"@.{key}", "x", NUMBER))
        rope(f"yarn-{key}-null", {**YARN, key: None})
    for key in ("mscale", "mscale_all_dim"):
        rope(f"yarn-{key}-below", {**YARN, key: -1}, wrong(f"@.{key}", -1, "a number from 0.0 to 1000000.0"))
        rope(f"yarn-{key}-zero", {**YARN, key: 0})
    rope("yarn-truncate-number", {**YARN, "truncate": 0}, wrong("@.truncate", 0, "true or false"))
    rope("yarn-theta-one", {**YARN, "rope_theta": 1}, wrong("@.rope_theta", 1, 'more than 1 for rope type "yarn"'))
    rope("yarn-theta-one-outside", YARN, wrong("rope_theta", 1, 'more than 1 for rope type "yarn"'), more={"rope_theta": 1})
    rope("theta-below", {"rope_type": "default", "rope_theta": 0.5}, wrong("@.rope_theta", 0.5, "a number from 1.0 to 1e12"))
    rope("theta-above", {"rope_type": "default", "rope_theta": 1.5e12}, wrong("@.rope_theta", 1.5e12, "a number from 1.0 to 1e12").replace("e+", "e"))
    rope("theta-string", {"rope_type": "default", "rope_theta": "10000"}, wrong("@.rope_theta", "10000", "a number from 1.0 to 1e12"))
    rope("partial", {"rope_type": "default", "partial_rotary_factor": 0.5},
         wrong("@.partial_rotary_factor", 0.5, "1: this family turns whole heads"), UNSUPPORTED)
    rope("partial-one", {"rope_type": "default", "partial_rotary_factor": 1.0})
    rope("partial-zero", {"rope_type": "default", "partial_rotary_factor": 0}, wrong("@.partial_rotary_factor", 0, "a number from 0.01 to 1.0"))
    rope("partial-outside", {"rope_type": "default"}, wrong("partial_rotary_factor", 0.5, "1: this family turns whole heads"), UNSUPPORTED,
         {"partial_rotary_factor": 0.5})
    rope("partial-outside-of-none", {}, wrong("partial_rotary_factor", 0.5, "1: this family turns whole heads"), UNSUPPORTED,
         {"partial_rotary_factor": 0.5})
    rope("inner-partial-beats-outer", {"rope_type": "default", "partial_rotary_factor": 1}, more={"partial_rotary_factor": 0.5})
case("llama", "partial-alone", {"partial_rotary_factor": 0.5}, wrong("partial_rotary_factor", 0.5, "1: this family turns whole heads"), UNSUPPORTED)
case("llama", "partial-above", {"partial_rotary_factor": 1.5}, wrong("partial_rotary_factor", 1.5, "a number from 0.01 to 1.0"))
case("llama", "rope_theta-zero", {"rope_theta": 0}, wrong("rope_theta", 0, "a number from 1.0 to 1e12"))
case("llama", "rope_theta-string", {"rope_theta": "big"}, wrong("rope_theta", "big", "a number from 1.0 to 1e12"))
case("llama", "rope_theta-least", {"rope_theta": 1})
case("llama", "rope_theta-most", {"rope_theta": 1e12})
case("llama", "rope_theta-null", {"rope_theta": None})
case("llama", "outer-original-zero", {"rope_scaling": LLAMA3, "original_max_position_embeddings": 0},
     wrong("original_max_position_embeddings", 0, f"an integer from 1 to {1 << 30}"))

# ---- keys that ask for another model
for family in FIRST:
    for key, value, neutral in (("quantization_config", {"quant_method": "gptq", "bits": 4}, "null"), ("add_cross_attention", True, "false"),
                                ("is_encoder_decoder", True, "false"), ("cross_attention_hidden_size", 64, "null"),
                                ("pruned_heads", {"0": [1]}, "null"), ("tie_encoder_decoder", True, "false"), ("sliding_window", 4096, "null"),
                                ("use_sliding_window", True, "false"), ("_sliding_window_pattern", 6, "null"),
                                ("layer_types", ["full_attention"], "null"), ("final_logit_softcapping", 30.5, "null"), ("qk_norm", True, "false"),
                                ("num_local_experts", 8, "null"), ("text_config", {"hidden_size": 5}, "null"), ("alibi", True, "false")):
        case(family, key.strip("_") + "-set", {key: value}, wrong(key, value, f'{neutral}: it is not supported for model_type "{family}"'), UNSUPPORTED)
    for name, value in (("null", None), ("false", False), ("zero", 0), ("empty", ""), ("empty-object", {}), ("empty-list", [])):
        case(family, f"keys-of-other-models-{name}", dict.fromkeys(("quantization_config", "sliding_window", "alibi", "add_cross_attention"), value))
    case(family, "harmless-keys", {"_name_or_path": "x", "attn_dropout": 0.5, "unsloth_version": "1", "my_key": {"a": [1, None]}, "": 5})
for key, value in (("rope_theta", 10000.0), ("num_key_value_heads", 2), ("hidden_act", "silu"), ("head_dim", 8), ("rms_norm_eps", 1e-5)):
    case("gpt2", f"{key}-of-llama", {key: value}, wrong(key, value, 'null: it is not supported for model_type "gpt2"').replace("10000,", "10000.0,"), UNSUPPORTED)
for key, value in (("n_embd", 48), ("scale_attn_weights", True), ("activation_function", "gelu")):
    case("llama", f"{key}-of-gpt2", {key: value},
         wrong(key, value, f'{"false" if value is True else "null"}: it is not supported for model_type "llama"'), UNSUPPORTED)

# ---- what the other families have of their own
def refused(family, name, changes, key, value, neutral="null"):
    case(family, name, changes, wrong(key, value, f'{neutral}: it is not supported for model_type "{family}"'), UNSUPPORTED)


def window(family, more=None):
    expected = f"an integer from 1 to {1 << 30}"
    for name, value in (("zero", 0), ("above", (1 << 30) + 1), ("string", "7"), ("real", 7.5), ("bool", True)):
        case(family, f"sliding_window-{name}", {"sliding_window": value, **(more or {})}, wrong("sliding_window", value, expected))
    for name, value in (("least", 1), ("most", 1 << 30)):
        case(family, f"sliding_window-{name}", {"sliding_window": value, **(more or {})})


def layer_types(family, more):
    full, slides = "full_attention", "sliding_attention"
    for name, value in (("string", full), ("object", {}), ("number", 2)):
        case(family, f"layer_types-{name}", {**more, "layer_types": value}, wrong("layer_types", value, "an array"))
    for name, value in (("short", [full]), ("long", [full] * 3), ("empty", [])):
        case(family, f"layer_types-{name}", {**more, "layer_types": value},
             f'"layer_types" has {len(value)} elements, expected one for each of 2 layers')
    case(family, "layer_types-of-numbers", {**more, "layer_types": [full, 1]}, wrong("layer_types[1]", 1, "a string"))
    case(family, "layer_types-of-null", {**more, "layer_types": [None, full]}, wrong("layer_types[0]", None, "a string"))
    for value in ("chunked_attention", "linear_attention", ""):
        case(family, f"layer_types-{value or 'of-nothing'}", {**more, "layer_types": [full, value]},
             wrong("layer_types[1]", value, "full_attention or sliding_attention"), UNSUPPORTED)
    case(family, "layer_types-null", {**more, "layer_types": None})
    case(family, "layer_types-both", {**more, "layer_types": [full, slides]})
    case(family, "layer_types-without-a-window", {**more, "layer_types": [full, slides], "sliding_window": None},
         "layers have sliding attention, but there is no sliding window")
    case(family, "layer_types-full-without-a-window", {**more, "layer_types": [full, full], "sliding_window": None})


for family in list(BASE)[len(FIRST):]:
    case(family, "base", {})
    case(family, "architecture-LlamaForCausalLM", {"architectures": ["LlamaForCausalLM"]},
         f'architecture "LlamaForCausalLM" is not supported for model_type "{family}", expected "{BASE[family]["architectures"][0]}"', UNSUPPORTED)
    refused(family, "num_local_experts-set", {"num_local_experts": 8}, "num_local_experts", 8)
    refused(family, "mlp_bias-set", {"mlp_bias": True}, "mlp_bias", True, "false")
    refused(family, "scale_attn_weights-of-gpt2", {"scale_attn_weights": True}, "scale_attn_weights", True, "false")
    refused(family, "quantization_config-set", {"quantization_config": {"quant_method": "awq"}}, "quantization_config", {"quant_method": "awq"})
    # the rows are read by the same code: that the sentence has both bounds is enough
    for key, high in (("vocab_size", 1 << 24), ("hidden_size", 1 << 20), ("intermediate_size", 1 << 22), ("num_hidden_layers", 1024),
                      ("num_attention_heads", 4096), ("num_key_value_heads", 4096), ("head_dim", 4096), ("max_position_embeddings", 1 << 30)):
        if family != "gpt_neox" or key not in ("num_key_value_heads", "head_dim"):
            case(family, f"{key}-zero", {key: 0}, wrong(key, 0, f"an integer from 1 to {high}"))
    eps = "layer_norm_eps" if family == "gpt_neox" else "rms_norm_eps"
    case(family, f"{eps}-negative", {eps: -1}, wrong(eps, -1, "a number from 0.0 to 1.0"))
    case(family, "tie_word_embeddings-a-number", {"tie_word_embeddings": 1}, wrong("tie_word_embeddings", 1, "true or false"))

window("mistral")
case("mistral", "sliding_window-null", {"sliding_window": None})
case("mistral", "num_key_value_heads-null", {"num_key_value_heads": None})
case("mistral", "kv-heads-do-not-divide-by-default", {"num_key_value_heads": GONE}, "6 attention heads are not a multiple of 8 key-value heads")
refused("mistral", "layer_types-set", {"layer_types": ["full_attention"] * 2}, "layer_types", [])
refused("mistral", "attention_bias-set", {"attention_bias": True}, "attention_bias", True, "false")
case("mistral", "partial", {"partial_rotary_factor": 0.5}, wrong("partial_rotary_factor", 0.5, "1: this family turns whole heads"), UNSUPPORTED)

ON = {"use_sliding_window": True, "sliding_window": 7}
window("qwen2", {"use_sliding_window": True})
layer_types("qwen2", ON)
boolean("qwen2", "use_sliding_window")
case("qwen2", "layer_types-with-the-window-off", {"use_sliding_window": False, "sliding_window": 7, "layer_types": ["sliding_attention"] * 2},
     "layers have sliding attention, but there is no sliding window")
case("qwen2", "sliding_window-null", {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 1})
integer("qwen2", "max_window_layers", 0, 1 << 30)
refused("qwen2", "attention_bias-set", {"attention_bias": True}, "attention_bias", True, "false")

layer_types("qwen3", ON)
boolean("qwen3", "attention_bias")
boolean("qwen3", "use_sliding_window")
integer("qwen3", "head_dim", 1, 4096, {"head_dim": 2})
refused("qwen3", "use_qk_norm-set", {"use_qk_norm": True}, "use_qk_norm", True, "false")

boolean("gpt_neox", "use_parallel_residual")
boolean("gpt_neox", "attention_bias")
number("gpt_neox", "layer_norm_eps", 0, 1)
refused("gpt_neox", "num_key_value_heads-set", {"num_key_value_heads": 2}, "num_key_value_heads", 2)
refused("gpt_neox", "head_dim-set", {"head_dim": 16}, "head_dim", 16)
for key in ("rotary_pct", "partial_rotary_factor"):
    for name, value in (("zero", 0), ("above", 1.5), ("string", "x")):
        case("gpt_neox", f"{key}-{name}", {key: value}, wrong(key, value, "a number from 0.01 to 1.0"))
    for name, value in (("whole", 1), ("half", 0.5), ("null", None)):
        case("gpt_neox", f"{key}-{name}", {key: value})
for key in ("rotary_emb_base", "rope_theta"):
    case("gpt_neox", f"{key}-below", {key: 0.5}, wrong(key, 0.5, "a number from 1.0 to 1e12"))
    case("gpt_neox", f"{key}-string", {key: "x"}, wrong(key, "x", "a number from 1.0 to 1e12"))
    case("gpt_neox", f"{key}-null", {key: None})
case("gpt_neox", "v5-partial-above", {"rope_parameters": {"partial_rotary_factor": 2}}, wrong("rope_parameters.partial_rotary_factor", 2, "a number from 0.01 to 1.0"))
case("gpt_neox", "rotary-dimensions-odd", {"rotary_pct": 0.4}, "3 dimensions of head_dim 8 are rotary, expected an even number", UNSUPPORTED)
case("gpt_neox", "dynamic-rope", {"rope_scaling": {"type": "dynamic", "factor": 2}},
     wrong("rope_scaling.type", "dynamic", "default, linear, llama3 or yarn"), UNSUPPORTED)

window("phi3")
case("phi3", "sliding_window-null", {"sliding_window": None})
case("phi3", "partial", {"partial_rotary_factor": 0.5})
case("phi3", "v5-partial", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}})
case("phi3", "rotary-dimensions-odd", {"partial_rotary_factor": 0.9}, "7 dimensions of head_dim 8 are rotary, expected an even number", UNSUPPORTED)
for kind in ("longrope", "su", "yarn", "linear", "llama3", ""):
    for place, key in (("rope_scaling", "type"), ("rope_scaling", "rope_type"), ("rope_parameters", "rope_type")):
        case("phi3", f"{place}-{key}-{kind or 'empty'}", {place: {key: kind, "factor": 2}}, wrong(f"{place}.{key}", kind, '"default": nothing else is supported'),
             UNSUPPORTED)
case("phi3", "rope-type-number", {"rope_scaling": {"type": 5}}, wrong("rope_scaling.type", 5, '"default": nothing else is supported'), UNSUPPORTED)
case("phi3", "rope-type-default", {"rope_scaling": {"type": "default"}})
refused("phi3", "attention_bias-set", {"attention_bias": True}, "attention_bias", True, "false")

window("gemma2")
layer_types("gemma2", {"sliding_window": 7})
case("gemma2", "sliding_window-null", {"sliding_window": None}, "layers have sliding attention, but there is no sliding window")
boolean("gemma2", "attention_bias")
for key in ("attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"):
    for name, value in (("zero", 0), ("below", -3), ("above", 1000001), ("string", "50"), ("bool", True)):
        case("gemma2", f"{key}-{name}", {key: value}, wrong(key, value, NUMBER))
    for name, value in (("null", None), ("real", 2.5)):
        case("gemma2", f"{key}-{name}", {key: value})
case("gemma2", "use_bidirectional_attention-true", {"use_bidirectional_attention": True},
     wrong("use_bidirectional_attention", True, "0: nothing else is supported"), UNSUPPORTED)
case("gemma2", "use_bidirectional_attention-false", {"use_bidirectional_attention": False})
case("gemma2", "use_bidirectional_attention-null", {"use_bidirectional_attention": None})
case("gemma2", "hidden_activation-mish", {"hidden_activation": "mish"}, wrong("hidden_activation", "mish", ACTIVATIONS), UNSUPPORTED)
case("gemma2", "hidden_act-has-no-effect", {"hidden_act": "mish"})
refused("gemma2", "query-key-norm-set", {"qk_norm": True}, "qk_norm", True, "false")

# ---- dtype and tokens
for family in FIRST:
    if family == "gpt2":
        continue  # the same code
    for key in ("torch_dtype", "dtype"):
        for value in ("float8_e4m3fn", "float64", "torch.float32", ""):
            case(family, f"{key}-{value.replace('.', '-') or 'empty'}", {key: value}, wrong(key, value, "float32, bfloat16 or float16"), UNSUPPORTED)
        case(family, f"{key}-number", {key: 32}, wrong(key, 32, "a string"))
        for value in ("float32", "bfloat16", "float16", "auto", None):
            case(family, f"{key}-{value or 'null'}", {key: value})
    case(family, "dtype-beats-torch_dtype", {"torch_dtype": "float32", "dtype": "int4"}, wrong("dtype", "int4", "float32, bfloat16 or float16"), UNSUPPORTED)
    for key in ("bos_token_id", "pad_token_id", "decoder_start_token_id", "eos_token_id"):
        for name, value in (("below", -2), ("above", 1 << 31), ("string", "2"), ("real", 2.5), ("object", {})):
            case(family, f"{key}-{name}", {key: value}, wrong(key, value, f"an integer from -1 to {(1 << 31) - 1}"))
        for name, value in (("null", None), ("none", -1), ("most", (1 << 31) - 1)):
            case(family, f"{key}-{name}", {key: value})
    case(family, "bos_token_id-list", {"bos_token_id": [1]}, wrong("bos_token_id", [], f"an integer from -1 to {(1 << 31) - 1}"))
    case(family, "eos-17", {"eos_token_id": list(range(17))}, '"eos_token_id" has 17 ids, expected at most 16', LIMIT)
    case(family, "eos-16", {"eos_token_id": list(range(16))})
    case(family, "eos-none", {"eos_token_id": []})
    for name, value in (("negative", -1), ("null", None), ("string", "2"), ("above", 1 << 31), ("list", [3])):
        case(family, f"eos-list-{name}", {"eos_token_id": [2, value]}, wrong("eos_token_id[1]", value, f"an integer from 0 to {(1 << 31) - 1}"))


# ---- generation_config.json
def generation(name, content, error="", status=FORMAT):
    put(generations, "generation_config.json", name if error else f"ok-{name}", content, error, status)


generation("empty-file", b"", "the file is empty, expected an object")
generation("not-json", b"{'a': 1}", "byte 1: found ''', expected a key in quotes")
generation("root-list", b"[]", "is an array, expected an object")
generation("twice", b'{"top_k": 1, "top_k": 1}', 'byte 13: the key "top_k" is there twice')
generation("deep", b'{"x": ' + b"[" * 3000 + b"]" * 3000 + b"}", "byte 132: objects and arrays are nested more than 127 deep")
generation("nothing", {})
for key, low, high in (("temperature", 0, 1e4), ("top_p", 0, 1), ("min_p", 0, 1), ("repetition_penalty", 1e-4, 1e4), ("typical_p", 1e-6, 1),
                       ("epsilon_cutoff", 0, 1), ("eta_cutoff", 0, 1), ("top_h", 1e-6, 1)):
    expected = f"a number from {number_of(low)} to {number_of(high)}"
    for name, value in (("below", -0.5), ("above", high + 0.5), ("string", "1"), ("bool", True), ("list", [0.5])):
        generation(f"{key}-{name}", {key: value}, wrong(key, value, expected))
    for name, value in (("null", None), ("least", low), ("most", high)):
        generation(f"{key}-{name}", {key: value})
for key, low, high in (("top_k", 0, (1 << 31) - 1), ("max_new_tokens", 1, (1 << 31) - 1), ("max_length", 1, (1 << 31) - 1),
                       ("min_new_tokens", 0, (1 << 31) - 1), ("min_length", 0, (1 << 31) - 1), ("no_repeat_ngram_size", 0, 1024)):
    for name, value in (("below", low - 1), ("above", high + 1), ("string", "5"), ("real", 1.5), ("bool", False)):
        generation(f"{key}-{name}", {key: value}, wrong(key, value, f"an integer from {low} to {high}"))
    for name, value in (("null", None), ("least", low), ("most", high)):
        generation(f"{key}-{name}", {key: value})
for key in ("do_sample", "remove_invalid_values"):
    for name, value in (("number", 1), ("string", "true")):
        generation(f"{key}-{name}", {key: value}, wrong(key, value, "true or false"))
    for name, value in (("null", None), ("true", True), ("false", False)):
        generation(f"{key}-{name}", {key: value})
for name, value in (("negative", -1), ("above", 1 << 31), ("string", "2"), ("real", 2.5), ("object", {})):
    generation(f"eos-{name}", {"eos_token_id": value}, wrong("eos_token_id", value, f"an integer from 0 to {(1 << 31) - 1}"))
for name, value in (("negative", -1), ("null", None), ("string", "2"), ("above", 1 << 31)):
    generation(f"eos-list-{name}", {"eos_token_id": [2, value]}, wrong("eos_token_id[1]", value, f"an integer from 0 to {(1 << 31) - 1}"))
generation("eos-17", {"eos_token_id": list(range(17))}, '"eos_token_id" has 17 ids, expected at most 16', LIMIT)
generation("eos-16", {"eos_token_id": list(range(16))})
generation("eos-null", {"eos_token_id": None})
# Ids that have to be the model's: the vocabulary of these cases ends at 299.
ID = "an integer from 0 to 299"
for key in ("forced_bos_token_id", "forced_eos_token_id"):
    for name, value in (("negative", -1), ("above", 300), ("string", "2"), ("real", 2.5)):
        generation(f"{key}-{name}", {key: value}, wrong(key, value, ID))
    for name, value in (("null", None), ("least", 0), ("most", 299)):
        generation(f"{key}-{name}", {key: value})
generation("forced_bos_token_id-list", {"forced_bos_token_id": [1]}, wrong("forced_bos_token_id", [1], ID))
generation("forced_eos_token_id-list", {"forced_eos_token_id": [1, 2]})
generation("forced_eos_token_id-list-above", {"forced_eos_token_id": [1, 300]}, wrong("forced_eos_token_id[1]", 300, ID))
generation("forced_eos_token_id-17", {"forced_eos_token_id": list(range(17))}, '"forced_eos_token_id" has 17 ids, expected at most 16', LIMIT)
# Sequences of ids, alone and with a bias.
for key, of in (("bad_words_ids", lambda ids: ids), ("sequence_bias", lambda ids: [ids, -1.5])):
    at = f"{key}[1]" if key == "bad_words_ids" else f"{key}[1][0]"
    generation(f"{key}-number", {key: 5}, wrong(key, 5, "an array"))
    generation(f"{key}-null", {key: None})
    generation(f"{key}-none", {key: []})
    generation(f"{key}-several", {key: [of([0]), of([299, 1, 2]), of([0])]})
    generation(f"{key}-of-numbers", {key: [5]}, wrong(f"{key}[0]", 5, "an array"))
    generation(f"{key}-empty-sequence", {key: [of([1]), of([])]}, wrong(at, [], "at least one token id"))
    for name, value in (("negative", -1), ("above", 300), ("string", "2"), ("null", None)):
        generation(f"{key}-id-{name}", {key: [of([1]), of([1, value])]}, wrong(f"{at}[1]", value, ID))
    generation(f"{key}-65536", {key: [of([1] * 65535), of([2])]})
    generation(f"{key}-65537", {key: [of([1] * 65535), of([2, 3])]}, f'"{key}" has more than 65536 token ids in all', LIMIT)
generation("sequence_bias-alone", {"sequence_bias": [[[1]]]}, wrong("sequence_bias[0]", [], "a list of token ids and a number"))
generation("sequence_bias-three", {"sequence_bias": [[[1], 2.0, 3]]}, wrong("sequence_bias[0]", [], "a list of token ids and a number"))
for name, value in (("string", "1"), ("below", -2e9), ("above", 2e9)):
    generation(f"sequence_bias-{name}", {"sequence_bias": [[[1], value]]}, wrong("sequence_bias[0][1]", value, "a number from -1000000000.0 to 1000000000.0"))
for name, value in (("least", -1e9), ("most", 1000000000)):
    generation(f"sequence_bias-{name}", {"sequence_bias": [[[1], value]]})
DECAY = "exponential_decay_length_penalty"
generation(f"{DECAY}-number", {DECAY: 5}, wrong(DECAY, 5, "an array"))
generation(f"{DECAY}-null", {DECAY: None})
for name, value in (("none", []), ("alone", [5]), ("three", [5, 1.5, 2])):
    generation(f"{DECAY}-{name}", {DECAY: value}, wrong(DECAY, value, "a number of tokens and a factor"))
for name, value in (("below", -1), ("real", 1.5), ("above", 1 << 31)):
    generation(f"{DECAY}-start-{name}", {DECAY: [value, 1.5]}, wrong(f"{DECAY}[0]", value, f"an integer from 0 to {(1 << 31) - 1}"))
for name, value in (("below", 0), ("above", 10001), ("string", "1")):
    generation(f"{DECAY}-factor-{name}", {DECAY: [5, value]}, wrong(f"{DECAY}[1]", value, f"a number from {number_of(1e-4)} to {number_of(1e4)}"))
generation(f"{DECAY}-set", {DECAY: [0, 1.01]})
for key in ("suppress_tokens", "begin_suppress_tokens"):
    generation(f"{key}-number", {key: 5}, wrong(key, 5, "an array"))
    for name, value in (("below", -2), ("above", 1 << 31), ("null", None), ("string", "2")):
        generation(f"{key}-of-{name}", {key: [1, value]}, wrong(f"{key}[1]", value, f"an integer from -1 to {(1 << 31) - 1}"))
    generation(f"{key}-4097", {key: [0] * 4097}, f'"{key}" has 4097 ids, expected at most 4096', LIMIT)
    generation(f"{key}-4096", {key: [0] * 4096})
    generation(f"{key}-null", {key: None})
    generation(f"{key}-none", {key: []})
# Settings that would change the output: only their neutral value is taken.
for key, value, neutral in (("num_beams", 4, 1), ("num_beam_groups", 2, 1), ("diversity_penalty", 0.5, 0), ("encoder_repetition_penalty", 1.5, 1),
                            ("encoder_no_repeat_ngram_size", 3, 0), ("penalty_alpha", 0.6, 0), ("guidance_scale", 1.5, 1)):
    generation(f"{key}-set", {key: value}, wrong(key, value, f"{neutral}: nothing else is supported"), UNSUPPORTED)
    generation(f"{key}-string", {key: str(neutral)}, wrong(key, str(neutral), f"{neutral}: nothing else is supported"), UNSUPPORTED)
    for name, said in (("neutral", neutral), ("neutral-real", float(neutral)), ("null", None)):
        generation(f"{key}-{name}", {key: said})
for key, value in (("force_words_ids", [[5]]), ("forced_decoder_ids", [[1, 2]]), ("token_healing", True), ("watermarking_config", {"bias": 2.5}),
                   ("constraints", [1]), ("dola_layers", "high"), ("custom_generate", "x/y"), ("stop_strings", ["\n\n"])):
    generation(f"{key}-set", {key: value}, wrong(key, value, "null: it is not supported"), UNSUPPORTED)
    generation(f"{key}-null", {key: None})
generation("harmless-keys", {"_from_model_config": True, "transformers_version": "5.23.0", "cache_implementation": "static", "max_time": 3.5,
                             "assistant_ensemble_weight": 0.5, "my_key": {"a": [1]}, "": 5})


# ---- encoders

for kind, name in (("bert", "BertModel"), ("roberta", "RobertaForMaskedLM"), ("electra", "ElectraModel"), ("albert", "AlbertModel"), ("modernbert", "ModernBertModel")):
    BASE[kind] = {"model_type": kind, "architectures": [name], "vocab_size": 43, "hidden_size": 20, "intermediate_size": 28, "num_hidden_layers": 2,
                  "num_attention_heads": 2, "max_position_embeddings": 40}
case("bert", "is_decoder-true", {"is_decoder": True}, wrong("is_decoder", True, "0: nothing else is supported"), UNSUPPORTED)
case("bert", "position-relative", {"position_embedding_type": "relative_key"},
     wrong("position_embedding_type", "relative_key", '"absolute": nothing else is supported'), UNSUPPORTED)
case("bert", "position-absolute", {"position_embedding_type": "absolute"})
case("roberta", "pad-beyond", {"pad_token_id": 39},
     '"max_position_embeddings" is 40, expected more than 40, as positions begin behind "pad_token_id"')
case("roberta", "pad-last", {"pad_token_id": 38})
case("electra", "summary-last", {"summary_type": "last"}, wrong("summary_type", "last", '"first": nothing else is supported'), UNSUPPORTED)
case("albert", "inner-groups", {"inner_group_num": 2}, wrong("inner_group_num", 2, "1: nothing else is supported"), UNSUPPORTED)
case("modernbert", "pooling-max", {"classifier_pooling": "max"}, wrong("classifier_pooling", "max", "mean or cls"), UNSUPPORTED)
case("modernbert", "own-rope-yarn", {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2.0}}},
     wrong("rope_parameters.full_attention.rope_type", "yarn", "default: nothing else is supported where kinds of layers have ropes of their own"), UNSUPPORTED)
case("modernbert", "rope_scaling", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
     '"rope_scaling" is an object, expected 0: nothing else is supported', UNSUPPORTED)
case("modernbert", "thetas-v4", {"global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "global_attn_every_n_layers": 3})


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", action="store_true")
    args = parser.parse_args()
    for folder, cases in (("config", configs), ("generation_config", generations)):
        shutil.rmtree(TESTS / "bad" / folder, ignore_errors=True)
        for name, (content, error) in cases.items():
            write(TESTS / "bad" / folder / name, {f"{folder}.json": content, "error": error.encode()})
    if args.corpus:
        pick = ["ok-gpt2-n_inner-null", "ok-gpt2-harmless-keys", "ok-gpt2-scale_attn_by_inverse_layer_idx-true", "ok-llama-v4-rope-llama3",
                "ok-llama-v5-rope-yarn", "ok-llama-v4-rope-linear", "ok-llama-v5-rope-default", "ok-llama-eos-16", "ok-llama-heads-do-not-divide-but-head_dim",
                "ok-llama-dtype-bfloat16", "llama-quantization_config-set", "llama-v4-rope-yarn-unknown-key", "llama-eos-list-null",
                "duplicate-key", "model_type-control", "llama-partial-alone", "ok-mistral-sliding_window-least", "ok-qwen2-layer_types-both",
                "qwen3-layer_types-long", "ok-gpt_neox-rotary_pct-half", "gpt_neox-v5-partial-above", "ok-phi3-v5-partial", "phi3-rope_scaling-type-su",
                "ok-gemma2-base", "gemma2-attn_logit_softcapping-zero"]
        shutil.rmtree(TESTS / "fuzz/corpus/config", ignore_errors=True)
        write(TESTS / "fuzz/corpus/config", {n: configs[n][0] for n in pick})
        pick = ["ok-harmless-keys", "ok-eos-16", "suppress_tokens-of-null", "num_beams-set", "stop_strings-set", "ok-temperature-most"]
        every = {"do_sample": True, "temperature": 0.6, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repetition_penalty": 1.1, "max_new_tokens": 100,
                 "max_length": 4096, "eos_token_id": [2, 7], "suppress_tokens": [1, -1], "begin_suppress_tokens": [220, 50256], "typical_p": 0.9,
                 "epsilon_cutoff": 0.001, "eta_cutoff": 0.002, "top_h": 0.4, "no_repeat_ngram_size": 3, "min_length": 4, "min_new_tokens": 5,
                 "bad_words_ids": [[5], [6, 7]], "sequence_bias": [[[1], 2.0], [[3, 4], -1.5]], "forced_bos_token_id": 5,
                 "forced_eos_token_id": [2, 7], "remove_invalid_values": True, "exponential_decay_length_penalty": [10, 1.1]}
        shutil.rmtree(TESTS / "fuzz/corpus/generation_config", ignore_errors=True)
        write(TESTS / "fuzz/corpus/generation_config", {n: generations[n][0] for n in pick} | {"every-setting": json.dumps(every).encode()})
    print(f"{len(configs)} config cases, {len(generations)} generation_config cases")


if __name__ == "__main__":
    main()
