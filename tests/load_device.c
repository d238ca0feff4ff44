#include "load_device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUE = 4096 };

typedef struct host_copy {
    char *to;
    const char *from;
    size_t to_pitch, from_pitch, row_bytes, rows;
    host_pin *pin; /* that it reads from, or NULL */
} host_copy;

typedef struct host_stream {
    host_device *d;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    host_copy copy[QUEUE];
    uint64_t handed, done;
    bool stop;
} host_stream;

typedef struct host_event {
    host_stream *stream;
    uint64_t ticket;
} host_event;

__attribute__((format(printf, 2, 3))) static void complain(host_device *d, const char *format, ...)
{
    va_list args;
    if (d->complaint[0]) return;
    va_start(args, format);
    vsnprintf(d->complaint, sizeof d->complaint, format, args);
    va_end(args);
}

/* Counts the call; true if it is to fail. */
static bool fails(host_device *d, host_call kind)
{
    pthread_mutex_lock(&d->lock);
    d->kind_calls[kind]++;
    const bool result = ++d->calls == d->fail_at || d->fail_kinds >> kind & 1u;
    pthread_mutex_unlock(&d->lock);
    return result;
}

static int use(void *self) { return fails(self, HOST_USE) ? HOST_FAILED : 0; }

/* ---------------------------------------------------------------------------------------------------------- pinning */

static host_pin *pin_with(host_device *d, const char *at, size_t bytes)
{
    for (int i = 0; i < d->pins; i++)
        if (d->pin[i].at && at >= d->pin[i].at && at + bytes <= d->pin[i].at + d->pin[i].bytes) return &d->pin[i];
    return NULL;
}

static int add_pin(host_device *d, char *at, size_t bytes)
{
    pthread_mutex_lock(&d->lock);
    host_pin *free_pin = NULL;
    for (int i = 0; i < d->pins; i++) {
        host_pin *p = &d->pin[i];
        if (p->at && at < p->at + p->bytes && p->at < at + bytes) complain(d, "a page is pinned twice");
        if (!p->at) free_pin = p;
    }
    if (!free_pin && d->pins < HOST_PINS) free_pin = &d->pin[d->pins++];
    if (free_pin) {
        *free_pin = (host_pin){ at, bytes, 0 };
        d->pinned += bytes;
        if (d->pinned > d->pinned_peak) d->pinned_peak = d->pinned;
    }
    pthread_mutex_unlock(&d->lock);
    return free_pin ? 0 : HOST_FAILED;
}

static void remove_pin(host_device *d, const char *at)
{
    pthread_mutex_lock(&d->lock);
    host_pin *found = NULL;
    for (int i = 0; i < d->pins; i++)
        if (d->pin[i].at == at) found = &d->pin[i];
    if (!found) complain(d, "memory is unpinned that is not pinned");
    else {
        if (found->reading) complain(d, "memory is unpinned while a copy reads it");
        found->at = NULL;
        d->pinned -= found->bytes;
    }
    pthread_mutex_unlock(&d->lock);
}

static int pin(void *self, void *memory, size_t bytes, bool mapped_file)
{
    host_device *d = self;
    if (fails(d, mapped_file ? HOST_PIN_FILE : HOST_PIN)) return HOST_FAILED;
    if (!mapped_file && d->pin_most && bytes > d->pin_most) return HOST_FAILED;
    if (mapped_file && d->pin_files >= 0) {
        pthread_mutex_lock(&d->lock);
        const bool none_left = d->kind_calls[HOST_PIN_FILE] > d->pin_files;
        pthread_mutex_unlock(&d->lock);
        if (none_left) return HOST_FAILED;
    }
    if ((uintptr_t)memory % 4096) {
        pthread_mutex_lock(&d->lock);
        complain(d, "a range is pinned that does not begin with a page");
        pthread_mutex_unlock(&d->lock);
    }
    return add_pin(d, memory, bytes);
}

static int unpin(void *self, void *memory)
{
    const int code = fails(self, HOST_UNPIN) ? HOST_FAILED : 0; /* gone all the same, as after a sticky error */
    remove_pin(self, memory);
    return code;
}

static int alloc_pinned(void *self, void **out, size_t bytes)
{
    host_device *d = self;
    *out = NULL;
    if (fails(d, HOST_ALLOC) || posix_memalign(out, 4096, bytes) != 0) return HOST_FAILED;
    pthread_mutex_lock(&d->lock);
    d->allocations++;
    pthread_mutex_unlock(&d->lock);
    return add_pin(d, *out, bytes);
}

static int free_pinned(void *self, void *memory)
{
    host_device *d = self;
    const int code = fails(d, HOST_FREE) ? HOST_FAILED : 0;
    remove_pin(d, memory);
    free(memory);
    pthread_mutex_lock(&d->lock);
    d->allocations--;
    pthread_mutex_unlock(&d->lock);
    return code;
}

/* ---------------------------------------------------------------------------------------------------------- streams */

static void perform(host_device *d, const host_copy *c)
{
    for (size_t i = 0; i < c->rows; i++) memcpy(c->to + i * c->to_pitch, c->from + i * c->from_pitch, c->row_bytes);
    if (!c->pin) return;
    pthread_mutex_lock(&d->lock);
    c->pin->reading--;
    pthread_mutex_unlock(&d->lock);
}

static void *run_stream(void *argument)
{
    host_stream *s = argument;
    unsigned seed = 1;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->done == s->handed && !s->stop) pthread_cond_wait(&s->changed, &s->lock);
        if (s->done == s->handed) break;
        const host_copy c = s->copy[s->done % QUEUE];
        pthread_mutex_unlock(&s->lock);
        seed = seed * 1664525u + 1013904223u;
        if (s->d->delay_us) usleep(seed % (unsigned)s->d->delay_us);
        perform(s->d, &c);
        pthread_mutex_lock(&s->lock);
        s->done++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Everything up to `ticket` is done when this returns. */
static void reach(host_stream *s, uint64_t ticket)
{
    pthread_mutex_lock(&s->lock);
    while (s->done < ticket && s->d->threaded) pthread_cond_wait(&s->changed, &s->lock);
    for (; s->done < ticket; s->done++) perform(s->d, &s->copy[s->done % QUEUE]);
    pthread_mutex_unlock(&s->lock);
}

static int stream_new(void *self, void **out)
{
    host_device *d = self;
    *out = NULL;
    if (fails(d, HOST_STREAM)) return HOST_FAILED;
    host_stream *s = calloc(1, sizeof *s);
    if (!s) return HOST_FAILED;
    s->d = d;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (d->threaded && pthread_create(&s->thread, NULL, run_stream, s) != 0) {
        free(s);
        return HOST_FAILED;
    }
    pthread_mutex_lock(&d->lock);
    d->streams++;
    pthread_mutex_unlock(&d->lock);
    *out = s;
    return 0;
}

static int stream_wait(void *self, void *stream)
{
    host_stream *s = stream;
    const int code = fails(self, HOST_STREAM_WAIT) ? HOST_FAILED : 0; /* a device that has failed is not copying any more */
    reach(s, s->handed);
    return code;
}

static int stream_free(void *self, void *stream)
{
    host_device *d = self;
    host_stream *s = stream;
    const int code = fails(d, HOST_STREAM_FREE) ? HOST_FAILED : 0;
    pthread_mutex_lock(&s->lock);
    const bool idle = s->done == s->handed;
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (d->threaded) pthread_join(s->thread, NULL);
    pthread_mutex_lock(&d->lock);
    if (!idle) complain(d, "a stream is freed while it copies");
    d->streams--;
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return code;
}

static int event_new(void *self, void **out)
{
    host_device *d = self;
    *out = fails(d, HOST_EVENT) ? NULL : calloc(1, sizeof(host_event));
    if (!*out) return HOST_FAILED;
    pthread_mutex_lock(&d->lock);
    d->events++;
    pthread_mutex_unlock(&d->lock);
    return 0;
}

static int event_record(void *self, void *event, void *stream)
{
    host_event *e = event;
    if (fails(self, HOST_RECORD)) return HOST_FAILED;
    e->stream = stream;
    e->ticket = e->stream->handed;
    return 0;
}

static int event_wait(void *self, void *event)
{
    const host_event *e = event;
    if (fails(self, HOST_EVENT_WAIT)) return HOST_FAILED;
    if (e->stream) reach(e->stream, e->ticket);
    return 0;
}

static int event_passed(void *self, void *event, bool *out)
{
    const host_event *e = event;
    *out = false;
    if (fails(self, HOST_PASSED)) return HOST_FAILED;
    pthread_mutex_lock(&e->stream->lock);
    *out = e->stream->done >= e->ticket;
    pthread_mutex_unlock(&e->stream->lock);
    return 0;
}

static int event_free(void *self, void *event)
{
    host_device *d = self;
    const int code = fails(d, HOST_EVENT_FREE) ? HOST_FAILED : 0;
    free(event);
    pthread_mutex_lock(&d->lock);
    d->events--;
    pthread_mutex_unlock(&d->lock);
    return code;
}

static int copy_rows(void *self, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t row_bytes, size_t rows, void *stream)
{
    host_device *d = self;
    host_stream *s = stream;
    host_copy c = { to, from, to_pitch, from_pitch, row_bytes, rows, NULL };
    if (fails(d, HOST_COPY)) return HOST_FAILED;
    const size_t to_span = (rows - 1) * to_pitch + row_bytes, from_span = (rows - 1) * from_pitch + row_bytes;
    pthread_mutex_lock(&d->lock);
    if (rows == 0 || row_bytes == 0 || to_pitch < row_bytes || from_pitch < row_bytes) complain(d, "a copy of nothing, or with too small a pitch");
    if (c.to < d->arena || c.to + to_span > d->arena + d->arena_bytes) complain(d, "a copy beyond the arena");
    c.pin = pin_with(d, from, from_span);
    if (c.pin) c.pin->reading++;
    else {
        d->pageable++;
        if (pin_with(d, from, 1) || pin_with(d, (const char *)from + from_span - 1, 1)) complain(d, "a copy from memory that is only partly pinned");
    }
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_lock(&s->lock);
    if (s->handed - s->done == QUEUE) { /* room is rare enough to wait for it here */
        pthread_mutex_unlock(&s->lock);
        reach(s, s->handed - QUEUE / 2);
        pthread_mutex_lock(&s->lock);
    }
    s->copy[s->handed++ % QUEUE] = c;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static int copy(void *self, void *to, const void *from, size_t bytes, void *stream)
{
    return copy_rows(self, to, bytes, from, bytes, bytes, 1, stream);
}

static const char *explain(void *self, int code)
{
    (void)self;
    return code == HOST_FAILED ? "an injected failure" : "no failure";
}

static const copy_ops host_copies = { use,       pin,          unpin,      alloc_pinned, free_pinned,  stream_new, stream_wait, stream_free,
                                      event_new, event_record, event_wait, event_passed, event_free, copy,       copy_rows,   explain };

void host_device_open(host_device *d, bool threaded)
{
    *d = (host_device){ .threaded = threaded, .pin_files = -1 };
    d->base = (copy_device){ .ops = &host_copies, .self = d, .name = "test device", .registers_files = true, .numa_node = -1 };
    pthread_mutex_init(&d->lock, NULL);
}

const char *host_device_close(host_device *d)
{
    int pins = 0;
    for (int i = 0; i < d->pins; i++) pins += d->pin[i].at != NULL;
    if (pins + d->streams + d->events + d->allocations)
        complain(d, "left behind: %d pins, %d streams, %d events, %d allocations", pins, d->streams, d->events, d->allocations);
    pthread_mutex_destroy(&d->lock);
    return d->complaint;
}
