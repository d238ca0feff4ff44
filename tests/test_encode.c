/* Encoding requests through cuddle.h: what is asked for and what comes, what is refused, many at once. */
#include "encoder_case.h"

#include "engine/engine.h"
#include "format/json.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static cuddle_error err;

/* [CLS] a b c ... [SEP], pairs with types; the vocabulary is that of tests/encoders: 43 tokens. */
static void write_tokenizer(const char *dir)
{
    char text[4096], path[512];
    int n = snprintf(text, sizeof text,
                     "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 4, \"content\": \"[MASK]\", \"special\": true, \"single_word\": false, \"lstrip\": false,"
                     "\"rstrip\": false, \"normalized\": false}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Whitespace\"}, \"post_processor\": {\"type\":"
                     "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},"
                     "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}], \"pair\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\":"
                     "\"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}, {\"SpecialToken\":"
                     "{\"id\": \"[SEP]\", \"type_id\": 1}}], \"special_tokens\": {\"[CLS]\": {\"id\": \"[CLS]\", \"ids\": [2], \"tokens\": [\"[CLS]\"]}, \"[SEP]\": {\"id\":"
                     "\"[SEP]\", \"ids\": [3], \"tokens\": [\"[SEP]\"]}}}, \"decoder\": null, \"model\": {\"type\": \"WordLevel\", \"unk_token\": \"[UNK]\", \"vocab\": {"
                     "\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"[MASK]\": 4");
    for (int i = 5; i < 31; i++) n += snprintf(text + n, sizeof text - (size_t)n, ", \"%c\": %d", 'a' + i - 5, i);
    n += snprintf(text + n, sizeof text - (size_t)n, "}}}");
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    test_write_file(path, text, (size_t)n);
}

/* A checkpoint with a tokenizer. */
static const char *checkpoint_of(const char *name, const char *architecture, const char *prefix)
{
    const char *dir = test_temp_dir();
    encoder_write(dir, name, architecture, prefix, false);
    write_tokenizer(dir);
    return dir;
}

static cuddle_model *load(cuddle_engine *engine, const char *dir, int max_batch)
{
    cuddle_model_options o = test_model_options();
    o.max_batch = max_batch;
    cuddle_model *h;
    ck_ok(cuddle_model_load(&h, engine, dir, &o, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    return h;
}

/* BERT without a head, on an engine that runs steps when it is told to. */
static cuddle_model *plain_bert(cuddle_engine **engine)
{
    const cuddle_engine_options o = test_engine_options(0);
    *engine = test_engine(&o);
    return load(*engine, checkpoint_of("bert", NULL, ""), 0);
}

static cuddle_encode_options defaults(void)
{
    cuddle_encode_options o;
    cuddle_encode_options_init(&o, sizeof o);
    return o;
}

static cuddle_segment text_of(const char *text) { return (cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = text, .count = strlen(text) }; }
static cuddle_segment ids_of(const int32_t *ids, size_t count) { return (cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = count }; }

static cuddle_request *encode(cuddle_model *h, cuddle_segment s, const cuddle_encode_options *o)
{
    cuddle_request *r;
    ck_ok(cuddle_request_encode(&r, h, &s, 1, o, NULL, NULL, &err));
    return r;
}

static cuddle_encoding_result result_of(cuddle_request *r)
{
    cuddle_encoding_result out = { .struct_size = sizeof out };
    ck_ok(cuddle_request_encoding(r, &out, &err));
    return out;
}

static const int32_t five[] = { 2, 11, 30, 7, 3 };
enum { HIDDEN = 20 };

/* The definitions of sentence-transformers' Pooling, written out once more over the hidden states. */
START_TEST(pooling_is_what_its_name_says)
{
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    cuddle_encode_options o = defaults();
    o.output = CUDDLE_ENCODE_HIDDEN;
    cuddle_request *states = encode(h, ids_of(five, 5), &o);
    test_run_steps(engine);
    const cuddle_encoding_result x = result_of(states);
    ck_assert_uint_eq(x.rows, 5);
    ck_assert_uint_eq(x.columns, HIDDEN);
    ck_assert_int_eq(cuddle_model_hidden(h), HIDDEN);
    for (size_t i = 0; i < 5; i++) ck_assert_int_eq(x.tokens[i], (int)i);
    double want[5][HIDDEN];
    for (int c = 0; c < HIDDEN; c++) {
        double v[5], mean = 0, weighted = 0, most = -INFINITY;
        for (int i = 0; i < 5; i++) {
            v[i] = (double)x.values[i * HIDDEN + c];
            mean += v[i] / 5;
            weighted += v[i] * (i + 1) / 15;
            if (v[i] > most) most = v[i];
        }
        want[CUDDLE_POOLING_MEAN][c] = mean, want[CUDDLE_POOLING_FIRST][c] = v[0], want[CUDDLE_POOLING_LAST][c] = v[4];
        want[CUDDLE_POOLING_MAX][c] = most, want[CUDDLE_POOLING_WEIGHTED_MEAN][c] = weighted;
    }
    cuddle_request *r[5], *part[5]; /* all in one step */
    o.output = CUDDLE_ENCODE_POOLED;
    for (int p = 0; p < 5; p++) {
        o.pooling = (cuddle_pooling)p, o.normalize = 0, o.dimensions = 0;
        r[p] = encode(h, ids_of(five, 5), &o);
        o.normalize = 1, o.dimensions = 7;
        part[p] = encode(h, ids_of(five, 5), &o);
    }
    test_run_steps(engine);
    for (int p = 0; p < 5; p++) {
        const cuddle_encoding_result whole = result_of(r[p]), cut = result_of(part[p]);
        ck_assert(whole.rows == 1 && whole.columns == HIDDEN && !whole.tokens && cut.columns == 7);
        double squares = 0, length = 0;
        for (int c = 0; c < 7; c++) squares += want[p][c] * want[p][c];
        for (int c = 0; c < HIDDEN; c++) ck_assert_float_eq_tol(whole.values[c], (float)want[p][c], 1e-5f);
        for (int c = 0; c < 7; c++) {
            ck_assert_float_eq_tol(cut.values[c], (float)(want[p][c] / sqrt(squares)), 1e-5f);
            length += (double)cut.values[c] * (double)cut.values[c];
        }
        ck_assert_double_eq_tol(length, 1, 1e-6);
        cuddle_request_free(r[p]);
        cuddle_request_free(part[p]);
    }
    cuddle_request_free(states);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(texts_and_pairs_become_tokens_with_types)
{
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    const cuddle_segment pair[] = { text_of("a z b"), text_of("c") };
    static const int32_t ids[] = { 2, 5, 30, 6, 3, 7, 3 }, types[] = { 0, 0, 0, 0, 0, 1, 1 };
    cuddle_encode_options o = defaults();
    cuddle_request *as_text, *as_ids, *untyped;
    ck_ok(cuddle_request_encode(&as_text, h, pair, 2, &o, NULL, NULL, &err));
    untyped = encode(h, ids_of(ids, 7), &o);
    o.type_ids = types;
    o.type_count = 7;
    as_ids = encode(h, ids_of(ids, 7), &o);
    cuddle_encoding_result early = { .struct_size = sizeof early };
    test_expect_failure(cuddle_request_encoding(as_ids, &early, &err), CUDDLE_E_BUSY, &err);
    test_run_steps(engine);
    const cuddle_encoding_result a = result_of(as_text), b = result_of(as_ids), c = result_of(untyped);
    ck_assert_uint_eq(a.count, 7);
    ck_assert_uint_eq(a.truncated, 0);
    ck_assert_mem_eq(a.ids, ids, sizeof ids);
    ck_assert_mem_eq(a.type_ids, types, sizeof types);
    if (cuddle_engine_deterministic(engine)) ck_assert_mem_eq(a.values, b.values, HIDDEN * sizeof(float));
    ck_assert(memcmp(b.values, c.values, HIDDEN * sizeof(float)) != 0);
    ck_assert_ptr_null(c.type_ids);
    cuddle_request_free(as_text);
    cuddle_request_free(as_ids);
    cuddle_request_free(untyped);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(long_texts_are_cut_only_when_asked_and_it_is_said)
{
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    char text[121];
    for (int i = 0; i < 60; i++) text[2 * i] = (char)('a' + i % 26), text[2 * i + 1] = ' ';
    text[120] = 0;
    cuddle_encode_options o = defaults();
    cuddle_request *r;
    cuddle_segment s[] = { text_of(text), text_of("a b c") };
    test_expect_failure(cuddle_request_encode(&r, h, s, 1, &o, NULL, NULL, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_ptr_null(r);
    o.max_length = 4;
    test_expect_failure(cuddle_request_encode(&r, h, s + 1, 1, &o, NULL, NULL, &err), CUDDLE_E_LIMIT, &err);
    o.max_length = 0;
    o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
    r = encode(h, s[0], &o);
    test_run_steps(engine);
    ck_assert_uint_eq(result_of(r).count, 40); /* the checkpoint's positions */
    ck_assert_uint_eq(result_of(r).truncated, 22);
    ck_assert_int_eq(result_of(r).ids[39], 3); /* [SEP] is still there */
    cuddle_request_free(r);
    o.truncation = CUDDLE_TRUNCATE_ONLY_FIRST;
    o.max_length = 10;
    ck_ok(cuddle_request_encode(&r, h, s, 2, &o, NULL, NULL, &err));
    test_run_steps(engine);
    static const int32_t want[] = { 2, 5, 6, 7, 8, 3, 5, 6, 7, 3 };
    ck_assert_uint_eq(result_of(r).count, 10);
    ck_assert_mem_eq(result_of(r).ids, want, sizeof want);
    ck_assert_uint_eq(result_of(r).truncated, 56);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* What is cut off is dropped: kept as windows, those of one text with each of the other's would be too many. */
START_TEST(both_texts_of_a_pair_may_be_very_long)
{
    enum { WORDS = 3000 };
    static char text[2 * WORDS + 1];
    for (int i = 0; i < WORDS; i++) text[2 * i] = (char)('a' + i % 26), text[2 * i + 1] = ' ';
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    cuddle_encode_options o = defaults();
    o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
    o.max_length = 7;
    const cuddle_segment s[] = { text_of(text), text_of(text) };
    cuddle_request *r;
    ck_ok(cuddle_request_encode(&r, h, s, 2, &o, NULL, NULL, &err));
    test_run_steps(engine);
    static const int32_t want[] = { 2, 5, 6, 3, 5, 6, 3 };
    ck_assert_uint_eq(result_of(r).count, 7);
    ck_assert_mem_eq(result_of(r).ids, want, sizeof want);
    ck_assert_uint_eq(result_of(r).truncated, 2 * (WORDS - 2));
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* An empty text is its special tokens, as in transformers. */
START_TEST(empty_text_is_its_special_tokens)
{
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    cuddle_encode_options o = defaults();
    cuddle_request *r = encode(h, text_of(""), &o);
    test_run_steps(engine);
    ck_assert_uint_eq(result_of(r).count, 2);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static void refused(cuddle_model *h, const cuddle_segment *s, size_t count, const cuddle_encode_options *o, cuddle_status status, const char *words)
{
    cuddle_request *r;
    test_expect_failure(cuddle_request_encode(&r, h, s, count, o, NULL, NULL, &err), status, &err);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
}

START_TEST(what_cannot_be_is_refused_by_name)
{
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model *h = load(engine, checkpoint_of("bert", "BertForTokenClassification", "bert."), 0);
    static const int32_t beyond[] = { 2, 43, 3 }, below[] = { -1 }, types[] = { 0, 2, 0 };
    const cuddle_segment good = ids_of(five, 5), mixed[] = { text_of("a"), good };
    cuddle_encode_options o = defaults();
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS }, 1, &o, CUDDLE_E_ARG, "no tokens");
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .count = 3 }, 1, &o, CUDDLE_E_ARG, "NULL");
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .count = 3 }, 1, &o, CUDDLE_E_ARG, "NULL");
    refused(h, NULL, 0, &o, CUDDLE_E_ARG, "0 segments");
    refused(h, mixed, 2, &o, CUDDLE_E_ARG, "pair of texts");
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = beyond, .count = 3 }, 1, &o, CUDDLE_E_ARG, "token 1 of the input is 43");
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = below, .count = 1 }, 1, &o, CUDDLE_E_ARG, "is -1");
    o.no_special = 1;
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "" }, 1, &o, CUDDLE_E_ARG, "no tokens");
    o = defaults();
    int32_t many[41];
    for (int i = 0; i < 41; i++) many[i] = 5;
    refused(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = many, .count = 41 }, 1, &o, CUDDLE_E_LIMIT, "40");
    o.type_ids = types, o.type_count = 3;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "type_count");
    o.type_ids = (int32_t[]){ 0, 0, 2, 0, 0 }, o.type_count = 5;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "type 2");
    refused(h, mixed, 1, &o, CUDDLE_E_ARG, "type_ids");
    o = defaults(), o.pooling = CUDDLE_POOLING_POOLER; /* the checkpoint has one, but the class does not promise it: it is there all the same */
    ck_assert_uint_eq(cuddle_model_heads(h), CUDDLE_HEAD_TOKENS | CUDDLE_HEAD_POOLER);
    o = defaults(), o.output = CUDDLE_ENCODE_LOGITS, o.head = CUDDLE_HEAD_SPANS;
    refused(h, &good, 1, &o, CUDDLE_E_UNSUPPORTED, "no head for question answering, but for token classification");
    o.head = CUDDLE_HEAD_TOKENS, o.only_token = 42;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "token 42");
    o = defaults(), o.dimensions = 21;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "dimensions is 21");
    o = defaults(), o.max_length = 41;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "max_length is 41");
    o = defaults(), o.timeout_ms = -1;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "timeout_ms");
    o = defaults(), o.output = (cuddle_encode_output)3;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "output is 3");
    o = defaults(), o.pooling = (cuddle_pooling)6;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "pooling is 6");
    o = defaults(), o.truncation = CUDDLE_TRUNCATE_AS_FILE;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "truncation is 4");
    cuddle_request *r;
    cuddle_generation_options g = test_greedy(1);
    test_expect_failure(cuddle_request_submit(&r, h, &good, 1, &g, NULL, NULL, &err), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "BertForTokenClassification is an encoder"));
    cuddle_model_free(h);

    h = load(engine, checkpoint_of("distilbert", NULL, ""), 0);
    o = defaults(), o.output = CUDDLE_ENCODE_LOGITS;
    refused(h, &good, 1, &o, CUDDLE_E_UNSUPPORTED, "DistilBertModel without a head");
    o = defaults(), o.pooling = CUDDLE_POOLING_POOLER;
    refused(h, &good, 1, &o, CUDDLE_E_UNSUPPORTED, "without a pooler");
    o = defaults(), o.type_ids = (int32_t[]){ 0, 0, 1, 0, 0 }, o.type_count = 5;
    refused(h, &good, 1, &o, CUDDLE_E_ARG, "type 1");
    cuddle_model_free(h);

    cuddle_model_options mo = test_model_options();
    h = test_model(engine, "parity/gpt2/base", &mo);
    o = defaults();
    refused(h, &good, 1, &o, CUDDLE_E_UNSUPPORTED, "generates text");
    ck_assert_uint_eq(cuddle_model_heads(h), CUDDLE_HEAD_GENERATION);
    r = test_submit_ids(h, five, 5, &g);
    test_run_steps(engine);
    cuddle_encoding_result out = { .struct_size = sizeof out };
    test_expect_failure(cuddle_request_encoding(r, &out, &err), CUDDLE_E_ARG, &err);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- labels */

static void change_config(const char *dir, const char *key, json_t *value)
{
    char path[512];
    json_t *root;
    snprintf(path, sizeof path, "%s/config.json", dir);
    ck_ok(cud_json_load(&root, path, CUD_JSON_MAX, &err));
    if (value) json_object_set_new(root, key, value);
    else json_object_del(root, key);
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

static void load_refused(cuddle_engine *engine, const char *dir, cuddle_status status, const char *words)
{
    cuddle_model *h;
    cuddle_model_options o = test_model_options();
    test_expect_failure(cuddle_model_load(&h, engine, dir, &o, &err), status, &err);
    ck_assert_msg(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
}

START_TEST(labels_are_those_of_the_config)
{
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    const char *dir = checkpoint_of("bert", "BertForSequenceClassification", "bert.");
    cuddle_model *h = load(engine, dir, 0);
    ck_assert_int_eq(cuddle_model_labels(h), 3);
    ck_assert_str_eq(cuddle_model_label(h, 0), "NEGATIVE");
    ck_assert_str_eq(cuddle_model_label(h, 2), "Très positif");
    ck_assert_ptr_null(cuddle_model_label(h, 3));
    ck_assert_ptr_null(cuddle_model_label(h, -1));
    ck_assert_int_eq(cuddle_model_problem(h), CUDDLE_PROBLEM_UNSAID);
    ck_assert_uint_eq(cuddle_model_heads(h), CUDDLE_HEAD_SEQUENCE | CUDDLE_HEAD_POOLER);
    cuddle_model_free(h);
    change_config(dir, "id2label", json_null());
    load_refused(engine, dir, CUDDLE_E_FORMAT, "\"classifier.weight\" has shape [3, 20], expected [2, 20]");
    change_config(dir, "num_labels", json_integer(3));
    change_config(dir, "problem_type", json_string("multi_label_classification"));
    h = load(engine, dir, 0);
    ck_assert_int_eq(cuddle_model_labels(h), 3);
    ck_assert_str_eq(cuddle_model_label(h, 2), "LABEL_2");
    ck_assert_int_eq(cuddle_model_problem(h), CUDDLE_PROBLEM_MULTI_LABEL);
    cuddle_model_free(h);
    change_config(dir, "problem_type", json_string("ranking"));
    load_refused(engine, dir, CUDDLE_E_UNSUPPORTED, "problem_type");
    change_config(dir, "problem_type", NULL);
    static const char *const wrong[] = { "{s:s, s:s, s:s}", "0", "1", "3" };
    change_config(dir, "id2label", json_pack(wrong[0], wrong[1], "a", wrong[2], "b", wrong[3], "c"));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "the id \"3\", expected 0 to 2");
    change_config(dir, "id2label", json_pack("{s:s, s:s, s:s}", "0", "a", "1", "b", "two", "c"));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "\"two\"");
    change_config(dir, "id2label", json_pack("{s:s, s:b}", "0", "a", "1", 1));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "the name of a label");
    change_config(dir, "id2label", json_object());
    load_refused(engine, dir, CUDDLE_E_LIMIT, "0 labels");
    change_config(dir, "id2label", NULL);
    change_config(dir, "num_labels", json_integer(1 << 20));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "num_labels");
    change_config(dir, "architectures", json_pack("[s]", "BertForNextSentencePrediction"));
    load_refused(engine, dir, CUDDLE_E_UNSUPPORTED, "BertForMaskedLM");
    change_config(dir, "architectures", json_pack("[s]", "BertForQuestionAnswering"));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "no tensor \"qa_outputs.weight\"");
    change_config(dir, "architectures", json_pack("[s]", "BertModel"));
    load_refused(engine, dir, CUDDLE_E_FORMAT, "\"classifier.");
    cuddle_engine_free(engine);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- steps and ends */

START_TEST(a_step_takes_whole_texts_up_to_its_size)
{
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model *h = load(engine, checkpoint_of("bert", NULL, ""), 70);
    int32_t ids[33];
    for (int i = 0; i < 33; i++) ids[i] = 5 + i % 26;
    cuddle_request *r[6];
    cuddle_encode_options o = defaults();
    for (int i = 0; i < 6; i++) r[i] = encode(h, ids_of(ids, 33), &o);
    test_run_steps(engine);
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_eq(stats.steps, 3); /* two of them fit */
    ck_assert_uint_eq(stats.encoded_tokens, 6 * 33);
    ck_assert_uint_eq(stats.ended_done, 6);
    for (int i = 5; i >= 0; i--) {
        ck_assert_mem_eq(result_of(r[i]).values, result_of(r[0]).values, HIDDEN * sizeof(float));
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* A head over the vocabulary computes some rows at a time: they are the same, and each goes where it belongs. */
START_TEST(logits_come_in_pieces)
{
    cuddle_engine_options eo = test_engine_options(0);
    eo.deterministic = CUDDLE_ON;
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model *h = load(engine, checkpoint_of("bert", "BertForMaskedLM", "bert."), 0);
    static const int32_t masked[] = { 2, 4, 9, 4, 3 };
    cuddle_encode_options all = defaults(), masks = defaults();
    all.output = masks.output = CUDDLE_ENCODE_LOGITS;
    masks.only_token = 4;
    cuddle_request *r[2][3];
    for (int pass = 0; pass < 2; pass++) {
        if (pass) h->m->head_rows = 3;
        r[pass][0] = encode(h, ids_of(five, 5), &all);
        r[pass][1] = encode(h, ids_of(masked, 5), &masks);
        r[pass][2] = encode(h, ids_of(masked, 5), &all);
        test_run_steps(engine);
    }
    for (int i = 0; i < 3; i++) {
        const cuddle_encoding_result a = result_of(r[0][i]), b = result_of(r[1][i]);
        ck_assert_uint_eq(a.rows, i == 1 ? 2 : 5);
        ck_assert_uint_eq(a.columns, 43);
        ck_assert_mem_eq(a.values, b.values, a.rows * a.columns * sizeof(float));
    }
    const cuddle_encoding_result some = result_of(r[1][1]), every = result_of(r[1][2]);
    ck_assert(some.tokens[0] == 1 && some.tokens[1] == 3);
    for (int i = 0; i < 2; i++) ck_assert_mem_eq(some.values + i * 43, every.values + (2 * i + 1) * 43, 43 * sizeof(float));
    for (int i = 0; i < 6; i++) cuddle_request_free(r[i / 3][i % 3]);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* A token whose embedding is infinite fails those that have it and nobody else. */
START_TEST(what_is_no_number_fails_alone)
{
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    const char *dir = checkpoint_of("bert", NULL, "");
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    cuddle_safetensors *st;
    cuddle_tensor_info info;
    ck_ok(cuddle_safetensors_open(&st, path, &err));
    ck_ok(cuddle_safetensors_get(st, cuddle_safetensors_find(st, "embeddings.word_embeddings.weight"), &info, &err));
    char *bytes = test_read_file(path, &size);
    memcpy(bytes + info.offset + 30 * HIDDEN * sizeof(float), &(float){ INFINITY }, sizeof(float));
    cuddle_safetensors_free(st);
    test_write_file(path, bytes, size);
    free(bytes);
    cuddle_model *h = load(engine, dir, 0);
    static const int32_t sound[] = { 2, 11, 3 };
    cuddle_request *r[2 * 3];
    for (int output = 0; output < 2; output++) {
        cuddle_encode_options o = defaults();
        o.output = (cuddle_encode_output)output;
        for (int i = 0; i < 3; i++) r[output * 3 + i] = encode(h, i == 1 ? ids_of(five, 5) : ids_of(sound, 3), &o);
    }
    test_run_steps(engine);
    for (int i = 0; i < 6; i++) {
        cuddle_encoding_result out = { .struct_size = sizeof out };
        const cuddle_status status = cuddle_request_encoding(r[i], &out, &err);
        if (i % 3 != 1) ck_ok(status);
        else {
            test_expect_failure(status, CUDDLE_E_FORMAT, &err);
            ck_assert_ptr_nonnull(strstr(err.text, "not a finite number"));
            ck_assert_int_eq(cuddle_request_finish(r[i]), CUDDLE_FINISH_FAILED);
        }
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static void note_end(cuddle_request *r, const cuddle_event *event, void *user)
{
    (void)r;
    *(cuddle_finish *)user = event->finish;
    ck_assert(event->token_count == 0 && event->length == 0);
}

START_TEST(requests_end_by_cancel_deadline_and_callback)
{
    cuddle_engine *engine;
    cuddle_model *h = plain_bert(&engine);
    cuddle_encode_options o = defaults();
    const cuddle_segment s = ids_of(five, 5);
    cuddle_finish ends[3] = { 0 };
    cuddle_request *r[3];
    cuddle_encoding_result out = { .struct_size = sizeof out };
    for (int i = 0; i < 3; i++) {
        o.timeout_ms = i == 1;
        ck_ok(cuddle_request_encode(&r[i], h, &s, 1, &o, note_end, &ends[i], &err));
    }
    cuddle_request_cancel(r[0]);
    struct timespec pause = { .tv_nsec = 3000000 };
    nanosleep(&pause, NULL);
    test_run_steps(engine);
    test_expect_failure(cuddle_request_encoding(r[0], &out, &err), CUDDLE_E_CANCELLED, &err);
    test_expect_failure(cuddle_request_encoding(r[1], &out, &err), CUDDLE_E_LIMIT, &err);
    ck_ok(cuddle_request_encoding(r[2], &out, &err));
    ck_assert(ends[0] == CUDDLE_FINISH_CANCELLED && ends[1] == CUDDLE_FINISH_DEADLINE && ends[2] == CUDDLE_FINISH_DONE);
    ck_assert_str_eq(cuddle_finish_name(ends[2]), "done");
    for (int i = 0; i < 3; i++) cuddle_request_free(r[i]);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(without_memory_a_request_fails_whole)
{
    cuddle_engine_options eo = test_engine_options(0);
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model *h = load(engine, checkpoint_of("roberta", "RobertaForMaskedLM", "roberta."), 0);
    cuddle_encode_options o = defaults();
    o.output = CUDDLE_ENCODE_LOGITS;
    const cuddle_segment s[] = { text_of("a b [MASK] c"), text_of("d e f") };
    cuddle_request *r = NULL;
    ck_ok(cuddle_request_encode(&r, h, s, 2, &o, NULL, NULL, &err)); /* the tokenizer keeps what it has made */
    cuddle_request_free(r);
    long n = 1;
    for (;; n++) {
        test_fail_allocation(n, true);
        const cuddle_status status = cuddle_request_encode(&r, h, s, 2, &o, NULL, NULL, &err);
        test_fail_allocation(0, false);
        if (status == CUDDLE_OK) break;
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_ptr_null(r);
    }
    ck_assert_int_gt(n, 6);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- threads */

enum { THREADS = 6, TEXTS = 30 };

typedef struct worker {
    cuddle_model *h;
    const float (*want)[HIDDEN]; /* of texts of 1 to TEXTS letters */
    int from;
} worker;

static void letters(char *text, int n)
{
    for (int i = 0; i < n; i++) text[2 * i] = (char)('a' + (i * 7 + n) % 26), text[2 * i + 1] = ' ';
    text[2 * n] = 0;
}

static void *submit_all(void *argument)
{
    const worker *w = argument;
    cuddle_request *r[TEXTS];
    cuddle_error mine = { CUDDLE_OK, "" };
    cuddle_encode_options o = defaults();
    for (int i = 0; i < TEXTS; i++) {
        char text[2 * TEXTS + 1];
        letters(text, (i + w->from) % TEXTS + 1);
        const cuddle_segment s = text_of(text);
        if (cuddle_request_encode(&r[i], w->h, &s, 1, &o, NULL, NULL, &mine)) return "a request was refused";
    }
    for (int i = 0; i < TEXTS; i++) {
        cuddle_encoding_result out = { .struct_size = sizeof out };
        if (cuddle_request_wait(r[i], -1, &mine) || cuddle_request_encoding(r[i], &out, &mine)) return "a request failed";
        if (memcmp(out.values, w->want[(i + w->from) % TEXTS], sizeof *w->want) != 0) return "a result differs";
        cuddle_request_free(r[i]);
    }
    return NULL;
}

START_TEST(threads_get_what_each_gets_alone)
{
    cuddle_engine_options eo = test_engine_options(1);
    eo.deterministic = CUDDLE_ON;
    cuddle_engine *engine = test_engine(&eo);
    cuddle_model *h = load(engine, checkpoint_of("bert", NULL, ""), 0);
    float want[TEXTS][HIDDEN];
    cuddle_encode_options o = defaults();
    for (int i = 0; i < TEXTS; i++) {
        char text[2 * TEXTS + 1];
        letters(text, i + 1);
        cuddle_request *r = encode(h, text_of(text), &o);
        ck_ok(cuddle_request_wait(r, -1, &err));
        memcpy(want[i], result_of(r).values, sizeof want[i]);
        cuddle_request_free(r);
    }
    pthread_t threads[THREADS];
    worker w[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){ h, (const float (*)[HIDDEN])want, i * 5 };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_all, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *problem;
        pthread_join(threads[i], &problem);
        ck_assert_msg(!problem, "%s", (const char *)problem);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encode");
    TCase *requests = tcase_create("requests"), *threads = tcase_create("threads");
    tcase_set_timeout(requests, 0);
    tcase_set_timeout(threads, 0);
    tcase_add_test(requests, pooling_is_what_its_name_says);
    tcase_add_test(requests, texts_and_pairs_become_tokens_with_types);
    tcase_add_test(requests, long_texts_are_cut_only_when_asked_and_it_is_said);
    tcase_add_test(requests, both_texts_of_a_pair_may_be_very_long);
    tcase_add_test(requests, empty_text_is_its_special_tokens);
    tcase_add_test(requests, what_cannot_be_is_refused_by_name);
    tcase_add_test(requests, labels_are_those_of_the_config);
    tcase_add_test(requests, a_step_takes_whole_texts_up_to_its_size);
    tcase_add_test(requests, logits_come_in_pieces);
    tcase_add_test(requests, what_is_no_number_fails_alone);
    tcase_add_test(requests, requests_end_by_cancel_deadline_and_callback);
    tcase_add_test(requests, without_memory_a_request_fails_whole);
    tcase_add_test(threads, threads_get_what_each_gets_alone);
    suite_add_tcase(suite, requests);
    suite_add_tcase(suite, threads);
    return test_run(suite);
}
