#include "op_support.h"

enum { POSITIONS = 64 };

/* cos and sin of position / 10^i, pair i, as the model would make it. */
static tensor table_of(op_env *e, int rotary_dim)
{
    float *values = op_host(e, sizeof(float) * (size_t)(POSITIONS * rotary_dim));
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < rotary_dim / 2; i++) {
            values[p * rotary_dim + i] = (float)cos(p / pow(10, i * 0.3));
            values[p * rotary_dim + rotary_dim / 2 + i] = (float)sin(p / pow(10, i * 0.3));
        }
    return op_from(e, CUDDLE_F32, values, 2, POSITIONS, rotary_dim, 0, 0);
}

START_TEST(matches_hand_value) /* a quarter turn: (1, 2) becomes (-2, 1) */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    rope_table table = { .cos_sin = op_from(&e, CUDDLE_F32, (float[]){ 1, 0, 0, 1 }, 2, 2, 2, 0, 0), .rotary_dim = 2 };
    rope_args a = { .q = op_from(&e, CUDDLE_F32, (float[]){ 1, 2, 5 }, 3, 1, 1, 3, 0), .k = op_from(&e, CUDDLE_F32, (float[]){ 3, 4, 6 }, 3, 1, 1, 3, 0),
                    .table = &table, .positions = op_ints(&e, (int32_t[]){ 1 }, 1), .position_stride = 1 };
    OP_RUN(&e, e.b->ops->rope(&e.ex, &a, &err));
    const float *q = op_download(&e, a.q), *k = op_download(&e, a.k);
    ck_assert_float_eq(q[0], -2);
    ck_assert_float_eq(q[1], 1);
    ck_assert_float_eq(q[2], 5); /* beyond rotary_dim */
    ck_assert_float_eq(k[0], -4);
    ck_assert_float_eq(k[1], 3);
    op_close(&e);
}
END_TEST

typedef struct kind { const char *name; int heads, kv_heads, dim, v_dim, rotary; bool interleaved, cache, no_table; int sections[CUD_MAX_AXES]; } kind;
static const kind kinds[] = {
    { "halves", 4, 2, 16, 16, 16, false, true, false, { 0 } },
    { "pairs", 3, 3, 8, 8, 8, true, true, false, { 0 } },
    { "partial", 2, 1, 20, 12, 6, false, true, false, { 0 } },
    { "partial pairs", 2, 1, 20, 20, 10, true, false, false, { 0 } },
    { "no cache", 5, 5, 64, 64, 64, false, false, false, { 0 } },
    { "sections", 2, 2, 16, 16, 16, false, true, false, { 2, 3, 3 } },
    { "only the cache", 2, 2, 33, 17, 0, false, true, true, { 0 } },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static double turned(const kind *s, const float *x, int d, const float *table, const int32_t *positions, int stride, int token)
{
    const int half = s->rotary / 2;
    if (s->no_table || d >= s->rotary) return (double)x[d];
    const int pair = s->interleaved ? d / 2 : d % half;
    const bool second = s->interleaved ? d % 2 : d >= half;
    int axis = 0;
    if (s->sections[0]) axis = pair < s->sections[0] ? 0 : pair < s->sections[0] + s->sections[1] ? 1 : 2;
    const float *row = table + positions[axis * stride + token] * s->rotary;
    const double a = (double)x[s->interleaved ? 2 * pair : pair], b = (double)x[s->interleaved ? 2 * pair + 1 : pair + half];
    return second ? b * (double)row[pair] + a * (double)row[half + pair] : a * (double)row[pair] - b * (double)row[half + pair];
}

START_TEST(matches_double_for_every_kind_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    enum { TOKENS = 45, STRIDE = 50, PAGES = 7 };
    for (int i = 0; i < KINDS; i++) {
        for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
            const kind *s = &kinds[i];
            const dtype type = op_types[t / 3], cache_type = op_types[t % 3];
            const int width = s->heads * s->dim + s->kv_heads * (s->dim + s->v_dim); /* q, k and v as columns of one matrix */
            tensor all = op_random(&e, type, 2, TOKENS, width, 0, 3);
            const float *before = op_download(&e, all);
            int32_t positions[3 * STRIDE], slots[TOKENS];
            for (int j = 0; j < 3 * STRIDE; j++) positions[j] = j * 7 % POSITIONS;
            for (int j = 0; j < TOKENS; j++) slots[j] = j % 11 == 10 ? -1 : j * 5 % (PAGES * CUD_PAGE); /* from 0 on, all different; -1 goes nowhere */
            rope_table table = { .rotary_dim = s->rotary, .interleaved = s->interleaved };
            memcpy(table.sections, s->sections, sizeof table.sections);
            if (s->rotary) table.cos_sin = table_of(&e, s->rotary);
            const int k_at = s->heads * s->dim, v_at = k_at + s->kv_heads * s->dim;
            rope_args a = { .q = cud_split_heads(cud_columns(all, 0, k_at), s->heads, s->dim),
                            .k = cud_split_heads(cud_columns(all, k_at, v_at - k_at), s->kv_heads, s->dim),
                            .v = cud_split_heads(cud_columns(all, v_at, width - v_at), s->kv_heads, s->v_dim),
                            .table = s->no_table ? NULL : &table, .positions = op_ints(&e, positions, 3 * STRIDE), .position_stride = STRIDE };
            tensor ck = op_empty(&e, cache_type, 2, PAGES * CUD_PAGE * s->kv_heads, s->dim, 0, 0),
                   cv = op_empty(&e, cache_type, 2, PAGES * CUD_PAGE * s->kv_heads, s->v_dim, 0, 0);
            if (s->cache) a.kv = (kv_view){ .k = ck.data, .v = cv.data, .type = cache_type, .heads = s->kv_heads, .k_dim = s->dim, .v_dim = s->v_dim,
                                            .pages = PAGES, .slots = op_ints(&e, slots, TOKENS) };
            cuddle_error err = { 0 };
            op_record(&e);
            ck_ok(e.b->ops->rope(&e.ex, &a, &err));
            op_start(&e);
            ck_ok(e.b->ops->rope(&e.ex, &a, &err));
            const float *after = op_download(&e, all), *keys = op_download(&e, ck), *values = op_download(&e, cv);
            const float *angles = s->rotary ? op_download(&e, table.cos_sin) : NULL;
            int written = 0;
            for (int j = 0; j < TOKENS; j++) {
                const float *x = before + j * all.stride[0], *y = after + j * all.stride[0];
                for (int h = 0; h < s->heads; h++)
                    for (int d = 0; d < s->dim; d++)
                        op_near(type, (double)y[h * s->dim + d], turned(s, x + h * s->dim, d, angles, positions, STRIDE, j), 3e-7, s->name, j, h * s->dim + d);
                for (int h = 0; h < s->kv_heads && !(s->cache && slots[j] < 0); h++) {
                    const int64_t at = ((int64_t)(slots[j] / CUD_PAGE) * s->kv_heads + h) * CUD_PAGE + slots[j] % CUD_PAGE;
                    for (int d = 0; d < s->dim; d++) {
                        const double want = turned(s, x + k_at + h * s->dim, d, angles, positions, STRIDE, j);
                        const float got = y[k_at + h * s->dim + d];
                        if (s->cache) op_near(cache_type, (double)keys[at * s->dim + d], want, 3e-7, s->name, j, d);
                        if (s->cache) op_near(CUDDLE_F32, (double)got, (double)x[k_at + h * s->dim + d], 0, "k", j, d); /* left alone */
                        else op_near(type, (double)got, want, 3e-7, s->name, j, d);
                    }
                    for (int d = 0; d < s->v_dim && s->cache; d++)
                        op_near(cache_type, (double)values[at * s->v_dim + d], (double)x[v_at + h * s->v_dim + d], 0, s->name, j, d);
                    written += s->dim;
                }
                ck_assert_mem_eq(x + v_at, y + v_at, sizeof(float) * (size_t)(width - v_at));
            }
            int numbers = 0;
            for (int64_t j = 0; j < op_span(ck); j++) numbers += !isnan(keys[j]);
            ck_assert_int_eq(numbers, s->cache ? written : 0); /* and nothing else */
            op_padding_intact(&e, all);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    rope_table good_table = { .cos_sin = cud_matrix(NULL, CUDDLE_F32, 10, 8), .rotary_dim = 8 }, table = good_table;
    const rope_args good = { .q = cud_split_heads(cud_matrix(NULL, CUDDLE_F32, 3, 32), 4, 8), .k = cud_split_heads(cud_matrix(NULL, CUDDLE_F32, 3, 16), 2, 8),
                             .v = cud_split_heads(cud_matrix(NULL, CUDDLE_F32, 3, 16), 2, 8), .table = &table,
                             .kv = { .type = CUDDLE_F32, .heads = 2, .k_dim = 8, .v_dim = 8 } };
    OP_RECORDED(&e, e.b->ops->rope(&e.ex, &good, &err));
    rope_args a = good;
    a.kv.type = CUDDLE_F8_E4M3;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "F8_E4M3");
    a = good, a.q.type = CUDDLE_I32;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "I32");
    a = good, a.kv.heads = 4;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "rope on " OP_NAME, "k");
    table.rotary_dim = 10, table.cos_sin = cud_matrix(NULL, CUDDLE_F32, 10, 10);
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &good, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "10 rotary");
    table = good_table, table.cos_sin.type = CUDDLE_BF16;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &good, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "BF16");
    table = good_table, table.sections[0] = 3;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &good, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "sections of 3 pairs, expected 4");
    table = good_table, a = good;
    a.q = cud_split_heads(cud_matrix(NULL, CUDDLE_F32, 3, 2048), 1, 2048), a.k = a.v = (tensor){ 0 }, a.kv.heads = 0;
    OP_REFUSED(&e, e.b->ops->rope(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "rope on " OP_NAME, "more than 1024");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("rope", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_kind_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
