#include "text/sentencepiece.h"

#include "text/tokenizer.h"
#include "text/unicode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- protobuf: fields of a number, a wire type and a value; no recursion, a message within a message is a range of it ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef struct message {
    const unsigned char *at, *end;
    const char *file;
    const unsigned char *start; /* of the file, for messages */
    cuddle_error *err;
} message;

typedef struct field {
    uint64_t number;
    int wire;
    uint64_t value; /* of a varint, or the bits of a fixed one */
    const unsigned char *bytes;
    size_t length;
} field;

static cuddle_status broken(const message *m, const char *what)
{
    return cud_fail(m->err, CUDDLE_E_FORMAT, "%s: %s at byte %zu", m->file, what, (size_t)(m->at - m->start));
}

static cuddle_status read_varint(message *m, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end) return broken(m, "a number is cut off");
        const unsigned char byte = *m->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return CUDDLE_OK;
    }
    return broken(m, "a number of more than 64 bits");
}

static cuddle_status read_fixed(message *m, uint64_t *out, size_t size)
{
    if ((size_t)(m->end - m->at) < size) return broken(m, "a number is cut off");
    *out = 0;
    for (size_t i = 0; i < size; i++) *out |= (uint64_t)m->at[i] << (8 * i);
    m->at += size;
    return CUDDLE_OK;
}

/* False at the end of the message and after a failure, which is in *status. */
static bool next_field(message *m, field *f, cuddle_status *status)
{
    uint64_t key, length;
    if (*status || m->at == m->end) return false;
    *status = read_varint(m, &key);
    if (*status) return false;
    *f = (field){ .number = key >> 3, .wire = (int)(key & 7) };
    switch (f->wire) {
    case WIRE_VARINT: *status = read_varint(m, &f->value); break;
    case WIRE_64: *status = read_fixed(m, &f->value, 8); break;
    case WIRE_32: *status = read_fixed(m, &f->value, 4); break;
    case WIRE_BYTES:
        *status = read_varint(m, &length);
        if (*status) return false;
        if (length > (uint64_t)(m->end - m->at)) *status = broken(m, "a field is longer than what is left of its message");
        if (*status) return false;
        f->bytes = m->at;
        f->length = (size_t)length;
        m->at += length;
        break;
    default: *status = broken(m, "no SentencePiece model: a field of an unknown kind");
    }
    return !*status;
}

static message inside(const message *m, const field *f)
{
    return (message){ f->bytes, f->bytes + f->length, m->file, m->start, m->err };
}

/* ---- the model ---- */

static cuddle_status read_piece(cud_spm *out, size_t *room, const message *m, const field *f)
{
    cud_spm_piece piece = { .text = "", .type = CUD_PIECE_NORMAL };
    message in = inside(m, f);
    field part;
    cuddle_status status = CUDDLE_OK;
    while (next_field(&in, &part, &status)) {
        if (part.number == 1 && part.wire == WIRE_BYTES) {
            piece.text = (const char *)part.bytes;
            piece.length = part.length;
        } else if (part.number == 2 && part.wire == WIRE_32) {
            const uint32_t bits = (uint32_t)part.value;
            memcpy(&piece.score, &bits, sizeof bits);
        } else if (part.number == 3 && part.wire == WIRE_VARINT) {
            piece.type = part.value <= CUD_PIECE_BYTE ? (int)part.value : 0;
        }
    }
    if (status) return status;
    if (cud_utf8_valid(piece.text, piece.length) < piece.length || memchr(piece.text, 0, piece.length))
        return cud_fail(m->err, CUDDLE_E_FORMAT, "%s: piece %zu is not UTF-8 without U+0000", m->file, out->count);
    if (!isfinite(piece.score))
        return cud_fail(m->err, CUDDLE_E_FORMAT, "%s: piece %zu has a score that is no finite number", m->file, out->count);
    if (!piece.type)
        return cud_fail(m->err, CUDDLE_E_FORMAT, "%s: piece %zu has an unknown type, expected 1 to 6", m->file, out->count);
    if (out->count > CUD_TOKENIZER_MAX_ID)
        return cud_fail(m->err, CUDDLE_E_LIMIT, "%s: more than %d pieces", m->file, CUD_TOKENIZER_MAX_ID + 1);
    if (out->count == *room) {
        const size_t more = *room ? 2 * *room : 1024;
        cud_spm_piece *grown = realloc(out->piece, more * sizeof *grown);
        if (!grown) return cud_nomem(m->err, more * sizeof *grown, "the pieces of a model");
        out->piece = grown;
        *room = more;
    }
    out->piece[out->count++] = piece;
    return CUDDLE_OK;
}

static cuddle_status read_trainer(cud_spm *out, const message *m, const field *f)
{
    message in = inside(m, f);
    field part;
    cuddle_status status = CUDDLE_OK;
    while (next_field(&in, &part, &status)) {
        if (part.wire == WIRE_BYTES && part.number >= 45 && part.number <= 47) {
            out->special[part.number - 45] = (const char *)part.bytes;
            out->special_length[part.number - 45] = part.length;
        }
        if (part.wire != WIRE_VARINT) continue;
        if (part.number >= 40 && part.number <= 42)
            out->id[part.number - 40] = part.value <= CUD_TOKENIZER_MAX_ID ? (int)part.value : -1;
        if (part.number == 35) out->byte_fallback = part.value != 0;
        if (part.number == 3) out->model_type = part.value == 1 || part.value == 2 ? (int)part.value : 0;
        if (part.number == 40) out->unk_id = part.value <= CUD_TOKENIZER_MAX_ID ? (int)part.value : -1;
    }
    return status;
}

static cuddle_status read_normalizer(cud_spm *out, const message *m, const field *f)
{
    message in = inside(m, f);
    field part;
    cuddle_status status = CUDDLE_OK;
    while (next_field(&in, &part, &status)) {
        if (part.wire == WIRE_VARINT && part.number == 3) out->add_dummy_prefix = part.value != 0;
        if (part.wire == WIRE_VARINT && part.number == 4) out->remove_extra_whitespaces = part.value != 0;
        if (part.wire == WIRE_VARINT && part.number == 5) out->escape_whitespaces = part.value != 0;
        if (part.number != 2 || part.wire != WIRE_BYTES) continue;
        out->charsmap = (const char *)part.bytes;
        out->charsmap_length = part.length;
    }
    return status;
}

cuddle_status cud_spm_parse(cud_spm *out, const void *data, size_t size, const char *file, cuddle_error *err)
{
    *out = (cud_spm){ .model_type = 1,
                      .id = { 0, 1, 2 },
                      .special = { "<unk>", "<s>", "</s>" },
                      .special_length = { 5, 3, 4 },
                      .add_dummy_prefix = true,
                      .remove_extra_whitespaces = true,
                      .escape_whitespaces = true };
    message m = { data, (const unsigned char *)data + size, file, data, err };
    field f;
    size_t room = 0;
    cuddle_status status = CUDDLE_OK;
    while (next_field(&m, &f, &status)) {
        if (f.wire != WIRE_BYTES) continue;
        if (f.number == 1) status = read_piece(out, &room, &m, &f);
        if (f.number == 2) status = read_trainer(out, &m, &f);
        if (f.number == 3) status = read_normalizer(out, &m, &f);
    }
    if (status) return status;
    if (!out->count) return cud_fail(err, CUDDLE_E_FORMAT, "%s: no pieces: this is no SentencePiece model", file);
    if (!out->model_type)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: a model of words or characters, expected Unigram or BPE", file);
    return CUDDLE_OK;
}

void cud_spm_free(cud_spm *m)
{
    free(m->piece);
    *m = (cud_spm){ 0 };
}
