/* cuddle run: one completion, streamed, or several. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/choices.h"
#include "cli/constrain.h"
#include "cli/generation.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct run_options {
    int logprobs, prompt_logprobs, no_special, tokens, echo, json;
    const char *score;
    constrain_options held_to;
    choice_options choices;
} run_options;

static const option_row run_rows[] = {
    { "no-special", OPTION_FLAG, offsetof(run_options, no_special), 0, 0, "", "add no special tokens to the prompt" },
    { "tokens", OPTION_FLAG, offsetof(run_options, tokens), 0, 0, "",
      "PROMPT is token ids, separated by white space or commas, and so is what is printed; needs no tokenizer" },
    { "logprobs", OPTION_INT, offsetof(run_options, logprobs), 0, 20, "N",
      "with --json: each token's log-probability and the N likeliest tokens" },
    { "prompt-logprobs", OPTION_INT, offsetof(run_options, prompt_logprobs), 0, 20, "N", "with --json or --score: the same for the prompt's tokens" },
    { "score", OPTION_STRING, offsetof(run_options, score), 0, 0, "TEXT",
      "produce nothing: print one JSON object with the log-probability of TEXT after PROMPT, whether a greedy choice would give it, and its "
      "tokens. They are those of both texts together, behind as many as PROMPT has without blanks at its end; with --tokens, TEXT is ids" },
    { "echo", OPTION_FLAG, offsetof(run_options, echo), 0, 0, "", "print the prompt before its continuation" },
    { "json", OPTION_FLAG, offsetof(run_options, json), 0, 0, "",
      "print one JSON object with prompt_ids, ids, text, finish_reason and timings when all is done; with --n above 1 an array, choices, has what is "
      "each one's" },
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

/* The results of a request: one for each choice. */
typedef struct results {
    cuddle_result *of;
    const cuddle_result *first; /* the one that had its first token first: it has computed the prompt */
    int count;
    size_t tokens, steps;  /* of all; of these, tokens behind the first of a choice */
    double decode_seconds; /* from the first token to the end of the last choice */
} results;

static int results_get(results *out, cuddle_request *request)
{
    double began = INFINITY, end = 0;
    cuddle_error err;
    *out = (results){ .count = cuddle_request_choices(request) };
    out->of = calloc((size_t)out->count, sizeof *out->of);
    if (!out->of) {
        say("out of memory: %zu bytes for results", (size_t)out->count * sizeof *out->of);
        return EXIT_FAILED;
    }
    out->first = out->of;
    for (int i = 0; i < out->count; i++) {
        cuddle_result *r = &out->of[i];
        r->struct_size = sizeof *r;
        if (cuddle_request_result_of(request, i, r, &err) != CUDDLE_OK) return say_error(&err);
        const double token = r->queue_seconds + r->prefill_seconds;
        if (r->prefill_seconds > 0 && token < began) {
            began = token;
            out->first = r;
        }
        if (r->prefill_seconds > 0 && token + r->decode_seconds > end) end = token + r->decode_seconds;
        out->tokens += r->count;
        out->steps += r->count > 1 ? r->count - 1 : 0;
    }
    out->decode_seconds = end > began ? end - began : 0;
    return 0;
}

static void say_rates(const cuddle_engine *engine, const results *all, const generation_settings *how)
{
    const cuddle_result *r = all->first;
    char seed[64] = "", name[160], choices[32] = "";
    const bool gpu = cuddle_engine_device(engine) == CUDDLE_DEVICE_CUDA;
    if (how->temperature != 0 && all->tokens) snprintf(seed, sizeof seed, ", seed %llu", (unsigned long long)how->seed.value);
    if (all->count > 1) snprintf(choices, sizeof choices, " in %d choices", all->count);
    say("%zu prompt tokens in %.3f s (%.1f tokens/s), %zu generated%s (%.1f tokens/s), ended by %s, on %s%s%s", r->prompt_count, r->prefill_seconds,
        rate(r->prompt_count, r->prefill_seconds), all->tokens, choices, rate(all->steps, all->decode_seconds), cuddle_finish_name(r->finish),
        gpu ? "cuda: " : "cpu", gpu ? clean_line(name, sizeof name, cuddle_engine_device_name(engine)) : "", seed);
}

/* What a choice was compared with others by; NULL if it was not. */
static const char *score_of(double *score, const cuddle_result *r, const choice_options *own)
{
    const bool best = own->best_of > (own->n > 1 ? own->n : 1);
    *score = own->beams > 1 ? r->beam_score : r->mean_logprob;
    return own->beams > 1 ? "beam_score" : best ? "mean_logprob" : NULL;
}

static json_t *token_json(const cuddle_tokenizer *tokenizer, int32_t id, float logprob)
{
    json_t *o = json_object();
    js_put(o, "id", json_integer(id));
    js_put(o, "token", js_name(tokenizer ? cuddle_tokenizer_token(tokenizer, id) : NULL));
    js_put(o, "logprob", js_number(logprob));
    return o;
}

/* A token with its log-probability, and the `count` likeliest of its place. */
static json_t *place_json(const cuddle_tokenizer *tokenizer, int32_t id, float logprob, const cuddle_logprob *top, int count)
{
    json_t *entry = token_json(tokenizer, id, logprob), *likeliest = json_array();
    for (int k = 0; k < count; k++)
        if (top[k].token >= 0) js_add(likeliest, token_json(tokenizer, top[k].token, top[k].logprob));
    js_put(entry, "top", likeliest);
    return entry;
}

static json_t *logprobs_json(const cuddle_result *r, const cuddle_tokenizer *tokenizer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < r->count; i++)
        js_add(array, place_json(tokenizer, r->ids[i], r->logprobs[i], r->top_logprobs + i * (size_t)r->top_count, r->top_count));
    return array;
}

/* Of the prompt from token `from` on; the very first has none, which is null. */
static json_t *prompt_logprobs_json(const cuddle_result *r, const cuddle_tokenizer *tokenizer, size_t from)
{
    json_t *array = json_array();
    for (size_t i = from; i < r->prompt_count; i++) {
        const cuddle_logprob *top = r->prompt_top_count ? r->prompt_top_logprobs + i * (size_t)r->prompt_top_count : NULL;
        json_t *entry = i ? place_json(tokenizer, r->prompt_ids[i], r->prompt_logprobs[i], top, r->prompt_top_count) : json_null();
        if (i) js_put(entry, "greedy", json_boolean(r->prompt_is_greedy[i]));
        js_add(array, entry);
    }
    return array;
}

static void put_choice(json_t *object, const cuddle_result *r, const choice_options *own)
{
    double score;
    const char *name = score_of(&score, r, own);
    js_put(object, "ids", js_ids(r->ids, r->count));
    js_put(object, "text", js_text(r->text, r->text_length));
    js_put(object, "finish_reason", js_name(cuddle_finish_name(r->finish)));
    if (name) js_put(object, name, js_number(score));
}

static json_t *choices_json(const session *s, const results *all, const choice_options *own)
{
    json_t *array = json_array();
    for (int i = 0; i < all->count; i++) {
        json_t *choice = json_object();
        put_choice(choice, &all->of[i], own);
        if (all->of[i].logprobs) js_put(choice, "logprobs", logprobs_json(&all->of[i], cuddle_model_tokenizer(s->model)));
        js_add(array, choice);
    }
    return array;
}

static void print_json(const session *s, const results *all, const generation_settings *how, const choice_options *own)
{
    const cuddle_result *r = all->first;
    json_t *object = json_object(), *timings = json_object();
    js_put(object, "prompt_ids", js_ids(r->prompt_ids, r->prompt_count));
    if (all->count > 1) js_put(object, "choices", choices_json(s, all, own));
    else put_choice(object, r, own);
    js_put(object, "seed", js_bytes(how->seed.value));
    js_put(timings, "load_seconds", js_number(s->load_seconds));
    js_put(timings, "queue_seconds", js_number(r->queue_seconds));
    js_put(timings, "prefill_seconds", js_number(r->prefill_seconds));
    js_put(timings, "decode_seconds", js_number(all->decode_seconds));
    js_put(timings, "prefill_tokens_per_second", js_number(rate(r->prompt_count, r->prefill_seconds)));
    js_put(timings, "decode_tokens_per_second", js_number(rate(all->steps, all->decode_seconds)));
    js_put(object, "timings", timings);
    if (r->logprobs && all->count == 1) js_put(object, "logprobs", logprobs_json(r, cuddle_model_tokenizer(s->model)));
    if (r->prompt_logprobs) js_put(object, "prompt_logprobs", prompt_logprobs_json(r, cuddle_model_tokenizer(s->model), 0));
    out_json(object);
}

/* What was not streamed: a heading before each of several texts; ids are a line each. */
static void print_choices(const results *all, const run_options *own, const input *prompt)
{
    for (int i = 0; i < all->count; i++) {
        const cuddle_result *r = &all->of[i];
        double score;
        if (own->tokens) {
            for (size_t k = 0; k < r->count; k++) out_printf("%d ", (int)r->ids[k]);
            out_printf("\n");
            continue;
        }
        if (all->count > 1) {
            out_printf("--- %d of %d, ended by %s", i + 1, all->count, cuddle_finish_name(r->finish));
            if (score_of(&score, r, &own->choices)) out_printf(", score %.4f", score);
            out_printf(" ---\n");
        }
        if (own->echo) out_text(prompt->text, prompt->length);
        out_text(r->text, r->text_length);
        out_printf("\n");
    }
}

static void print_score(const session *s, const cuddle_result *r, size_t from)
{
    json_t *object = json_object();
    double sum = 0;
    bool greedy = true;
    for (size_t i = from; i < r->prompt_count; i++) {
        sum += (double)r->prompt_logprobs[i];
        greedy = greedy && r->prompt_is_greedy[i];
    }
    js_put(object, "logprob", js_number(sum));
    js_put(object, "greedy", json_boolean(greedy));
    js_put(object, "prompt_ids", js_ids(r->prompt_ids, from));
    js_put(object, "tokens", prompt_logprobs_json(r, cuddle_model_tokenizer(s->model), from));
    out_json(object);
}

/* ----------------------------------------------------------------------------------------------------------------- run */

/* Prompt and what is to be scored as ids, of which the second begins at *from. */
static int score_ids(int32_t **out, size_t *count, size_t *from, const session *s, const input *prompt, const run_options *own)
{
    const size_t more = strlen(own->score);
    char *both = malloc(prompt->length + more + 2);
    if (!both) {
        say("out of memory: %zu bytes for the texts", prompt->length + more + 2);
        return EXIT_FAILED;
    }
    memcpy(both, prompt->text, prompt->length);
    size_t bare = prompt->length; /* without blanks at its end */
    while (bare > 0 && strchr(" \t\n\v\f\r", both[bare - 1]) && both[bare - 1]) bare--;
    if (own->tokens) both[prompt->length] = ' ';
    memcpy(both + prompt->length + (own->tokens ? 1 : 0), own->score, more + 1);
    const input whole = { .text = both, .length = prompt->length + more + (own->tokens ? 1 : 0) };
    const cuddle_tokenizer *tokenizer = cuddle_model_tokenizer(s->model);
    const unsigned flags = own->no_special ? CUDDLE_TOKENIZE_NO_SPECIAL : 0;
    cuddle_encoding *context = NULL, *all = NULL;
    cuddle_error err;
    int code = 0;
    if (own->tokens) {
        int32_t *first = NULL;
        code = input_ids(&first, from, prompt);
        if (!code) code = input_ids(out, count, &whole);
        free(first);
    } else if (!tokenizer) {
        say("the checkpoint has no tokenizer that can be read: give ids with --tokens");
        code = EXIT_FAILED;
    } else if (cuddle_tokenize(&context, tokenizer, both, bare, flags, &err) || cuddle_tokenize(&all, tokenizer, both, whole.length, flags, &err)) {
        code = say_error(&err);
    } else {
        *from = context->count;
        *count = all->count;
        *out = malloc((all->count + 1) * sizeof **out);
        if (*out) memcpy(*out, all->ids, all->count * sizeof **out);
        else say("out of memory: %zu bytes for token ids", all->count * sizeof **out);
        code = *out ? 0 : EXIT_FAILED;
    }
    if (!code && (*from == 0 || *from >= *count)) {
        say("--score needs tokens in both texts, found %zu in the prompt and %zu in both", *from, *count);
        code = EXIT_FAILED;
    }
    cuddle_encoding_free(context);
    cuddle_encoding_free(all);
    free(both);
    return code;
}

static int generate(session *s, const input *prompt, const run_options *own, const generation_settings *how, cuddle_generation_options *options)
{
    cuddle_error err;
    cuddle_request *request = NULL;
    cuddle_grammar *grammar = NULL;
    cuddle_segment segment = { .kind = CUDDLE_SEGMENT_TEXT, .text = prompt->text, .count = prompt->length };
    int32_t *ids = NULL;
    int code = constrain_compile(&grammar, &own->held_to, s->model);
    size_t from = 0;
    options->grammar = grammar;
    options->no_special = own->no_special;
    options->logprobs = own->logprobs;
    options->prompt_logprobs = own->prompt_logprobs >= 0 || own->score;
    options->prompt_top_logprobs = own->prompt_logprobs > 0 ? own->prompt_logprobs : 0;
    if (!code && (own->tokens || own->score)) {
        segment = (cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS };
        code = own->score ? score_ids(&ids, &segment.count, &from, s, prompt, own) : input_ids(&ids, &segment.count, prompt);
        segment.tokens = ids;
    }
    if (own->score) {
        options->max_tokens = 0;
        options->prompt_logprobs_from = (int)(from < INT32_MAX ? from : INT32_MAX);
    }
    const bool quiet = own->json || own->score, later = quiet || choices_made(&own->choices) > 1;
    const cuddle_event_fn on_event = own->tokens && !later ? print_tokens : NULL;
    if (!code && cuddle_request_submit(&request, s->model, &segment, 1, options, on_event, NULL, &err) != CUDDLE_OK) code = say_error(&err);
    free(ids);
    cuddle_grammar_free(grammar);
    if (code) return code;
    const bool streams = !later && !own->tokens;
    if (own->echo && streams) out_text(prompt->text, prompt->length);
    generation_stream(request, streams);
    if (streams) out_printf("\n");

    results all = { 0 };
    const cuddle_status status = cuddle_request_wait(request, -1, &err); /* it ended: this asks how */
    if (status != CUDDLE_OK && status != CUDDLE_E_CANCELLED) code = say_error(&err);
    else code = results_get(&all, request);
    if (!code) {
        if (own->score && status == CUDDLE_OK) print_score(s, all.first, from);
        else if (own->json) print_json(s, &all, how, &own->choices);
        else if (later) print_choices(&all, own, prompt);
        if ((own->tokens && !later) || out_flush()) say_rates(s->engine, &all, how);
    }
    free(all.of);
    cuddle_request_free(request);
    return interrupt_code() ? interrupt_code() : code;
}

static int check(const command *c, const run_options *own, const generation_settings *how)
{
    if (own->logprobs >= 0 && !own->json) return usage_error(c, "--logprobs needs --json");
    if (own->prompt_logprobs >= 0 && !own->json && !own->score) return usage_error(c, "--prompt-logprobs needs --json or --score");
    if (own->echo && own->json) return usage_error(c, "--echo does not go with --json, which holds prompt_ids");
    if (own->tokens && own->echo) return usage_error(c, "--echo does not go with --tokens");
    if (own->tokens && how->stop.count) return usage_error(c, "--stop does not go with --tokens, where there is no text");
    if (own->score && (own->echo || own->logprobs >= 0 || how->max_tokens != CUDDLE_UNSET_INT))
        return usage_error(c, "--%s does not go with --score, which produces nothing",
                           own->echo ? "echo" : own->logprobs >= 0 ? "logprobs" : "max-tokens");
    const choice_options *choices = &own->choices;
    if (own->score && (choices->n || choices->best_of || choices->beams))
        return usage_error(c, "--%s does not go with --score, which produces nothing", choices->n ? "n" : choices->best_of ? "best-of" : "beams");
    const int code = choices_check(c, choices, how, own->logprobs >= 0 ? "logprobs" : constrain_given(&own->held_to));
    return code ? code : constrain_check(c, &own->held_to);
}

int verb_run(int argc, char **argv)
{
    run_options own = { .logprobs = -1, .prompt_logprobs = -1, .choices = CHOICES_DEFAULT };
    generation_settings how = GENERATION_DEFAULT;
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", run_rows, &own }, { "how tokens are chosen", generation_rows, &how },
                                    { "several choices", choice_rows, &own.choices },
                                    { "structured output", constrain_rows, &own.held_to }, { "engine and model", settings_rows, &set }, { 0 } };
    const command c = { "run", "MODEL [PROMPT]", "Continues a prompt and streams the text to standard output as it is made.",
                        "PROMPT comes from standard input, less one newline at its end, if it is '-' or absent. Ctrl-C ends the text; a second "
                        "one ends the program at once.", 1, 2, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    if ((code = check(&c, &own, &how)) != 0) return code;
    if (set.max_sequences == 0) set.max_sequences = choices_made(&own.choices);

    input prompt = { 0 };
    session s = { 0 };
    cuddle_generation_options options;
    token_lists lists = { 0 };
    code = generation_options_fill(&options, &lists, &c, &how);
    if (!code) code = generation_seed(&how.seed);
    options.seed = how.seed.value;
    choices_fill(&options, &how, &own.choices);
    if (!code) code = input_read(&prompt, &c, positional[1], "PROMPT");
    if (!code && prompt.owned && prompt.length && prompt.text[prompt.length - 1] == '\n') prompt.length--;
    if (!code) code = session_open(&s, &set, positional[0]);
    if (!code) code = generate(&s, &prompt, &own, &how, &options);
    session_close(&s);
    input_free(&prompt);
    generation_lists_free(&lists);
    return out_end(code);
}
