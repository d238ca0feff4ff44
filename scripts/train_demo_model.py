#!/usr/bin/env python3
"""Trains the demo checkpoint tests/models/kjv-gpt2: a small GPT-2 on the King James Bible.

    apt install bible-kjv bible-kjv-text        # the text, public domain, and the program that unpacks it
    pip install torch transformers tokenizers safetensors numpy
    python scripts/train_demo_model.py --out tests/models/kjv-gpt2

One run does everything, on the CPU and from a fixed seed: it reads the text, holds out every 20th chapter, trains a
byte-level BPE and the model on the rest, and writes the checkpoint as bfloat16. It then loads what it wrote in float32,
measures its perplexity on the held-out chapters beside that of a bigram model, and records a few greedy continuations
in expected.json and all of the above in README.md.

Every chapter is shown to the model in two forms, so that a prompt of either kind is continued in kind:

    Genesis 1:1 In the beginning God created the heaven and the earth.        with references
    In the beginning God created the heaven and the earth.                    plain
"""

import argparse
import collections
import json
import math
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

import numpy
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

SEED = 1611
VOCAB_SIZE = 2048
CONTEXT = 512
HELD_OUT = 20                   # chapters 10, 30, 50, ... of 1189 are never trained on
BATCH_TOKENS = 4096
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.1
WARMUP_STEPS = 100
COOLDOWN = 0.35                 # the last part of the run
DROPOUT = 0.1
EOT = "<|endoftext|>"           # opens and closes every chapter
FORMS = {"with references": True, "plain": False}

EXPECTED_TOKENS = 48
EXPECTED_GAP = 1e-3             # smallest distance of the two best logits along a greedy path that is kept
EXPECTED_PROMPTS = ("In the beginning", "And God said", "Psalms 23:1", "Blessed are the", "And it came to pass",
                    "The LORD is my", "John 3:16 For", "Now these are the generations of")

BOOKS = """Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|1 Samuel|2 Samuel|1 Kings|2 Kings|1 Chronicles
2 Chronicles|Ezra|Nehemiah|Esther|Job|Psalms|Proverbs|Ecclesiastes|Song of Solomon|Isaiah|Jeremiah|Lamentations|Ezekiel
Daniel|Hosea|Joel|Amos|Obadiah|Jonah|Micah|Nahum|Habakkuk|Zephaniah|Haggai|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts
Romans|1 Corinthians|2 Corinthians|Galatians|Ephesians|Philippians|Colossians|1 Thessalonians|2 Thessalonians|1 Timothy
2 Timothy|Titus|Philemon|Hebrews|James|1 Peter|2 Peter|1 John|2 John|3 John|Jude|Revelation""".replace("\n", "|").split("|")


# The text

def read_bible():
    """The text as `bible` prints it, one `Ge1:1 In the ...` a line."""
    data = pathlib.Path("/usr/lib/bible.data")
    if not data.exists():
        sys.exit(f"{data} is missing: install the Debian package bible-kjv-text")
    if not shutil.which("bible"):
        sys.exit("the program `bible` is missing: install the Debian package bible-kjv, which reads bible-kjv-text")
    command = ["bible", "-f", "-p", str(data.parent), "gen1:1-rev22:21"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_chapters():
    """[(book, chapter, [verse, ...]), ...] in the order of the Bible."""
    chapters = {}
    short_names = []
    for line in read_bible().splitlines():
        match = re.fullmatch(r"(\d?[A-Za-z]+)(\d+):(\d+) +(.*)", line)
        if not match:
            sys.exit(f"bible-kjv-text: a verse was expected, found {line!r}")
        short_name, chapter, verse, text = match.groups()
        if short_name not in short_names:
            short_names.append(short_name)
        verses = chapters.setdefault((len(short_names), int(chapter)), [])
        verses.append(re.sub(" +", " ", text.strip()))
        if int(verse) != len(verses):
            sys.exit(f"bible-kjv-text: verse {len(verses)} was expected, found {line!r}")
    if len(short_names) != len(BOOKS):
        sys.exit(f"bible-kjv-text: {len(BOOKS)} books were expected, found {len(short_names)}")
    return [(BOOKS[book - 1], chapter, verses) for (book, chapter), verses in chapters.items()]


def split_chapters(chapters):
    """(training, held out)"""
    training = [c for i, c in enumerate(chapters, 1) if i % HELD_OUT != HELD_OUT // 2]
    held_out = [c for i, c in enumerate(chapters, 1) if i % HELD_OUT == HELD_OUT // 2]
    return training, held_out


def chapter_text(chapter, references):
    book, number, verses = chapter
    return "".join((f"{book} {number}:{i} " if references else "") + verse + "\n" for i, verse in enumerate(verses, 1))


# The tokenizer

def train_tokenizer(chapters):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=[EOT], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((chapter_text(c, form) for form in FORMS.values() for c in chapters), trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    return GPT2Tokenizer(vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]],
                         bos_token=EOT, eos_token=EOT, unk_token=EOT, model_max_length=CONTEXT)


def encode_chapters(tokenizer, chapters, references):
    """One array a chapter; each begins and ends with EOT."""
    texts = [chapter_text(c, references) for c in chapters]
    end = tokenizer.eos_token_id
    return [numpy.array([end, *ids, end]) for ids in tokenizer(texts, verbose=False).input_ids]


# Training

def new_model(tokenizer):
    config = GPT2Config(vocab_size=VOCAB_SIZE, n_positions=CONTEXT, n_embd=192, n_layer=6, n_head=6,
                        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                        resid_pdrop=DROPOUT, embd_pdrop=DROPOUT, attn_pdrop=0.0, attn_implementation="eager")
    config.activation_function = "gelu_pytorch_tanh"    # gelu_new in one fused operation; saved as gelu_new
    return GPT2LMHeadModel(config)


def endless_rows(forms, length, random):
    """Rows of `length` tokens, for ever: each epoch shuffles the chapters and takes each in a form drawn anew."""
    left = numpy.array([], dtype=numpy.int64)
    while True:
        order = random.permutation(len(forms[0]))
        picked = [forms[random.integers(len(forms))][i] for i in order]
        shift = random.integers(length)                 # or every epoch would cut long chapters alike
        stream = numpy.concatenate([left, picked[0][shift:], *(ids[1:] for ids in picked[1:])])
        whole = len(stream) // length * length
        yield from stream[:whole].reshape(-1, length)
        left = stream[whole:]


def batch_shape(step, steps):
    """(rows, length): short rows are cheaper, so only the cooldown sees the whole context."""
    length = CONTEXT // 2 if step < steps * (1 - COOLDOWN) else CONTEXT
    return BATCH_TOKENS // length, length


def learning_rate(step, steps):
    """Relative to LEARNING_RATE: a short warmup, a long plateau, and a straight line down to 0."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (steps * COOLDOWN))


def new_optimizers(model):
    """Muon for the matrices of the blocks, AdamW for embeddings, norms and biases."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and ".h." in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and ".h." in name)]
    return [torch.optim.Muon(matrices, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0)]


def train_step(model, optimizers, rows, offset, rate):
    ids = torch.from_numpy(rows)
    positions = torch.arange(offset, offset + ids.shape[1]).unsqueeze(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(input_ids=ids, labels=ids, position_ids=positions).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def train(model, forms, steps, every, report):
    """Calls report(step, mean training loss since the last call) every `every` steps and at the end."""
    random = numpy.random.default_rng(SEED)
    optimizers = new_optimizers(model)
    losses, length = [], None
    model.train()
    for step in range(steps):
        count, wanted = batch_shape(step, steps)
        if wanted != length:
            length, source = wanted, endless_rows(forms, wanted, random)
        rows = numpy.stack([next(source) for _ in range(count)])
        offset = int(random.integers(CONTEXT - length + 1))     # short rows train all position embeddings
        losses.append(train_step(model, optimizers, rows, offset, learning_rate(step, steps)))
        if (step + 1) % every == 0 or step + 1 == steps:
            report(step + 1, sum(losses) / len(losses))
            losses = []
            model.train()


# Saving

def save_checkpoint(model, tokenizer, out):
    """Writes bfloat16; the model itself stays as it is."""
    config = GPT2Config(**{**model.config.to_dict(), "activation_function": "gelu_new", "dtype": "bfloat16"})
    saved = GPT2LMHeadModel(config)
    saved.load_state_dict(model.state_dict())
    saved.generation_config = GenerationConfig(do_sample=True, temperature=0.8, top_k=40, top_p=0.95,
                                               bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id)
    saved.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def load_checkpoint(out):
    """The saved weights in float32."""
    return GPT2LMHeadModel.from_pretrained(out, dtype=torch.float32).eval()


# Measuring

@torch.no_grad()
def model_loss(model, documents):
    """Mean negative log-likelihood of all tokens but each chapter's first, in nats.

    Windows of CONTEXT tokens advance by half their length; a token is scored once, in the first window that holds it.
    """
    total, count, half = 0.0, 0, CONTEXT // 2
    for ids in map(torch.from_numpy, documents):
        done = 1
        for start in range(0, len(ids), half):
            window = ids[start:start + CONTEXT]
            if done >= start + len(window):
                break
            logits = model(window.unsqueeze(0)).logits[0, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits, window[1:], reduction="none")
            total += losses[done - start - 1:].sum().item()
            done = start + len(window)
        count += len(ids) - 1
    return total / count


def bigram_loss(training, held_out):
    """Loss of the better of two smoothed bigram models, as (nats, description).

    Counts come from the training chapters; the one parameter of each smoothing is chosen to suit the held-out chapters
    best, which favours the bigram model.
    """
    unigrams, bigrams = numpy.zeros(VOCAB_SIZE), numpy.zeros((VOCAB_SIZE, VOCAB_SIZE))
    for ids in training:
        numpy.add.at(unigrams, ids[1:], 1)
        numpy.add.at(bigrams, (ids[:-1], ids[1:]), 1)
    history = numpy.maximum(bigrams.sum(axis=1), 1)
    seen = bigrams > 0
    first = numpy.concatenate([ids[:-1] for ids in held_out])
    second = numpy.concatenate([ids[1:] for ids in held_out])
    pair, unigram = bigrams[first, second], ((unigrams + 1) / (unigrams.sum() + VOCAB_SIZE))[second]
    continuation = ((seen.sum(axis=0) + 1) / (seen.sum() + VOCAB_SIZE))[second]
    best = (math.inf, "")
    for weight in numpy.arange(0.01, 1.0, 0.01):
        linear = weight * pair / history[first] + (1 - weight) * unigram
        best = min(best, (-numpy.log(linear).mean(), f"linear interpolation with unigrams, weight {weight:.2f}"))
        rest = numpy.where(bigrams.sum(axis=1) > 0, weight * seen.sum(axis=1) / history, 1)[first]
        kneser_ney = numpy.maximum(pair - weight, 0) / history[first] + rest * continuation
        best = min(best, (-numpy.log(kneser_ney).mean(), f"interpolated Kneser-Ney, discount {weight:.2f}"))
    return float(best[0]), best[1]


def measure(model, tokenizer, training, held_out):
    """One row a form, and one of the verses' own tokens in the form with references."""
    rows = []
    for name, references in FORMS.items():
        known, unknown = (encode_chapters(tokenizer, c, references) for c in (training, held_out))
        bigram, smoothing = bigram_loss(known, unknown)
        rows.append({"form": name, "training_tokens": sum(map(len, known)), "tokens": sum(len(d) - 1 for d in unknown),
                     "perplexity": math.exp(model_loss(model, unknown)),
                     "bigram_perplexity": math.exp(bigram), "smoothing": smoothing})
    return rows


@torch.no_grad()
def greedy_case(model, tokenizer, prompt):
    """One case of expected.json, or None where float rounding or an end of text could change the ids."""
    prompt_ids = tokenizer(prompt).input_ids
    ids, gaps = list(prompt_ids), []
    prompt_logits = model(torch.tensor([ids])).logits[0]
    for _ in range(EXPECTED_TOKENS):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        gaps.append((best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    if min(gaps) <= EXPECTED_GAP or tokenizer.eos_token_id in ids:
        return None
    logprobs = prompt_logits[:-1].log_softmax(-1)
    top10 = prompt_logits[-1].topk(10)
    return {"prompt": prompt, "suppress_tokens": [], "input_ids": prompt_ids, "generated_ids": ids[len(prompt_ids):],
            "text": tokenizer.decode(ids), "smallest_top2_logit_gap": min(gaps),
            "prompt_logprobs": [logprobs[i, token].item() for i, token in enumerate(prompt_ids[1:])],
            "last_logits_top10": [list(pair) for pair in zip(top10.indices.tolist(), top10.values.tolist())]}


def write_expected(model, tokenizer, out):
    cases = [case for prompt in EXPECTED_PROMPTS if (case := greedy_case(model, tokenizer, prompt))][:3]
    if len(cases) < 3:
        sys.exit("expected.json: fewer than 3 prompts have a robust greedy path")
    made_by = f"transformers {transformers.__version__}, GPT2LMHeadModel, the saved weights in float32, greedy"
    (out / "expected.json").write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=1) + "\n")
    return cases


def sample_text(model, tokenizer, prompt):
    """A continuation sampled as generation_config.json says."""
    torch.manual_seed(SEED)
    ids = tokenizer(prompt, return_tensors="pt")
    return tokenizer.decode(model.generate(**ids, max_new_tokens=120)[0], skip_special_tokens=True)


# The model card

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [gpt2, demo]
---

# kjv-gpt2

A GPT-2 small enough to lie in a source tree: {parameters:.2f} million parameters ({layers} layers, width {width}, {heads} heads,
context {context}, tied embeddings), bfloat16, with its own byte-level BPE of {vocab} tokens. It writes verses in the manner of the King
James Bible. It exists to try out and test a runtime on a real checkpoint; nothing it writes is to be taken for scripture.

A prompt with a reference (`Psalms 23:1`) is continued as verses with references, any other (`And God said`) as plain
verses, one a line. `{eot}` opens and closes a chapter.

## Data

The King James Version as packaged in Debian's `bible-kjv-text` ({package}), 1189 chapters. Every 20th chapter
(the 10th, 30th, 50th, ...; {held_out} in all) was held out before the tokenizer was trained. The Bible repeats itself (2 Kings 19 and
Isaiah 37, the synoptic gospels), so some held-out verses have a near twin among the training chapters, for both models
below.

Licence of the data: public domain. The package's copyright file says that the text's copyright has expired (translated in
1611); the package's programs are not part of the data. In the United Kingdom printing the text is a Crown prerogative.

Licence of the weights, the tokenizer and this card: Apache-2.0.

## Training

```sh
{command}
```

took {minutes:.0f} minutes ({machine}, {threads} threads, torch {torch}, transformers {transformers}): {steps} steps of {batch}
tokens, about {epochs:.1f} passes over the training chapters, each chapter drawn with or without references anew. Muon
for the matrices of the blocks, AdamW for the rest, learning rate {rate}, going down to 0 over the last {cooldown:.0%}, dropout {dropout}
(none in the attention), seed {seed}. The weights are those of the last step; no checkpoint was selected.

## Perplexity

Held-out chapters, the saved bfloat16 weights computed in float32, windows of {context} tokens advancing by {stride}. The
bigram model has the same tokens and training chapters; its smoothing (linear interpolation with unigrams, or Kneser-Ney) and
the parameter of it are chosen on the held-out chapters, in its favour. `{eot}` at a chapter's end counts as a token.

| Chapters written | Held-out tokens | This model | Bigram | Ratio | Bigram smoothing |
| --- | ---: | ---: | ---: | ---: | --- |
{table}

References are easy for this model and less so for a bigram; the plain rows are free of them.

## Sample

Drawn with the settings in `generation_config.json`:

```
{sample}
```

`expected.json` holds greedy continuations by transformers from these weights in float32, with the smallest distance
between the two best logits along each.
"""


def package_version():
    query = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "bible-kjv-text"], capture_output=True, text=True)
    return f"version {query.stdout}" if query.returncode == 0 else "version unknown"


def processor_name():
    match = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return match.group(1) if match else platform.machine()


def write_card(model, out, args, rows, held_out, minutes, sample):
    config = model.config
    table = "\n".join(f"| {r['form']} | {r['tokens']} | {r['perplexity']:.2f} | {r['bigram_perplexity']:.2f} | "
                      f"{r['perplexity'] / r['bigram_perplexity']:.3f} | {r['smoothing']} |" for r in rows)
    epoch = sum(r["training_tokens"] for r in rows) / len(rows)
    (out / "README.md").write_text(CARD.format(
        parameters=model.num_parameters() / 1e6, layers=config.n_layer, width=config.n_embd, heads=config.n_head,
        context=CONTEXT, stride=CONTEXT // 2, vocab=VOCAB_SIZE, eot=EOT, package=package_version(), held_out=len(held_out),
        command=" ".join(["python", *sys.argv]), minutes=minutes, machine=processor_name(), threads=torch.get_num_threads(),
        torch=torch.__version__, transformers=transformers.__version__, steps=args.steps, batch=BATCH_TOKENS,
        epochs=args.steps * BATCH_TOKENS / epoch, rate=LEARNING_RATE, cooldown=COOLDOWN, dropout=DROPOUT,
        seed=SEED, table=table, sample=sample))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=3500, help="training steps (default: %(default)s)")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    training, held_out = split_chapters(read_chapters())
    tokenizer = train_tokenizer(training)
    model = new_model(tokenizer)
    forms = [encode_chapters(tokenizer, training, references) for references in FORMS.values()]
    start = time.monotonic()

    def report(step, loss):
        save_checkpoint(model, tokenizer, args.out)
        documents = encode_chapters(tokenizer, held_out[::6], FORMS["plain"])
        held_out_loss = model_loss(load_checkpoint(args.out), documents)
        print(f"step {step}: {(time.monotonic() - start) / 60:.1f} min, training loss {loss:.4f}, "
              f"held-out perplexity (plain, {len(documents)} chapters) {math.exp(held_out_loss):.2f}", flush=True)

    train(model, forms, args.steps, args.every, report)
    minutes = (time.monotonic() - start) / 60

    model = load_checkpoint(args.out)
    rows = measure(model, tokenizer, training, held_out)
    print(json.dumps(rows, indent=1))
    cases = write_expected(model, tokenizer, args.out)
    sample = sample_text(model, tokenizer, "And God said")
    write_card(model, args.out, args, rows, held_out, minutes, sample)
    print("\n\n".join([case["text"] for case in cases] + [sample]))


if __name__ == "__main__":
    main()
