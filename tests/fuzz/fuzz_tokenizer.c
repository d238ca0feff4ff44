/* A tokenizer.json of any bytes; behind a NUL a text to encode, behind another a tokenizer_config.json. What loads must encode
 * within bounds, and decode as a stream to what it decodes to at once. */
#include "decoding.h"
#include "text/encoding.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static void check_encoding(const cuddle_tokenizer *t, const char *text, size_t length, unsigned flags)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_encoding *e = NULL;
    const cuddle_status status = cud_tokenizer_encode(&e, t, text, length, flags, &err);
    require(status == err.status && (status == CUDDLE_OK) == (e != NULL));
    if (status) return;
    for (size_t i = 0; i < e->count; i++)
        require(e->ids[i] >= 0 && e->begin[i] <= e->end[i] && e->end[i] <= length && e->special[i] <= 1);
    check_decoding(t, e->ids, e->count, flags & 1);
    cud_encoding_free(e);
}

/* A pair, cut and padded as the file says. */
static void check_pair(const cuddle_tokenizer *t, const char *text, size_t length)
{
    const cuddle_tokenize_options o = { .add_special = CUDDLE_ADD_SPECIAL_ON, .truncation = CUDDLE_TRUNCATE_AS_FILE, .padding = CUDDLE_PAD_AS_FILE,
                                        .offsets = CUDDLE_OFFSETS_CHARACTERS };
    const cuddle_tokenize_input input = { text, length, "ab ab", 5 };
    cud_settings settings;
    cuddle_encoding *e = NULL;
    if (cud_settings_resolve(&settings, t, &o, NULL) || settings.pad.length > 4096 || settings.pad.multiple > 4096) return;
    if (cud_tokenizer_encode_input(&e, t, &input, &settings, NULL)) return;
    require(cud_encodings_pad(&e, 1, &settings.pad, NULL) != CUDDLE_E_ARG);
    for (size_t k = 0; k <= e->overflow_count; k++) {
        const cuddle_encoding *one = k ? e->overflow[k - 1] : e;
        for (size_t i = 0; i < one->count; i++)
            require(one->ids[i] >= 0 && one->begin[i] <= one->end[i] && one->attention[i] <= 1 && one->sequence_ids[i] <= 1);
    }
    cud_encoding_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fixed[] = " Hello  w\xc3\xb6rld's <s> 123 \xe6\x97\xa5\xe6\x9c\xac e\xcc\x81\r\n\xf0\x9f\xa4\x97 ";
    static const int32_t ids[] = { 0, 1, 2, 3, 0, 0, 5, 4, 7, 6, 100, 3, 3, 1 };
    const char *json = (const char *)data, *end = json + size;
    const char *text = size ? memchr(json, 0, size) : NULL, *config = NULL;
    const size_t json_size = text ? (size_t)(text - json) : size;
    size_t text_size = 0, config_size = 0;
    if (text) {
        text++;
        config = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;
        text_size = (size_t)((config ? config : end) - text);
        if (config) config_size = (size_t)(end - ++config);
    }
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_tokenizer *t = NULL;
    const cuddle_status status = cud_tokenizer_parse(&t, json, json_size, config, config_size, &err);
    require(status == err.status && (status == CUDDLE_OK) == (t != NULL));
    if (status) return 0;
    for (int32_t id = 0; id < 32 && id < cud_tokenizer_size(t); id++) {
        const char *token = cud_tokenizer_token(t, id);
        require(!token || !strlen(token) || cud_tokenizer_id(t, token) >= -1);
    }
    if (text) check_encoding(t, text, text_size, CUDDLE_TOKENIZE_NO_SPECIAL);
    else check_encoding(t, fixed, sizeof fixed - 1, 0);
    check_pair(t, fixed, sizeof fixed - 1);
    check_decoding(t, ids, sizeof ids / sizeof *ids, 0);
    cud_tokenizer_free(t);
    return 0;
}
