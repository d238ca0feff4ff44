/* embed: out[t] = table[ids[t]] * scale + position_table[positions[t] + position_offset] + type_table[types[t]]
 * One thread per 8 columns of a token. Memory bound; the table's rows may lie in several segments. */
#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

enum { THREADS = 256, BLOCKS = 4 }; /* of a multiprocessor */

struct embed_kernel_args {
    void *out;
    const int32_t *ids, *positions;
    const void *table[CUD_MAX_SEGMENTS];
    int64_t first[CUD_MAX_SEGMENTS]; /* id of a segment's first row */
    int segments;
    const void *position_table, *token_type_table; /* NULL: none */
    const int32_t *types;                          /* NULL: the first for all */
    int64_t out_stride, position_stride, token_type_stride;
    int out_type, table_type, position_type, token_type_type;
    int position_offset;
    float scale;
    int64_t tokens;
    int cols;
    bool wide;
};

__global__ void __launch_bounds__(THREADS, BLOCKS) embed_kernel(embed_kernel_args a)
{
    const int eights = (a.cols + 7) / 8;
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x, token = i / eights;
    if (token >= a.tokens) return;
    const int col = int(i % eights) * 8, left = a.cols - col;
    const int64_t id = a.ids[token];
    const void *table = a.table[0];
    int64_t first = 0;
#pragma unroll
    for (int s = 1; s < CUD_MAX_SEGMENTS; s++)
        if (s < a.segments && id >= a.first[s]) table = a.table[s], first = a.first[s];
    float v[8];
    typed_load_some(v, table, a.table_type, (id - first) * a.cols + col, left, a.wide);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] *= a.scale;
    if (a.position_table) {
        float p[8];
        typed_load_some(p, a.position_table, a.position_type, int64_t(a.positions[token] + a.position_offset) * a.position_stride + col, left,
                        a.wide);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] += p[j];
    }
    if (a.token_type_table) {
        float p[8];
        typed_load_some(p, a.token_type_table, a.token_type_type, (a.types ? a.types[token] : 0) * a.token_type_stride + col, left, a.wide);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] += p[j];
    }
    typed_store_some(a.out, a.out_type, token * a.out_stride + col, v, left, a.wide);
}

} // namespace

extern "C" cuddle_status cud_cuda_embed(exec *ex, const embed_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_embed(ex, args, err);
    const tensor out = args->out, positions = args->position_table, types = args->type_table;
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0 || out.size[1] == 0) return status;
    const weight *w = args->table;
    const dtype type = cud_wformat_dtype(w->format);
    embed_kernel_args a = {};
    a.out = out.data;
    a.ids = args->ids;
    a.positions = args->positions;
    a.segments = w->segments;
    a.wide = typed_wide(out);
    int64_t first = 0;
    for (int s = 0; s < w->segments; s++) {
        a.table[s] = w->segment[s].data;
        a.first[s] = first;
        a.wide = a.wide && typed_wide(a.table[s], type, w->k);
        first += w->segment[s].n;
    }
    if (cud_present(positions)) {
        a.position_table = positions.data;
        a.position_stride = positions.stride[0];
        a.position_type = positions.type;
        a.wide = a.wide && typed_wide(positions);
    }
    if (cud_present(types)) {
        a.token_type_table = types.data;
        a.types = args->types;
        a.token_type_stride = types.stride[0];
        a.token_type_type = types.type;
        a.wide = a.wide && typed_wide(types);
    }
    a.out_stride = out.stride[0];
    a.out_type = out.type;
    a.table_type = type;
    a.position_offset = args->position_offset;
    a.scale = args->scale;
    a.tokens = out.size[0];
    a.cols = int(out.size[1]);
    const int64_t threads = out.size[0] * ((out.size[1] + 7) / 8);
    return cud_cuda_check(dev_launch(embed_kernel, dim3(unsigned((threads + THREADS - 1) / THREADS)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, a),
                          "embed", err);
}
