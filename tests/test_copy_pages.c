#include "op_support.h"

#include "core/op_checks.h"

enum { PAGES = 9, MOST_COPIES = 6 };

typedef struct cache { const char *name; int layers, heads, k_dim, v_dim; bool shifted; } cache; /* by one element */
static const cache caches[] = {
    { "one of each", 1, 1, 1, 1, false },     { "as models have it", 3, 2, 64, 64, false }, { "odd", 2, 3, 5, 7, false },
    { "narrow values", 2, 10, 16, 1, false }, { "not aligned", 2, 1, 8, 8, true },
};
enum { CACHES = sizeof caches / sizeof *caches };

static const page_copy copies[MOST_COPIES] = { { 0, 3, 15 }, { 0, 4, 1 }, { 8, 1, 7 }, { 2, 7, 16 }, { 2, 6, 0 }, { 8, 5, 4 } };

static size_t bytes_of(const cache *c, dtype type)
{
    return (size_t)(c->layers * PAGES * CUD_PAGE * c->heads * (c->k_dim + c->v_dim)) * cud_dtype_size(type);
}

/* Where a head's row of a position lies: layers of keys and then values, as models lay them out. */
static size_t place(const cache *c, dtype type, int layer, bool values, int page, int head, int position)
{
    const int before = layer * PAGES * CUD_PAGE * c->heads * (c->k_dim + c->v_dim) + (values ? PAGES * CUD_PAGE * c->heads * c->k_dim : 0);
    const int row = (page * c->heads + head) * CUD_PAGE + position;
    return (size_t)(before + row * (values ? c->v_dim : c->k_dim)) * cud_dtype_size(type);
}

static copy_pages_args args_of(op_env *e, const cache *c, dtype type, char *data, int count)
{
    return (copy_pages_args){ .kv = { .k = data, .v = data + place(c, type, 0, true, 0, 0, 0), .type = type, .heads = c->heads, .k_dim = c->k_dim,
                                      .v_dim = c->v_dim, .pages = PAGES },
                              .layers = c->layers, .layer_bytes = place(c, type, 1, false, 0, 0, 0),
                              .copies = op_upload(e, copies, sizeof copies), .count = count };
}

static void copy_on_paper(char *want, const char *before, const cache *c, dtype type, int count)
{
    const size_t width = cud_dtype_size(type);
    for (int i = 0; i < count; i++)
        for (int layer = 0; layer < c->layers; layer++)
            for (int head = 0; head < c->heads; head++)
                for (int p = 0; p < copies[i].positions; p++)
                    for (int values = 0; values < 2; values++)
                        memcpy(want + place(c, type, layer, values, copies[i].to, head, p), before + place(c, type, layer, values, copies[i].from, head, p),
                               (size_t)(values ? c->v_dim : c->k_dim) * width);
}

/* Bit for bit, NaNs included, and nothing else is written. */
START_TEST(copies_what_a_plain_loop_copies)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int i = 0; i < CACHES; i++)
        for (int t = 0; t < OP_TYPES; t++)
            for (int count = 0; count <= MOST_COPIES; count++) {
                const cache *c = &caches[i];
                const dtype type = op_types[t];
                const size_t shift = c->shifted ? cud_dtype_size(type) : 0, bytes = bytes_of(c, type) + shift;
                unsigned char *before = op_host(&e, bytes), *want = op_host(&e, bytes), *got = op_host(&e, bytes);
                for (size_t k = 0; k < bytes; k++) before[k] = (unsigned char)(op_draw(&e) * 128.0f + 128.0f);
                memcpy(want, before, bytes);
                copy_on_paper((char *)want + shift, (char *)before + shift, c, type, count);
                char *data = op_upload(&e, before, bytes);
                const copy_pages_args a = args_of(&e, c, type, data + shift, count);
                OP_RUN(&e, e.b->ops->copy_pages(&e.ex, &a, &err));
                cuddle_error err = { 0 };
                ck_ok(e.b->ops->download(&e.ex, got, data, bytes, &err));
                ck_assert_msg(memcmp(got, want, bytes) == 0, "%s, %s, %d copies", c->name, cud_dtype_name(type), count);
                op_reset(&e);
            }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    const copy_pages_args good = { .kv = { .type = CUDDLE_F32, .heads = 2, .k_dim = 8, .v_dim = 8 }, .layers = 3, .count = 4 };
    OP_RECORDED(&e, e.b->ops->copy_pages(&e.ex, &good, &err));
    ck_assert_uint_eq(e.ex.ws.peak, 0);
    copy_pages_args a = good;
    a.kv.type = CUDDLE_F8_E4M3;
    OP_REFUSED(&e, e.b->ops->copy_pages(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "copy_pages on " OP_NAME, "F8_E4M3");
    a = good, a.kv.v_dim = CUD_MAX_HEAD + 1;
    OP_REFUSED(&e, e.b->ops->copy_pages(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "copy_pages on " OP_NAME, "1024");
    a = good, a.kv.k_dim = CUD_MAX_HEAD + 1;
    OP_REFUSED(&e, e.b->ops->copy_pages(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "copy_pages on " OP_NAME, "1024");
    a = good, a.count = -1;
    OP_REFUSED(&e, e.b->ops->copy_pages(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "copy_pages on " OP_NAME, "-1 copies in 3 layers");
    a = good, a.kv.heads = 0;
    OP_REFUSED(&e, e.b->ops->copy_pages(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "copy_pages on " OP_NAME, "0 heads");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("copy_pages", &tc);
    tcase_add_loop_test(tc, copies_what_a_plain_loop_copies, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
