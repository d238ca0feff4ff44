#include "cli/generation.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/output.h"
#include "cli/session.h"

#define FIELD(name) offsetof(generation_settings, name)
const option_row generation_rows[] = {
    { "max-tokens", OPTION_INT, FIELD(max_tokens), 0, INT32_MAX, "N",
      "new tokens at most (default: generation_config.json's limit, else what the context leaves)" },
    { "min-tokens", OPTION_INT, FIELD(min_tokens), 0, INT32_MAX, "N", "no end-of-sequence token before so many (default for this and most of what "
      "follows: what generation_config.json says)" },
    { "temperature", OPTION_FLOAT, FIELD(temperature), 0, 1000, "T", "0: greedy" },
    { "top-k", OPTION_INT, FIELD(top_k), 0, INT32_MAX, "N", "draw from the N likeliest tokens; 0: off" },
    { "top-p", OPTION_FLOAT, FIELD(top_p), 0, 1, "P", "draw from the likeliest tokens whose probabilities add up to P; 1: off" },
    { "min-p", OPTION_FLOAT, FIELD(min_p), 0, 1, "P", "draw from tokens at least P times as likely as the likeliest; 0: off" },
    { "top-h", OPTION_FLOAT, FIELD(top_h), 0, 1, "H", "draw from the likeliest tokens that hold the share H of the entropy; 0: off" },
    { "typical-p", OPTION_FLOAT, FIELD(typical_p), 1e-6, 1, "P",
      "draw from the tokens whose information is nearest to the expected one, until their probabilities add up to P; 1: off" },
    { "epsilon-cutoff", OPTION_FLOAT, FIELD(epsilon_cutoff), 0, 1, "P", "draw from tokens of probability P and more; 0: off" },
    { "eta-cutoff", OPTION_FLOAT, FIELD(eta_cutoff), 0, 1, "P", "the same, with a bound that falls where much is possible; 0: off" },
    { "repetition-penalty", OPTION_FLOAT, FIELD(repetition_penalty), 0.01, 100, "R", "for tokens of the prompt and produced ones; 1: off" },
    { "frequency-penalty", OPTION_FLOAT, FIELD(frequency_penalty), -100, 100, "F",
      "a produced token's logit falls by F for each time it came; 0 (default): off" },
    { "presence-penalty", OPTION_FLOAT, FIELD(presence_penalty), -100, 100, "F", "a produced token's logit falls by F; 0 (default): off" },
    { "no-repeat-ngram-size", OPTION_INT, FIELD(no_repeat_ngram), 0, 1024, "N", "no N tokens come in the same order twice; 0: off" },
    { "logit-bias", OPTION_STRINGS, FIELD(logit_bias), 0, 0, "IDS=VALUE",
      "what is added to a token's logit, '5=1.5' or '5=-inf'; with more ids, '7,5=2', to the last one's where the others have just come; several are "
      "separated by white space" },
    { "bad-words-ids", OPTION_STRINGS, FIELD(bad_words), 0, 0, "IDS",
      "sequences of ids that do not come: commas within one, white space between them" },
    { "suppress-tokens", OPTION_STRINGS, FIELD(suppress), 0, 0, "IDS", "ids that do not come" },
    { "begin-suppress-tokens", OPTION_STRINGS, FIELD(begin_suppress), 0, 0, "IDS", "ids that do not come first" },
    { "allowed-tokens", OPTION_STRINGS, FIELD(allowed), 0, 0, "IDS", "the only ids that may come" },
    { "forced-bos-token-id", OPTION_INT, FIELD(forced_bos), 0, INT32_MAX, "ID", "the first token, after a prompt of a single one" },
    { "forced-eos-token-id", OPTION_INT, FIELD(forced_eos), 0, INT32_MAX, "ID", "the last token, where the text reaches --max-tokens" },
    { "length-decay", OPTION_STRING, FIELD(length_decay), 0, 0, "N,F",
      "an end becomes likelier behind N tokens, by the factor F again and again (exponential_decay_length_penalty)" },
    { "seed", OPTION_SEED, FIELD(seed), 0, 0, "N",
      "the same seed gives the same draws (default: random; it is printed on stderr, so that a run can be repeated)" },
    { "stop", OPTION_STRINGS, FIELD(stop), 0, 0, "STRING", "end before this string" },
    { "ignore-eos", OPTION_FLAG, FIELD(ignore_eos), 0, 0, "", "go on after an end-of-sequence token" },
    { 0 },
};

static const char blanks[] = " \t\r\n";

/* One id at *text, which is moved behind it; -1 if there is none. */
static int32_t read_id(const char **text)
{
    char *end;
    errno = 0;
    const long long id = **text >= '0' && **text <= '9' ? strtoll(*text, &end, 10) : -1;
    if (id < 0 || errno || id > INT32_MAX) return -1;
    *text = end;
    return (int32_t)id;
}

/* Room for as many ids as a list may have. */
static size_t most_ids(const option_strings *list)
{
    size_t most = 0;
    for (size_t i = 0; i < list->count; i++) most += strlen(list->item[i]) / 2 + 1;
    return most;
}

static int wrong(const command *c, const char *option, const char *value, const char *expected)
{
    char shown[128];
    return usage_error(c, "--%s expects %s, but '%s' was given", option, expected, clean_line(shown, sizeof shown, value));
}

/* Ids, separated by commas and white space. */
static int read_ids(const int32_t **out, size_t *count, int32_t **free_ids, const option_strings *list, const command *c, const char *option)
{
    *out = *free_ids;
    for (size_t i = 0; i < list->count; i++) {
        for (const char *p = list->item[i]; *(p += strspn(p, " \t\r\n,"));) {
            const int32_t id = read_id(&p);
            if (id < 0 || (*p && !strchr(" \t\r\n,", *p))) return wrong(c, option, list->item[i], "token ids");
            *(*free_ids)++ = id;
            ++*count;
        }
    }
    return 0;
}

/* IDS or IDS=VALUE, separated by white space. */
static int read_sequences(cuddle_sequence_bias *out, size_t *count, int32_t **free_ids, const option_strings *list, bool biased, const command *c,
                          const char *option)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *expected = biased ? "IDS=VALUE" : "token ids with commas between them";
        for (const char *p = list->item[i]; *(p += strspn(p, blanks));) {
            cuddle_sequence_bias *s = &out[(*count)++];
            *s = (cuddle_sequence_bias){ .tokens = *free_ids };
            for (;; p++) {
                const int32_t id = read_id(&p);
                if (id < 0) return wrong(c, option, list->item[i], expected);
                *(*free_ids)++ = id;
                s->count++;
                if (*p != ',') break;
            }
            char *end = (char *)(uintptr_t)p;
            if (biased) s->bias = *p == '=' && !strchr(blanks, p[1]) ? strtof(p + 1, &end) : NAN;
            if (isnan(s->bias) || (*end && !strchr(blanks, *end))) return wrong(c, option, list->item[i], expected);
            p = end;
        }
    }
    return 0;
}

static int read_decay(cuddle_generation_options *out, const command *c, const char *text)
{
    const char *p = text;
    char *end;
    const int32_t start = read_id(&p);
    const float factor = start >= 0 && *p == ',' && p[1] ? strtof(p + 1, &end) : NAN;
    if (isnan(factor) || *end) return wrong(c, "length-decay", text, "a number of tokens, a comma and a factor");
    out->length_decay_start = start;
    out->length_decay_factor = factor;
    return 0;
}

int generation_options_fill(cuddle_generation_options *out, token_lists *lists, const command *c, const generation_settings *own)
{
    cuddle_generation_options_init(out, sizeof *out);
    out->max_tokens = own->max_tokens;
    out->min_tokens = own->min_tokens;
    out->temperature = own->temperature;
    out->top_k = own->top_k;
    out->top_p = own->top_p;
    out->min_p = own->min_p;
    out->top_h = own->top_h;
    out->typical_p = own->typical_p;
    out->epsilon_cutoff = own->epsilon_cutoff;
    out->eta_cutoff = own->eta_cutoff;
    out->repetition_penalty = own->repetition_penalty;
    out->frequency_penalty = own->frequency_penalty;
    out->presence_penalty = own->presence_penalty;
    out->no_repeat_ngram_size = own->no_repeat_ngram;
    out->forced_bos = own->forced_bos;
    out->forced_eos = own->forced_eos;
    out->seed = own->seed.value;
    out->stop = own->stop.item;
    out->stop_count = own->stop.count;
    out->ignore_eos = own->ignore_eos;

    const option_strings *const all[] = { &own->logit_bias, &own->bad_words, &own->suppress, &own->begin_suppress, &own->allowed };
    size_t most = 1;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) most += most_ids(all[i]);
    lists->ids = calloc(most, sizeof *lists->ids);
    lists->biases = calloc(most, sizeof *lists->biases);
    lists->bad_words = calloc(most, sizeof *lists->bad_words);
    if (!lists->ids || !lists->biases || !lists->bad_words) {
        say("out of memory: %zu bytes for lists of tokens", most * sizeof *lists->biases);
        return EXIT_FAILED;
    }
    int32_t *ids = lists->ids;
    int code = read_sequences(lists->biases, &out->sequence_bias_count, &ids, &own->logit_bias, true, c, "logit-bias");
    out->sequence_bias = lists->biases;
    if (!code) code = read_sequences(lists->bad_words, &out->bad_word_count, &ids, &own->bad_words, false, c, "bad-words-ids");
    out->bad_words = lists->bad_words;
    if (!code) code = read_ids(&out->suppress, &out->suppress_count, &ids, &own->suppress, c, "suppress-tokens");
    if (!code) code = read_ids(&out->begin_suppress, &out->begin_suppress_count, &ids, &own->begin_suppress, c, "begin-suppress-tokens");
    if (!code) code = read_ids(&out->allowed, &out->allowed_count, &ids, &own->allowed, c, "allowed-tokens");
    if (!code && own->length_decay) code = read_decay(out, c, own->length_decay);
    return code;
}

void generation_lists_free(token_lists *lists)
{
    free(lists->ids);
    free(lists->biases);
    free(lists->bad_words);
    *lists = (token_lists){ 0 };
}

int generation_seed(option_seed *seed)
{
    uint32_t bits; /* enough for a run to be unlike the last, and short enough to type */
    if (seed->given) return 0;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        say("no random seed from the system: give one with --seed");
        return EXIT_FAILED;
    }
    seed->value = bits;
    return 0;
}

void generation_stream(cuddle_request *request, int print)
{
    int cancelled = 0;
    for (;;) {
        const cuddle_finish finish = cuddle_request_finish(request); /* asked first: text before the end is then all there */
        size_t length = 0;
        const char *text = print ? cuddle_request_next_text(request, &length) : NULL;
        if (length) out_text(text, length);
        if (finish != CUDDLE_FINISH_NONE) return;
        if (!cancelled && ((print && !out_flush()) || interrupt_code())) {
            cuddle_request_cancel(request);
            cancelled = 1;
        }
        if (print) cuddle_request_wait_text(request, WAIT_MS, NULL);
        else cuddle_request_wait(request, WAIT_MS, NULL); /* text that nobody fetches would end the other wait at once */
    }
}
