/* Deliberately broken kernels, one bug each. */
#ifndef EMULATION_BUG_KERNELS_H
#define EMULATION_BUG_KERNELS_H

#include <cuda_runtime_api.h>

enum bug_kernel {
    BUG_DIVERGENT_BARRIER,
    BUG_EXIT_BEFORE_BARRIER,
    BUG_TWO_BARRIERS,
    BUG_MISSING_BARRIER,
    BUG_DEVICE_OFF_BY_ONE,
    BUG_SHARED_OUT_OF_BOUNDS,
    BUG_DYNAMIC_OUT_OF_BOUNDS,
    BUG_SHUFFLE_MISSING_LANES,
    BUG_SHUFFLE_MASKS_DIFFER,
    BUG_UNINITIALISED_SHARED,
    BUG_UNINITIALISED_DEVICE,
    BUG_READ_BEFORE_COPY_WAIT,
    BUG_COPY_OVERWRITES,
    BUG_COPY_LEFT_IN_FLIGHT,
    BUG_MISALIGNED_STRUCT,
    BUG_MISALIGNED_LOAD,
    BUG_WRITE_RACE,
    BUG_WRITE_RACE_OF_BLOCKS,
    BUG_READ_WRITE_RACE,
    BUG_SHUFFLE_AS_BARRIER,
    BUG_HALF_SYNCWARP,
    BUG_NO_THREADFENCE,
    BUG_ATOMIC_AND_PLAIN,
    BUG_LDMATRIX_FROM_DEVICE,
    BUG_LDMATRIX_MISALIGNED,
    BUG_HOST_POINTER,
    BUG_KERNELS
};

/* 128 threads (and for some bugs 2 blocks); in holds n floats, out 128, counter one zero. */
cudaError_t run_bug(bug_kernel which, float *out, float *in, unsigned *counter, int n, cudaStream_t stream);

#endif
