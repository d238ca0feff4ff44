/* The classes: a row is what transformers 5 builds where its class of that name finds no tokenizer.json. */
#include "text/convert.h"

#include "format/path.h"

#include <math.h>
#include <string.h>

/* clang-format off: one class, one paragraph */

#define END "<|endoftext|>"
#define NAMES(...) .named = { __VA_ARGS__ }
#define BOS(s) [CUDDLE_SPECIAL_BOS] = s
#define EOS(s) [CUDDLE_SPECIAL_EOS] = s
#define UNK(s) [CUDDLE_SPECIAL_UNK] = s
#define SEP(s) [CUDDLE_SPECIAL_SEP] = s
#define PAD(s) [CUDDLE_SPECIAL_PAD] = s
#define CLS(s) [CUDDLE_SPECIAL_CLS] = s
#define MASK(s) [CUDDLE_SPECIAL_MASK] = s
#define FAIRSEQ_NAMES NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>"), SEP("</s>"), PAD("<pad>"), CLS("<s>"), MASK("<mask>"))
#define BERT_NAMES NAMES(UNK("[UNK]"), SEP("[SEP]"), PAD("[PAD]"), CLS("[CLS]"), MASK("[MASK]"))
#define ALBERT_NAMES NAMES(BOS("[CLS]"), EOS("[SEP]"), UNK("<unk>"), SEP("[SEP]"), PAD("<pad>"), CLS("[CLS]"), MASK("[MASK]"))
#define BPE_FILES .files = { "vocab.json", "merges.txt" }, .convert = cud_convert_byte_bpe
#define BERT_FILES .files = { "vocab.txt", NULL }
#define SPM_FILES(file, function) .files = { file, NULL }, .convert = function

#define BERT_ENDS .single = "c0 A0 s0", .pair = "c0 A0 s0 B1 s1"
#define ROBERTA_ENDS .single = "c0 A0 s0", .pair = "c0 A0 s0 s0 B0 s0"
#define FAIRSEQ_ENDS .single = "b0 A0 e0", .pair = "b0 A0 e0 e0 B0 e0"

/* ---- steps ---- */

#define STEPS(...) (const cud_convert_step[]){ __VA_ARGS__, { NULL, NULL } }
#define REPLACE(kind, from, to) "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" from "\"},\"content\":\"" to "\"}"
#define SPACES { REPLACE("Regex", " {2,}", " "), NULL }
#define CHARSMAP { cud_convert_charsmap, "charsmap" }
#define NFC { "{\"type\":\"NFC\"}", NULL }
#define NO_ACCENTS(when) { "{\"type\":\"NFKD\"}", when }, { "{\"type\":\"StripAccents\"}", when }
#define LOWERCASE(when) { "{\"type\":\"Lowercase\"}", when }
#define STRIP_RIGHT { "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}", NULL }
#define STRIP_FIRST(when) { "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}", when }
#define QUOTES { REPLACE("String", "``", "\\\""), NULL }, { REPLACE("String", "''", "\\\""), NULL }
#define ONE_LINE { REPLACE("Regex", "\\\\s{2,}|[\\\\n\\\\r\\\\t]", " "), NULL }

#define SPLIT(kind, pattern, behavior, invert) \
    "{\"type\":\"Split\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"behavior\":\"" behavior "\",\"invert\":" invert "}"
#define WHITESPACE_SPLIT { "{\"type\":\"WhitespaceSplit\"}", NULL }
#define BERT_SPLIT { "{\"type\":\"BertPreTokenizer\"}", NULL }
#define METASPACE(scheme, split, when) \
    { "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"" scheme "\",\"split\":" split "}", when }
#define METASPACE_ALWAYS METASPACE("always", "true", NULL)
#define METASPACE_PREFIX METASPACE("always", "true", "add_prefix_space+"), METASPACE("never", "true", "!add_prefix_space+")
#define BYTE_LEVEL(space, regex, when) \
    { "{\"type\":\"ByteLevel\",\"add_prefix_space\":" space ",\"trim_offsets\":true,\"use_regex\":" regex "}", when }
#define BYTE_LEVEL_SPACE(otherwise, regex) \
    BYTE_LEVEL("true", regex, "add_prefix_space" otherwise), BYTE_LEVEL("false", regex, "!add_prefix_space" otherwise)
#define SUFFIX_DECODER { "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}", NULL }
#define SPM_DECODER { REPLACE("String", "\xe2\x96\x81", " "), NULL }, { "{\"type\":\"ByteFallback\"}", NULL }, { "{\"type\":\"Fuse\"}", NULL }

#define TIKTOKEN_REGEX(digits) \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}" digits "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|" \
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
/* Runs of Han, then words of everything else: a word's characters are letters and marks that are not Han. */
#define KIMI_UPPER "(?:(?!\\\\p{Han})[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}])"
#define KIMI_LOWER "(?:(?!\\\\p{Han})[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}])"
#define KIMI_END "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define KIMI_REGEX \
    "[\\\\p{Han}]+|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?" KIMI_UPPER "*" KIMI_LOWER "+" KIMI_END \
    "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?" KIMI_UPPER "+" KIMI_LOWER "*" KIMI_END \
    "|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define CLIP_REGEX "<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+"

/* ---- pieces ---- */

#define PIECES(...) (const cud_convert_piece[]){ __VA_ARGS__, { NULL, CUDDLE_SPECIAL_BOS, -INFINITY } }
#define NAMED(which) { NULL, CUDDLE_SPECIAL_##which, 0 }
#define FAIRSEQ_PIECES .before = PIECES(NAMED(BOS), NAMED(PAD), NAMED(EOS), NAMED(UNK)), .skip = 3, .after = PIECES(NAMED(MASK)), .unk = 3

#define MBART_LANGUAGES \
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ", "ko_KR", \
    "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN"
static const char *const mbart_languages[] = { MBART_LANGUAGES, NULL };
static const char *const mbart50_languages[] = {
    MBART_LANGUAGES, "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN", "mn_MN", "mr_IN",
    "pl_PL",         "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK", "xh_ZA", "gl_ES", "sl_SI", NULL
};
static const char *const splinter_own[] = { "question_token", "[QUESTION]", NULL };
static const char *const code_llama_own[] = { "prefix_token", "\xe2\x96\x81<PRE>", "middle_token", "\xe2\x96\x81<MID>",
                                              "suffix_token", "\xe2\x96\x81<SUF>", "eot_token",    "\xe2\x96\x81<EOT>",
                                              "fill_token",   "<FILL_ME>",         NULL };

static const cud_recipe classes[] = {
    /* vocab.json and merges.txt */
    { "GPT2Tokenizer", NAMES(BOS(END), EOS(END), UNK(END)), BPE_FILES,
      .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("-", "true")), .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "GPTNeoXTokenizer", NAMES(BOS(END), EOS(END), UNK(END), PAD("<|padding|>")), BPE_FILES, .normalizer = STEPS(NFC),
      .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("-", "true")), .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "CohereTokenizer",
      NAMES(BOS("<BOS_TOKEN>"), EOS("<|END_OF_TURN_TOKEN|>"), UNK("<UNK>"), SEP("<SEP>"), PAD("<PAD>"), CLS("<CLS>"), MASK("<MASK_TOKEN>")),
      BPE_FILES, .flags = CUD_CLASS_LEFT, .normalizer = STEPS(NFC),
      .pre_tokenizer = STEPS({ "{\"type\":\"Digits\",\"individual_digits\":true}", NULL }, BYTE_LEVEL_SPACE("-", "true")),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "Qwen2Tokenizer", NAMES(EOS(END), UNK(END), PAD(END)), BPE_FILES, .normalizer = STEPS(NFC),
      .pre_tokenizer = STEPS({ SPLIT("Regex", TIKTOKEN_REGEX(""), "Isolated", "false"), NULL }, BYTE_LEVEL_SPACE("-", "false")),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "CLIPTokenizer", NAMES(BOS("<|startoftext|>"), EOS(END), UNK(END), PAD(END)), BPE_FILES, .flags = CUD_CLASS_SUFFIX | CUD_CLASS_UNKNOWN,
      FAIRSEQ_ENDS, .normalizer = STEPS(NFC, { REPLACE("Regex", "\\\\s+", " "), NULL }, LOWERCASE(NULL)),
      .pre_tokenizer = STEPS({ SPLIT("Regex", CLIP_REGEX, "Removed", "true"), NULL }, BYTE_LEVEL("false", "true", NULL)),
      /* transformers replaces "</w>" by a space and strips the text behind the tokenizer's back */
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL), { REPLACE("String", "</w>", " "), NULL },
                       { "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}", NULL }) },
    { "RobertaTokenizer", FAIRSEQ_NAMES, BPE_FILES, ROBERTA_ENDS, .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("-", "true")),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)),
      .processor = STEPS(BYTE_LEVEL("true", "true", "trim_offsets+ add_prefix_space-"),
                         BYTE_LEVEL("false", "true", "trim_offsets+ !add_prefix_space-")) },
    { "DebertaTokenizer", NAMES(BOS("[CLS]"), EOS("[SEP]"), UNK("[UNK]"), SEP("[SEP]"), PAD("[PAD]"), CLS("[CLS]"), MASK("[MASK]")), BPE_FILES,
      ROBERTA_ENDS, .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("-", "true")), .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "BlenderbotTokenizer", FAIRSEQ_NAMES, BPE_FILES, .flags = CUD_CLASS_MASK_STRIPS, .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("+", "true")),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "WhisperTokenizer", NAMES(BOS(END), EOS(END), UNK(END)), .files = { "vocab.json", "merges.txt" }, .convert = cud_convert_whisper,
      .pre_tokenizer = STEPS(BYTE_LEVEL_SPACE("-", "true")), .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "HerbertTokenizer", NAMES(UNK("<unk>"), SEP("</s>"), PAD("<pad>"), CLS("<s>"), MASK("<mask>")), .files = { "vocab.json", "merges.txt" },
      .convert = cud_convert_herbert, .flags = CUD_CLASS_SUFFIX | CUD_CLASS_UNKNOWN, .single = "20 A0 10", .pair = "20 A0 10 B1 11",
      .normalizer = STEPS({ "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":false,"
                            "\"lowercase\":false}", NULL }),
      .pre_tokenizer = STEPS(BERT_SPLIT), .decoder = STEPS(SUFFIX_DECODER) },
    { "OpenAIGPTTokenizer", NAMES(UNK("<unk>")), BPE_FILES, .flags = CUD_CLASS_SUFFIX | CUD_CLASS_UNKNOWN,
      .normalizer = STEPS({ "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
                            "\"lowercase\":true}", NULL }),
      .pre_tokenizer = STEPS(BERT_SPLIT), .decoder = STEPS(SUFFIX_DECODER) },

    /* vocab.txt */
    { "BertTokenizer", BERT_NAMES, BERT_FILES, .convert = cud_convert_bert, BERT_ENDS },
    { "MPNetTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("[UNK]"), SEP("</s>"), PAD("<pad>"), CLS("<s>"), MASK("<mask>")), BERT_FILES,
      .convert = cud_convert_bert, .flags = CUD_CLASS_MASK_STRIPS, ROBERTA_ENDS, .processor = STEPS(BYTE_LEVEL("false", "true", NULL)) },
    { "FunnelTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>"), SEP("<sep>"), PAD("<pad>"), CLS("<cls>"), MASK("<mask>")), BERT_FILES,
      .convert = cud_convert_funnel, .single = "c2 A0 s0", .pair = "c2 A0 s0 B1 s1" },
    { "SplinterTokenizer", BERT_NAMES, BERT_FILES, .convert = cud_convert_splinter, .single = "c0 A0 s0", .pair = "c0 A0 10 20 s0 B1 s1",
      .own = splinter_own },

    /* a BPE model of SentencePiece */
    { "LlamaTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>")), SPM_FILES("tokenizer.model", cud_convert_spm_bpe),
      .flags = CUD_CLASS_LEFT | CUD_CLASS_BYTES,
      .pre_tokenizer = STEPS(METASPACE("always", "false", "add_prefix_space+ legacy-"), METASPACE("first", "false", "add_prefix_space+ !legacy-"),
                             METASPACE("never", "false", "!add_prefix_space+")),
      .decoder = STEPS(SPM_DECODER, STRIP_FIRST("add_prefix_space+")) },
    { "CodeLlamaTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>")), SPM_FILES("tokenizer.model", cud_convert_spm_bpe),
      .flags = CUD_CLASS_LEFT | CUD_CLASS_BYTES | CUD_CLASS_UNKNOWN | CUD_CLASS_ADDS_BOS,
      .pre_tokenizer = STEPS(METASPACE("first", "false", "add_prefix_space+"), METASPACE("never", "false", "!add_prefix_space+")),
      .decoder = STEPS(SPM_DECODER, STRIP_FIRST(NULL)), .own = code_llama_own },
    { "GemmaTokenizer", NAMES(BOS("<bos>"), EOS("<eos>"), UNK("<unk>"), PAD("<pad>"), MASK("<mask>")),
      SPM_FILES("tokenizer.model", cud_convert_spm_bpe), .flags = CUD_CLASS_LEFT | CUD_CLASS_BYTES | CUD_CLASS_UNKNOWN,
      .normalizer = STEPS({ REPLACE("String", " ", "\xe2\x96\x81"), NULL }),
      .pre_tokenizer = STEPS({ SPLIT("String", " ", "MergedWithPrevious", "false"), NULL }), .decoder = STEPS(SPM_DECODER) },
    { "ReformerTokenizer", NAMES(EOS("</s>"), UNK("<unk>")), SPM_FILES("spiece.model", cud_convert_spm_bpe), .flags = CUD_CLASS_UNKNOWN,
      .normalizer = STEPS(CHARSMAP, { REPLACE("Regex", " {2,}", " "), "charsmap" }), .pre_tokenizer = STEPS(METASPACE_ALWAYS),
      .decoder = STEPS(METASPACE_ALWAYS) },
    { "NllbTokenizer", FAIRSEQ_NAMES, SPM_FILES("sentencepiece.bpe.model", cud_convert_nllb),
      .flags = CUD_CLASS_UNKNOWN | CUD_CLASS_MASK_STRIPS | CUD_CLASS_MASK_NORMALIZED, .single = "10 A0 e0", .pair = "10 A0 B0 e0",
      .normalizer = STEPS(CHARSMAP, { REPLACE("Regex", " {2,}", " "), "charsmap" }), .pre_tokenizer = STEPS(METASPACE_ALWAYS),
      .decoder = STEPS(METASPACE_ALWAYS) },

    /* a Unigram model of SentencePiece */
    { "T5Tokenizer", NAMES(EOS("</s>"), UNK("<unk>"), PAD("<pad>")), SPM_FILES("spiece.model", cud_convert_t5), .single = "A0 e0",
      .pair = "A0 e0 B0 e0", .unk = 2, .normalizer = STEPS(CHARSMAP), .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_ALWAYS),
      .decoder = STEPS(METASPACE_ALWAYS) },
    { "XLMRobertaTokenizer", FAIRSEQ_NAMES, SPM_FILES("sentencepiece.bpe.model", cud_convert_unigram), FAIRSEQ_ENDS, FAIRSEQ_PIECES,
      .normalizer = STEPS(CHARSMAP), .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_PREFIX), .decoder = STEPS(METASPACE_PREFIX) },
    { "AlbertTokenizer", ALBERT_NAMES, SPM_FILES("spiece.model", cud_convert_unigram), .flags = CUD_CLASS_OWN_ENDS, BERT_ENDS, .unk = 1,
      .normalizer = STEPS(QUOTES, NO_ACCENTS("!keep_accents-"), LOWERCASE("do_lower_case+"), CHARSMAP),
      .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_PREFIX), .decoder = STEPS(METASPACE_PREFIX) },
    { "BarthezTokenizer", FAIRSEQ_NAMES, SPM_FILES("sentencepiece.bpe.model", cud_convert_unigram), .flags = CUD_CLASS_MASK_STRIPS, .unk = 3,
      .normalizer = STEPS(ONE_LINE, NFC, STRIP_RIGHT), .pre_tokenizer = STEPS(METASPACE_PREFIX), .decoder = STEPS(METASPACE_PREFIX) },
    { "BigBirdTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>"), SEP("[SEP]"), PAD("<pad>"), CLS("[CLS]"), MASK("[MASK]")),
      SPM_FILES("spiece.model", cud_convert_unigram), .flags = CUD_CLASS_MASK_STRIPS | CUD_CLASS_UNKNOWN_SCORE, BERT_ENDS, .unk = 100,
      .normalizer = STEPS({ REPLACE("Regex", " {2,}", "\xe2\x96\x81"), NULL }), .pre_tokenizer = STEPS(METASPACE_PREFIX),
      .decoder = STEPS(METASPACE_PREFIX) },
    { "CamembertTokenizer", FAIRSEQ_NAMES, SPM_FILES("sentencepiece.bpe.model", cud_convert_unigram),
      .flags = CUD_CLASS_MASK_STRIPS | CUD_CLASS_UNKNOWN_NAME, FAIRSEQ_ENDS,
      .before = PIECES({ "<s>NOTUSED", CUDDLE_SPECIAL_BOS, 0 }, NAMED(PAD), { "</s>NOTUSED", CUDDLE_SPECIAL_BOS, 0 }, NAMED(UNK),
                       { "<unk>NOTUSED", CUDDLE_SPECIAL_BOS, -100 }),
      .skip = 1, .after = PIECES(NAMED(MASK)), .normalizer = STEPS(CHARSMAP), .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_PREFIX),
      .decoder = STEPS(METASPACE_PREFIX) },
    { "DebertaV2Tokenizer", NAMES(BOS("[CLS]"), EOS("[SEP]"), UNK("[UNK]"), SEP("[SEP]"), PAD("[PAD]"), CLS("[CLS]"), MASK("[MASK]")),
      SPM_FILES("spm.model", cud_convert_unigram), .flags = CUD_CLASS_UNKNOWN_SCORE, BERT_ENDS, .unk = -1,
      .normalizer = STEPS(LOWERCASE("do_lower_case-"), ONE_LINE, NFC, STRIP_RIGHT),
      .pre_tokenizer = STEPS({ "{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}", "split_by_punct-" },
                             METASPACE("always", "true", "add_prefix_space+"), METASPACE("first", "true", "!add_prefix_space+")),
      .decoder = STEPS(METASPACE("always", "true", "add_prefix_space+"), METASPACE("first", "true", "!add_prefix_space+")) },
    { "MBartTokenizer", FAIRSEQ_NAMES, SPM_FILES("sentencepiece.bpe.model", cud_convert_mbart), .flags = CUD_CLASS_MASK_STRIPS,
      .single = "A0 e0 10", .pair = "A0 B0 e0 10", FAIRSEQ_PIECES, .languages = mbart_languages,
      .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_ALWAYS), .decoder = STEPS(METASPACE_ALWAYS) },
    { "MBart50Tokenizer", NAMES(EOS("</s>"), UNK("<unk>"), SEP("</s>"), PAD("<pad>"), CLS("<s>"), MASK("<mask>")),
      SPM_FILES("sentencepiece.bpe.model", cud_convert_mbart), .flags = CUD_CLASS_MASK_STRIPS, .single = "10 A0 e0", .pair = "10 A0 B0 e0",
      .before = PIECES(NAMED(CLS), NAMED(PAD), NAMED(EOS), NAMED(UNK)), .skip = 3, .after = PIECES(NAMED(MASK)), .unk = 3,
      .languages = mbart50_languages, .normalizer = STEPS(CHARSMAP, SPACES), .pre_tokenizer = STEPS(METASPACE_ALWAYS),
      .decoder = STEPS(METASPACE_ALWAYS) },
    { "PegasusTokenizer", NAMES(EOS("</s>"), UNK("<unk>"), PAD("<pad>"), MASK("<mask_2>")), SPM_FILES("spiece.model", cud_convert_pegasus),
      .single = "A0 e0", .pair = "A0 B0 e0", .flags = CUD_CLASS_UNKNOWN_SCORE,
      .normalizer = STEPS(CHARSMAP, { REPLACE("Regex", "\\\\n", " "), "!charsmap" }, SPACES), .pre_tokenizer = STEPS(METASPACE_ALWAYS),
      .decoder = STEPS(METASPACE_ALWAYS) },
    { "RemBertTokenizer", ALBERT_NAMES, SPM_FILES("sentencepiece.model", cud_convert_unigram), .unk = 2, /* its template does not come to be used */
      .normalizer = STEPS(QUOTES, SPACES, NO_ACCENTS("!keep_accents+"), LOWERCASE("do_lower_case-"), CHARSMAP),
      .pre_tokenizer = STEPS(METASPACE_PREFIX), .decoder = STEPS(METASPACE_PREFIX) },
    { "XLNetTokenizer", NAMES(BOS("<s>"), EOS("</s>"), UNK("<unk>"), SEP("<sep>"), PAD("<pad>"), CLS("<cls>"), MASK("<mask>")),
      SPM_FILES("spiece.model", cud_convert_unigram), .flags = CUD_CLASS_LEFT | CUD_CLASS_MASK_STRIPS, .single = "A0 s0 c2",
      .pair = "A0 s0 B1 s1 c2", .unk = -1, .normalizer = STEPS(QUOTES, NO_ACCENTS(NULL), LOWERCASE("do_lower_case-"), CHARSMAP),
      .pre_tokenizer = STEPS(WHITESPACE_SPLIT, METASPACE_ALWAYS), .decoder = STEPS(METASPACE_ALWAYS) },

    /* a SentencePiece model, done as it says itself, or a file of tiktoken */
    { "TokenizersBackend", SPM_FILES("tokenizer.model", cud_convert_spm), .otherwise = "tiktoken", .unk = -1,
      .normalizer = STEPS(CHARSMAP, { REPLACE("Regex", "\\\\A +| +\\\\z", ""), "squeeze" }, { REPLACE("Regex", " {2,}", " "), "squeeze" },
                          { REPLACE("String", " ", "\xe2\x96\x81"), "escape" },
                          { REPLACE("Regex", "\\\\A\xe2\x96\x81", "\xe2\x96\x81\xe2\x96\x81"), "dummy legacy+" }),
      .pre_tokenizer = STEPS(METASPACE("always", "false", "dummy legacy+"), METASPACE("first", "false", "dummy !legacy+"),
                             { cud_convert_users, "users" }),
      .decoder = STEPS({ REPLACE("String", "\xe2\x96\x81", " "), NULL }, { "{\"type\":\"ByteFallback\"}", "bytes" },
                       { "{\"type\":\"Fuse\"}", "dummy" }, STRIP_FIRST("dummy"), { "{\"type\":\"Fuse\"}", "!dummy bytes" }) },
    { "tiktoken", .files = { "tiktoken.model", NULL }, .convert = cud_convert_tiktoken,
      .pre_tokenizer = STEPS({ SPLIT("Regex", TIKTOKEN_REGEX("{1,3}"), "Isolated", "false"), NULL }, BYTE_LEVEL("false", "false", NULL)),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "TikTokenTokenizer", .files = { "tiktoken.model", NULL }, .convert = cud_convert_kimi,
      .pre_tokenizer = STEPS({ SPLIT("Regex", KIMI_REGEX, "Isolated", "false"), NULL }, BYTE_LEVEL("false", "false", NULL)),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
    { "QWenTokenizer", .files = { "qwen.tiktoken", NULL }, .convert = cud_convert_qwen, .normalizer = STEPS(NFC),
      .pre_tokenizer = STEPS({ SPLIT("Regex", TIKTOKEN_REGEX(""), "Isolated", "false"), NULL }, BYTE_LEVEL("false", "false", NULL)),
      .decoder = STEPS(BYTE_LEVEL("true", "true", NULL)) },
};

static const struct { /* other names of a class */
    const char *name, *class;
} other_names[] = {
    { "BartTokenizer", "RobertaTokenizer" },
    { "LongformerTokenizer", "RobertaTokenizer" },
    { "LEDTokenizer", "RobertaTokenizer" },
    { "MvpTokenizer", "RobertaTokenizer" },
    { "CodeGenTokenizer", "GPT2Tokenizer" },
    { "DistilBertTokenizer", "BertTokenizer" },
    { "ElectraTokenizer", "BertTokenizer" },
    { "MobileBertTokenizer", "BertTokenizer" },
    { "SqueezeBertTokenizer", "BertTokenizer" },
    { "ConvBertTokenizer", "BertTokenizer" },
    { "LayoutLMTokenizer", "BertTokenizer" },
    { "LayoutLMv2Tokenizer", "BertTokenizer" },
    { "LxmertTokenizer", "BertTokenizer" },
    { "DPRReaderTokenizer", "BertTokenizer" },
    { "DPRQuestionEncoderTokenizer", "BertTokenizer" },
    { "DPRContextEncoderTokenizer", "BertTokenizer" },
    { "Phi3Tokenizer", "LlamaTokenizer" },
    { "PreTrainedTokenizer", "TokenizersBackend" },
    { "BloomTokenizer", "TokenizersBackend" },
};

const cud_recipe *cud_recipe_named(const char *name)
{
    static const char fast[] = "Fast";
    size_t length = strlen(name);
    if (cud_path_has_suffix(name, fast)) length -= strlen(fast);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strlen(classes[i].name) == length && strncmp(classes[i].name, name, length) == 0) return &classes[i];
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (strlen(other_names[i].name) == length && strncmp(other_names[i].name, name, length) == 0)
            return cud_recipe_named(other_names[i].class);
    return NULL;
}
