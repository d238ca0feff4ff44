/* embed: out[t] = table[ids[t]] * scale + position_table[positions[t] + position_offset] + type_table[types[t]] */
#include "backend.h"

#include "core/op_checks.h"

typedef struct job {
    const cpu_backend *b;
    const embed_args *a;
} job;

/* Row `id` of a table whose rows may lie in several segments. */
static tensor table_row(const weight *w, int64_t id)
{
    int s = 0;
    while (s + 1 < w->segments && id >= w->segment[s].n) id -= w->segment[s++].n;
    const tensor all = cud_matrix(w->segment[s].data, cud_wformat_dtype(w->format), w->segment[s].n, w->k);
    return cud_vector(cud_at(all, id * w->k), all.type, w->k);
}

static void embed_rows(void *arg, int64_t first, int64_t last)
{
    const job *j = arg;
    const embed_args *a = j->a;
    const row_kernels *k = j->b->rows;
    float values[CUD_CPU_CHUNK], buffer[CUD_CPU_CHUNK];
    for (int64_t t = first; t < last; t++) {
        const tensor row = table_row(a->table, a->ids[t]);
        for (int64_t c = 0; c < row.size[0]; c += CUD_CPU_CHUNK) {
            const int64_t n = cud_min64(CUD_CPU_CHUNK, row.size[0] - c);
            k->to_float(values, cud_at(row, c), row.type, n);
            if (a->scale != 1.0f) k->scale(values, a->scale, n);
            if (cud_present(a->position_table)) {
                const int64_t at = (int64_t)(a->positions[t] + a->position_offset) * a->position_table.stride[0] + c;
                k->add(values, cud_cpu_floats(j->b, a->position_table, at, n, buffer), n);
            }
            if (cud_present(a->type_table)) {
                const int64_t at = (a->types ? a->types[t] : 0) * a->type_table.stride[0] + c;
                k->add(values, cud_cpu_floats(j->b, a->type_table, at, n, buffer), n);
            }
            k->from_float(cud_at(a->out, t * a->out.stride[0] + c), a->out.type, values, n);
        }
    }
}

cuddle_status cud_cpu_embed(exec *ex, const embed_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_embed(ex, args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;
    job j = { cud_cpu(ex), args };
    cud_cpu_for_rows(ex, args->out.size[0], args->out.size[1], embed_rows, &j);
    return CUDDLE_OK;
}
