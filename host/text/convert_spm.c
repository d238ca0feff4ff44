/* SentencePiece models: Llama and Gemma (BPE), T5 and XLM-RoBERTa (Unigram), each as transformers' class of that name builds it. */
#include "text/convert.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Control and user-defined pieces become added tokens; the control ones are special. */
static cuddle_status keep_extra(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) count += m->piece[i].type == CUD_PIECE_CONTROL;
    c->extra = calloc(count + 1, sizeof *c->extra);
    if (!c->extra) return cud_nomem(err, (count + 1) * sizeof *c->extra, "special tokens");
    for (size_t i = 0; i < m->count; i++) {
        const cud_spm_piece *piece = &m->piece[i];
        if (piece->type == CUD_PIECE_USER)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED,
                            "%s: piece %zu is a user-defined symbol: convert the model to a tokenizer.json first",
                            c->class->files[0], i);
        if (piece->type != CUD_PIECE_CONTROL || !piece->length) continue;
        c->extra[c->extras] = strndup(piece->text, piece->length);
        if (!c->extra[c->extras++]) return cud_nomem(err, piece->length + 1, "special tokens");
    }
    return CUDDLE_OK;
}

static cuddle_status parse_model(cud_spm *m, cud_conversion *c, const cud_bytes *file, int type, cuddle_error *err)
{
    static const char *const names[] = { "", "Unigram", "BPE" };
    cuddle_status status = cud_spm_parse(m, file->data, file->used, c->class->files[0], err);
    if (!status && m->model_type != type)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: a %s model, and a %s is made of a %s one", c->class->files[0],
                          names[m->model_type], c->class->name, names[type]);
    return status ? status : keep_extra(c, m, err);
}

/* ---- BPE ---- */

typedef struct merge_row { /* `piece` cut after `left` characters, at byte `cut` */
    int32_t id;
    uint32_t left, cut, entry;
} merge_row;

static int by_rank(const void *a, const void *b)
{
    const merge_row *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->left < y->left ? -1 : x->left > y->left;
}

/* Each way to cut a piece in two pieces is a merge; they are ranked by the id of the whole, then by where they are cut. */
static cuddle_status list_merges(merge_row **out, size_t *count, const cud_vocab *vocab, cuddle_error *err)
{
    size_t room = 0;
    for (uint32_t i = 0; i < vocab->count; i++) {
        const char *s = vocab->pool + vocab->entry[i].offset;
        const size_t length = vocab->entry[i].length;
        uint32_t left = 0;
        for (size_t cut = 1; cut < length; cut++) {
            if (((unsigned char)s[cut] & 0xc0) == 0x80) continue;
            left++;
            if (cud_vocab_find(vocab, s, cut) < 0 || cud_vocab_find(vocab, s + cut, length - cut) < 0) continue;
            if (*count == room) {
                const size_t more = room ? 2 * room : 4096;
                merge_row *grown = realloc(*out, more * sizeof *grown);
                if (!grown) return cud_nomem(err, more * sizeof *grown, "the merges of a model");
                *out = grown;
                room = more;
            }
            (*out)[(*count)++] = (merge_row){ vocab->entry[i].id, left, (uint32_t)cut, i };
        }
    }
    if (*count) qsort(*out, *count, sizeof **out, by_rank);
    return CUDDLE_OK;
}

static cuddle_status put_merges(cud_bytes *out, const cud_vocab *vocab, cuddle_error *err)
{
    merge_row *row = NULL;
    size_t count = 0;
    cuddle_status status = list_merges(&row, &count, vocab, err);
    if (!status) status = cud_json_put(out, ",\"merges\":[", err);
    for (size_t i = 0; i < count && !status; i++) {
        const cud_vocab_entry *e = &vocab->entry[row[i].entry];
        status = cud_json_put_merge(out, i == 0, vocab->pool + e->offset, row[i].cut, e->length, err);
    }
    free(row);
    return status ? status : cud_json_put(out, "]}", err);
}

static cuddle_status put_bpe(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    cud_vocab vocab;
    cud_vocab_init(&vocab);
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < m->count && !status; i++)
        status = cud_vocab_add(&vocab, m->piece[i].text, m->piece[i].length, (int32_t)i, err);
    if (!status) status = cud_json_put(&c->json, "\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":", err);
    if (!status) status = cud_json_put_vocab(&c->json, &vocab, err);
    if (!status) status = put_merges(&c->json, &vocab, err);
    cud_vocab_free(&vocab);
    return status;
}

cuddle_status cud_convert_llama(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    bool prefix = true, legacy = false;
    char text[512];
    cuddle_status status = cud_convert_flag(&prefix, c, "add_prefix_space", true, err);
    if (!status) status = cud_convert_flag(&legacy, c, "legacy", false, err);
    if (status) return status;
    snprintf(
        text, sizeof text,
        ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\",\"split\":false},"
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
        "\"content\":\" \"},"
        "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}%s]}}",
        !prefix  ? "never"
        : legacy ? "always"
                 : "first",
        prefix ? ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}" : "");
    status = parse_model(&m, c, &files[0], 2, err);
    if (!status) status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",", err);
    if (!status) status = put_bpe(c, &m, err);
    if (!status) status = cud_json_put(&c->json, text, err);
    cud_spm_free(&m);
    return status;
}

cuddle_status cud_convert_gemma(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    cuddle_status status = parse_model(&m, c, &files[0], 2, err);
    if (!status) status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",\"unk_token\":", err);
    if (!status)
        status =
            unk ? cud_json_put_string(&c->json, unk, strlen(unk), err) : cud_json_put(&c->json, "\"None\"", err); /* str(None) */
    if (!status) status = cud_json_put(&c->json, ",", err);
    if (!status) status = put_bpe(c, &m, err);
    if (!status)
        status = cud_json_put(&c->json,
                              ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"},"
                              "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" "
                              "\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false},"
                              "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
                              "\"\xe2\x96\x81\"},\"content\":\" \"},"
                              "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}}",
                              err);
    cud_spm_free(&m);
    return status;
}

/* ---- Unigram ---- */

static cuddle_status put_scored(cud_conversion *c, bool *first, const char *s, size_t length, float score, cuddle_error *err)
{
    cuddle_status status = cud_json_put(&c->json, *first ? "[" : ",[", err);
    *first = false;
    if (!status) status = cud_json_put_string(&c->json, s, length, err);
    if (!status) status = cud_json_put(&c->json, ",", err);
    if (!status) status = cud_json_put_number(&c->json, (double)score, err);
    return status ? status : cud_json_put(&c->json, "]", err);
}

static cuddle_status put_pieces(cud_conversion *c, bool *first, const cud_spm *m, size_t from, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = from; i < m->count && !status; i++)
        status = put_scored(c, first, m->piece[i].text, m->piece[i].length, m->piece[i].score, err);
    return status;
}

static cuddle_status put_base64(cud_bytes *out, const char *data, size_t length, cuddle_error *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < length && !status; i += 3) {
        const size_t n = length - i < 3 ? length - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) bits = bits << 8 | (k < n ? (unsigned char)data[i + k] : 0);
        char text[4] = { digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
                         n > 2 ? digits[bits & 63] : '=' };
        status = cud_bytes_add(out, text, sizeof text, err);
    }
    return status;
}

/* What both Unigram classes have around the vocabulary. */
static cuddle_status put_unigram_end(cud_conversion *c, const cud_spm *m, const char *scheme, cuddle_error *err)
{
    char text[512];
    cuddle_status status = cud_json_put(&c->json, "]}", err);
    if (!status && m->charsmap_length) {
        status = cud_json_put(&c->json, ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"", err);
        if (!status) status = put_base64(&c->json, m->charsmap, m->charsmap_length, err);
        if (!status) status = cud_json_put(&c->json, "\"}", err);
    }
    snprintf(text, sizeof text,
             ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
             "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\",\"split\":true}]},"
             "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\",\"split\":true}}",
             scheme, scheme);
    return status ? status : cud_json_put(&c->json, text, err);
}

cuddle_status cud_convert_t5(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    int64_t extra = 100;
    bool first = true;
    char text[32];
    c->single = "A0 e0";
    c->pair = "A0 e0 B0 e0";
    cuddle_status status = cud_json_int(&extra, &c->config, "extra_ids", CUD_JSON_NULLABLE, 0, 10000, err);
    if (status) return status;
    status = parse_model(&m, c, &files[0], 1, err);
    if (!status)
        status = cud_json_put(&c->json, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"byte_fallback\":false,\"vocab\":[", err);
    if (!status) status = put_pieces(c, &first, &m, 0, err);
    char **grown = status ? NULL : realloc(c->extra, (c->extras + (size_t)extra + 1) * sizeof *grown);
    if (!status && !grown) status = cud_nomem(err, (c->extras + (size_t)extra + 1) * sizeof *grown, "special tokens");
    if (grown) c->extra = grown;
    for (int64_t i = extra - 1; i >= 0 && !status; i--) {
        snprintf(text, sizeof text, "<extra_id_%d>", (int)i);
        status = put_scored(c, &first, text, strlen(text), 0, err);
    }
    for (int64_t i = 0; i < extra && !status; i++) {
        snprintf(text, sizeof text, "<extra_id_%d>", (int)i);
        c->extra[c->extras] = strdup(text);
        if (!c->extra[c->extras++]) status = cud_nomem(err, sizeof text, "special tokens");
    }
    if (!status) status = put_unigram_end(c, &m, "always", err);
    cud_spm_free(&m);
    return status;
}

/* fairseq counted four tokens of its own before the pieces, three of which the model has too, and one behind them. */
cuddle_status cud_convert_xlm_roberta(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    static const cuddle_special before[] = { CUDDLE_SPECIAL_BOS, CUDDLE_SPECIAL_PAD, CUDDLE_SPECIAL_EOS, CUDDLE_SPECIAL_UNK };
    cud_spm m;
    bool first = true, prefix = true;
    c->single = "b0 A0 e0";
    c->pair = "b0 A0 e0 e0 B0 e0";
    cuddle_status status = cud_convert_flag(&prefix, c, "add_prefix_space", true, err);
    if (status) return status;
    status = parse_model(&m, c, &files[0], 1, err);
    if (!status)
        status = cud_json_put(&c->json, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"byte_fallback\":false,\"vocab\":[", err);
    for (size_t i = 0; i < 4 && !status; i++) {
        const char *name = cud_convert_named(c, before[i]);
        status = name ? put_scored(c, &first, name, strlen(name), 0, err)
                      : cud_fail(err, CUDDLE_E_FORMAT,
                                 "tokenizer_config.json: one of bos_token, pad_token, eos_token and unk_token is null");
    }
    if (!status) status = put_pieces(c, &first, &m, 3, err);
    const char *mask = cud_convert_named(c, CUDDLE_SPECIAL_MASK);
    if (!status) status = put_scored(c, &first, mask ? mask : "None", strlen(mask ? mask : "None"), 0, err);
    if (!status) status = put_unigram_end(c, &m, prefix ? "always" : "never", err);
    cud_spm_free(&m);
    return status;
}
