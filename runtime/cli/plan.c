/* cuddle plan: the memory of a load, from headers alone. */
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct plan_options { int json; } plan_options;
static const option_row plan_rows[] = {
    { "json", OPTION_FLAG, offsetof(plan_options, json), 0, 0, "", "print one JSON object" },
    { 0 },
};

static void print_size(const char *name, uint64_t bytes, const char *note)
{
    char size[32];
    out_printf("%-18s %12s  %16llu bytes%s%s\n", name, human_bytes(size, sizeof size, bytes), (unsigned long long)bytes, *note ? "  " : "",
               note);
}

static void print_table(const cuddle_plan *p)
{
    out_printf("%llu parameters, %lld positions in the KV cache, computed in %s, cached in %s\n"
               "up to %d positions a sequence, %d sequences at once, %d tokens a step\n\n",
               (unsigned long long)p->parameters, (long long)p->kv_tokens, cuddle_dtype_name(p->compute),
               cuddle_dtype_name(p->kv_dtype), p->max_context, p->max_sequences, p->max_batch);
    print_size("weights", p->weights, "");
    print_size("KV cache", p->kv, "");
    print_size("workspace", p->workspace, "");
    print_size("step", p->step, "");
    print_size("total", p->total, "allocated by a load with these options");
    out_printf("\n");
    print_size("weights in place", p->weights_in_place, "used where they lie in the mapped files");
    print_size("files", p->file_bytes, "");
}

static void print_json(const char *path, const cuddle_plan *p)
{
    json_t *object = json_object();
    js_put(object, "path", js_name(path));
    js_put(object, "parameters", js_bytes(p->parameters));
    js_put(object, "compute", js_name(cuddle_dtype_name(p->compute)));
    js_put(object, "kv_dtype", js_name(cuddle_dtype_name(p->kv_dtype)));
    js_put(object, "max_context", json_integer(p->max_context));
    js_put(object, "max_sequences", json_integer(p->max_sequences));
    js_put(object, "max_batch", json_integer(p->max_batch));
    js_put(object, "kv_tokens", json_integer(p->kv_tokens));
    js_put(object, "weights", js_bytes(p->weights));
    js_put(object, "kv", js_bytes(p->kv));
    js_put(object, "workspace", js_bytes(p->workspace));
    js_put(object, "step", js_bytes(p->step));
    js_put(object, "total", js_bytes(p->total));
    js_put(object, "weights_in_place", js_bytes(p->weights_in_place));
    js_put(object, "file_bytes", js_bytes(p->file_bytes));
    out_json(object);
}

int verb_plan(int argc, char **argv)
{
    plan_options own = { 0 };
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", plan_rows, &own }, { "engine and model", settings_rows, &set }, { 0 } };
    const command c = { "plan", "MODEL", "Prints the memory that loading a model with these options would take.",
                        "The figures come from the checkpoint's headers and are what would be allocated; nothing is loaded. A model that a "
                        "load would refuse is refused here with the same sentence.", 1, 1, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;

    session s = { 0 };
    code = session_open_engine(&s, &set);
    if (!code) {
        cuddle_error err;
        cuddle_model_options options;
        cuddle_plan plan = { .struct_size = sizeof plan };
        settings_to_model_options(&set, &options);
        if (cuddle_model_plan(&plan, s.engine, positional[0], &options, &err) != CUDDLE_OK) code = say_error(&err);
        else if (own.json) print_json(positional[0], &plan);
        else print_table(&plan);
    }
    session_close(&s);
    return out_end(code);
}
