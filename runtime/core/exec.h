/* An exec is a backend in use: what a forward is run on. The forward is written once; on a recording exec it adds up the workspace
 * and asks each op whether it can do what the model wants, on a running one it computes. */
#ifndef CUD_CORE_EXEC_H
#define CUD_CORE_EXEC_H

#include "core/status.h"
#include "core/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct op_table;
struct backend;

typedef enum exec_mode {
    EXEC_RECORD, /* no data: ops check shapes, types and formats and count scratch, and touch no pointer */
    EXEC_RUN,
    EXEC_CAPTURE /* kernels go into a graph instead of a stream */
} exec_mode;

/* A stack of temporaries in one block that was planned by recording. */
typedef struct workspace {
    char *base; /* NULL while recording */
    size_t size, used, peak;
} workspace;

typedef struct exec {
    const struct op_table *ops;
    struct backend *backend;
    exec_mode mode;
    int rank, ranks; /* of the group of devices that share the model; 0 of 1 today */
    bool deterministic;
    workspace ws;
    /* Surround each layer: the fence for computing while later layers still load, and for weights streamed from the host. NULL: nothing
     * to wait for. layer_begin is also called with -1, for what comes before the first layer, and with their number, for what comes after. */
    cuddle_status (*layer_begin)(struct exec *ex, int layer, cuddle_error *err);
    cuddle_status (*layer_end)(struct exec *ex, int layer, cuddle_error *err);
    void *layer_user;
} exec;

enum { CUD_ALIGN = 256 };

/* `bytes` of workspace, CUD_ALIGN-aligned, until cud_ws_release() goes back before it. NULL with CUDDLE_OK while recording.
 * CUDDLE_E_INTERNAL if a running exec needs more than was planned: a defect of the forward, never of the input. */
cuddle_status cud_ws_take(exec *ex, void **out, size_t bytes, cuddle_error *err);
static inline size_t cud_ws_mark(const exec *ex) { return ex->ws.used; }
static inline void cud_ws_release(exec *ex, size_t mark) { ex->ws.used = mark; }

/* A [rows, cols] matrix in the workspace. */
cuddle_status cud_ws_matrix(exec *ex, tensor *out, dtype type, int64_t rows, int64_t cols, cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
