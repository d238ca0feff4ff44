#!/usr/bin/env python3
"""Writes tests/tasks/*.json: what transformers' pipelines and sentence-transformers' modules make of given logits and hidden states.

    pip install torch==2.15 transformers==5.24
    python scripts/make_task_fixtures.py pipelines           # text, zero-shot and token classification, fill-mask, features
    pip install sentence-transformers==6.2
    python scripts/make_task_fixtures.py sentences           # layouts/, embeddings.json and similarities.json
    pip install transformers==4.57.6                         # another environment: transformers 5 has no such pipeline
    python scripts/make_task_fixtures.py question-answering
    python scripts/make_task_fixtures.py --check ...         # compares with fresh ones

The pipelines are the real ones with real tokenizers (tests/tokenizers); their models are replaced by one that returns numbers drawn here, which the
file then holds as integers (of 1/256). A result is the text that json.dumps() prints of what the pipeline returns."""

import argparse
import json
import random
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification, BertModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput, TokenClassifierOutput

TESTS = Path(__file__).resolve().parent.parent / "tests"
OUT = TESTS / "tasks"
UNIT = 256
BERT = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
SPM = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
TOKENIZERS = {  # folder of tests/tokenizers, and its tokenizer_config.json
    "bert": ("bert", BERT | {"clean_up_tokenization_spaces": True}),
    "bert-cased": ("bert-cased", BERT | {"clean_up_tokenization_spaces": False}),
    "wordpiece": ("wordpiece-no-prefix", {}),
    "gpt2": ("gpt2", {"eos_token": "<|endoftext|>", "mask_token": "<|endoftext|>", "clean_up_tokenization_spaces": False}),
    "unigram": ("unigram", SPM | {"cls_token": "<s>", "mask_token": "</s>"}),
    "llama": ("llama-spm", SPM),
    "metaspace": ("metaspace-always", SPM),
    "prefix": ("prefix", {"unk_token": "<unk>"}),
}
TEXTS = ["the token there, 2000 tokens.", "hello  do  it — in an argument", "привет there 🚀 the 日本 end", "naïve café in the Straße",
         "(a)b'c: 'd' and and and", "नमस्ते the संसार", "x", "spaces   and\ttabs\nlines in it", "token token token token", "zzz unknowable qqq the end?", "가나다 then 文字 of the end 👩🏽‍💻 it",
         "The Ending: IN The Token!"]


def dumps(value) -> str:
    return json.dumps(value, default=float)


def tokenizer_of(name: str, **more):
    folder, config = TOKENIZERS[name]
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(TESTS / "tokenizers" / folder / "tokenizer.json", place)
        (Path(place) / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | config | more))
        return PreTrainedTokenizerFast.from_pretrained(place)


def describe(name: str, **more) -> dict:
    folder, config = TOKENIZERS[name]
    return {"tokenizer": f"tokenizers/{folder}", "config": json.dumps(config | more)}


def numbers(rng: random.Random, *shape: int, spread: float = 2.5) -> list:
    if len(shape) > 1:
        return [numbers(rng, *shape[1:], spread=spread) for _ in range(shape[0])]
    return [round(rng.gauss(0, spread) * UNIT) for _ in range(shape[0])]


def tensor(units) -> torch.Tensor:
    return torch.tensor(units, dtype=torch.float32) / UNIT


def tiny(kind, **more):
    config = BertConfig(vocab_size=8, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4, max_position_embeddings=8, **more)
    return kind(config).eval()


def with_labels(kind, labels, columns: int):
    model = tiny(kind)
    model.config.id2label = {i: label for i, label in enumerate(labels)} if labels else {i: f"LABEL_{i}" for i in range(columns)}
    model.config.label2id = {label: i for i, label in model.config.id2label.items()}
    return model


# ----------------------------------------------------------------------------------------------------------------------- text classification


def text_classification() -> list[dict]:
    from transformers import TextClassificationPipeline
    rng = random.Random(1)
    cases = []
    tokenizer = tokenizer_of("bert")

    def case(units, labels=None, problem=None, function=None, top_k="", single=False):
        model = with_labels(BertForSequenceClassification, labels, len(units))
        model.config.problem_type = problem
        model.forward = lambda **_: SequenceClassifierOutput(logits=tensor([units]))
        pipe = TextClassificationPipeline(model=model, tokenizer=tokenizer)
        keys = {} if top_k == "" else {"top_k": top_k}
        if function:
            keys["function_to_apply"] = function
        result = pipe("it", **keys) if single else pipe(["it"], **keys)[0]
        cases.append({"logits": units, "labels": labels, "problem": problem, "function": function, "top_k": 1 if top_k == "" else top_k or 0,
                      "bare": top_k == "" and not single, "expected": dumps(result)})

    for top_k in ("", 1, 2, 3, 100, None):
        for units in (numbers(rng, 3), [256, 256, 256], [-512, 700, 700, -512]):
            case(units, top_k=top_k, single=rng.random() < 0.5)
    for problem in (None, "regression", "single_label_classification", "multi_label_classification"):
        for function in (None, "sigmoid", "softmax", "none", "Softmax"):
            for width in (1, 2, 5):
                case(numbers(rng, width), problem=problem, function=function, top_k=rng.choice(("", None, 2)))
    case([300, -200], labels=["POSITIVE 😀", 'quote " back \\ tab \t é'], top_k=None, single=True)
    case([200 * 256, -200 * 256, 0], top_k=None)
    case([-100 * 256], top_k=None)
    case([100 * 256], single=True)
    case(numbers(rng, 40), top_k=17)
    return cases


# ----------------------------------------------------------------------------------------------------------------------------------- zero-shot


def zero_shot() -> list[dict]:
    from transformers import ZeroShotClassificationPipeline
    rng = random.Random(2)
    cases = []
    tokenizer = tokenizer_of("bert")
    names = [{"contradiction": 0, "neutral": 1, "entailment": 2}, {"entailment": 0, "neutral": 1, "contradiction": 2}, {"ENTAILMENT": 1, "not": 0},
             {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}, {"not_entailment": 1, "entails": 0, "Entail": 2}]
    labels = ["art", "sports, politics , the end,, it", ["art"], ["a", "b", "c"], ["kitchen 🔥", "б"], "  one ,two\t, three　,", [f"l{i}" for i in range(12)]]
    templates = ["This example is {}.", "{}", "{{x}} {0} and {0}", "about {} 日"]
    for i in range(36):
        ids, given, template, multi = names[i % 5], labels[i % 7], templates[i % 4], bool(i & 1)
        model = with_labels(BertForSequenceClassification, None, len(ids))
        model.config.label2id = ids
        rows = []

        def forward(rows=rows, ids=ids, i=i, **_):
            rows.append([256] * len(ids) if i % 6 == 5 else numbers(rng, len(ids)))
            return SequenceClassifierOutput(logits=tensor([rows[-1]]))

        model.forward = forward
        pipe = ZeroShotClassificationPipeline(model=model, tokenizer=tokenizer)
        text = TEXTS[i % len(TEXTS)]
        result = pipe(text, candidate_labels=given, hypothesis_template=template, multi_label=multi)
        parsed = pipe._args_parser._parse_labels(given)
        pairs, _ = pipe._args_parser(text, parsed, template)
        cases.append({"text": text, "given": given, "template": template, "multi_label": multi, "label2id": ids, "labels": parsed,
                      "hypotheses": [pair[1] for pair in pairs], "logits": rows, "expected": dumps(result)})
    return cases


# ----------------------------------------------------------------------------------------------------------------------- token classification


def token_classification() -> list[dict]:
    from transformers import TokenClassificationPipeline
    rng = random.Random(3)
    cases = []
    schemes = [["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], ["O", "PER", "B-X-Y", "I-X-Y"], None]

    def case(name, text, strategy, labels, ignore=None, stride=None, length=None, tie=False):
        columns = len(labels) if labels else 3
        model = with_labels(BertForTokenClassification, labels, columns)
        windows = []

        def forward(attention_mask=None, input_ids=None, **_):
            rows, last = [], rng.randrange(columns)
            for _ in range(input_ids.shape[1]):
                last = rng.randrange(columns) if rng.random() < 0.4 else last
                row = numbers(rng, columns, spread=1)
                row[last] += 3 * UNIT
                rows.append([UNIT] * columns if tie else row)
            windows.append([row for row, real in zip(rows, attention_mask[0].tolist()) if real])
            return TokenClassifierOutput(logits=tensor([rows]))

        model.forward = forward
        more = {"model_max_length": length} if length else {}
        if stride is not None:  # windows are padded
            more["pad_token"] = {"bert": "[PAD]", "gpt2": "<|endoftext|>", "unigram": "</s>"}[name]
        pipe = TokenClassificationPipeline(model=model, tokenizer=tokenizer_of(name, **more))
        keys = {"aggregation_strategy": strategy}
        if ignore is not None:
            keys["ignore_labels"] = ignore
        if stride is not None:
            keys["stride"] = stride
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = pipe(text, **keys)
        cases.append(describe(name, **more) | {"text": text, "aggregation": strategy, "labels": labels, "columns": columns, "ignore": ignore,
                                               "stride": stride or 0, "length": length or 0, "logits": windows, "expected": dumps(result)})

    names = ["bert", "bert-cased", "gpt2", "unigram", "llama", "metaspace", "prefix"]
    for i in range(49):
        text = TEXTS[i % 12] if names[i % 7] != "prefix" else "the token there and in an argument"
        case(names[i % 7], text, ["none", "simple", "first", "average", "max"][i % 5], schemes[i % 3], rng.choice((None, [], ["PER", "O"], ["B-PER", "LABEL_0"])))
    for i in range(9):
        case(["bert", "gpt2", "unigram"][i % 3], " ".join(TEXTS[i % 4:i % 4 + 3]), ["simple", "first", "average", "max"][i % 4], schemes[i % 2], None,
             stride=rng.choice((1, 3, 5)), length=rng.choice((12, 17, 24)), tie=i == 8)
    case("gpt2", "  do it in an argument there", "simple", schemes[1], [], stride=2, length=9)  # the first token has no characters
    for strategy in ("none", "simple", "max"):
        case("bert", TEXTS[0], strategy, schemes[0], [], tie=True)
        case("bert", "", strategy, schemes[0], [])
    return cases


# ---------------------------------------------------------------------------------------------------------------------------------- fill-mask


def fill_mask() -> dict:
    from transformers import FillMaskPipeline
    rng = random.Random(4)
    cases, bases = [], {}  # the logits of a mask: those of the tokenizer, turned by so many places

    def case(name, text, top_k=None, targets=None):
        tokenizer = tokenizer_of(name)
        folder = describe(name)["tokenizer"]
        base = bases.setdefault(folder, rng.sample(range(-1500, 800), len(tokenizer)))  # no two are equal
        turns = []
        model = tiny(BertForMaskedLM)

        def forward(input_ids=None, **_):
            out = torch.zeros(1, input_ids.shape[1], len(tokenizer))
            for at in torch.nonzero(input_ids[0] == tokenizer.mask_token_id)[:, 0].tolist():
                turns.append(rng.randrange(len(base)))
                out[0, at] = tensor(base[turns[-1]:] + base[:turns[-1]])
            return MaskedLMOutput(logits=out)

        model.forward = forward
        pipe = FillMaskPipeline(model=model, tokenizer=tokenizer)
        keys = {}
        if top_k:
            keys["top_k"] = top_k
        if targets:
            keys["targets"] = targets
        result = pipe(text, **keys)
        found = sorted(pipe.get_target_ids(targets).tolist()) if targets else None
        cases.append(describe(name) | {"text": text, "top_k": top_k or 5, "targets": [targets] if isinstance(targets, str) else targets, "found": found,
                                       "turns": turns, "expected": dumps(result)})

    words = ["the", "token", "##nd", "there", "unknowable", "[SEP]", "", "文", "the", "日本", "zzz"]
    for i in range(20):
        text = rng.choice(("the [MASK] there.", "[MASK]", "do [MASK] in the [MASK]!", "привет, [MASK] 日本", "[MASK][MASK] it ' s [MASK]", "a  [MASK]  [SEP] b [PAD] c"))
        targets = None if i % 3 else rng.sample(words, rng.randint(1, 6))
        if targets and not [t for t in targets if t]:
            targets = "the"
        case(rng.choice(("bert", "bert-cased")), text, rng.choice((None, 1, 2, 7)), targets)
    for i in range(5):
        case("unigram", rng.choice(("the </s> there.", "do </s> in the </s>")), 3, rng.choice((None, ["the", "tokens", "ab"])))
        case("gpt2", rng.choice(("the<|endoftext|> there.", "do <|endoftext|> é <|endoftext|>")), 2, rng.choice((None, ["the", " the", "é"])))
    return {"rows": [{"tokenizer": folder, "logits": base} for folder, base in bases.items()], "cases": cases}


# ----------------------------------------------------------------------------------------------------------------- features, multiple choice


def features() -> list[dict]:
    from transformers import FeatureExtractionPipeline
    rng = random.Random(5)
    cases = []
    for text in TEXTS[:6]:
        kept = []
        model = tiny(BertModel)

        def forward(input_ids=None, kept=kept, **_):
            kept.append(numbers(rng, input_ids.shape[1], 3))
            return BaseModelOutput(last_hidden_state=tensor([kept[0]]))

        model.forward = forward
        result = FeatureExtractionPipeline(model=model, tokenizer=tokenizer_of("bert"))(text)
        cases.append({"hidden": kept[0], "expected": dumps(result)})
    return cases


def choices() -> list[dict]:
    rng = random.Random(6)
    cases = []
    for units in [numbers(rng, n) for n in (1, 2, 4, 9)] + [[0, 0, 0], [256, 512, 512]]:
        scores = tensor([units]).softmax(-1)[0]
        cases.append({"logits": units, "expected": dumps({"choice": int(scores.argmax()), "scores": scores.tolist()})})
    return cases


# ----------------------------------------------------------------------------------------------------------------------- question answering


def question_answering() -> list[dict]:
    from transformers import BertForQuestionAnswering, QuestionAnsweringPipeline
    from transformers.modeling_outputs import QuestionAnsweringModelOutput
    rng = random.Random(7)
    cases = []

    def case(name, question, context, **keys):
        tokenizer = tokenizer_of(name)
        model = tiny(BertForQuestionAnswering)
        windows = []

        def forward(input_ids=None, **_):
            n = input_ids.shape[1]
            start, end = (numbers(rng, n) for _ in range(2))
            if keys.get("handle_impossible_answer") and len(question) > 3:
                start[0] += 5 * UNIT
                end[0] += 5 * UNIT
            windows.append([start, end])
            return QuestionAnsweringModelOutput(start_logits=tensor([start]), end_logits=tensor([end]))

        model.forward = forward
        pipe = QuestionAnsweringPipeline(model=model, tokenizer=tokenizer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = pipe(question=question, context=context, **keys)
            except ValueError as error:
                if "kth" not in str(error):
                    raise
                return  # numpy cannot be asked for as many spans as a window has pairs of tokens
        scores = [answer["score"] for answer in result] if isinstance(result, list) else [result["score"]]
        if len(set(scores)) < len(scores) or (min(scores) == 0 and len(scores) > 1):
            return  # what numpy's sort and the zeros outside of all spans make of it is nobody's promise
        cases.append(describe(name) | {"question": question, "context": context, "keys": keys, "logits": windows, "expected": dumps(result)})

    contexts = TEXTS[:6] + TEXTS[7:] + [" ".join(TEXTS), "the The THE the end ENd token Token TOKEN", " \t "]
    for i in range(80):
        keys = {}
        if i % 2:
            keys["top_k"] = rng.choice((1, 2, 3, 5))
        if i % 3 == 0:
            keys["handle_impossible_answer"] = True
        if i % 4 == 0:
            keys["align_to_words"] = False
        if i % 5 == 0:
            keys["max_answer_len"] = rng.choice((1, 2, 4, 100))
        if i % 3 == 1:
            keys["max_seq_len"] = rng.choice((24, 30))
            keys["doc_stride"] = rng.choice((4, 7))
        name = ["bert", "bert-cased", "unigram", "gpt2"][i % 4] if i % 3 != 1 else ["bert", "unigram"][i % 2]
        context = " ".join(TEXTS[i % 10:i % 10 + 3]) if i % 6 == 1 else contexts[i % len(contexts)]
        case(name, rng.choice(("it?", "the end", "где")), context, **keys)
    return cases


# ----------------------------------------------------------------------------------------------------------------------- sentence-transformers

TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
OLD = {"word_embedding_dimension": 8, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False,
       "pooling_mode_mean_sqrt_len_tokens": False}


def layout(pooling: dict, *rest, **files) -> dict:
    """Files of a layout: modules.json and each module's config.json."""
    modules = [TRANSFORMER, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    out = {"1_Pooling/config.json": pooling}
    for i, (kind, config) in enumerate(rest, start=2):
        modules.append({"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"})
        if config is not None:
            out[f"{i}_{kind}/config.json"] = config
    return {"modules.json": modules} | out | {name.replace("__", "."): value for name, value in files.items()}


def dense(cols: int, rows: int, activation: str, bias: bool = True, **more) -> tuple:
    return "Dense", {"in_features": cols, "out_features": rows, "bias": bias, "activation_function": f"torch.nn.modules.{activation}"} | more


LAYOUTS = {
    "cls": layout(OLD | {"pooling_mode_cls_token": True}, ("Normalize", None), sentence_bert_config__json={"max_seq_length": 128, "do_lower_case": False}),
    "mean": layout(OLD | {"pooling_mode_mean_tokens": True}),
    "no-flag": layout(OLD, sentence_roberta_config__json={"max_seq_length": 100, "do_lower_case": True}),
    "max": layout(OLD | {"pooling_mode_max_tokens": True, "include_prompt": True}),
    "all": layout(OLD | {key: True for key in OLD if key.startswith("pooling")} | {"pooling_mode_weightedmean_tokens": True, "pooling_mode_lasttoken": True}),
    "last": layout({"embedding_dimension": 8, "pooling_mode": "lasttoken", "include_prompt": False}, ("Normalize", None),
                   config_sentence_transformers__json={"prompts": {"query": "the token: ", "document": "", "other": "do "}, "default_prompt_name": "query",
                                                       "similarity_fn_name": "dot", "__version__": {"sentence_transformers": "5.0.0"}}),
    "weighted": layout({"embedding_dimension": 8, "pooling_mode": ["weightedmean", "mean_sqrt_len_tokens"], "include_prompt": False},
                       config_sentence_transformers__json={"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "euclidean", "truncate_dim": 12}),
    "no-prompt": layout({"embedding_dimension": 8, "pooling_mode": ["mean", "cls", "max"], "include_prompt": False}, ("Normalize", {}),
                        config_sentence_transformers__json={"prompts": {"query": "in the "}, "default_prompt_name": "document",
                                                            "similarity_fn_name": "manhattan"}),
    "tanh": layout(OLD | {"pooling_mode_mean_tokens": True}, dense(8, 5, "activation.Tanh"), ("Normalize", {"module_input_name": "sentence_embedding"})),
    "dense": layout(OLD | {"pooling_mode_mean_tokens": True}, dense(8, 12, "linear.Identity", False), dense(12, 6, "activation.GELU"), dense(6, 6, "activation.SiLU"),
                    ("Dropout", {"dropout": 0.1}), dense(6, 4, "activation.Sigmoid"), dense(4, 7, "activation.ReLU")),
    "residual": layout(OLD | {"pooling_mode_cls_token": True}, dense(8, 8, "activation.Tanh", use_residual=True),
                       dense(8, 3, "activation.ReLU", use_residual=True, module_input_name="sentence_embedding")),
}


def write_layout(place: Path, name: str) -> None:
    from safetensors.torch import save_file
    generator = torch.Generator().manual_seed(sum(name.encode()))
    kinds = [torch.float32, torch.bfloat16, torch.float16]
    for file, value in LAYOUTS[name].items():
        path = place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        if "_Dense/" not in file:
            continue
        kind = kinds[int(file[0]) % 3] if name == "dense" else torch.float32
        draw = lambda *shape: torch.randn(*shape, generator=generator).to(kind)
        tensors = {"linear.weight": draw(value["out_features"], value["in_features"])}
        if value["bias"]:
            tensors["linear.bias"] = draw(value["out_features"])
        if value.get("use_residual") and value["in_features"] != value["out_features"]:
            tensors["residual.weight"] = draw(value["out_features"], value["in_features"])
        save_file(tensors, path.parent / "model.safetensors")


def sentences(layouts: Path) -> dict:
    import logging
    from sentence_transformers import SentenceTransformer
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    rng = random.Random(8)
    cases, settings = [], []
    tokenizer = tokenizer_of("bert", model_max_length=60)
    for name in LAYOUTS:
        write_layout(layouts / name, name)
        with tempfile.TemporaryDirectory() as made:
            place = Path(made)
            shutil.copytree(layouts / name, place, dirs_exist_ok=True)
            torch.manual_seed(0)
            BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
                                 max_position_embeddings=600)).save_pretrained(place)
            tokenizer.save_pretrained(place)
            if name == "mean":
                (place / "modules.json").unlink()  # a plain checkpoint: mean pooling
            model = SentenceTransformer(str(place), device="cpu")
        bert = model[0]
        settings.append({"layout": name, "prompts": model.prompts, "default_prompt": model.prompts.get(model.default_prompt_name), "truncate": model.truncate_dim or 0,
                         "similarity": model.similarity_fn_name, "width": model.get_embedding_dimension() if not model.truncate_dim else 0,
                         "max_length": model.max_seq_length if any(f.startswith("sentence_") for f in LAYOUTS[name]) else 0, "lower_case": bert.do_lower_case})
        for i in range(6):
            text = TEXTS[rng.randrange(len(TEXTS))] if i else "x"
            prompt = rng.choice([None] + sorted(model.prompts)) if i else None
            kept = {}

            def forward(given, kept=kept, **_):
                kept["hidden"] = numbers(rng, given["input_ids"].shape[1], 8)
                kept["prompt"] = int(given.get("prompt_length", 0))
                return given | {"token_embeddings": tensor([kept["hidden"]])}

            bert.forward = forward
            dimensions, normalize = rng.choice((0, 0, 3)), rng.random() < 0.4
            result = model.encode(text, prompt_name=prompt, normalize_embeddings=normalize, truncate_dim=dimensions or None)
            cases.append({"layout": name, "hidden": kept["hidden"], "prompt_tokens": kept["prompt"], "dimensions": dimensions, "normalize": normalize,
                          "expected": [round(v, 7) for v in result.tolist()]})
    return {"settings": settings, "cases": cases}


def similarities() -> list[dict]:
    from sentence_transformers.util import SimilarityFunction
    rng = random.Random(9)
    cases = []
    for name in ("cosine", "dot", "euclidean", "manhattan"):
        for width in (1, 3, 17):
            a, b = numbers(rng, 3, width), numbers(rng, 4, width)
            a[0] = [0] * width
            b[1] = a[1]
            result = SimilarityFunction.to_similarity_fn(name)(tensor(a), tensor(b))
            cases.append({"function": name, "a": a, "b": b, "expected": [[round(v, 6) for v in row] for row in result.tolist()]})
    return cases


# -------------------------------------------------------------------------------------------------------------------------------------- files


def put(place: Path, name: str, made) -> None:
    version = {"transformers": transformers.__version__, "unit": UNIT}
    if isinstance(made, dict):
        lines = ",\n".join(f'{json.dumps(key)}: [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in value) + "\n]" for key, value in made.items())
    else:
        lines = '"cases": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in made) + "\n]"
    (place / name).write_text("{" + json.dumps(version)[1:-1] + ",\n" + lines + "}\n")


def make(which: str, place: Path) -> None:
    if which == "question-answering":
        put(place, "question_answering.json", question_answering())
    elif which == "sentences":
        put(place, "embeddings.json", sentences(place / "layouts"))
        put(place, "similarities.json", similarities())
    else:
        for name, made in (("text_classification", text_classification), ("zero_shot", zero_shot), ("token_classification", token_classification),
                           ("fill_mask", fill_mask), ("features", features), ("choices", choices)):
            put(place, name + ".json", made())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("which", choices=("pipelines", "question-answering", "sentences"))
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    np.seterr(all="ignore")
    if not arguments.check:
        make(arguments.which, OUT)
        return 0
    with tempfile.TemporaryDirectory() as place:
        make(arguments.which, Path(place))
        others = [path.name for path in Path(place).rglob("*") if path.is_file() and path.read_bytes() != (OUT / path.relative_to(place)).read_bytes()]
    print("others: " + ", ".join(others) if others else "the same")
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
