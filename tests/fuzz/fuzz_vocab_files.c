/* The vocabulary files of a checkpoint without a tokenizer.json. First a line with the name of the class that reads them, then the
 * file; where there are two, the second comes behind a NUL. What converts must be a tokenizer.json that loads or is refused. */
#include "text/convert.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t named[CUDDLE_SPECIAL_COUNT] = { 0, 1, 2, 3, 4, 5, 6 };
    const char *begin = (const char *)data, *line = size ? memchr(begin, '\n', size) : NULL;
    char name[64];
    if (!line || (size_t)(line - begin) >= sizeof name) return 0;
    memcpy(name, begin, (size_t)(line - begin));
    name[line - begin] = 0;
    const cud_recipe *class = cud_recipe_named(name);
    if (!class) return 0;
    const size_t left = size - (size_t)(line + 1 - begin);
    cud_bytes files[2] = { { 0 } };
    files[0].data = malloc(left + 1); /* a copy, so that a read past the end is seen */
    require(files[0].data != NULL);
    memcpy(files[0].data, line + 1, left);
    files[0].used = left;
    const char *second = class->files[1] && left ? memchr(files[0].data, 0, left) : NULL;
    if (second) {
        files[0].used = (size_t)(second - files[0].data);
        files[1].used = left - files[0].used - 1;
        files[1].data = malloc(files[1].used + 1);
        require(files[1].data != NULL);
        memcpy(files[1].data, second + 1, files[1].used);
    }
    cuddle_error err = { CUDDLE_OK, "" };
    const json_view config = cud_json_view(NULL, "tokenizer_config.json");
    cud_conversion c;
    const cuddle_status status = cud_convert_files(&c, class, files, &config, &err);
    require(status == err.status);
    if (!status) {
        cuddle_tokenizer *t = NULL;
        cuddle_encoding *e = NULL;
        cud_bytes processor = { 0 };
        const cuddle_status parsed = cud_tokenizer_parse(&t, c.json.data, c.json.used, NULL, 0, &err);
        require(parsed == err.status && (parsed == CUDDLE_OK) == (t != NULL));
        require(!cud_convert_processor(&processor, &c, named, named, NULL));
        if (t && !cud_tokenizer_encode(&e, t, "Hello w\xc3\xb6rld 12", 15, 0, NULL)) cud_encoding_free(e);
        cud_tokenizer_free(t);
        free(processor.data);
    }
    cud_conversion_free(&c);
    free(files[0].data);
    free(files[1].data);
    return 0;
}
