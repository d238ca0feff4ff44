/* The frame of every API call: the lock, the counting of calls, injected and sticky errors, the last error of the thread.
 *
 *     cudaError_t cudaX(...)
 *     {
 *         Call call(__func__);
 *         if (call.refused()) return call.error();
 *         ...
 *         return call.done();   or   return call.fail(cudaErrorInvalidValue);
 *     } */
#ifndef EMULATION_CALL_H
#define EMULATION_CALL_H

#include "internal.h"

namespace emu {

class Call {
public:
    explicit Call(const char *name);
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    bool refused() const { return error_ != cudaSuccess; }
    /* Calls that give something back ask this instead: on a device with a sticky error they still do it, and report the error. */
    bool injected() const { return injected_; }
    cudaError_t error() const { return error_; }
    cudaError_t fail(cudaError_t error);
    /* `error` may be cudaSuccess; a device that has meanwhile failed answers with its sticky error. */
    cudaError_t done(cudaError_t error = cudaSuccess);

private:
    cudaError_t error_ = cudaSuccess;
    bool injected_ = false;
};

/* The lock without the rest, for what is not CUDA's API. */
class Locked {
public:
    Locked();
    ~Locked();
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
};

/* The device of the calling thread. */
int current_device();
void set_current_device(int device);
cudaError_t sticky_error(int device);
void set_sticky_error(int device, cudaError_t error);
cudaError_t take_last_error(bool forget);
/* The sticky error that the kernel which runs now was asked to end with, or cudaSuccess. */
cudaError_t injected_kernel_fault();

/* Host functions run with the lock open, so that they may wait for other threads. */
void unlock_for_host_function();
void lock_after_host_function();
bool in_host_function();

} // namespace emu

#endif
