/* cudaLaunchKernelEx: the arguments are converted to the kernel's parameter types and kept until the stream gets there. */
#ifndef EMULATED_LAUNCH_H
#define EMULATED_LAUNCH_H

#include <tuple>
#include <type_traits>
#include <utility>

namespace emu {

struct Launch {
    dim3 grid, block;
    size_t shared = 0;
    const void *kernel = nullptr;
    size_t parameter_bytes = 0;
    unsigned attributes = 0;
    void *parameters = nullptr; /* a tuple of the kernel's parameter types */
    void (*free_parameters)(void *parameters) = nullptr;
    void (*run_thread)(const Launch &launch) = nullptr; /* what each CUDA thread does */
};

/* Takes the parameters over. */
cudaError_t launch(const Launch &launch, cudaStream_t stream);
/* From here to there the running thread's memory accesses are the kernel's and are checked. */
void enter_kernel_body();
void leave_kernel_body();

template <typename Kernel, typename Parameters, size_t... I>
EMU_UNCHECKED inline void call_kernel(const Launch &launch, std::index_sequence<I...>)
{
    const Kernel kernel = reinterpret_cast<Kernel>(reinterpret_cast<uintptr_t>(launch.kernel));
    [[maybe_unused]] Parameters mine = *static_cast<const Parameters *>(launch.parameters);
    enter_kernel_body();
    kernel(std::get<I>(mine)...);
    leave_kernel_body();
}

} // namespace emu

template <typename... Params, typename... Args>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Params...), Args &&...args)
{
    typedef std::tuple<std::decay_t<Params>...> Parameters;
    typedef void (*Kernel)(Params...);
    emu::Launch launch;
    launch.grid = config->gridDim;
    launch.block = config->blockDim;
    launch.shared = config->dynamicSmemBytes;
    launch.attributes = config->numAttrs;
    launch.kernel = reinterpret_cast<const void *>(kernel);
    launch.parameter_bytes = (sizeof(std::decay_t<Params>) + ... + 0);
    launch.parameters = new Parameters(std::forward<Args>(args)...);
    launch.free_parameters = [](void *parameters) { delete static_cast<Parameters *>(parameters); };
    launch.run_thread = [](const emu::Launch &self) EMU_UNCHECKED {
        emu::call_kernel<Kernel, Parameters>(self, std::index_sequence_for<Params...>());
    };
    return emu::launch(launch, config->stream);
}

#endif
