#include "format/safetensors.h"

#include "core/dtype.h"
#include "format/path.h"
#include "format/scanner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4 };

/* One tensor while its fields are being read: they may come in any order, so what ties them together is checked at the end. */
typedef struct entry {
    const char *name;
    int fields; /* seen */
    dtype type;
    uint64_t shape[CUDDLE_MAX_RANK];
    uint64_t rank;     /* as in the file */
    uint64_t elements; /* product of the shape */
    bool overflow;     /* the product does not fit */
    bool large;        /* a dimension is 2^63 or more */
    uint64_t begin, end;
} entry;

typedef struct reader {
    scanner in;
    const char *file; /* for messages */
    st_file *out;
    size_t tensor_room, metadata_room;
    name_table keys; /* of __metadata__ (owner 0), and unknown fields of tensor n (owner n + 1) */
    bool has_metadata;
    cuddle_error *err;
} reader;

static cuddle_status read_text(char **out, uint64_t *header, source *s, const char *file, cuddle_error *err)
{
    unsigned char prefix[8];
    if (s->size < sizeof prefix)
        return cud_fail(err, CUDDLE_E_FORMAT,
                        "%s: the file has %" PRIu64 " bytes, expected at least 8 for the length of the header", file, s->size);
    cuddle_status status = cud_source_read(s, prefix, 0, sizeof prefix, err);
    if (status) return status;
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | prefix[i];
    if (length > CUD_SAFETENSORS_MAX_HEADER)
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: the header's length is %" PRIu64 ", at most %u are allowed", file, length,
                        CUD_SAFETENSORS_MAX_HEADER);
    if (length > s->size - sizeof prefix)
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: the header's length is %" PRIu64 ", but only %" PRIu64 " bytes follow it", file,
                        length, s->size - sizeof prefix);
    if (length == 0) return cud_fail(err, CUDDLE_E_FORMAT, "%s: the header is empty, expected a JSON object", file);
    char *text = malloc((size_t)length);
    if (!text) return cud_nomem(err, (size_t)length, "the header of a safetensors file");
    status = cud_source_read(s, text, sizeof prefix, (size_t)length, err);
    if (status) {
        free(text);
        return status;
    }
    *out = text;
    *header = length;
    return CUDDLE_OK;
}

/* The array with room for one more item of `size` bytes; NULL, and the old array still there, if there is no memory. A header of
 * 10^8 bytes holds far less than 2^31 entries of either kind. */
static void *with_room(void *items, uint32_t count, size_t *room, size_t size, cuddle_error *err)
{
    if (count < *room) return items;
    const size_t wanted = *room ? *room * 2 : 32;
    void *grown = wanted <= SIZE_MAX / 2 / size ? realloc(items, wanted * size) : NULL;
    if (grown) *room = wanted;
    else cud_nomem(err, wanted * size, "the entries of a safetensors file");
    return grown;
}

static bool holds_nul(const scanner *in) { return memchr(in->text, 0, in->length) != NULL; }

/* -------------------------------------------------------------------------------------------------------- __metadata__ */

static cuddle_status metadata_entry(reader *r)
{
    char shown[64];
    if (holds_nul(&r->in))
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED, "%s: __metadata__ has a key with U+0000 in it, which is not supported", r->file);
    const char *key = r->in.text;
    name_item *twice;
    cuddle_status status = cud_names_add(&r->keys, key, r->in.length, 0, 0, &twice, r->err);
    if (status) return status;
    if (twice) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: __metadata__ has the key \"%.100s\" twice", r->file, key);
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token != SCAN_STRING)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: __metadata__ has %s at key \"%.100s\", expected a string", r->file,
                        cud_scan_show(&r->in, shown), key);
    if (holds_nul(&r->in))
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED, "%s: __metadata__ has U+0000 in the value of \"%.100s\", which is not supported",
                        r->file, key);
    st_file *f = r->out;
    st_pair *grown = with_room(f->metadata, f->metadata_count, &r->metadata_room, sizeof *grown, r->err);
    if (!grown) return CUDDLE_E_NOMEM;
    f->metadata = grown;
    f->metadata[f->metadata_count++] = (st_pair){ key, r->in.text };
    return CUDDLE_OK;
}

static cuddle_status read_metadata(reader *r)
{
    char shown[64];
    if (r->has_metadata) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: the header has __metadata__ twice", r->file);
    r->has_metadata = true;
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token == SCAN_NULL) return CUDDLE_OK;
    if (r->in.token != SCAN_OBJECT)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: __metadata__ is %s, expected an object of strings", r->file,
                        cud_scan_show(&r->in, shown));
    while (cud_scan_next(&r->in) == SCAN_KEY) {
        const cuddle_status status = metadata_entry(r);
        if (status) return status;
    }
    return r->in.token == SCAN_ERROR ? CUDDLE_E_FORMAT : CUDDLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- one tensor */

static cuddle_status read_dtype(reader *r, entry *e)
{
    char shown[64];
    if (r->in.token != SCAN_STRING)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": dtype is %s, expected a string", r->file, e->name,
                        cud_scan_show(&r->in, shown));
    if (!cud_dtype_parse(r->in.text, r->in.length, &e->type))
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": dtype is %s, expected a name like F32 or BF16", r->file,
                        e->name, cud_scan_show(&r->in, shown));
    return CUDDLE_OK;
}

static cuddle_status read_shape(reader *r, entry *e)
{
    char shown[64];
    if (r->in.token != SCAN_ARRAY)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": shape is %s, expected an array of integers", r->file, e->name,
                        cud_scan_show(&r->in, shown));
    e->elements = 1;
    while (cud_scan_next(&r->in) != SCAN_ARRAY_END) {
        if (r->in.token == SCAN_ERROR) return CUDDLE_E_FORMAT;
        uint64_t size;
        if (!cud_scan_u64(&r->in, &size))
            return cud_fail(r->err, CUDDLE_E_FORMAT,
                            "%s: tensor \"%.100s\": shape[%" PRIu64 "] is %s, expected an integer from 0 to 2^64 - 1", r->file,
                            e->name, e->rank, cud_scan_show(&r->in, shown));
        if (e->rank < CUDDLE_MAX_RANK) e->shape[e->rank] = size;
        e->rank++;
        e->large |= size > INT64_MAX;
        /* From left to right, as the reference: [0, 2^64 - 1] is fine, [2^64 - 1, 4, 0] is not. */
        e->overflow |= __builtin_mul_overflow(e->elements, size, &e->elements);
    }
    return CUDDLE_OK;
}

static cuddle_status read_offsets(reader *r, entry *e)
{
    char shown[64];
    int count = 0;
    if (r->in.token == SCAN_ARRAY) {
        uint64_t value[2];
        while (cud_scan_next(&r->in) != SCAN_ARRAY_END && count < 2 && cud_scan_u64(&r->in, &value[count])) count++;
        if (r->in.token == SCAN_ERROR) return CUDDLE_E_FORMAT;
        if (r->in.token == SCAN_ARRAY_END && count == 2) {
            e->begin = value[0];
            e->end = value[1];
            return CUDDLE_OK;
        }
        if (r->in.token == SCAN_ARRAY_END || count == 2)
            return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": data_offsets has %s elements, expected 2", r->file,
                            e->name,
                            count == 2   ? "more than 2"
                            : count == 1 ? "1"
                                         : "0");
        return cud_fail(r->err, CUDDLE_E_FORMAT,
                        "%s: tensor \"%.100s\": data_offsets[%d] is %s, expected an integer from 0 to 2^64 - 1", r->file, e->name,
                        count, cud_scan_show(&r->in, shown));
    }
    return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": data_offsets is %s, expected an array of 2 integers", r->file,
                    e->name, cud_scan_show(&r->in, shown));
}

static int field_of(const scanner *in)
{
    if (strcmp(in->text, "dtype") == 0 && in->length == 5) return FIELD_DTYPE;
    if (strcmp(in->text, "shape") == 0 && in->length == 5) return FIELD_SHAPE;
    if (strcmp(in->text, "data_offsets") == 0 && in->length == 12) return FIELD_OFFSETS;
    return 0;
}

static cuddle_status read_field(reader *r, entry *e)
{
    const char *key = r->in.text;
    const int field = field_of(&r->in);
    name_item *twice = NULL;
    if (!field) {
        const cuddle_status status = cud_names_add(&r->keys, key, r->in.length, r->out->count + 1, 0, &twice, r->err);
        if (status) return status;
    }
    if (twice || (e->fields & field))
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": the field \"%.40s\" is there twice", r->file, e->name, key);
    e->fields |= field;
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    switch (field) {
    case FIELD_DTYPE: return read_dtype(r, e);
    case FIELD_SHAPE: return read_shape(r, e);
    case FIELD_OFFSETS: return read_offsets(r, e);
    default: return cud_scan_skip(&r->in) ? CUDDLE_OK : CUDDLE_E_FORMAT; /* the format may grow */
    }
}

enum { SHOWN_SHAPE = 100 };

static const char *show_shape(char out[SHOWN_SHAPE], const entry *e)
{
    const size_t size = SHOWN_SHAPE;
    size_t used = 0;
    for (uint64_t i = 0; i < e->rank && i < CUDDLE_MAX_RANK && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64, i ? "," : "[", e->shape[i]);
    if (used < size) snprintf(out + used, size - used, "%s]", e->rank == 0 ? "[" : e->rank > CUDDLE_MAX_RANK ? ",..." : "");
    return out;
}

/* What ties the fields of one tensor together. */
static cuddle_status check_entry(const reader *r, const entry *e)
{
    char shape[SHOWN_SHAPE];
    const char *missing = !(e->fields & FIELD_DTYPE) ? "dtype" : !(e->fields & FIELD_SHAPE) ? "shape"
                        : !(e->fields & FIELD_OFFSETS) ? "data_offsets" : NULL;
    if (missing)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\": the field \"%s\" is missing", r->file, e->name, missing);
    uint64_t bits = 0;
    if (e->overflow || __builtin_mul_overflow(e->elements, (uint64_t)cud_dtype_bits(e->type), &bits))
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\": the size of shape %s in %s is over 2^64 bits", r->file,
                        e->name, show_shape(shape, e), cud_dtype_name(e->type));
    if (bits % 8)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.80s\": shape %s in %s is %" PRIu64 " bits, expected whole bytes",
                        r->file, e->name, show_shape(shape, e), cud_dtype_name(e->type), bits);
    if (e->end < e->begin)
        return cud_fail(r->err, CUDDLE_E_FORMAT,
                        "%s: tensor \"%.100s\": data_offsets end at %" PRIu64 " before they begin at %" PRIu64, r->file, e->name,
                        e->end, e->begin);
    if (e->end - e->begin != bits / 8)
        return cud_fail(r->err, CUDDLE_E_FORMAT,
                        "%s: tensor \"%.80s\": data_offsets hold %" PRIu64 " bytes, expected %" PRIu64 " for shape %s in %s",
                        r->file, e->name, e->end - e->begin, bits / 8, show_shape(shape, e), cud_dtype_name(e->type));
    if (e->rank > CUDDLE_MAX_RANK)
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED, "%s: tensor \"%.100s\": rank %" PRIu64 " is not supported, at most %d",
                        r->file, e->name, e->rank, CUDDLE_MAX_RANK);
    if (e->large)
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED,
                        "%s: tensor \"%.80s\": shape %s has a dimension over 2^63 - 1, which is not supported", r->file, e->name,
                        show_shape(shape, e));
    return CUDDLE_OK;
}

/* The current token is the tensor's name. */
static cuddle_status read_tensor(reader *r)
{
    char shown[64];
    st_file *f = r->out;
    if (holds_nul(&r->in))
        return cud_fail(r->err, CUDDLE_E_UNSUPPORTED, "%s: the name of tensor %" PRIu32 " has U+0000 in it, which is not supported",
                        r->file, f->count);
    entry e = { .name = r->in.text };
    name_item *twice;
    cuddle_status status = cud_names_add(&f->names, e.name, r->in.length, 0, f->count, &twice, r->err);
    if (status) return status;
    if (twice) return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\" is there twice", r->file, e.name);
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token != SCAN_OBJECT)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\" is %s, expected an object", r->file, e.name,
                        cud_scan_show(&r->in, shown));
    while (cud_scan_next(&r->in) == SCAN_KEY) {
        status = read_field(r, &e);
        if (status) return status;
    }
    if (r->in.token == SCAN_ERROR) return CUDDLE_E_FORMAT;
    status = check_entry(r, &e);
    if (status) return status;
    cuddle_tensor_info *grown = with_room(f->tensor, f->count, &r->tensor_room, sizeof *grown, r->err);
    if (!grown) return CUDDLE_E_NOMEM;
    f->tensor = grown;
    cuddle_tensor_info *t = &f->tensor[f->count++];
    *t = (cuddle_tensor_info){ .name = e.name, .type = e.type, .rank = (int)e.rank, .bytes = e.end - e.begin, .offset = e.begin };
    for (int i = 0; i < t->rank; i++) t->shape[i] = (int64_t)e.shape[i];
    return CUDDLE_OK;
}

/* -------------------------------------------------------------------------------------------------- the whole file */

typedef struct place { uint64_t begin, end; uint32_t index; } place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Brings the tensors into the order of their data, empty ones at one place into the order of the header. */
static cuddle_status sort_by_offset(st_file *f, cuddle_error *err)
{
    bool sorted = true; /* most files are */
    for (uint32_t i = 1; i < f->count && sorted; i++) {
        const cuddle_tensor_info *a = &f->tensor[i - 1], *b = &f->tensor[i];
        sorted = a->offset < b->offset || (a->offset == b->offset && a->bytes <= b->bytes);
    }
    if (sorted) return CUDDLE_OK;
    place *order = calloc(f->count, sizeof *order);
    cuddle_tensor_info *moved = calloc(f->count, sizeof *moved);
    uint32_t *rank = calloc(f->count, sizeof *rank); /* of the tensor that was at this index */
    cuddle_status status = CUDDLE_OK;
    if (!order || !moved || !rank) {
        status = cud_nomem(err, f->count * (sizeof *order + sizeof *moved + sizeof *rank), "sorting the tensors of a safetensors file");
    } else {
        for (uint32_t i = 0; i < f->count; i++)
            order[i] = (place){ f->tensor[i].offset, f->tensor[i].offset + f->tensor[i].bytes, i };
        qsort(order, f->count, sizeof *order, compare_places);
        for (uint32_t i = 0; i < f->count; i++) {
            moved[i] = f->tensor[order[i].index];
            rank[order[i].index] = i;
        }
        for (size_t i = 0; i < f->names.capacity; i++)
            if (f->names.item[i].name) f->names.item[i].value = rank[f->names.item[i].value];
        free(f->tensor);
        f->tensor = moved;
        moved = NULL;
    }
    free(order);
    free(moved);
    free(rank);
    return status;
}

/* No hole, no overlap, nothing before the first or after the last tensor: two readers cannot disagree about what a byte is. */
static cuddle_status check_cover(const reader *r, uint64_t data)
{
    const st_file *f = r->out;
    uint64_t covered = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const cuddle_tensor_info *t = &f->tensor[i];
        if (t->offset > covered)
            return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\" begins at %" PRIu64 " of the data, expected %" PRIu64
                            ": no hole is allowed", r->file, t->name, t->offset, covered);
        if (t->offset < covered)
            return cud_fail(r->err, CUDDLE_E_FORMAT,
                            "%s: tensor \"%.70s\" begins at %" PRIu64 " of the data, but tensor \"%.70s\" ends at %" PRIu64,
                            r->file, t->name, t->offset, f->tensor[i - 1].name, covered);
        covered = t->offset + t->bytes; /* was checked: data_offsets held it */
    }
    if (covered > data)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: tensor \"%.100s\" ends at %" PRIu64 " of the data, but the file ends at %" PRIu64
                        ": it is incomplete", r->file, f->tensor[f->count - 1].name, covered, data);
    if (covered < data)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: %" PRIu64 " bytes follow the last tensor, expected none", r->file,
                        data - covered);
    return CUDDLE_OK;
}

static cuddle_status read_root(reader *r)
{
    char shown[64];
    if (cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (r->in.token != SCAN_OBJECT)
        return cud_fail(r->err, CUDDLE_E_FORMAT, "%s: the header is %s, expected an object", r->file, cud_scan_show(&r->in, shown));
    while (cud_scan_next(&r->in) == SCAN_KEY) {
        const bool metadata = r->in.length == 12 && strcmp(r->in.text, "__metadata__") == 0;
        const cuddle_status status = metadata ? read_metadata(r) : read_tensor(r);
        if (status) return status;
    }
    if (r->in.token == SCAN_ERROR || cud_scan_next(&r->in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    return CUDDLE_OK;
}

cuddle_status cud_safetensors_read_header(st_file *out, source *s, cuddle_error *err)
{
    *out = (st_file){ 0 };
    reader r = { .file = cud_path_name(s->name), .out = out, .err = err };
    uint64_t header = 0;
    cuddle_status status = read_text(&out->text, &header, s, r.file, err);
    if (status) return status;
    cud_scan_init(&r.in, out->text, (size_t)header, r.file, 8, err);
    status = read_root(&r);
    if (!status) status = sort_by_offset(out, err);
    if (!status) status = check_cover(&r, s->size - 8 - header);
    cud_names_free(&r.keys);
    if (status) {
        cud_safetensors_free(out);
        return status;
    }
    for (uint32_t i = 0; i < out->count; i++) out->tensor[i].offset += 8 + header;
    return CUDDLE_OK;
}

void cud_safetensors_free(st_file *f)
{
    free(f->text);
    free(f->tensor);
    free(f->metadata);
    cud_names_free(&f->names);
    *f = (st_file){ 0 };
}
