/* Weights that are not safetensors: which ones there are, and what their owner can do about it. Nothing is opened: names tell. */
#ifndef CUD_FORMAT_FOREIGN_H
#define CUD_FORMAT_FOREIGN_H

#include "core/status.h"

/* CUDDLE_E_UNSUPPORTED with a remedy if the file is called like weights of another format, else CUDDLE_OK. */
cuddle_status cud_foreign_file(const char *path, cuddle_error *err);
/* Never CUDDLE_OK: why a directory without model.safetensors and without its index cannot be loaded. CUDDLE_E_UNSUPPORTED with a remedy
 * if there are weights of another format, else CUDDLE_E_IO. */
cuddle_status cud_foreign_directory(const char *path, cuddle_error *err);

#endif
