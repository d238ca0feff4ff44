/* Which layers of a model have arrived, so that compute may start while later ones still load. */
#ifndef CUD_CUDA_LOAD_FENCE_H
#define CUD_CUDA_LOAD_FENCE_H

#include "core/load.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct load_fence load_fence;

/* Counts the plan's bytes by layer. The plan must not change from here on. Release with cud_cuda_fence_free(). */
cuddle_status cud_cuda_fence_new(load_fence **out, const load_plan *plan, cuddle_error *err);
void cud_cuda_fence_free(load_fence *fence); /* NULL is fine; nobody may be waiting */

/* Waits until the bytes of this layer and those that belong to none are in device memory: the copies' events have passed, so that work
 * handed to any stream from here on sees them. The load's failure if it failed. layer < 0: only what belongs to no layer. CUDDLE_E_BUSY
 * when stop(user), which is asked now and then, becomes true first; stop may be NULL. */
cuddle_status cud_cuda_fence_wait(load_fence *fence, int layer, bool (*stop)(void *user), void *user, cuddle_error *err);
/* The same without waiting: false if wait would. */
bool cud_cuda_fence_passed(load_fence *fence, int layer);

/* The loader's side. `end` lets every waiter go, with `failure` unless its status is CUDDLE_OK; of several failures the first counts. */
void cud_cuda_fence_arrived(load_fence *fence, int layer, uint64_t bytes);
void cud_cuda_fence_end(load_fence *fence, const cuddle_error *failure);

#ifdef __cplusplus
}
#endif
#endif
