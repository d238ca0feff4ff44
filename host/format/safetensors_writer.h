/* Writes one .safetensors file, byte for byte what the reference (huggingface/safetensors 0.8) writes for the same tensors: __metadata__
 * first, then the tensors in the order of their data, which is by dtype (see the .c) and then by name; no spaces but those at the end
 * that make the header's length a multiple of 8. The one thing that is not fixed there, the order of several __metadata__ keys (a Rust
 * HashMap's), is here the order they were given in.
 *
 * Refused is what our reader refuses: names that are there twice or not UTF-8, the name __metadata__, ranks over CUDDLE_MAX_RANK, sizes
 * that are not whole bytes. The public functions in cuddle.h have the same contracts. One thread at a time. */
#ifndef CUD_FORMAT_SAFETENSORS_WRITER_H
#define CUD_FORMAT_SAFETENSORS_WRITER_H

#include "core/status.h"

typedef struct cuddle_safetensors_writer st_writer;

cuddle_status cud_st_writer_new(st_writer **out, const char *path, cuddle_error *err);
cuddle_status cud_st_writer_metadata(st_writer *w, const char *key, const char *value, cuddle_error *err);
cuddle_status cud_st_writer_declare(st_writer *w, const char *name, cuddle_dtype type, const int64_t *shape, int rank, cuddle_error *err);
cuddle_status cud_st_writer_write(st_writer *w, const char *name, const void *data, size_t bytes, cuddle_error *err);
cuddle_status cud_st_writer_finish(st_writer *w, cuddle_error *err);
void cud_st_writer_free(st_writer *w);

#endif
