/* Decoding of any ids by small tokenizers in the shape of real ones. The first byte names one, the second has the flags, then two bytes an id;
 * some are negative or beyond the vocabulary. */
#include "decoding.h"
#include "small_tokenizers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 256 };
    if (size < 2) return 0;
    const cuddle_tokenizer *t = small_tokenizer(data[0]);
    int32_t ids[MOST];
    size_t count = 0;
    for (size_t i = 2; i + 1 < size && count < MOST; i += 2)
        ids[count++] = (data[i] | data[i + 1] << 8) % (cud_tokenizer_size(t) + 8) - 1;
    check_decoding(t, ids, count, data[1] & CUDDLE_DETOKENIZE_SKIP_SPECIAL);
    return 0;
}
