/* A tiktoken file: a line for each token, its bytes in base64 and its rank. A merge's priority is the rank of what it makes. */
#include "text/convert.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tiktoken {
    cud_vocab ranks; /* bytes in the alphabet of ByteLevel to rank */
    cud_bytes text;
} tiktoken;

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Appends the bytes, each as its character of the alphabet. */
static cuddle_status decode(cud_bytes *out, const char *s, size_t length, bool *valid, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    *valid = length && length % 4 == 0;
    for (size_t i = 0; i < length && *valid && !status; i += 4) {
        const bool last = i + 4 == length;
        const int n = !last ? 4 : s[i + 2] == '=' && s[i + 3] == '=' ? 2 : s[i + 3] == '=' ? 3 : 4;
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++) {
            const int digit = k < n ? base64_digit(s[i + (size_t)k]) : 0;
            if (digit < 0) *valid = false;
            bits = bits << 6 | ((uint32_t)digit & 63);
        }
        for (int k = 0; k < n - 1 && *valid && !status; k++) {
            char c[4];
            const size_t size = cud_utf8_encode(c, cud_byte_to_char(bits >> (16 - 8 * k) & 0xff));
            status = cud_bytes_add(out, c, size, err);
        }
    }
    return status;
}

static cuddle_status read_ranks(tiktoken *t, const char *name, const cud_bytes *file, cuddle_error *err)
{
    const char *line;
    size_t at = 0, length, number = 0;
    cuddle_status status = CUDDLE_OK;
    while (!status && cud_convert_line(file, &at, &line, &length)) {
        number++;
        if (!length) continue;
        const char *space = memchr(line, ' ', length);
        const char *digits = space ? space + 1 : line, *end = line + length;
        int64_t rank = 0;
        bool valid = space && digits < end;
        for (; digits < end && valid; digits++) {
            valid = *digits >= '0' && *digits <= '9' && rank <= CUD_TOKENIZER_MAX_ID;
            rank = rank * 10 + (*digits - '0');
        }
        t->text.used = 0;
        if (valid) status = decode(&t->text, line, (size_t)(space - line), &valid, err);
        if (!status && (!valid || rank > CUD_TOKENIZER_MAX_ID))
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: line %zu is not base64, a space and a rank up to %d", name, number,
                            CUD_TOKENIZER_MAX_ID);
        if (!status && cud_vocab_find(&t->ranks, t->text.data, t->text.used) >= 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: the token of line %zu is there twice", name, number);
        if (!status) status = cud_vocab_add(&t->ranks, t->text.data, t->text.used, (int32_t)rank, err);
    }
    if (!status && !t->ranks.count) status = cud_fail(err, CUDDLE_E_FORMAT, "%s: no ranks", name);
    return status;
}

typedef struct merge_row {
    int32_t rank, left, right;
    uint32_t entry, cut;
} merge_row;

static int by_rank(const void *a, const void *b)
{
    const merge_row *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

static cuddle_status list_merges(merge_row **out, size_t *count, const cud_vocab *ranks, cuddle_error *err)
{
    size_t room = 0;
    for (uint32_t i = 0; i < ranks->count; i++) {
        const cud_vocab_entry *e = &ranks->entry[i];
        const char *s = ranks->pool + e->offset;
        for (uint32_t cut = 1; cut < e->length; cut++) {
            if (((unsigned char)s[cut] & 0xc0) == 0x80) continue;
            const int32_t left = cud_vocab_find(ranks, s, cut), right = cud_vocab_find(ranks, s + cut, e->length - cut);
            if (left < 0 || right < 0) continue;
            if (*count == room) {
                const size_t more = room ? 2 * room : 4096;
                merge_row *grown = realloc(*out, more * sizeof *grown);
                if (!grown) return cud_nomem(err, more * sizeof *grown, "the merges of a file");
                *out = grown;
                room = more;
            }
            (*out)[(*count)++] = (merge_row){ e->id, left, right, i, cut };
        }
    }
    if (*count) qsort(*out, *count, sizeof **out, by_rank);
    return CUDDLE_OK;
}

static cuddle_status put_model(cud_conversion *c, const cud_vocab *ranks, cuddle_error *err)
{
    merge_row *row = NULL;
    size_t count = 0;
    cuddle_status status = list_merges(&row, &count, ranks, err);
    if (!status) status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":", err);
    if (!status) status = cud_json_put_vocab(&c->json, ranks, err);
    if (!status) status = cud_json_put(&c->json, ",\"merges\":[", err);
    for (size_t i = 0; i < count && !status; i++) {
        const cud_vocab_entry *e = &ranks->entry[row[i].entry];
        status = cud_json_put_merge(&c->json, i == 0, ranks->pool + e->offset, row[i].cut, e->length, err);
    }
    free(row);
    return status ? status : cud_json_put(&c->json, "]}", err);
}

bool cud_convert_is_tiktoken(const cud_bytes *file)
{
    const char *line;
    size_t at = 0, length = 0, i = 0;
    if (!cud_convert_line(file, &at, &line, &length)) return false;
    while (i < length && base64_digit(line[i]) >= 0) i++;
    while (i < length && line[i] == '=') i++;
    if (!i || i % 4 != 0 || i + 1 >= length || line[i] != ' ') return false;
    for (i++; i < length; i++)
        if (line[i] < '0' || line[i] > '9') return false;
    return true;
}

enum { MOST_RESERVED = 1 << 16 };

/* What added_tokens_decoder has behind the ranks keeps its ids, so tokens of no use fill the gaps, and what is missing to `least`. */
static cuddle_status add_reserved(cud_conversion *c, int32_t ranks, int32_t least, cuddle_error *err)
{
    const json_t *decoder = json_object_get(c->config.value, "added_tokens_decoder");
    const char *key;
    json_t *value;
    long last = (long)ranks + least - 1;
    json_object_foreach((json_t *)(uintptr_t)decoder, key, value)
    {
        char *end;
        const long id = strtol(key, &end, 10);
        if (!*end && id > last) last = id;
    }
    if (last - ranks >= MOST_RESERVED)
        return cud_fail(err, CUDDLE_E_LIMIT,
                        "tokenizer_config.json: \"added_tokens_decoder\" has the id %ld, expected at most %d behind the %d of %s",
                        last, MOST_RESERVED, (int)ranks, c->class->files[0]);
    cuddle_status status = CUDDLE_OK;
    for (long id = ranks; id <= last && !status; id++) {
        char text[40];
        snprintf(text, sizeof text, "%ld", id);
        const char *content = json_string_value(json_object_get(json_object_get(decoder, text), "content"));
        snprintf(text, sizeof text, "<|reserved_token_%ld|>", id);
        if (!content) content = text;
        status = cud_convert_add_extra(c, content, strlen(content), true, err);
    }
    return status;
}

static cuddle_status put_added(cud_conversion *c, int32_t ranks, cuddle_error *err)
{
    char text[128];
    cuddle_status status = cud_json_put(&c->json, ",\"added_tokens\":[", err);
    for (size_t i = 0; i < c->extras && !status; i++) {
        snprintf(text, sizeof text,
                 "%s{\"id\":%d,\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true,"
                 "\"content\":",
                 i ? "," : "", (int)ranks + (int)i);
        status = cud_json_put(&c->json, text, err);
        if (!status) status = cud_json_put_string(&c->json, c->extra[i].text, strlen(c->extra[i].text), err);
        if (!status) status = cud_json_put(&c->json, "}", err);
    }
    return status ? status : cud_json_put(&c->json, "]", err);
}

static cuddle_status convert(cud_conversion *c, const cud_bytes *file, int32_t least, cuddle_error *err)
{
    tiktoken t = { .text = { 0 } };
    cud_vocab_init(&t.ranks);
    cuddle_status status = read_ranks(&t, c->class->files[0], file, err);
    if (!status) status = put_model(c, &t.ranks, err);
    if (!status) status = add_reserved(c, (int32_t)t.ranks.count, least, err);
    if (!status) status = put_added(c, (int32_t)t.ranks.count, err);
    if (!status) status = cud_convert_put_steps(c, err);
    if (!status) status = cud_json_put(&c->json, "}", err);
    free(t.text.data);
    cud_vocab_free(&t.ranks);
    return status;
}

cuddle_status cud_convert_tiktoken(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    c->steps = cud_recipe_named("tiktoken"); /* whatever class it is whose file turned out to be one of tiktoken */
    return convert(c, &files[0], 0, err);
}

/* Kimi's has room for 258 tokens behind its ranks. */
cuddle_status cud_convert_kimi(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    return convert(c, &files[0], 258, err);
}

/* The special tokens of Qwen's first models are in its code, not in a file. */
cuddle_status cud_convert_qwen(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    static const char *const first[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };
    char text[24];
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < sizeof first / sizeof *first && !status; i++)
        status = cud_convert_add_extra(c, first[i], strlen(first[i]), true, err);
    for (int i = 0; i < 205 && !status; i++) {
        snprintf(text, sizeof text, "<|extra_%d|>", i);
        status = cud_convert_add_extra(c, text, strlen(text), true, err);
    }
    return status ? status : convert(c, &files[0], 0, err);
}
