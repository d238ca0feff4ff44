/* The files of a sentence-transformers layout, the first byte saying which: any bytes give a layout within its bounds or one sentence. */
#include "tasks/sentence_layout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_modules(const cud_sentence_layout *l)
{
    if (l->modules < 2 || l->modules > CUD_LAYOUT_MODULES) abort();
    if (l->module[0].kind != CUD_MODULE_TRANSFORMER || l->module[1].kind != CUD_MODULE_POOLING) abort();
    for (int i = 0; i < l->modules; i++) {
        const char *path = l->module[i].path;
        if (path[0] == '/' || strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 || strstr(path, "/../")) abort();
    }
}

static void check_module(const cud_module *m, bool pooling)
{
    if (m->in < 1 || m->in > CUD_LAYOUT_WIDTH || m->out < 1 || m->out > CUD_LAYOUT_WIDTH * CUD_POOLING_MODES) abort();
    if (pooling && (m->modes < 1 || m->modes > CUD_POOLING_MODES || m->out != m->in * m->modes)) abort();
    for (int i = 0; i < m->modes; i++)
        if (m->mode[i] > CUD_POOL_LAST) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 16) return 0;
    json_t *root = NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    const int reader = data[0] % 5;
    cuddle_status status = reader ? cud_json_parse(&root, data + 1, size - 1, "config.json", &err)
                                  : cud_json_parse_list(&root, data + 1, size - 1, "modules.json", &err);
    if (!status) {
        const json_view view = cud_json_view(root, reader ? "config.json" : "modules.json");
        cud_sentence_layout l = { 0 };
        switch (reader) {
        case 0: status = cud_layout_read_modules(&l, &view, &err); break;
        case 1: status = cud_layout_read_pooling(&l.module[1], &view, &err); break;
        case 2: status = cud_layout_read_dense(&l.module[2], &view, &err); break;
        case 3: status = cud_layout_read_transformer(&l, &view, &err); break;
        default: status = cud_layout_read_settings(&l, &view, &err); break;
        }
        if (!status && reader == 0) check_modules(&l);
        if (!status && (reader == 1 || reader == 2)) check_module(&l.module[reader], reader == 1);
        if (!status && (l.max_length < 0 || l.truncate < 0 || l.truncate > CUD_LAYOUT_WIDTH || l.prompts > CUD_LAYOUT_PROMPTS)) abort();
        if (!status && l.default_prompt && l.prompts == 0 && l.default_prompt[0]) abort();
        cud_sentence_layout_free(&l);
        json_decref(root);
    }
    if (status && (err.status != status || !err.text[0])) abort(); /* a failure without a sentence */
    return 0;
}
