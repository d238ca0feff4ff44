#!/usr/bin/env python3
"""Writes tests/tokenizers/<name>/{tokenizer.json,vectors.json} with the PyPI package `tokenizers` (made with 0.23.3).

Each folder is a small tokenizer and what the reference implementation makes of some texts: ids, byte offsets, decoded text, and
decodings of id sequences that no encoder would give. test_tokenizer_vectors compares all of it. Some folders also have an
encodings.json for test_tokenize_with: pairs, truncation, padding and batches. Training does not repeat exactly, so files without a
new case change too: name the functions to run, and run the old ones again only to add cases.
    python scripts/make_tokenizer_fixtures.py [FUNCTION...]
"""
import base64
import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from charsmap import charsmap

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "tokenizers"

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and then it doesn't stop: it's running on and on.",
    "Hello world! Hello there. We've seen 12345 numbers, 1 2 3, and they'll be 3.14159 or 2,000,000.",
    "In the beginning there was a token, and the token was split, merged and counted again and again.",
    "def main(argc, argv):\n    for i in range(10):\n        print(i)\n    return 0\n",
    "Äpfel und Öl, naïve café, déjà vu, señor, über, straße, Ünïcödé.",
    "Привет, мир! Как дела? Это проверка токенизатора.",
    "日本語のテキストです。中文文本也在这里。한국어 문장도 있습니다.",
    "नमस्ते दुनिया, यह एक परीक्षण है। สวัสดีชาวโลก",
    "Emoji 🤗 🚀 👍🏽 and 👩‍💻 too.  Two  spaces,   three,\ttabs\tand\r\nCRLF.",
] * 4

LONG = "pneumonoultramicroscopicsilicovolcanoconiosis" * 6
TEXTS = [
    "", " ", "  ", "   ", "\n", "\r\n", "\t", "a", " a", "a ", "Hello, world!", "Hello  world   !", "  leading and trailing  ",
    "Don't you'll we've I'm he'd THEY'RE it'S", "12345 1 23 456 3.14 ²½Ⅷ٣", "line one\nline two\r\n\r\n  line three\t\tend",
    "Äpfel naïve café e\u0301 A\u030a \u212b o\u0323\u0307 \u1100\u1161\u11a8", "ﬁ ① \ufdfa 𝔾𝕠𝕠𝕕 \u0958 İstanbul ß ẞ ſ", "Привет, мир!",
    "日本語のテキスト 中文文本 한국어", "नमस्ते क्षि สวัสดี", "🤗 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🇫🇷 ☎️", "a\u0000b\u0007c\u007fd\u0085e\u00ade\ufefff\ufffdg",
    "tab\tnbsp\u00a0thin\u2009zwsp\u200bideo\u3000ls\u2028end", LONG, "x" * 130, "<s>Hello</s> world <unk>", "<|endoftext|>a<|endoftext|> b",
    "<|begin_of_text|>hi<|eot_id|>", "foo_bar-baz.qux(a[0], {b: 1}); // x != y && z", "▁already▁there ▁", "ĠĠ Ċ alphabet",
    "The quick brown fox doesn't jump over 2,000 lazy dogs; it's 3.14 meters away.", "...!?--__--", "MiXeD CaSe WoRdS",
]
SHORT = ["", " ", "a-b--c", "--a--", "one two  three", "a1b22c333", "x - y", "-", "日本-中文", "end-"]


def byte_offsets(text, encoding):
    at = [0]
    for char in text:
        at.append(at[-1] + len(char.encode()))
    return [at[i] for pair in encoding.offsets for i in pair]


def decode(tokenizer, ids, skip):
    """None where the reference panics: its Strip does on some tokens that are stripped to nothing."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=skip)
    except BaseException as error:
        if "Panic" not in type(error).__name__:
            raise
        return None


def check(name, tokenizer, texts, config=None, sequences=40):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    # The file is parsed again, so that the vectors are of what the file says and not of the object that wrote it.
    text = tokenizer.to_str()
    tokenizer = Tokenizer.from_str(text)
    rng = random.Random(name)
    size = tokenizer.get_vocab_size()
    cases, decodings = [], []
    for t in texts:
        full, bare = tokenizer.encode(t), tokenizer.encode(t, add_special_tokens=False)
        cases.append({
            "text": t, "ids": full.ids, "offsets": byte_offsets(t, full), "special": full.special_tokens_mask if full.ids != bare.ids else [0] * len(full.ids),
            "ids_no_special": bare.ids, "offsets_no_special": byte_offsets(t, bare),
            "decoded": decode(tokenizer, full.ids, False), "decoded_skip": decode(tokenizer, full.ids, True),
        })
        if full.ids == bare.ids and byte_offsets(t, full) == byte_offsets(t, bare):
            del cases[-1]["ids_no_special"], cases[-1]["offsets_no_special"]
    bytes_ = [tokenizer.token_to_id(f"<0x{b:02X}>") for b in range(256)]
    for i in range(sequences):
        ids = [rng.randrange(size) for _ in range(rng.choice([0, 1, 2, 5, 12]))]
        if bytes_[0] is not None and i % 2:
            raw = rng.choice(["€", "日本", "🤗é", "aé"]).encode()
            ids += [bytes_[b] for b in raw[: rng.randrange(len(raw) + 1)]] + [rng.randrange(size)] * rng.randrange(2) + [bytes_[b] for b in raw]
        decodings.append({"ids": ids, "text": decode(tokenizer, ids, False)})
    (folder / "tokenizer.json").write_text(text + "\n")
    vectors = {"made_by": f"tokenizers {tokenizers.__version__}, scripts/make_tokenizer_fixtures.py", "cases": cases, "decodings": decodings}
    lines = json.dumps(vectors, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"').replace('{"ids"', '\n{"ids"')
    (folder / "vectors.json").write_text(lines + "\n")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    assert len(text) < 40_000, (name, len(text))


def train(tokenizer, size, alphabet=(), special=(), **kwargs):
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(alphabet), special_tokens=list(special), show_progress=False, **kwargs)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def edited(tokenizer, change):
    data = json.loads(tokenizer.to_str())
    change(data)
    return Tokenizer.from_str(json.dumps(data))


CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(regex=None, size=560, **kwargs):
    t = Tokenizer(models.BPE(**kwargs))
    if regex is None:
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, size, alphabet=pre_tokenizers.ByteLevel.alphabet())


def sentencepiece(size=700, byte_fallback=True, metaspace=None):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    if metaspace:
        t.pre_tokenizer = pre_tokenizers.Metaspace(**metaspace)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])
    train(t, size, special=special, limit_alphabet=90, max_token_length=8)

    def real_specials_only(data):
        data["added_tokens"] = data["added_tokens"][:3]

    t = edited(t, real_specials_only)
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def gpt2():
    t = byte_level()
    t.add_special_tokens(["<|endoftext|>"])
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    check("gpt2", t, TEXTS)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    check("gpt2-prefix-space", t, TEXTS)


def llama3():
    t = byte_level(CL100K % "{1,3}", ignore_merges=True)
    t.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    begin = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", special_tokens=[("<|begin_of_text|>", begin)]),
    ])

    def whole_words(data):  # tokens that no merge reaches: only ignore_merges finds them
        vocab = data["model"]["vocab"]
        moved = {token["content"]: token["id"] for token in data["added_tokens"]}
        for word in ["Ġjumps", "Hello", "Ġquick"]:
            vocab.setdefault(word, len(vocab))
        for i, token in enumerate(data["added_tokens"]):
            token["id"] = len(vocab) + i
        special = data["post_processor"]["processors"][1]["special_tokens"]["<|begin_of_text|>"]
        special["ids"] = [special["ids"][0] - moved["<|begin_of_text|>"] + len(vocab)]

    check("llama3", edited(t, whole_words), TEXTS)
    check("o200k", byte_level(O200K, 520), TEXTS)


def qwen():
    t = byte_level(CL100K % "")
    t.normalizer = normalizers.NFC()
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    check("qwen", t, TEXTS + ["<|im_start|>user\nHello<|im_end|>\n<think>\n\n</think>"])


def llama():
    t = sentencepiece()
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    check("llama-spm", t, TEXTS, config={
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None,
        "clean_up_tokenization_spaces": True, "model_max_length": 1000000000000000019884624838656,
        "added_tokens_decoder": {"0": {"content": "<unk>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}},
        "tokenizer_class": "LlamaTokenizer"})
    t = sentencepiece(420, False, {"replacement": "▁", "prepend_scheme": "first", "split": False})
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    check("metaspace-first", t, TEXTS)
    t = sentencepiece(420, False, {"replacement": "▁", "prepend_scheme": "always", "split": True})
    t.decoder = decoders.Metaspace()
    check("metaspace-always", t, TEXTS)
    t = sentencepiece(650, True, {"replacement": "▁", "prepend_scheme": "never", "split": True})
    t.decoder = decoders.Metaspace(prepend_scheme="never")
    check("metaspace-never", t, TEXTS)


def characters(extra="", unk=True):
    chars = ["<unk>"] if unk else []
    chars += sorted(set("".join(SHORT) + "abcdefghijklmnopqrstuvwxyzABC<>|[]/_." + extra))
    return models.BPE(vocab={c: i for i, c in enumerate(chars)}, merges=[], unk_token="<unk>" if unk else None)


def splits():
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            t = Tokenizer(characters())
            # ignore_merges makes pieces visible: a piece that is a token stays whole
            t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("-", behavior, invert), pre_tokenizers.Metaspace("#", "always", False)])
            check(f"split-{behavior}{'-invert' if invert else ''}", t, SHORT, sequences=4)
    kinds = {
        "digits": pre_tokenizers.Digits(False), "digits-individual": pre_tokenizers.Digits(True), "punctuation": pre_tokenizers.Punctuation("merged_with_previous"),
        "whitespace": pre_tokenizers.Whitespace(), "whitespace-split": pre_tokenizers.WhitespaceSplit(), "delimiter": pre_tokenizers.CharDelimiterSplit("-"),
        "regex-empty": pre_tokenizers.Split(Regex("x*|$"), "isolated"), "regex-lines": pre_tokenizers.Split(Regex("^.|\\b"), "merged_with_next"),
        "regex-nested-set": pre_tokenizers.Split(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated"),
        "regex-script": pre_tokenizers.Split(Regex(r"\p{Han}+|\p{Hiragana}|[^\r\n\p{L}]\w"), "contiguous"),
    }
    for name, kind in kinds.items():
        t = Tokenizer(characters("#"))
        t.pre_tokenizer = pre_tokenizers.Sequence([kind, pre_tokenizers.Metaspace("#", "always", False)])
        check(name, t, SHORT + ["line\nline", "½ a² _b", "a.b,c!", "中文abc日本"], sequences=4)


def added():
    t = Tokenizer(characters(" ,!ABCĠé"))
    t.normalizer = normalizers.Lowercase()
    t.decoder = decoders.Fuse()
    t.add_special_tokens([AddedToken("<s>", special=True), AddedToken("<mask>", lstrip=True, special=True), AddedToken("<end>", rstrip=True, special=True)])
    t.add_tokens([
        AddedToken("word", single_word=True, normalized=False), AddedToken("Both", lstrip=True, rstrip=True, normalized=False), AddedToken("LOUD", normalized=True),
        AddedToken("ab", normalized=False), AddedToken("abc", normalized=False), AddedToken("abcabd", normalized=False), AddedToken("é", normalized=True, single_word=True),
        AddedToken("end", rstrip=True, normalized=False), AddedToken(" go", lstrip=True, normalized=False), AddedToken(" on", normalized=False),
    ])
    texts = ["", "<s>", "<s><s>", "a <mask> b", "a  <mask>  b", "<end>   a", " <end>", "word", "a word b", "aword", "worda", "word,word", "wordéword", "x  Both  y", "BothBoth",
             " Both  Both ", "loud LOUD Loud", "aLOUDb", "abcabc", "abcabd", "abcabx", "ababc", "é é", "aé éa É", "<mask><end> <mask>", "end go x", "end  go", "end on x", "a  go", "<s", "<S>", "\t<mask>\n<end>\r\n"]
    check("added-tokens", t, texts)
    t = Tokenizer(characters("▁"))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.add_special_tokens([AddedToken("<s>", special=True)])
    t.add_tokens([AddedToken("x y", normalized=True), AddedToken("[tool]", normalized=True)])
    check("added-tokens-prepend", t, ["", "x y", "a x y", "[tool]", " [tool] a", "<s>x y", "a<s>[tool]", "<s> <s>"])


def forms():
    text = "é e\u0301 o\u0323\u0307 o\u0307\u0323 \u212b \u1100\u1161\u11a8 각 ﬁ ① \ufdfa \u0958 x\u0338 \u0344 a\u0305\u0301 \u09c7\u09be \U0001d15e İ ß"
    chars = "".join({c for form in ("NFC", "NFD", "NFKC", "NFKD") for c in __import__("unicodedata").normalize(form, text.lower() + text)})
    kinds = {
        "nfc": normalizers.NFC(), "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC(), "nfkd": normalizers.NFKD(),
        "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()]),
        "collapse": normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(left=True, right=False), normalizers.Lowercase()]),
        "byte-level-normalizer": normalizers.ByteLevel(),
    }
    for name, kind in kinds.items():
        t = Tokenizer(characters(chars + " ĠÃ©"))
        t.normalizer = kind
        check(name, t, [text, text[::-1], "  a \t b  ", "\u0301a", "e" + "\u0323\u0307" * 20, ""] + text.split(), sequences=2)


def affixes():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)])
    check("suffix", train(t, 500, special=["<unk>"], limit_alphabet=60, end_of_word_suffix="</w>"), TEXTS)
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=False))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    check("prefix", train(t, 400, special=["<unk>"], limit_alphabet=50, continuing_subword_prefix="##"), TEXTS)


def chains():
    base = sentencepiece(640)
    kinds = {
        "decoder-none": None,
        "decoder-strip-ends": decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 2, 2)]),
        "decoder-strip-each": decoders.Sequence([decoders.ByteFallback(), decoders.Strip("▁", 1, 1)]),
        "decoder-replace-across": decoders.Sequence([decoders.Fuse(), decoders.Replace("e▁e", "E"), decoders.Replace("▁▁", "_"), decoders.Replace("▁", " ")]),
        "decoder-regex": decoders.Sequence([decoders.Replace(Regex("[aeiou]+"), "*"), decoders.Fuse(), decoders.Replace(Regex("▁+$"), ""), decoders.Metaspace()]),
        "decoder-byte-level-last": decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse(), decoders.ByteLevel()]),
    }
    for name, kind in kinds.items():
        if kind is not None:
            base.decoder = kind
        check(name, base, ["", "Hello  world ", "日本", "🤗🤗 é", " the  end "], sequences=60)


# ---- models other than BPE ----

NASTY = [
    "\u200b\u200d\ufeff a\u00a0b\u2003c\u3000d\u0085e\u180ef", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202babc\u202c", "\u1100\u1161\u11a8\u1112\u1161\u11ab \uac01",
    "e\u0301\u0302\u0303 \u0301x a\u20dd \u0ddc\u0dcf", "\u3400\u4e00\u9fff\uf900\U00020000\U0002a6df\U0002b820\U0002b920x\u3042\u30fc\u30ab", "\u2581 \u2581\u2581a b\u2581", "do not don't I do not, 's . ! ? n't 'm",
    "##ing ##s [CLS] [SEP] [UNK] [MASK]", "\u0915\u094d\u0937\u093f \u0924\u094d\u0930", "\u0660\u0661\u0662 \u00bd \u2167 \u3007 \U0001d7d8", "\uff21\uff22\uff43\u0301 \ufb01 \u2460 \u3392 \u210c",
    "\u0001\u0002\t\n\u000b\u000c\r\u001f\u007f\u008f\u009f\u00ad", "\U000e0001\ue000\uffff\U0010ffff", "end</w> <pad> | h|e||l",
]


def words(model, trainer, size, special=("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"), **kwargs):
    t = Tokenizer(model)
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainer(vocab_size=size, special_tokens=list(special), show_progress=False, **kwargs))
    return t


def wordpiece_model(**kwargs):
    return words(models.WordPiece(unk_token="[UNK]", **kwargs), trainers.WordPieceTrainer, 600, limit_alphabet=90)


def wordlevel_model():
    return words(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer, 200)


def unigram_model(byte_fallback=False, size=400):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", max_piece_length=8, show_progress=False))
    t.decoder = decoders.Metaspace()

    def change(data):
        model = data["model"]
        if byte_fallback:
            model["vocab"] += [[f"<0x{b:02X}>", 0.0] for b in range(256)]
            model["byte_fallback"] = True

    return edited(t, change)


def ends(t, cls="[CLS]", sep="[SEP]"):
    return (sep, t.token_to_id(sep)), (cls, t.token_to_id(cls))


# Rules of every kind: one character for another, fewer, more, none; clusters of several; beginnings of one another.
RULES = {
    "\uff21": "A", "\ufb01": "fi", "\u2460": "1", "\u3392": "MHz", "e\u0301": "\u00e9", "e\u0301\u0302": "\u1ebf", "a\u0301": "xyz", "\u00ad": "", "\u200b": "", "\t": " ", "\n": " ", "\r\n": " ", "\u3000": " ",
    "q": "QR", "\u0924": "T", "\u00a9": "(c)", "\u0600": "<", "\u210c": "H", "\u212b": "\u00c5", "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647",
}


def precompiled_normalizer():
    return normalizers.Precompiled(base64.b64decode(charsmap(RULES)))


def wordpiece():
    t = wordpiece_model()
    t.post_processor = processors.BertProcessing(*ends(t))
    t.decoder = decoders.WordPiece()
    check("bert", t, TEXTS + NASTY)
    t.normalizer = normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=False, clean_text=False, strip_accents=True)
    t.decoder = decoders.WordPiece(cleanup=False, prefix="##")
    check("bert-cased", t, TEXTS + NASTY)
    t = words(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix="", max_input_chars_per_word=12), trainers.WordPieceTrainer, 300, continuing_subword_prefix="")
    t.normalizer = normalizers.BertNormalizer(strip_accents=False)
    t.decoder = decoders.WordPiece(prefix="")
    check("wordpiece-no-prefix", t, TEXTS + NASTY)


def wordlevel():
    t = wordlevel_model()
    t.normalizer = None
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    t.post_processor = processors.Sequence([processors.BertProcessing(*ends(t)), processors.RobertaProcessing(*ends(t), trim_offsets=True, add_prefix_space=False)])
    t.decoder = decoders.BPEDecoder(suffix="e")
    check("wordlevel", t, TEXTS + NASTY)
    for name, step in [("scripts", pre_tokenizers.UnicodeScripts()), ("fixed-length", pre_tokenizers.FixedLength(length=3))]:
        t = Tokenizer(models.WordLevel(vocab={"[UNK]": 0, "\u3042\u30fc\u30ab": 1, "abc": 2}, unk_token="[UNK]"))
        t.pre_tokenizer = step
        t.post_processor = processors.ByteLevel(trim_offsets=True)
        check(name, t, TEXTS + NASTY, sequences=5)


def trimming():
    """White space in tokens, some of them with offsets that mean nothing because unknown characters before them are dropped."""
    vocab = ["<s>", "</s>", "Ġ", "a", "Ċ", "▁", "ĠĠ", "ĠĠĠ", "ĊĠĠĠ", "ĠĠĠa", "aĠ"]
    merges = [("Ġ", "Ġ"), ("ĠĠ", "Ġ"), ("Ċ", "ĠĠĠ"), ("ĠĠĠ", "a"), ("a", "Ġ")]
    texts = ["", "Ġ", "Ġa", "ĠĠĠa", "éĠ", "éĊĠĠĠ", "ééĊĠĠĠ", "éééĊĠĠĠ", "ééééĊĠĠĠa", "éĠĠĠaaĠ", "🤗🤗ĊĠĠĠ", "🤗ĠĠĠ", "aĠĠĠ", "aĠaĠ", "▁Ġa", "▁éa▁a▁▁", "▁already▁there ▁", "▁ ▁▁a b▁"]
    for name, space in [("trim-prefix-space", True), ("trim", False)]:
        t = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(vocab)}, merges=merges))
        t.post_processor = processors.RobertaProcessing(*ends(t, "<s>", "</s>"), trim_offsets=True, add_prefix_space=space)
        check(name, t, texts, sequences=5)


def unigram():
    t = unigram_model()
    t.post_processor = processors.RobertaProcessing(*ends(t, "<s>", "</s>"))
    check("unigram", t, TEXTS + NASTY)
    t = unigram_model(byte_fallback=True)
    t.normalizer = normalizers.Sequence([precompiled_normalizer(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    check("unigram-bytes", t, TEXTS + NASTY)
    t = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", 1.0), ("b", 1.0), ("ab", 2.0), ("abc", 3.5), ("b", 1.0), ("xy", -9.0), ("bab", 3.0)], 0, False))
    check("unigram-ties", t, ["abab", "aabb", "babab", "abcbab", "xyxx", "zzxyzz", "<unk>z", "b\u00e9ab"])
    t = characters("".join(RULES) + "".join(RULES.values()) + "e\u0301\u0302\u0303abcz\u0915\u094d\u200d")
    t = Tokenizer(t)
    t.normalizer = precompiled_normalizer()
    check("precompiled", t, TEXTS + NASTY + ["xqyz", "qe\u0301q", "\u00ad\u00ad", "\u00adx", "e\u0301\u0302\u0303", "a\u0301\u0301", "A\uff21\u0301x", "\u0915\u094d\u0924\u0301", "\u0924\u0301", "\u00a9\u200d\u00a9\u0301", "\u00a9\u0301\u200d\u00a9", "\u0600A", "\r\n\r\u0301"], sequences=5)


def ctc():
    chars = ["<pad>", "<s>", "</s>", "<unk>", "|"] + list("ETAOINHSRDLUMWCFGYPBVK'XJQZ") + [" .", "n't", " n't", "a|b", " do not"]
    t = Tokenizer(models.WordLevel(vocab={c: i for i, c in enumerate(chars)}, unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    t.decoder = decoders.CTC()
    check("ctc", t, ["HELLO|WORLD", "AABB"], sequences=200)
    t.decoder = decoders.Sequence([decoders.Fuse(), decoders.CTC(pad_token="E", word_delimiter_token="A", cleanup=True)])
    check("ctc-fused", t, ["HELLO|WORLD"], sequences=60)


def described(encoding, with_sequences):
    e = {"ids": encoding.ids, "types": encoding.type_ids, "words": [-1 if w is None else w for w in encoding.word_ids],
         "special": encoding.special_tokens_mask, "attention": encoding.attention_mask,
         "characters": [i for pair in encoding.offsets for i in pair]}
    if with_sequences:
        e["sequences"] = [-1 if s is None else s for s in encoding.sequence_ids]
    return e


def encoded(tokenizer, settings, batch):
    """What the reference makes of a batch, or the kind of its error. A panic is one: it says that stride is too large."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    try:
        if settings.get("truncation"):
            tokenizer.enable_truncation(**settings["truncation"])
        if settings.get("padding"):
            tokenizer.enable_padding(**settings["padding"])
        results = tokenizer.encode_batch([tuple(t) if len(t) > 1 else t[0] for t in batch], add_special_tokens=settings["add_special"])
    except BaseException as error:
        if "stride" not in str(error) and "Truncation error" not in str(error):
            raise
        return None
    # Without a post-processor the reference numbers no sequences in overflow and padding, and behind a template in a Sequence it numbers
    # the template's pieces: that is left out.
    numbered = settings["numbered"]
    return [dict(described(e, numbered), overflow=[described(o, numbered) for o in e.overflowing]) for e in results]


def encodings(name, post_processor=None, source=None):
    """Random settings on random texts. tests/tokenizers/<source or name>/tokenizer.json is what is asked."""
    text = (OUT / (source or name) / "tokenizer.json").read_text()
    tokenizer = Tokenizer.from_str(text)
    if post_processor is not None:
        tokenizer.post_processor = post_processor(tokenizer)
        check(name, tokenizer, TEXTS[:12], sequences=0)
    rng = random.Random(name)
    texts = ["", " ", "a", "Hello, world!", "  The quick brown fox ", "naïve café 日本語 🤗", "it's <s> 12 <unk>", " jumps  over", "<|begin_of_text|>x<|eot_id|> y", "one two\nthree"]
    cases = []
    while len(cases) < 60:
        settings = {"add_special": rng.random() < 0.8, "numbered": tokenizer.post_processor is not None and name != "template-before-trim"}
        pairs = rng.random() < 0.6
        added = tokenizer.num_special_tokens_to_add(pairs) if settings["add_special"] else 0
        if rng.random() < 0.8:
            settings["truncation"] = {"max_length": added + rng.choice([0, 1, 2, 3, 4, 5, 7, 10, 15]), "stride": rng.choice([0, 0, 0, 1, 2, 3]),
                                      "strategy": rng.choice(["longest_first", "longest_first", "only_first", "only_second"]), "direction": rng.choice(["left", "right"])}
            if settings["truncation"]["max_length"] == 0:
                continue  # cuddle has another meaning for that
        if rng.random() < 0.5:
            settings["padding"] = {"length": rng.choice([None, None, 8, 20]), "direction": rng.choice(["left", "right"]), "pad_id": rng.randrange(9), "pad_type_id": rng.randrange(3),
                                   "pad_token": "?", "pad_to_multiple_of": rng.choice([None, None, 4, 7])}
        batch = [[rng.choice(texts) for _ in range(2 if pairs else 1)] for _ in range(rng.choice([1, 1, 3]))]
        results = encoded(tokenizer, settings, batch)
        if results is None and sum(case["results"] is None for case in cases) == 12:
            continue
        if results is not None and len(json.dumps(results)) > 6000:
            continue
        cases.append({**settings, "texts": batch, "results": results})
    lines = json.dumps({"made_by": f"tokenizers {tokenizers.__version__}, scripts/make_tokenizer_fixtures.py", "cases": cases}, separators=(",", ":")).replace('{"add_special"', '\n{"add_special"')
    (OUT / name / "encodings.json").write_text(lines + "\n")


def pairs():
    for name in ["gpt2", "gpt2-prefix-space", "llama3", "llama-spm", "added-tokens", "bert", "unigram"]:
        encodings(name)
    template = lambda t: processors.TemplateProcessing(  # noqa: E731
        single="<|endoftext|>:1 $A:0 <|endoftext|>:2", pair="<|endoftext|>:1 $A:3 <|endoftext|> $B:4 <|endoftext|>:5", special_tokens=[("<|endoftext|>", t.token_to_id("<|endoftext|>"))])
    trim = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    encodings("template-types", lambda t: processors.Sequence([trim, template(t)]), "gpt2-prefix-space")
    encodings("template-before-trim", lambda t: processors.Sequence([template(t), trim]), "gpt2")
    encodings("template-twice", lambda t: processors.TemplateProcessing(single="$A Hello:1 $A:2", pair="$B:1 $A $B:2", special_tokens=[("Hello", 42)]), "gpt2")


def check_files(name, files, texts, config=None, sequences=10):
    """A folder without a tokenizer.json, and what transformers (made with 5.24.0) makes of it."""
    from transformers import AutoTokenizer
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data if isinstance(data, bytes) else data.encode())
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_vectors(name, AutoTokenizer.from_pretrained(folder), texts, None, sequences)


def write_vectors(name, tokenizer, texts, config, sequences):
    """What a tokenizer of transformers makes of the texts."""
    folder = OUT / name
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    backend = tokenizer._tokenizer
    backend.no_truncation()
    backend.no_padding()
    rng = random.Random(name)
    cases, decodings = [], []
    for t in texts:
        full, bare = backend.encode(t), backend.encode(t, add_special_tokens=False)
        cases.append({
            "text": t, "ids": full.ids, "offsets": byte_offsets(t, full), "special": full.special_tokens_mask if full.ids != bare.ids else [0] * len(full.ids),
            "ids_no_special": bare.ids, "offsets_no_special": byte_offsets(t, bare), "decoded": decode(tokenizer, full.ids, False), "decoded_skip": decode(tokenizer, full.ids, True)})
        if full.ids == bare.ids and byte_offsets(t, full) == byte_offsets(t, bare):
            del cases[-1]["ids_no_special"], cases[-1]["offsets_no_special"]
    for _ in range(sequences):
        ids = [rng.randrange(len(tokenizer)) for _ in range(rng.choice([0, 1, 2, 5, 12]))]
        decodings.append({"ids": ids, "text": decode(tokenizer, ids, False)})
    single, pair = backend.encode("Hello"), backend.encode("Hello", "world")
    named = {key: getattr(tokenizer, key + "_token_id") for key in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]}
    vectors = {"made_by": f"transformers {__import__('transformers').__version__}, scripts/make_tokenizer_fixtures.py", "cases": cases, "decodings": decodings,
               "named": {key: -1 if value is None else value for key, value in named.items()}, "size": len(tokenizer), "left": tokenizer.padding_side == "left",
               "single": {"ids": single.ids, "types": single.type_ids}, "pair": {"ids": pair.ids, "types": pair.type_ids}}
    lines = json.dumps(vectors, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"').replace('{"ids"', '\n{"ids"')
    (folder / "vectors.json").write_text(lines + "\n")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000, name


FEW = TEXTS[:24] + TEXTS[26:]


def bpe_files(tokenizer, extra=()):
    model = json.loads(tokenizer.to_str())["model"]
    vocab = dict(model["vocab"])
    for token in extra:
        vocab.setdefault(token, len(vocab))
    merges = "#version: 0.2\n" + "".join((m if isinstance(m, str) else " ".join(m)) + "\n" for m in model["merges"])
    return {"vocab.json": json.dumps(vocab), "merges.txt": merges}


def files_bpe():
    base = byte_level()
    check_files("files-gpt2", bpe_files(base, ["<|endoftext|>"]), FEW, {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024})
    check_files("files-opt", dict(bpe_files(base, ["</s>", "<pad>"]), **{"special_tokens_map.json": json.dumps({
        "bos_token": {"content": "</s>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}, "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"})}),
        FEW, {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": False, "errors": "replace"})
    check_files("files-gpt2-model-type", dict(bpe_files(base), **{"config.json": json.dumps({"model_type": "gpt2"}), "added_tokens.json": json.dumps({"<extra>": 560, "<|endoftext|>": 561})}), FEW,
                {"add_prefix_space": True, "add_eos_token": True})
    check_files("files-roberta", bpe_files(base, ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]), FEW,
                {"tokenizer_class": "RobertaTokenizer", "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": True, "rstrip": False, "single_word": False}})
    check_files("files-bart-untrimmed", bpe_files(base, ["<s>", "</s>", "<unk>", "<pad>"]), FEW, {"tokenizer_class": "BartTokenizerFast", "trim_offsets": False, "add_prefix_space": True})
    check_files("files-qwen2", bpe_files(base), FEW, {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {
        str(560 + i): {"content": c, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True} for i, c in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])},
        "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Lowercase()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    train(t, 800, alphabet=alphabet, end_of_word_suffix="</w>")
    check_files("files-clip", bpe_files(t, [c + "</w>" for c in alphabet] + ["<|startoftext|>", "<|endoftext|>"]), [x for x in FEW if x.strip()], {"tokenizer_class": "CLIPTokenizer"}, sequences=0)


def spm_model(name, size, **kwargs):
    import io
    import sentencepiece
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([line for text in CORPUS for line in text.split("\n")]), model_writer=out, vocab_size=size, minloglevel=2, **kwargs)
    return out.getvalue()


def files_spm():
    llama = spm_model("llama", 620, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", character_coverage=0.98, remove_extra_whitespaces=False)
    check_files("files-llama", {"tokenizer.model": llama}, FEW, {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": True, "model_max_length": 2048})
    check_files("files-llama-new", {"tokenizer.model": llama}, FEW, {"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": True, "legacy": False, "pad_token": "<unk>"})
    gemma = spm_model("gemma", 620, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", character_coverage=0.98, add_dummy_prefix=False, remove_extra_whitespaces=False,
                      pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", control_symbols="<mask>")
    check_files("files-gemma", {"tokenizer.model": gemma}, FEW, {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True})


def files_unigram():
    import tempfile
    rules = "".join(f"{ord(a):X}\t{' '.join(f'{ord(c):X}' for c in b)}\n" for a, b in [("ﬁ", "fi"), ("①", "1"), ("Å", "A"), ("\u3000", " "), ("\u00a0", " "), ("\t", " "), ("\u200b", "")])
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:  # nmt_nfkc itself would be 240 kB
        file.write(rules)
        file.flush()
        t5 = spm_model("t5", 175, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=0.98, normalization_rule_tsv=file.name)
    check_files("files-t5", {"spiece.model": t5}, FEW, {"tokenizer_class": "T5Tokenizer", "extra_ids": 100})
    xlmr = spm_model("xlmr", 175, model_type="unigram", character_coverage=0.98, normalization_rule_name="identity")
    check_files("files-xlm-roberta", {"sentencepiece.bpe.model": xlmr}, FEW, {"tokenizer_class": "XLMRobertaTokenizer"})


def files_bert():
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainer)
    vocab = sorted(t.get_vocab().items(), key=lambda item: item[1])
    text = "".join(token + "\n" for token, _ in vocab)
    check_files("files-bert", {"vocab.txt": text}, FEW, {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    check_files("files-bert-cased", {"vocab.txt": text}, FEW, {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False})


def files_tiktoken():
    import base64
    t = byte_level(CL100K % "{1,3}", size=500)
    back = {c: b for b, c in __import__("transformers").convert_slow_tokenizer.bytes_to_unicode().items()}
    vocab = {bytes(back[c] for c in token): rank for token, rank in t.get_vocab().items()}
    data = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in sorted(vocab.items(), key=lambda item: item[1]))
    check_files("files-tiktoken", {"tiktoken.model": data}, FEW, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "add_bos_token": True,
                "added_tokens_decoder": {str(500 + i): {"content": c, "special": True} for i, c in enumerate(["<|begin_of_text|>", "<|end_of_text|>"])}})


if __name__ == "__main__":
    functions = [gpt2, llama3, qwen, llama, splits, added, forms, affixes, chains, wordpiece, wordlevel, trimming, unigram, ctc, pairs, files_bpe, files_spm, files_unigram, files_bert, files_tiktoken]
    for make in functions:
        if len(sys.argv) < 2 or make.__name__ in sys.argv[1:]:
            make()
