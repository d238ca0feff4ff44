/* Kernels that use every operation of cuda/device.h once, for test_device.cc and tests/golden/; both also run on a real device. */
#ifndef EMULATION_DEVICE_KERNELS_H
#define EMULATION_DEVICE_KERNELS_H

#include <cuda_runtime_api.h>

#include <cstdint>

enum { WARP_CASES = 19 };
/* out[WARP_CASES][32]; in[32] */
cudaError_t run_warp_ops(int *out, const int *in, cudaStream_t stream);
/* d[16][8] += a[16][16] b[16][8]; a row-major and transposed, b as [n][k] and [k][n]. way 0: fragments straight from memory; 1: ldmatrix;
 * 2: ldmatrix.trans from the transposed matrices. type 0: bf16, 1: f16 */
cudaError_t run_mma(float *d, const void *a, const void *a_trans, const void *b_nk, const void *b_kn, int way, int type, cudaStream_t stream);
/* One 8x8 matrix through each of the six forms; out[6][4][32]. */
cudaError_t run_ldmatrix(uint32_t *out, const uint16_t *in, cudaStream_t stream);
/* out[t] = sum over tiles of in[tile * 128 + t], through two buffers of cp.async of `bytes` each; `count` floats, zero past them. */
cudaError_t run_copy_async(float *out, const float *in, int count, int bytes, cudaStream_t stream);
/* out[0] = sum, out[1] = maximum, out[2] = sum of squares of in[threads] */
cudaError_t run_block_reduce(float *out, const float *in, int threads, cudaStream_t stream);
/* out = in through 16, 8, 4 and 2 bytes and both kinds of load and store; 64 bytes per thread */
cudaError_t run_vectors(void *out, const void *in, int threads, cudaStream_t stream);
/* Converted to float and back; 8 elements */
cudaError_t run_convert(void *out, const void *in, int type, cudaStream_t stream);
/* *out = the sum of in[count], each block its share, the last block all of them; *counter is 0 before and after */
cudaError_t run_last_block(float *out, float *partial, unsigned *counter, const float *in, int count, cudaStream_t stream);
/* out[6]: add, max, min, or, compare-and-swap wins, increments that wrapped at 9 */
cudaError_t run_atomics(unsigned *out, cudaStream_t stream);
/* out[i] = in[i ^ 1] through shared memory and __syncwarp() */
cudaError_t run_syncwarp(float *out, const float *in, cudaStream_t stream);
/* out[i] = in[count - 1 - i] through `bytes` of dynamic shared memory */
cudaError_t run_dynamic(float *out, const float *in, int count, size_t bytes, cudaStream_t stream);
/* out[7]: exp, log, rsqrt, tanh, erf, exp_fast of *x, and *x through __ldg */
cudaError_t run_math(float *out, const float *x, cudaStream_t stream);
/* out[6][32]: in[64] in pairs to bf16 and f16, the first of each alone, both packed, and the second packed one back as float */
enum { ROUND_WORDS = 6 * 32 };
cudaError_t run_round(uint32_t *out, const float *in, cudaStream_t stream);

#endif
