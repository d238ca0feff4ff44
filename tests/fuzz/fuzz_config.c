/* config.json: any bytes give a spec or one sentence. */
#include "models/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16) return 0;
    json_t *root = NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_status status = cud_json_parse(&root, data, size, "config.json", &err);
    if (!status) {
        const json_view view = cud_json_view(root, "config.json");
        spec s;
        status = cud_config_read(&s, &view, NULL, &err);
        if (!status && (s.stacks < 1 || s.stack[0].layers < 1 || !s.stack[0].layer || s.stack[0].proto.heads % s.stack[0].proto.kv_heads)) abort();
        cud_spec_free(&s);
        json_decref(root);
    }
    if (status && (err.status != status || !err.text[0])) abort(); /* a failure without a sentence */
    return 0;
}
