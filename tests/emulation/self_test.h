/* What the emulation's own tests share. With SELF_TEST_ON_DEVICE a test is linked with the CUDA runtime instead and runs on a GPU. */
#ifndef EMULATION_SELF_TEST_H
#define EMULATION_SELF_TEST_H

#ifndef SELF_TEST_ON_DEVICE
#include "emulation.h"
#endif

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                                \
        }                                                                                \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, cudaSuccess)
#define CHECK_STATUS(call, want)                                                                                              \
    do {                                                                                                                      \
        const int got_ = int(call);                                                                                           \
        if (got_ != int(want)) {                                                                                              \
            std::fprintf(stderr, "%s:%d: %s is %d, expected %d\n", __FILE__, __LINE__, #call, got_, int(want)); \
            std::exit(1);                                                                                                     \
        }                                                                                                                     \
    } while (0)

template <typename T> inline T *device_array(size_t count)
{
    void *p = nullptr;
    CHECK_OK(cudaMalloc(&p, count * sizeof(T)));
    return static_cast<T *>(p);
}

template <typename T> inline T *upload(const std::vector<T> &values)
{
    T *p = device_array<T>(values.size());
    CHECK_OK(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    return p;
}

template <typename T> inline std::vector<T> download(const T *p, size_t count)
{
    std::vector<T> values(count);
    CHECK_OK(cudaMemcpy(values.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
}

/* In [-1, 1), the same on every machine. */
inline float draw()
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return float(double(state >> 40) / double(1 << 23) - 1.0);
}

inline std::vector<float> random_floats(size_t count)
{
    std::vector<float> values(count);
    for (float &v : values) v = draw();
    return values;
}

inline cudaStream_t new_stream()
{
    cudaStream_t stream = nullptr;
    CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

/* For the start of main(): where it returns true there is nothing to run on, and main returns 77. */
inline bool no_device()
{
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return false;
    std::fprintf(stderr, "skipped: no CUDA device: %s\n", cudaGetErrorString(status));
    if (std::getenv("CUDDLE_REQUIRE_DEVICE")) std::exit(1);
    return true;
}

#ifndef SELF_TEST_ON_DEVICE
/* Nothing of ours is left. */
inline void check_all_returned()
{
    emu_live live;
    emu_live_get(&live);
    CHECK(live.device_bytes == 0 && live.pinned_bytes == 0 && live.registered_bytes == 0);
    CHECK(live.streams == 0 && live.events == 0 && live.graphs == 0 && live.graph_execs == 0 && live.blas_objects == 0);
}
#endif

#endif
