#include "format/checkpoint.h"

#include "core/dtype.h"
#include "format/foreign.h"
#include "format/name_table.h"
#include "format/path.h"
#include "format/safetensors.h"
#include "format/shard_index.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct shard_file {
    source *source;
    st_file file; /* its tensors and names were moved to the checkpoint, what they point to is here */
} shard_file;

struct checkpoint {
    shard_file *shard;
    int shards;
    cuddle_tensor_info *tensor;
    uint32_t count;
    bool *unmapped;   /* [count]; NULL: none is */
    name_table names; /* value: index in tensor */
    int metadata_count;
};

/* Opens the next shard; what goes wrong is undone by cud_checkpoint_free(). Takes the source over. */
static cuddle_status read_shard(checkpoint *c, source *s, cuddle_error *err)
{
    shard_file *shard = &c->shard[c->shards++];
    shard->source = s;
    const cuddle_status status = cud_safetensors_read_header(&shard->file, s, err);
    if (status) return status;
    if (shard->file.metadata_count > (uint32_t)(INT_MAX - c->metadata_count))
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: over %d entries of __metadata__", cud_path_name(s->name), INT_MAX);
    c->metadata_count += (int)shard->file.metadata_count;
    return CUDDLE_OK;
}

cuddle_status cud_checkpoint_open_source(checkpoint **out, source *s, cuddle_error *err)
{
    *out = NULL;
    checkpoint *c = calloc(1, sizeof *c);
    shard_file *shard = calloc(1, sizeof *shard);
    if (!c || !shard) {
        free(c);
        free(shard);
        cud_source_close(s);
        return cud_nomem(err, sizeof *c + sizeof *shard, "a checkpoint");
    }
    c->shard = shard;
    const cuddle_status status = read_shard(c, s, err);
    if (status) {
        cud_checkpoint_free(c);
        return status;
    }
    c->tensor = shard->file.tensor;
    c->count = shard->file.count;
    c->names = shard->file.names;
    shard->file.tensor = NULL;
    shard->file.names = (name_table){ 0 };
    *out = c;
    return CUDDLE_OK;
}

static cuddle_status open_file(checkpoint **out, const char *path, cuddle_error *err)
{
    source *s;
    const cuddle_status status = cud_source_open_file(&s, path, err);
    return status ? status : cud_checkpoint_open_source(out, s, err);
}

/* ------------------------------------------------------------------------------------------------------ an index */

/* Room for `more` tensors. */
static cuddle_status grow(checkpoint *c, uint32_t more, cuddle_error *err)
{
    if (more >= UINT32_MAX - c->count) return cud_fail(err, CUDDLE_E_LIMIT, "a checkpoint of more than %u tensors", UINT32_MAX);
    const size_t wanted = (size_t)c->count + more + 1;
    cuddle_tensor_info *tensor = realloc(c->tensor, wanted * sizeof *tensor);
    if (tensor) c->tensor = tensor;
    bool *unmapped = realloc(c->unmapped, wanted * sizeof *unmapped);
    if (unmapped) c->unmapped = unmapped;
    if (tensor && unmapped) return CUDDLE_OK;
    return cud_nomem(err, wanted * (sizeof *tensor + sizeof *unmapped), "the tensors of a checkpoint");
}

/* Takes over the tensors of shard `number`, mapped or not. */
static cuddle_status take_tensors(checkpoint *c, const shard_index *x, int number, const char *index_file, cuddle_error *err)
{
    const st_file *f = &c->shard[number].file;
    cuddle_status status = grow(c, f->count, err);
    for (uint32_t i = 0; i < f->count && !status; i++) {
        const char *name = f->tensor[i].name;
        const size_t length = strlen(name);
        name_item *twice;
        status = cud_names_add(&c->names, name, length, 0, c->count, &twice, err);
        if (status) return status;
        if (twice)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\" is in shard \"%.50s\" and in shard \"%.50s\"", index_file, name,
                            x->shard[c->tensor[twice->value].shard], x->shard[number]);
        c->unmapped[c->count] = !cud_names_find(&x->names, name, length, 0);
        c->tensor[c->count] = f->tensor[i];
        c->tensor[c->count++].shard = number;
    }
    return status;
}

/* Opens the next shard of the index. */
static cuddle_status add_shard(checkpoint *c, const shard_index *x, const char *directory, const char *index_file, cuddle_error *err)
{
    const int number = c->shards;
    char *path;
    source *s = NULL;
    cuddle_status status = cud_path_join(&path, directory, x->shard[number], err);
    if (status) return status;
    if (!cud_path_exists(path)) status = cud_fail(err, CUDDLE_E_IO, "%s: its shard \"%.100s\" is missing", index_file, x->shard[number]);
    else status = cud_source_open_file(&s, path, err);
    free(path);
    if (!status) status = read_shard(c, s, err);
    if (!status) status = take_tensors(c, x, number, index_file, err);
    if (status) return status;
    st_file *f = &c->shard[number].file; /* its names and metadata stay */
    free(f->tensor);
    f->tensor = NULL;
    cud_names_free(&f->names);
    return CUDDLE_OK;
}

/* Is every tensor where the index says? */
static cuddle_status check_map(const checkpoint *c, const shard_index *x, const char *file, cuddle_error *err)
{
    for (uint32_t i = 0; i < x->count; i++) {
        const shard_entry *e = &x->entry[i];
        const name_item *item = cud_names_find(&c->names, e->name, strlen(e->name), 0);
        if (!item)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\" is not in its shard \"%.80s\"", file, e->name, x->shard[e->shard]);
        if (c->tensor[item->value].shard != e->shard)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\" is in shard \"%.50s\", expected it in \"%.50s\"", file, e->name,
                            x->shard[c->tensor[item->value].shard], x->shard[e->shard]);
    }
    return CUDDLE_OK;
}

static cuddle_status open_shards(checkpoint *c, const shard_index *x, const char *directory, const char *file, cuddle_error *err)
{
    c->shard = calloc((size_t)x->shards, sizeof *c->shard);
    if (!c->shard) return cud_nomem(err, (size_t)x->shards * sizeof *c->shard, "the shards of a checkpoint");
    for (int i = 0; i < x->shards; i++) {
        const cuddle_status status = add_shard(c, x, directory, file, err);
        if (status) return status;
    }
    return check_map(c, x, file, err);
}

static cuddle_status open_index(checkpoint **out, const char *path, cuddle_error *err)
{
    source *s;
    shard_index x = { 0 };
    cuddle_status status = cud_source_open_file(&s, path, err);
    if (status) return status;
    status = cud_shard_index_read(&x, s, err);
    cud_source_close(s);
    checkpoint *c = calloc(1, sizeof *c);
    char *directory = strdup(path);
    if (!status && (!c || !directory)) status = cud_nomem(err, sizeof *c + strlen(path), "a checkpoint");
    if (!status) {
        const char *file = cud_path_name(path);
        directory[file - path] = 0; /* with its slash, so that "/x.json" stays absolute */
        status = open_shards(c, &x, directory, file, err);
    }
    cud_shard_index_free(&x);
    free(directory);
    if (status) {
        cud_checkpoint_free(c);
        return status;
    }
    *out = c;
    return CUDDLE_OK;
}

/* --------------------------------------------------------------------------------------------------- a directory */

static cuddle_status open_directory(checkpoint **out, const char *path, cuddle_error *err)
{
    char *file, *index = NULL;
    cuddle_status status = cud_path_join(&file, path, "model.safetensors", err);
    if (!status) status = cud_path_join(&index, path, "model.safetensors.index.json", err);
    bool whole = false, sharded = false;
    if (!status) status = cud_path_find(&whole, file, err);
    if (!status) status = cud_path_find(&sharded, index, err);
    if (!status) { /* a FIFO, a link to nowhere: opening it says what is wrong, unless the other is a file */
        if (whole && (!sharded || cud_path_is_file(file) || !cud_path_is_file(index))) status = open_file(out, file, err);
        else if (sharded) status = open_index(out, index, err);
        else status = cud_foreign_directory(path, err);
    }
    free(file);
    free(index);
    return status;
}

cuddle_status cud_checkpoint_open(checkpoint **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    if (cud_path_is_directory(path)) return open_directory(out, path, err);
    if (cud_path_has_suffix(path, ".json")) return open_index(out, path, err);
    if (cud_path_is_file(path)) { /* else opening it says what is wrong */
        const cuddle_status status = cud_foreign_file(path, err);
        if (status) return status;
    }
    return open_file(out, path, err);
}

void cud_checkpoint_free(checkpoint *c)
{
    if (!c) return;
    for (int i = 0; i < c->shards; i++) {
        cud_safetensors_free(&c->shard[i].file);
        cud_source_close(c->shard[i].source);
    }
    free(c->shard);
    free(c->tensor);
    free(c->unmapped);
    cud_names_free(&c->names);
    free(c);
}

/* ------------------------------------------------------------------------------------------------------- what it holds */

int64_t cud_checkpoint_count(const checkpoint *c) { return c->count; }

const cuddle_tensor_info *cud_checkpoint_get(const checkpoint *c, int64_t index)
{
    return index >= 0 && index < c->count ? &c->tensor[index] : NULL;
}

int64_t cud_checkpoint_find(const checkpoint *c, const char *name)
{
    const name_item *item = cud_names_find(&c->names, name, strlen(name), 0);
    return item ? (int64_t)item->value : -1;
}

bool cud_checkpoint_unmapped(const checkpoint *c, int64_t index) { return c->unmapped && index >= 0 && index < c->count && c->unmapped[index]; }

int cud_checkpoint_shards(const checkpoint *c) { return c->shards; }

source *cud_checkpoint_source(const checkpoint *c, int shard)
{
    return shard >= 0 && shard < c->shards ? c->shard[shard].source : NULL;
}

const char *cud_checkpoint_shard(const checkpoint *c, int shard)
{
    return shard >= 0 && shard < c->shards ? c->shard[shard].source->name : NULL;
}

cuddle_status cud_checkpoint_read(const checkpoint *c, int64_t index, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    const cuddle_tensor_info *t = cud_checkpoint_get(c, index);
    if (!t) return cud_fail(err, CUDDLE_E_ARG, "tensor %" PRId64 " of %" PRIu32, index, c->count);
    if (offset > t->bytes || bytes > t->bytes - offset)
        return cud_fail(err, CUDDLE_E_ARG, "tensor \"%.100s\": wanted %zu bytes from byte %" PRIu64 " on, it has %" PRIu64, t->name,
                        bytes, offset, t->bytes);
    cuddle_error inner = { CUDDLE_OK, "" };
    const cuddle_status status = cud_source_read(c->shard[t->shard].source, out, t->offset + offset, bytes, &inner);
    return status ? cud_fail(err, status, "tensor \"%.100s\": %s", t->name, inner.text) : CUDDLE_OK;
}

cuddle_status cud_checkpoint_read_rows(const checkpoint *c, int64_t index, void *out, size_t bytes, int64_t first, int64_t count,
                                       cuddle_error *err)
{
    const cuddle_tensor_info *t = cud_checkpoint_get(c, index);
    if (!t) return cud_fail(err, CUDDLE_E_ARG, "tensor %" PRId64 " of %" PRIu32, index, c->count);
    if (t->rank == 0) return cud_fail(err, CUDDLE_E_ARG, "tensor \"%.100s\": a scalar has no rows", t->name);
    if (first < 0 || count < 0 || first > t->shape[0] || count > t->shape[0] - first)
        return cud_fail(err, CUDDLE_E_ARG, "tensor \"%.100s\": wanted %" PRId64 " rows from row %" PRId64 " on, it has %" PRId64, t->name,
                        count, first, t->shape[0]);
    /* Not bytes / shape[0]: that cannot tell whether a row is whole bytes, nor how large one is where there are none. An overflow needs
     * a dimension of 0, and then no rows have bytes. */
    uint64_t bits = (uint64_t)cud_dtype_bits(t->type);
    for (int i = 1; i < t->rank; i++) bits *= (uint64_t)t->shape[i];
    if (t->bytes == 0) bits = 0;
    if (bits % 8)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tensor \"%.100s\": a row is %" PRIu64 " bits of %s, and rows that are not whole bytes "
                        "are not supported", t->name, bits, cud_dtype_name(t->type));
    const uint64_t row = bits / 8, wanted = row * (uint64_t)count;
    if (bytes != wanted)
        return cud_fail(err, CUDDLE_E_ARG, "tensor \"%.100s\": %" PRId64 " rows are %" PRIu64 " bytes, but there are %zu for them", t->name,
                        count, wanted, bytes);
    return cud_checkpoint_read(c, index, out, row * (uint64_t)first, bytes, err);
}

int cud_checkpoint_metadata_count(const checkpoint *c) { return c->metadata_count; }

cuddle_status cud_checkpoint_metadata(const checkpoint *c, int index, const char **key, const char **value, cuddle_error *err)
{
    int64_t rest = index;
    for (int i = 0; i < c->shards && rest >= 0; i++) {
        const st_file *f = &c->shard[i].file;
        if (rest < f->metadata_count) {
            *key = f->metadata[rest].key;
            *value = f->metadata[rest].value;
            return CUDDLE_OK;
        }
        rest -= f->metadata_count;
    }
    return cud_fail(err, CUDDLE_E_ARG, "metadata entry %d of %d", index, c->metadata_count);
}
