/* Encoding of any text by small tokenizers in the shape of real ones, with all options. Four bytes choose the tokenizer and the options, then come
 * a text and, behind a NUL, the second one of a pair. What comes out is within bounds and, where the last of the four bytes asks for it, what a
 * tokenizer gives that has not seen the words before. */
#include "small_tokenizers.h"
#include "text/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static size_t characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void check_encoding(const cuddle_tokenizer *t, const cuddle_encoding *e, const cuddle_tokenize_input *in, const cud_settings *settings)
{
    size_t length[2] = { in->length, in->pair ? in->pair_length : 0 };
    if (settings->characters) length[0] = characters(in->text, length[0]), length[1] = in->pair ? characters(in->pair, length[1]) : 0;
    const size_t longest = length[0] > length[1] ? length[0] : length[1]; /* a template that has a text twice leaves it without a sequence */
    for (size_t i = 0; i < e->count; i++) {
        const int sequence = e->sequence_ids[i];
        require(sequence >= -1 && sequence <= (in->pair ? 1 : 0) && e->special[i] <= 1 && e->attention[i] <= 1 && e->type_ids[i] >= 0);
        require((e->ids[i] >= 0 && e->ids[i] < cud_tokenizer_size(t)) || (!e->attention[i] && e->ids[i] == settings->pad.id));
        require(e->begin[i] <= e->end[i] && e->end[i] <= (sequence < 0 ? longest : length[sequence]) && e->word_ids[i] >= -1);
    }
}

static void check_same(const cuddle_encoding *a, const cuddle_encoding *b)
{
    require(a->count == b->count && a->overflow_count == b->overflow_count);
    for (size_t i = 0; i < a->count; i++)
        require(a->ids[i] == b->ids[i] && a->begin[i] == b->begin[i] && a->end[i] == b->end[i] && a->special[i] == b->special[i] &&
                a->type_ids[i] == b->type_ids[i] && a->word_ids[i] == b->word_ids[i] && a->sequence_ids[i] == b->sequence_ids[i]);
}

static cuddle_tokenize_options options_of(const uint8_t *byte)
{
    cuddle_tokenize_options o = { .struct_size = sizeof o, .pad_id = -1 };
    o.add_special = byte[0] % 3;
    o.offsets = byte[0] >> 2 & 1;
    o.truncation_side = (byte[0] >> 3) % 3;
    o.padding_side = (byte[0] >> 5) % 3;
    o.truncation = byte[1] % 5;
    o.max_length = byte[1] >> 3;
    o.padding = byte[2] & 3;
    o.pad_length = byte[2] >> 3;
    o.stride = byte[2] >> 6;
    o.pad_to_multiple_of = byte[2] >> 2 & 7;
    if (byte[2] & 0x80) o.pad_id = 3;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) return 0;
    cuddle_tokenizer *t = small_tokenizer(data[0]);
    cuddle_tokenize_options o = options_of(data + 1);
    const char *text = (const char *)data + 4, *end = (const char *)data + size, *nul = memchr(text, 0, size - 4);
    const cuddle_tokenize_input in = { text, (size_t)((nul ? nul : end) - text), nul ? nul + 1 : NULL, nul ? (size_t)(end - nul - 1) : 0 };
    const bool valid = cud_utf8_valid(text, in.length) == in.length && (!nul || cud_utf8_valid(in.pair, in.pair_length) == in.pair_length);
    cuddle_error err = { CUDDLE_OK, "" };
    cud_settings settings;
    if (cud_settings_resolve(&settings, t, &o, NULL)) return 0; /* no pad token, a stride that is too long */
    cuddle_encoding *e = NULL, *again = NULL;
    const cuddle_status status = cud_tokenizer_encode_input(&e, t, &in, &settings, &err);
    require(status == err.status && (status == CUDDLE_OK) == (e != NULL));
    require(valid || status == CUDDLE_E_ARG);
    if (data[3] % 16 == 15) { /* costs more than all the rest */
        small_tokenizer_forget(t);
        require(cud_tokenizer_encode_input(&again, t, &in, &settings, NULL) == status);
    }
    if (e) {
        if (again) check_same(e, again);
        require(!cud_encodings_pad(&e, 1, &settings.pad, NULL));
        check_encoding(t, e, &in, &settings);
        for (size_t i = 0; i < e->overflow_count; i++) {
            require(!e->overflow[i]->overflow_count);
            check_encoding(t, e->overflow[i], &in, &settings);
        }
    }
    cud_encoding_free(e);
    cud_encoding_free(again);
    return 0;
}
