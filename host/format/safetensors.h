/* The header of one .safetensors file: 8 bytes of length, a JSON object, then the data of all tensors without a gap.
 *
 * What is accepted is what the reference reader (huggingface/safetensors 0.8) accepts, but for these, where we are stricter:
 *   - a key that is there twice is refused everywhere: tensors (the reference keeps the last if the ranges are equal), __metadata__,
 *     fields of a tensor, the ones we do not know included;
 *   - a tensor must be an object and its dtype a string (the reference also takes ["F32",[1],[0,4]] and {"F32":null});
 *   - U+0000 in a name, or in __metadata__, ranks over CUDDLE_MAX_RANK and dimensions from 2^63 on are CUDDLE_E_UNSUPPORTED;
 *   - a number of 10^308 or more, in a field we do not know: the reference refuses from where a double ends, at 1.8 * 10^308.
 * scripts/compare_safetensors.py holds this list against the reference.
 *
 * Memory: while a header of n bytes is read, no more than CUD_SAFETENSORS_MEMORY * n + CUD_SAFETENSORS_MEMORY_LEAST bytes are
 * allocated, whatever is in it. */
#ifndef CUD_FORMAT_SAFETENSORS_H
#define CUD_FORMAT_SAFETENSORS_H

#include "core/source.h"
#include "core/status.h"
#include "format/name_table.h"

#define CUD_SAFETENSORS_MAX_HEADER 100000000u /* bytes, by the format */
/* Most is needed for short pairs of metadata: 8 bytes of text ("ab":"",) become an st_pair and an item of a name_table. While the table
 * doubles and its old half is still there, that is 21 and 96 bytes, and the text itself. */
#define CUD_SAFETENSORS_MEMORY 16
#define CUD_SAFETENSORS_MEMORY_LEAST ((size_t)1 << 16)
/* The writer's, far above what is out there. */
#define CUD_SAFETENSORS_MAX_TENSORS (1u << 20)
#define CUD_SAFETENSORS_MAX_METADATA (1u << 20) /* pairs */

typedef struct st_pair { const char *key, *value; } st_pair;

typedef struct st_file {
    char *text;                 /* the header; names and metadata lie in it */
    cuddle_tensor_info *tensor; /* by offset; .offset counts from the start of the file, .shard is 0 */
    uint32_t count;
    st_pair *metadata; /* in the order of the file */
    uint32_t metadata_count;
    name_table names; /* of tensors; value: index in tensor */
} st_file;

/* Reads and validates the header; the data is not touched. Failure: *out is all zero. */
cuddle_status cud_safetensors_read_header(st_file *out, source *s, cuddle_error *err);
void cud_safetensors_free(st_file *f);

#endif
