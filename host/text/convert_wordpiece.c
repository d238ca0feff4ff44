/* vocab.txt: WordPiece, one token a line, its id the number of the line. */
#include "text/convert.h"

#include <stdio.h>
#include <string.h>

/* Of a token that is there twice the last line counts, as in a Python dict. */
static cuddle_status read_vocab(cud_vocab *vocab, const cud_bytes *file, cuddle_error *err)
{
    const char *line;
    size_t at = 0, length;
    int32_t id = 0;
    cuddle_status status = CUDDLE_OK;
    for (; !status && cud_convert_line(file, &at, &line, &length); id++) {
        if (cud_utf8_valid(line, length) < length || memchr(line, 0, length))
            return cud_fail(err, CUDDLE_E_FORMAT, "vocab.txt: line %d is not UTF-8 without U+0000", (int)id + 1);
        size_t last;
        while (length && cud_is_white(cud_utf8_decode_before(line, line + length, &last)))
            length -= last; /* as the reference's reader does */
        status = cud_vocab_add(vocab, line, length, id, err);
    }
    return status;
}

static cuddle_status convert(cud_conversion *c, const cud_bytes *file, bool clean, const char *decoder_prefix, cuddle_error *err)
{
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    bool lower = true, chinese = true, accents = true;
    char text[256];
    cud_vocab vocab;
    if (!unk)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer_config.json: \"unk_token\" is null, expected the token for unknown words");
    cuddle_status status = cud_convert_flag(&lower, c, "do_lower_case", true, err);
    if (!status) status = cud_convert_flag(&chinese, c, "tokenize_chinese_chars", true, err);
    if (!status) status = cud_convert_flag(&accents, c, "strip_accents", true, err);
    if (status) return status;
    snprintf(text, sizeof text,
             "},\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":%s,\"handle_chinese_chars\":%s,\"strip_accents\":%s,"
             "\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
             "\"decoder\":{\"type\":\"WordPiece\",\"cleanup\":true,\"prefix\":",
             clean ? "true" : "false", chinese ? "true" : "false",
             cud_json_has(&c->config, "strip_accents") ? accents ? "true" : "false" : "null", lower ? "true" : "false");
    cud_vocab_init(&vocab);
    status = read_vocab(&vocab, file, err);
    if (!status)
        status =
            cud_json_put(&c->json,
                         "{\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
                         "\"unk_token\":",
                         err);
    if (!status) status = cud_json_put_string(&c->json, unk, strlen(unk), err);
    if (!status) status = cud_json_put(&c->json, ",\"vocab\":", err);
    if (!status) status = cud_json_put_vocab(&c->json, &vocab, err);
    if (!status) status = cud_json_put(&c->json, text, err);
    if (!status) status = cud_json_put_string(&c->json, decoder_prefix, strlen(decoder_prefix), err);
    if (!status) status = cud_json_put(&c->json, "}}", err);
    cud_vocab_free(&vocab);
    return status;
}

cuddle_status cud_convert_bert(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    return convert(c, &files[0], true, "##", err);
}

cuddle_status cud_convert_funnel(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    const char *prefix = "##";
    bool clean = true;
    cuddle_status status = cud_convert_flag(&clean, c, "clean_text", true, err);
    if (!status) status = cud_json_string(&prefix, &c->config, "wordpieces_prefix", CUD_JSON_NULLABLE, err);
    return status ? status : convert(c, &files[0], clean, prefix, err);
}

/* A pair is a question and a text: which of them is the question depends on where a batch is padded. */
cuddle_status cud_convert_splinter(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    const char *side = json_string_value(json_object_get(c->config.value, "padding_side"));
    c->other[c->others++].text = "[QUESTION]";
    c->other[c->others++].text = ".";
    if (side && strcmp(side, "left") == 0) c->pair = "c0 A0 s0 B1 10 20 s1";
    return convert(c, &files[0], true, "##", err);
}
