/* rope: each head of q and k is turned by its position, and k and v go to the cache.
 * Pair i of a head, (a, b) = (x[i], x[i + rotary_dim / 2]) or (x[2i], x[2i + 1]), becomes (a cos - b sin, b cos + a sin). */
#include "backend.h"

enum { MAX_HEAD = 1024 }; /* elements, on the stack */

typedef struct job {
    const cpu_backend *b;
    const rope_args *a;
    bool turns;
    int64_t page_k, page_v; /* elements of one head in one page of the cache */
} job;

/* The cosines and sines of one token: cos_sin[0 .. half) and [half .. 2 half). Axes may have different positions. */
static const float *angles(const job *j, int64_t token, float *buffer)
{
    const rope_table *t = j->a->table;
    const int half = t->rotary_dim / 2;
    const float *table = t->cos_sin.data;
    if (t->sections[0] + t->sections[1] + t->sections[2] + t->sections[3] == 0)
        return table + j->a->positions[token] * t->cos_sin.stride[0];
    int pair = 0;
    for (int axis = 0; axis < CUD_MAX_AXES; axis++) {
        if (t->sections[axis] == 0) continue; /* this axis may not exist */
        const float *row = table + j->a->positions[(int64_t)axis * j->a->position_stride + token] * t->cos_sin.stride[0];
        for (int i = 0; i < t->sections[axis]; i++, pair++) {
            buffer[pair] = row[pair];
            buffer[half + pair] = row[half + pair];
        }
    }
    return buffer;
}

static void turn(float *x, const float *cos_sin, int rotary_dim, bool interleaved)
{
    const int half = rotary_dim / 2;
    const float *cosine = cos_sin, *sine = cos_sin + half;
    if (interleaved) {
        for (int i = 0; i < half; i++) {
            const float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = a * cosine[i] - b * sine[i];
            x[2 * i + 1] = b * cosine[i] + a * sine[i];
        }
    } else {
        for (int i = 0; i < half; i++) {
            const float a = x[i], b = x[half + i];
            x[i] = a * cosine[i] - b * sine[i];
            x[half + i] = b * cosine[i] + a * sine[i];
        }
    }
}

/* Head h of token t of x, turned if cos_sin is not NULL, to `to`. */
static void move_head(const job *j, tensor x, int64_t t, int64_t h, const float *cos_sin, void *to, dtype type)
{
    const int64_t at = t * x.stride[0] + h * x.stride[1], dim = x.size[2];
    float buffer[MAX_HEAD];
    if (!cos_sin && type == x.type) {
        memcpy(to, cud_at(x, at), (size_t)dim * cud_dtype_size(type));
        return;
    }
    j->b->rows->to_float(buffer, cud_at(x, at), x.type, dim);
    if (cos_sin) turn(buffer, cos_sin, j->a->table->rotary_dim, j->a->table->interleaved);
    j->b->rows->from_float(to, type, buffer, dim);
}

static void rope_rows(void *arg, int64_t first, int64_t last)
{
    const job *j = arg;
    const rope_args *a = j->a;
    float buffer[MAX_HEAD];
    for (int64_t t = first; t < last; t++) {
        const float *cos_sin = j->turns ? angles(j, t, buffer) : NULL;
        if (cos_sin) {
            for (int64_t h = 0; h < a->q.size[1]; h++)
                move_head(j, a->q, t, h, cos_sin, cud_at(a->q, t * a->q.stride[0] + h * a->q.stride[1]), a->q.type);
        }
        for (int64_t h = 0; h < a->k.size[1]; h++) {
            if (a->kv.heads == 0) {
                if (cos_sin) move_head(j, a->k, t, h, cos_sin, cud_at(a->k, t * a->k.stride[0] + h * a->k.stride[1]), a->k.type);
                continue;
            }
            if (a->kv.slots[t] < 0) break;
            const size_t width = cud_dtype_size(a->kv.type);
            const int64_t page = a->kv.slots[t] / CUD_PAGE, offset = a->kv.slots[t] % CUD_PAGE;
            const int64_t head = page * a->kv.heads + h; /* of all pages */
            move_head(j, a->k, t, h, cos_sin, (char *)a->kv.k + (size_t)(head * j->page_k + offset * a->kv.k_dim) * width, a->kv.type);
            move_head(j, a->v, t, h, NULL, (char *)a->kv.v + (size_t)(head * j->page_v + offset * a->kv.v_dim) * width, a->kv.type);
        }
    }
}

static cuddle_status check_table(const rope_args *a, cuddle_error *err)
{
    const rope_table *t = a->table;
    const int64_t dim = cud_present(a->q) ? a->q.size[2] : a->k.size[2];
    cuddle_status status = cud_cpu_check("rope", "the table", t->cos_sin, 2, -1, t->rotary_dim, -1, err);
    if (status != CUDDLE_OK) return status;
    if (t->cos_sin.type != CUDDLE_F32)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on cpu: a table of %s", cud_dtype_name(t->cos_sin.type));
    if (t->rotary_dim < 2 || t->rotary_dim % 2 || t->rotary_dim > dim)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on cpu: %d rotary dimensions of %lld", t->rotary_dim, (long long)dim);
    int pairs = 0;
    for (int i = 0; i < CUD_MAX_AXES; i++) pairs += t->sections[i];
    if (pairs != 0 && pairs != t->rotary_dim / 2)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on cpu: sections of %d pairs, expected %d", pairs, t->rotary_dim / 2);
    return CUDDLE_OK;
}

cuddle_status cud_cpu_rope(exec *ex, const rope_args *args, cuddle_error *err)
{
    const tensor q = args->q, k = args->k, v = args->v;
    const kv_view *kv = &args->kv;
    cuddle_status status = CUDDLE_OK;
    if (cud_present(q)) status = cud_cpu_check("rope", "q", q, 3, -1, -1, -1, err);
    if (status == CUDDLE_OK && cud_present(k))
        status = cud_cpu_check("rope", "k", k, 3, cud_present(q) ? q.size[0] : -1, -1, cud_present(q) ? q.size[2] : -1, err);
    if (status == CUDDLE_OK && kv->heads != 0) {
        status = cud_cpu_check("rope", "k", k, 3, -1, kv->heads, kv->k_dim, err);
        if (status == CUDDLE_OK) status = cud_cpu_check("rope", "v", v, 3, k.size[0], kv->heads, kv->v_dim, err);
        if (status == CUDDLE_OK && !cud_dtype_is_compute(kv->type))
            status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on cpu: a cache of %s", cud_dtype_name(kv->type));
    }
    if (status == CUDDLE_OK && (q.size[2] > MAX_HEAD || k.size[2] > MAX_HEAD || v.size[2] > MAX_HEAD))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on cpu: heads of more than %d elements", MAX_HEAD);
    const bool turns = args->table && cud_present(args->table->cos_sin);
    if (status == CUDDLE_OK && turns) status = check_table(args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;

    job j = { cud_cpu(ex), args, turns, (int64_t)CUD_PAGE * kv->k_dim, (int64_t)CUD_PAGE * kv->v_dim };
    const int64_t tokens = cud_present(q) ? q.size[0] : cud_present(k) ? k.size[0] : 0;
    cud_cpu_for_rows(ex, tokens, q.size[1] * q.size[2] + 2 * k.size[1] * k.size[2], rope_rows, &j);
    return CUDDLE_OK;
}
