#!/usr/bin/env python3
"""Makes tests/encoders: tiny checkpoints of encoders and what transformers computes with them, hidden states and heads.

    python scripts/make_encoder_fixtures.py                  remakes everything
    python scripts/make_encoder_fixtures.py --case bert      one case
    python scripts/make_encoder_fixtures.py --check          compares the files on disk with fresh ones

Needs: pip install torch==2.15 transformers==5.24 safetensors (a CPU is enough).

The encoder of a case is drawn once and all heads stand on it. model.safetensors is the encoder, heads.safetensors has the
tensors of each head under "Class/"; tests put the two together. As in scripts/make_parity.py every tensor is redrawn, so that
errors show, and then the case is attacked: a changed tensor or field of config.json must move an output by ten tolerances.
"""

import argparse
import json
import math
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zlib import crc32

import torch
import transformers
from safetensors.torch import load_file, save_file

from parity.sensitivity import wrong_tensors

ROOT = Path(__file__).resolve().parent.parent / "tests" / "encoders"
TOLERANCE = 1e-4            # of the largest value of an output
LEAST, NOTHING = 10, 0.1    # movements, in tolerances
LENGTHS = (2, 7, 33)
LABELS = {0: "NEGATIVE", 1: "neutral", 2: "Très positif"}
HEADS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")
ENTROPY = 0.62


@dataclass(frozen=True)
class Case:
    name: str
    model_type: str
    prefix: str                 # of the classes
    config: dict
    attacks: dict               # field -> other values, of which each must move something
    heads: tuple = HEADS
    dtype: str = "bfloat16"     # that tensors are stored in
    quiet: dict = field(default_factory=dict)   # field -> why it moves nothing
    options: dict = field(default_factory=dict) # of the class without a head


# Fields of config.json that change nothing, whatever they say, or that choose what is loaded.
QUIET = {
    "architectures": "chooses the head", "model_type": "chooses the family", "transformers_version": "provenance",
    "dtype": "the storage type is read from the tensors", "initializer_range": "training", "use_cache": "decoders",
    "bos_token_id": "tokenizer", "eos_token_id": "tokenizer", "cls_token_id": "tokenizer", "sep_token_id": "tokenizer",
    "pad_token_id": "tokenizer", "id2label": "names", "label2id": "names", "is_decoder": "must be false",
    "add_cross_attention": "must be false", "vocab_size": "shape", "hidden_size": "shape", "num_hidden_layers": "leftover tensors",
    "intermediate_size": "shape", "max_position_embeddings": "shape, or the limit of a sequence", "type_vocab_size": "shape",
    "tie_word_embeddings": "a stored decoder is used, a missing one is the table", "embedding_size": "shape",
}

SMALL = dict(vocab_size=43, hidden_size=20, num_hidden_layers=2, num_attention_heads=2, intermediate_size=28,
             max_position_embeddings=40, layer_norm_eps=0.01, type_vocab_size=2, id2label=LABELS)
ACTS = ["gelu", "gelu_new", "relu", "silu"]
BERT_ATTACKS = {"hidden_act": ACTS, "layer_norm_eps": [1e-12, 0.1], "num_attention_heads": [1, 4]}

SUMMARY = "only \"first\" with a projection and gelu is supported"
MODERN = {key: "training" for key in ("initializer_cutoff_factor", "deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index",
                                      "reference_compile", "repad_logits_with_grad")}
MODERN["global_attn_every_n_layers"] = "layer_types says it"

CASES = [
    Case("bert", "bert", "Bert", SMALL, BERT_ATTACKS, dtype="float32"),
    Case("roberta", "roberta", "Roberta", {**SMALL, "type_vocab_size": 1, "pad_token_id": 3, "hidden_act": "gelu_new"},
         {**BERT_ATTACKS, "pad_token_id": [1, 2]}),
    Case("xlm-roberta", "xlm-roberta", "XLMRoberta", {**SMALL, "type_vocab_size": 1, "hidden_act": "silu"},
         {**BERT_ATTACKS, "pad_token_id": [0, 2]}, dtype="float16"),
    Case("camembert", "camembert", "Camembert", {**SMALL, "num_attention_heads": 1, "type_vocab_size": 1},
         {**BERT_ATTACKS, "num_attention_heads": [2], "pad_token_id": [0, 2]}),
    Case("distilbert", "distilbert", "DistilBert",
         dict(vocab_size=43, dim=20, n_layers=2, n_heads=2, hidden_dim=28, max_position_embeddings=40, id2label=LABELS),
         {"activation": ["gelu", "relu"], "n_heads": [1, 4]},
         quiet={"sinusoidal_pos_embds": "the table is stored", "dim": "shape", "hidden_dim": "shape", "n_layers": "leftover tensors"}),
    Case("electra", "electra", "Electra", {**SMALL, "embedding_size": 12}, BERT_ATTACKS,
         quiet={"summary_type": SUMMARY, "summary_use_proj": SUMMARY, "summary_activation": SUMMARY}),
    Case("albert", "albert", "Albert", {**SMALL, "embedding_size": 12, "num_hidden_layers": 3, "num_hidden_groups": 2},
         BERT_ATTACKS, quiet={"num_hidden_groups": "leftover tensors", "inner_group_num": "leftover tensors"}),
    Case("mpnet", "mpnet", "MPNet", {key: value for key, value in SMALL.items() if key != "type_vocab_size"},
         BERT_ATTACKS, dtype="float32", quiet={"relative_attention_num_buckets": "shape"}),
    Case("modernbert", "modernbert", "ModernBert",
         dict(vocab_size=43, hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=28, max_position_embeddings=40,
              norm_eps=0.01, local_attention=10, global_attn_every_n_layers=2, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2,
              sep_token_id=3, id2label=LABELS),
         {"hidden_activation": ["relu", "silu"], "norm_eps": [1e-5, 0.1], "num_attention_heads": [1], "local_attention": [8, 12],
          "classifier_activation": ["relu", "tanh"], "classifier_pooling": ["mean"], "layer_types": [["full_attention"] * 3],
          "rope_parameters": [{"full_attention": {"rope_type": "default", "rope_theta": 10000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}},
                              {"full_attention": {"rope_type": "default", "rope_theta": 160000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 160000.0}}],
          "norm_bias": [True], "attention_bias": [True], "mlp_bias": [True], "classifier_bias": [True], "decoder_bias": [False]}, quiet=MODERN),
    Case("modernbert-biases", "modernbert", "ModernBert",
         dict(vocab_size=43, hidden_size=20, num_hidden_layers=2, num_attention_heads=2, intermediate_size=28, max_position_embeddings=40,
              norm_eps=0.01, local_attention=7, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3, id2label=LABELS,
              norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, decoder_bias=False, classifier_pooling="mean",
              classifier_activation="silu", hidden_activation="silu"),
         {"classifier_pooling": ["cls"], "classifier_activation": ["gelu"], "hidden_activation": ["gelu"]},
         heads=("MaskedLM", "SequenceClassification", "MultipleChoice"),
         quiet={**MODERN, **{key: "shape, or as in the other case" for key in (
             "norm_eps", "num_attention_heads", "local_attention", "layer_types", "rope_parameters", "norm_bias", "attention_bias", "mlp_bias",
             "classifier_bias", "decoder_bias")}}),
    Case("nomic_bert", "nomic_bert", "NomicBert", SMALL,
         {"hidden_act": ["gelu"], "layer_norm_eps": [1e-12, 0.1],
          "rope_parameters": [{"rope_type": "default", "rope_theta": 10000.0}]},
         heads=("MaskedLM", "SequenceClassification", "TokenClassification"), dtype="float16",
         quiet={"head_dim": "shape", "num_attention_heads": "shape"}, options={"add_pooling_layer": True}),
]


# ---- models ---------------------------------------------------------------------------------------------------------

def class_of(case, head):
    found = getattr(transformers, case.prefix + ("Model" if head is None else f"For{head}"))
    return partial(found, **case.options) if head is None and case.options else found


def config_of(case, head, changes=None):
    fields = json.loads(json.dumps({**case.config, **(changes or {})}))
    if head == "QuestionAnswering":
        fields.pop("id2label")
    elif "id2label" in fields:
        fields["id2label"] = {int(key): value for key, value in fields["id2label"].items()}
    return transformers.AutoConfig.for_model(case.model_type, **fields)


def build(case, head, base, heads, changes=None):
    """A model with these tensors; None if their shapes are others under the changed configuration."""
    config = config_of(case, head, changes)
    config._attn_implementation = "eager"
    model = class_of(case, head)(config).eval()
    below = "" if head is None else model.base_model_prefix + "."
    tensors = {below + name: value for name, value in base.items()}
    if head:
        tensors.update({name.split("/", 1)[1]: value for name, value in heads.items() if name.startswith(model.__class__.__name__ + "/")})
    own = model.state_dict()
    if any(name in own and own[name].shape != value.shape for name, value in tensors.items()):
        return None
    unused = [name for name in tensors if name not in own and not name.startswith(below + "pooler")]
    if unused:
        return None
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    model.tie_weights()
    embedding = model.get_input_embeddings().weight
    state = model.state_dict()
    if any(state[name].data_ptr() != embedding.data_ptr() and not name.endswith("predictions.bias") and not name.endswith("decoder.bias")
           for name in missing):
        return None
    return model


def sequences(case):
    generator = torch.Generator().manual_seed(crc32(case.name.encode()) + 1)
    vocab = case.config["vocab_size"]
    ids = [torch.randint(4, vocab, (1, length), generator=generator) for length in LENGTHS]
    ids[-1][0, 5], ids[-1][0, -1] = 0, vocab - 1
    pad = config_of(case, None).pad_token_id
    ids[-1][0, 11] = pad        # in the middle: some families count no position for it
    kinds = case.config.get("type_vocab_size", 0)
    types = [(torch.arange(length) * 2 // length)[None] if kinds > 1 else None for length in LENGTHS]
    return ids, types


def outputs(model, head, ids, types):
    """Name -> what the model gives for each sequence."""
    result = {}
    for i, (sequence, kinds) in enumerate(zip(ids, types)):
        inputs = {"input_ids": sequence, "attention_mask": torch.ones_like(sequence)}
        if kinds is not None:
            inputs["token_type_ids"] = kinds
        if head == "MultipleChoice":
            inputs = {name: value[:, None] for name, value in inputs.items()}
        out = model(**inputs)
        if head is None:
            result[f"hidden.{i}"] = out.last_hidden_state[0]
            if getattr(out, "pooler_output", None) is not None:
                result[f"pooler.{i}"] = out.pooler_output[0]
        elif head == "QuestionAnswering":
            result[f"{model.__class__.__name__}.{i}"] = torch.stack((out.start_logits[0], out.end_logits[0]), -1)
        else:
            result[f"{model.__class__.__name__}.{i}"] = out.logits[0]
    return {name: value.detach().float().contiguous() for name, value in result.items()}


def movement(expected, got):
    """The largest change of an output, in tolerances of its kind."""
    kinds = {name.rsplit(".", 1)[0] for name in got}
    scale = {kind: max(value.abs().max().item() for name, value in expected.items() if name.rsplit(".", 1)[0] == kind) for kind in kinds}
    return max((expected[name] - value).abs().max().item() / scale[name.rsplit(".", 1)[0]] for name, value in got.items()) / TOLERANCE


# ---- drawing --------------------------------------------------------------------------------------------------------

def is_norm(name):
    return "norm" in name.lower().rsplit(".", 2)[-2] or name.endswith(("emb_ln.weight",))


def redraw(parameters, gelu, generator):
    for name, parameter in parameters:
        normal = torch.randn(parameter.shape, generator=generator)
        if name.endswith(".bias"):
            value = 0.2 * normal + 0.15 * normal.sign()
            if gelu and name.endswith(("intermediate.dense.bias", "ffn.lin1.bias", ".ffn.bias")):
                value -= 2.5    # where gelu and its approximation differ by a visible part of their value
        elif is_norm(name):
            value = 0.5 + torch.rand(parameter.shape, generator=generator)
        elif "embeddings" in name or "relative_attention_bias" in name or "rel_embeddings" in name:
            value = normal
        else:
            value = normal / math.sqrt(parameter.shape[-1])
        parameter.data.copy_(value)


def query_key(name, width):
    """Which outputs of a linear are queries and keys."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf in ("query", "key", "q_lin", "k_lin", "q", "k", "query_proj", "key_proj", "q_proj", "k_proj"):
        return slice(0, width)
    return slice(0, width * 2 // 3) if leaf == "Wqkv" else slice(0, 0)


def calibrate(model, ids, types, gain):
    """Linears give outputs of deviation 1 before their bias; queries and keys of `gain`."""
    def hook(name):
        def rescale(module, inputs, output):
            bias = module.bias if module.bias is not None else 0.0
            chosen = query_key(name, module.out_features)
            for block, target in ((chosen, gain), (slice(chosen.stop, module.out_features), 1.0)):
                part = (output - bias)[..., block]
                if part.numel() > 1:
                    module.weight.data[block] *= float(f"{target / part.std().item():.3g}")
            handles.pop(name).remove()
            return module(*inputs)
        return rescale
    handles = {name: module.register_forward_hook(hook(name)) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    outputs(model, None, ids[-1:], types[-1:])
    for handle in handles.values():
        handle.remove()


def entropy(model, ids, types):
    inputs = {"token_type_ids": types[-1]} if types[-1] is not None else {}
    layers = model(input_ids=ids[-1], attention_mask=torch.ones_like(ids[-1]), output_attentions=True, **inputs).attentions
    visible = (layers[0][0] > 0).sum(-1).clamp_min(2).double().log()
    return max((-(a[0].double() * a[0].double().clamp_min(1e-300).log()).sum(-1) / (a[0] > 0).sum(-1).clamp_min(2).double().log()).mean().item()
               for a in layers)


def draw(case, ids, types):
    """The tensors of the encoder and of the heads, as they are stored."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(crc32(case.name.encode()))
    config = config_of(case, None)
    config._attn_implementation = "eager"
    model = class_of(case, None)(config).eval()
    gelu = "gelu" in (getattr(config, "hidden_act", None) or getattr(config, "activation", ""))
    redraw(model.named_parameters(), gelu, generator)
    gain = 1.0
    while True:
        calibrate(model, ids, types, gain)
        if entropy(model, ids, types) < ENTROPY:
            break
        gain *= 1.1
        assert gain < 20, f"{case.name}: attention stays flat"
    stored = getattr(torch, case.dtype)
    base = {name: value.to(stored) for name, value in model.state_dict().items()}
    assert {name for name, _ in model.named_parameters()} == set(base), "buffers"
    heads = {}
    for head in case.heads:
        whole = class_of(case, head)(config_of(case, head)).eval()
        whole.tie_weights()
        below, table = whole.base_model_prefix + ".", whole.get_input_embeddings().weight
        own = [(name, parameter) for name, parameter in whole.named_parameters() if not name.startswith(below) and parameter is not table]
        redraw(own, False, generator)
        heads.update({f"{whole.__class__.__name__}/{name}": parameter.data.to(stored) for name, parameter in own})
    return base, heads


# ---- attacks --------------------------------------------------------------------------------------------------------

@torch.no_grad()
def attack_tensors(case, base, heads, expected, ids, types):
    moves = {}
    for name, value in {**base, **heads}.items():
        owner = name.split("/")[0] if "/" in name else None
        head = owner[len(case.prefix) + 3:] if owner else None
        least = math.inf
        for what, wrong in wrong_tensors(name, value.float()):
            if what.startswith("row") and ("embeddings" in name and "word" not in name or "relative" in name or "position" in name):
                continue    # not every row is in use
            if case.model_type == "distilbert" and head in ("SequenceClassification", "MultipleChoice") and ("row" in what or "column" in what):
                continue    # what relu has ended may stand there
            if torch.equal(wrong, value.float()):
                continue    # of one element
            changed = ({**base, name: wrong}, heads) if owner is None else (base, {**heads, name: wrong})
            model = build(case, head, *changed)
            moved = movement(expected, outputs(model, head, ids, types))
            if name.endswith(("key.bias", "k_lin.bias", "attn.k.bias", "k_proj.bias")):
                assert moved < LEAST, f"{case.name}: {name}"      # adds the same to every score of a query
                continue
            if moved < LEAST:
                raise SystemExit(f"{case.name}: {name} ({what}) moves the outputs by {moved:.2g} tolerances only")
            least = min(least, moved)
        if least < math.inf:
            moves[name] = int(float(f"{least:.2g}"))
    return moves


@torch.no_grad()
def attack_fields(case, config, base, heads, expected, ids, types):
    moves = {}
    for name, value in config.items():
        if name not in case.attacks:
            if name not in QUIET and name not in case.quiet and "dropout" not in name:
                raise SystemExit(f"{case.name}: nothing is known of the field {name}")
            continue
        for other in case.attacks[name]:
            if other == value:
                continue
            moved = 0.0
            for head in (None, *case.heads):
                model = build(case, head, base, heads, {name: other})
                moved = max(moved, movement(expected, outputs(model, head, ids, types)) if model else math.inf)
            if moved < LEAST:
                raise SystemExit(f"{case.name}: {name} = {other} moves the outputs by {moved:.2g} tolerances only")
            moves[f"{name} = {other}"] = "loader" if moved == math.inf else int(float(f"{moved:.2g}"))
    return moves


# ---- files ----------------------------------------------------------------------------------------------------------

@torch.no_grad()
def make(case, directory):
    ids, types = sequences(case)
    base, heads = draw(case, ids, types)
    expected = {}
    for head in (None, *case.heads):
        expected.update(outputs(build(case, head, base, heads), head, ids, types))
    for head in (None, *case.heads):    # float32 must reach the tolerance with room to spare
        noise = movement(expected, outputs(build(case, head, base, heads).double(), head, ids, types))
        assert noise < 0.2, f"{case.name}: float32 is off by {noise:.2g} tolerances"
    config = {key: value for key, value in config_of(case, None).to_dict().items() if not key.startswith("_") and key != "transformers_version"}
    default = transformers.PretrainedConfig().to_dict()
    config = {key: value for key, value in config.items() if key not in default or value != default[key] or key in case.attacks}
    config["architectures"] = [case.prefix + "Model"]
    config["dtype"] = case.dtype
    sensitivity = {"tensors": attack_tensors(case, base, heads, expected, ids, types),
                   "fields": attack_fields(case, config, base, heads, expected, ids, types)}
    directory.mkdir(parents=True, exist_ok=True)
    inputs = {f"ids.{i}": value[0].clone() for i, value in enumerate(ids)}
    inputs.update({f"types.{i}": value[0].clone() for i, value in enumerate(types) if value is not None})
    save_file(base, directory / "model.safetensors", metadata={"format": "pt"})
    save_file(heads, directory / "heads.safetensors")
    save_file({**inputs, **expected}, directory / "expected.safetensors")
    (directory / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    (directory / "sensitivity.json").write_text(json.dumps(sensitivity, indent=1) + "\n")


def check(case):
    with tempfile.TemporaryDirectory() as scratch:
        fresh, kept = Path(scratch), ROOT / case.name
        make(case, fresh)
        assert (fresh / "config.json").read_text() == (kept / "config.json").read_text(), case.name
        for name in ("model", "heads", "expected"):
            a, b = load_file(fresh / f"{name}.safetensors"), load_file(kept / f"{name}.safetensors")
            assert a.keys() == b.keys(), f"{case.name}: {name}"
            for key, value in a.items():
                limit = TOLERANCE * value.abs().max().item() if name == "expected" else 0.0
                assert (value.double() - b[key].double()).abs().max().item() <= limit, f"{case.name}: {name}: {key}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", help="one case only")
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for case in CASES:
        if arguments.case in (None, case.name):
            if arguments.check:
                check(case)
            else:
                with tempfile.TemporaryDirectory() as scratch:      # replaced only once all of it is done
                    make(case, Path(scratch) / "new")
                    shutil.rmtree(ROOT / case.name, ignore_errors=True)
                    (ROOT / case.name).mkdir(parents=True)
                    for path in (Path(scratch) / "new").iterdir():
                        shutil.copyfile(path, ROOT / case.name / path.name)
            print(f"{case.name}: {'same' if arguments.check else 'made'}", flush=True)


if __name__ == "__main__":
    main()
