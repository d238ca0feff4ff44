/* generation_config.json: any bytes give settings within their bounds or one sentence. */
#include "engine/generation.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16) return 0;
    json_t *root = NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_status status = cud_json_parse(&root, data, size, "generation_config.json", &err);
    if (!status) {
        const json_view view = cud_json_view(root, "generation_config.json");
        layer_spec layer = { .heads = 1 };
        spec s = { .stacks = 1 };
        s.stack[0] = (stack){ .layers = 1, .layer = &layer, .vocabulary = 300, .positions = 64 };
        generation_config g;
        status = cud_generation_config_read(&g, &view, &s, NULL, &err);
        if (!status) {
            generation resolved;
            cuddle_error why = { CUDDLE_OK, "" };
            if (g.eos_count < 0 || g.eos_count > CUD_MAX_EOS || g.suppress_count > CUD_MAX_SUPPRESS || g.begin_suppress_count > CUD_MAX_SUPPRESS) abort();
            if (!(g.temperature >= 0) || !(g.top_p >= 0 && g.top_p <= 1) || !(g.min_p >= 0 && g.min_p <= 1)) abort();
            if (!(g.typical_p > 0 && g.typical_p <= 1) || !(g.top_h >= 0 && g.top_h <= 1)) abort();
            if (g.no_repeat_ngram < 0 || g.no_repeat_ngram > CUD_MAX_NGRAM) abort();
            if (!(g.epsilon_cutoff >= 0 && g.epsilon_cutoff <= 1) || !(g.eta_cutoff >= 0 && g.eta_cutoff <= 1) || !(g.decay_factor > 0)) abort();
            for (size_t i = 0; i < g.bad_words.id_count; i++)
                if (g.bad_words.ids[i] < 0 || g.bad_words.ids[i] >= 300) abort();
            for (size_t i = 0; i < g.bias.count; i++)
                if (!(g.bias.item[i].bias >= -1e9f && g.bias.item[i].bias <= 1e9f)) abort();
            if (cud_generation_resolve(&resolved, NULL, &g, 300, &why) && !why.text[0]) abort();
            cud_generation_free(&resolved);
            cud_generation_config_free(&g);
        }
        json_decref(root);
    }
    if (status && (err.status != status || !err.text[0])) abort(); /* a failure without a sentence */
    return 0;
}
