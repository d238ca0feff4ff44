/* Every encoder of tests/encoders and each of its heads against transformers' float32: alone, several in one step, in any order. */
#include "encoder_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name, *classes, *prefix; /* what architectures begin with; what a class with a head calls its encoder's tensors */
} cases[] = {
    { "bert", "Bert", "bert." },
    { "roberta", "Roberta", "roberta." },
    { "xlm-roberta", "XLMRoberta", "roberta." },
    { "camembert", "Camembert", "roberta." },
    { "distilbert", "DistilBert", "distilbert." },
    { "electra", "Electra", "electra." },
    { "albert", "Albert", "albert." },
    { "mpnet", "MPNet", "mpnet." },
    { "modernbert", "ModernBert", "model." },
    { "modernbert-biases", "ModernBert", "model." },
    { "nomic_bert", "NomicBert", "nomic_bert." },
};
static const char *const heads[] = { NULL, "MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice" };
enum { CASES = sizeof cases / sizeof *cases, HEADS = sizeof heads / sizeof *heads };

static cuddle_request *submit(cuddle_model *h, const encoder_case *c, int i, cuddle_encode_options o)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_request *r;
    o.type_ids = c->types[i];
    o.type_count = c->types[i] ? c->count[i] : 0;
    ck_ok(cuddle_request_encode(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = c->ids[i], .count = c->count[i] }, 1, &o, NULL, NULL, &err));
    return r;
}

static cuddle_encoding_result result_of(cuddle_request *r)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_encoding_result out = { .struct_size = sizeof out };
    ck_ok(cuddle_request_encoding(r, &out, &err));
    ck_assert_int_eq(cuddle_request_finish(r), CUDDLE_FINISH_DONE);
    return out;
}

static cuddle_encode_options asking(cuddle_encode_output output, cuddle_pooling pooling)
{
    cuddle_encode_options o;
    cuddle_encode_options_init(&o, sizeof o);
    o.output = output;
    o.pooling = pooling;
    return o;
}

/* The three inputs in one step, the last first, then each alone: near what is expected, and with the same bits. */
static void check_kind(cuddle_engine *engine, cuddle_model *h, const encoder_case *c, const char *what, const char *kind, cuddle_encode_options o)
{
    const double largest = encoder_largest(c, kind);
    cuddle_request *together[ENCODER_INPUTS];
    cuddle_engine_stats before = { .struct_size = sizeof before }, after = before;
    cuddle_error err = { CUDDLE_OK, "" };
    ck_ok(cuddle_engine_get_stats(engine, &before, &err));
    for (int i = ENCODER_INPUTS - 1; i >= 0; i--) together[i] = submit(h, c, i, o);
    test_run_steps(engine);
    ck_ok(cuddle_engine_get_stats(engine, &after, &err));
    ck_assert_uint_eq(after.steps, before.steps + 1);
    for (int i = 0; i < ENCODER_INPUTS; i++) {
        encoder_output want;
        ck_assert(encoder_expected(&want, c, kind, i));
        const cuddle_encoding_result got = result_of(together[i]);
        ck_assert_msg(got.rows == want.rows && got.columns == want.columns, "%s %s: [%zu, %zu], expected [%zu, %zu]", what, kind, got.rows, got.columns, want.rows,
                      want.columns);
        ck_assert_uint_eq(got.count, c->count[i]);
        for (size_t k = 0; k < want.rows * want.columns; k++)
            ck_assert_msg(fabs((double)got.values[k] - (double)want.values[k]) <= ENCODER_TOLERANCE * largest, "%s: %s %d row %zu column %zu: %g, expected %g", what,
                          kind, i, k / want.columns, k % want.columns, (double)got.values[k], (double)want.values[k]);
        cuddle_request *alone = submit(h, c, i, o);
        test_run_steps(engine);
        if (cuddle_engine_deterministic(engine))
            ck_assert_msg(memcmp(result_of(alone).values, got.values, want.rows * want.columns * sizeof(float)) == 0, "%s: %s %d has other bits alone", what, kind, i);
        cuddle_request_free(alone);
        cuddle_request_free(together[i]);
        free(want.values);
    }
}

static bool has_head(const encoder_case *c, const char *architecture)
{
    encoder_output o;
    if (!encoder_expected(&o, c, architecture, 0)) return false;
    free(o.values);
    return true;
}

static void check_plan(cuddle_model *h)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_plan planned = { .struct_size = sizeof planned }, used = planned;
    ck_ok(cuddle_model_memory(h, &planned, &used, &err));
    ck_assert_uint_eq(planned.kv, 0);
    ck_assert_uint_eq(planned.weights, used.weights);
    ck_assert_uint_le(used.workspace, planned.workspace);
}

START_TEST(outputs_equal_transformers)
{
    const char *name = cases[_i / HEADS].name, *head = heads[_i % HEADS];
    encoder_case c;
    encoder_case_read(&c, name);
    char architecture[96] = "";
    if (head) snprintf(architecture, sizeof architecture, "%sFor%s", cases[_i / HEADS].classes, head);
    if (head && !has_head(&c, architecture)) {
        encoder_case_free(&c);
        return;
    }
    const char *dir = test_temp_dir();
    encoder_write(dir, name, head ? architecture : NULL, head ? cases[_i / HEADS].prefix : "", _i % HEADS == 3);
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_engine_options eo = test_engine_options(0);
    eo.deterministic = CUDDLE_ON;
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model_options mo = test_model_options();
    cuddle_model *h;
    ck_ok(cuddle_model_load(&h, engine, dir, &mo, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    if (head) {
        check_kind(engine, h, &c, name, architecture, asking(CUDDLE_ENCODE_LOGITS, CUDDLE_POOLING_MEAN));
    } else {
        check_kind(engine, h, &c, name, "hidden", asking(CUDDLE_ENCODE_HIDDEN, CUDDLE_POOLING_MEAN));
        if (cuddle_model_heads(h) & CUDDLE_HEAD_POOLER) check_kind(engine, h, &c, name, "pooler", asking(CUDDLE_ENCODE_POOLED, CUDDLE_POOLING_POOLER));
        else ck_assert(!has_head(&c, "pooler"));
    }
    check_plan(h);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
    encoder_case_free(&c);
}
END_TEST

static double cosine(const float *a, const float *b, size_t n)
{
    double product = 0, first = 0, second = 0;
    for (size_t i = 0; i < n; i++) {
        product += (double)a[i] * (double)b[i];
        first += (double)a[i] * (double)a[i];
        second += (double)b[i] * (double)b[i];
    }
    return product / sqrt(first * second);
}

/* In 16 bits the hidden states point where those of float32 do, and are not quite the same. */
START_TEST(half_types_are_near)
{
    static const struct { const char *dtype; double least; } types[] = { { "bfloat16", 0.99 }, { "float16", 0.9999 } };
    const char *name = cases[_i / 2].name;
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model_options mo = test_model_options();
    mo.dtype = types[_i % 2].dtype;
    const char *dir = test_temp_dir();
    encoder_write(dir, name, NULL, "", false);
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_model *h;
    ck_ok(cuddle_model_load(&h, engine, dir, &mo, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    encoder_case c;
    encoder_case_read(&c, name);
    for (int i = 0; i < ENCODER_INPUTS; i++) {
        encoder_output want;
        ck_assert(encoder_expected(&want, &c, "hidden", i));
        cuddle_request *r = submit(h, &c, i, asking(CUDDLE_ENCODE_HIDDEN, CUDDLE_POOLING_MEAN));
        test_run_steps(engine);
        const double near = cosine(result_of(r).values, want.values, want.rows * want.columns);
        ck_assert_msg(near >= types[_i % 2].least && near < 0.9999999, "%s in %s: input %d has a cosine of %.8f", name, mo.dtype, i, near);
        cuddle_request_free(r);
        free(want.values);
    }
    encoder_case_free(&c);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoders");
    TCase *outputs = tcase_create("outputs");
    tcase_set_timeout(outputs, 0);
    tcase_add_loop_test(outputs, outputs_equal_transformers, 0, CASES * HEADS);
    suite_add_tcase(suite, outputs);
    tcase_add_loop_test(outputs, half_types_are_near, 0, 2 * CASES);
    return test_run(suite);
}
