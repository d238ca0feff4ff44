#!/usr/bin/env python3
"""Writes a checkpoint of random bfloat16 weights for benchmarks: make_checkpoint.py SHAPE OUT [--shard-gb N]

SHAPE is a row of the table below. OUT gets config.json and *.safetensors, no tokenizer. Weights are uniform in exponent and mantissa between
2^-7 and 2^-5 in magnitude, with either sign, norms are 1. Needs nothing but Python and holds one block of 16 MiB in memory."""

import argparse
import json
import os
import random
import sys

# hidden, intermediate, layers, heads, key-value heads, head size, vocabulary, tied, context, rope scaling factor
SHAPES = {
    "tiny": (256, 512, 4, 4, 2, 64, 1000, True, 8192, 8.0),
    "llama-3.2-1b": (2048, 8192, 16, 32, 8, 64, 128256, True, 131072, 32.0),
    "llama-3.1-8b": (4096, 14336, 32, 32, 8, 128, 128256, False, 131072, 8.0),
}
BLOCK = 16 << 20
ONE = b"\x80\x3f"  # 1.0 as bfloat16


def config(shape: str) -> dict:
    hidden, inner, layers, heads, kv_heads, head, vocabulary, tied, context, factor = SHAPES[shape]
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 0, "eos_token_id": 1, "head_dim": head, "hidden_act": "silu", "hidden_size": hidden,
        "initializer_range": 0.02, "intermediate_size": inner, "max_position_embeddings": context, "mlp_bias": False,
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv_heads, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {"factor": factor, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
        "rope_theta": 500000.0, "tie_word_embeddings": tied, "torch_dtype": "bfloat16", "use_cache": True,
        "vocab_size": vocabulary,
    }


def tensors(shape: str) -> list:
    """(name, shape), in the order in which they lie in the files."""
    hidden, inner, layers, heads, kv_heads, head, vocabulary, tied, _, _ = SHAPES[shape]
    rows = [("model.embed_tokens.weight", (vocabulary, hidden))]
    for i in range(layers):
        at = f"model.layers.{i}."
        rows += [
            (at + "input_layernorm.weight", (hidden,)),
            (at + "self_attn.q_proj.weight", (heads * head, hidden)),
            (at + "self_attn.k_proj.weight", (kv_heads * head, hidden)),
            (at + "self_attn.v_proj.weight", (kv_heads * head, hidden)),
            (at + "self_attn.o_proj.weight", (hidden, heads * head)),
            (at + "post_attention_layernorm.weight", (hidden,)),
            (at + "mlp.gate_proj.weight", (inner, hidden)),
            (at + "mlp.up_proj.weight", (inner, hidden)),
            (at + "mlp.down_proj.weight", (hidden, inner)),
        ]
    rows.append(("model.norm.weight", (hidden,)))
    if not tied:
        rows.append(("lm_head.weight", (vocabulary, hidden)))
    return rows


def size_of(shape: tuple) -> int:
    size = 2
    for n in shape:
        size *= n
    return size


def split(rows: list, most: int) -> list:
    """Groups of at most `most` bytes; a tensor is never divided."""
    shards, room = [], 0
    for row in rows:
        size = size_of(row[1])
        if not shards or size > room:
            shards.append([])
            room = most
        shards[-1].append(row)
        room -= size
    return shards


class Weights:
    """Random bfloat16 values, without end: a block drawn once, each time read from another place on."""

    def __init__(self):
        self.draw = random.Random(1)
        high = self.draw.randbytes(BLOCK // 2)
        block = bytearray(BLOCK)
        block[0::2] = self.draw.randbytes(BLOCK // 2)  # the exponent's last bit and the mantissa
        block[1::2] = high.translate(bytes(0xBC if i & 1 else 0x3C for i in range(256)))  # the sign and the rest
        self.block = memoryview(bytes(block))

    def write(self, f, size: int):
        at = 2 * self.draw.randrange(BLOCK // 2)
        while size:
            piece = self.block[at:at + size]
            f.write(piece)
            size -= len(piece)
            at = 0 if len(piece) < size else 2 * self.draw.randrange(BLOCK // 2)


def write_shard(path: str, rows: list, weights: Weights):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in rows:
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size_of(shape)]}
        offset += size_of(shape)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, shape in rows:
            if len(shape) == 1:
                f.write(ONE * shape[0])
            else:
                weights.write(f, size_of(shape))


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes a checkpoint of random bfloat16 weights.")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    parser.add_argument("--shard-gb", type=float, default=5.0, help="most bytes of one file, in 1e9 (default: 5)")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    rows, weights = tensors(arguments.shape), Weights()
    shards = split(rows, int(arguments.shard_gb * 1e9))
    index = {"metadata": {"total_size": sum(size_of(shape) for _, shape in rows)}, "weight_map": {}}
    for i, shard in enumerate(shards):
        name = "model.safetensors" if len(shards) == 1 else f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        write_shard(os.path.join(arguments.out, name), shard, weights)
        index["weight_map"].update({tensor: name for tensor, _ in shard})
    if len(shards) > 1:
        with open(os.path.join(arguments.out, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
            json.dump(index, f, indent=1)
    with open(os.path.join(arguments.out, "config.json"), "w", encoding="utf-8") as f:  # last: with it the checkpoint is whole
        json.dump(config(arguments.shape), f, indent=2)
    print(f"{arguments.out}: {arguments.shape}, {len(rows)} tensors in {len(shards)} files, {index['metadata']['total_size'] / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
