/* copy_pages: the first positions of one page of the KV cache become those of another, in every layer.
 * One block per copy, layer, and keys or values; one warp per head, whose positions follow one another. Memory bound. */
#include "backend.h"
#include "device.h"

#include "core/op_checks.h"

namespace {

enum { THREADS = 256, WARPS = THREADS / DEV_WARP, BLOCKS = 4 }; /* of a multiprocessor */

struct copy_pages_job {
    char *data[2]; /* keys, values */
    int position_bytes[2];
    int64_t layer_bytes;
    const page_copy *copies;
    int heads;
};

/* V: what is moved at once. */
template <typename V> __global__ void __launch_bounds__(THREADS, BLOCKS) copy_pages_kernel(copy_pages_job job)
{
    const page_copy c = job.copies[blockIdx.x];
    const bool values = blockIdx.z == 1;
    const int each = (values ? job.position_bytes[1] : job.position_bytes[0]) / int(sizeof(V)), n = c.positions * each;
    char *layer = (values ? job.data[1] : job.data[0]) + blockIdx.y * job.layer_bytes;
    const int64_t head = int64_t(CUD_PAGE) * each, page = job.heads * head;
    for (int h = int(threadIdx.x) / DEV_WARP; h < job.heads; h += WARPS) {
        const V *from = reinterpret_cast<const V *>(layer) + c.from * page + h * head;
        V *to = reinterpret_cast<V *>(layer) + c.to * page + h * head;
        for (int i = int(threadIdx.x) % DEV_WARP; i < n; i += DEV_WARP) dev_store<V>(to + i, dev_load<V>(from + i));
    }
}

} // namespace

extern "C" cuddle_status cud_cuda_copy_pages(exec *ex, const copy_pages_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_copy_pages(ex, args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || args->count == 0 || args->layers == 0) return status;
    const kv_view *kv = &args->kv;
    const int width = int(cud_dtype_size(kv->type));
    const copy_pages_job job = { { static_cast<char *>(kv->k), static_cast<char *>(kv->v) }, { kv->k_dim * width, kv->v_dim * width },
                                 int64_t(args->layer_bytes), args->copies, kv->heads };
    const uintptr_t all = uintptr_t(kv->k) | uintptr_t(kv->v) | args->layer_bytes | unsigned(job.position_bytes[0]) | unsigned(job.position_bytes[1]);
    const dim3 grid(unsigned(args->count), unsigned(args->layers), 2);
    cudaStream_t stream = cud_cuda_of(ex)->stream;
    return cud_cuda_check(all % 16 == 0 ? dev_launch(copy_pages_kernel<uint4>, grid, dim3(THREADS), 0, stream, job)
                                        : dev_launch(copy_pages_kernel<uint16_t>, grid, dim3(THREADS), 0, stream, job),
                          "copy_pages", err);
}
