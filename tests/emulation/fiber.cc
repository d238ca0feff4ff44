/* Switching stacks: a dozen instructions on x86-64 (30 ns with all that a collective does; swapcontext makes a system call and takes
 * ten times as long), ucontext elsewhere. ASan is told about every switch. */
#include "fiber.h"
#include "internal.h"

#include <sys/mman.h>

#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu {

constexpr size_t STACK = size_t(256) << 10; /* frames are large under ASan */
constexpr size_t GUARD = 4096;
constexpr unsigned MAX_FIBERS = 1024;

static char *stacks;

static void reserve_stacks()
{
    void *p = mmap(nullptr, MAX_FIBERS * (STACK + GUARD), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("no memory for stacks");
    stacks = static_cast<char *>(p);
}

bool in_any_fiber_stack(const void *p)
{
    const char *at = static_cast<const char *>(p);
    return stacks && at >= stacks && at < stacks + MAX_FIBERS * (STACK + GUARD);
}

bool in_fiber_stack(const void *p, unsigned index)
{
    const char *first = stacks + index * (STACK + GUARD) + GUARD;
    const char *at = static_cast<const char *>(p);
    return at >= first && at < first + STACK;
}

#ifdef EMU_ASAN
static Fiber *left; /* the fiber that the last switch came from: ASan tells the arriving side where its stack is */

static void announce(Fiber *from, const Fiber *to)
{
    left = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
}

EMU_NO_ASAN void arrive_in_fiber(Fiber *self)
{
    const void *bottom = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
    left->bottom = bottom;
    left->size = size;
}
#else
static void announce(Fiber *, const Fiber *) {}
void arrive_in_fiber(Fiber *) {}
#endif

#if defined(__x86_64__)

extern "C" void emu_switch_stack(void **save, void *load);
asm(R"(
.text
.globl emu_switch_stack
.hidden emu_switch_stack
.type emu_switch_stack, @function
emu_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch_stack, . - emu_switch_stack
)");

void prepare_fiber(Fiber *fiber, unsigned index, void (*entry)())
{
    if (!stacks) reserve_stacks();
    char *guard = stacks + index * (STACK + GUARD);
    if (mprotect(guard, GUARD, PROT_NONE)) fail("no guard page below a stack");
    fiber->bottom = guard + GUARD;
    fiber->size = STACK;
    /* As if entry() had just been called: the stack pointer is 8 below a multiple of 16. */
    void **top = reinterpret_cast<void **>(guard + GUARD + STACK);
    *--top = nullptr;
    *--top = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--top = nullptr; /* the registers that emu_switch_stack takes back */
    fiber->stack_pointer = top;
}

void switch_fiber(Fiber *from, Fiber *to)
{
    announce(from, to);
    emu_switch_stack(&from->stack_pointer, to->stack_pointer);
    arrive_in_fiber(from);
}

#else

void prepare_fiber(Fiber *fiber, unsigned index, void (*entry)())
{
    if (!stacks) reserve_stacks();
    char *guard = stacks + index * (STACK + GUARD);
    if (mprotect(guard, GUARD, PROT_NONE)) fail("no guard page below a stack");
    fiber->bottom = guard + GUARD;
    fiber->size = STACK;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = guard + GUARD;
    fiber->context.uc_stack.ss_size = STACK;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, entry, 0);
}

void switch_fiber(Fiber *from, Fiber *to)
{
    announce(from, to);
    swapcontext(&from->context, &to->context);
    arrive_in_fiber(from);
}

#endif

} // namespace emu
