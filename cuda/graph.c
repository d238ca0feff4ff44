/* Graphs: the ops of one step, captured from the backend's stream and launched again as a whole. */
#include "backend.h"

#include <stdlib.h>

struct graph {
    cudaGraphExec_t run;
};

cuddle_status cud_cuda_capture_begin(exec *ex, cuddle_error *err)
{
    cuda_backend *b = cud_cuda_of(ex);
    cuddle_status status = cud_cuda_check(cudaSetDevice(b->device), "choosing the device", err);
    /* Other threads of this process may allocate meanwhile: they load models. */
    if (!status) status = cud_cuda_check(cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal), "beginning a graph", err);
    if (!status) ex->mode = EXEC_CAPTURE;
    return status;
}

cuddle_status cud_cuda_capture_end(exec *ex, struct graph **out, bool failed, cuddle_error *err)
{
    cuda_backend *b = cud_cuda_of(ex);
    cudaGraph_t captured = NULL;
    *out = NULL;
    ex->mode = EXEC_RUN;
    const cudaError_t ended = cudaStreamEndCapture(b->stream, &captured);
    cuddle_status status = failed ? CUDDLE_E_INTERNAL : cud_cuda_check(ended, "ending a graph", err);
    if (failed) (void)cudaGetLastError();
    struct graph *g = NULL;
    if (!status) {
        g = calloc(1, sizeof *g);
        if (!g) status = cud_nomem(err, sizeof *g, "a graph");
    }
    if (!status) status = cud_cuda_check(cudaGraphInstantiate(&g->run, captured, 0), "making a graph", err);
    if (captured) (void)cudaGraphDestroy(captured);
    if (status) {
        free(g);
        return status;
    }
    *out = g;
    return CUDDLE_OK;
}

cuddle_status cud_cuda_replay(exec *ex, struct graph *g, cuddle_error *err)
{
    cuda_backend *b = cud_cuda_of(ex);
    const cuddle_status status = cud_cuda_check(cudaSetDevice(b->device), "choosing the device", err);
    return status ? status : cud_cuda_check(cudaGraphLaunch(g->run, b->stream), "launching a graph", err);
}

void cud_cuda_graph_free(backend *base, struct graph *g)
{
    if (!g) return;
    (void)cudaSetDevice(((cuda_backend *)base)->device);
    (void)cudaGraphExecDestroy(g->run);
    (void)cudaGetLastError();
    free(g);
}
