/* gate: out[r][c] = act(gate[r][c]) * up[r][c] */
#include "backend.h"

#include "core/op_checks.h"

typedef struct job {
    const cpu_backend *b;
    tensor out, gate, up;
    activation act;
} job;

static void gate_rows(void *arg, int64_t first, int64_t last)
{
    const job *j = arg;
    float g[CUD_CPU_CHUNK], u[CUD_CPU_CHUNK], o[CUD_CPU_CHUNK];
    const int64_t cols = j->out.size[1];
    for (int64_t r = first; r < last; r++) {
        for (int64_t c = 0; c < cols; c += CUD_CPU_CHUNK) {
            const int64_t n = cud_min64(CUD_CPU_CHUNK, cols - c);
            const float *gate = cud_cpu_floats(j->b, j->gate, r * j->gate.stride[0] + c, n, g);
            const float *up = cud_cpu_floats(j->b, j->up, r * j->up.stride[0] + c, n, u);
            j->b->rows->gate(o, gate, up, j->act, n);
            j->b->rows->from_float(cud_at(j->out, r * j->out.stride[0] + c), j->out.type, o, n);
        }
    }
}

cuddle_status cud_cpu_gate(exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err)
{
    const cuddle_status status = cud_check_gate(ex, out, gate, up, act, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0) return status;
    job j = { cud_cpu(ex), out, gate, up, act };
    cud_cpu_for_rows(ex, out.size[0], out.size[1] * (act == ACT_NONE ? 1 : 4), gate_rows, &j);
    return CUDDLE_OK;
}
