/* What the verbs with a model share: the engine's and the model's options, loading with a progress bar, and Ctrl-C. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdatomic.h>
#include <sys/types.h>

#include "cli/options.h"
#include "cuddle.h"

enum { WAIT_MS = 50 }; /* how long Ctrl-C may go unnoticed */
enum { INTERRUPT_CODE = 130 }; /* interrupt_code() after a Ctrl-C */

typedef struct settings { /* targets of settings_rows */
    const char *device, *dtype, *kv_dtype;
    int threads, deterministic, load, log;
    int max_context, max_batch, max_sequences;
    int64_t kv_tokens;
    int measure_ceiling; /* the verb's own choice */
} settings;
extern const option_row settings_rows[];
#define SETTINGS_DEFAULT { .device = "auto", .dtype = "auto", .kv_dtype = "auto", .log = CUDDLE_LOG_WARN }

typedef struct session {
    cuddle_engine *engine;
    cuddle_model *model;
    double load_seconds;
    atomic_ullong bytes_done, bytes_total; /* written by the loading thread */
} session;

/* Both return an exit code, 0 to go on, and have said what was wrong. In either case session_close() follows. */
int session_open_engine(session *s, const settings *set);
int session_open(session *s, const settings *set, const char *path); /* engine and model, loaded */
void session_close(session *s);
void settings_to_model_options(const settings *set, cuddle_model_options *options);

/* The first SIGINT or SIGTERM is noted, the second ends the program. */
void interrupt_catch(void);
int interrupt_code(void); /* 128 + signal once one came, else 0 */
void interrupt_forget(void); /* as if none had come */

/* read(2), once there is something; -1 and EINTR after a signal, also one that came before. */
ssize_t interrupt_read(int descriptor, void *data, size_t room);

#endif
