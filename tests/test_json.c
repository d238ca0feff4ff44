#include "format/json.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static json_t *root;

static json_view parsed(const char *text)
{
    cud_error_clear(&err);
    ck_ok(cud_json_parse(&root, text, strlen(text), "/some/where/config.json", &err));
    return cud_json_view(root, "/some/where/config.json");
}

static void says(cuddle_status status, const char *sentence)
{
    test_expect_failure(status, CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, sentence);
    cud_error_clear(&err);
}

static void refused(const char *text, size_t size, const char *sentence)
{
    json_t *none = (json_t *)1;
    cud_error_clear(&err);
    const cuddle_status status = cud_json_parse(&none, text, size, "dir/config.json", &err);
    ck_assert_ptr_null(none);
    says(status, sentence);
}
#define REFUSED(text, sentence) refused(text, sizeof(text) - 1, sentence)

START_TEST(gives_every_kind_of_value)
{
    json_view c = parsed(
        "{\"i\": -7, \"x\": 1.5, \"b\": true, \"s\": \"\\u00e4\", \"o\": {\"deep\": {\"i\": 3}}, \"a\": [1, \"two\", {\"i\": 9}]}");
    int64_t i = 0;
    double x = 0;
    bool b = false;
    const char *s = NULL;
    size_t count = 0;
    json_view o, a;
    ck_ok(cud_json_int(&i, &c, "i", CUD_JSON_REQUIRED, -7, -7, &err));
    ck_assert_int_eq(i, -7);
    ck_ok(cud_json_number(&x, &c, "x", CUD_JSON_REQUIRED, -INFINITY, INFINITY, &err));
    ck_assert_double_eq(x, 1.5);
    ck_ok(cud_json_number(&x, &c, "i", CUD_JSON_REQUIRED, -7, 0, &err)); /* an integer is a number */
    ck_assert_double_eq(x, -7);
    ck_ok(cud_json_bool(&b, &c, "b", CUD_JSON_REQUIRED, &err));
    ck_assert(b);
    ck_ok(cud_json_string(&s, &c, "s", CUD_JSON_REQUIRED, &err));
    ck_assert_str_eq(s, "\303\244");
    ck_ok(cud_json_object(&o, &c, "o", CUD_JSON_REQUIRED, &err));
    ck_ok(cud_json_object(&o, &o, "deep", CUD_JSON_REQUIRED, &err)); /* out may be in */
    ck_ok(cud_json_int(&i, &o, "i", CUD_JSON_REQUIRED, 0, 10, &err));
    ck_assert_int_eq(i, 3);
    ck_ok(cud_json_array(&a, &count, &c, "a", CUD_JSON_REQUIRED, &err));
    ck_assert_uint_eq(count, 3);
    json_view e = cud_json_element(&a, 0);
    ck_ok(cud_json_int(&i, &e, NULL, CUD_JSON_REQUIRED, 0, 10, &err));
    ck_assert_int_eq(i, 1);
    e = cud_json_element(&a, 1);
    ck_ok(cud_json_string(&s, &e, NULL, CUD_JSON_REQUIRED, &err));
    ck_assert_str_eq(s, "two");
    e = cud_json_element(&a, 2);
    ck_ok(cud_json_int(&i, &e, "i", CUD_JSON_REQUIRED, 0, 10, &err));
    ck_assert_int_eq(i, 9);
    json_decref(root);
}
END_TEST

START_TEST(says_what_was_found_and_expected)
{
    json_view c = parsed("{\"n\": \"12\", \"big\": 1025, \"x\": 2.5, \"null\": null, \"o\": {\"k\": []}, \"list\": [[1], false]}"),
              o, a, e;
    int64_t i = 42;
    double x = 42;
    bool b = true;
    const char *s = "default";
    size_t count;
    says(cud_json_int(&i, &c, "n", 0, 1, 1024, &err), "config.json: \"n\" is \"12\", expected an integer from 1 to 1024");
    says(cud_json_int(&i, &c, "big", 0, 1, 1024, &err), "config.json: \"big\" is 1025, expected an integer from 1 to 1024");
    says(cud_json_int(&i, &c, "big", 0, 2000, INT64_MAX, &err), "config.json: \"big\" is 1025, expected an integer of at least 2000");
    says(cud_json_int(&i, &c, "big", 0, INT64_MIN, 0, &err), "config.json: \"big\" is 1025, expected an integer of at most 0");
    says(cud_json_int(&i, &c, "x", 0, INT64_MIN, INT64_MAX, &err), "config.json: \"x\" is 2.5, expected an integer");
    says(cud_json_int(&i, &c, "none", 0, 1, 2, &err), "config.json: \"none\" is missing, expected an integer from 1 to 2");
    says(cud_json_int(&i, &c, "null", 0, 1, 2, &err), "config.json: \"null\" is null, expected an integer from 1 to 2");
    says(cud_json_int(&i, &c, "null", CUD_JSON_OPTIONAL, 1, 2, &err), "config.json: \"null\" is null, expected an integer from 1 to 2");
    says(cud_json_number(&x, &c, "x", 0, 0, 1, &err), "config.json: \"x\" is 2.5, expected a number from 0.0 to 1.0");
    says(cud_json_number(&x, &c, "x", 0, 3, INFINITY, &err), "config.json: \"x\" is 2.5, expected a number of at least 3.0");
    says(cud_json_number(&x, &c, "x", 0, -INFINITY, 1e-5, &err), "config.json: \"x\" is 2.5, expected a number of at most 1e-5");
    says(cud_json_number(&x, &c, "n", 0, -INFINITY, INFINITY, &err), "config.json: \"n\" is \"12\", expected a number");
    says(cud_json_bool(&b, &c, "big", 0, &err), "config.json: \"big\" is 1025, expected true or false");
    says(cud_json_string(&s, &c, "o", 0, &err), "config.json: \"o\" is an object, expected a string");
    says(cud_json_object(&o, &c, "list", 0, &err), "config.json: \"list\" is an array, expected an object");
    says(cud_json_array(&a, &count, &c, "o", 0, &err), "config.json: \"o\" is an object, expected an array");
    ck_ok(cud_json_object(&o, &c, "o", 0, &err));
    says(cud_json_int(&i, &o, "k", 0, 0, 1, &err), "config.json: \"o.k\" is an array, expected an integer from 0 to 1");
    says(cud_json_int(&i, &o, "l", 0, 0, 1, &err), "config.json: \"o.l\" is missing, expected an integer from 0 to 1");
    ck_ok(cud_json_array(&a, &count, &c, "list", 0, &err));
    e = cud_json_element(&a, 1);
    says(cud_json_int(&i, &e, NULL, 0, 0, 1, &err), "config.json: \"list[1]\" is false, expected an integer from 0 to 1");
    e = cud_json_element(&a, 0);
    ck_ok(cud_json_array(&a, &count, &e, NULL, 0, &err));
    e = cud_json_element(&a, 0);
    says(cud_json_string(&s, &e, NULL, 0, &err), "config.json: \"list[0][0]\" is 1, expected a string");
    says(cud_json_wrong(&c, "n", &err, CUDDLE_E_FORMAT, "one of %s", "\"a\", \"b\""),
         "config.json: \"n\" is \"12\", expected one of \"a\", \"b\"");
    ck_assert_int_eq(i, 42); /* untouched by failures */
    ck_assert_double_eq(x, 42);
    ck_assert_str_eq(s, "default");
    json_decref(root);
}
END_TEST

START_TEST(keeps_the_default_of_what_is_absent)
{
    json_view c = parsed("{\"null\": null}"), o, a;
    int64_t i = 42;
    double x = 42;
    bool b = true;
    const char *s = "default";
    size_t count = 9;
    ck_ok(cud_json_int(&i, &c, "none", CUD_JSON_OPTIONAL, 0, 1, &err));
    ck_ok(cud_json_int(&i, &c, "null", CUD_JSON_NULLABLE, 0, 1, &err));
    ck_ok(cud_json_int(&i, &c, "none", CUD_JSON_NULLABLE, 0, 1, &err));
    ck_ok(cud_json_number(&x, &c, "null", CUD_JSON_NULLABLE, 0, 1, &err));
    ck_ok(cud_json_bool(&b, &c, "none", CUD_JSON_OPTIONAL, &err));
    ck_ok(cud_json_string(&s, &c, "null", CUD_JSON_NULLABLE, &err));
    ck_ok(cud_json_object(&o, &c, "null", CUD_JSON_NULLABLE, &err));
    ck_ok(cud_json_array(&a, &count, &c, "none", CUD_JSON_OPTIONAL, &err));
    ck_assert_int_eq(i, 42);
    ck_assert_double_eq(x, 42);
    ck_assert(b);
    ck_assert_str_eq(s, "default");
    ck_assert_ptr_null(o.value);
    ck_assert_ptr_null(a.value);
    ck_assert_uint_eq(count, 0);
    ck_ok(cud_json_int(&i, &o, "k", CUD_JSON_OPTIONAL, 0, 1, &err)); /* a member of an absent object is absent */
    says(cud_json_int(&i, &o, "k", CUD_JSON_REQUIRED, 0, 1, &err),
         "config.json: \"null.k\" is missing, expected an integer from 0 to 1");
    ck_assert(!cud_json_has(&c, "null") && !cud_json_has(&c, "none") && !cud_json_has(&o, "k"));
    json_decref(root);
    c = parsed("{\"k\": false}");
    ck_assert(cud_json_has(&c, "k"));
    json_decref(root);
}
END_TEST

START_TEST(integers_beyond_int64_become_reals)
{
    json_view c =
        parsed("{\"model_max_length\": 1000000000000000019884624838656, \"max\":9223372036854775807,\"min\":-9223372036854775808,"
               "\"above\":9223372036854775808,\"below\":-9223372036854775809, \"s\": \"9999999999999999999999 \\\" "
               "9999999999999999999999\","
               "\"real\": 99999999999999999999.5, \"e\": 99999999999999999999e2}");
    int64_t i = 0;
    double x = 0;
    const char *s = NULL;
    ck_ok(cud_json_number(&x, &c, "model_max_length", 0, 0, INFINITY, &err));
    ck_assert_double_eq_tol(x / 1e30, 1.0, 1e-15);
    says(cud_json_int(&i, &c, "model_max_length", 0, 1, 10, &err),
         "config.json: \"model_max_length\" is 1e30, expected an integer from 1 to 10");
    ck_ok(cud_json_int(&i, &c, "max", 0, 0, INT64_MAX, &err));
    ck_assert_int_eq(i, INT64_MAX);
    ck_ok(cud_json_int(&i, &c, "min", 0, INT64_MIN, 0, &err));
    ck_assert_int_eq(i, INT64_MIN);
    ck_ok(cud_json_number(&x, &c, "above", 0, 0, INFINITY, &err));
    ck_assert_double_eq(x, 0x1p63);
    ck_ok(cud_json_number(&x, &c, "below", 0, -INFINITY, 0, &err));
    ck_assert_double_eq(x, -0x1p63);
    ck_ok(cud_json_string(&s, &c, "s", 0, &err));
    ck_assert_str_eq(s, "9999999999999999999999 \" 9999999999999999999999");
    ck_ok(cud_json_number(&x, &c, "real", 0, 0, INFINITY, &err));
    ck_assert_double_eq(x, 1e20);
    ck_ok(cud_json_number(&x, &c, "e", 0, 0, INFINITY, &err));
    ck_assert_double_eq(x, 1e22);
    json_decref(root);
}
END_TEST

START_TEST(refuses_malformed_files_by_byte)
{
    REFUSED("", "config.json: the file is empty, expected an object");
    REFUSED("{\n\n\"a\":}", "config.json: byte 7: found '}', expected a JSON value");
    REFUSED("{\"a\":1,\n\"a\":2}", "config.json: byte 8: the key \"a\" is there twice");
    REFUSED("{\"b\":{\"a\":1},\"a\":2,\"b\":3}", "config.json: byte 19: the key \"b\" is there twice");
    REFUSED("[1]", "config.json: is an array, expected an object");
    REFUSED("\"x\"", "config.json: is \"x\", expected an object");
    REFUSED("null", "config.json: is null, expected an object");
    REFUSED("{} {}", "config.json: byte 3: found '{', expected nothing after the root value");
    REFUSED("{}\0", "config.json: byte 2: found byte 0x00, expected nothing after the root value");
    REFUSED("{\n\"a\": 1\0}", "config.json: byte 8: found byte 0x00, expected ',' or '}'");
    REFUSED("{\"a\": NaN}", "config.json: byte 6: found 'N', expected a JSON value");
    REFUSED("{\"a\": Infinity}", "config.json: byte 6: found 'I', expected a JSON value");
    REFUSED("{\"a\": 1e999}", "config.json: byte 6: a number is 10^308 or more");
    REFUSED("{\"a\": -1e999}", "config.json: byte 6: a number is 10^308 or more");
    REFUSED("{\"a\": 01}", "config.json: byte 6: a number begins with a superfluous 0");
    REFUSED("{\"a\": \"\\u0000\"}", "config.json: byte 6: a string holds a U+0000");
    REFUSED("{\"a\\u0000b\": 1}", "config.json: byte 1: a string holds a U+0000");
    REFUSED("\xef\xbb\xbf{}", "config.json: byte 0: found byte 0xef, expected a JSON value");
    REFUSED("{\"a\": \"\xff\"}", "config.json: byte 7: found byte 0xff, expected valid UTF-8");
}
END_TEST

START_TEST(bounds_depth_and_size)
{
    const size_t depth = 100000;
    char *deep = malloc(depth + 5);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', depth);
    json_t *none;
    cud_error_clear(&err);
    test_expect_failure(cud_json_parse(&none, deep, depth + 5, "config.json", &err), CUDDLE_E_FORMAT, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "nested more than 127 deep"));
    char path[512];
    snprintf(path, sizeof path, "%s/deep.json", test_temp_dir());
    test_write_file(path, deep, depth);
    free(deep);
    cud_error_clear(&err);
    test_expect_failure(cud_json_load(&none, path, depth - 1, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "deep.json: has 100000 bytes, at most 99999 are read");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(loads_files)
{
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", test_temp_dir());
    test_write_file(path, "{\"a\": 1}\n", 9);
    cud_error_clear(&err);
    ck_ok(cud_json_load(&root, path, 9, &err));
    json_decref(root);
    test_fail_read(1, TEST_READ_EIO);
    test_expect_failure(cud_json_load(&root, path, CUD_JSON_MAX, &err), CUDDLE_E_IO, &err);
    test_fail_read(0, TEST_READ_OK);
    cud_error_clear(&err);
    test_expect_failure(cud_json_load(&root, "/nowhere/config.json", CUD_JSON_MAX, &err), CUDDLE_E_IO, &err);
    ck_assert_str_eq(err.text, "/nowhere/config.json: No such file or directory");
    const char large[] = "{\"first_key_of_some_length\": \"a value that does not fit into a buffer of sixteen bytes\", \"b\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"
                         "{\"x\": 1.5}], \"c\": 1, \"d\": 2, \"e\": 3, \"f\": 4, \"g\": 5, \"h\": 6, \"i\": 7, \"j\": true, \"k\": null, \"l\": \"\"}";
    test_write_file(path, large, sizeof large - 1); /* larger than what jansson's containers begin with */
    long n = 1;
    for (;; n++) {
        cud_error_clear(&err);
        test_fail_allocation(n, false);
        const cuddle_status status = cud_json_load(&root, path, CUD_JSON_MAX, &err);
        test_fail_allocation(0, false);
        if (!status) break;
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_ptr_null(root);
    }
    ck_assert_int_gt((int)n, 20);
    ck_assert_uint_eq(json_object_size(root), 12);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "b")), 11);
    json_decref(root);
}
END_TEST

START_TEST(cuts_long_values_at_characters)
{
    json_view c = parsed("{\"k\": \"0123456789012345678901234567890123456789012345\303\244\303\244\303\244\", "
                         "\"a_very_long_key_indeed_which_goes_on_and_on_and_on_and_never_seems_to_end\": 1}");
    int64_t i;
    says(cud_json_int(&i, &c, "k", 0, 0, 1, &err),
         "config.json: \"k\" is \"0123456789012345678901234567890123456789012345\303\244...\", expected an integer from 0 to 1");
    says(cud_json_int(&i, &c, "a_very_long_key_indeed_which_goes_on_and_on_and_on_and_never_seems_to_end", 0, 0, 0, &err),
         "config.json: \"a_very_long_key_indeed_which_goes_on_and_on_an\" is 1, expected an integer from 0 to 0");
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, gives_every_kind_of_value);
    tcase_add_test(tc, says_what_was_found_and_expected);
    tcase_add_test(tc, keeps_the_default_of_what_is_absent);
    tcase_add_test(tc, integers_beyond_int64_become_reals);
    tcase_add_test(tc, refuses_malformed_files_by_byte);
    tcase_add_test(tc, bounds_depth_and_size);
    tcase_add_test(tc, loads_files);
    tcase_add_test(tc, cuts_long_values_at_characters);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
