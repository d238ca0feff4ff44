/* The lists of steps in a class's row: which of them apply, and how they are written. */
#include "text/convert.h"

#include <string.h>

const char cud_convert_charsmap[] = "Precompiled", cud_convert_users[] = "Split";

static bool model_says(const cud_conversion *c, const char *word, size_t length)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = { { "dummy", CUD_MODEL_DUMMY },
                  { "squeeze", CUD_MODEL_SQUEEZE },
                  { "escape", CUD_MODEL_ESCAPE },
                  { "bytes", CUD_MODEL_BYTES },
                  { "users", CUD_MODEL_USERS } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == length && memcmp(words[i].word, word, length) == 0) return c->model & words[i].flag;
    return c->charsmap_length > 0;
}

/* One condition of a list of them; *at moves behind it. */
static cuddle_status next_condition(bool *holds, const cud_conversion *c, const char **at, cuddle_error *err)
{
    char flag[32];
    const bool no = **at == '!';
    const char *begin = *at + no;
    const size_t length = strcspn(begin, "+- ");
    bool value = model_says(c, begin, length);
    cuddle_status status = CUDDLE_OK;
    *at = begin + length;
    if (**at == '+' || **at == '-') {
        memcpy(flag, begin, length);
        flag[length] = 0;
        status = cud_convert_flag(&value, c, flag, *(*at)++ == '+', err);
    }
    *at += strspn(*at, " ");
    *holds = value != no;
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

static cuddle_status put_step(cud_bytes *out, const cud_conversion *c, const char *json, cuddle_error *err)
{
    if (json == cud_convert_users) return cud_json_put(out, c->users, err);
    if (json != cud_convert_charsmap) return cud_json_put(out, json, err);
    cuddle_status status = cud_json_put(out, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"", err);
    if (!status) status = put_base64(out, c->charsmap, c->charsmap_length, err);
    return status ? status : cud_json_put(out, "\"}", err);
}

cuddle_status cud_convert_put_list(cud_bytes *out, bool *any, const cud_conversion *c, const cud_convert_step *list,
                                   cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    *any = false;
    for (const cud_convert_step *step = list; step && step->json && !status; step++) {
        bool all = true, holds = true;
        for (const char *at = step->when; at && *at && !status; all &= holds) status = next_condition(&holds, c, &at, err);
        if (status || !all) continue;
        if (*any) status = cud_json_put(out, ",", err);
        if (!status) status = put_step(out, c, step->json, err);
        *any = true;
    }
    return status;
}

cuddle_status cud_convert_put_steps(cud_conversion *c, cuddle_error *err)
{
    const struct {
        const char *begin;
        const cud_convert_step *list;
    } parts[] = { { ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[", c->steps->normalizer },
                  { ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[", c->steps->pre_tokenizer },
                  { ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[", c->steps->decoder } };
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !status; i++) {
        bool any;
        if (!parts[i].list) continue;
        status = cud_json_put(&c->json, parts[i].begin, err);
        if (!status) status = cud_convert_put_list(&c->json, &any, c, parts[i].list, err);
        if (!status) status = cud_json_put(&c->json, "]}", err);
    }
    return status;
}
