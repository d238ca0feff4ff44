/* What a classifier's outputs mean: transformers/configuration_utils.py. */
#include "models/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_status add_label(spec *s, int64_t id, const char *name, cuddle_error *err)
{
    char made[32];
    snprintf(made, sizeof made, "LABEL_%lld", (long long)id);
    s->label[id] = strdup(name ? name : made);
    return s->label[id] ? CUDDLE_OK : cud_nomem(err, strlen(name ? name : made), "a label");
}

/* "17" is 17; -1 for what is not written as Python writes an int. */
static int64_t id_of(const char *key)
{
    const size_t length = strlen(key);
    if (length == 0 || length > 9 || (key[0] == '0' && length > 1) || strspn(key, "0123456789") != length) return -1;
    return strtol(key, NULL, 10);
}

static cuddle_status read_names(spec *s, const json_view *names, cuddle_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(names->value, key, value) {
        const int64_t id = id_of(key);
        if (id < 0 || id >= s->labels)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: \"id2label\" has %lld labels and the id \"%.40s\", expected 0 to %lld", names->file, (long long)s->labels, key,
                            (long long)s->labels - 1);
        char number[32];
        const char *name = json_string_value(value);
        if (json_is_integer(value)) { /* such files are out there */
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
            name = number;
        }
        if (!name) return cud_json_wrong(names, key, err, CUDDLE_E_FORMAT, "the name of a label");
        const cuddle_status status = add_label(s, id, name, err);
        if (status) return status;
    }
    return CUDDLE_OK;
}

static cuddle_status read_problem(spec *s, const json_view *root, cuddle_error *err)
{
    static const struct { const char *name; problem_kind kind; } kinds[] = {
        { "regression", PROBLEM_REGRESSION },
        { "single_label_classification", PROBLEM_SINGLE_LABEL },
        { "multi_label_classification", PROBLEM_MULTI_LABEL },
    };
    const char *name = NULL;
    const cuddle_status status = cud_json_string(&name, root, "problem_type", CUD_JSON_NULLABLE, err);
    if (status || !name) return status;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) != 0) continue;
        s->problem = kinds[i].kind;
        return CUDDLE_OK;
    }
    return cud_json_wrong(root, "problem_type", err, CUDDLE_E_UNSUPPORTED, "regression, single_label_classification or multi_label_classification");
}

cuddle_status cud_labels_read(spec *s, const json_view *root, cuddle_error *err)
{
    const stack *t = &s->stack[s->stacks - 1];
    if (!(t->heads & (HEAD_SEQUENCE | HEAD_TOKENS))) return CUDDLE_OK;
    json_view names = { .value = NULL };
    int64_t count = 2; /* as transformers has it where nothing is said */
    cuddle_status status = cud_json_object(&names, root, "id2label", CUD_JSON_NULLABLE, err);
    if (!status && names.value) count = (int64_t)json_object_size(names.value);
    else if (!status) status = cud_json_int(&count, root, "num_labels", CUD_JSON_NULLABLE, 1, CUD_MAX_LABELS, err);
    if (!status && (count < 1 || count > CUD_MAX_LABELS))
        status = cud_fail(err, CUDDLE_E_LIMIT, "%s: \"id2label\" has %lld labels, expected 1 to %d", root->file, (long long)count, CUD_MAX_LABELS);
    if (!status) status = read_problem(s, root, err);
    if (status) return status;
    s->label = calloc((size_t)count, sizeof *s->label);
    if (!s->label) return cud_nomem(err, (size_t)count * sizeof *s->label, "labels");
    s->labels = count;
    if (names.value) return read_names(s, &names, err);
    for (int64_t i = 0; i < count && !status; i++) status = add_label(s, i, NULL, err);
    return status;
}
