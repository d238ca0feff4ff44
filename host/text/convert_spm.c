/* SentencePiece models, BPE and Unigram, as transformers' classes build tokenizers of them. */
#include "text/convert.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Control and user-defined pieces become added tokens; the control ones are special. */
static cuddle_status keep_extra(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < m->count && !status; i++) {
        const cud_spm_piece *piece = &m->piece[i];
        if ((piece->type == CUD_PIECE_CONTROL || piece->type == CUD_PIECE_USER) && piece->length)
            status = cud_convert_add_extra(c, piece->text, piece->length, piece->type == CUD_PIECE_CONTROL, err);
    }
    return status;
}

/* type: 1 or 2, the model types of cud_spm; 0: either. */
static cuddle_status parse_model(cud_spm *m, cud_conversion *c, const cud_bytes *file, int type, cuddle_error *err)
{
    static const char *const names[] = { "", "Unigram", "BPE" };
    cuddle_status status = cud_spm_parse(m, file->data, file->used, c->class->files[0], err);
    if (!status && type && m->model_type != type)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: a %s model, and a %s is made of a %s one", c->class->files[0],
                          names[m->model_type], c->class->name, names[type]);
    if (status) return status;
    c->charsmap = m->charsmap;
    c->charsmap_length = m->charsmap_length;
    return CUDDLE_OK;
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

/* `order`: the vocabulary as it is written; merges are ranked by the pieces as the model has them. */
static cuddle_status put_bpe(cud_conversion *c, const cud_vocab *pieces, const cud_vocab *order, cuddle_error *err)
{
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    cuddle_status status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",\"fuse_unk\":true,", err);
    if (!status && (c->class->flags & CUD_CLASS_BYTES)) status = cud_json_put(&c->json, "\"byte_fallback\":true,", err);
    if (!status && (c->class->flags & CUD_CLASS_UNKNOWN)) {
        if (!unk) unk = "None"; /* str(None) */
        status = cud_json_put(&c->json, "\"unk_token\":", err);
        if (!status) status = cud_json_put_string(&c->json, unk, strlen(unk), err);
        if (!status) status = cud_json_put(&c->json, ",", err);
    }
    if (!status) status = cud_json_put(&c->json, "\"vocab\":", err);
    if (!status) status = cud_json_put_vocab(&c->json, order, err);
    if (!status) status = put_merges(&c->json, pieces, err);
    if (!status) status = cud_convert_put_steps(c, err);
    return status ? status : cud_json_put(&c->json, "}", err);
}

static cuddle_status list_pieces(cud_vocab *vocab, const cud_spm *m, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < m->count && !status; i++)
        status = cud_vocab_add(vocab, m->piece[i].text, m->piece[i].length, (int32_t)i, err);
    return status;
}

cuddle_status cud_convert_spm_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    cud_vocab vocab;
    cud_vocab_init(&vocab);
    cuddle_status status = parse_model(&m, c, &files[0], 2, err);
    if (!status) status = keep_extra(c, &m, err);
    if (!status) status = list_pieces(&vocab, &m, err);
    if (!status) status = put_bpe(c, &vocab, &vocab, err);
    cud_vocab_free(&vocab);
    cud_spm_free(&m);
    return status;
}

/* The language of the text, as a token that the template adds. */
static cuddle_status add_language(cud_conversion *c, const char *otherwise, cuddle_error *err)
{
    const char *language = otherwise;
    const cuddle_status status = cud_json_string(&language, &c->config, "src_lang", CUD_JSON_NULLABLE, err);
    c->other[c->others++].text = language;
    return status;
}

/* The named tokens come first, as fairseq had them. */
cuddle_status cud_convert_nllb(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    static const cuddle_special first[] = { CUDDLE_SPECIAL_BOS, CUDDLE_SPECIAL_PAD, CUDDLE_SPECIAL_EOS, CUDDLE_SPECIAL_UNK };
    cud_spm m;
    cud_vocab pieces, order;
    bool legacy = false;
    cud_vocab_init(&pieces);
    cud_vocab_init(&order);
    cuddle_status status = parse_model(&m, c, &files[0], 2, err);
    if (!status) status = add_language(c, "eng_Latn", err);
    if (!status) status = cud_convert_flag(&legacy, c, "legacy_behaviour", false, err);
    if (legacy) {
        c->single = "A0 e0 10";
        c->pair = "A0 B0 e0 10";
    }
    if (!status) status = keep_extra(c, &m, err);
    if (!status) status = list_pieces(&pieces, &m, err);
    for (size_t i = 0; i < sizeof first / sizeof *first && !status; i++) {
        const char *name = cud_convert_named(c, first[i]);
        if (!name) name = "None"; /* str(None) */
        status = cud_vocab_add(&order, name, strlen(name), (int32_t)i, err);
    }
    for (size_t i = 0; i < m.count && !status; i++)
        if (cud_vocab_find(&order, m.piece[i].text, m.piece[i].length) < 0)
            status = cud_vocab_add(&order, m.piece[i].text, m.piece[i].length, (int32_t)order.count, err);
    if (!status) status = put_bpe(c, &pieces, &order, err);
    cud_vocab_free(&pieces);
    cud_vocab_free(&order);
    cud_spm_free(&m);
    return status;
}

/* ---- Unigram ---- */

typedef struct scored { /* a Unigram vocabulary while it is written */
    cud_conversion *c;
    const char *unk;      /* looked for */
    bool any_score;       /* or only with a score of 0 */
    int64_t count, found; /* found: its id; -1: not yet */
} scored;

static cuddle_status put_scored(scored *out, const char *s, size_t length, float score, cuddle_error *err)
{
    cud_bytes *json = &out->c->json;
    if (out->found < 0 && out->unk && strlen(out->unk) == length && memcmp(out->unk, s, length) == 0 &&
        (out->any_score || score == 0))
        out->found = out->count;
    cuddle_status status = cud_json_put(json, out->count++ ? ",[" : "[", err);
    if (!status) status = cud_json_put_string(json, s, length, err);
    if (!status) status = cud_json_put(json, ",", err);
    if (!status) status = cud_json_put_number(json, (double)score, err);
    return status ? status : cud_json_put(json, "]", err);
}

static cuddle_status put_listed(scored *out, const cud_convert_piece *list, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (const cud_convert_piece *p = list; p && isfinite(p->score) && !status; p++) {
        const char *text = p->text ? p->text : cud_convert_named(out->c, p->named);
        if (!text) text = "None"; /* str(None) */
        status = put_scored(out, text, strlen(text), p->score, err);
    }
    return status;
}

static cuddle_status put_pieces(scored *out, const cud_spm *m, size_t from, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = from; i < m->count && !status; i++)
        status = put_scored(out, m->piece[i].text, m->piece[i].length, m->piece[i].score, err);
    return status;
}

static cuddle_status begin_unigram(scored *out, cud_conversion *c, cuddle_error *err)
{
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    *out = (scored){ .c = c, .unk = unk ? unk : "None", .found = -1, .any_score = c->class->flags & CUD_CLASS_UNKNOWN_NAME };
    return cud_json_put(&c->json,
                        c->model & CUD_MODEL_BYTES ? "{\"model\":{\"type\":\"Unigram\",\"byte_fallback\":true,\"vocab\":["
                                                   : "{\"model\":{\"type\":\"Unigram\",\"byte_fallback\":false,\"vocab\":[",
                        err);
}

static cuddle_status end_unigram(scored *out, const cud_spm *m, cuddle_error *err)
{
    const cud_recipe *class = out->c->class;
    const bool looked_up = class->flags & (CUD_CLASS_UNKNOWN_SCORE | CUD_CLASS_UNKNOWN_NAME);
    const int64_t unk = looked_up && out->found >= 0 ? out->found : class->unk < 0 ? m->unk_id : class->unk;
    char text[48];
    snprintf(text, sizeof text, "],\"unk_id\":%lld}", (long long)unk);
    cuddle_status status = cud_json_put(&out->c->json, text, err);
    if (!status) status = cud_convert_put_steps(out->c, err);
    return status ? status : cud_json_put(&out->c->json, "}", err);
}

static cuddle_status add_languages(cud_conversion *c, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (const char *const *l = c->class->languages; l && *l && !status; l++)
        status = cud_convert_add_extra(c, *l, strlen(*l), true, err);
    return status;
}

cuddle_status cud_convert_unigram(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    scored out;
    cuddle_status status = parse_model(&m, c, &files[0], 1, err);
    if (!status) status = keep_extra(c, &m, err);
    if (!status) status = begin_unigram(&out, c, err);
    if (!status) status = put_listed(&out, c->class->before, err);
    if (!status) status = put_pieces(&out, &m, (size_t)c->class->skip, err);
    for (const char *const *l = c->class->languages; l && *l && !status; l++) status = put_scored(&out, *l, strlen(*l), 0, err);
    if (!status) status = put_listed(&out, c->class->after, err);
    if (!status) status = end_unigram(&out, &m, err);
    cud_spm_free(&m);
    return status;
}

cuddle_status cud_convert_mbart(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cuddle_status status = add_language(c, "en_XX", err);
    if (!status) status = add_languages(c, err);
    return status ? status : cud_convert_unigram(c, files, err);
}

/* Before the pieces come the tokens that the model was trained to fill in: two masks and tokens of no use. What transformers calls
 * the masks here is not what its class calls them where the file does not say. */
cuddle_status cud_convert_pegasus(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    const char *mask = json_object_get(c->config.value, "mask_token") ? cud_convert_named(c, CUDDLE_SPECIAL_MASK) : "<mask_1>";
    const char *sentences = "<mask_2>";
    const bool is_said = json_object_get(c->config.value, "mask_token_sent") != NULL;
    const cud_convert_piece first[] = { { NULL, CUDDLE_SPECIAL_PAD, 0 },
                                        { NULL, CUDDLE_SPECIAL_EOS, 0 },
                                        { NULL, CUDDLE_SPECIAL_EOS, -INFINITY } };
    int64_t offset = 103;
    cud_spm m;
    scored out;
    char text[32];
    cuddle_status status = parse_model(&m, c, &files[0], 1, err);
    if (!status) status = cud_json_int(&offset, &c->config, "offset", CUD_JSON_NULLABLE, 0, 10000, err);
    if (!status) status = cud_json_string(&sentences, &c->config, "mask_token_sent", CUD_JSON_NULLABLE, err);
    if (!status && is_said && !cud_json_has(&c->config, "mask_token_sent")) sentences = NULL;
    const char *special = is_said ? sentences : "<mask_1>";
    if (!status && special) status = cud_convert_add_extra(c, special, strlen(special), true, err);
    if (!status) status = begin_unigram(&out, c, err);
    if (!status) status = put_listed(&out, first, err);
    if (!status && mask) status = put_scored(&out, mask, strlen(mask), 0, err);
    if (!status && sentences && (!mask || strcmp(sentences, mask) != 0))
        status = put_scored(&out, sentences, strlen(sentences), 0, err);
    for (int64_t i = 2; i < offset && !status; i++) {
        snprintf(text, sizeof text, "<unk_%d>", (int)i);
        status = put_scored(&out, text, strlen(text), -100, err);
        if (!status) status = cud_convert_add_extra(c, text, strlen(text), true, err);
    }
    if (!status) status = put_pieces(&out, &m, 2, err);
    if (!status && out.found < 1)
        status =
            cud_fail(err, CUDDLE_E_FORMAT, "%s: no piece \"%.60s\" with a score of 0, which a %s takes for what it does not know",
                     c->class->files[0], out.unk, c->class->name);
    if (!status) status = end_unigram(&out, &m, err);
    cud_spm_free(&m);
    return status;
}

cuddle_status cud_convert_t5(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    scored out;
    int64_t extra = 100;
    char text[32];
    cuddle_status status = cud_json_int(&extra, &c->config, "extra_ids", CUD_JSON_NULLABLE, 0, 10000, err);
    if (status) return status;
    status = parse_model(&m, c, &files[0], 1, err);
    if (!status) status = keep_extra(c, &m, err);
    if (!status) status = begin_unigram(&out, c, err);
    if (!status) status = put_pieces(&out, &m, 0, err);
    for (int64_t i = extra - 1; i >= 0 && !status; i--) {
        snprintf(text, sizeof text, "<extra_id_%d>", (int)i);
        status = put_scored(&out, text, strlen(text), 0, err);
    }
    for (int64_t i = 0; i < extra && !status; i++) {
        snprintf(text, sizeof text, "<extra_id_%d>", (int)i);
        status = cud_convert_add_extra(c, text, strlen(text), true, err);
    }
    if (!status) status = end_unigram(&out, &m, err);
    cud_spm_free(&m);
    return status;
}

/* ---- what a model says of itself ---- */

static cuddle_status put_pattern(cud_bytes *out, const char *s, size_t length, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < length && !status; i++) {
        if (strchr("\\^$.|?*+()[]{}-", s[i])) status = cud_bytes_add(out, "\\", 1, err);
        if (!status) status = cud_bytes_add(out, &s[i], 1, err);
    }
    return status;
}

static size_t characters(const char *s, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

typedef struct user { /* a user-defined piece */
    size_t id, characters;
} user;

static int longest_first(const void *a, const void *b)
{
    const user *x = a, *y = b;
    if (x->characters != y->characters) return x->characters > y->characters ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The step that splits user-defined pieces off, with the NUL. */
static cuddle_status put_users(cud_bytes *out, const cud_spm *m, cuddle_error *err)
{
    cud_bytes pattern = { 0 };
    size_t count = 0;
    user *list = calloc(m->count, sizeof *list);
    if (!list) return cud_nomem(err, m->count * sizeof *list, "user-defined pieces");
    for (size_t i = 0; i < m->count; i++)
        if (m->piece[i].type == CUD_PIECE_USER && m->piece[i].length)
            list[count++] = (user){ i, characters(m->piece[i].text, m->piece[i].length) };
    qsort(list, count, sizeof *list, longest_first);
    cuddle_status status = cud_bytes_reserve(&pattern, 1, err);
    for (size_t i = 0; i < count && !status; i++) {
        if (i) status = cud_bytes_add(&pattern, "|", 1, err);
        if (!status) status = put_pattern(&pattern, m->piece[list[i].id].text, m->piece[list[i].id].length, err);
    }
    if (!status) status = cud_json_put(out, "{\"type\":\"Split\",\"pattern\":{\"Regex\":", err);
    if (!status) status = cud_json_put_string(out, pattern.data, pattern.used, err);
    if (!status) status = cud_json_put(out, "},\"behavior\":\"Isolated\",\"invert\":false}", err);
    if (!status) status = cud_bytes_add(out, "", 1, err);
    free(pattern.data);
    free(list);
    return status;
}

/* A piece whose id is in added_tokens_decoder has its name from there, unless another piece keeps that name. */
static cuddle_status rename_pieces(cud_spm *m, const cud_conversion *c, cuddle_error *err)
{
    const json_t *decoder = json_object_get(c->config.value, "added_tokens_decoder");
    char key[24];
    cud_vocab kept;
    if (!json_object_size(decoder)) return CUDDLE_OK;
    cud_vocab_init(&kept);
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < m->count && !status; i++) {
        snprintf(key, sizeof key, "%zu", i);
        if (!json_object_get(decoder, key)) status = cud_vocab_add(&kept, m->piece[i].text, m->piece[i].length, (int32_t)i, err);
    }
    for (size_t i = 0; i < m->count && !status; i++) {
        snprintf(key, sizeof key, "%zu", i);
        const char *content = json_string_value(json_object_get(json_object_get(decoder, key), "content"));
        if (!content || cud_vocab_find(&kept, content, strlen(content)) >= 0) continue;
        m->piece[i].text = content; /* borrowed from the file's JSON, which outlives the model */
        m->piece[i].length = strlen(content);
    }
    cud_vocab_free(&kept);
    return status;
}

typedef struct scored_row { /* piece `id` cut at byte `cut` */
    float score;
    uint32_t id, cut;
} scored_row;

static int by_score(const void *a, const void *b)
{
    const scored_row *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->cut < y->cut ? -1 : x->cut > y->cut;
}

/* Merges of normal pieces alone, the best scores first. */
static cuddle_status put_scored_merges(cud_bytes *out, const cud_spm *m, cuddle_error *err)
{
    cud_vocab normal;
    scored_row *row = NULL;
    size_t count = 0, room = 0;
    cuddle_status status = CUDDLE_OK;
    cud_vocab_init(&normal);
    for (size_t i = 0; i < m->count && !status; i++)
        if (m->piece[i].type == CUD_PIECE_NORMAL)
            status = cud_vocab_add(&normal, m->piece[i].text, m->piece[i].length, (int32_t)i, err);
    for (uint32_t i = 0; i < normal.count && !status; i++) {
        const char *s = normal.pool + normal.entry[i].offset;
        const uint32_t length = normal.entry[i].length, id = (uint32_t)normal.entry[i].id;
        for (uint32_t cut = 1; cut < length && !status; cut++) {
            if (((unsigned char)s[cut] & 0xc0) == 0x80) continue;
            if (cud_vocab_find(&normal, s, cut) < 0 || cud_vocab_find(&normal, s + cut, length - cut) < 0) continue;
            if (count == room) {
                const size_t more = room ? 2 * room : 4096;
                scored_row *grown = realloc(row, more * sizeof *grown);
                if (!grown) status = cud_nomem(err, more * sizeof *grown, "the merges of a model");
                if (!grown) break;
                row = grown;
                room = more;
            }
            row[count++] = (scored_row){ m->piece[id].score, id, cut };
        }
    }
    if (count) qsort(row, count, sizeof *row, by_score);
    if (!status) status = cud_json_put(out, ",\"merges\":[", err);
    for (size_t i = 0; i < count && !status; i++)
        status = cud_json_put_merge(out, i == 0, m->piece[row[i].id].text, row[i].cut, m->piece[row[i].id].length, err);
    free(row);
    cud_vocab_free(&normal);
    return status ? status : cud_json_put(out, "]}", err);
}

static cuddle_status put_own_bpe(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    cud_vocab vocab;
    cud_vocab_init(&vocab);
    cuddle_status status = list_pieces(&vocab, m, err);
    if (!status) status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",\"fuse_unk\":true,", err);
    if (!status && m->byte_fallback) status = cud_json_put(&c->json, "\"byte_fallback\":true,", err);
    if (!status && c->model & CUD_MODEL_USERS) status = cud_json_put(&c->json, "\"ignore_merges\":true,", err);
    if (!status) status = cud_json_put(&c->json, "\"unk_token\":", err);
    if (!status) status = cud_json_put_string(&c->json, m->special[0], m->special_length[0], err);
    if (!status) status = cud_json_put(&c->json, ",\"vocab\":", err);
    if (!status) status = cud_json_put_vocab(&c->json, &vocab, err);
    if (!status) status = put_scored_merges(&c->json, m, err);
    cud_vocab_free(&vocab);
    if (!status) status = cud_convert_put_steps(c, err);
    return status ? status : cud_json_put(&c->json, "}", err);
}

static cuddle_status put_own_unigram(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    scored out;
    cuddle_status status = begin_unigram(&out, c, err);
    if (!status) status = put_pieces(&out, m, 0, err);
    return status ? status : end_unigram(&out, m, err);
}

static cuddle_status keep_named(cud_conversion *c, const cud_spm *m, cuddle_error *err)
{
    static const cuddle_special which[] = { CUDDLE_SPECIAL_UNK, CUDDLE_SPECIAL_BOS, CUDDLE_SPECIAL_EOS };
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        if (cud_utf8_valid(m->special[i], m->special_length[i]) < m->special_length[i] ||
            memchr(m->special[i], 0, m->special_length[i]))
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: the name of a special piece is not UTF-8 without U+0000",
                            c->class->files[0]);
        if (m->id[i] < 0) continue;
        c->named[which[i]] = strndup(m->special[i], m->special_length[i]);
        if (!c->named[which[i]]) return cud_nomem(err, m->special_length[i] + 1, "special tokens");
    }
    return CUDDLE_OK;
}

cuddle_status cud_convert_spm(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cud_spm m;
    cud_bytes users = { 0 };
    cuddle_status status = parse_model(&m, c, &files[0], 0, err);
    c->model = (m.add_dummy_prefix ? CUD_MODEL_DUMMY : 0u) | (m.remove_extra_whitespaces ? CUD_MODEL_SQUEEZE : 0u) |
               (m.escape_whitespaces ? CUD_MODEL_ESCAPE : 0u) | (m.byte_fallback ? CUD_MODEL_BYTES : 0u);
    for (size_t i = 0; i < m.count && !status; i++) {
        const cud_spm_piece *piece = &m.piece[i];
        if (piece->type == CUD_PIECE_USER && piece->length) c->model |= CUD_MODEL_USERS;
        if (piece->type == CUD_PIECE_CONTROL && piece->length)
            status = cud_convert_add_extra(c, piece->text, piece->length, true, err);
    }
    if (!status) status = keep_named(c, &m, err);
    if (!status && m.model_type == 2) status = rename_pieces(&m, c, err);
    if (!status) status = put_users(&users, &m, err);
    c->users = users.data;
    if (!status) status = m.model_type == 2 ? put_own_bpe(c, &m, err) : put_own_unigram(c, &m, err);
    c->users = NULL;
    free(users.data);
    cud_spm_free(&m);
    return status;
}
