/* The frame of every API call, and the faults that tests inject there. */
#include "call.h"

#include <cstdio>
#include <cstdlib>
#include <linux/futex.h>
#include <map>
#include <sys/syscall.h>
#include <unistd.h>

/* Present when TSan is linked in. What the emulation does under its lock is no business of TSan's: seen, the lock would order all of
 * the product's threads and hide their races; unseen, our own memory would look raced for. */
extern "C" __attribute__((weak)) void __tsan_ignore_thread_begin(void);
extern "C" __attribute__((weak)) void __tsan_ignore_thread_end(void);

namespace emu {

/* ---- a lock that TSan does not know: 0 free, 1 held, 2 held and waited for ---- */

static int lock_word;

static void take_lock()
{
    int expected = 0;
    if (__atomic_compare_exchange_n(&lock_word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&lock_word, 2, __ATOMIC_ACQUIRE) != 0) syscall(SYS_futex, &lock_word, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
}

static void release_lock()
{
    if (__atomic_exchange_n(&lock_word, 0, __ATOMIC_RELEASE) == 2) syscall(SYS_futex, &lock_word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

static thread_local bool inside_call;
static thread_local bool inside_host_function;

static void enter()
{
    if (inside_host_function) fail("a host function called the CUDA API");
    if (inside_call) fail("an API call inside an API call");
    inside_call = true;
    if (__tsan_ignore_thread_begin) __tsan_ignore_thread_begin();
    take_lock();
}

static void leave()
{
    release_lock();
    if (__tsan_ignore_thread_end) __tsan_ignore_thread_end();
    inside_call = false;
}

void unlock_for_host_function()
{
    shut_devices();
    leave();
    inside_host_function = true;
}

void lock_after_host_function()
{
    inside_host_function = false;
    enter();
}

/* ---- faults ---- */

struct Fault {
    long calls = 0; /* since it was set */
    int nth = 0;    /* 0: none */
    cudaError_t error = cudaSuccess;
    bool sticky = false;
};

static std::map<std::string, Fault> read_faults()
{
    std::map<std::string, Fault> faults;
    const char *text = std::getenv("CUDDLE_EMU_FAIL");
    char name[64];
    int nth = 0, error = 0, used = 0;
    while (text && std::sscanf(text, "%63[^:,]:%d%n", name, &nth, &used) == 2) {
        text += used;
        error = cudaErrorUnknown;
        if (std::sscanf(text, ":%d%n", &error, &used) == 1) text += used;
        faults[name] = Fault{ 0, nth, static_cast<cudaError_t>(error), false };
        if (*text != ',') break;
        text++;
    }
    return faults;
}

static std::map<std::string, Fault> &faults()
{
    static std::map<std::string, Fault> &all = *new std::map<std::string, Fault>(read_faults());
    return all;
}

static const Fault *count_call(const std::string &name)
{
    Fault &fault = faults()[name];
    fault.calls++;
    return fault.nth > 0 && fault.calls == fault.nth ? &fault : nullptr;
}

static cudaError_t sticky[MAX_DEVICES];
static int kernel_fault_in;
static cudaError_t kernel_fault;

cudaError_t sticky_error(int device) { return sticky[device]; }
void set_sticky_error(int device, cudaError_t error) { sticky[device] = error; }

cudaError_t injected_kernel_fault()
{
    if (kernel_fault_in == 0) return cudaSuccess;
    kernel_fault_in--;
    return kernel_fault_in == 0 ? kernel_fault : cudaSuccess;
}

/* ---- a thread's own state ---- */

static thread_local int device_of_thread;
static thread_local cudaError_t last_error;

int current_device() { return device_of_thread; }
void set_current_device(int device) { device_of_thread = device; }

cudaError_t take_last_error(bool forget)
{
    const cudaError_t error = sticky[device_of_thread] != cudaSuccess ? sticky[device_of_thread] : last_error;
    if (forget) last_error = cudaSuccess;
    return error;
}

/* ---- the call ---- */

Locked::Locked() { enter(); }
Locked::~Locked() { leave(); }

Call::Call(const char *name)
{
    enter();
    const Fault *fault = count_call(name);
    const Fault *any = count_call("*");
    if (!fault) fault = any;
    if (fault && fault->sticky) sticky[device_of_thread] = fault->error;
    injected_ = fault != nullptr;
    if (fault) fail(fault->error);
    else if (sticky[device_of_thread] != cudaSuccess) error_ = sticky[device_of_thread];
}

Call::~Call()
{
    shut_devices();
    leave();
}

cudaError_t Call::fail(cudaError_t error)
{
    error_ = error;
    last_error = error;
    return error;
}

cudaError_t Call::done(cudaError_t error)
{
    if (error == cudaSuccess) error = sticky[device_of_thread];
    return error == cudaSuccess ? error : fail(error);
}

} // namespace emu

long emu_fail_call(const char *name, int nth, int error, bool sticky)
{
    const emu::Locked locked;
    emu::Fault &fault = emu::faults()[name];
    const long calls = fault.calls;
    fault = emu::Fault{ 0, nth, static_cast<cudaError_t>(error), sticky };
    return calls;
}

void emu_fail_kernel(int nth, int error)
{
    const emu::Locked locked;
    emu::kernel_fault_in = nth;
    emu::kernel_fault = static_cast<cudaError_t>(error);
}

void emu_clear_errors(void)
{
    const emu::Locked locked;
    for (cudaError_t &error : emu::sticky) error = cudaSuccess;
    emu::last_error = cudaSuccess;
}
