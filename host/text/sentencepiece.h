/* A SentencePiece model file: a protobuf message, of which these fields matter. */
#ifndef CUD_TEXT_SENTENCEPIECE_H
#define CUD_TEXT_SENTENCEPIECE_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cud_piece_type {
    CUD_PIECE_NORMAL = 1,
    CUD_PIECE_UNKNOWN,
    CUD_PIECE_CONTROL,
    CUD_PIECE_USER,
    CUD_PIECE_UNUSED,
    CUD_PIECE_BYTE
} cud_piece_type;

typedef struct cud_spm_piece {
    const char *text; /* borrowed from the file; not terminated */
    size_t length;
    float score;
    int type;
} cud_spm_piece;

typedef struct cud_spm {
    cud_spm_piece *piece;
    size_t count;
    int model_type; /* 1: Unigram, 2: BPE */
    int unk_id;
    int id[3];              /* of the pieces below; negative: the model has none */
    const char *special[3]; /* unk, bos, eos: borrowed, not terminated */
    size_t special_length[3];
    bool byte_fallback;
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
    const char *charsmap; /* precompiled_charsmap, borrowed; length 0: none */
    size_t charsmap_length;
} cud_spm;

/* `file` is for messages. Freed by the caller, after a failure too; data must outlive it. */
cuddle_status cud_spm_parse(cud_spm *out, const void *data, size_t size, const char *file, cuddle_error *err);
void cud_spm_free(cud_spm *m);

#endif
