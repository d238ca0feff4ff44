/* Offsets of more than 2^31 elements: rows lie that far apart in a device's address space, with nothing between. Results must be, bit for
 * bit, those of rows side by side, which the ops' own tests compare with a double. */
#include "../op_support.h"

enum { PLACES = 65, PLACE_BYTES = 16384 };
static const int64_t apart = (int64_t)142 << 20; /* of places; 64 times that is more than 2^31 floats */

static void *places[PLACES]; /* equally far from each other */
static int64_t distance;
static size_t taken; /* of every place */

static void open_far(op_env *e)
{
    cuddle_error err = { 0 };
    ck_assert(op_open(e, 0, 1));
    for (int i = 0; i < PLACES; i++) {
        if (i) emu_skip_addresses((size_t)apart);
        ck_ok(e->b->ops->alloc(e->b, &places[i], PLACE_BYTES, "a place", &err));
    }
    distance = (char *)places[1] - (char *)places[0];
    for (int i = 1; i < PLACES; i++) ck_assert_int_eq((char *)places[i] - (char *)places[i - 1], distance);
    ck_assert_int_gt(distance * (PLACES - 1) / 4, INT64_C(1) << 31);
}

static void close_far(op_env *e)
{
    for (int i = 0; i < PLACES; i++) e->b->ops->release(e->b, places[i]);
    op_close(e);
}

/* Forgets every tensor, near and far. */
static void start_over(op_env *e)
{
    cuddle_error err = { 0 };
    op_reset(e);
    void *ones = op_host(e, PLACE_BYTES);
    memset(ones, 0xff, PLACE_BYTES);
    for (int i = 0; i < PLACES; i++) ck_ok(e->b->ops->upload(&e->ex, places[i], ones, PLACE_BYTES, &err));
    ck_ok(e->b->ops->finish(&e->ex, &err));
    taken = 0;
}

/* A tensor of the same sizes with its first and last row as far apart as the places go; nothing is written there. */
static tensor far(tensor t)
{
    const size_t row = (size_t)(t.rank == 3 ? t.size[1] * t.size[2] : t.size[1]) * cud_dtype_size(t.type);
    tensor out = t;
    out.data = (char *)places[0] + taken;
    out.stride[0] = distance * ((PLACES - 1) / (t.size[0] - 1)) / (int64_t)cud_dtype_size(t.type);
    taken += (row + 15) / 16 * 16;
    ck_assert_uint_le(taken, PLACE_BYTES);
    ck_assert_int_gt((t.size[0] - 1) * out.stride[0], INT64_C(1) << 31);
    return out;
}

static size_t row_bytes(tensor t) { return (size_t)(t.rank == 3 ? t.size[1] * t.size[2] : t.size[1]) * cud_dtype_size(t.type); }

static tensor moved(op_env *e, tensor t)
{
    cuddle_error err = { 0 };
    const tensor out = far(t);
    const char *rows = op_raw(e, t);
    for (int64_t r = 0; r < t.size[0]; r++)
        ck_ok(e->b->ops->upload(&e->ex, cud_at(out, r * out.stride[0]), rows + (size_t)(r * t.stride[0]) * cud_dtype_size(t.type), row_bytes(t), &err));
    ck_ok(e->b->ops->finish(&e->ex, &err));
    return out;
}

static void same_rows(op_env *e, tensor got, tensor want, const char *what)
{
    const char *rows = op_raw(e, want);
    char *row = op_host(e, row_bytes(want));
    for (int64_t r = 0; r < want.size[0]; r++) {
        cuddle_error err = { 0 };
        ck_ok(e->b->ops->download(&e->ex, row, cud_at(got, r * got.stride[0]), row_bytes(want), &err));
        ck_assert_msg(memcmp(row, rows + (size_t)(r * want.stride[0]) * cud_dtype_size(want.type), row_bytes(want)) == 0, "%s: row %d", what, (int)r);
    }
}

static const struct { dtype x, w, out; int64_t rows; bool transposed, deterministic; } products[] = {
    { CUDDLE_F32, CUDDLE_F32, CUDDLE_F32, 2, false, true },    { CUDDLE_F32, CUDDLE_F32, CUDDLE_F32, 2, true, true },
    { CUDDLE_F32, CUDDLE_BF16, CUDDLE_F32, 17, false, true },  { CUDDLE_BF16, CUDDLE_BF16, CUDDLE_BF16, 2, false, true },
    { CUDDLE_BF16, CUDDLE_BF16, CUDDLE_BF16, 65, false, true }, { CUDDLE_F16, CUDDLE_F16, CUDDLE_F16, 2, false, false },
    { CUDDLE_BF16, CUDDLE_BF16, CUDDLE_BF16, 65, false, false },
};
enum { PRODUCTS = sizeof products / sizeof *products };

static void linear(op_env *e, int i)
{
    enum { N = 24, K = 40 };
    e->ex.deterministic = products[i].deterministic;
    const int64_t m = products[i].rows;
    const bool turned = products[i].transposed;
    tensor x = op_random(e, products[i].x, 2, m, K, 0, 0), out = op_empty(e, products[i].out, 2, m, N, 0, 0);
    const weight w = op_weight(op_random(e, products[i].w, 2, turned ? K : N, turned ? N : K, 0, 0), turned);
    epilogue ep = { .act = ACT_SILU, .residual = op_random(e, products[i].out, 2, m, N, 0, 0) };
    OP_RUN(e, e->b->ops->linear(&e->ex, out, x, &w, &ep, &err));
    const bool library = !e->ex.deterministic && m > 64; /* whose operands must be whole; its sums are ours to finish */
    const tensor far_x = library ? x : moved(e, x), far_out = far(out);
    ep.residual = moved(e, ep.residual);
    OP_RUN(e, e->b->ops->linear(&e->ex, far_out, far_x, &w, &ep, &err));
    same_rows(e, far_out, out, "linear");
}

static void norms(op_env *e, int t)
{
    for (int rank = 2; rank <= 3; rank++) {
        const int64_t second = rank == 3 ? 3 : 40;
        norm_args a = { .x = op_random(e, op_types[t], rank, 2, second, 24, 0), .out = op_empty(e, CUDDLE_F32, rank, 2, second, 24, 0), .eps = 1e-5f }, b = a;
        b.x = moved(e, a.x), b.out = far(a.out);
        for (int layer = 0; layer < 2; layer++) {
            OP_RUN(e, (layer ? e->b->ops->layernorm : e->b->ops->rmsnorm)(&e->ex, &a, &err));
            OP_RUN(e, (layer ? e->b->ops->layernorm : e->b->ops->rmsnorm)(&e->ex, &b, &err));
            same_rows(e, b.out, a.out, layer ? "layernorm" : "rmsnorm");
        }
    }
}

static void gate_and_gather(op_env *e, int t)
{
    tensor g = op_random(e, op_types[t], 2, 2, 21, 0, 0), u = op_random(e, op_types[t], 2, 2, 21, 0, 0), out = op_empty(e, op_types[t], 2, 2, 21, 0, 0);
    const tensor far_out = far(out), far_g = moved(e, g);
    OP_RUN(e, e->b->ops->gate(&e->ex, out, g, u, ACT_SILU, &err));
    OP_RUN(e, e->b->ops->gate(&e->ex, far_out, far_g, moved(e, u), ACT_SILU, &err));
    same_rows(e, far_out, out, "gate");
    const int32_t *rows = op_ints(e, (int32_t[]){ 1, 0 }, 2);
    OP_RUN(e, e->b->ops->gather(&e->ex, out, g, rows, &err));
    OP_RUN(e, e->b->ops->gather(&e->ex, far_out, far_g, rows, &err));
    same_rows(e, far_out, out, "gather");
}

/* A row of a table so large that its first element would be far in front of everything: only its own address counts. */
static void *table_with(tensor row, int64_t index) { return (void *)((uintptr_t)row.data - (uintptr_t)(index * row.size[1]) * cud_dtype_size(row.type)); }

static void embed(op_env *e, int t)
{
    enum { COLS = 1024, ID = 5000000, POSITION = 3000000 };
    tensor row = op_random(e, op_types[t], 2, 1, COLS, 0, 0), position = op_random(e, op_types[t], 2, 1, COLS, 0, 0);
    weight w = { .format = cud_wformat_of(op_types[t]), .n = ID + 1, .k = COLS, .segments = 1 };
    w.segment[0] = (weight_segment){ .data = table_with(row, ID), .n = ID + 1 };
    tensor positions = cud_matrix(table_with(position, POSITION + 2), op_types[t], POSITION + 3, COLS), out = op_empty(e, CUDDLE_F32, 2, 2, COLS, 0, 0);
    embed_args a = { .out = far(out), .ids = op_ints(e, (int32_t[]){ ID, ID }, 2), .table = &w, .scale = 1, .position_table = positions,
                     .positions = op_ints(e, (int32_t[]){ POSITION, POSITION }, 2), .position_offset = 2 };
    OP_RUN(e, e->b->ops->embed(&e->ex, &a, &err));
    const weight near_w = op_weight(row, false);
    const int32_t *zeros = op_ints(e, (int32_t[]){ 0, 0 }, 2);
    embed_args near = { .out = out, .ids = zeros, .table = &near_w, .scale = 1, .position_table = position, .positions = zeros };
    OP_RUN(e, e->b->ops->embed(&e->ex, &near, &err));
    same_rows(e, a.out, out, "embed");
}

static void rope(op_env *e, int t)
{
    enum { TOKENS = 2, HEADS = 2, DIM = 64, PAGE = 1100000 };
    tensor q = op_random(e, op_types[t], 3, TOKENS, HEADS, DIM, 0), k = op_random(e, op_types[t], 3, TOKENS, HEADS, DIM, 0);
    tensor v = op_random(e, op_types[t], 3, TOKENS, HEADS, DIM, 0), angles = op_random(e, CUDDLE_F32, 2, 1, DIM, 0, 0);
    tensor turned[2], keys[2], values[2];
    for (int i = 0; i < 2; i++) { /* near, far */
        const int32_t page = i ? PAGE : 0, position = i ? 40000000 : 0;
        const size_t offset = (size_t)page * CUD_PAGE * HEADS * DIM * cud_dtype_size(op_types[t]);
        const int32_t *slots = op_ints(e, (int32_t[]){ page * CUD_PAGE + 5, page * CUD_PAGE + 1 }, TOKENS);
        const rope_table table = { .cos_sin = cud_matrix(table_with(angles, position), CUDDLE_F32, position + 1, DIM), .rotary_dim = DIM };
        turned[i] = i ? moved(e, q) : op_empty(e, op_types[t], 3, TOKENS, HEADS, DIM, 0);
        keys[i] = op_empty(e, op_types[t], 2, CUD_PAGE * HEADS, DIM, 0, 0), values[i] = op_empty(e, op_types[t], 2, CUD_PAGE * HEADS, DIM, 0, 0);
        rope_args a = { .q = turned[i], .k = i ? moved(e, k) : k, .v = i ? moved(e, v) : v, .table = &table,
                        .positions = op_ints(e, (int32_t[]){ position, position }, TOKENS), .position_stride = TOKENS,
                        .kv = { .k = (void *)((uintptr_t)keys[i].data - offset), .v = (void *)((uintptr_t)values[i].data - offset), .type = op_types[t],
                                .heads = HEADS, .k_dim = DIM, .v_dim = DIM, .pages = page + 1, .slots = slots } };
        cuddle_error err = { 0 };
        if (i == 0) ck_ok(e->b->ops->upload(&e->ex, a.q.data, op_raw(e, q), row_bytes(q) * TOKENS, &err)); /* turned in place: a copy */
        ck_ok(e->b->ops->rope(&e->ex, &a, &err));
        ck_ok(e->b->ops->finish(&e->ex, &err));
    }
    same_rows(e, turned[1], turned[0], "q");
    same_rows(e, keys[1], keys[0], "keys");
    same_rows(e, values[1], values[0], "values");
}

START_TEST(offsets_pass_two_to_the_31)
{
    op_env e;
    open_far(&e);
    for (int i = 0; i < PRODUCTS; i++) start_over(&e), linear(&e, i);
    e.ex.deterministic = true;
    for (int t = 0; t < OP_TYPES; t++) {
        start_over(&e), norms(&e, t);
        start_over(&e), gate_and_gather(&e, t);
        start_over(&e), embed(&e, t);
        start_over(&e), rope(&e, t);
    }
    close_far(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("far rows", &tc);
    emu_set_compute_capability(8, 0);
    tcase_add_test(tc, offsets_pass_two_to_the_31);
    return test_run(s);
}
