/* rope: each head of q and k is turned by its position, and k and v go to the cache.
 * Pair i of a head, (a, b) = (x[i], x[i + rotary_dim / 2]) or (x[2i], x[2i + 1]), becomes (a cos - b sin, b cos + a sin). */
#include "backend.h"

#include "core/op_checks.h"

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
    float buffer[CUD_MAX_HEAD];
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
    float buffer[CUD_MAX_HEAD];
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

cuddle_status cud_cpu_rope(exec *ex, const rope_args *args, cuddle_error *err)
{
    const tensor q = args->q, k = args->k;
    const kv_view *kv = &args->kv;
    const cuddle_status status = cud_check_rope(ex, args, err);
    const bool turns = args->table && cud_present(args->table->cos_sin);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;

    job j = { cud_cpu(ex), args, turns, (int64_t)CUD_PAGE * kv->k_dim, (int64_t)CUD_PAGE * kv->v_dim };
    const int64_t tokens = cud_present(q) ? q.size[0] : cud_present(k) ? k.size[0] : 0;
    cud_cpu_for_rows(ex, tokens, q.size[1] * q.size[2] + 2 * k.size[1] * k.size[2], rope_rows, &j);
    return CUDDLE_OK;
}
