/* A grammar of any bytes: the first byte is its kind, then comes the source, behind a NUL a text. What compiles is followed byte by byte
 * and at once, with the same result, and a mask agrees with what its tokens' bytes do. */
#include "grammar/grammar.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* Tokens of one byte each and some longer ones, byte-level. */
static cuddle_tokenizer *make_tokenizer(void)
{
    static const char json[] = "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,"
                               "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
                               "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\\\"\":3,\"{\":4,\"}\":5,\"1\":6,\"0\":7,"
                               "\"\xc4\xa0\":8,\"ab\":9,\"\\\":\":10,\"{\\\"\":11,\"\xc3\x83\":12,\"\xc2\xa9\":13,\"\xc3\x83\xc2\xa9\":14,\"aaaa\":15,\"\\\\\":16,\",\":17,\"tru\":18,\"e\":19,\"-\":20}}}";
    cuddle_tokenizer *t = NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    require(cud_tokenizer_parse(&t, json, sizeof json - 1, NULL, 0, &err) == CUDDLE_OK);
    return t;
}

static void follow(cuddle_grammar *g, const cuddle_tokenizer *t, const char *text, size_t length)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cud_matcher *whole = NULL, *slow = NULL;
    uint32_t mask[1];
    size_t taken = 0, one = 0, at = 0;
    require(cud_matcher_new(&whole, g, true, &err) == CUDDLE_OK && cud_matcher_new(&slow, g, true, &err) == CUDDLE_OK);
    cuddle_status status = cud_matcher_bytes(&taken, whole, text, length, &err);
    for (; !status && at < length; at++) {
        status = cud_matcher_bytes(&one, slow, text + at, 1, &err);
        if (status || !one) break;
    }
    require(status == CUDDLE_OK || status == CUDDLE_E_LIMIT);
    if (!status) {
        require(at == taken && cud_matcher_accepts(whole) == cud_matcher_accepts(slow) && cud_matcher_is_over(whole) == cud_matcher_is_over(slow));
        status = cud_matcher_mask(mask, 1, whole, &err);
        require(status == CUDDLE_OK || status == CUDDLE_E_LIMIT);
        for (int32_t id = 0; id < cud_tokenizer_size(t) && !status; id++) { /* of two that stand at the same place one moves on */
            if (!(mask[0] >> id & 1)) {
                require(cud_matcher_token(slow, id, NULL) != CUDDLE_OK);
                continue;
            }
            require(cud_matcher_token(whole, id, NULL) == CUDDLE_OK);
            break;
        }
    }
    cud_matcher_free(whole);
    cud_matcher_free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    const char *source = (const char *)data + 1, *end = memchr(source, 0, size - 1);
    const size_t length = end ? (size_t)(end - source) : size - 1;
    cuddle_tokenizer *t = make_tokenizer();
    cuddle_grammar *g = NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_grammar_options o;
    cuddle_grammar_options_init(&o, sizeof o);
    static const cuddle_grammar_kind kinds[] = { CUDDLE_GRAMMAR_JSON_SCHEMA, CUDDLE_GRAMMAR_REGEX, CUDDLE_GRAMMAR_GBNF, CUDDLE_GRAMMAR_CHOICE };
    o.kind = kinds[*data % 4];
    o.source = source;
    o.length = length;
    char *copy = strndup(source, length);
    const char *choices[] = { copy, copy + length / 2, "x", copy + length };
    o.choices = choices;
    o.choice_count = 4;
    o.max_memory = 1 << 20;
    o.max_steps = 100000;
    o.max_depth = 64;
    require(copy != NULL);
    const cuddle_status status = cuddle_grammar_compile(&g, t, &o, &err);
    require(status == err.status && (status == CUDDLE_OK) == (g != NULL) && status != CUDDLE_E_INTERNAL && status != CUDDLE_E_NOMEM);
    require(!status || err.text[0]);
    if (g) follow(g, t, end ? end + 1 : source, end ? size - 2 - length : length);
    cuddle_grammar_free(g);
    cud_tokenizer_free(t);
    free(copy);
    return 0;
}
