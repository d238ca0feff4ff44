/* The shard index on any bytes. What is accepted must hold together. */
#include "format/shard_index.h"

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
    cuddle_error err = { CUDDLE_OK, "" };
    source *s;
    shard_index x;
    if (cud_source_open_memory(&s, data, size, "fuzz", &err)) return 0;
    const cuddle_status status = cud_shard_index_read(&x, s, &err);
    cud_source_close(s);
    require(status == err.status);
    if (status) {
        require(!x.text && !x.entry && !x.shard && !x.names.item);
        return 0;
    }
    require(x.count > 0 && x.shards > 0);
    for (uint32_t i = 0; i < x.count; i++) {
        const name_item *item = cud_names_find(&x.names, x.entry[i].name, strlen(x.entry[i].name), 0);
        require(item && item->value == i && x.entry[i].shard >= 0 && x.entry[i].shard < x.shards);
    }
    for (int i = 0; i < x.shards; i++) {
        require(x.shard[i][0] && !strpbrk(x.shard[i], "/\\") && !strstr(x.shard[i], ".."));
        require(i == 0 || strcmp(x.shard[i - 1], x.shard[i]) < 0);
    }
    cud_shard_index_free(&x);
    return 0;
}
