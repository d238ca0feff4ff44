/* Tensors against rows: checkpoints of tests/parity/ with an edited header or config. What is refused is refused by name, and before
 * any weight is read. */
#include "cpu/cpu.h"
#include "models/model.h"
#include "models/tensors.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[512];

static void copy_case(const char *name)
{
    char command[2048];
    snprintf(dir, sizeof dir, "%s/case", test_temp_dir());
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s/%s' '%s'", dir, test_path("parity"), name, dir);
    ck_assert_int_eq(system(command), 0);
}

/* Replaces the first `from` in text by `to`; the result is to be freed. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "there is no %s", from);
    const size_t before = (size_t)(at - text), size = strlen(text) - strlen(from) + strlen(to) + 1;
    char *out = malloc(size);
    memcpy(out, text, before);
    snprintf(out + before, size - before, "%s%s", to, at + strlen(from));
    return out;
}

static void edit_config(const char *from, const char *to)
{
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", dir);
    char *text = test_read_file(path, NULL), *edited = replaced(text, from, to);
    test_write_file(path, edited, strlen(edited));
    free(text);
    free(edited);
}

static void edit_header(const char *from, const char *to)
{
    char path[600];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    size_t size;
    char *file = test_read_file(path, &size);
    uint64_t length;
    memcpy(&length, file, sizeof length);
    char *header = strndup(file + 8, length), *edited = replaced(header, from, to);
    const uint64_t new_length = strlen(edited);
    const size_t data = size - 8 - (size_t)length;
    char *out = malloc(8 + new_length + data);
    memcpy(out, &new_length, sizeof new_length);
    memcpy(out + 8, edited, new_length);
    memcpy(out + 8 + new_length, file + 8 + length, data);
    test_write_file(path, out, 8 + new_length + data);
    free(file);
    free(header);
    free(edited);
    free(out);
}

/* Opens the case; *reads is how many preads that took. */
static cuddle_status open_case(cuddle_error *err, long *reads)
{
    cuddle_error unused = { CUDDLE_OK, "" };
    backend *b;
    model *m;
    const cud_cpu_options cpu = { .threads = 1 };
    ck_assert_int_eq(cud_cpu_backend_new(&b, &cpu, &unused), CUDDLE_OK);
    const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_DTYPE_COUNT, .max_sequences = 1, .max_batch = 8 };
    test_fail_read(0, TEST_READ_OK);
    const cuddle_status status = cud_model_open(&m, b, dir, &o, NULL, err);
    if (reads) *reads = test_fail_read(0, TEST_READ_OK);
    cud_model_free(m);
    b->ops->destroy(b);
    return status;
}

#define EMPTY "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}" /* a tensor more, and not a byte */

static const struct {
    const char *family, *from, *to; /* in the header; "config:" edits config.json instead */
    cuddle_status status;
    const char *sentence; /* NULL: accepted */
} cases[] = {
    { "llama/base", "\"model.norm.weight\"", "\"model.normal.weight\"", CUDDLE_E_FORMAT,
      "model.safetensors: there is no tensor \"model.norm.weight\", expected one of shape [48]" },
    { "llama/base", "\"lm_head.weight\"", "\"head.weight\"", CUDDLE_E_FORMAT, "there is no tensor \"lm_head.weight\"" },
    { "llama/base", "config:\"hidden_size\": 48", "\"hidden_size\": 96", CUDDLE_E_FORMAT, "model.safetensors: tensor \"model.embed_tokens.weight\" has shape [" },
    { "llama/base", "config:\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", CUDDLE_E_FORMAT,
      "there is no tensor \"model.layers.2.input_layernorm.weight\", expected one of shape [48]" },
    { "llama/base", "config:\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", CUDDLE_E_FORMAT,
      "is not part of a LlamaForCausalLM with this config.json" },
    { "llama/base", "config:\"mlp_bias\": false", "\"mlp_bias\": true", CUDDLE_E_FORMAT, "there is no tensor \"model.layers.0.mlp.gate_proj.bias\"" },
    { "llama/llama3-rope", "config:\"attention_bias\": true", "\"attention_bias\": false", CUDDLE_E_FORMAT, "is not part of a LlamaForCausalLM" },
    { "llama/base", "\"model.norm.weight\":{\"dtype\":\"F32\"", "\"model.norm.weight\":{\"dtype\":\"I32\"", CUDDLE_E_UNSUPPORTED,
      "model.safetensors: tensor \"model.norm.weight\" has type I32, expected F32, F16 or BF16" },
    /* names of tensors with and without the model's prefix */
    { "llama/base", "\"model.norm.weight\"", "\"norm.weight\"", CUDDLE_OK, NULL },
    { "gpt2/base", "\"transformer.ln_f.weight\"", "\"ln_f.weight\"", CUDDLE_OK, NULL },
    { "gpt2/base", "\"transformer.ln_f.weight\"", "\"decoder.ln_f.weight\"", CUDDLE_E_FORMAT, "there is no tensor \"transformer.ln_f.weight\"" },
    { "gpt2/base", "config:\"n_positions\": 40", "\"n_positions\": 41", CUDDLE_E_FORMAT, "tensor \"transformer.wpe.weight\" has shape [40, " },
    { "gpt2/base", "config:\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", CUDDLE_E_FORMAT, "there is no tensor \"lm_head.weight\"" },
    { "gpt2/unprefixed", "\"h.0.attn.bias\"", "\"h.0.attn.mask\"", CUDDLE_E_FORMAT, "tensor \"h.0.attn.mask\" is not part of a GPT2LMHeadModel" },
    { "gpt2/unprefixed", "\"h.0.attn.bias\"", "\"h.7.attn.bias\"", CUDDLE_E_FORMAT, "tensor \"h.7.attn.bias\" is not part of a GPT2LMHeadModel" },
    /* buffers that older files hold: left alone, but only where they belong */
    { "llama/base", "\"model.norm.weight\"", "\"model.layers.1.self_attn.rotary_emb.inv_freq\":" EMPTY ",\"model.norm.weight\"", CUDDLE_OK, NULL },
    { "llama/base", "\"model.norm.weight\"", "\"rotary_emb.inv_freq\":" EMPTY ",\"model.norm.weight\"", CUDDLE_OK, NULL },
    { "llama/base", "\"model.norm.weight\"", "\"model.layers.2.self_attn.rotary_emb.inv_freq\":" EMPTY ",\"model.norm.weight\"", CUDDLE_E_FORMAT,
      "tensor \"model.layers.2.self_attn.rotary_emb.inv_freq\" is not part of a LlamaForCausalLM" },
    { "gpt_neox/parallel", "\"embed_out.weight\"", "\"gpt_neox.layers.0.attention.bias\":" EMPTY ",\"embed_out.weight\"", CUDDLE_OK, NULL },
    { "gpt_neox/parallel", "\"embed_out.weight\"", "\"layers.1.attention.masked_bias\":" EMPTY ",\"embed_out.weight\"", CUDDLE_OK, NULL },
    { "gpt_neox/parallel", "\"embed_out.weight\"", "\"gpt_neox.layers.0.attention.rotary_emb.inv_freq\":" EMPTY ",\"embed_out.weight\"", CUDDLE_OK,
      NULL },
    /* normed heads, fused projections, norms behind branches */
    { "qwen3/base", "\"model.layers.0.self_attn.q_norm.weight\"", "\"model.layers.0.self_attn.q_normal.weight\"", CUDDLE_E_FORMAT,
      "there is no tensor \"model.layers.0.self_attn.q_norm.weight\", expected one of shape [16]" },
    { "qwen3/base", "config:\"attention_bias\": false", "\"attention_bias\": true", CUDDLE_E_FORMAT, "there is no tensor \"model.layers.0.self_attn.q_proj.bias\"" },
    { "qwen3/window", "config:\"attention_bias\": true", "\"attention_bias\": false", CUDDLE_E_FORMAT, "is not part of a Qwen3ForCausalLM" },
    { "mistral/window", "config:\"sliding_window\": 7", "\"sliding_window\": null", CUDDLE_OK, NULL },
    { "gpt_neox/parallel", "\"embed_out.weight\"", "\"lm_head.weight\"", CUDDLE_OK, NULL },
    { "gpt_neox/parallel", "\"gpt_neox.final_layer_norm.bias\"", "\"final_layer_norm.bias\"", CUDDLE_OK, NULL },
    { "gpt_neox/parallel", "config:\"attention_bias\": true", "\"attention_bias\": false", CUDDLE_E_FORMAT, "is not part of a GPTNeoXForCausalLM" },
    { "phi3/window", "config:\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3", CUDDLE_E_FORMAT,
      "tensor \"model.layers.0.self_attn.qkv_proj.weight\" has shape [80, 48], expected [144, 48]" },
    { "phi3/window", "config:\"intermediate_size\": 56", "\"intermediate_size\": 57", CUDDLE_E_FORMAT,
      "tensor \"model.layers.0.mlp.gate_up_proj.weight\" has shape [112, 48], expected [114, 48]" },
    { "gemma2/base", "\"model.layers.1.post_feedforward_layernorm.weight\"", "\"model.layers.1.after_feedforward_layernorm.weight\"", CUDDLE_E_FORMAT,
      "there is no tensor \"model.layers.1.post_feedforward_layernorm.weight\", expected one of shape [40]" },
};

START_TEST(tensors_and_rows_must_agree)
{
    copy_case(cases[_i].family);
    if (strncmp(cases[_i].from, "config:", 7) == 0) edit_config(cases[_i].from + 7, cases[_i].to);
    else edit_header(cases[_i].from, cases[_i].to);
    cuddle_error err = { CUDDLE_OK, "" };
    long reads = 0;
    const cuddle_status status = open_case(&err, &reads);
    if (!cases[_i].sentence) {
        ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
    } else {
        test_expect_failure(status, cases[_i].status, &err);
        ck_assert_msg(strstr(err.text, cases[_i].sentence) != NULL, "got \"%s\", expected \"...%s...\"", err.text, cases[_i].sentence);
    }
    ck_assert_int_eq(reads, 3); /* config.json, and of the weights the length and the header: no tensor */
}
END_TEST

START_TEST(every_length_is_made_of_its_fields)
{
    const layer_spec layer = { .heads = 6, .kv_heads = 2, .head_dim = 8, .v_dim = 7, .ffn_dim = 68, .experts = 9, .expert_dim = 11, .shared_dim = 13,
                               .q_latent = 17, .kv_latent = 19, .rope_dim = 4 };
    const stack t = { .hidden = 50, .vocabulary = 83, .positions = 64, .position_offset = 3, .buckets = 32, .context_dim = 21, .channels = 3,
                      .kernel = 14, .labels = 5, .proto = { .heads = 12 } };
    static const struct {
        dim d;
        int64_t want;
    } lengths[] = {
        { DIM_NONE, 0 }, { DIM_HIDDEN, 50 }, { DIM_VOCABULARY, 83 }, { DIM_POSITIONS, 67 }, { DIM_BUCKETS, 32 }, { DIM_CONTEXT, 21 },
        { DIM_CHANNELS, 3 }, { DIM_KERNEL, 14 }, { DIM_LABELS, 5 }, { DIM_ONE, 1 },
        { DIM_Q, 6 * 8 }, { DIM_K, 2 * 8 }, { DIM_V, 2 * 7 }, { DIM_QKV, 6 * 8 + 2 * 8 + 2 * 7 }, { DIM_O, 6 * 7 }, { DIM_HEADS, 6 }, { DIM_HEAD, 8 },
        { DIM_FFN, 68 }, { DIM_FFN_PAIR, 136 }, { DIM_EXPERTS, 9 }, { DIM_EXPERT, 11 }, { DIM_EXPERT_PAIR, 22 }, { DIM_SHARED, 13 },
        { DIM_Q_LATENT, 17 }, { DIM_KV_LATENT, 19 }, { DIM_KV_LATENT_ROPE, 23 }, { DIM_KV_EXPANDED, 6 * (8 - 4 + 7) },
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const int64_t got = cud_dim(lengths[i].d, &t, &layer);
        ck_assert_msg(got == lengths[i].want, "dim %d is %lld, expected %lld", (int)lengths[i].d, (long long)got, (long long)lengths[i].want);
    }
    ck_assert_int_eq(cud_dim(DIM_HEADS, &t, NULL), 12); /* rows of the stack: the prototype's */
}
END_TEST

/* transformers 5 uses a head that is stored although config.json says tied: then its bytes count, not the embedding's. */
START_TEST(a_stored_head_is_used_even_if_tied)
{
    copy_case("llama/base");
    edit_config("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    model *m;
    const cud_cpu_options cpu = { .threads = 1 };
    ck_ok(cud_cpu_backend_new(&b, &cpu, &err));
    const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_DTYPE_COUNT, .max_sequences = 1, .max_batch = 8 };
    ck_ok(cud_model_open(&m, b, dir, &o, NULL, &err));
    ck_assert(!m->tied);
    cud_model_free(m);
    copy_case("llama/llama3-rope"); /* tied, and nothing stored */
    ck_ok(cud_model_open(&m, b, dir, &o, NULL, &err));
    ck_assert(m->tied);
    cud_model_free(m);
    b->ops->destroy(b);
}
END_TEST

static void put(const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    test_write_file(path, text, strlen(text));
}

/* transformers 5 opens the files that an index names and takes what is in them, whatever weight_map says of it. */
START_TEST(tensors_that_the_index_forgets_are_used_or_left)
{
    char from[600], to[600];
    cuddle_error err = { CUDDLE_OK, "" };
    copy_case("llama/base");
    snprintf(from, sizeof from, "%s/model.safetensors", dir);
    snprintf(to, sizeof to, "%s/s1.safetensors", dir);
    ck_assert_int_eq(rename(from, to), 0);
    put("model.safetensors.index.json", "{\"weight_map\":{\"model.norm.weight\":\"s1.safetensors\"}}");
    edit_config("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
    backend *b;
    model *m;
    const cud_cpu_options cpu = { .threads = 1 };
    ck_ok(cud_cpu_backend_new(&b, &cpu, &err));
    const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_DTYPE_COUNT, .max_sequences = 1, .max_batch = 8 };
    ck_ok(cud_model_open(&m, b, dir, &o, NULL, &err));
    ck_assert(!m->tied); /* lm_head.weight is stored, so it is the head */
    cud_model_free(m);
    edit_config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    ck_ok(cud_model_open(&m, b, dir, &o, NULL, &err)); /* the second layer's tensors are left */
    cud_model_free(m);
    put("model.safetensors.index.json", "{\"weight_map\":{\"model.layers.1.input_layernorm.weight\":\"s1.safetensors\"}}");
    test_expect_failure(cud_model_open(&m, b, dir, &o, NULL, &err), CUDDLE_E_FORMAT, &err); /* but what the index promises has to be of use */
    ck_assert_str_eq(err.text, "s1.safetensors: tensor \"model.layers.1.input_layernorm.weight\" is not part of a LlamaForCausalLM with this config.json");
    b->ops->destroy(b);
}
END_TEST

/* With or without config.json. */
START_TEST(weights_of_other_formats_are_named_before_what_else_is_missing)
{
    static const char *const files[] = { "model.Q4_K.gguf", "pytorch_model.bin", "model.onnx", "tf_model.h5", "flax_model.msgpack", "consolidated.00.pth" };
    for (int i = 0; i < 2 * (int)(sizeof files / sizeof *files); i++) {
        cuddle_error err = { CUDDLE_OK, "" };
        char expected[100], command[1200];
        copy_case("llama/base");
        snprintf(command, sizeof command, "cd '%s' && rm *.safetensors && echo x >%s", dir, files[i / 2]);
        ck_assert_int_eq(system(command), 0);
        snprintf(command, sizeof command, "rm '%s/config.json'", dir);
        if (i % 2) ck_assert_int_eq(system(command), 0);
        test_expect_failure(open_case(&err, NULL), CUDDLE_E_UNSUPPORTED, &err);
        snprintf(expected, sizeof expected, ": only %s, ", files[i / 2]);
        ck_assert_msg(strstr(err.text, expected) != NULL, "%s", err.text);
    }
    char whole[512]; /* the file itself given as the model */
    strcpy(whole, dir);
    strcat(dir, "/consolidated.00.pth");
    cuddle_error err = { CUDDLE_OK, "" };
    test_expect_failure(open_case(&err, NULL), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_ptr_nonnull(strstr(err.text, ": only consolidated.00.pth, which is executable pickle data"));
    snprintf(dir, sizeof dir, "%.480s/nothing", whole);
    err = (cuddle_error){ CUDDLE_OK, "" };
    test_expect_failure(open_case(&err, NULL), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing/config.json: No such file or directory"));
}
END_TEST

START_TEST(every_failed_allocation_of_a_plan_is_an_error)
{
    static const char *const plans[] = { "parity/llama/sharded-bf16", "parity/gpt_neox/parallel", "parity/gemma2/base" };
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    const cud_cpu_options cpu = { .threads = 1 };
    ck_ok(cud_cpu_backend_new(&b, &cpu, &err));
    const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_DTYPE_COUNT, .max_sequences = 1, .max_batch = 8 };
    for (long n = 1;; n++) {
        model *m;
        err = (cuddle_error){ CUDDLE_OK, "" };
        test_fail_allocation(n, false);
        const cuddle_status status = cud_model_open(&m, b, test_path(plans[_i]), &o, NULL, &err);
        const long counted = test_fail_allocation(0, false);
        cud_model_free(m);
        if (status == CUDDLE_OK && counted < n) break;
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_int_lt((int)n, 5000);
    }
    b->ops->destroy(b);
}
END_TEST

START_TEST(reads_that_fail_while_opening_are_errors)
{
    for (int fault = TEST_READ_SHORT; fault <= TEST_READ_EOF; fault++) {
        for (long n = 1; n <= 3; n++) {
            copy_case("gpt2/base");
            cuddle_error err = { CUDDLE_OK, "" };
            backend *b;
            model *m;
            const cud_cpu_options cpu = { .threads = 1 };
            ck_ok(cud_cpu_backend_new(&b, &cpu, &err));
            const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_DTYPE_COUNT, .max_sequences = 1, .max_batch = 8 };
            test_fail_read(n, (test_read_fault)fault);
            const cuddle_status status = cud_model_open(&m, b, dir, &o, NULL, &err);
            test_fail_read(0, TEST_READ_OK);
            if (fault == TEST_READ_SHORT || fault == TEST_READ_EINTR) ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
            else test_expect_failure(status, CUDDLE_E_IO, &err);
            cud_model_free(m);
            b->ops->destroy(b);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tensors");
    TCase *tc = tcase_create("tensors");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, tensors_and_rows_must_agree, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tc, every_length_is_made_of_its_fields);
    tcase_add_test(tc, a_stored_head_is_used_even_if_tied);
    tcase_add_test(tc, tensors_that_the_index_forgets_are_used_or_left);
    tcase_add_test(tc, weights_of_other_formats_are_named_before_what_else_is_missing);
    tcase_add_loop_test(tc, every_failed_allocation_of_a_plan_is_an_error, 0, 3);
    tcase_add_test(tc, reads_that_fail_while_opening_are_errors);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
