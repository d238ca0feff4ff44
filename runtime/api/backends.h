/* The one place that names backends. */
#ifndef CUD_API_BACKENDS_H
#define CUD_API_BACKENDS_H

#include "core/ops.h"

/* Opens the backend for a device name ("auto", "cpu", "cuda", "cuda:N"). Release with (*out)->ops->destroy(*out). If "auto" finds no GPU,
 * `why`, which may be NULL, gets the reason. */
cuddle_status cud_backend_open(backend **out, cuddle_device_kind *kind, const char *device, int cpu_threads, const char *backend_dir,
                               cuddle_error *why, cuddle_error *err);

#endif
