/* vocab.json and merges.txt: byte-level BPE as GPT-2 brought it, and its relatives. */
#include "text/convert.h"

#include "format/scanner.h"

#include <stdlib.h>
#include <string.h>

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

/* Appends what the class says of its model: {"model":{"type":"BPE", and so on. */
static cuddle_status put_model(cud_conversion *c, cuddle_error *err)
{
    const char *unk = cud_convert_named(c, CUDDLE_SPECIAL_UNK);
    cuddle_status status = cud_json_put(&c->json, "{\"model\":{\"type\":\"BPE\",", err);
    if (!status && (c->class->flags & CUD_CLASS_SUFFIX)) status = cud_json_put(&c->json, "\"end_of_word_suffix\":\"</w>\",", err);
    if (status || !unk || !(c->class->flags & CUD_CLASS_UNKNOWN)) return status;
    status = cud_json_put(&c->json, "\"unk_token\":", err);
    if (!status) status = cud_json_put_string(&c->json, unk, strlen(unk), err);
    return status ? status : cud_json_put(&c->json, ",", err);
}

cuddle_status cud_convert_byte_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    cuddle_status status = put_model(c, err);
    if (!status) status = put_vocab(c, &files[0], err);
    if (!status) status = put_merges(c, &files[1], err);
    if (!status) status = cud_convert_put_steps(c, err);
    return status ? status : cud_json_put(&c->json, "}", err);
}

/* transformers' post-processor has the ids of </s> and <s> as they are in the one vocabulary there is. */
cuddle_status cud_convert_herbert(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    c->other[c->others++].id = 2;
    c->other[c->others++].id = 0;
    return cud_convert_byte_bpe(c, files, err);
}

/* What the decoder's input begins with depends on what is to be done with the speech. */
cuddle_status cud_convert_whisper(cud_conversion *c, const cud_bytes files[2], cuddle_error *err)
{
    static const struct {
        const char *single, *pair;
    } templates[] = { { "10 A0 e0", "10 A0 B1 e1" },
                      { "10 20 A0 e0", "10 20 A0 B1 e1" },
                      { "10 20 30 A0 e0", "10 20 30 A0 B1 e1" } };
    const char *task = NULL;
    bool timestamps = false;
    cuddle_status status = cud_json_string(&task, &c->config, "task", CUD_JSON_NULLABLE, err);
    if (!status) status = cud_convert_flag(&timestamps, c, "predict_timestamps", false, err);
    if (status) return status;
    if (cud_json_has(&c->config, "language"))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED,
                        "tokenizer_config.json: \"language\" is set, expected null: its token is taken from a tokenizer.json only");
    if (task && strcmp(task, "transcribe") != 0 && strcmp(task, "translate") != 0)
        return cud_json_wrong(&c->config, "task", err, CUDDLE_E_FORMAT, "\"transcribe\" or \"translate\"");
    c->other[c->others++].text = "<|startoftranscript|>";
    if (task) c->other[c->others++].text = strcmp(task, "transcribe") == 0 ? "<|transcribe|>" : "<|translate|>";
    if (!timestamps) c->other[c->others++].text = "<|notimestamps|>";
    c->single = templates[c->others - 1].single;
    c->pair = templates[c->others - 1].pair;
    return cud_convert_byte_bpe(c, files, err);
}
