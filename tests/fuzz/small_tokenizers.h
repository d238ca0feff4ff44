/* Small tokenizers in the shape of real ones, for the targets that look at what a loaded tokenizer does. An input names one by its place, so new
 * ones come last. */
#ifndef FUZZ_SMALL_TOKENIZERS_H
#define FUZZ_SMALL_TOKENIZERS_H

#include "text/internal.h"
#include "text/workshop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const small_tokenizer_names[] = {
    "gpt2", "gpt2-prefix-space", "llama3", "qwen", "o200k", "llama-spm", "metaspace-first", "metaspace-never", "unigram", "unigram-bytes", "precompiled",
    "bert", "bert-cased", "wordlevel", "prefix", "suffix", "added-tokens", "added-tokens-prepend", "accents", "nfc", "nfkd", "collapse", "digits",
    "digits-individual", "punctuation", "scripts", "whitespace", "delimiter", "fixed-length", "split-removed", "split-merged_with_next",
    "split-merged_with_previous", "split-contiguous-invert", "regex-empty", "regex-lines", "template-twice", "template-types", "trim-prefix-space", "ctc",
    "ctc-fused", "decoder-byte-level-last", "decoder-none", "decoder-regex", "decoder-replace-across", "decoder-strip-each", "decoder-strip-ends",
    "byte-level-normalizer", "files-bert", "files-clip", "files-gemma", "files-llama", "files-t5", "files-tiktoken", "files-xlm-roberta",
};
enum { SMALL_TOKENIZERS = sizeof small_tokenizer_names / sizeof *small_tokenizer_names };

/* Loaded when first asked for, all of them at once: then loading adds no coverage to any other input. */
static inline cuddle_tokenizer *small_tokenizer(unsigned which)
{
    static cuddle_tokenizer *loaded[SMALL_TOKENIZERS];
    for (int i = 0; !loaded[SMALL_TOKENIZERS - 1] && i < SMALL_TOKENIZERS; i++) {
        char path[4096];
        snprintf(path, sizeof path, CUD_TEST_DATA "/tokenizers/%s%s", small_tokenizer_names[i],
                 strncmp(small_tokenizer_names[i], "files-", 6) == 0 ? "" : "/tokenizer.json");
        if (cud_tokenizer_load(&loaded[i], path, NULL)) abort();
    }
    return loaded[which % SMALL_TOKENIZERS];
}

/* What calls before have taught it is forgotten. */
static inline void small_tokenizer_forget(cuddle_tokenizer *t)
{
    cud_workshop_free(t->workshop);
    if (cud_workshop_new(&t->workshop, (const cud_model_type *)t->model.item[0].type, NULL)) abort();
}

#endif
