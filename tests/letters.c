#include "letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 0x100 }; /* token i is the letter U+0100 + i, two bytes */

static void put_letter(char out[3], int32_t id)
{
    const int c = FIRST + id;
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    out[2] = 0;
}

static void write_text(const letters *l, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", l->dir, name);
    test_write_file(path, text, strlen(text));
}

/* A normalizer and a regex that change nothing here, so that utf8proc and PCRE2 have a part in it. */
static void write_tokenizer(const letters *l)
{
    char json[4096], letter[3];
    size_t used = (size_t)snprintf(json, sizeof json,
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":{\"type\":\"NFC\"},"
        "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}{1,4}\"},\"behavior\":\"Isolated\",\"invert\":false},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (int i = 0; i < l->e.vocabulary; i++) {
        put_letter(letter, i);
        used += (size_t)snprintf(json + used, sizeof json - used, "%s\"%s\":%d", i ? "," : "", letter, i);
    }
    snprintf(json + used, sizeof json - used, "}}}");
    write_text(l, "tokenizer.json", json);
    write_text(l, "tokenizer_config.json", "{\"clean_up_tokenization_spaces\":false,\"model_max_length\":1000000000000000019884624838656}");
}

void letters_make(letters *l)
{
    char command[2048];
    *l = (letters){ 0 };
    snprintf(l->dir, sizeof l->dir, "%s/letters", test_temp_dir());
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", l->dir, test_path("parity/llama/sharded-bf16"), l->dir);
    ck_assert_int_eq(system(command), 0);
    expectation_read(&l->e, l->dir);
    l->prompt_count = l->e.prompt_count;
    l->count = l->e.prompt_count + l->e.greedy_count;
    ck_assert_int_le(l->count, LETTERS_MOST);
    memcpy(l->ids, l->e.prompt, (size_t)l->prompt_count * sizeof *l->ids);
    memcpy(l->ids + l->prompt_count, l->e.greedy, (size_t)l->e.greedy_count * sizeof *l->ids);
    write_tokenizer(l);
    /* Where this is not read, more tokens come out. */
    snprintf(command, sizeof command, "{\"max_new_tokens\":%d,\"eos_token_id\":null}", l->e.greedy_count);
    write_text(l, "generation_config.json", command);
}

void letters_free(letters *l) { expectation_free(&l->e); }

char *letters_text(const letters *l, int from, int to)
{
    char *text = calloc((size_t)(to - from) * 2 + 1, 1);
    ck_assert_ptr_nonnull(text);
    for (int i = from; i < to; i++) put_letter(text + 2 * (i - from), l->ids[i]);
    return text;
}
