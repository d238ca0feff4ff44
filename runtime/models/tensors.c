#include "models/tensors.h"

#include "format/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_ = 256 };

typedef struct planner {
    load_plan *plan;
    const spec *spec;
    const checkpoint *files;
    bool *used; /* [tensors of the checkpoint] */
    bool in_place;
    cuddle_error *err;
    /* where the current row belongs */
    const stack *stack;
    const layer_spec *layer; /* NULL for rows of the stack */
    int layer_index;         /* -1 for rows of the stack */
    int needed_by;           /* load_piece.layer */
} planner;

int64_t cud_dim(dim d, const stack *t, const layer_spec *l)
{
    switch (d) {
    case DIM_NONE: return 0;
    case DIM_HIDDEN: return t->hidden;
    case DIM_VOCABULARY: return t->vocabulary;
    case DIM_POSITIONS: return t->positions + t->position_offset;
    case DIM_BUCKETS: return t->buckets;
    case DIM_CONTEXT: return t->context_dim;
    case DIM_CHANNELS: return t->channels;
    case DIM_KERNEL: return t->kernel;
    case DIM_LABELS: return t->labels;
    case DIM_EMBED: return t->embed_dim;
    case DIM_TYPES: return t->types;
    case DIM_ONE: return 1;
    default: break;
    }
    if (!l) l = &t->proto;
    switch (d) {
    case DIM_Q: return l->heads * l->head_dim;
    case DIM_K: return l->kv_heads * l->head_dim;
    case DIM_V: return l->kv_heads * l->v_dim;
    case DIM_QKV: return l->heads * l->head_dim + l->kv_heads * (l->head_dim + l->v_dim);
    case DIM_O: return l->heads * l->v_dim;
    case DIM_HEADS: return l->heads;
    case DIM_HEAD: return l->head_dim;
    case DIM_FFN: return l->ffn_dim;
    case DIM_FFN_PAIR: return 2 * l->ffn_dim;
    case DIM_EXPERTS: return l->experts;
    case DIM_EXPERT: return l->expert_dim;
    case DIM_EXPERT_PAIR: return 2 * l->expert_dim;
    case DIM_SHARED: return l->shared_dim;
    case DIM_Q_LATENT: return l->q_latent;
    case DIM_KV_LATENT: return l->kv_latent;
    case DIM_KV_LATENT_ROPE: return l->kv_latent + l->rope_dim;
    case DIM_KV_EXPANDED: return l->heads * (l->head_dim - l->rope_dim + l->v_dim);
    default: return 0;
    }
}

/* Writes one reading of a pattern: alternative number `which` of the list, optional part kept or not. False if there is no such reading. */
static bool expand_name(char out[NAME_MAX_], const char *pattern, int which, bool optional, const planner *of)
{
    for (; which > 0; which--) {
        pattern = strchr(pattern, '|');
        if (!pattern) return false;
        pattern++;
    }
    size_t used = 0;
    bool in_optional = false;
    for (const char *p = pattern; *p && *p != '|'; p++) {
        if (*p == '[') in_optional = true;
        else if (*p == ']') in_optional = false;
        else if (in_optional && !optional) continue;
        else if (strncmp(p, "{L}", 3) == 0 || strncmp(p, "{G}", 3) == 0) {
            const int n = snprintf(out + used, NAME_MAX_ - used, "%d", p[1] == 'L' ? of->layer_index : of->layer->group);
            if (n < 0 || (size_t)n >= NAME_MAX_ - used) return false;
            used += (size_t)n;
            p += 2;
        } else {
            if (used + 1 >= NAME_MAX_) return false;
            out[used++] = *p;
        }
    }
    out[used] = 0;
    return true;
}

/* Index of the row's tensor, or -1; `name` is then the first reading, for the message. */
static int64_t find_tensor(const planner *p, const tensor_row *row, char name[NAME_MAX_])
{
    char reading[NAME_MAX_];
    for (int which = 0; expand_name(reading, row->name, which, true, p); which++) {
        int64_t index = cud_checkpoint_find(p->files, reading);
        if (index < 0 && strchr(row->name, '[') && expand_name(reading, row->name, which, false, p))
            index = cud_checkpoint_find(p->files, reading);
        if (index >= 0) return index;
    }
    expand_name(name, row->name, 0, true, p);
    return -1;
}

/* For messages: the file that holds the tensor. */
static const char *file_of(const planner *p, const cuddle_tensor_info *t) { return cud_path_name(cud_checkpoint_shard(p->files, t->shard)); }

static void shape_text(char *out, size_t size, const int64_t *shape, int rank)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

/* The bool that a row's when, unless or maybe points to. */
static bool flag(const planner *p, const tensor_row *row, size_t condition)
{
    const char *owner = row->scope == SCOPE_LAYER ? (const char *)p->layer : (const char *)p->stack;
    return *(const bool *)(owner + condition - 1);
}

static bool active(const planner *p, const tensor_row *row)
{
    return (!row->when || flag(p, row, row->when)) && (!row->unless || !flag(p, row, row->unless));
}

/* Finds the row's tensor and checks its shape and type. *out is NULL if it is left out and may be. */
static cuddle_status take_tensor(planner *p, const tensor_row *row, const cuddle_tensor_info **out)
{
    char name[NAME_MAX_] = "", want[96], got[96];
    int64_t shape[4];
    int rank = 0;
    while (rank < 4 && row->shape[rank] != DIM_NONE) {
        shape[rank] = cud_dim(row->shape[rank], p->stack, p->layer);
        rank++;
    }
    shape_text(want, sizeof want, shape, rank);
    const int64_t index = find_tensor(p, row, name);
    *out = NULL;
    if (index < 0 && row->maybe && flag(p, row, row->maybe)) return CUDDLE_OK;
    if (index < 0)
        return cud_fail(p->err, CUDDLE_E_FORMAT, "%s: there is no tensor \"%s\", expected one of shape %s",
                        cud_checkpoint_shards(p->files) > 1 ? "model.safetensors.index.json" : cud_path_name(cud_checkpoint_shard(p->files, 0)), name, want);
    const cuddle_tensor_info *t = cud_checkpoint_get(p->files, index);
    shape_text(got, sizeof got, t->shape, t->rank);
    if (t->rank != rank || memcmp(t->shape, shape, (size_t)rank * sizeof *shape) != 0)
        return cud_fail(p->err, CUDDLE_E_FORMAT, "%s: tensor \"%s\" has shape %s, expected %s", file_of(p, t), t->name, got, want);
    if (!cud_dtype_is_compute(t->type))
        return cud_fail(p->err, CUDDLE_E_UNSUPPORTED, "%s: tensor \"%s\" has type %s, expected F32, F16 or BF16", file_of(p, t), t->name,
                        cud_dtype_name(t->type));
    if (p->used[index])
        return cud_fail(p->err, CUDDLE_E_INTERNAL, "tensor \"%s\" is claimed by two rows of family %s", t->name, p->spec->family->model_type);
    p->used[index] = true;
    *out = t;
    return CUDDLE_OK;
}

/* Columns come to lie as rows. */
static cuddle_status copy_columns(planner *p, const cuddle_tensor_info *t, uint64_t dst)
{
    const uint64_t rows = (uint64_t)t->shape[0], cols = (uint64_t)t->shape[1], element = sizeof(float);
    cuddle_status status = CUDDLE_OK;
    for (uint64_t c = 0; c < cols && !status; c++) {
        const load_piece piece = { .from = cud_checkpoint_source(p->files, t->shard), .offset = t->offset + c * element, .rows = rows,
                                   .row_bytes = element, .src_pitch = cols * element, .dst = dst + c * rows * element, .dst_pitch = element,
                                   .layer = p->needed_by, .name = t->name };
        status = cud_load_add_piece(p->plan, &piece, p->err);
    }
    return status;
}

/* Rows that lie [head][q, k, v][head_dim] come to lie [q, k, v][head][head_dim]. */
static cuddle_status copy_tensor(planner *p, const cuddle_tensor_info *t, tensor_source from, uint64_t dst)
{
    if (from == FROM_COLUMNS) return copy_columns(p, t, dst);
    const uint64_t parts = from == FROM_HEADS_QKV ? 3 : 1, rows = from == FROM_HEADS_QKV ? (uint64_t)p->layer->heads : 1;
    const uint64_t part = t->bytes / parts, row = part / rows;
    cuddle_status status = CUDDLE_OK;
    for (uint64_t i = 0; i < parts && !status; i++) {
        const load_piece piece = { .from = cud_checkpoint_source(p->files, t->shard), .offset = t->offset + i * row, .rows = rows, .row_bytes = row,
                                   .src_pitch = parts * row, .dst = dst + i * part, .dst_pitch = row, .layer = p->needed_by, .name = t->name };
        status = cud_load_add_piece(p->plan, &piece, p->err);
    }
    return status;
}

/* CUDDLE_E_INTERNAL for a layout of rows that there is no code for. */
static cuddle_status check_source(planner *p, const tensor_row *row, const cuddle_tensor_info *t)
{
    const layer_spec *l = p->layer;
    if (row->from == FROM_WHOLE || (row->from == FROM_TRANSPOSED && row->kind == SLOT_WEIGHT)) return CUDDLE_OK;
    if (row->from == FROM_COLUMNS && row->kind == SLOT_VECTOR && t->rank == 2 && t->type == CUDDLE_F32) return CUDDLE_OK;
    if (row->from == FROM_COLUMNS)
        return cud_fail(p->err, CUDDLE_E_UNSUPPORTED, "%s: tensor \"%s\" has type %s, expected F32", file_of(p, t), t->name, cud_dtype_name(t->type));
    if (row->from == FROM_HEADS_QKV && l && l->heads == l->kv_heads && l->head_dim == l->v_dim) return CUDDLE_OK;
    return cud_fail(p->err, CUDDLE_E_INTERNAL, "%s: tensor \"%s\": this layout of rows is not supported", file_of(p, t), t->name);
}

static cuddle_status bind(planner *p, void **target, source *in_place, uint64_t at)
{
    const load_binding binding = { target, in_place, at };
    return cud_load_add_binding(p->plan, &binding, p->err);
}

/* All rows of one weight: each is a segment. */
static cuddle_status plan_weight(planner *p, weight *w, const tensor_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        if (!active(p, &rows[i])) continue;
        const cuddle_tensor_info *t = NULL;
        cuddle_status status = take_tensor(p, &rows[i], &t);
        if (status) return status;
        if (!t) continue;
        status = check_source(p, &rows[i], t);
        if (status) return status;
        const bool transposed = rows[i].from == FROM_TRANSPOSED;
        const int64_t n = t->shape[transposed ? 1 : 0], k = t->shape[transposed ? 0 : 1];
        if (w->segments == CUD_MAX_SEGMENTS || (w->segments && (transposed || w->transposed || w->k != k)))
            return cud_fail(p->err, CUDDLE_E_INTERNAL, "tensor \"%s\" cannot be a segment of its weight", t->name);
        if (w->segments && w->format != cud_wformat_of(t->type))
            return cud_fail(p->err, CUDDLE_E_UNSUPPORTED, "%s: tensor \"%s\" has type %s, but the tensors beside it have %s", file_of(p, t), t->name,
                            cud_dtype_name(t->type), cud_wformat_name(w->format));
        w->format = cud_wformat_of(t->type);
        w->transposed = transposed;
        w->k = k;
        w->n += n;
        weight_segment *segment = &w->segment[w->segments++];
        segment->n = n;
        if (p->in_place && rows[i].from != FROM_HEADS_QKV && t->offset % cud_dtype_size(t->type) == 0) {
            p->plan->in_place_bytes += t->bytes;
            status = bind(p, &segment->data, cud_checkpoint_source(p->files, t->shard), t->offset);
        } else {
            uint64_t at = 0;
            status = cud_load_reserve(p->plan, t->bytes, &at, p->err);
            if (!status) status = copy_tensor(p, t, rows[i].from, at);
            if (!status) status = bind(p, &segment->data, NULL, at);
        }
        if (status) return status;
    }
    return CUDDLE_OK;
}

/* All rows of one vector (or table), one after another. Small, so they are always copied. */
static cuddle_status plan_vector(planner *p, tensor *v, const tensor_row *rows, int count)
{
    uint64_t at = 0, used = 0, total = 0;
    for (int i = 0; i < count; i++) {
        if (!active(p, &rows[i])) continue;
        int64_t elements = 1;
        for (int d = 0; d < 4 && rows[i].shape[d] != DIM_NONE; d++) elements *= cud_dim(rows[i].shape[d], p->stack, p->layer);
        total += (uint64_t)elements * sizeof(float); /* an upper bound: the type is not known yet */
    }
    if (!total) return CUDDLE_OK;
    for (int i = 0; i < count; i++) {
        if (!active(p, &rows[i])) continue;
        const cuddle_tensor_info *t = NULL;
        cuddle_status status = take_tensor(p, &rows[i], &t);
        if (!status && !t && count > 1) status = cud_fail(p->err, CUDDLE_E_INTERNAL, "a vector of family %s is left out", p->spec->family->model_type);
        if (!status && !t) continue;
        if (!status && !used) {
            total = total / sizeof(float) * cud_dtype_size(t->type);
            status = cud_load_reserve(p->plan, total, &at, p->err);
            const bool turned = rows[i].from == FROM_COLUMNS;
            *v = t->rank == 2 ? cud_matrix(NULL, t->type, t->shape[turned ? 1 : 0], t->shape[turned ? 0 : 1])
                              : cud_vector(NULL, t->type, (int64_t)(total / cud_dtype_size(t->type)));
            if (!status) status = bind(p, &v->data, NULL, at);
        }
        if (!status && t->type != v->type)
            status = cud_fail(p->err, CUDDLE_E_UNSUPPORTED, "%s: tensor \"%s\" has type %s, but the tensors beside it have %s", file_of(p, t), t->name,
                              cud_dtype_name(t->type), cud_dtype_name(v->type));
        if (!status) status = check_source(p, &rows[i], t);
        if (!status) status = copy_tensor(p, t, rows[i].from, at + used);
        if (status) return status;
        used += t->bytes;
    }
    return CUDDLE_OK;
}

/* The layer before which the row's tensor must have arrived. Slots of a stack stand in the order a forward meets them. */
static int needed_by(const planner *p, const tensor_row *row)
{
    if (row->scope == SCOPE_LAYER) return p->layer_index;
    return row->slot >= offsetof(stack_weights, final_norm) ? (int)p->stack->layers : -1;
}

/* The rows of one scope; rows that fill the same slot stand together. */
static cuddle_status plan_scope(planner *p, const tensor_row *rows, row_scope scope, int stack_index, char *base)
{
    for (int i = 0; rows[i].kind != SLOT_END;) {
        int count = 1;
        while (rows[i + count].kind == rows[i].kind && rows[i + count].slot == rows[i].slot && rows[i + count].scope == rows[i].scope &&
               rows[i + count].stack == rows[i].stack && rows[i].kind != SLOT_IGNORED)
            count++;
        if (rows[i].scope == scope && rows[i].stack == stack_index) {
            p->needed_by = needed_by(p, &rows[i]);
            cuddle_status status = CUDDLE_OK;
            if (rows[i].kind == SLOT_WEIGHT) status = plan_weight(p, (weight *)(void *)(base + rows[i].slot), &rows[i], count);
            else if (rows[i].kind == SLOT_VECTOR) status = plan_vector(p, (tensor *)(void *)(base + rows[i].slot), &rows[i], count);
            else if (active(p, &rows[i])) {
                char name[NAME_MAX_];
                const int64_t index = find_tensor(p, &rows[i], name);
                if (index >= 0) p->used[index] = true;
            }
            if (status) return status;
        }
        i += count;
    }
    return CUDDLE_OK;
}

cuddle_status cud_tensors_plan(load_plan *plan, stack_weights *weights, const spec *s, const checkpoint *files, bool in_place, cuddle_error *err)
{
    const int64_t count = cud_checkpoint_count(files);
    planner p = { .plan = plan, .spec = s, .files = files, .in_place = in_place, .err = err, .layer_index = -1 };
    p.used = calloc((size_t)count + 1, sizeof *p.used);
    if (!p.used) return cud_nomem(err, (size_t)count, "the list of tensors");
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < s->stacks && !status; i++) {
        p.stack = &s->stack[i];
        p.layer = NULL;
        p.layer_index = -1;
        status = plan_scope(&p, s->family->tensors, SCOPE_STACK, i, (char *)&weights[i]);
        for (int l = 0; l < p.stack->layers && !status; l++) {
            p.layer = &p.stack->layer[l];
            if (p.layer->twin) continue; /* these are there */
            p.layer_index = l;
            status = plan_scope(&p, s->family->tensors, SCOPE_LAYER, i, (char *)&weights[i].layer[l]);
        }
    }
    for (int64_t i = 0; i < count && !status; i++) /* what a file holds unmentioned is used where it fits and else left, as transformers does */
        if (!p.used[i] && !cud_checkpoint_unmapped(files, i))
            status = cud_fail(err, CUDDLE_E_FORMAT, "%s: tensor \"%s\" is not part of a %s with this config.json",
                              file_of(&p, cud_checkpoint_get(files, i)), cud_checkpoint_get(files, i)->name, s->architecture);
    free(p.used);
    return status;
}
