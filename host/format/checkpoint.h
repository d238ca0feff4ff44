/* What a checkpoint holds: the tensors of one .safetensors file, or of all shards of an index. Headers only; nothing here touches
 * tensor data. Immutable once open, so every function but open and free may be called from any thread. */
#ifndef CUD_FORMAT_CHECKPOINT_H
#define CUD_FORMAT_CHECKPOINT_H

#include "core/source.h"
#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct checkpoint checkpoint;

/* `path` is a .safetensors file, a *.safetensors.index.json, or a directory. In a directory model.safetensors is taken, else
 * model.safetensors.index.json, as transformers does. A directory with other weights only is CUDDLE_E_UNSUPPORTED with a remedy.
 *
 * What transformers does with an index is open every file it names and take what they hold; weight_map itself decides nothing, and of a
 * tensor that is in two files the last one wins. We take the same tensors, but refuse where the index and the headers disagree:
 *   - a shard that is not there, and a tensor that is in none or in another shard than weight_map says;
 *   - a tensor that two shards hold.
 * A tensor that weight_map does not have is taken, and known by cud_checkpoint_unmapped(). metadata.total_size is not checked: files
 * whose sum is wrong are common. */
cuddle_status cud_checkpoint_open(checkpoint **out, const char *path, cuddle_error *err);
/* A single safetensors file from any source (memory, a download). Takes the source over: it is closed by free, and on failure. */
cuddle_status cud_checkpoint_open_source(checkpoint **out, source *s, cuddle_error *err);
void cud_checkpoint_free(checkpoint *c); /* NULL is fine; closes the sources and with them their maps */

/* Tensors in file order: shards in name order, then by offset. */
int64_t cud_checkpoint_count(const checkpoint *c);
/* Borrowed until free; NULL if out of range. */
const cuddle_tensor_info *cud_checkpoint_get(const checkpoint *c, int64_t index);
/* Index of the tensor of this name, or -1. Constant time. */
int64_t cud_checkpoint_find(const checkpoint *c, const char *name);

/* Is it in a shard, but not in the index? */
bool cud_checkpoint_unmapped(const checkpoint *c, int64_t index);

/* One shard = one source = one file. */
int cud_checkpoint_shards(const checkpoint *c);
source *cud_checkpoint_source(const checkpoint *c, int shard);   /* borrowed; NULL if out of range */
const char *cud_checkpoint_shard(const checkpoint *c, int shard); /* its path; NULL if out of range */

/* Reads bytes [offset, offset + bytes) of tensor `index`. CUDDLE_E_ARG if that is not inside the tensor; a failed read names the
 * file and the tensor. */
cuddle_status cud_checkpoint_read(const checkpoint *c, int64_t index, void *out, uint64_t offset, size_t bytes, cuddle_error *err);
/* Reads rows [first, first + count) of tensor `index`, slices of its first dimension; `bytes` must be theirs. CUDDLE_E_ARG if they are not
 * inside the tensor, CUDDLE_E_UNSUPPORTED if a row is not whole bytes. */
cuddle_status cud_checkpoint_read_rows(const checkpoint *c, int64_t index, void *out, size_t bytes, int64_t first, int64_t count,
                                       cuddle_error *err);

/* __metadata__ of all shards, in file order. CUDDLE_E_ARG if index is out of range. */
int cud_checkpoint_metadata_count(const checkpoint *c);
cuddle_status cud_checkpoint_metadata(const checkpoint *c, int index, const char **key, const char **value, cuddle_error *err);

#endif
