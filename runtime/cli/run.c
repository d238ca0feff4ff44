/* cuddle run: one completion, streamed. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct run_options {
    int logprobs, no_special, tokens, echo, json;
    sampling sampling;
} run_options;

static const option_row run_rows[] = {
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

/* For --tokens. In the engine's thread: the main one leaves stdout alone until the request was freed. */
static void print_tokens(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)user;
    for (size_t i = 0; i < event->token_count; i++) out_printf("%d ", (int)event->tokens[i]);
    if (event->finish != CUDDLE_FINISH_NONE) out_printf("\n");
    if (!out_flush()) cuddle_request_cancel(request);
}

/* ------------------------------------------------------------------------------------------------------------- results */

static double rate(size_t tokens, double seconds) { return seconds > 0 ? (double)tokens / seconds : 0; }
static double decode_rate(const cuddle_result *r) { return rate(r->count > 1 ? r->count - 1 : 0, r->decode_seconds); }

static void say_rates(const cuddle_engine *engine, const cuddle_result *r, const run_options *own)
{
    char seed[64] = "", name[160];
    const bool gpu = cuddle_engine_device(engine) == CUDDLE_DEVICE_CUDA;
    if (own->sampling.temperature != 0) snprintf(seed, sizeof seed, ", seed %llu", (unsigned long long)own->sampling.seed.value);
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
    js_put(object, "seed", js_bytes(own->sampling.seed.value));
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
    cuddle_generation_options options;
    sampling_to_options(&own->sampling, &options);
    options.no_special = own->no_special;
    options.logprobs = own->logprobs;
    cuddle_segment segment = { .kind = CUDDLE_SEGMENT_TEXT, .text = prompt->text, .count = prompt->length };
    int32_t *ids = NULL;
    int code = 0;
    if (own->tokens) {
        segment = (cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS };
        code = input_ids(&ids, &segment.count, prompt);
        segment.tokens = ids;
    }
    const cuddle_event_fn on_event = own->tokens && !own->json ? print_tokens : NULL;
    if (!code && cuddle_request_submit(&request, s->model, &segment, 1, &options, on_event, NULL, &err) != CUDDLE_OK) code = say_error(&err);
    free(ids);
    if (code) return code;
    if (own->echo) out_text(prompt->text, prompt->length);
    sampling_stream(request, !own->json && !own->tokens);
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
    if (own->tokens && own->sampling.stop.count) return usage_error(c, "--stop does not go with --tokens, where there is no text");
    return 0;
}

int verb_run(int argc, char **argv)
{
    run_options own = { .logprobs = -1, .sampling = SAMPLING_DEFAULT };
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", run_rows, &own }, { "sampling", sampling_rows, &own.sampling }, { "engine and model", settings_rows, &set }, { 0 } };
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
    if (!code) code = sampling_seed(&own.sampling.seed);
    if (!code) code = session_open(&s, &set, positional[0]);
    if (!code) code = generate(&s, &prompt, &own);
    session_close(&s);
    input_free(&prompt);
    return out_end(code);
}
