/* What cuda/device.h includes in place of <cuda_runtime.h> when kernels are compiled for the CPU (test-only; C++17).
 *
 * The types come from the toolkit's own headers, unmodified. Every CUDA thread is a fiber on one OS thread; the operations between threads
 * are in the headers below. This file is part of a kernel's translation unit and so is instrumented by ASan, UBSan or the race
 * checker like the kernel itself, except where EMU_UNCHECKED says otherwise. */
#ifndef EMULATED_CUDA_H
#define EMULATED_CUDA_H

#include <cuda_runtime_api.h>
#include <vector_functions.h>
#include <vector_types.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>
#include <cstring>

/* To a plain compiler these mean nothing (the toolkit has attributes there that only nvcc knows). */
#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __grid_constant__
#undef __launch_bounds__
#undef __shared__
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static_assert(false, "a kernel's shared memory is declared with DEV_SHARED or DEV_DYN_SHARED");

#define EMU_UNCHECKED __attribute__((no_sanitize("thread")))
/* Arithmetic on the emulation's own variables, done for a whole warp at once: no sanitizer looks at it. */
#define EMU_ARITHMETIC __attribute__((no_sanitize("thread", "address", "undefined")))

extern uint3 threadIdx, blockIdx; /* plain globals: one kernel thread runs at a time */
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emu {

/* Where a kernel called an operation that several threads take part in. */
struct Site {
    const char *op;
    const char *file;
    int line;
};

[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace emu

/* The last parameters of an operation: filled in by the compiler at the place of the call. */
#define EMU_SITE const char *site_file = __builtin_FILE(), int site_line = __builtin_LINE()
#define EMU_AT(op) (emu::Site{ op, site_file, site_line })

#include "emulated_shared.h"
#include "emulated_threads.h"
#include "emulated_math.h"
#include "emulated_ptx.h"
#include "emulated_launch.h"

#endif
