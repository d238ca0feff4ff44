/* Streams, events and captures: what stream.cc, event.cc and graph.cc share. */
#ifndef EMULATION_STREAM_H
#define EMULATION_STREAM_H

#include "call.h"

#include <deque>
#include <set>
#include <vector>

namespace emu {

struct Stream;
struct Capture;

/* Shared, because work that waits for an event outlives the handle. */
struct EventState {
    int device = 0;
    bool timing = true;
    uint64_t recorded = 0, done = 0; /* how often; a wait is for the number that was current when it was asked for */
    Stream *on = nullptr;            /* where it was recorded last */
    double time = 0;                 /* in ms, when it was done last */
    std::shared_ptr<Capture> capture; /* where it was recorded last, if in a capture */
    int node = -1;
};

/* One entry of a stream's queue. */
struct Item {
    Work run;
    bool host_function = false;
    std::shared_ptr<EventState> wait, record;
    uint64_t version = 0;
};

struct Node {
    Operation op;
    std::vector<int> after;
};

struct Capture {
    std::vector<Node> nodes;
    Stream *origin = nullptr;
    std::set<Stream *> streams; /* that are part of it, the origin too */
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    unsigned long thread = 0; /* that began it */
    bool invalid = false;
};

struct Stream {
    int device = 0;
    bool is_default = false;
    unsigned flags = 0;
    int priority = 0;
    std::deque<Item> queue;
    bool busy = false; /* a host function of it runs, with the lock open */
    std::shared_ptr<Capture> capture;
    int last = -1;          /* its newest node in the capture */
    std::vector<int> joins; /* nodes that its next one also comes after */
};

/* The handle's stream; ends the process if it is none. NULL is the calling thread's device's default stream. */
Stream *stream_of(cudaStream_t handle);
void add_item(Stream *stream, Item item);
bool step(Stream *stream); /* false if there was nothing to do */
void drain(Stream *stream);
void wait_for(const std::shared_ptr<EventState> &event, uint64_t version);
void random_progress();
int add_node(Stream *stream, Operation op);
/* For TSan: what was done before the first is seen after the second. */
void order_before(const void *object);
void order_after(const void *object);

} // namespace emu

#endif
