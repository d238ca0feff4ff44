/* Grammars against what others say of the same texts: PCRE2 of regular expressions, jansson of JSON, jsonschema (by way of files) of schemas,
 * each token by itself of masks. */
#include "grammar/grammar.h"
#include "support.h"
#include "core/utf8.h"
#include "text/lexicon.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static cuddle_tokenizer *kjv;

static void load(void) { ck_ok(cud_tokenizer_load(&kjv, test_path("models/kjv-gpt2"), &err)); }
static void unload(void) { cud_tokenizer_free(kjv); }

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned below(uint64_t *state, unsigned n) { return (unsigned)(next_random(state) >> 20) % n; }

static cuddle_grammar *compile(cuddle_grammar_kind kind, const char *source)
{
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = kind;
    o.source = source;
    o.length = source ? strlen(source) : 0;
    ck_assert_msg(cuddle_grammar_compile(&g, kjv, &o, &err) == CUDDLE_OK, "%s: %s", source ? source : "-", err.text);
    return g;
}

/* 0: no text begins so; 1: a beginning; 2: a text, which may go on; */
static int judge(cuddle_grammar *g, const char *text, size_t length)
{
    int begins, whole;
    ck_ok(cuddle_grammar_match(&begins, &whole, g, text, length, &err));
    ck_assert(begins || !whole);
    return begins + whole;
}

static void expect(cuddle_grammar *g, const char *text, int wanted)
{
    const int got = judge(g, text, strlen(text));
    ck_assert_msg(got == wanted, "'%s' is judged %d instead of %d", text, got, wanted);
}

/* ---- hand values ---- */

START_TEST(follows_each_notation)
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, "^(ab|c)*d{2,3}[^x-z]\xc3\xa9?$");
    expect(g, "", 1);
    expect(g, "abcabdd1", 2);
    expect(g, "dd", 1);
    expect(g, "ddd\xe2\x82\xac", 2);
    expect(g, "ddd\xe2\x82", 1);
    expect(g, "ddz", 0);
    expect(g, "dddq\xc3\xa9", 2);
    expect(g, "dddq\xc3\xa9.", 0);
    cuddle_grammar_free(g);

    g = compile(CUDDLE_GRAMMAR_GBNF, "# sums\nroot ::= term ([-+] term)* # to the end\nterm ::= \"x\" |\n  [0-9]{1,2} | (\n \"(\" root \")\" )\n");
    expect(g, "x+(12-(x))", 2);
    expect(g, "x+(12-(x)", 1);
    expect(g, "123", 0);
    expect(g, "((((((((((x", 1);
    cuddle_grammar_free(g);

    g = compile(CUDDLE_GRAMMAR_JSON, NULL);
    expect(g, "{}", 2);
    expect(g, "{\"a\": [1,-2.5e+3, {\"\":null}],\"b\":\"\\n\\u001f\xc3\xa9\"}", 2);
    expect(g, "[", 0);
    expect(g, "{\"a\":  1", 0);
    expect(g, "{\"a\":01", 0);
    expect(g, "{\"a\":\"\\u0000", 0);
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(takes_one_of_the_choices)
{
    static const char *const words[] = { "yes", "no", "yesterday", "", "n\xc3\xb6", "yes" };
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_CHOICE;
    o.choices = words;
    o.choice_count = 6;
    ck_ok(cuddle_grammar_compile(&g, kjv, &o, &err));
    for (int i = 0; i < 6; i++) expect(g, words[i], 2);
    expect(g, "yeste", 1);
    expect(g, "n\xc3", 1);
    expect(g, "yesno", 0);
    cuddle_grammar_free(g);
}
END_TEST

static const char *const bounds[] = {
    "{\"type\":\"integer\",\"minimum\":-105,\"maximum\":1020}",       "{\"type\":\"integer\",\"exclusiveMinimum\":-1,\"exclusiveMaximum\":100}",
    "{\"type\":\"integer\",\"minimum\":37,\"maximum\":37}",           "{\"type\":\"integer\",\"minimum\":-999,\"maximum\":-90}",
    "{\"type\":\"integer\",\"minimum\":0.5,\"maximum\":9.5}",         "{\"type\":\"integer\",\"minimum\":137,\"maximum\":2468}",
    "{\"type\":\"integer\",\"minimum\":-2299,\"maximum\":-1304}",
};
static const int limits[][2] = { { -105, 1020 }, { 0, 99 }, { 37, 37 }, { -999, -90 }, { 1, 9 }, { 137, 2468 }, { -2299, -1304 } };

START_TEST(integers_are_within_their_bounds) /* every number of up to four digits */
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, bounds[_i]);
    for (int v = -2500; v <= 2500; v++) {
        char text[16];
        snprintf(text, sizeof text, "%d", v);
        const bool whole = judge(g, text, strlen(text)) == 2;
        ck_assert_msg(whole == (v >= limits[_i][0] && v <= limits[_i][1]), "%s in %s", text, bounds[_i]);
    }
    expect(g, "-0", 0);
    expect(g, "00", 0);
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(objects_have_what_is_required_and_what_is_allowed)
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"properties\":{\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":\"null\"},\"q\\\"\":{\"type\":\"null\"}},"
                                "\"required\":[\"b\",\"a\"],\"additionalProperties\":{\"type\":\"boolean\"}}");
    expect(g, "{\"a\":1,\"b\":true}", 2);
    expect(g, "{\"a\":1, \"ab\": null, \"b\":true, \"abc\":false,\"\":true, \"q\":true}", 2);
    expect(g, "{\"a\":1}", 0);
    expect(g, "{\"a\":1,\"b\":1", 0);
    expect(g, "{\"a\":1,\"b\":true,\"a\"", 0);
    expect(g, "{\"a\":1,\"b\":true,\"ab\"", 0);
    expect(g, "{\"a\":1,\"b\":true,\"b\"", 0);
    expect(g, "{\"a\":1,\"b\":true,\"q\\\"\"", 0);
    expect(g, "{\"a\":1,\"b\":true,\"q\\\"s\":false}", 2);
    cuddle_grammar_free(g);
    g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"string\",\"nullable\":true,\"maxLength\":1}"); /* OpenAPI's, unknown to JSON Schema */
    expect(g, "null", 2);
    expect(g, "\"x\"", 2);
    expect(g, "\"xy", 0);
    cuddle_grammar_free(g);
    g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"#/$defs/list\",\"$defs\":{\"list\":{\"type\":\"object\",\"properties\":{\"v\":{\"const\":1},\"n\":{\"anyOf\":[{\"$ref\":\"#/$defs/list\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"n\"]}}}");
    expect(g, "{\"v\":1,\"n\":{\"v\":1,\"n\":{\"v\":1,\"n\":null}}}", 2);
    expect(g, "{\"v\":1,\"n\":{\"v\":1}", 0);
    cuddle_grammar_free(g);
}
END_TEST

/* ---- regular expressions against PCRE2 ---- */

static void random_regex(char *out, size_t size, uint64_t *random, int depth)
{
    static const char *const atoms[] = { "a", "b", "c", "\xc3\xa9", "[ab]", "[^a]", "[a-c]", "\\d", "\\w", "\\s", "\\D", "\\W", "[^\\d\xe2\x82\xac]", ".", "\\.", "\\x61", "\\x{e9}", "[\\w-]", "1", "-" };
    static const char *const quantifiers[] = { "*", "+", "?", "{2}", "{1,}", "{0,2}", "{2,3}", "*?", "{3}", "{0}" };
    const unsigned branches = below(random, 4) ? 1 : 2;
    size_t used = 0;
    out[0] = 0;
    for (unsigned b = 0; b < branches; b++) {
        if (b) used += (size_t)snprintf(out + used, size - used, "|");
        for (unsigned n = below(random, 4); n > 0 && used + 200 < size; n--) {
            if (depth > 0 && below(random, 3) == 0) {
                char inner[512];
                random_regex(inner, sizeof inner, random, depth - 1);
                if (used + strlen(inner) + 16 > size) break;
                used += (size_t)snprintf(out + used, size - used, below(random, 2) ? "(%s)" : "(?:%s)", inner);
            } else {
                used += (size_t)snprintf(out + used, size - used, "%s", atoms[below(random, sizeof atoms / sizeof *atoms)]);
            }
            if (below(random, 2) == 0) used += (size_t)snprintf(out + used, size - used, "%s", quantifiers[below(random, sizeof quantifiers / sizeof *quantifiers)]);
        }
    }
}

static size_t random_text(char *out, uint64_t *random, unsigned most)
{
    static const char *const parts[] = { "a", "b", "c", "1", "-", ".", " ", "_", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "a", "b", "aa" };
    size_t used = 0;
    out[0] = 0;
    for (unsigned n = below(random, most + 1); n > 0; n--) used += (size_t)snprintf(out + used, 8, "%s", parts[below(random, sizeof parts / sizeof *parts)]);
    return used;
}

/* Of a pattern that ends with \\z. PCRE2 gives no partial match for the empty text. */
static bool pcre_whole(pcre2_code *code, const char *text, size_t length, bool *begins, bool *told)
{
    pcre2_match_data *data = pcre2_match_data_create(8, NULL);
    const int got = pcre2_match(code, (PCRE2_SPTR)text, length, 0, PCRE2_ANCHORED | PCRE2_PARTIAL_SOFT, data, NULL);
    pcre2_match_data_free(data);
    ck_assert_msg(got >= 0 || got == PCRE2_ERROR_NOMATCH || got == PCRE2_ERROR_PARTIAL || got == PCRE2_ERROR_MATCHLIMIT, "PCRE2 says %d of '%s'", got, text);
    *begins = got == PCRE2_ERROR_PARTIAL || got >= 0;
    *told = got != PCRE2_ERROR_MATCHLIMIT; /* backtracking took too long */
    return got >= 0;
}

START_TEST(regular_expressions_mean_what_pcre2_takes_them_for)
{
    uint64_t random = 0x9e3779b97f4a7c15u;
    size_t wholes = 0, beginnings = 0, neither = 0;
    for (int i = 0; i < 1500; i++) {
        char pattern[1024], text[128], whole_text[1100];
        random_regex(pattern, sizeof pattern, &random, 3);
        snprintf(whole_text, sizeof whole_text, "(?:%s)\\z", pattern);
        int code_error;
        PCRE2_SIZE at;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)whole_text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code_error, &at, NULL);
        ck_assert_msg(code != NULL, "PCRE2 does not take %s", pattern);
        cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, pattern);
        for (int k = 0; k < 40; k++) {
            const size_t length = random_text(text, &random, 9);
            bool begins, told;
            const bool whole = pcre_whole(code, text, length, &begins, &told);
            if (!told) continue;
            const int got = judge(g, text, length);
            ck_assert_msg((got == 2) == whole, "'%s' and %s: %d instead of %d", text, pattern, got, whole);
            ck_assert_msg(!length || (got >= 1) == begins, "'%s' and %s: %d, but it %s", text, pattern, got, begins ? "begins one" : "begins none");
            wholes += whole;
            beginnings += got == 1;
            neither += got == 0;
        }
        cuddle_grammar_free(g);
        pcre2_code_free(code);
    }
    ck_assert(wholes > 2000 && beginnings > 2000 && neither > 2000); /* so that each kind was compared */
}
END_TEST

/* ---- JSON against jansson ---- */

static void random_json(json_t **out, uint64_t *random, int depth)
{
    static const char *const texts[] = { "", "a", "\"", "\\", "\n\t", "\x01\x10", "\xc3\xa9", "\xf0\x9f\x98\x80", "a b", "/", "{}", "\x7f" };
    switch (below(random, depth > 0 ? 8 : 6)) {
    case 0: *out = json_null(); break;
    case 1: *out = json_boolean(below(random, 2)); break;
    case 2: *out = json_integer((json_int_t)below(random, 100000) - 50000); break;
    case 3: *out = json_real(((double)below(random, 2000000) - 1e6) / 1024.0); break;
    case 4:
    case 5: *out = json_string(texts[below(random, sizeof texts / sizeof *texts)]); break;
    case 6:
        *out = json_array();
        for (unsigned n = below(random, 4); n > 0; n--) {
            json_t *item;
            random_json(&item, random, depth - 1);
            json_array_append_new(*out, item);
        }
        break;
    default:
        *out = json_object();
        for (unsigned n = below(random, 4); n > 0; n--) {
            json_t *item;
            random_json(&item, random, depth - 1);
            json_object_set_new(*out, texts[below(random, sizeof texts / sizeof *texts)], item);
        }
    }
}

START_TEST(json_is_what_jansson_takes)
{
    uint64_t random = 88172645463325252u;
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON, NULL);
    size_t taken = 0, refused = 0, both = 0;
    for (int i = 0; i < 3000; i++) {
        json_t *document = json_object(), *value;
        for (unsigned n = below(&random, 4); n > 0; n--) {
            random_json(&value, &random, 3);
            json_object_set_new(document, n % 2 ? "key" : "\xc3\xa9\"", value);
        }
        char *text = json_dumps(document, below(&random, 2) ? JSON_COMPACT : 0);
        size_t length = strlen(text);
        const int got = judge(g, text, length);
        ck_assert_msg(got == 2, "%s is judged %d", text, got);
        taken++;
        /* A mutation: what is taken then is JSON; what is not JSON is not taken. */
        for (int k = 0; k < 10 && length > 0; k++) {
            char mutant[4096];
            if (length + 2 > sizeof mutant) break;
            const size_t at = below(&random, (unsigned)length);
            memcpy(mutant, text, length + 1);
            if (below(&random, 2)) mutant[at] = "{}[]\",:0-.eE truefalsn\\"[below(&random, 23)];
            else memmove(mutant + at, mutant + at + 1, length - at);
            const size_t size = strlen(mutant);
            json_error_t error;
            json_t *parsed = json_loadb(mutant, size, JSON_REJECT_DUPLICATES * 0, &error);
            const int judged = judge(g, mutant, size);
            ck_assert_msg(judged != 2 || json_is_object(parsed), "%s is taken, jansson: %s", mutant, error.text);
            refused += judged != 2 && !parsed;
            both += judged == 2;
            json_decref(parsed);
        }
        free(text);
        json_decref(document);
    }
    ck_assert(taken == 3000 && refused > 3000 && both > 1000);
    cuddle_grammar_free(g);
}
END_TEST

/* ---- schemas against jsonschema, by way of tests/schemas ---- */

START_TEST(schemas_take_what_is_valid)
{
    DIR *dir = opendir(test_path("schemas"));
    size_t schemas = 0, good = 0, bad = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        const char *dot = strstr(e->d_name, ".json");
        if (!dot) continue;
        snprintf(path, sizeof path, "schemas/%s", e->d_name);
        char *schema = test_read_file(test_path(path), NULL);
        snprintf(path, sizeof path, "schemas/texts/%.*s.txt", (int)(dot - e->d_name), e->d_name);
        char *texts = test_read_file(test_path(path), NULL);
        cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, schema);
        for (char *line = texts, *end; (end = strchr(line, '\n')); line = end + 1) {
            const bool wanted = *line == '+';
            *end = 0;
            ck_assert_msg((judge(g, line + 1, strlen(line + 1)) == 2) == wanted, "%s: %s", e->d_name, line);
            good += wanted;
            bad += !wanted;
        }
        schemas++;
        cuddle_grammar_free(g);
        free(schema);
        free(texts);
    }
    closedir(dir);
    ck_assert(schemas == 50 && good > 400 && bad > 400);
}
END_TEST

/* ---- what is refused, and how ---- */

static const struct { cuddle_grammar_kind kind; const char *source; cuddle_status status; const char *says; } refused[] = {
    { CUDDLE_GRAMMAR_REGEX, "a(?=b)", CUDDLE_E_UNSUPPORTED, "byte 1: a group (?= is not supported" },
    { CUDDLE_GRAMMAR_REGEX, "\\bword", CUDDLE_E_UNSUPPORTED, "byte 0: \\b is not supported" },
    { CUDDLE_GRAMMAR_REGEX, "(a)\\1", CUDDLE_E_UNSUPPORTED, "\\1 is not supported" },
    { CUDDLE_GRAMMAR_REGEX, "a++", CUDDLE_E_UNSUPPORTED, "possessive" },
    { CUDDLE_GRAMMAR_REGEX, "(^a)", CUDDLE_E_UNSUPPORTED, "^ is supported only at the ends" },
    { CUDDLE_GRAMMAR_REGEX, "[[:alpha:]]", CUDDLE_E_UNSUPPORTED, "a named class [:" },
    { CUDDLE_GRAMMAR_REGEX, "(a", CUDDLE_E_FORMAT, "byte 0: a group is not closed" },
    { CUDDLE_GRAMMAR_REGEX, "a)", CUDDLE_E_FORMAT, "')' without a group" },
    { CUDDLE_GRAMMAR_REGEX, "[z-a]", CUDDLE_E_FORMAT, "ends before it begins" },
    { CUDDLE_GRAMMAR_REGEX, "*", CUDDLE_E_FORMAT, "nothing is there for * to repeat" },
    { CUDDLE_GRAMMAR_REGEX, "a{3,2}", CUDDLE_E_FORMAT, "{3,2} is no range" },
    { CUDDLE_GRAMMAR_REGEX, "a{1,1000001}", CUDDLE_E_LIMIT, "more than 1000000 repetitions" },
    { CUDDLE_GRAMMAR_REGEX, "\xff", CUDDLE_E_FORMAT, "is not UTF-8 at byte 0" },
    { CUDDLE_GRAMMAR_REGEX, "(a?){1000}", CUDDLE_E_UNSUPPORTED, "repeats a part that can be empty up to 1000 times" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= root \"a\" | \"b\"", CUDDLE_E_FORMAT, "\"root\" begins with itself" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= a \"x\"\na ::= \"y\"* b\nb ::= a \"z\" | \"\"", CUDDLE_E_FORMAT, "begins with itself" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= \"a\" root", CUDDLE_E_FORMAT, "matches no text at all" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= x", CUDDLE_E_FORMAT, "rule \"x\" is used but not defined" },
    { CUDDLE_GRAMMAR_GBNF, "x ::= \"a\"", CUDDLE_E_FORMAT, "no rule \"root\"" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= \"a\"\nroot ::= \"b\"", CUDDLE_E_FORMAT, "rule \"root\" is defined twice" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= \"a", CUDDLE_E_FORMAT, "a text is not closed" },
    { CUDDLE_GRAMMAR_GBNF, "root ::= <[7]>", CUDDLE_E_UNSUPPORTED, "tokens by name" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"properties\":{\"a\":{\"not\":{}}}}", CUDDLE_E_UNSUPPORTED, "schema #/properties/a/not: this keyword is not supported" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"patternProperties\":{}}", CUDDLE_E_UNSUPPORTED, "#/patternProperties" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"array\",\"uniqueItems\":true}", CUDDLE_E_UNSUPPORTED, "#/uniqueItems" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"string\",\"format\":\"hostname\"}", CUDDLE_E_UNSUPPORTED, "#/format: \"hostname\"" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":3}", CUDDLE_E_UNSUPPORTED, "#/pattern" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"string\",\"pattern\":\"(?i)a\"}", CUDDLE_E_UNSUPPORTED, "schema #/pattern: byte 0" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"strung\"}", CUDDLE_E_FORMAT, "#/type: \"strung\" is no type" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"#/$defs/x\"}", CUDDLE_E_FORMAT, "there is no \"#/$defs/x\"" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"http://x/y\"}", CUDDLE_E_UNSUPPORTED, "only references within the document" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"#\"}", CUDDLE_E_FORMAT, "matches no text at all" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"allOf\":[{\"$ref\":\"#\"}]}", CUDDLE_E_LIMIT, "lead to each other" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", CUDDLE_E_FORMAT, "\"#\" begins with itself" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", CUDDLE_E_FORMAT, "matches no text at all" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", CUDDLE_E_FORMAT, "matches no text at all" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"string\",\"maxLength\":3}]}", CUDDLE_E_UNSUPPORTED, "#/oneOf: a value could match both 0 and 1" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{\"type\":\"number\",\"minimum\":0.5}", CUDDLE_E_UNSUPPORTED, "#/minimum: 0.5" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "{", CUDDLE_E_FORMAT, "schema: byte 1" },
    { CUDDLE_GRAMMAR_JSON_SCHEMA, "[]", CUDDLE_E_FORMAT, "schema" },
};

START_TEST(refuses_with_a_sentence)
{
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = refused[_i].kind;
    o.source = refused[_i].source;
    o.length = strlen(o.source);
    const cuddle_status status = cuddle_grammar_compile(&g, kjv, &o, &err);
    ck_assert_msg(status == refused[_i].status && err.status == status && !g, "%s: status %d: %s", o.source, (int)status, err.text);
    ck_assert_msg(strstr(err.text, refused[_i].says) != NULL, "%s: %s", o.source, err.text);
}
END_TEST

static char *repeated(const char *begin, const char *part, int times, const char *end)
{
    char *out = malloc(strlen(begin) + strlen(part) * (size_t)times + strlen(end) + 1), *at = out;
    at = stpcpy(at, begin);
    for (int i = 0; i < times; i++) at = stpcpy(at, part);
    stpcpy(at, end);
    return out;
}

START_TEST(hostile_sources_meet_a_limit)
{
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    char *deep = repeated("", "(", 5000, ""), *many = repeated("", "[a-z]{0,1000}", 30000, "");
    o.source = deep;
    o.length = strlen(deep);
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    o.source = many;
    o.length = strlen(many);
    o.max_memory = 1 << 20;
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    o.max_memory = 0;
    o.max_steps = 1000;
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    o.max_source = 100;
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    free(deep);
    free(many);

    /* A name of a megabyte, letter by letter; two lists of 50,000 values, each with each. */
    char *name = repeated("{\"properties\":{\"", "n", 900000, "\":{}},\"additionalProperties\":true}");
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_JSON_SCHEMA;
    o.source = name;
    o.length = strlen(name);
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    free(name);
    char *ones = repeated("{\"enum\":[0", ",1", 50000, "]}"), *twos = repeated("{\"enum\":[3", ",2", 50000, "]}"), *both = malloc(300000);
    snprintf(both, 300000, "{\"oneOf\":[%s,%s]}", ones, twos);
    o.source = both;
    o.length = strlen(both);
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
    free(ones);
    free(twos);
    free(both);

    /* Each of these doubles what the one before it says. */
    char schema[8192];
    size_t used = (size_t)snprintf(schema, sizeof schema, "{\"$ref\":\"#/$defs/d40\",\"$defs\":{\"d0\":{\"properties\":{\"a\":{\"type\":\"integer\"}}}");
    for (int i = 1; i <= 40; i++)
        used += (size_t)snprintf(schema + used, sizeof schema - used, ",\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}],\"title\":\"x\"}", i, i - 1, i - 1);
    snprintf(schema + used, sizeof schema - used, "}}");
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_JSON_SCHEMA;
    o.source = schema;
    o.length = strlen(schema);
    test_expect_failure(cuddle_grammar_compile(&g, kjv, &o, &err), CUDDLE_E_LIMIT, &err);
}
END_TEST

START_TEST(texts_of_which_too_much_must_be_kept_meet_a_limit)
{
    /* Two loops share the text in as many ways as it has letters. */
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    int begins;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = "(a{0,10000}b?){0,10000}a{0,10000}a{0,10000}c";
    o.length = strlen(o.source);
    o.max_steps = 20000;
    char *text = repeated("", "a", 600, "");
    cuddle_status status = cuddle_grammar_compile(&g, kjv, &o, &err);
    if (!status) status = cuddle_grammar_match(&begins, NULL, g, text, strlen(text), &err);
    ck_assert_msg(status == CUDDLE_E_LIMIT || status == CUDDLE_E_UNSUPPORTED, "%d %s", (int)status, err.text);
    cuddle_grammar_free(g);
    o.source = "a{0,10000}a{0,10000}c";
    o.length = strlen(o.source);
    ck_ok(cuddle_grammar_compile(&g, kjv, &o, &err));
    test_expect_failure(cuddle_grammar_match(&begins, NULL, g, text, strlen(text), &err), CUDDLE_E_LIMIT, &err);
    cuddle_grammar_free(g);
    free(text);
}
END_TEST

START_TEST(repetitions_cost_no_memory)
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, "([ab]{1000000}c){1000000}");
    cuddle_grammar_info info = { .struct_size = sizeof info };
    ck_ok(cuddle_grammar_get_info(g, &info, &err));
    ck_assert_uint_lt(info.program_bytes, 10000);
    expect(g, "abba", 1);
    expect(g, "abbac", 0);
    cuddle_grammar_free(g);
    g = compile(CUDDLE_GRAMMAR_REGEX, "(ab{3}){400}");
    char *text = repeated("", "abbb", 400, "");
    expect(g, text, 2);
    text[strlen(text) - 1] = 0;
    expect(g, text, 1);
    cuddle_grammar_free(g);
    free(text);
}
END_TEST

START_TEST(nesting_is_bounded_and_always_comes_to_an_end) /* no text is followed into a depth that it could not leave */
{
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_GBNF;
    o.source = "root ::= \"(\" \"<\" root \">\" \")\" | \"x\"";
    o.length = strlen(o.source);
    o.max_depth = 3;
    ck_ok(cuddle_grammar_compile(&g, kjv, &o, &err));
    expect(g, "(<(<(<x>)>)>)", 2);
    expect(g, "(<(<(<x", 1);
    expect(g, "(<(<(<(", 0);
    cuddle_grammar_free(g);
}
END_TEST

/* ---- tokens ---- */

static const char *const tokenizers[] = { "models/kjv-gpt2", "tokenizers/llama-spm", "tokenizers/metaspace-first", "tokenizers/unigram-bytes", "tokenizers/gpt2", "tokenizers/o200k" };

START_TEST(tokens_have_the_bytes_that_decoding_gives)
{
    cuddle_tokenizer *t = NULL;
    const cud_lexicon *x = NULL;
    ck_ok(cud_tokenizer_load(&t, test_path(tokenizers[_i]), &err));
    ck_ok(cud_lexicon_of(&x, t, &err));
    int32_t before = -1;
    size_t compared = 0, size;
    for (int32_t id = 0; id < x->size && before < 0; id++) /* a token that ends a word, so that the next is not the first */
        if (cud_lexicon_bytes(x, id, &size), size == 1 && *cud_lexicon_bytes(x, id, &size) == 'a') before = id;
    ck_assert_int_ge(before, 0);
    for (int32_t id = 0; id < x->size; id++) {
        const char *bytes = cud_lexicon_bytes(x, id, &size);
        const int32_t ids[] = { before, id, before };
        char *text = NULL;
        size_t length = 0;
        if (!size) continue;
        ck_ok(cud_tokenizer_decode(&text, &length, t, ids, 3, 0, &err));
        const bool whole = cud_utf8_valid(bytes, size) == size;
        if (whole) ck_assert_msg(length == size + 2 && memcmp(text + 1, bytes, size) == 0, "token %d: '%s'", (int)id, text);
        else ck_assert_ptr_nonnull(strstr(text, "\xef\xbf\xbd"));
        compared += whole;
        free(text);
    }
    ck_assert_uint_gt(compared, 20);
    cud_lexicon_release(x);
    cud_tokenizer_free(t);
}
END_TEST

static const char *const texts_of[] = {
    "\\{\"[^\"]{0,12}\": ?(\\d{1,3}|true)\\}", ".*", "(yes|no|[a-z]+ [A-Z]\\w*)", "[^a]{0,4}[\xc3\xa0-\xe4\xb8\xad]*\\s", "(\"([^\"\\\\]|\\\\[\"n])*\",? ?)*", "[\"\\\\\\x00-\\x1f]+|.{0,3}",
};

START_TEST(masks_hold_what_each_token_by_itself_would) /* and stay so after what is kept was thrown away */
{
    cuddle_tokenizer *t = NULL;
    const cud_lexicon *x = NULL;
    const int tokenizer = _i / 6;
    uint64_t random = 1234567891 + (uint64_t)_i;
    ck_ok(cud_tokenizer_load(&t, test_path(tokenizers[tokenizer]), &err));
    ck_ok(cud_lexicon_of(&x, t, &err));
    const size_t words = (size_t)x->words + 1;
    uint32_t *mask = calloc(words, sizeof *mask);
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = texts_of[_i % 6];
    o.length = strlen(o.source);
    ck_ok(cuddle_grammar_compile(&g, t, &o, &err));
    for (int text = 0; text < 4; text++) {
        cud_matcher *m = NULL;
        ck_ok(cud_matcher_new(&m, g, true, &err));
        char said[2048];
        size_t length = 0;
        for (int step = 0; step < 6; step++) {
            size_t allowed = 0;
            ck_ok(cud_matcher_mask(mask, words, m, &err));
            ck_assert_uint_eq(mask[words - 1], 0);
            for (int32_t id = 0; id < x->size; id++) {
                size_t size;
                const char *bytes = cud_lexicon_bytes(x, id, &size);
                if (size > 1 && x->size > 4000 && (id + step) % 7) continue; /* of large vocabularies a part */
                if (length + size > sizeof said) continue;
                memcpy(said + length, bytes, size);
                const bool wanted = size > 0 && judge(g, said, length + size) > 0;
                ck_assert_msg((mask[id / 32] >> id % 32 & 1) == wanted, "token %d '%.*s' behind '%.*s' of %s", (int)id, (int)size, bytes, (int)length, said, o.source);
            }
            for (int32_t id = 0; id < x->size; id++) allowed += mask[id / 32] >> id % 32 & 1;
            if (!allowed) break;
            size_t take = below(&random, (unsigned)allowed);
            int32_t id = 0;
            while (!(mask[id / 32] >> id % 32 & 1) || take--) id++;
            size_t size;
            const char *bytes = cud_lexicon_bytes(x, id, &size);
            if (length + size > 200) break;
            ck_ok(cud_matcher_token(m, id, &err));
            memcpy(said + length, bytes, size);
            length += size;
        }
        cud_matcher_free(m);
    }
    free(mask);
    cuddle_grammar_free(g);
    cud_lexicon_release(x);
    cud_tokenizer_free(t);
}
END_TEST

START_TEST(throwing_away_what_is_kept_changes_nothing)
{
    cuddle_grammar_options o;
    cuddle_grammar *small = NULL, *large;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = "(\\w{0,40}[^\\w]{1,3}){200}";
    o.length = strlen(o.source);
    large = compile(o.kind, o.source);
    o.max_memory = 150000;
    ck_ok(cuddle_grammar_compile(&small, kjv, &o, &err));
    const size_t words = ((size_t)cud_tokenizer_size(kjv) + 31) / 32;
    uint32_t *a = calloc(words, sizeof *a), *b = calloc(words, sizeof *b);
    uint64_t random = 42;
    cud_matcher *first[3], *second[3];
    for (int i = 0; i < 3; i++) {
        ck_ok(cud_matcher_new(&first[i], small, true, &err));
        ck_ok(cud_matcher_new(&second[i], large, true, &err));
    }
    for (int step = 0; step < 300; step++) {
        const int i = step % 3;
        ck_ok(cud_matcher_mask(a, words, first[i], &err));
        ck_ok(cud_matcher_mask(b, words, second[i], &err));
        ck_assert_mem_eq(a, b, words * sizeof *a);
        size_t allowed = 0;
        for (int32_t id = 0; id < (int32_t)words * 32; id++) allowed += a[id / 32] >> id % 32 & 1;
        if (!allowed) break;
        size_t take = below(&random, (unsigned)allowed);
        int32_t id = 0;
        while (!(a[id / 32] >> id % 32 & 1) || take--) id++;
        ck_ok(cud_matcher_token(first[i], id, &err));
        ck_ok(cud_matcher_token(second[i], id, &err));
    }
    cuddle_grammar_info info = { .struct_size = sizeof info }, other = { .struct_size = sizeof info };
    ck_ok(cuddle_grammar_get_info(small, &info, &err));
    ck_ok(cuddle_grammar_get_info(large, &other, &err));
    ck_assert_uint_le(info.state_bytes, 150000);
    ck_assert_uint_gt(other.state_bytes, 150000); /* so that something was thrown away */
    for (int i = 0; i < 3; i++) cud_matcher_free(first[i]), cud_matcher_free(second[i]);
    free(a);
    free(b);
    cuddle_grammar_free(small);
    cuddle_grammar_free(large);
}
END_TEST

START_TEST(tokens_without_bytes_of_their_own_are_refused)
{
    static const char *const cases[][2] = { { "tokenizers/bert", "WordPiece" }, { "tokenizers/ctc", "CTC" }, { "tokenizers/decoder-none", "Join" }, { "tokenizers/decoder-regex", "Replace" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_tokenizer *t = NULL;
        cuddle_grammar *g = NULL;
        ck_ok(cud_tokenizer_load(&t, test_path(cases[i][0]), &err));
        test_expect_failure(cuddle_grammar_compile(&g, t, NULL, &err), CUDDLE_E_UNSUPPORTED, &err);
        ck_assert_msg(strstr(err.text, cases[i][1]) != NULL, "%s: %s", cases[i][0], err.text);
        cud_tokenizer_free(t);
        err = (cuddle_error){ 0 };
    }
}
END_TEST

START_TEST(a_first_token_keeps_its_spaces_only_behind_text)
{
    cuddle_tokenizer *t = NULL;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options o;
    cud_matcher *m = NULL;
    ck_ok(cud_tokenizer_load(&t, test_path("tokenizers/llama-spm"), &err));
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = " ?t.*";
    o.length = strlen(o.source);
    ck_ok(cuddle_grammar_compile(&g, t, &o, &err));
    const size_t words = ((size_t)cud_tokenizer_size(t) + 31) / 32;
    uint32_t *mask = calloc(words, sizeof *mask);
    const int32_t spaced = cud_tokenizer_id(t, "\xe2\x96\x81t");
    ck_assert_int_ge(spaced, 0);
    for (int after = 0; after < 2; after++) {
        ck_ok(cud_matcher_new(&m, g, after, &err));
        ck_ok(cud_matcher_mask(mask, words, m, &err));
        ck_assert_int_eq(mask[spaced / 32] >> spaced % 32 & 1, after);
        cud_matcher_free(m);
    }
    free(mask);
    cuddle_grammar_free(g);
    cud_tokenizer_free(t);
}
END_TEST

START_TEST(a_grammar_outlives_its_tokenizer_and_its_handle)
{
    cuddle_tokenizer *t = NULL;
    cuddle_grammar *g = NULL;
    cud_matcher *m = NULL;
    size_t taken;
    ck_ok(cud_tokenizer_load(&t, test_path("models/kjv-gpt2"), &err));
    ck_ok(cuddle_grammar_compile(&g, t, NULL, &err));
    ck_ok(cud_grammar_check(g, kjv, &err)); /* another object of the same files */
    cud_tokenizer_free(t);
    ck_ok(cud_matcher_new(&m, g, true, &err));
    cuddle_grammar_free(g);
    ck_ok(cud_matcher_bytes(&taken, m, "{}", 2, &err));
    ck_assert(taken == 2 && cud_matcher_accepts(m) && cud_matcher_is_over(m));
    cud_matcher_free(m);
    ck_ok(cud_tokenizer_load(&t, test_path("tokenizers/gpt2"), &err));
    ck_ok(cuddle_grammar_compile(&g, t, NULL, &err));
    test_expect_failure(cud_grammar_check(g, kjv, &err), CUDDLE_E_ARG, &err);
    cuddle_grammar_free(g);
    cud_tokenizer_free(t);
}
END_TEST

static const char chaos_schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":70}]},\"b\":{\"anyOf\":[{\"enum\":[\"x\",1]},{\"type\":\"string\",\"pattern\":\"^[a-c]+$\"}]}},"
                                   "\"required\":[\"a\"],\"additionalProperties\":{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}]}}";

START_TEST(any_allocation_may_fail)
{
    static const char *const sources[] = { chaos_schema, "root ::= a* [^x] \"t\\n\"{2,3}\na ::= \"(\" root \")\" | [0-9]+" };
    const size_t words = ((size_t)cud_tokenizer_size(kjv) + 31) / 32;
    uint32_t *mask = calloc(words, sizeof *mask);
    for (int kind = 0; kind < 2; kind++) {
        bool done = false;
        long failed = 0;
        for (long n = 1; !done && n < 100000; n++) {
            cuddle_grammar_options o;
            cuddle_grammar *g = NULL;
            cud_matcher *m = NULL;
            cuddle_error why = { 0 };
            size_t taken;
            cuddle_grammar_options_init(&o, sizeof o);
            o.kind = kind ? CUDDLE_GRAMMAR_GBNF : CUDDLE_GRAMMAR_JSON_SCHEMA;
            o.source = sources[kind];
            o.length = strlen(o.source);
            test_fail_allocation(n, false);
            cuddle_status status = cuddle_grammar_compile(&g, kjv, &o, &why);
            if (!status) status = cud_matcher_new(&m, g, true, &why);
            if (!status) status = cud_matcher_mask(mask, words, m, &why);
            if (!status) status = cud_matcher_bytes(&taken, m, kind ? "1" : "{\"a\":4", kind ? 1 : 6, &why);
            if (!status) status = cud_matcher_mask(mask, words, m, &why);
            done = test_fail_allocation(0, false) < n;
            ck_assert_msg(status == CUDDLE_OK || status == CUDDLE_E_NOMEM, "%ld: %d %s", n, (int)status, why.text);
            failed += status == CUDDLE_E_NOMEM;
            if (done) ck_assert_int_eq(status, CUDDLE_OK);
            cud_matcher_free(m);
            cuddle_grammar_free(g);
        }
        ck_assert(done && failed > 20);
    }
    free(mask);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("grammar");
    TCase *tc = tcase_create("grammar");
    tcase_add_unchecked_fixture(tc, load, unload);
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, follows_each_notation);
    tcase_add_test(tc, takes_one_of_the_choices);
    tcase_add_loop_test(tc, integers_are_within_their_bounds, 0, sizeof limits / sizeof *limits);
    tcase_add_test(tc, objects_have_what_is_required_and_what_is_allowed);
    tcase_add_test(tc, regular_expressions_mean_what_pcre2_takes_them_for);
    tcase_add_test(tc, json_is_what_jansson_takes);
    tcase_add_test(tc, schemas_take_what_is_valid);
    tcase_add_loop_test(tc, refuses_with_a_sentence, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, hostile_sources_meet_a_limit);
    tcase_add_test(tc, texts_of_which_too_much_must_be_kept_meet_a_limit);
    tcase_add_test(tc, repetitions_cost_no_memory);
    tcase_add_test(tc, nesting_is_bounded_and_always_comes_to_an_end);
    tcase_add_loop_test(tc, tokens_have_the_bytes_that_decoding_gives, 0, sizeof tokenizers / sizeof *tokenizers);
    tcase_add_loop_test(tc, masks_hold_what_each_token_by_itself_would, 0, 6 * sizeof tokenizers / sizeof *tokenizers);
    tcase_add_test(tc, throwing_away_what_is_kept_changes_nothing);
    tcase_add_test(tc, tokens_without_bytes_of_their_own_are_refused);
    tcase_add_test(tc, a_first_token_keeps_its_spaces_only_behind_text);
    tcase_add_test(tc, a_grammar_outlives_its_tokenizer_and_its_handle);
    tcase_add_test(tc, any_allocation_may_fail);
    suite_add_tcase(s, tc);
    return test_run(s);
}
