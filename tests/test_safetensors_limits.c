/* Headers and indexes that are made to cost much: what is allocated stays below what safetensors.h says for each byte of the file, and
 * nothing is left when it is over. */
#include "format/checkpoint.h"
#include "format/safetensors.h"
#include "format/shard_index.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LARGE = 9000000 }; /* it would take long, and nothing else would be seen */
#else
enum { LARGE = 90000000 };
#endif
enum { SMALL = 1 << 20 };

/* The shortest distinct key number n, of characters that need no escape. */
static size_t put_key(char *at, uint64_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&'()*+,-./:;<=>?@[]^_`{|}~ ";
    const uint64_t base = sizeof digits - 1;
    size_t length = 0;
    for (n++; n > 0; n = (n - 1) / base) at[length++] = digits[(n - 1) % base];
    return length;
}

/* One unit of a shape, number n; a comma follows. */
static size_t put_tensor(char *at, uint64_t n)
{
    size_t length = 1 + put_key(at + 1, n);
    at[0] = '"';
    return length + (size_t)sprintf(at + length, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},");
}

/* Each a byte long and the last one first: they have to be sorted. */
static uint64_t backwards_from;
static size_t put_backwards(char *at, uint64_t n)
{
    size_t length = 1 + put_key(at + 1, n);
    const uint64_t end = backwards_from - n;
    at[0] = '"';
    return length + (size_t)sprintf(at + length, "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]},", end - 1, end);
}

static size_t put_pair(char *at, uint64_t n)
{
    const size_t length = 1 + put_key(at + 1, n);
    at[0] = '"';
    memcpy(at + length, "\":\"\",", 5);
    return length + 5;
}

static size_t put_field(char *at, uint64_t n)
{
    const size_t length = 1 + put_key(at + 1, n);
    at[0] = '"';
    memcpy(at + length, "\":0,", 4);
    return length + 4;
}

static size_t put_mapping(char *at, uint64_t n)
{
    const size_t length = 1 + put_key(at + 1, n);
    at[0] = '"';
    memcpy(at + length, "\":\"s\",", 6);
    return length + 6;
}

static size_t put_text(char *at, const char *text) { return (size_t)(stpcpy(at, text) - at); }
static size_t put_escape(char *at, uint64_t n) { return (void)n, put_text(at, "\\u00e4"); }
static size_t put_name(char *at, uint64_t n) { return (void)n, put_text(at, "n"); }
static size_t put_digit(char *at, uint64_t n) { return (void)n, put_text(at, "7"); }
static size_t put_space(char *at, uint64_t n) { return (void)n, put_text(at, " "); }
static size_t put_size(char *at, uint64_t n) { return (void)n, put_text(at, "1,"); }
static size_t put_open(char *at, uint64_t n) { return (void)n, put_text(at, "["); }
static size_t put_same(char *at, uint64_t n) { return (void)n, put_text(at, "\"a\":\"\","); }

static size_t put_nest(char *at, uint64_t n)
{
    (void)n;
    memset(at, '[', 120);
    memset(at + 120, ']', 120);
    at[240] = ',';
    return 241;
}

#define T "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]"
static const struct shape {
    const char *name, *before;
    size_t (*put)(char *at, uint64_t n);
    const char *after; /* in the place of the last comma, if `put` ends in one */
    cuddle_status status;
    const char *sentence; /* its end */
} shapes[] = {
    { "tensors", "{", put_tensor, "}", CUDDLE_OK, "" },
    { "tensors that must be sorted", "{", put_backwards, "}", CUDDLE_OK, "" },
    { "pairs of metadata", "{\"__metadata__\":{", put_pair, "}}", CUDDLE_OK, "" },
    { "unknown fields", "{\"a\":" T ",", put_field, "}}", CUDDLE_OK, "" },
    { "a long name", "{\"", put_name, "\":" T "}}", CUDDLE_OK, "" },
    { "a long name of escapes", "{\"", put_escape, "\":" T "}}", CUDDLE_OK, "" },
    { "a long number", "{\"a\":" T ",\"x\":", put_digit, "}}", CUDDLE_E_FORMAT, "a number is 10^308 or more" },
    { "a long offset", "{\"a\":{\"data_offsets\":[0,", put_digit, "]}}", CUDDLE_E_FORMAT, "a number is 10^308 or more" },
    { "spaces", "{", put_space, "}", CUDDLE_OK, "" },
    { "a high rank", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[", put_size, "]}}", CUDDLE_E_UNSUPPORTED, " is not supported, at most 8" },
    { "arrays 120 deep, many", "{\"a\":" T ",\"x\":[", put_nest, "]}}", CUDDLE_OK, "" },
    { "arrays one in another", "{\"a\":" T ",\"x\":[", put_open, "]}}", CUDDLE_E_FORMAT, "objects and arrays are nested more than 127 deep" },
    { "tensors that are cut off", "{", put_tensor, "", CUDDLE_E_FORMAT, "found the end, expected ',' or '}'" },
    { "one key again and again", "{\"__metadata__\":{", put_same, "}}", CUDDLE_E_FORMAT, "__metadata__ has the key \"a\" twice" },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* About `size` bytes of it, behind `head` free ones; *units is how often `put` may be called, and was. */
static char *make(const struct shape *s, size_t head, size_t size, size_t *length, uint64_t *units)
{
    char *text = malloc(head + size + 1024), *at = text + head;
    ck_assert_ptr_nonnull(text);
    at += put_text(at, s->before);
    uint64_t n = 0;
    while (n < *units && (size_t)(at - text) < head + size - 512) at += s->put(at, n++);
    if (at[-1] == ',') at--;
    at += put_text(at, s->after);
    *length = (size_t)(at - text) - head;
    *units = n;
    return text;
}

/* The shape as a file in memory. The data of tensors that have some is not there: `size` of the source says so, and it is not read. */
static source *make_source(const struct shape *s, size_t size, char **file, size_t *header)
{
    uint64_t units = UINT32_MAX;
    source *src;
    if (s->put == put_backwards) { /* how many fit tells where the first one lies */
        backwards_from = units;
        free(make(s, 8, size, header, &units));
        backwards_from = units;
    }
    *file = make(s, 8, size, header, &units);
    for (int i = 0; i < 8; i++) (*file)[i] = (char)((uint64_t)*header >> 8 * i & 0xff);
    ck_ok(cud_source_open_memory(&src, *file, 8 + *header, "memory", &err));
    if (s->put == put_backwards) src->size += units;
    return src;
}

static void stays_within(const struct shape *s, size_t size)
{
    char *file;
    size_t header;
    st_file f;
    cud_error_clear(&err);
    source *src = make_source(s, size, &file, &header);
    test_count_memory();
    const cuddle_status status = cud_safetensors_read_header(&f, src, &err);
    cud_safetensors_free(&f);
    const test_memory m = test_counted_memory();
    ck_assert_msg(status == s->status, "%s: %s %s", s->name, cuddle_status_name(status), err.text);
    const size_t length = strlen(err.text), end = strlen(s->sentence);
    ck_assert_msg(length >= end && strcmp(err.text + length - end, s->sentence) == 0, "%s: %s", s->name, err.text);
    ck_assert_msg(m.peak <= (long long)(CUD_SAFETENSORS_MEMORY * header + CUD_SAFETENSORS_MEMORY_LEAST), "%s: %lld bytes for a header of %zu", s->name,
                  m.peak, header);
    ck_assert_int_ge(m.peak, (long long)header); /* it was counted */
    ck_assert_int_eq(m.now, 0);
    cud_source_close(src);
    free(file);
}

START_TEST(headers_stay_within_their_memory)
{
    static const size_t sizes[] = { 1000, 5000, 70000, SMALL, 3 * SMALL / 2 }; /* arrays that double are fullest just before, emptiest just after */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        stays_within(&shapes[_i], sizes[i]);
}
END_TEST

/* The shape that costs most, in 90 MB. */
START_TEST(a_header_of_nearly_the_largest_size_stays_within_its_memory) { stays_within(&shapes[2], LARGE); }
END_TEST

START_TEST(an_index_stays_within_its_memory)
{
    static const struct shape mapping = { "mappings", "{\"weight_map\":{", put_mapping, "}}", CUDDLE_OK, "" };
    size_t length;
    uint64_t units = UINT32_MAX;
    source *src;
    shard_index x;
    char *text = make(&mapping, 0, 3 * SMALL, &length, &units);
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&src, text, length, "index.json", &err));
    test_count_memory();
    ck_ok(cud_shard_index_read(&x, src, &err));
    ck_assert_uint_eq(x.count, units);
    cud_shard_index_free(&x);
    const test_memory m = test_counted_memory();
    ck_assert_int_le(m.peak, (long long)(CUD_SAFETENSORS_MEMORY * length + CUD_SAFETENSORS_MEMORY_LEAST));
    ck_assert_int_ge(m.peak, (long long)length);
    ck_assert_int_eq(m.now, 0);
    cud_source_close(src);
    free(text);
}
END_TEST

/* What its length promises is not allocated before the file is seen to be as long. */
START_TEST(a_promised_header_costs_nothing)
{
    source *src;
    st_file f;
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&src, "\x00\xe1\xf5\x05\0\0\0\0{}", 10, "memory", &err));
    test_count_memory();
    const cuddle_status status = cud_safetensors_read_header(&f, src, &err);
    ck_assert_int_eq(test_counted_memory().peak, 0);
    test_expect_failure(status, CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "memory: the header's length is 100000000, but only 2 bytes follow it");
    cud_source_close(src);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors_limits");
    TCase *tc = tcase_create("safetensors_limits");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, headers_stay_within_their_memory, 0, SHAPES);
    tcase_add_test(tc, a_header_of_nearly_the_largest_size_stays_within_its_memory);
    tcase_add_test(tc, an_index_stays_within_its_memory);
    tcase_add_test(tc, a_promised_header_costs_nothing);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
