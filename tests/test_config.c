/* What a config.json means, against tests/config_expected.json: what transformers makes of the same settings, given alone, absent or null. */
#include "format/json.h"
#include "models/config.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *root, *cases;

static double number(const json_t *expected, const char *key)
{
    const json_t *v = json_object_get(expected, key);
    ck_assert_msg(json_is_number(v) || json_is_boolean(v), "there is no %s", key);
    return json_is_boolean(v) ? (double)json_boolean_value(v) : json_number_value(v);
}

static void same(const char *what, const json_t *expected, const char *key, double got)
{
    const double want = number(expected, key);
    ck_assert_msg(fabs(got - want) <= 1e-12 * fabs(want), "%s: %s is %.17g, expected %.17g", what, key, got, want);
}

/* Every setting here is one that its family has. */
static void no_word(cuddle_log_level level, const char *line, void *user)
{
    (void)user;
    ck_abort_msg("log level %d: %s", (int)level, line);
}

static const struct { const char *name; activation act; } activations[] = {
    { "gelu_new", ACT_GELU_TANH }, { "gelu_pytorch_tanh", ACT_GELU_TANH }, { "gelu", ACT_GELU }, { "silu", ACT_SILU }, { "relu", ACT_RELU },
};

static void check_layers(const char *what, const stack *t, const json_t *expected)
{
    const json_t *windows = json_object_get(expected, "windows");
    const bool by_layer = number(expected, "scale_by_layer") > 0;
    for (int64_t i = 0; i < t->layers; i++) {
        const layer_spec *l = &t->layer[i];
        const int64_t want = json_integer_value(json_is_array(windows) ? json_array_get(windows, (size_t)i) : windows);
        const int64_t got = l->attention == ATTN_SLIDING ? l->window : 0;
        ck_assert_msg(got == want, "%s: layer %d has window %d, expected %d", what, (int)i, (int)got, (int)want);
        ck_assert_int_eq(l->mask, MASK_CAUSAL);
        same(what, expected, "num_attention_heads", (double)l->heads);
        same(what, expected, "num_key_value_heads", (double)l->kv_heads);
        same(what, expected, "head_dim", (double)l->head_dim);
        same(what, expected, "head_dim", (double)l->v_dim);
        same(what, expected, "intermediate_size", (double)l->ffn_dim);
        same(what, expected, "scale", l->score_scale * (by_layer ? (double)(i + 1) : 1));
        same(what, expected, "score_cap", l->score_cap);
        same(what, expected, "attention_bias", l->qkv_bias);
        same(what, expected, "output_bias", l->o_bias);
        same(what, expected, "mlp_bias", l->ffn_bias);
        same(what, expected, "parallel", l->parallel);
        const char *act = json_string_value(json_object_get(expected, "act"));
        size_t known = 0;
        while (strcmp(activations[known].name, act) != 0) known++;
        ck_assert_int_eq(l->act, activations[known].act);
    }
}

START_TEST(settings_mean_what_transformers_says)
{
    const json_t *c = json_array_get(cases, (size_t)_i), *expected = json_object_get(c, "expected");
    char *text = json_dumps(json_object_get(c, "config"), 0);
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", test_temp_dir());
    test_write_file(path, text, strlen(text));
    cuddle_error err = { CUDDLE_OK, "" };
    spec s;
    const logger log = { no_word, NULL, CUDDLE_LOG_WARN };
    const cuddle_status status = cud_config_load(&s, test_temp_dir(), &log, &err);
    ck_assert_msg(status == CUDDLE_OK, "%s: %s", text, err.text);
    const stack *t = &s.stack[0];
    ck_assert_int_eq(s.stacks, 1);
    same(text, expected, "vocab_size", (double)t->vocabulary);
    same(text, expected, "hidden_size", (double)t->hidden);
    same(text, expected, "num_hidden_layers", (double)t->layers);
    same(text, expected, "max_position_embeddings", (double)t->positions);
    same(text, expected, "eps", t->eps);
    same(text, expected, "tie_word_embeddings", t->tied);
    same(text, expected, "logit_cap", t->logit_cap);
    same(text, expected, "embed_scale", t->embed_scale);
    if (number(expected, "rope_theta") > 0) {
        ck_assert_int_eq(t->position, POSITION_ROPE);
        same(text, expected, "rope_theta", t->rope[0].theta);
        same(text, expected, "rotary", t->rope[0].partial);
    } else {
        ck_assert_int_eq(t->position, POSITION_LEARNED);
    }
    const json_t *eos = json_object_get(expected, "eos");
    ck_assert_int_eq(s.eos_count, (int)json_array_size(eos));
    for (int i = 0; i < s.eos_count; i++) ck_assert_int_eq(s.eos[i], (int)json_integer_value(json_array_get(eos, (size_t)i)));
    check_layers(text, t, expected);
    cud_spec_free(&s);
    free(text);
}
END_TEST

int main(void)
{
    cuddle_error err = { CUDDLE_OK, "" };
    if (cud_json_load(&root, test_path("config_expected.json"), CUD_JSON_MAX, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    cases = json_object_get(root, "cases");
    if (json_array_size(cases) < 100) return EXIT_FAILURE;
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, settings_mean_what_transformers_says, 0, (int)json_array_size(cases));
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(root);
    return result;
}
