/* vocab.json and merges.txt: byte-level BPE as GPT-2 brought it, and its relatives. */
#include "text/convert.h"

#include "format/scanner.h"

#include <stdlib.h>
#include <string.h>

static const char qwen2_regex[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+";
static const char clip_regex[] =
    "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

/* vocab.json is one object; it is copied as it stands, so it is looked through first. */
static cuddle_status put_vocab(cud_conversion *c, const cud_bytes *file, cuddle_error *err)
{
    scanner in;
    char *copy = malloc(file->used + 1); /* scanning decodes in place */
    if (!copy) return cud_nomem(err, file->used + 1, "vocab.json");
    memcpy(copy, file->data, file->used);
    cud_scan_init(&in, copy, file->used, "vocab.json", 0, err);
    cuddle_status status = CUDDLE_OK;
    if (cud_scan_next(&in) != SCAN_ERROR && in.token != SCAN_OBJECT)
        status = cud_fail(err, CUDDLE_E_FORMAT, "vocab.json: the root is not an object");
    while (!status && in.token != SCAN_END) {
        if (in.token == SCAN_ERROR)
            status = CUDDLE_E_FORMAT;
        else
            cud_scan_next(&in);
    }
    free(copy);
    if (!status) status = cud_json_put(&c->json, "\"vocab\":", err);
    return status ? status : cud_bytes_add(&c->json, file->data, file->used, err);
}

static cuddle_status put_merges(cud_conversion *c, const cud_bytes *file, cuddle_error *err)
{
    static const char version[] = "#version";
    const char *line;
    size_t at = 0, length, number = 0;
    bool first = true;
    cuddle_status status = cud_json_put(&c->json, ",\"merges\":[", err);
    while (!status && cud_convert_line(file, &at, &line, &length)) {
        number++;
        if (length >= strlen(version) && memcmp(line, version, strlen(version)) == 0) continue;
        const char *space = memchr(line, ' ', length);
        if (!space || memchr(space + 1, ' ', (size_t)(line + length - space - 1)))
            return cud_fail(err, CUDDLE_E_FORMAT, "merges.txt: line %zu is not two tokens with a space between them", number);
        if (cud_utf8_valid(line, length) < length)
            return cud_fail(err, CUDDLE_E_FORMAT, "merges.txt: line %zu is not UTF-8", number);
        if (!first) status = cud_json_put(&c->json, ",", err);
        if (!status) status = cud_json_put_string(&c->json, line, length, err);
        first = false;
    }
    return status ? status : cud_json_put(&c->json, "]}", err);
}

/* {"model": ..., and what follows it. */
static cuddle_status put(cud_conversion *c, const cud_bytes files[2], const char *model, const char *rest, cuddle_error *err)
{
    cuddle_status status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",", err);
    if (!status) status = cud_json_put(&c->json, model, err);
    if (!status) status = put_vocab(c, &files[0], err);
    if (!status) status = put_merges(c, &files[1], err);
    return status ? status : cud_json_put(&c->json, rest, err);
}

static cuddle_status put_regex(cud_conversion *c, const char *regex, const char *behavior, cuddle_error *err)
{
    cuddle_status status = cud_json_put(&c->json, "{\"type\":\"Split\",\"pattern\":{\"Regex\":", err);
    if (!status) status = cud_json_put_string(&c->json, regex, strlen(regex), err);
    if (!status) status = cud_json_put(&c->json, "},", err);
    return status ? status : cud_json_put(&c->json, behavior, err);
}

cuddle_status cud_convert_byte_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cuddle_status status = cud_convert_flag(&c->add_prefix_space, c, "add_prefix_space", false, err);
    if (status) return status;
    return put(c, files, "",
               c->add_prefix_space ? ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
                                     "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true}}"
                                   : ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
                                     "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}}",
               err);
}

cuddle_status cud_convert_roberta(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cuddle_status status = cud_convert_flag(&c->trim_offsets, c, "trim_offsets", true, err);
    c->single = "c0 A0 s0";
    c->pair = "c0 A0 s0 s0 B0 s0";
    return status ? status : cud_convert_byte_bpe(c, files, err);
}

cuddle_status cud_convert_qwen2(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cuddle_status status = cud_convert_flag(&c->add_prefix_space, c, "add_prefix_space", false, err);
    if (!status)
        status = put(c, files, "",
                     ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
                     "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
                     err);
    if (!status) status = put_regex(c, qwen2_regex, "\"behavior\":\"Isolated\",\"invert\":false},", err);
    if (status) return status;
    return cud_json_put(&c->json,
                        c->add_prefix_space
                            ? "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":false}]}}"
                            : "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}}",
                        err);
}

/* Decoding: transformers replaces "</w>" by a space and strips the text behind the tokenizer's back. */
cuddle_status cud_convert_clip(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    cud_bytes model = { 0 };
    c->single = "b0 A0 e0";
    c->pair = "b0 A0 e0 e0 B0 e0";
    cuddle_status status = cud_json_put(&model, "\"end_of_word_suffix\":\"</w>\",\"unk_token\":", err);
    if (!status) status = unk ? cud_json_put_string(&model, unk, strlen(unk), err) : cud_json_put(&model, "null", err);
    if (!status) status = cud_bytes_add(&model, ",", 2, err); /* with the NUL */
    if (!status)
        status = put(c, files, model.data,
                     ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_"
                     "offsets\":true},"
                     "{\"type\":\"Replace\",\"pattern\":{\"String\":\"</w>\"},\"content\":\" \"},"
                     "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},"
                     "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
                     "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"}]},"
                     "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
                     err);
    if (!status) status = put_regex(c, clip_regex, "\"behavior\":\"Removed\",\"invert\":true},", err);
    if (!status)
        status = cud_json_put(&c->json, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}]}}", err);
    free(model.data);
    return status;
}
