#!/usr/bin/env python3
"""Writes tests/tokenizers/class-<name>/: the vocabulary files of one class of transformers and what transformers (made with 5.24.0)
makes of them. test_tokenizer_vectors compares all of it. There are many classes, so vocabularies and texts are as small as they can
be; the larger folders of make_tokenizer_fixtures.py try the parts of a tokenizer. Training does not repeat exactly: name the
functions to run.
    python scripts/make_class_fixtures.py [FUNCTION...]
"""
import functools
import json
import sys
import tempfile

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import make_tokenizer_fixtures as fixtures

LINES = ["the cat sat on the mat, and the cat's hat is on 12 mats", "The Hat of the Cat is a ``hat'', 1,234 hats", "ça va, été; naïve Öl", "it isn't the end: they've 3.5 of them"] * 6
TEXTS = ["", " ", "the cat", "  The  Cat's hat,\n is\ton the  mat ", "1,234 été e\u0301te\u0301 naïve ``hats''", "they've\u00a03.5 中文 ﬁn\u200b🤗", "a▁b  ▁ c", "<s>the</s> cat <mask> [MASK] mat <unk>",
         "[CLS] on[SEP]hat <pad>of <sep> <cls>", " ÉTÉ"]


def check(name, files, config, texts=TEXTS, **kwargs):
    fixtures.check_files("class-" + name, files, texts, config, sequences=4, **kwargs)


# ---- vocab.txt ----

@functools.cache
def wordpiece(special):
    t = Tokenizer(models.WordPiece(unk_token=special[0]))
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator([line.lower() for line in LINES] + LINES, trainers.WordPieceTrainer(vocab_size=110, special_tokens=list(special), show_progress=False, limit_alphabet=60))
    return {"vocab.txt": "".join(token + "\n" for token, _ in sorted(t.get_vocab().items(), key=lambda item: item[1]))}


BERT = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")


def words():
    check("mpnet", wordpiece(("[UNK]", "<s>", "</s>", "<pad>", "<mask>")), {"tokenizer_class": "MPNetTokenizer"})
    check("funnel", wordpiece(("<unk>", "<cls>", "<sep>", "<pad>", "<mask>", "<s>", "</s>")), {"tokenizer_class": "FunnelTokenizer", "do_lower_case": False, "clean_text": False}, TEXTS + ["the\u0007 cat\u00ad"])
    check("splinter", wordpiece(BERT + ("[QUESTION]", ".")), {"tokenizer_class": "SplinterTokenizer"})
    check("splinter-left", wordpiece(BERT), {"tokenizer_class": "SplinterTokenizer", "padding_side": "left"}, TEXTS[:3])
    check("layoutlm", wordpiece(BERT), {"tokenizer_class": "LayoutLMv2Tokenizer", "strip_accents": False}, TEXTS[:6])


# ---- vocab.json and merges.txt ----

@functools.cache
def byte_level(*special):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=150, show_progress=False))
    return fixtures.bpe_files(t, special)


@functools.cache
def suffixed(*special):
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=140, show_progress=False, end_of_word_suffix="</w>", special_tokens=list(special)))
    return fixtures.bpe_files(t)


def bytes_():
    check("deberta", byte_level("[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"), {"tokenizer_class": "DebertaTokenizer", "add_prefix_space": True})
    check("blenderbot", byte_level("<s>", "</s>", "<unk>", "<pad>", "<mask>"), {"tokenizer_class": "BlenderbotTokenizer"})
    check("gpt-neox", byte_level("<|endoftext|>", "<|padding|>"), {"tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": True})
    check("cohere", byte_level("<UNK>", "<BOS_TOKEN>", "<PAD>"), {"tokenizer_class": "CohereTokenizer", "add_bos_token": True})
    check("codegen", byte_level("<|endoftext|>"), {"tokenizer_class": "CodeGenTokenizer", "add_eos_token": True}, TEXTS[:4])
    whisper = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
    check("whisper", byte_level(*whisper), {"tokenizer_class": "WhisperTokenizer", "additional_special_tokens": whisper}, TEXTS + ["<|startoftranscript|><|en|> the <|endoftext|>"])
    check("whisper-task", byte_level(*whisper), {"tokenizer_class": "WhisperTokenizer", "task": "translate", "predict_timestamps": True}, TEXTS[:3])
    check("herbert", suffixed("<s>", "<pad>", "</s>", "<unk>", "<mask>"), {"tokenizer_class": "HerbertTokenizer"})
    check("openai-gpt", suffixed("<unk>"), {"tokenizer_class": "OpenAIGPTTokenizer"})


# ---- SentencePiece ----

@functools.cache
def charsmap_rules():
    rules = [("ﬁ", "fi"), ("\u00a0", " "), ("\t", " "), ("\n", " "), ("\u200b", "")]
    file = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
    file.write("".join(f"{ord(a):X}\t{' '.join(f'{ord(c):X}' for c in b)}\n" for a, b in rules))
    file.close()
    return file.name


@functools.cache
def spm(kind, size=100, rules=True, **kwargs):
    import io
    import sentencepiece
    out = io.BytesIO()
    if rules:
        kwargs["normalization_rule_tsv"] = charsmap_rules()
    else:
        kwargs["normalization_rule_name"] = "identity"
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_writer=out, vocab_size=size, minloglevel=2, model_type=kind, hard_vocab_limit=kind == "bpe", **kwargs)
    return out.getvalue()


ALBERT = dict(pad_id=0, unk_id=1, eos_id=-1, bos_id=-1, control_symbols="[CLS],[SEP],[MASK]", user_defined_symbols="(,),.,£")
PADDED = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)


def unigram():
    albert = spm("unigram", **ALBERT)
    check("albert", {"spiece.model": albert}, {"tokenizer_class": "AlbertTokenizer"}, TEXTS + ["a (b).£5"])
    check("albert-accents", {"spiece.model": albert}, {"tokenizer_class": "AlbertTokenizerFast", "do_lower_case": False, "keep_accents": True, "add_bos_token": False,
          "added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": True, "normalized": False, "special": True}}}, TEXTS[3:8])
    check("barthez", {"sentencepiece.bpe.model": spm("unigram")}, {"tokenizer_class": "BarthezTokenizer"})
    check("big-bird", {"spiece.model": spm("unigram", rules=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, control_symbols="[CLS],[SEP],[MASK]")}, {"tokenizer_class": "BigBirdTokenizer"})
    check("camembert", {"sentencepiece.bpe.model": spm("unigram")}, {"tokenizer_class": "CamembertTokenizer"})
    deberta = spm("unigram", pad_id=0, unk_id=3, bos_id=1, eos_id=2, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]")
    check("deberta-v2", {"spm.model": deberta}, {"tokenizer_class": "DebertaV2Tokenizer"})
    check("deberta-v2-lower", {"spm.model": deberta}, {"tokenizer_class": "DebertaV2TokenizerFast", "do_lower_case": True, "split_by_punct": True, "add_prefix_space": False}, TEXTS[:6])
    fairseq = spm("unigram", size=90)
    check("mbart", {"sentencepiece.bpe.model": fairseq}, {"tokenizer_class": "MBartTokenizer"}, TEXTS + ["ro_RO the en_XX"])
    check("mbart50", {"sentencepiece.bpe.model": fairseq}, {"tokenizer_class": "MBart50Tokenizer", "src_lang": "ro_RO", "tgt_lang": "en_XX"})
    check("pegasus", {"spiece.model": spm("unigram", size=90, **PADDED)}, {"tokenizer_class": "PegasusTokenizer", "offset": 12})
    check("pegasus-masks", {"spiece.model": spm("unigram", size=90, rules=False, **PADDED)}, {"tokenizer_class": "PegasusTokenizer", "offset": 5, "mask_token": "<mask_2>", "mask_token_sent": "<mask_1>"}, TEXTS[:4] + ["a<mask_1>b<mask_2> <unk_3>"])
    check("rembert", {"sentencepiece.model": spm("unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, control_symbols="[CLS],[SEP],[MASK]")}, {"tokenizer_class": "RemBertTokenizer"})
    check("xlnet", {"spiece.model": spm("unigram", unk_id=0, control_symbols="<cls>,<sep>,<pad>,<mask>,<eod>", user_defined_symbols=".,(,),<eop>")}, {"tokenizer_class": "XLNetTokenizer", "do_lower_case": True})


def merged():
    check("nllb", {"sentencepiece.bpe.model": spm("bpe")}, {"tokenizer_class": "NllbTokenizer", "src_lang": "fra_Latn", "additional_special_tokens": ["eng_Latn", "fra_Latn"]}, TEXTS + ["fra_Latn the<mask> cat", "a <ma\u200bsk> b"])
    check("nllb-legacy", {"sentencepiece.bpe.model": spm("bpe")}, {"tokenizer_class": "NllbTokenizer", "legacy_behaviour": True}, TEXTS[:4])
    check("reformer", {"spiece.model": spm("bpe", pad_id=-1, unk_id=0, bos_id=-1, eos_id=1)}, {"tokenizer_class": "ReformerTokenizer"})
    llama = dict(byte_fallback=True, character_coverage=0.98, size=360, rules=False, remove_extra_whitespaces=False)
    gemma = spm("bpe", **llama, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", user_defined_symbols="<mask>,<start_of_turn>,\n\n,<b>")
    check("gemma", {"tokenizer.model": gemma}, {"tokenizer_class": "GemmaTokenizer"}, TEXTS[3:8] + ["<start_of_turn>the<b>cat\n\n\n<mask> <bos>"])
    check("code-llama", {"tokenizer.model": spm("bpe", **llama)}, {"tokenizer_class": "CodeLlamaTokenizer"}, TEXTS[:6] + ["a ▁<PRE> b<FILL_ME>c ▁<EOT>"])


def generic():
    """Models that are believed: by their type, or because their class is nobody's."""
    plain = spm("bpe", byte_fallback=True, character_coverage=0.98, size=360, rules=False, remove_extra_whitespaces=False)
    check("phi3", {"tokenizer.model": plain, "config.json": json.dumps({"model_type": "phi3"})}, {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "padding_side": "left",
          "added_tokens_decoder": {"360": {"content": "<|end|>", "normalized": True, "rstrip": True, "special": False}, "361": {"content": "Hat", "special": False}}}, TEXTS[:8] + ["the<|end|> cat<|end|>\nHats", "\u2581a"])
    users = spm("bpe", byte_fallback=True, character_coverage=0.98, size=370, user_defined_symbols="<b>,\n\n,hat,hats,(x+)", control_symbols="<|x|>")
    check("spm-users", {"tokenizer.model": users}, {"tokenizer_class": "PreTrainedTokenizerFast", "add_eos_token": True, "legacy": False,
          "added_tokens_decoder": {"3": {"content": "<mine>", "special": True}}}, TEXTS + ["\u2581hats<b> that\n\n\n(x+)(xx)<mine> <|x|>  "])
    check("spm-unigram", {"tokenizer.model": spm("unigram", add_dummy_prefix=False, unk_id=2, bos_id=-1, eos_id=0, unk_piece="<u>"), "config.json": json.dumps({"model_type": "umt5"})}, {"tokenizer_class": "T5Tokenizer"})


# ---- tiktoken ----

def tiktoken_file():
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    import base64
    vocab = json.loads(byte_level()["vocab.json"])
    back = {c: b for b, c in bytes_to_unicode().items()}
    ranks = [bytes([b]) for b in range(256)] + [bytes(back[c] for c in token) for token in vocab if len(token) > 1]
    return b"".join(base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(ranks)), len(ranks)


def ranks():
    data, size = tiktoken_file()
    named = {str(size + 2): {"content": "<|end_of_text|>", "special": True}, str(size): {"content": "<|begin_of_text|>", "special": True}, str(size + 5): {"content": "<x>", "special": False}}
    check("tiktoken-llama", {"tokenizer.model": data}, {"tokenizer_class": "LlamaTokenizer", "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "unk_token": None,
          "add_bos_token": True, "added_tokens_decoder": named}, TEXTS[:6] + ["a<|reserved_token_%d|>b<x>" % (size + 3)])
    # What QWenTokenizer, code that came with the checkpoints, has that the converter does not: its pattern, NFC and its special tokens.
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter
    folder = fixtures.OUT / "class-qwen"
    folder.mkdir(exist_ok=True)
    (folder / "qwen.tiktoken").write_bytes(data)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]
    backend = TikTokenConverter(str(folder / "qwen.tiktoken"), pattern=fixtures.CL100K % "", extra_special_tokens=special).converted()
    backend.normalizer = normalizers.NFC()
    fixtures.write_vectors("class-qwen", PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=None, eos_token=None), TEXTS[2:6] + ["12345 <|im_start|>e\u0301<|extra_204|>"], {"tokenizer_class": "QWenTokenizer"}, 4)
    # TikTokenTokenizer likewise, which is Kimi's.
    folder = fixtures.OUT / "class-kimi"
    folder.mkdir(exist_ok=True)
    (folder / "tiktoken.model").write_bytes(data)
    upper, lower, end = (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")
    pattern = "|".join([r"[\p{Han}]+", rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{end}", rf"[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{end}", r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
    special = {size + i: f"<|reserved_token_{size + i}|>" for i in range(258)}
    special.update({size: "[BOS]", size + 1: "[EOS]", size + 2: "<|im_end|>"})
    backend = TikTokenConverter(str(folder / "tiktoken.model"), pattern=pattern, extra_special_tokens=list(special.values())).converted()
    fixtures.write_vectors("class-kimi", PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="[BOS]", eos_token="[EOS]"),
                           TEXTS[2:6] + ["the中文cat\u3005Hat \u3042中\u3042 THE'LL 日本の<|im_end|>12345", f"<|reserved_token_{size + 257}|> a"],
                           {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]", "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]},
                            "added_tokens_decoder": {str(i): {"content": special[i], "special": True} for i in range(size, size + 3)}}, 4)


if __name__ == "__main__":
    functions = [words, bytes_, unigram, merged, generic, ranks]
    for make in functions:
        if len(sys.argv) < 2 or make.__name__ in sys.argv[1:]:
            make()
