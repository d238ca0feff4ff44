#include "format/safetensors_writer.h"

#include "core/dtype.h"
#include "core/utf8.h"
#include "format/name_table.h"
#include "format/path.h"
#include "format/safetensors.h"
#include "format/target_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct written_tensor {
    char *name;
    dtype type;
    int rank;
    int64_t shape[CUDDLE_MAX_RANK];
    uint64_t bytes, written, offset; /* offset: in the file, once the header is written */
} written_tensor;

typedef struct written_pair { char *key, *value; } written_pair;

struct cuddle_safetensors_writer {
    target_file file;
    const char *name; /* of the file, for messages */
    written_tensor *tensor;
    uint32_t count;
    size_t tensor_room;
    written_pair *pair; /* __metadata__ */
    uint32_t pairs;
    size_t pair_room;
    name_table names, keys; /* of tensors (value: index), of pairs */
    bool header_written, finished;
};

/* The reference sorts by the order of its own enum, wide types first, so that data of each width is aligned if the header is. Not the
 * order of ours, which is part of the ABI. */
static const unsigned char place[CUDDLE_DTYPE_COUNT] = {
    [CUDDLE_U64] = 0,          [CUDDLE_I64] = 1,      [CUDDLE_F64] = 2,      [CUDDLE_C64] = 3,      [CUDDLE_F32] = 4,
    [CUDDLE_U32] = 5,          [CUDDLE_I32] = 6,      [CUDDLE_BF16] = 7,     [CUDDLE_F16] = 8,      [CUDDLE_U16] = 9,
    [CUDDLE_I16] = 10,         [CUDDLE_F8_E5M2FNUZ] = 11, [CUDDLE_F8_E4M3FNUZ] = 12, [CUDDLE_F8_E8M0] = 13, [CUDDLE_F8_E4M3] = 14,
    [CUDDLE_F8_E5M2] = 15,     [CUDDLE_I8] = 16,      [CUDDLE_U8] = 17,      [CUDDLE_F6_E3M2] = 18, [CUDDLE_F6_E2M3] = 19,
    [CUDDLE_F4] = 20,          [CUDDLE_BOOL] = 21,
};

/* --------------------------------------------------------------------------------------------------------- declaring */

static bool is_utf8(const char *text)
{
    const size_t size = strlen(text);
    return cud_utf8_valid(text, size) == size;
}

static void *with_room(void *items, uint32_t count, size_t *room, size_t size, cuddle_error *err)
{
    if (count < *room) return items;
    const size_t wanted = *room ? *room * 2 : 32;
    void *grown = wanted <= SIZE_MAX / 2 / size ? realloc(items, wanted * size) : NULL;
    if (grown) *room = wanted;
    else cud_nomem(err, wanted * size, "the tensors of a file to write");
    return grown;
}

static cuddle_status still_open(const st_writer *w, const char *what, cuddle_error *err)
{
    if (w->finished) return cud_fail(err, CUDDLE_E_ARG, "%s: %s, but the file is finished", w->name, what);
    if (w->header_written)
        return cud_fail(err, CUDDLE_E_ARG, "%s: %s, but data was written already: what the file holds must be known by then", w->name, what);
    return CUDDLE_OK;
}

cuddle_status cud_st_writer_new(st_writer **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    st_writer *w = calloc(1, sizeof *w);
    if (!w) return cud_nomem(err, sizeof *w, "a file to write");
    const cuddle_status status = cud_target_open(&w->file, path, err);
    if (status) {
        free(w);
        return status;
    }
    w->name = cud_path_name(w->file.path);
    *out = w;
    return CUDDLE_OK;
}

cuddle_status cud_st_writer_metadata(st_writer *w, const char *key, const char *value, cuddle_error *err)
{
    cuddle_status status = still_open(w, "a pair of __metadata__ was added", err);
    if (status) return status;
    if (!is_utf8(key)) return cud_fail(err, CUDDLE_E_ARG, "%s: the __metadata__ key \"%.100s\" is not UTF-8", w->name, key);
    if (!is_utf8(value)) return cud_fail(err, CUDDLE_E_ARG, "%s: the __metadata__ value of \"%.100s\" is not UTF-8", w->name, key);
    if (cud_names_find(&w->keys, key, strlen(key), 0))
        return cud_fail(err, CUDDLE_E_ARG, "%s: __metadata__ has the key \"%.100s\" twice", w->name, key);
    if (w->pairs == CUD_SAFETENSORS_MAX_METADATA)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: more than %u pairs of __metadata__", w->name, CUD_SAFETENSORS_MAX_METADATA);
    written_pair *grown = with_room(w->pair, w->pairs, &w->pair_room, sizeof *grown, err);
    if (!grown) return CUDDLE_E_NOMEM;
    w->pair = grown;
    written_pair p = { strdup(key), strdup(value) };
    name_item *twice;
    if (!p.key || !p.value) status = cud_nomem(err, strlen(key) + strlen(value) + 2, "a pair of __metadata__");
    if (!status) status = cud_names_add(&w->keys, p.key, strlen(key), 0, w->pairs, &twice, err);
    if (status) {
        free(p.key);
        free(p.value);
        return status;
    }
    w->pair[w->pairs++] = p;
    return CUDDLE_OK;
}

/* Fills type, shape and bytes; `t` has its name for messages. */
static cuddle_status size_tensor(const st_writer *w, written_tensor *t, const int64_t *shape, cuddle_error *err)
{
    if (!cud_dtype_bits(t->type)) return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": %d is no dtype", w->name, t->name, (int)t->type);
    if (t->rank < 0 || t->rank > CUDDLE_MAX_RANK)
        return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": rank %d, expected 0 to %d", w->name, t->name, t->rank, CUDDLE_MAX_RANK);
    uint64_t bits = 1;
    bool over = false;
    for (int i = 0; i < t->rank; i++) {
        t->shape[i] = shape[i];
        if (shape[i] < 0)
            return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": shape[%d] is %" PRId64 ", expected 0 or more", w->name, t->name, i,
                            shape[i]);
        over |= __builtin_mul_overflow(bits, (uint64_t)shape[i], &bits); /* from left to right, as readers do */
    }
    over |= __builtin_mul_overflow(bits, (uint64_t)cud_dtype_bits(t->type), &bits);
    if (over)
        return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": its size in %s is over 2^64 bits", w->name, t->name, cud_dtype_name(t->type));
    if (bits % 8)
        return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": its size in %s is %" PRIu64 " bits, expected whole bytes", w->name, t->name,
                        cud_dtype_name(t->type), bits);
    t->bytes = bits / 8;
    return CUDDLE_OK;
}

cuddle_status cud_st_writer_declare(st_writer *w, const char *name, cuddle_dtype type, const int64_t *shape, int rank, cuddle_error *err)
{
    cuddle_status status = still_open(w, "a tensor was declared", err);
    if (status) return status;
    if (!is_utf8(name)) return cud_fail(err, CUDDLE_E_ARG, "%s: the tensor name \"%.100s\" is not UTF-8", w->name, name);
    if (strcmp(name, "__metadata__") == 0)
        return cud_fail(err, CUDDLE_E_ARG, "%s: a tensor cannot be called __metadata__", w->name);
    if (cud_names_find(&w->names, name, strlen(name), 0))
        return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\" is there twice", w->name, name);
    if (w->count == CUD_SAFETENSORS_MAX_TENSORS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: more than %u tensors", w->name, CUD_SAFETENSORS_MAX_TENSORS);
    written_tensor *grown = with_room(w->tensor, w->count, &w->tensor_room, sizeof *grown, err);
    if (!grown) return CUDDLE_E_NOMEM;
    w->tensor = grown;
    written_tensor t = { .name = strdup(name), .type = type, .rank = rank };
    name_item *twice;
    if (!t.name) return cud_nomem(err, strlen(name) + 1, "the name of a tensor");
    status = size_tensor(w, &t, shape, err);
    if (!status) status = cud_names_add(&w->names, t.name, strlen(name), 0, w->count, &twice, err);
    if (status) {
        free(t.name);
        return status;
    }
    w->tensor[w->count++] = t;
    return CUDDLE_OK;
}

/* -------------------------------------------------------------------------------------------------------- the header */

typedef struct text {
    char *data;
    size_t size, room;
    cuddle_status status; /* of the first failure: what is put after it is dropped */
    cuddle_error *err;
} text;

static void put(text *out, const char *data, size_t size)
{
    if (out->status) return;
    if (size > out->room - out->size) {
        if (size > CUD_SAFETENSORS_MAX_HEADER || out->size > CUD_SAFETENSORS_MAX_HEADER) {
            out->status = CUDDLE_E_LIMIT; /* the sentence comes with the file's name */
            return;
        }
        const size_t wanted = (out->size + size) * 2 + 256;
        char *grown = realloc(out->data, wanted);
        if (!grown) {
            out->status = cud_nomem(out->err, wanted, "the header of a file to write");
            return;
        }
        out->data = grown;
        out->room = wanted;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put_text(text *out, const char *s) { put(out, s, strlen(s)); }

static void put_number(text *out, uint64_t n)
{
    char digits[24];
    put(out, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n));
}

/* Quoted and escaped as serde_json does: what must be, and nothing else. */
static void put_string(text *out, const char *s)
{
    static const char named[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    put_text(out, "\"");
    for (;;) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\') plain++;
        put(out, s, plain);
        const unsigned char c = (unsigned char)s[plain];
        char escape[8] = { '\\', (char)c };
        if (!c) break;
        if (c < 0x20 && named[c]) escape[1] = named[c];
        else if (c < 0x20) snprintf(escape, sizeof escape, "\\u%04x", c);
        put_text(out, escape);
        s += plain + 1;
    }
    put_text(out, "\"");
}

static void put_metadata(text *out, const st_writer *w)
{
    if (!w->pairs) return;
    put_text(out, "\"__metadata__\":");
    for (uint32_t i = 0; i < w->pairs; i++) {
        put_text(out, i ? "," : "{");
        put_string(out, w->pair[i].key);
        put_text(out, ":");
        put_string(out, w->pair[i].value);
    }
    put_text(out, "}");
}

static void put_tensor(text *out, const written_tensor *t, uint64_t begin)
{
    put_string(out, t->name);
    put_text(out, ":{\"dtype\":\"");
    put_text(out, cud_dtype_name(t->type));
    put_text(out, "\",\"shape\":[");
    for (int i = 0; i < t->rank; i++) {
        if (i) put_text(out, ",");
        put_number(out, (uint64_t)t->shape[i]);
    }
    put_text(out, "],\"data_offsets\":[");
    put_number(out, begin);
    put_text(out, ",");
    put_number(out, begin + t->bytes);
    put_text(out, "]}");
}

static int compare_tensors(const void *a, const void *b)
{
    const written_tensor *x = *(written_tensor *const *)a, *y = *(written_tensor *const *)b;
    if (place[x->type] != place[y->type]) return place[x->type] < place[y->type] ? -1 : 1;
    return strcmp(x->name, y->name); /* by bytes, as the reference */
}

static cuddle_status put_header(text *out, st_writer *w, written_tensor **order)
{
    uint64_t begin = 0;
    for (uint32_t i = 0; i < w->count; i++) order[i] = &w->tensor[i];
    qsort(order, w->count, sizeof *order, compare_tensors);
    put(out, "\0\0\0\0\0\0\0\0{", 9); /* the length is known at the end */
    put_metadata(out, w);
    for (uint32_t i = 0; i < w->count; i++) {
        if (i || w->pairs) put_text(out, ",");
        put_tensor(out, order[i], begin);
        order[i]->offset = begin;
        if (__builtin_add_overflow(begin, order[i]->bytes, &begin) || begin > INT64_MAX - 2 * (uint64_t)CUD_SAFETENSORS_MAX_HEADER)
            return cud_fail(out->err, CUDDLE_E_LIMIT, "%s: its tensors have more bytes than a file can hold", w->name);
    }
    put_text(out, "}");
    put(out, "        ", (8 - out->size % 8) % 8);
    if (out->status == CUDDLE_E_LIMIT || (!out->status && out->size - 8 > CUD_SAFETENSORS_MAX_HEADER))
        return cud_fail(out->err, CUDDLE_E_LIMIT, "%s: its header has more than %u bytes", w->name, CUD_SAFETENSORS_MAX_HEADER);
    if (out->status) return out->status;
    for (int i = 0; i < 8; i++) out->data[i] = (char)((uint64_t)(out->size - 8) >> 8 * i & 0xff);
    for (uint32_t i = 0; i < w->count; i++) w->tensor[i].offset += out->size;
    return CUDDLE_OK;
}

static cuddle_status write_header(st_writer *w, cuddle_error *err)
{
    if (w->header_written) return CUDDLE_OK;
    text out = { .err = err };
    written_tensor **order = malloc((w->count + 1) * sizeof *order);
    cuddle_status status = order ? put_header(&out, w, order) : cud_nomem(err, (w->count + 1) * sizeof *order, "sorting the tensors of a file");
    if (!status) status = cud_target_write(&w->file, 0, out.data, out.size, err);
    if (!status) w->header_written = true;
    free(order);
    free(out.data);
    return status;
}

/* ----------------------------------------------------------------------------------------------------------- the data */

cuddle_status cud_st_writer_write(st_writer *w, const char *name, const void *data, size_t bytes, cuddle_error *err)
{
    if (w->finished) return cud_fail(err, CUDDLE_E_ARG, "%s: data was written, but the file is finished", w->name);
    const name_item *item = cud_names_find(&w->names, name, strlen(name), 0);
    if (!item) return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\" was not declared", w->name, name);
    written_tensor *t = &w->tensor[item->value];
    if (bytes > t->bytes - t->written)
        return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\": %zu bytes more after %" PRIu64 " of %" PRIu64, w->name, t->name, bytes,
                        t->written, t->bytes);
    cuddle_status status = write_header(w, err);
    if (!status) status = cud_target_write(&w->file, t->offset + t->written, data, bytes, err);
    if (!status) t->written += bytes;
    return status;
}

cuddle_status cud_st_writer_finish(st_writer *w, cuddle_error *err)
{
    if (w->finished) return cud_fail(err, CUDDLE_E_ARG, "%s: the file is finished already", w->name);
    for (uint32_t i = 0; i < w->count; i++) {
        const written_tensor *t = &w->tensor[i];
        if (t->written < t->bytes)
            return cud_fail(err, CUDDLE_E_ARG, "%s: tensor \"%.100s\" is incomplete: %" PRIu64 " of %" PRIu64 " bytes were written", w->name,
                            t->name, t->written, t->bytes);
    }
    cuddle_status status = write_header(w, err);
    if (!status) status = cud_target_commit(&w->file, err);
    if (!status) w->finished = true;
    return status;
}

void cud_st_writer_free(st_writer *w)
{
    if (!w) return;
    cud_target_free(&w->file);
    for (uint32_t i = 0; i < w->count; i++) free(w->tensor[i].name);
    for (uint32_t i = 0; i < w->pairs; i++) {
        free(w->pair[i].key);
        free(w->pair[i].value);
    }
    free(w->tensor);
    free(w->pair);
    cud_names_free(&w->names);
    cud_names_free(&w->keys);
    free(w);
}
