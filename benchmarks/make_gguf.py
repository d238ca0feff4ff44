#!/usr/bin/env python3
"""Writes a checkpoint of make_checkpoint.py as bfloat16 GGUF, for comparisons with llama.cpp: make_gguf.py CHECKPOINT OUT

The numbers are the same: matrices as they are (q and k in the order of rows that GGUF has), norms as float. Tokens are made up, since the
checkpoint has none. Needs the packages `gguf` and `numpy`."""

import argparse
import glob
import json
import math
import os
import sys

import gguf
import numpy

LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def tensors_of(folder: str):
    """(name, values as uint16), mapped."""
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        data = numpy.memmap(path, numpy.uint8, "r")
        size = int.from_bytes(data[:8].tobytes(), "little")
        for name, entry in json.loads(data[8:8 + size].tobytes()).items():
            if name == "__metadata__":
                continue
            if entry["dtype"] != "BF16":
                sys.exit(f"{path}: {name} is {entry['dtype']}, not BF16")
            begin, end = (8 + size + at for at in entry["data_offsets"])
            yield name, data[begin:end].view(numpy.uint16).reshape(entry["shape"])


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in TOP:
        return TOP[stem] + ".weight"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER[part]}.weight"


def interleaved(values: numpy.ndarray, heads: int) -> numpy.ndarray:
    """A head's rows 0, 1, ... n as 0, n / 2, 1, n / 2 + 1, ...: pairs that turn together lie together."""
    rows, cols = values.shape
    return numpy.ascontiguousarray(values.reshape(heads, 2, rows // heads // 2, cols).swapaxes(1, 2)).reshape(rows, cols)


def frequency_divisors(config: dict) -> numpy.ndarray:
    """What each frequency is divided by with rope_type llama3. [head_dim / 2]"""
    scaling, size = config["rope_scaling"], config["head_dim"]
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    divisors = []
    for i in range(size // 2):
        turns = scaling["original_max_position_embeddings"] * config["rope_theta"] ** (-2 * i / size) / (2 * math.pi)
        smooth = min(max((turns - low) / (high - low), 0), 1)
        divisors.append(1 / ((1 - smooth) / factor + smooth))
    return numpy.array(divisors, numpy.float32)


def add_vocabulary(out: gguf.GGUFWriter, count: int):
    """Names for `count` ids, the bytes first, as llama.cpp will not load a model without any."""
    named = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    rest = count - len(named)
    out.add_tokenizer_model("llama")
    out.add_token_list(named + [f" {i}" for i in range(rest)])
    out.add_token_scores([0.0] * count)
    out.add_token_types(kinds + [gguf.TokenType.NORMAL] * rest)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    options = parser.parse_args()
    with open(os.path.join(options.checkpoint, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    out = gguf.GGUFWriter(options.out, "llama")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    out.add_block_count(config["num_hidden_layers"])
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_key_length(config["head_dim"])
    out.add_value_length(config["head_dim"])
    out.add_rope_dimension_count(config["head_dim"])
    out.add_rope_freq_base(config["rope_theta"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_vocab_size(config["vocab_size"])
    add_vocabulary(out, config["vocab_size"])
    out.add_tensor("rope_freqs.weight", frequency_divisors(config))
    for name, values in tensors_of(options.checkpoint):
        if values.ndim == 1:
            out.add_tensor(gguf_name(name), (values.astype(numpy.uint32) << 16).view(numpy.float32))
            continue
        turned = name.split(".")[-2]
        if turned in heads:
            values = interleaved(values, heads[turned])
        out.add_tensor(gguf_name(name), values.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    print(f"{options.out}: {os.path.getsize(options.out) / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
