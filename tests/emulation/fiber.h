/* A fiber: a stack of its own on the one OS thread that runs kernels. */
#ifndef EMULATION_FIBER_H
#define EMULATION_FIBER_H

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emu {

struct Fiber {
    void *stack_pointer = nullptr; /* while it does not run */
    const void *bottom = nullptr;
    size_t size = 0;
    void *fake_stack = nullptr; /* ASan's */
#if !defined(__x86_64__)
    ucontext_t context;
#endif
};

/* Gives the index-th fiber its stack; switching to it the first time calls entry(), which never returns. */
void prepare_fiber(Fiber *fiber, unsigned index, void (*entry)());
/* Leaves the running fiber `from` for `to`; returns when somebody switches back. */
void switch_fiber(Fiber *from, Fiber *to);
/* The first thing that entry() does. */
void arrive_in_fiber(Fiber *self);
bool in_fiber_stack(const void *p, unsigned index);
bool in_any_fiber_stack(const void *p);

} // namespace emu

#endif
