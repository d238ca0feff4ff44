/* advance: turns the block of a decode step into that of the next
 * One thread per sequence. A block of some hundred bytes: what it costs is the launch. */
#include "backend.h"
#include "device.h"

#include "core/op_checks.h"

namespace {

enum { THREADS = 128 };

struct advance_job {
    int32_t *ids, *positions, *kv_lengths;
    const int32_t *picked;
    sample_row *sampling;
    int32_t *slots[CUD_MAX_KV_GROUPS];
    const int32_t *block_table[CUD_MAX_KV_GROUPS];
    int table_width[CUD_MAX_KV_GROUPS];
    int sequences, axes, groups, position_stride;
};

__global__ void __launch_bounds__(THREADS) advance_kernel(advance_job job)
{
    const int i = int(blockIdx.x * THREADS + threadIdx.x);
    if (i >= job.sequences) return;
    const int at = job.kv_lengths[i]; /* where the new token goes: one past those that exist */
    if (at == 0) return; /* padding */
    job.ids[i] = max(job.picked[i], 0);
    job.kv_lengths[i] = at + 1;
    job.sampling[i].counter++;
    for (int a = 0; a < job.axes; a++) job.positions[int64_t(a) * job.position_stride + i]++;
#pragma unroll
    for (int g = 0; g < CUD_MAX_KV_GROUPS; g++) {
        if (g >= job.groups) continue;
        const int page = at / CUD_PAGE; /* past its table a sequence does not go on: this step is not run for it */
        job.slots[g][i] = page < job.table_width[g] ? job.block_table[g][int64_t(i) * job.table_width[g] + page] * CUD_PAGE + at % CUD_PAGE : -1;
    }
}

} // namespace

extern "C" cuddle_status cud_cuda_advance(exec *ex, const step *s, cuddle_error *err)
{
    const cuddle_status status = cud_check_advance(ex, s, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || s->sequences == 0) return status;
    advance_job job = { s->ids, s->positions, s->kv_lengths, s->picked, s->sampling, {}, {}, {}, s->sequences, s->axes, s->groups, s->position_stride };
    for (int g = 0; g < s->groups; g++) {
        job.slots[g] = s->slots[g];
        job.block_table[g] = s->block_table[g];
        job.table_width[g] = s->table_width[g];
    }
    const unsigned blocks = unsigned((s->sequences + THREADS - 1) / THREADS);
    return cud_cuda_check(dev_launch(advance_kernel, dim3(blocks), dim3(THREADS), 0, cud_cuda_of(ex)->stream, job), "advance", err);
}
