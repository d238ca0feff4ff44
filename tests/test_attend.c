#include "op_support.h"
#ifndef OP_ON_CUDA
#include "cpu/backend.h"
#endif

enum { MAX_SEQUENCES = 4 };

/* One case: what is attended with. `past` keys exist before the `fresh` queries of a sequence (cross: number of keys). */
typedef struct scene {
    const char *name;
    int heads, kv_heads, k_dim, v_dim, sequences, past[MAX_SEQUENCES], fresh[MAX_SEQUENCES];
    mask_kind mask;
    int window;
    float soft_cap;
    bool packed, cross, sinks, alibi, bias;
} scene;

static const scene scenes[] = {
    { "one token", 1, 1, 8, 8, 1, { 0 }, { 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "grouped heads, mixed batch", 6, 2, 24, 24, 4, { 0, 37, 130, 63 }, { 50, 1, 3, 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "an empty sequence between", 4, 4, 16, 16, 3, { 5, 0, 16 }, { 3, 0, 17 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "long decode", 4, 1, 64, 64, 1, { 700 }, { 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "a window", 2, 2, 16, 16, 2, { 0, 200 }, { 150, 20 }, MASK_CAUSAL, 33, 0, false, false, false, false, false },
    { "a window of one", 2, 1, 16, 16, 1, { 4 }, { 70 }, MASK_CAUSAL, 1, 0, false, false, false, false, false },
    { "soft cap", 2, 1, 33, 17, 2, { 3, 70 }, { 40, 2 }, MASK_CAUSAL, 0, 5, false, false, false, false, false },
    { "sinks and a window", 4, 2, 64, 64, 2, { 0, 90 }, { 33, 4 }, MASK_CAUSAL, 20, 0, false, false, true, false, false },
    { "ALiBi", 3, 3, 20, 20, 2, { 0, 65 }, { 70, 5 }, MASK_CAUSAL, 0, 0, false, false, false, true, false },
    { "an encoder", 2, 2, 32, 32, 3, { 0 }, { 7, 130, 1 }, MASK_FULL, 0, 0, true, false, false, false, false },
    { "an encoder with a window", 2, 2, 16, 16, 2, { 0 }, { 90, 12 }, MASK_FULL, 8, 0, true, false, false, false, false },
    { "an encoder with T5's bias", 2, 2, 16, 16, 2, { 0 }, { 140, 3 }, MASK_FULL, 0, 0, true, false, false, false, true },
    { "a decoder with T5's bias", 2, 2, 16, 16, 2, { 0, 150 }, { 140, 2 }, MASK_CAUSAL, 0, 0, false, false, false, false, true },
    { "cross attention", 4, 2, 16, 24, 3, { 33, 1, 0 }, { 5, 9, 2 }, MASK_FULL, 0, 0, true, true, false, false, false },
    { "many heads on one", 70, 1, 8, 8, 1, { 20 }, { 3 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "several decode, far and near", 4, 2, 48, 48, 4, { 299, 17, 0, 255 }, { 1, 1, 1, 2 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "a prompt beside a long context", 2, 1, 32, 32, 2, { 1100, 0 }, { 1, 30 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 80", 2, 1, 80, 80, 3, { 0, 70, 290 }, { 67, 3, 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 96, ALiBi", 2, 2, 96, 96, 2, { 30, 270 }, { 40, 2 }, MASK_CAUSAL, 0, 0, false, false, false, true, false },
    { "heads of 128", 4, 1, 128, 128, 2, { 140, 255 }, { 33, 2 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 256, soft cap", 2, 1, 256, 256, 2, { 10, 40 }, { 35, 1 }, MASK_CAUSAL, 0, 3, false, false, false, false, false },
    { "a window of few queries far on", 8, 1, 32, 32, 2, { 600, 250 }, { 2, 1 }, MASK_CAUSAL, 40, 0, false, false, true, false, false },
    { "a window of several tiles", 2, 2, 32, 32, 2, { 0, 250 }, { 190, 9 }, MASK_CAUSAL, 100, 0, false, false, false, false, false },
    { "few queries, everything at once", 2, 2, 64, 64, 2, { 300, 3 }, { 3, 9 }, MASK_CAUSAL, 280, 4, false, false, true, true, false },
    { "cross attention of few queries", 4, 2, 32, 32, 3, { 300, 1, 0 }, { 1, 2, 1 }, MASK_FULL, 0, 0, true, true, false, false, false },
    { "an encoder of several tiles", 2, 1, 64, 64, 3, { 0 }, { 130, 64, 1 }, MASK_FULL, 0, 0, true, false, false, false, false },
};
enum { SCENES = sizeof scenes / sizeof *scenes, BUCKETS = 32, MAX_DISTANCE = 128 };

/* A scene in memory. Keys and values are kept on the host as [sequence][position][head][dim] too. */
typedef struct stage {
    attend_args args;
    float *k[MAX_SEQUENCES], *v[MAX_SEQUENCES];
    int keys[MAX_SEQUENCES];
} stage;

static float rounded(float x, dtype type)
{
    uint32_t raw;
    cud_from_float(&raw, type, &x, 1);
    cud_to_float(&x, &raw, type, 1);
    return x;
}

static void fill_cache(op_env *e, const scene *s, stage *st, dtype type)
{
    kv_view *kv = &st->args.kv;
    int width = 1, pages = 0;
    for (int i = 0; i < s->sequences; i++) {
        const int n = (st->keys[i] + CUD_PAGE - 1) / CUD_PAGE;
        if (n > width) width = n;
        pages += n;
    }
    int32_t *table = op_host(e, sizeof(int32_t) * (size_t)(width * s->sequences));
    for (int i = 0; i < width * s->sequences; i++) table[i] = -1;
    const size_t size = cud_dtype_size(type), count_k = (size_t)(pages + 1) * CUD_PAGE * (size_t)(s->kv_heads * s->k_dim),
                 count_v = (size_t)(pages + 1) * CUD_PAGE * (size_t)(s->kv_heads * s->v_dim);
    char *k = op_host(e, count_k * size), *v = op_host(e, count_v * size);
    memset(k, 0xff, count_k * size); /* what no key lies in is NaN */
    memset(v, 0xff, count_v * size);
    int next = pages; /* pages in falling order, page 0 unused */
    for (int i = 0; i < s->sequences; i++) {
        for (int p = 0; p < st->keys[i]; p++) {
            if (p % CUD_PAGE == 0) table[i * width + p / CUD_PAGE] = next--;
            for (int h = 0; h < s->kv_heads; h++) {
                const size_t at = ((size_t)table[i * width + p / CUD_PAGE] * (size_t)s->kv_heads + (size_t)h) * CUD_PAGE + (size_t)(p % CUD_PAGE);
                cud_from_float(k + at * (size_t)s->k_dim * size, type, st->k[i] + (p * s->kv_heads + h) * s->k_dim, s->k_dim);
                cud_from_float(v + at * (size_t)s->v_dim * size, type, st->v[i] + (p * s->kv_heads + h) * s->v_dim, s->v_dim);
            }
        }
    }
    *kv = (kv_view){ .k = op_upload(e, k, count_k * size), .v = op_upload(e, v, count_v * size), .type = type, .heads = s->kv_heads,
                     .k_dim = s->k_dim, .v_dim = s->v_dim, .pages = pages + 1, .block_table = op_ints(e, table, width * s->sequences),
                     .table_width = width };
}

static void fill_packed(op_env *e, const scene *s, stage *st, dtype type)
{
    int32_t starts[MAX_SEQUENCES + 1] = { 0 };
    for (int i = 0; i < s->sequences; i++) starts[i + 1] = starts[i] + st->keys[i];
    const int total = starts[s->sequences], kd = s->kv_heads * s->k_dim, vd = s->kv_heads * s->v_dim;
    float *all = op_host(e, sizeof(float) * (size_t)(total * (kd + vd))); /* k and v as columns of one matrix */
    for (int i = 0; i < s->sequences; i++) {
        for (int p = 0; p < st->keys[i]; p++) {
            memcpy(all + (starts[i] + p) * (kd + vd), st->k[i] + p * kd, (size_t)kd * sizeof(float));
            memcpy(all + (starts[i] + p) * (kd + vd) + kd, st->v[i] + p * vd, (size_t)vd * sizeof(float));
        }
    }
    tensor kv = op_from(e, type, all, 2, total, kd + vd, 0, 0);
    st->args.k = cud_split_heads(cud_columns(kv, 0, kd), s->kv_heads, s->k_dim);
    st->args.v = cud_split_heads(cud_columns(kv, kd, vd), s->kv_heads, s->v_dim);
    st->args.key_starts = op_ints(e, starts, s->sequences + 1);
}

/* Rows of q are `pad` elements apart. */
static void set_up(op_env *e, const scene *s, stage *st, dtype q_type, dtype kv_type, dtype out_type, int pad)
{
    int32_t starts[MAX_SEQUENCES + 1] = { 0 }, lengths[MAX_SEQUENCES];
    *st = (stage){ .args = { .sequences = s->sequences, .mask = s->mask, .window = s->window, .soft_cap = s->soft_cap, .scale = 0.5f } };
    for (int i = 0; i < s->sequences; i++) {
        starts[i + 1] = starts[i] + s->fresh[i];
        lengths[i] = st->keys[i] = s->cross ? s->past[i] : s->past[i] + s->fresh[i];
        if (s->fresh[i] > st->args.max_query) st->args.max_query = s->fresh[i];
        if (lengths[i] > st->args.max_kv) st->args.max_kv = lengths[i];
        st->k[i] = op_host(e, sizeof(float) * (size_t)(st->keys[i] * s->kv_heads * s->k_dim));
        st->v[i] = op_host(e, sizeof(float) * (size_t)(st->keys[i] * s->kv_heads * s->v_dim));
        for (int j = 0; j < st->keys[i] * s->kv_heads * s->k_dim; j++) st->k[i][j] = rounded(2 * op_draw(e), kv_type);
        for (int j = 0; j < st->keys[i] * s->kv_heads * s->v_dim; j++) st->v[i][j] = rounded(op_draw(e), kv_type);
    }
    st->args.q = op_random(e, q_type, 3, starts[s->sequences], s->heads, s->k_dim, pad);
    st->args.out = op_empty(e, out_type, 3, starts[s->sequences], s->heads, s->v_dim, pad);
    st->args.starts = op_ints(e, starts, s->sequences + 1);
    st->args.kv_lengths = op_ints(e, lengths, s->sequences);
    if (s->packed) fill_packed(e, s, st, kv_type);
    else fill_cache(e, s, st, kv_type);
    if (s->sinks) st->args.sinks = op_random(e, q_type, 1, s->heads, 0, 0, 0);
    if (s->alibi) st->args.alibi = op_random(e, CUDDLE_F32, 1, s->heads, 0, 0, 0);
    if (s->bias) st->args.bias = op_random(e, CUDDLE_F32, 2, s->heads, BUCKETS, 0, 0), st->args.bias_max_distance = MAX_DISTANCE;
}

/* transformers' T5Attention._relative_position_bucket */
static int bucket(int relative, bool bidirectional)
{
    int buckets = BUCKETS, result = 0;
    if (bidirectional) {
        buckets /= 2;
        result += relative > 0 ? buckets : 0;
        relative = abs(relative);
    } else {
        relative = relative < 0 ? -relative : 0;
    }
    const int exact = buckets / 2;
    if (relative < exact) return result + relative;
    const int large = exact + (int)(logf((float)relative / (float)exact) / logf((float)MAX_DISTANCE / (float)exact) * (float)(buckets - exact));
    return result + (large < buckets - 1 ? large : buckets - 1);
}

/* What computing may cost a result, a mean of values below 1. Float scores of dim terms and exp within 2 ulp give a relative error of a weight
 * of about 2e-6 at these sizes. Tensor cores get weights rounded to the type of the values: an error of u in each, and as much in their sum. */
static double allowed(const stage *st)
{
#ifdef OP_ON_CUDA
    const dtype type = st->args.q.type;
    const dtype of_keys = st->args.kv.heads ? st->args.kv.type : st->args.k.type;
    if (type != CUDDLE_F32 && type == of_keys && type == st->args.out.type) return 1e-5 + 2 * op_rounding(type, 1);
#endif
    (void)st;
    return 1e-5;
}

/* ALiBi's term grows with the distance, so scores of some hundreds are floats 2^-15 apart. Rounding the term and the score is an error of the
 * score, and so a relative error `lost` of the weight: what it moves the mean by goes with how far the value is from the mean. */
static double moved(const double *weights, const double *lost, const float *values, int keys, int stride, double mean)
{
    double sum = 0;
    for (int p = 0; p < keys; p++) sum += weights[p] * lost[p] * fabs((double)values[p * stride] - mean);
    return sum;
}

/* The op in double: for one query row and head, softmax over all keys it may see. */
static void check_scene(op_env *e, const scene *s, const stage *st, const char *what)
{
    const attend_args *a = &st->args;
    const float *q = op_download(e, a->q), *got = op_download(e, a->out);
    const float *sinks = s->sinks ? op_download(e, a->sinks) : NULL, *alibi = s->alibi ? op_download(e, a->alibi) : NULL,
                *bias = s->bias ? op_download(e, a->bias) : NULL;
    int row = 0;
    for (int i = 0; i < s->sequences; i++) {
        double *score = op_host(e, sizeof(double) * (size_t)(st->keys[i] + 1)), *lost = op_host(e, sizeof(double) * (size_t)(st->keys[i] + 1));
        for (int f = 0; f < s->fresh[i]; f++, row++) {
            const int position = st->keys[i] - s->fresh[i] + f;
            for (int h = 0; h < s->heads; h++) {
                const int kvh = h / (s->heads / s->kv_heads);
                double most = sinks ? (double)sinks[h] : -INFINITY, sum = 0;
                int seen = 0;
                for (int p = 0; p < st->keys[i]; p++) {
                    double dot = 0;
                    for (int d = 0; d < s->k_dim; d++)
                        dot += (double)q[row * a->q.stride[0] + h * a->q.stride[1] + d] * (double)st->k[i][(p * s->kv_heads + kvh) * s->k_dim + d];
                    score[p] = dot * (double)a->scale;
                    if (s->soft_cap > 0) score[p] = (double)s->soft_cap * tanh(score[p] / (double)s->soft_cap);
                    if (alibi) {
                        const double term = (double)alibi[h] * (p - position);
                        score[p] += term;
                        lost[p] = op_rounding(CUDDLE_F32, term) + op_rounding(CUDDLE_F32, score[p]);
                    }
                    if (bias) score[p] += (double)bias[h * BUCKETS + bucket(p - position, s->mask == MASK_FULL)];
                    const bool hidden = s->mask == MASK_CAUSAL ? p > position || (s->window && position - p >= s->window)
                                                               : s->window && abs(p - position) > s->window;
                    if (hidden) score[p] = -INFINITY;
                    else seen++;
                    if (score[p] > most) most = score[p];
                }
                if (sinks) sum = exp((double)sinks[h] - most);
                for (int p = 0; p < st->keys[i]; p++) sum += score[p] = exp(score[p] - most);
                for (int p = 0; p < st->keys[i]; p++) score[p] /= sum;
                for (int d = 0; d < s->v_dim; d++) {
                    const float *values = st->v[i] + kvh * s->v_dim + d;
                    const int stride = s->kv_heads * s->v_dim;
                    double want = 0, error = seen ? allowed(st) : 0;
                    for (int p = 0; p < st->keys[i] && seen; p++) want += score[p] * (double)values[p * stride];
                    if (alibi && seen) error += moved(score, lost, values, st->keys[i], stride, want);
                    op_near(a->out.type, (double)got[row * a->out.stride[0] + h * a->out.stride[1] + d], want, error, what, row, h * s->v_dim + d);
                }
            }
        }
    }
    op_padding_intact(e, a->out);
}

START_TEST(matches_hand_value) /* keys 1 and 0, query ln 3: weights 3/4 and 1/4; values 10 and 2 give 8 */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    attend_args a = { .sequences = 1, .max_query = 1, .max_kv = 2, .mask = MASK_FULL, .scale = 1 };
    a.q = op_from(&e, CUDDLE_F32, (float[]){ logf(3) }, 3, 1, 1, 1, 0);
    a.k = op_from(&e, CUDDLE_F32, (float[]){ 1, 0 }, 3, 2, 1, 1, 0);
    a.v = op_from(&e, CUDDLE_F32, (float[]){ 10, 2 }, 3, 2, 1, 1, 0);
    a.out = op_empty(&e, CUDDLE_F32, 3, 1, 1, 1, 0);
    a.starts = op_ints(&e, (int32_t[]){ 0, 1 }, 2);
    a.key_starts = op_ints(&e, (int32_t[]){ 0, 2 }, 2);
    OP_RUN(&e, e.b->ops->attend(&e.ex, &a, &err));
    ck_assert_float_eq_tol(op_download(&e, a.out)[0], 8, 2e-6f);
    op_close(&e);
}
END_TEST

#ifndef OP_ON_CUDA
/* As torch's softmax has it: minus infinity for every key is no number, not an even share and not zero. */
START_TEST(a_row_of_minus_infinities_is_no_number)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    attend_args a = { .sequences = 1, .max_query = 1, .max_kv = 2, .mask = MASK_FULL, .scale = 1 };
    a.q = op_from(&e, CUDDLE_F32, (float[]){ 1 }, 3, 1, 1, 1, 0);
    a.k = op_from(&e, CUDDLE_F32, (float[]){ -INFINITY, -INFINITY }, 3, 2, 1, 1, 0);
    a.v = op_from(&e, CUDDLE_F32, (float[]){ 10, 2 }, 3, 2, 1, 1, 0);
    a.out = op_from(&e, CUDDLE_F32, (float[]){ 5 }, 3, 1, 1, 1, 0);
    a.starts = op_ints(&e, (int32_t[]){ 0, 1 }, 2);
    a.key_starts = op_ints(&e, (int32_t[]){ 0, 2 }, 2);
    OP_RUN(&e, e.b->ops->attend(&e.ex, &a, &err));
    ck_assert(isnan(op_download(&e, a.out)[0]));
    op_close(&e);
}
END_TEST
#endif

enum { SAME, MIXED_OUT, MIXED_KEYS, KINDS = 3 * OP_TYPES }; /* of types */

START_TEST(matches_double_for_every_scene_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int i = 0; i < SCENES; i++) {
        for (int t = 0; t < KINDS; t++) {
            /* Mixed types are one kernel's on CUDA, whichever they are: two of six, so that all are met over the scenes. */
            if (OP_LEVELS == 1 && t >= OP_TYPES && (t + i / 3) % 3 != 0) continue;
            stage st;
            char what[128];
            const dtype q = op_types[t % OP_TYPES], k = op_types[t / OP_TYPES == MIXED_KEYS ? (t + 1) % OP_TYPES : t % OP_TYPES],
                        out = op_types[t / OP_TYPES == SAME ? t % OP_TYPES : (t + i) % OP_TYPES];
            snprintf(what, sizeof what, "%s, %s with keys of %s to %s", scenes[i].name, cud_dtype_name(q), cud_dtype_name(k), cud_dtype_name(out));
            set_up(&e, &scenes[i], &st, q, k, out, i % 2 ? 8 : 5);
            e.ex.deterministic = (i + t) % 2;
            OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
            check_scene(&e, &scenes[i], &st, what);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

/* Rows [first, last) of the only sequence of a scene, as a chunk of their own; the cache holds all keys, those to come as well. */
static void attend_chunk(op_env *e, const stage *st, int past, int first, int last)
{
    attend_args a = st->args;
    a.q = cud_rows(a.q, first, last - first);
    a.out = cud_rows(a.out, first, last - first);
    a.starts = op_ints(e, (int32_t[]){ 0, last - first }, 2);
    a.kv_lengths = op_ints(e, (int32_t[]){ past + last }, 1);
    a.max_query = last - first, a.max_kv = past + last;
    OP_RUN(e, e->b->ops->attend(&e->ex, &a, &err));
}

/* Every head size that has kernels of its own, and one between. */
static const scene rows_alone[] = {
    { "heads of 40", 6, 2, 40, 40, 1, { 21 }, { 30 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 32, many on one", 16, 1, 32, 32, 1, { 250 }, { 11 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 64, everything", 2, 2, 64, 64, 1, { 0 }, { 70 }, MASK_CAUSAL, 37, 3, false, false, true, true, false },
    { "heads of 80", 2, 1, 80, 80, 1, { 240 }, { 24 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    { "heads of 96", 2, 2, 96, 96, 1, { 50 }, { 24 }, MASK_CAUSAL, 30, 0, false, false, false, true, false },
    { "heads of 128", 4, 1, 128, 128, 1, { 247 }, { 18 }, MASK_CAUSAL, 200, 0, false, false, true, false, false },
    { "heads of 256", 2, 1, 256, 256, 1, { 250 }, { 10 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
};
enum { ROWS_ALONE = sizeof rows_alone / sizeof *rows_alone };

/* One chunk, several, token by token; 1, 2, 3 threads: the bits of a row are the same. */
START_TEST(is_deterministic)
{
    static const int chunks[] = { 1, 7, 17, 50 }; /* on CUDA few queries and many are different kernels */
    for (int kind = 0; kind < ROWS_ALONE; kind++) {
        for (int t = 0; t < OP_TYPES; t++) {
            const scene *s = &rows_alone[kind];
            float *whole = NULL;
            size_t bytes = 0;
            for (int threads = 1; threads <= (OP_LEVELS == 1 ? 1 : 3); threads++) {
                op_env e;
                stage st;
                if (!op_open(&e, _i, threads)) return;
                set_up(&e, s, &st, op_types[t], op_types[t], op_types[t], 8);
                bytes = (size_t)op_span(st.args.out) * cud_dtype_size(op_types[t]);
                attend_chunk(&e, &st, s->past[0], 0, s->fresh[0]);
                if (!whole) whole = memcpy(malloc(bytes), op_raw(&e, st.args.out), bytes);
                ck_assert_mem_eq(whole, op_raw(&e, st.args.out), bytes);
                for (int c = 0; c < 4 && chunks[c] < s->fresh[0]; c++) {
                    void *ones = op_host(&e, bytes);
                    cuddle_error err = { 0 };
                    const int owned = e.devices;
                    ck_ok(e.b->ops->upload(&e.ex, st.args.out.data, memset(ones, 0xff, bytes), bytes, &err));
                    for (int first = 0, last; first < s->fresh[0]; first = last) {
                        const int tokens = OP_LEVELS == 1 && c == 0 && first == 0 ? s->fresh[0] - 4 : chunks[c]; /* may be emulated */
                        last = first + tokens < s->fresh[0] ? first + tokens : s->fresh[0];
                        attend_chunk(&e, &st, s->past[0], first, last);
                    }
                    ck_assert_msg(memcmp(whole, op_raw(&e, st.args.out), bytes) == 0, "%s, %s: chunks of %d", s->name, cud_dtype_name(op_types[t]),
                                  chunks[c]);
                    while (e.devices > owned) e.b->ops->release(e.b, e.device[--e.devices]); /* here: there are many */
                }
                op_close(&e);
            }
            free(whole);
        }
    }
}
END_TEST

/* A batch of prompts and decoding sequences against each of them alone: the same bits. */
START_TEST(neighbours_do_not_matter)
{
    static const scene batches[] = {
        { "batch", 4, 2, 32, 32, 4, { 1030, 0, 290, 20 }, { 1, 75, 1, 3 }, MASK_CAUSAL, 0, 0, false, false, true, false, false },
        { "batch of 64", 4, 2, 64, 64, 3, { 260, 0, 20 }, { 1, 35, 3 }, MASK_CAUSAL, 0, 0, false, false, false, true, false },
        { "batch of 80", 2, 1, 80, 80, 3, { 260, 0, 20 }, { 2, 35, 1 }, MASK_CAUSAL, 0, 3, false, false, false, false, false },
        { "batch of 96", 2, 2, 96, 96, 3, { 260, 0, 20 }, { 1, 35, 3 }, MASK_CAUSAL, 50, 0, false, false, false, false, false },
        { "batch of 128", 2, 1, 128, 128, 3, { 260, 0, 20 }, { 1, 35, 3 }, MASK_CAUSAL, 0, 0, false, false, true, false, false },
        { "batch of 256", 2, 1, 256, 256, 3, { 260, 0, 20 }, { 1, 20, 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false },
    };
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (size_t n = 0; n < sizeof batches / sizeof *batches * OP_TYPES; n++) {
        const scene *s = &batches[n / OP_TYPES];
        const dtype type = op_types[n % OP_TYPES];
        stage st;
        set_up(&e, s, &st, type, type, type, 8);
        OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
        const char *batch = op_raw(&e, st.args.out);
        for (int i = 0, row = 0; i < s->sequences; row += s->fresh[i++]) {
            attend_args a = st.args;
            a.q = cud_rows(a.q, row, s->fresh[i]);
            a.out = op_empty(&e, type, 3, s->fresh[i], s->heads, s->v_dim, 8);
            a.starts = op_ints(&e, (int32_t[]){ 0, s->fresh[i] }, 2);
            a.kv_lengths += i;
            a.kv.block_table += i * a.kv.table_width;
            a.sequences = 1, a.max_query = s->fresh[i], a.max_kv = st.keys[i];
            OP_RUN(&e, e.b->ops->attend(&e.ex, &a, &err));
            const size_t stride = (size_t)a.out.stride[0] * cud_dtype_size(type);
            ck_assert_msg(memcmp(batch + (size_t)row * stride, op_raw(&e, a.out), (size_t)s->fresh[i] * stride) == 0, "%s, %s: sequence %d", s->name,
                          cud_dtype_name(type), i);
        }
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

/* A captured graph has bounds of its own: the longest query and context it may be replayed with. So far, that not all sequences' partial sums
 * fit the workspace at once. */
START_TEST(bounds_may_be_far_above_the_step)
{
    static const scene s = { "bounds", 16, 1, 256, 256, 4, { 3, 0, 270, 40 }, { 1, 1, 1, 1 }, MASK_CAUSAL, 0, 0, false, false, false, false, false };
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int t = 0; t < OP_TYPES; t++) {
        for (int most = 1; most < 40; most += 20) {
            stage st;
            set_up(&e, &s, &st, op_types[t], op_types[t], op_types[t], 8);
            st.args.max_kv = 512 * 256;
            st.args.max_query = most;
            OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
            check_scene(&e, &s, &st, "bounds above the step");
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(no_rows_is_no_work)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    stage st;
    set_up(&e, &scenes[2], &st, CUDDLE_BF16, CUDDLE_BF16, CUDDLE_BF16, 8);
    for (int sequences = 0; sequences < 2; sequences++) {
        attend_args a = st.args;
        a.q.size[0] = a.out.size[0] = 0;
        a.starts = op_ints(&e, (int32_t[]){ 0, 0 }, 2);
        a.sequences = sequences, a.max_query = a.max_kv = 0;
        OP_RUN(&e, e.b->ops->attend(&e.ex, &a, &err));
    }
    const float *out = op_download(&e, st.args.out);
    for (int64_t i = 0; i < op_span(st.args.out); i++) ck_assert(isnan(out[i]));
    op_close(&e);
}
END_TEST

#ifdef OP_ON_CUDA
/* Tensor cores multiply hidden values with zero, but not beyond the chunk (cuda/attend.cuh). */
START_TEST(hidden_values_do_not_leave_their_chunk)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    static const scene s = { "leak", 2, 1, 32, 32, 1, { 230 }, { 40 }, MASK_CAUSAL, 0, 0, false, false, false, false, false };
    for (int t = 1; t < OP_TYPES; t++) {
        stage st;
        set_up(&e, &s, &st, op_types[t], op_types[t], op_types[t], 8);
        OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
        const float *clean = op_download(&e, st.args.out);
        for (int d = 0; d < 32; d++) st.v[0][260 * 32 + d] = INFINITY, st.k[0][260 * 32 + d] = NAN;
        fill_cache(&e, &s, &st, op_types[t]);
        OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
        const float *dirty = op_download(&e, st.args.out);
        for (int row = 0; row < 40; row++) {
            const size_t at = (size_t)(row * st.args.out.stride[0]);
            if (230 + row < 256) ck_assert_mem_eq(clean + at, dirty + at, 64 * sizeof(float));
            if (230 + row >= 260) ck_assert_msg(isnan(dirty[at]), "row %d hides a NaN it sees", row);
        }
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST
#endif

/* What lies at positions a query may not see does not reach it, whatever it is. */
START_TEST(hidden_values_do_not_leak)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    static const scene s = { "leak", 4, 2, 16, 16, 1, { 0 }, { 90 }, MASK_CAUSAL, 0, 0, false, false, false, false, false };
    stage st;
    set_up(&e, &s, &st, CUDDLE_F32, CUDDLE_F32, CUDDLE_F32, 5);
    OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
    const float *clean = op_download(&e, st.args.out);
    for (int d = 0; d < 32; d++) st.v[0][70 * 32 + d] = INFINITY, st.k[0][70 * 32 + d] = NAN;
    fill_cache(&e, &s, &st, CUDDLE_F32);
    OP_RUN(&e, e.b->ops->attend(&e.ex, &st.args, &err));
    const float *dirty = op_download(&e, st.args.out);
    for (int row = 0; row < 90; row++) {
        const size_t at = (size_t)(row * st.args.out.stride[0]);
        if (row < 70) ck_assert_mem_eq(clean + at, dirty + at, 64 * sizeof(float));
        else for (int d = 0; d < 64; d++) ck_assert_msg(isnan(dirty[at + (size_t)d]), "row %d hides a NaN it sees", row);
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    stage st;
    set_up(&e, &scenes[1], &st, CUDDLE_F32, CUDDLE_F32, CUDDLE_F32, 5);
    attend_args a = st.args;
    a.kv.type = CUDDLE_F8_E4M3;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "F8_E4M3");
    a = st.args, a.q.type = CUDDLE_I32;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "I32");
    a = st.args, a.kv.heads = 4;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "attend", "KV heads");
    a = st.args, a.kv.k_dim = 32;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "attend", "cache");
    a = st.args, a.mask = (mask_kind)7;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "mask kind 7");
    a = st.args, a.sinks = op_random(&e, CUDDLE_F32, 1, 5, 0, 0, 0);
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "attend", "sinks");
    a = st.args, a.alibi = op_random(&e, CUDDLE_BF16, 1, 6, 0, 0, 0);
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "ALiBi");
    a = st.args, a.bias = op_random(&e, CUDDLE_F32, 2, 6, 32, 0, 0), a.bias_max_distance = 2;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "position bias");
    /* T5: half of the buckets of a side are exact, and the furthest distance must lie beyond them; with a full mask there are two sides */
    for (int full = 0; full < 2; full++) {
        a.mask = full ? MASK_FULL : MASK_CAUSAL, a.bias_max_distance = full ? 8 : 16;
        OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "32 buckets");
        a.bias_max_distance++;
        OP_RECORDED(&e, e.b->ops->attend(&e.ex, &a, &err));
    }
    a.bias = op_random(&e, CUDDLE_F32, 2, 6, 3, 0, 0);
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend", "3 buckets");
#ifdef OP_ON_CUDA
    a = st.args, a.kv.k_dim = 264, a.q = cud_split_heads(cud_matrix(NULL, CUDDLE_F32, a.q.size[0], 6 * 264), 6, 264);
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend on cuda", "264");
    a = st.args, a.bias = op_random(&e, CUDDLE_F32, 2, 6, 65, 0, 0), a.bias_max_distance = 128;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend on cuda", "65 buckets");
    a = st.args, a.max_kv = 0x7fffffff;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "attend on cuda", "2147483647 keys");
#endif
    a = st.args, a.out.size[2] = 8;
    OP_REFUSED(&e, e.b->ops->attend(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "attend", "out");
    op_close(&e);
}
END_TEST

START_TEST(recording_touches_nothing_and_bounds_smaller_steps)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    size_t before = 0;
    for (int n = 0; n < 300; n += 7) {
        cuddle_error err = { 0 };
        attend_args a = { .sequences = n / 3, .max_query = n, .max_kv = 4096, .mask = MASK_CAUSAL, .scale = 1 };
        a.q = a.out = cud_split_heads(cud_matrix(NULL, CUDDLE_BF16, n, 512), 8, 64);
        a.kv = (kv_view){ .type = CUDDLE_BF16, .heads = 2, .k_dim = 64, .v_dim = 64, .pages = 100, .table_width = 256 };
        op_record(&e);
        ck_ok(e.b->ops->attend(&e.ex, &a, &err));
        ck_assert_uint_ge(e.ex.ws.peak, before);
        before = e.ex.ws.peak;
    }
    op_close(&e);
}
END_TEST

#ifndef OP_ON_CUDA
/* The CPU's sum of values takes rows of one range together: those it was given, and none of what lies behind them. Whole numbers: exact. */
START_TEST(sums_leave_what_is_behind_their_rows)
{
    enum { MOST = 9, KEYS = 6, DIM = 70 };
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    for (int c = 0; c < MOST * 3 * 3; c++) {
        const int rows = c / 9 + 1, run = c / 3 % 3 * 2 + 1, dim = (int[]){ 3, 32, DIM }[c % 3]; /* run: rows next to each other with one range */
        int first[MOST + 1], last[MOST + 1];
        float p[(MOST + 1) * KEYS], v[KEYS * DIM], out[(MOST + 1) * DIM];
        for (int r = 0; r <= rows; r++) first[r] = r / run % 2, last[r] = KEYS - r / run % 3;
        first[rows] = first[rows - 1], last[rows] = last[rows - 1];
        for (int i = 0; i < (MOST + 1) * KEYS; i++) p[i] = (float)(i * 5 % 7 - 3);
        for (int i = 0; i < KEYS * dim; i++) v[i] = (float)(i * 3 % 11 - 5);
        for (int i = 0; i < (MOST + 1) * dim; i++) out[i] = (float)(i % 13);
        ((cpu_backend *)e.b)->attend(&(attend_sum){ .out = out, .p = p, .v = v, .format = WF_F32, .out_stride = dim, .p_stride = KEYS, .v_stride = dim,
                                                    .dim = dim, .first = first, .last = last, .rows = rows });
        for (int i = 0; i < (MOST + 1) * dim; i++) {
            const int r = i / dim;
            float want = (float)(i % 13);
            for (int j = r < rows ? first[r] : KEYS; r < rows && j < last[r]; j++) want += p[r * KEYS + j] * v[j * dim + i % dim];
            if (out[i] != want) ck_abort_msg("%d rows of %d, runs of %d: row %d, element %d", rows, dim, run, r, i % dim);
        }
    }
    op_close(&e);
}
END_TEST
#endif

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("attend", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
#ifndef OP_ON_CUDA
    tcase_add_loop_test(tc, sums_leave_what_is_behind_their_rows, 0, OP_LEVELS);
    tcase_add_loop_test(tc, a_row_of_minus_infinities_is_no_number, 0, OP_LEVELS);
#endif
    tcase_add_loop_test(tc, matches_double_for_every_scene_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, is_deterministic, 0, OP_LEVELS);
    tcase_add_loop_test(tc, neighbours_do_not_matter, 0, OP_LEVELS);
    tcase_add_loop_test(tc, bounds_may_be_far_above_the_step, 0, OP_LEVELS);
    tcase_add_loop_test(tc, no_rows_is_no_work, 0, OP_LEVELS);
#ifdef OP_ON_CUDA
    tcase_add_loop_test(tc, hidden_values_do_not_leave_their_chunk, 0, OP_LEVELS);
#endif
    tcase_add_loop_test(tc, hidden_values_do_not_leak, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    tcase_add_loop_test(tc, recording_touches_nothing_and_bounds_smaller_steps, 0, OP_LEVELS);
    return test_run(s);
}
