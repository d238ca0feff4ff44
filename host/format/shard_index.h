/* model.safetensors.index.json: which file holds which tensor. {"metadata": anything, "weight_map": {tensor: file name}} */
#ifndef CUD_FORMAT_SHARD_INDEX_H
#define CUD_FORMAT_SHARD_INDEX_H

#include "core/source.h"
#include "core/status.h"
#include "format/name_table.h"

#define CUD_SHARD_INDEX_MAX ((size_t)64 << 20) /* bytes of the file */
#define CUD_SHARD_MAX 4096                     /* shards; each is an open file */

typedef struct shard_entry {
    const char *name;
    int shard; /* index in shard_index.shard */
} shard_entry;

typedef struct shard_index {
    char *text;         /* of the file; all names lie in it */
    shard_entry *entry; /* in the order of the file */
    uint32_t count;
    const char **shard; /* file names, each once, in name order; without any folder */
    int shards;
    name_table names; /* of tensors; value: index in entry */
} shard_index;

/* Shard names that could lead out of the index's folder, and keys that are there twice, are refused. Allocates no more for each byte of
 * the file than safetensors.h says of headers. Failure: *out is all zero. */
cuddle_status cud_shard_index_read(shard_index *out, source *s, cuddle_error *err);
void cud_shard_index_free(shard_index *x);

#endif
