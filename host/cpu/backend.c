/* The CPU backend: its op table, memory, and which version of the kernels is used. */
#include "backend.h"
#include "machine.h"
#include "onednn.h"

#include <stdlib.h>
#include <sys/mman.h>

static cuddle_status cpu_alloc(backend *b, void **out, size_t bytes, const char *what, cuddle_error *err)
{
    (void)b;
    const size_t huge = (size_t)2 << 20; /* a huge page */
    const bool big = bytes >= 4 * huge;
    *out = NULL;
    if (bytes > SIZE_MAX / 2 || posix_memalign(out, big ? huge : CUD_ALIGN, bytes ? bytes : 1) != 0) {
        *out = NULL;
        return cud_nomem(err, bytes, what);
    }
    if (big) (void)madvise(*out, bytes, MADV_HUGEPAGE); /* a hint: fewer TLB misses while weights stream */
    return CUDDLE_OK;
}

static void cpu_release(backend *b, void *ptr)
{
    (void)b;
    free(ptr);
}

static cuddle_status cpu_copy(exec *ex, void *to, const void *from, size_t bytes, cuddle_error *err)
{
    (void)err;
    if (ex->mode != EXEC_RECORD && bytes) memcpy(to, from, bytes);
    return CUDDLE_OK;
}

static cuddle_status cpu_memory(backend *b, uint64_t *free_bytes, uint64_t *total, cuddle_error *err)
{
    (void)b, (void)err;
    cud_cpu_memory(total, free_bytes);
    return CUDDLE_OK;
}

static cuddle_status cpu_finish(exec *ex, cuddle_error *err)
{
    (void)ex, (void)err; /* ops return when they are done */
    return CUDDLE_OK;
}

static void cpu_destroy(backend *base)
{
    if (!base) return;
    cpu_backend *b = (cpu_backend *)base;
    cud_onednn_free(b->onednn);
    cud_pool_free(b->pool);
    free(b);
}

#if !CUD_HAVE_ONEDNN
const char *cud_cpu_onednn_version(void) { return NULL; }
#endif

static const op_table cpu_ops = {
    .name = "cpu",
    .alloc = cpu_alloc,
    .release = cpu_release,
    .alloc_host = cpu_alloc,
    .release_host = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .memory = cpu_memory,
    .load = cud_cpu_load,
    .embed = cud_cpu_embed,
    .rmsnorm = cud_cpu_rmsnorm,
    .layernorm = cud_cpu_layernorm,
    .linear = cud_cpu_linear,
    .rope = cud_cpu_rope,
    .attend = cud_cpu_attend,
    .copy_pages = cud_cpu_copy_pages,
    .gate = cud_cpu_gate,
    .gather = cud_cpu_gather,
    .log_softmax = cud_cpu_log_softmax,
    .pooling = cud_cpu_pooling,
    .sample = cud_cpu_sample,
    .finish = cpu_finish,
    .destroy = cpu_destroy,
};

/* The kernels of one instruction set; ISA_AVX512_BF16 is AVX-512 with one more. */
static void choose_kernels(cpu_backend *b, cpu_isa isa)
{
    b->rows = &cud_cpu_rows_portable;
    b->linear = &cud_cpu_linear_portable;
    b->attend = cud_cpu_attend_portable;
    b->sample = cud_cpu_sample_portable;
#if defined(__x86_64__)
    if (isa == ISA_AVX2) {
        b->rows = &cud_cpu_rows_avx2;
        b->linear = &cud_cpu_linear_avx2;
        b->attend = cud_cpu_attend_avx2;
        b->sample = cud_cpu_sample_avx2;
    } else if (isa >= ISA_AVX512) {
        b->rows = &cud_cpu_rows_avx512;
        b->linear = &cud_cpu_linear_avx512;
        b->attend = cud_cpu_attend_avx512;
        b->sample = cud_cpu_sample_avx512;
    }
    if (isa == ISA_AVX512_BF16) b->panel_bf16 = cud_cpu_linear_avx512bf16;
#else
    (void)isa;
#endif
}

cuddle_status cud_cpu_backend_new(backend **out, const cud_cpu_options *options, cuddle_error *err)
{
    *out = NULL;
    const cpu_isa best = cud_cpu_best_isa();
    cpu_isa isa = best;
    if (options->isa) {
        isa = cud_cpu_parse_isa(options->isa);
        if (isa == ISA_COUNT) return cud_fail(err, CUDDLE_E_ARG, "'%s' is not an instruction set this build knows", options->isa);
        if (isa > best)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "this machine has no %s, only %s", options->isa, cud_cpu_isa_name(best));
    }
    const int threads = options->threads ? options->threads : cud_cpu_threads_available();
    if (threads < 1 || threads > CPU_MAX_THREADS)
        return cud_fail(err, CUDDLE_E_ARG, "%d threads, expected 1 to %d", threads, CPU_MAX_THREADS);

    cpu_backend *b = calloc(1, sizeof *b);
    if (!b) return cud_nomem(err, sizeof *b, "the CPU backend");
    b->base.ops = &cpu_ops;
    b->base.weights_in_place = true;
    b->base.load_modes = 1u << CUDDLE_LOAD_MAP | 1u << CUDDLE_LOAD_READ;
    b->base.threads = threads;
    cud_cpu_model_name(b->base.device_name, sizeof b->base.device_name);
    memcpy(b->base.isa, cud_cpu_isa_name(isa), strlen(cud_cpu_isa_name(isa)) + 1);
    choose_kernels(b, isa);
    cuddle_status status = cud_pool_new(&b->pool, threads, err);
    if (status == CUDDLE_OK && options->onednn) status = cud_onednn_new(&b->onednn, threads, isa, err);
    if (status != CUDDLE_OK) {
        cpu_destroy(&b->base);
        return status;
    }
    *out = &b->base;
    return CUDDLE_OK;
}
