/* gate: out[r][c] = act(gate[r][c]) * up[r][c]
 * One thread per 8 columns of a row. Memory bound: three rows pass once. */
#include "activation.cuh"
#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

enum { THREADS = 256, BLOCKS = 4 }; /* of a multiprocessor */

struct gate_args {
    void *out;
    const void *gate, *up;
    int64_t out_stride, gate_stride, up_stride;
    int out_type, gate_type, up_type;
    int64_t rows;
    int cols, act;
    bool wide;
};

__global__ void __launch_bounds__(THREADS, BLOCKS) gate_kernel(gate_args a)
{
    const int eights = (a.cols + 7) / 8;
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x, row = i / eights;
    if (row >= a.rows) return;
    const int col = int(i % eights) * 8, left = a.cols - col;
    float gate[8], up[8], out[8];
    typed_load_some(gate, a.gate, a.gate_type, row * a.gate_stride + col, left, a.wide);
    typed_load_some(up, a.up, a.up_type, row * a.up_stride + col, left, a.wide);
#pragma unroll
    for (int j = 0; j < 8; j++) out[j] = activate_gated(gate[j], up[j], a.act);
    typed_store_some(a.out, a.out_type, row * a.out_stride + col, out, left, a.wide);
}

} // namespace

extern "C" cuddle_status cud_cuda_gate(exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err)
{
    const cuddle_status status = cud_check_gate(ex, out, gate, up, act, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0 || out.size[1] == 0) return status;
    const gate_args a = { out.data, gate.data, up.data, out.stride[0], gate.stride[0], up.stride[0], out.type, gate.type, up.type,
                          out.size[0], int(out.size[1]), act, typed_wide(out) && typed_wide(gate) && typed_wide(up) };
    const int64_t threads = out.size[0] * ((out.size[1] + 7) / 8);
    return cud_cuda_check(dev_launch(gate_kernel, dim3(unsigned((threads + THREADS - 1) / THREADS)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, a),
                          "gate", err);
}
