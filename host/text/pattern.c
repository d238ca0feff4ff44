#include "text/pattern.h"

#include <stdlib.h>
#include <string.h>

cuddle_status cud_pattern_parse(cud_pattern *out, const cud_part *in, cuddle_error *err)
{
    *out = (cud_pattern){ 0 };
    json_view json;
    const char *string = NULL, *regex = NULL;
    cuddle_status status = cud_json_object(&json, &in->json, "pattern", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_string(&string, &json, "String", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_json_string(&regex, &json, "Regex", CUD_JSON_OPTIONAL, err);
    if (status) return status;
    if (!string == !regex || json_object_size(json.value) != 1)
        return cud_json_wrong(&in->json, "pattern", err, CUDDLE_E_FORMAT, "one member, \"String\" or \"Regex\"");
    if (regex) return cud_regex_compile(&out->regex, regex, strlen(regex), in->label, err);
    out->length = strlen(string);
    if (!out->length || out->length > CUD_REGEX_MAX)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: %s: a string pattern of %zu bytes, expected 1 to %d", in->label,
                        out->length, CUD_REGEX_MAX);
    out->string = strdup(string);
    return out->string ? CUDDLE_OK : cud_nomem(err, out->length + 1, "a pattern");
}

void cud_pattern_free(cud_pattern *p)
{
    free(p->string);
    cud_regex_free(p->regex);
    *p = (cud_pattern){ 0 };
}

cuddle_status cud_pattern_each(const cud_pattern *p, cud_regex_scratch **scratch, const char *text, size_t length, cud_match_fn fn,
                               void *user, cuddle_error *err)
{
    if (!p->string) return cud_regex_each(p->regex, scratch, text, length, fn, user, err);
    for (size_t at = 0; at < length;) {
        const char *found =
            p->length == 1 ? memchr(text + at, p->string[0], length - at) : memmem(text + at, length - at, p->string, p->length);
        if (!found) break;
        const size_t begin = (size_t)(found - text);
        at = begin + p->length;
        const cuddle_status status = fn(user, begin, at);
        if (status) return status;
    }
    return CUDDLE_OK;
}
