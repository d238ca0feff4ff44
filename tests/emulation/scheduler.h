/* The block that runs: its threads, who may go on, and what they wait for. Shared by scheduler.cc and collective.cc. */
#ifndef EMULATION_SCHEDULER_H
#define EMULATION_SCHEDULER_H

#include "fiber.h"
#include "internal.h"

#include <vector>

namespace emu {

enum class State { READY, IN_COLLECTIVE, AT_BARRIER, EXITED };

struct Thread {
    Fiber fiber;
    uint3 index;
    unsigned linear = 0;
    State state = State::READY;
    bool in_body = false; /* between the kernel's first and last statement, and not in the emulation */
    Site site = {};       /* where it waits */
    unsigned mask = 0;    /* of the collective it waits in */
    Lane post = {};       /* its input and output there */
};

/* Lanes of a warp that have met at a collective which is not complete. */
struct Meeting {
    unsigned mask, arrived;
    Collective function;
    Site site;
};

struct Warp {
    unsigned ready = 0;  /* lanes that could run */
    unsigned exited = 0; /* lanes that are gone or never were */
    std::vector<Meeting> meetings;
};

struct Barrier {
    unsigned waiting = 0, votes = 0;
    unsigned result = 0; /* votes of the last complete one */
    Site site = {};
};

struct Block {
    std::vector<Thread *> threads; /* as many as any block so far had; reused */
    Warp warps[32];
    Barrier barrier;
    unsigned size = 0, alive = 0;
    uint64_t serial = 0;
    Thread *running = nullptr;
};
extern Block &block;

/* Lets another thread run; returns when somebody has made this one ready and its turn has come. */
void yield_to_next();
void wait_in(State state, Site site);
void make_ready(Thread *thread);
std::string name_of(const Thread *thread);

/* Called when the running thread has exited: nobody may be left waiting for it. */
void check_nobody_waits_for(const Thread *gone);

} // namespace emu

#endif
