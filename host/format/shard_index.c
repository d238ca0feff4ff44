#include "format/shard_index.h"

#include "format/path.h"
#include "format/scanner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    scanner in;
    const char *file; /* for messages */
    shard_index *out;
    size_t room;       /* of out->entry */
    name_table keys;   /* of the root */
    name_table shards; /* value: number in order of appearance */
    bool has_map;
    cuddle_error *err;
} reader;

/* Why a name is not that of a file beside the index, or NULL. */
static const char *unsafe(const scanner *in)
{
    if (in->length == 0) return "is empty";
    if (memchr(in->text, 0, in->length)) return "has U+0000 in it";
    if (in->text[0] == '/') return "is absolute";
    if (strchr(in->text, '/')) return "has a '/' in it";
    if (strchr(in->text, '\\')) return "has a '\\' in it";
    if (strstr(in->text, "..")) return "has \"..\" in it";
    if (in->length > 255) return "has more than 255 bytes";
    return NULL;
}

/* The current token is the tensor's name. */
static cuddle_status map_entry(reader *r)
{
    char shown[64];
    shard_index *x = r->out;
    const char *name = r->in.text;
    if (memchr(name, 0, r->in.length))
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED, "%s: the name of tensor %" PRIu32 " has U+0000 in it, which is not supported",
                        r->file, x->count);
    name_item *twice;
    cuddle_status status = cud_names_add(&x->names, name, r->in.length, 0, x->count, &twice, r->err);
    if (status) return status;
    if (twice) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: weight_map has tensor \"%.100s\" twice", r->file, name);
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token != SCAN_STRING)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: weight_map has %s for tensor \"%.100s\", expected a file name", r->file,
                        cud_scan_show(&r->in, shown), name);
    const char *reason = unsafe(&r->in);
    if (reason)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\": the file name %s %s, expected a file beside the index",
                        r->file, name, cud_scan_show(&r->in, shown), reason);
    name_item *known;
    int number = (int)r->shards.count;
    status = cud_names_add(&r->shards, r->in.text, r->in.length, 0, (uint32_t)number, &known, r->err);
    if (status) return status;
    if (known) number = (int)known->value;
    else if (number == CUD_SHARD_MAX) return cud_fail(r->err, CUDDLE_E_LIMIT, "%s: more than %d shards", r->file, CUD_SHARD_MAX);
    if (x->count == r->room) {
        const size_t wanted = r->room ? r->room * 2 : 256; /* at most 64 MiB of text: far from any overflow */
        shard_entry *grown = realloc(x->entry, wanted * sizeof *grown);
        if (!grown) return cud_nomem(r->err, wanted * sizeof *grown, "a shard index");
        x->entry = grown;
        r->room = wanted;
    }
    x->entry[x->count++] = (shard_entry){ name, number };
    return CUDDLE_OK;
}

static cuddle_status read_map(reader *r)
{
    char shown[64];
    if (r->in.token != SCAN_OBJECT)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: weight_map is %s, expected an object", r->file, cud_scan_show(&r->in, shown));
    while (cud_scan_next(&r->in) == SCAN_KEY) {
        const cuddle_status status = map_entry(r);
        if (status) return status;
    }
    if (r->in.token == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->out->count == 0) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: weight_map is empty", r->file);
    r->has_map = true;
    return CUDDLE_OK;
}

static cuddle_status read_root(reader *r)
{
    char shown[64];
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token != SCAN_OBJECT)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: is %s, expected an object", r->file, cud_scan_show(&r->in, shown));
    while (cud_scan_next(&r->in) == SCAN_KEY) {
        const char *key = r->in.text;
        const size_t length = r->in.length;
        name_item *twice;
        cuddle_status status = cud_names_add(&r->keys, key, length, 0, 0, &twice, r->err);
        if (status) return status;
        if (twice) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: the key \"%.100s\" is there twice", r->file, key);
        if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
        if (length == 10 && strcmp(key, "weight_map") == 0) status = read_map(r);
        else status = cud_scan_skip(&r->in) ? CUDDLE_OK : CUDDLE_E_FORMAT;
        if (status) return status;
    }
    if (r->in.token == SCAN_ERROR || cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    return r->has_map ? CUDDLE_OK : cud_fail(r->err, CUDDLE_E_FORMAT, "%s: weight_map is missing", r->file);
}

static int compare_items(const void *a, const void *b) { return strcmp(((const name_item *)a)->name, ((const name_item *)b)->name); }

/* Numbers the shards in name order. */
static cuddle_status sort_shards(reader *r)
{
    shard_index *x = r->out;
    const size_t count = r->shards.count;
    name_item *order = calloc(count, sizeof *order);
    int *rank = calloc(count, sizeof *rank); /* of the shard that appeared at this place */
    x->shard = calloc(count, sizeof *x->shard);
    cuddle_status status = CUDDLE_OK;
    if (!order || !rank || !x->shard) {
        status = cud_nomem(r->err, count * (sizeof *order + sizeof *rank + sizeof *x->shard), "the shards of an index");
    } else {
        size_t n = 0;
        for (size_t i = 0; i < r->shards.capacity; i++)
            if (r->shards.item[i].name) order[n++] = r->shards.item[i];
        qsort(order, count, sizeof *order, compare_items);
        for (size_t i = 0; i < count; i++) {
            x->shard[i] = order[i].name;
            rank[order[i].value] = (int)i;
        }
        for (uint32_t i = 0; i < x->count; i++) x->entry[i].shard = rank[x->entry[i].shard];
        x->shards = (int)count;
    }
    free(order);
    free(rank);
    return status;
}

cuddle_status cud_shard_index_read(shard_index *out, source *s, cuddle_error *err)
{
    *out = (shard_index){ 0 };
    reader r = { .file = cud_path_name(s->name), .out = out, .err = err };
    if (s->size > CUD_SHARD_INDEX_MAX)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: has %" PRIu64 " bytes, at most %zu are read", r.file, s->size, CUD_SHARD_INDEX_MAX);
    const size_t size = (size_t)s->size;
    out->text = malloc(size + 1);
    if (!out->text) return cud_nomem(err, size, r.file);
    cuddle_status status = cud_source_read(s, out->text, 0, size, err);
    if (!status) {
        cud_scan_init(&r.in, out->text, size, r.file, 0, err);
        status = read_root(&r);
    }
    if (!status) status = sort_shards(&r);
    cud_names_free(&r.keys);
    cud_names_free(&r.shards);
    if (status) cud_shard_index_free(out);
    return status;
}

void cud_shard_index_free(shard_index *x)
{
    free(x->text);
    free(x->entry);
    free(x->shard);
    cud_names_free(&x->names);
    *x = (shard_index){ 0 };
}
