/* Two small kernels for the tests of the runtime API. */
#ifndef EMULATION_RUNTIME_KERNELS_H
#define EMULATION_RUNTIME_KERNELS_H

#include <cuda_runtime_api.h>

cudaError_t run_axpy(float *y, const float *x, float a, int n, cudaStream_t stream); /* y += a x */
cudaError_t run_fill(float *y, float v, int n, cudaStream_t stream);
cudaError_t run_shape(dim3 grid, dim3 block, size_t shared, cudaStream_t stream); /* does nothing, in any shape */

#endif
