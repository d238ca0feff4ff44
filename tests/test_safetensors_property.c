/* Random valid files are read back as they were written; the same files with one field changed are refused. */
#include "core/dtype.h"
#include "format/checkpoint.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 8, FILE_ROOM = 1 << 20 };

typedef struct tensor_model {
    char name[16], escaped[64]; /* as it is, and as it stands in the header */
    dtype type;
    int rank;
    uint64_t shape[CUDDLE_MAX_RANK], begin, end;
} tensor_model;

typedef struct file_model {
    int count, order[MAX_TENSORS]; /* of the entries in the header */
    tensor_model tensor[MAX_TENSORS];
    unsigned char data[4096];
    size_t data_size;
} file_model;

/* What is wrong in the file, at the tensor `victim`. */
typedef enum mutation {
    NONE,
    DTYPE_WIDER,
    DTYPE_UNKNOWN,
    SHAPE_PLUS,
    SHAPE_RANK,
    BEGIN_PLUS,
    END_PLUS,
    END_MINUS,
    SWAPPED,
    NO_DTYPE,
    NO_SHAPE,
    NO_OFFSETS,
    DTYPE_TWICE,
    NAME_TWICE,
    ONE_BYTE_LESS,
    ONE_BYTE_MORE,
    LENGTH_PLUS,
    LENGTH_MINUS,
    NO_BRACE,
    NO_COMMA,
    MUTATIONS
} mutation;

static uint64_t state;
static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static void draw_name(tensor_model *t, int number)
{
    static const struct { const char *plain, *escaped;
    } pieces[] = {
        { "w", "w" },
        { ".", "." },
        { "\303\244", "\303\244" },
        { "\303\244", "\\u00E4" },
        { "\"", "\\\"" },
        { "\\", "\\\\" },
        { "/", "\\/" },
        { "\360\237\244\227", "\\uD83E\\udd17" },
        { "\n", "\\n" },
        { "\177", "\177" },
        { "", "" },
    };
    snprintf(t->name, sizeof t->name, "%d", number);
    strcpy(t->escaped, t->name);
    for (uint64_t n = below(3); n > 0; n--) {
        const uint64_t p = below(sizeof pieces / sizeof *pieces);
        strcat(t->name, pieces[p].plain);
        strcat(t->escaped, pieces[p].escaped);
    }
}

static void draw(file_model *m)
{
    memset(m, 0, sizeof *m);
    m->count = 1 + (int)below(MAX_TENSORS);
    for (int i = 0; i < m->count; i++) {
        tensor_model *t = &m->tensor[i];
        draw_name(t, i);
        uint64_t elements;
        do {
            t->type = (dtype)below(CUDDLE_DTYPE_COUNT);
            t->rank = (int)below(CUDDLE_MAX_RANK + 1);
            elements = 1;
            for (int d = 0; d < t->rank; d++) elements *= t->shape[d] = below(10) ? 1 + below(below(2) ? 2 : 4) : 0;
        } while (elements * (uint64_t)cud_dtype_bits(t->type) % 8 || elements > 40);
        t->begin = m->data_size;
        m->data_size += elements * (uint64_t)cud_dtype_bits(t->type) / 8;
        t->end = m->data_size;
        const int at = (int)below((uint64_t)i + 1); /* a random place in the header */
        m->order[i] = m->order[at];
        m->order[at] = i;
    }
    for (size_t i = 0; i < m->data_size; i++) m->data[i] = (unsigned char)below(256);
}

static char *space(char *at)
{
    for (uint64_t n = below(4) ? 0 : below(3); n > 0; n--) *at++ = " \t\r\n"[below(4)];
    return at;
}

static char *put(char *at, const char *text)
{
    at = space(at);
    const size_t length = strlen(text);
    memcpy(at, text, length);
    return space(at + length);
}

static char *put_fields(char *at, const tensor_model *t, mutation what)
{
    static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    const int *order = orders[below(6)];
    uint64_t begin = t->begin, end = t->end;
    if (what == BEGIN_PLUS) begin++;
    if (what == END_PLUS) end++;
    if (what == END_MINUS) end--; /* from 0: 2^64 - 1 */
    if (what == SWAPPED) begin = t->end, end = t->begin;
    bool first = true;
    for (int i = 0; i < 3; i++) {
        char text[64];
        if ((what == NO_DTYPE && order[i] == 0) || (what == NO_SHAPE && order[i] == 1) || (what == NO_OFFSETS && order[i] == 2))
            continue;
        if (!first) at = put(at, what == NO_COMMA ? " " : ",");
        first = false;
        if (order[i] == 0) {
            const char *name = what == DTYPE_UNKNOWN ? "F33" : cud_dtype_name(t->type);
            if (what == DTYPE_WIDER) name = cud_dtype_bits(t->type) == 64 ? "U8" : "F64";
            snprintf(text, sizeof text, "\"%s\"", name);
            at = put(put(put(at, "\"dtype\""), ":"), text);
            if (what == DTYPE_TWICE) at = put(put(put(put(at, ","), "\"dtype\""), ":"), text);
        } else if (order[i] == 1) {
            at = put(put(put(at, "\"shape\""), ":"), "[");
            for (int d = 0; d < t->rank; d++) {
                snprintf(text, sizeof text, "%" PRIu64, t->shape[d] + (what == SHAPE_PLUS && d == t->rank - 1));
                at = put(d ? put(at, ",") : at, text);
            }
            if (what == SHAPE_RANK) at = put(t->rank ? put(at, ",") : at, "7");
            at = put(at, "]");
        } else {
            at = put(put(put(at, "\"data_offsets\""), ":"), "[");
            snprintf(text, sizeof text, "%" PRIu64, begin);
            at = put(put(at, text), ",");
            snprintf(text, sizeof text, "%" PRIu64, end);
            at = put(put(at, text), "]");
        }
    }
    return at;
}

static char *put_entry(char *at, const tensor_model *t, mutation what)
{
    char name[80];
    snprintf(name, sizeof name, "\"%s\"", t->escaped);
    at = put(put(put(at, name), ":"), "{");
    at = put_fields(at, t, what);
    if (below(4) == 0) at = put(at, t->end && below(2) ? ",\"x\":null" : ",\"\":[1e5,{\"dtype\":\"F32\"},\"\\u0000\"]");
    return put(at, "}");
}

static size_t serialize(char *file, const file_model *m, mutation what, int victim)
{
    char *at = put(file + 8, "{");
    const bool metadata = below(2);
    if (metadata) at = put(at, "\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < m->count; i++) {
        const tensor_model *t = &m->tensor[m->order[i]];
        if (i || metadata) at = put(at, ",");
        at = put_entry(at, t, m->order[i] == victim ? what : NONE);
        if (what == NAME_TWICE && m->order[i] == victim) at = put_entry(put(at, ","), t, NONE);
    }
    if (what != NO_BRACE) at = put(at, "}");
    uint64_t length = (uint64_t)(at - file) - 8;
    memcpy(at, m->data, m->data_size);
    at += m->data_size;
    if (what == ONE_BYTE_MORE) *at++ = 0;
    if (what == ONE_BYTE_LESS) at--;
    if (what == LENGTH_PLUS) length++;
    if (what == LENGTH_MINUS) length--;
    for (int i = 0; i < 8; i++) file[i] = (char)(length >> 8 * i & 0xff);
    return (size_t)(at - file);
}

static cuddle_error err;

static cuddle_status open_bytes(checkpoint **c, const char *file, size_t size)
{
    source *s;
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&s, file, size, "memory", &err));
    return cud_checkpoint_open_source(c, s, &err);
}

START_TEST(valid_files_are_read_as_written)
{
    static file_model m;
    char *file = malloc(FILE_ROOM);
    state = 0x9e3779b97f4a7c15u;
    for (int round = 0; round < 2000; round++) {
        draw(&m);
        checkpoint *c;
        const size_t size = serialize(file, &m, NONE, -1);
        ck_ok(open_bytes(&c, file, size));
        ck_assert_int_eq(cud_checkpoint_count(c), m.count);
        for (int i = 0; i < m.count; i++) {
            const tensor_model *t = &m.tensor[i];
            const cuddle_tensor_info *info = cud_checkpoint_get(c, cud_checkpoint_find(c, t->name));
            ck_assert_ptr_nonnull(info);
            ck_assert_str_eq(info->name, t->name);
            ck_assert_int_eq(info->type, t->type);
            ck_assert_int_eq(info->rank, t->rank);
            for (int d = 0; d < t->rank; d++) ck_assert_int_eq(info->shape[d], (int64_t)t->shape[d]);
            ck_assert_uint_eq(info->bytes, t->end - t->begin);
            ck_assert_uint_eq(info->offset, size - m.data_size + t->begin);
            unsigned char data[4096];
            ck_ok(cud_checkpoint_read(c, cud_checkpoint_find(c, t->name), data, 0, (size_t)info->bytes, &err));
            ck_assert_mem_eq(data, m.data + t->begin, info->bytes);
        }
        cud_checkpoint_free(c);
    }
    free(file);
}
END_TEST

/* Is the file still valid after this change? */
static bool harmless(const file_model *m, int victim, mutation what)
{
    const tensor_model *t = &m->tensor[victim];
    const bool empty = t->begin == t->end;
    switch (what) {
    case SHAPE_RANK:
    case DTYPE_WIDER: return empty;
    case SHAPE_PLUS: /* [0, 3] to [0, 4] */
        if (t->rank == 0) return true;
        for (int d = 0; d + 1 < t->rank; d++)
            if (t->shape[d] == 0) return true;
        return false;
    case SWAPPED: return empty;
    default: return false;
    }
}

START_TEST(one_wrong_field_is_refused)
{
    static file_model m;
    const mutation what = (mutation)_i;
    char *file = malloc(FILE_ROOM);
    state = 0x9e3779b97f4a7c15u + (uint64_t)_i;
    int tried = 0;
    for (int round = 0; round < 400; round++) {
        draw(&m);
        const int victim = (int)below((uint64_t)m.count);
        if (harmless(&m, victim, what)) continue;
        checkpoint *c;
        const size_t size = serialize(file, &m, what, victim);
        const cuddle_status status = open_bytes(&c, file, size);
        ck_assert_msg(status == CUDDLE_E_FORMAT || (what == SHAPE_RANK && status == CUDDLE_E_UNSUPPORTED), "round %d: %s %s", round,
                      cuddle_status_name(status), err.text);
        ck_assert_ptr_null(c);
        ck_assert_int_eq(strncmp(err.text, "memory: ", 8), 0);
        tried++;
    }
    ck_assert_int_gt(tried, 100);
    free(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors_property");
    TCase *tc = tcase_create("safetensors_property");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, valid_files_are_read_as_written);
    tcase_add_loop_test(tc, one_wrong_field_is_refused, DTYPE_WIDER, MUTATIONS);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
