/* The safetensors reader on any bytes: as a whole file, and as a header whose length is right. What is accepted must hold together. */
#include "core/dtype.h"
#include "format/checkpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static void check_tensor(const checkpoint *c, int64_t index, uint64_t *covered)
{
    const cuddle_tensor_info *t = cud_checkpoint_get(c, index);
    require(t && t->rank >= 0 && t->rank <= CUDDLE_MAX_RANK);
    require(cud_checkpoint_find(c, t->name) == index);
    uint64_t bits = (uint64_t)cud_dtype_bits(t->type);
    for (int i = 0; i < t->rank; i++) bits *= (uint64_t)t->shape[i];
    require(bits / 8 == t->bytes && bits % 8 == 0);
    require(index == 0 || t->offset == *covered);
    *covered = t->offset + t->bytes;
    uint8_t byte;
    if (t->bytes) require(cud_checkpoint_read(c, index, &byte, t->bytes - 1, 1, NULL) == CUDDLE_OK);
}

static void open_bytes(const void *bytes, size_t size)
{
    cuddle_error err = { CUDDLE_OK, "" };
    source *s;
    checkpoint *c;
    if (cud_source_open_memory(&s, bytes, size, "fuzz", &err)) return;
    const cuddle_status status = cud_checkpoint_open_source(&c, s, &err);
    require(status == err.status && (status == CUDDLE_OK) == (c != NULL));
    if (!c) {
        require(strncmp(err.text, "fuzz: ", 6) == 0 || status == CUDDLE_E_NOMEM);
        return;
    }
    uint64_t covered = size;
    for (int64_t i = 0; i < cud_checkpoint_count(c); i++) check_tensor(c, i, &covered);
    require(covered == size);
    for (int i = 0; i < cud_checkpoint_metadata_count(c); i++) {
        const char *key, *value;
        require(cud_checkpoint_metadata(c, i, &key, &value, NULL) == CUDDLE_OK && strlen(key) <= size && strlen(value) <= size);
    }
    cud_checkpoint_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_bytes(data, size);
    /* Up to the last '}' is the header, what follows the data. */
    size_t header = size;
    while (header > 0 && data[header - 1] != '}') header--;
    uint8_t *file = malloc(size + 8);
    if (!file) return 0;
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header >> 8 * i);
    if (size) memcpy(file + 8, data, size);
    open_bytes(file, size + 8);
    free(file);
    return 0;
}
