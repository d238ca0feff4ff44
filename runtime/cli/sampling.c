#include "cli/sampling.h"

#include <sys/random.h>

#include "cli/output.h"
#include "cli/session.h"

const option_row sampling_rows[] = {
    { "max-tokens", OPTION_INT, offsetof(sampling, max_tokens), 1, INT32_MAX, "N",
      "new tokens at most (default: generation_config.json's limit, else what the context leaves)" },
    { "temperature", OPTION_FLOAT, offsetof(sampling, temperature), 0, 1000, "T", "0: greedy (default for this and the next four: what generation_config.json says)" },
    { "top-k", OPTION_INT, offsetof(sampling, top_k), 0, INT32_MAX, "N", "draw from the N likeliest tokens; 0: off" },
    { "top-p", OPTION_FLOAT, offsetof(sampling, top_p), 0, 1, "P", "draw from the likeliest tokens whose probabilities add up to P; 1: off" },
    { "min-p", OPTION_FLOAT, offsetof(sampling, min_p), 0, 1, "P", "draw from tokens at least P times as likely as the likeliest; 0: off" },
    { "repetition-penalty", OPTION_FLOAT, offsetof(sampling, repetition_penalty), 0.01, 100, "R", "1: off" },
    { "seed", OPTION_SEED, offsetof(sampling, seed), 0, 0, "N",
      "the same seed gives the same draws (default: random; it is printed on stderr, so that a run can be repeated)" },
    { "stop", OPTION_STRINGS, offsetof(sampling, stop), 0, 0, "STRING", "end before this string" },
    { "ignore-eos", OPTION_FLAG, offsetof(sampling, ignore_eos), 0, 0, "", "go on after an end-of-sequence token" },
    { 0 },
};

void sampling_to_options(const sampling *own, cuddle_generation_options *options)
{
    cuddle_generation_options_init(options, sizeof *options);
    options->max_tokens = own->max_tokens;
    options->temperature = own->temperature;
    options->top_k = own->top_k;
    options->top_p = own->top_p;
    options->min_p = own->min_p;
    options->repetition_penalty = own->repetition_penalty;
    options->seed = own->seed.value;
    options->stop = own->stop.item;
    options->stop_count = own->stop.count;
    options->ignore_eos = own->ignore_eos;
}

int sampling_seed(option_seed *seed)
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

void sampling_stream(cuddle_request *request, int print)
{
    int cancelled = 0;
    for (;;) {
        const cuddle_finish finish = cuddle_request_finish(request); /* asked first: text before the end is then all there */
        size_t length = 0;
        const char *text = cuddle_request_next_text(request, &length);
        if (print && text && length) out_text(text, length);
        if (finish != CUDDLE_FINISH_NONE) return;
        if (!cancelled && ((print && !out_flush()) || interrupt_code())) {
            cuddle_request_cancel(request);
            cancelled = 1;
        }
        cuddle_request_wait_text(request, WAIT_MS, NULL);
    }
}
