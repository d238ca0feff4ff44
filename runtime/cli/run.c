/* cuddle run: one completion, streamed. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/constrain.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct run_options {
    int max_tokens, top_k, logprobs, ignore_eos, no_special, tokens, echo, json;
    float temperature, top_p, min_p, repetition_penalty;
    option_seed seed;
    option_strings stop;
    constrain_options held_to;
} run_options;

static const option_row run_rows[] = {
    { "max-tokens", OPTION_INT, offsetof(run_options, max_tokens), 1, INT32_MAX, "N",
      "new tokens at most (default: generation_config.json's limit, else what the context leaves)" },
    { "temperature", OPTION_FLOAT, offsetof(run_options, temperature), 0, 1000, "T", "0: greedy (default for this and the next four: what generation_config.json says)" },
    { "top-k", OPTION_INT, offsetof(run_options, top_k), 0, INT32_MAX, "N", "draw from the N likeliest tokens; 0: off" },
    { "top-p", OPTION_FLOAT, offsetof(run_options, top_p), 0, 1, "P", "draw from the likeliest tokens whose probabilities add up to P; 1: off" },
    { "min-p", OPTION_FLOAT, offsetof(run_options, min_p), 0, 1, "P", "draw from tokens at least P times as likely as the likeliest; 0: off" },
    { "repetition-penalty", OPTION_FLOAT, offsetof(run_options, repetition_penalty), 0.01, 100, "R", "1: off" },
    { "seed", OPTION_SEED, offsetof(run_options, seed), 0, 0, "N",
      "the same seed gives the same draws (default: random; it is printed on stderr, so that a run can be repeated)" },
    { "stop", OPTION_STRINGS, offsetof(run_options, stop), 0, 0, "STRING", "end before this string" },
    { "ignore-eos", OPTION_FLAG, offsetof(run_options, ignore_eos), 0, 0, "", "go on after an end-of-sequence token" },
    { "no-special", OPTION_FLAG, offsetof(run_options, no_special), 0, 0, "", "add no special tokens to the prompt" },
    { "tokens", OPTION_FLAG, offsetof(run_options, tokens), 0, 0, "",
      "PROMPT is token ids, separated by white space or commas, and so is what is printed; needs no tokenizer" },
    { "logprobs", OPTION_INT, offsetof(run_options, logprobs), 0, 20, "N",
      "with --json: each token's log-probability and the N likeliest tokens" },
    { "echo", OPTION_FLAG, offsetof(run_options, echo), 0, 0, "", "print the prompt before its continuation" },
    { "json", OPTION_FLAG, offsetof(run_options, json), 0, 0, "",
      "print one JSON object with prompt_ids, ids, text, finish_reason and timings when all is done" },
    { 0 },
};

static void to_generation_options(cuddle_generation_options *g, const run_options *own)
{
    cuddle_generation_options_init(g, sizeof *g);
    g->max_tokens = own->max_tokens;
    g->temperature = own->temperature;
    g->top_k = own->top_k;
    g->top_p = own->top_p;
    g->min_p = own->min_p;
    g->repetition_penalty = own->repetition_penalty;
    g->seed = own->seed.value;
    g->stop = own->stop.item;
    g->stop_count = own->stop.count;
    g->ignore_eos = own->ignore_eos;
    g->no_special = own->no_special;
    g->logprobs = own->logprobs;
}

/* For --tokens. In the engine's thread: the main one leaves stdout alone until the request was freed. */
static void print_tokens(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)user;
    for (size_t i = 0; i < event->token_count; i++) out_printf("%d ", (int)event->tokens[i]);
    if (event->finish != CUDDLE_FINISH_NONE) out_printf("\n");
    if (!out_flush()) cuddle_request_cancel(request);
}

/* Prints what comes until the end, or until nobody reads it any more. */
static void stream(cuddle_request *request, int print)
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

/* ------------------------------------------------------------------------------------------------------------- results */

static double rate(size_t tokens, double seconds) { return seconds > 0 ? (double)tokens / seconds : 0; }
static double decode_rate(const cuddle_result *r) { return rate(r->count > 1 ? r->count - 1 : 0, r->decode_seconds); }

static void say_rates(const cuddle_engine *engine, const cuddle_result *r, const run_options *own)
{
    char seed[64] = "", name[160];
    const bool gpu = cuddle_engine_device(engine) == CUDDLE_DEVICE_CUDA;
    if (own->temperature != 0) snprintf(seed, sizeof seed, ", seed %llu", (unsigned long long)own->seed.value);
    say("%zu prompt tokens in %.3f s (%.1f tokens/s), %zu generated (%.1f tokens/s), ended by %s, on %s%s%s", r->prompt_count, r->prefill_seconds,
        rate(r->prompt_count, r->prefill_seconds), r->count, decode_rate(r), cuddle_finish_name(r->finish), gpu ? "cuda: " : "cpu",
        gpu ? clean_line(name, sizeof name, cuddle_engine_device_name(engine)) : "", seed);
}

static json_t *token_json(const cuddle_tokenizer *tokenizer, int32_t id, float logprob)
{
    json_t *o = json_object();
    js_put(o, "id", json_integer(id));
    js_put(o, "token", js_name(tokenizer ? cuddle_tokenizer_token(tokenizer, id) : NULL));
    js_put(o, "logprob", js_number(logprob));
    return o;
}

static json_t *logprobs_json(const cuddle_result *r, const cuddle_tokenizer *tokenizer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < r->count; i++) {
        json_t *entry = token_json(tokenizer, r->ids[i], r->logprobs[i]), *top = json_array();
        for (int k = 0; k < r->top_count; k++) {
            const cuddle_logprob *l = &r->top_logprobs[i * (size_t)r->top_count + (size_t)k];
            if (l->token >= 0) js_add(top, token_json(tokenizer, l->token, l->logprob));
        }
        js_put(entry, "top", top);
        js_add(array, entry);
    }
    return array;
}

static void print_json(const session *s, const cuddle_result *r, const run_options *own)
{
    json_t *object = json_object(), *timings = json_object();
    js_put(object, "prompt_ids", js_ids(r->prompt_ids, r->prompt_count));
    js_put(object, "ids", js_ids(r->ids, r->count));
    js_put(object, "text", js_text(r->text, r->text_length));
    js_put(object, "finish_reason", js_name(cuddle_finish_name(r->finish)));
    js_put(object, "seed", js_bytes(own->seed.value));
    js_put(timings, "load_seconds", js_number(s->load_seconds));
    js_put(timings, "queue_seconds", js_number(r->queue_seconds));
    js_put(timings, "prefill_seconds", js_number(r->prefill_seconds));
    js_put(timings, "decode_seconds", js_number(r->decode_seconds));
    js_put(timings, "prefill_tokens_per_second", js_number(rate(r->prompt_count, r->prefill_seconds)));
    js_put(timings, "decode_tokens_per_second", js_number(decode_rate(r)));
    js_put(object, "timings", timings);
    if (r->logprobs) js_put(object, "logprobs", logprobs_json(r, cuddle_model_tokenizer(s->model)));
    out_json(object);
}

/* ----------------------------------------------------------------------------------------------------------------- run */

static int generate(session *s, const input *prompt, const run_options *own)
{
    cuddle_error err;
    cuddle_request *request = NULL;
    cuddle_grammar *grammar = NULL;
    cuddle_generation_options options;
    to_generation_options(&options, own);
    cuddle_segment segment = { .kind = CUDDLE_SEGMENT_TEXT, .text = prompt->text, .count = prompt->length };
    int32_t *ids = NULL;
    int code = constrain_compile(&grammar, &own->held_to, s->model);
    options.grammar = grammar;
    if (!code && own->tokens) {
        segment = (cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS };
        code = input_ids(&ids, &segment.count, prompt);
        segment.tokens = ids;
    }
    const cuddle_event_fn on_event = own->tokens && !own->json ? print_tokens : NULL;
    if (!code && cuddle_request_submit(&request, s->model, &segment, 1, &options, on_event, NULL, &err) != CUDDLE_OK) code = say_error(&err);
    free(ids);
    cuddle_grammar_free(grammar);
    if (code) return code;
    if (own->echo) out_text(prompt->text, prompt->length);
    stream(request, !own->json && !own->tokens);
    if (!own->json && !own->tokens) out_printf("\n");

    cuddle_result result = { .struct_size = sizeof result };
    const cuddle_status status = cuddle_request_wait(request, -1, &err); /* it ended: this asks how */
    if (status != CUDDLE_OK && status != CUDDLE_E_CANCELLED) code = say_error(&err);
    else if (cuddle_request_result(request, &result, &err) != CUDDLE_OK) code = say_error(&err);
    else {
        if (own->json) print_json(s, &result, own);
        if ((own->tokens && !own->json) || out_flush()) say_rates(s->engine, &result, own);
    }
    cuddle_request_free(request);
    return interrupt_code() ? interrupt_code() : code;
}

static int check(const command *c, const run_options *own)
{
    if (own->logprobs >= 0 && !own->json) return usage_error(c, "--logprobs needs --json");
    if (own->echo && own->json) return usage_error(c, "--echo does not go with --json, which holds prompt_ids");
    if (own->tokens && own->echo) return usage_error(c, "--echo does not go with --tokens");
    if (own->tokens && own->stop.count) return usage_error(c, "--stop does not go with --tokens, where there is no text");
    return constrain_check(c, &own->held_to);
}

static int random_seed(option_seed *seed)
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

int verb_run(int argc, char **argv)
{
    run_options own = { .max_tokens = CUDDLE_UNSET_INT, .top_k = CUDDLE_UNSET_INT, .logprobs = -1, .temperature = CUDDLE_UNSET_FLOAT,
                        .top_p = CUDDLE_UNSET_FLOAT, .min_p = CUDDLE_UNSET_FLOAT, .repetition_penalty = CUDDLE_UNSET_FLOAT };
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", run_rows, &own }, { "structured output", constrain_rows, &own.held_to }, { "engine and model", settings_rows, &set }, { 0 } };
    const command c = { "run", "MODEL [PROMPT]", "Continues a prompt and streams the text to standard output as it is made.",
                        "PROMPT comes from standard input, less one newline at its end, if it is '-' or absent. Ctrl-C ends the text; a second "
                        "one ends the program at once.", 1, 2, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    if ((code = check(&c, &own)) != 0) return code;
    if (set.max_sequences == 0) set.max_sequences = 1;

    input prompt;
    session s = { 0 };
    code = input_read(&prompt, &c, positional[1], "PROMPT");
    if (!code && prompt.owned && prompt.length && prompt.text[prompt.length - 1] == '\n') prompt.length--;
    if (!code) code = random_seed(&own.seed);
    if (!code) code = session_open(&s, &set, positional[0]);
    if (!code) code = generate(&s, &prompt, &own);
    session_close(&s);
    input_free(&prompt);
    return out_end(code);
}
