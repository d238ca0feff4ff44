/* Options from the environment or from tests, random numbers, counters, and how the emulation complains. */
#include "internal.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu {

static Options read_environment()
{
    Options o;
    const char *order = std::getenv("CUDDLE_EMU_ORDER");
    const char *streams = std::getenv("CUDDLE_EMU_STREAMS");
    const char *seed = std::getenv("CUDDLE_EMU_SEED");
    const char *memory = std::getenv("CUDDLE_EMU_MEMORY_MB");
    if (order && std::strcmp(order, "reverse") == 0) o.order = EMU_REVERSE;
    if (order && std::strcmp(order, "random") == 0) o.order = EMU_RANDOM_ORDER;
    if (streams && std::strcmp(streams, "eager") == 0) o.streams = EMU_EAGER;
    if (streams && std::strcmp(streams, "random") == 0) o.streams = EMU_RANDOM_STREAMS;
    if (seed) o.seed = std::strtoull(seed, nullptr, 10);
    if (memory) o.device_bytes = size_t(std::strtoull(memory, nullptr, 10)) << 20;
    return o;
}

Options &options()
{
    static Options &o = *new Options(read_environment());
    return o;
}

emu_counters &counters()
{
    static emu_counters &c = *new emu_counters();
    return c;
}

static uint64_t &random_state()
{
    static uint64_t state = options().seed * 0x9e3779b97f4a7c15u + 1;
    return state;
}

uint32_t random_below(uint32_t n)
{
    uint64_t &state = random_state();
    state = state * 6364136223846793005u + 1442695040888963407u;
    return uint32_t((state >> 33) % n);
}

size_t shared_memory_limit()
{
    const int version = options().major * 10 + options().minor;
    if (version == 80 || version == 87) return 163 * 1024;
    if (version == 90 || version / 10 == 10) return 227 * 1024;
    return 99 * 1024; /* 8.6, 8.9, 12.0 */
}

void fail(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    std::fflush(stdout);
    std::fprintf(stderr, "emulation: %s%s\n", text, where_in_kernel().c_str());
    std::fprintf(stderr, "  order %d, streams %d, seed %llu\n", int(options().order), int(options().streams), static_cast<unsigned long long>(options().seed));
#ifdef EMU_ASAN
    __sanitizer_print_stack_trace();
#endif
    std::fflush(stderr);
    _exit(EMU_EXIT_CODE);
}

#if defined(__x86_64__)
void raw_copy(void *to, const void *from, size_t n)
{
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}
void raw_fill(void *to, int value, size_t n)
{
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}
#else
EMU_NO_ASAN void raw_copy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) static_cast<volatile char *>(to)[i] = static_cast<const volatile char *>(from)[i];
}
EMU_NO_ASAN void raw_fill(void *to, int value, size_t n)
{
    for (size_t i = 0; i < n; i++) static_cast<volatile char *>(to)[i] = char(value);
}
#endif

} // namespace emu

void emu_set_schedule(emu_order order, emu_streams streams, uint64_t seed)
{
    emu::options().order = order;
    emu::options().streams = streams;
    emu::options().seed = seed;
    emu::random_state() = seed * 0x9e3779b97f4a7c15u + 1;
}
void emu_set_devices(int count) { emu::options().devices = count; }
void emu_set_device_memory(size_t bytes) { emu::options().device_bytes = bytes; }
void emu_set_register_read_only(bool supported) { emu::options().register_read_only = supported; }
void emu_set_compute_capability(int major, int minor)
{
    emu::options().major = major;
    emu::options().minor = minor;
}
void emu_counters_get(emu_counters *out) { *out = emu::counters(); }
