/* The Precompiled normalizer with any map on any text, beside the plainest reading of the map there is. Most of a map is zeros, so it comes as
 *   2 bytes   how many units of 4 bytes the trie has, in the lower 9 bits; bit 15: it claims to have twice as many
 *   1 byte    how many of them are given: 2 bytes where, 4 bytes what
 *   1 byte    length of the pool of replacements, which follows
 * and the rest is the text. */
#include "text/graphemes.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

typedef struct map { /* the bytes of a "precompiled_charsmap" */
    uint8_t bytes[4 + 512 * 4 + 256];
    size_t size, units;
} map;

static size_t take(const uint8_t **data, size_t *size, size_t bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes && *size; i++, ++*data, --*size) value |= (size_t)**data << 8 * i;
    return value;
}

static void read_map(map *m, const uint8_t **data, size_t *size)
{
    *m = (map){ .units = 0 };
    const size_t head = take(data, size, 2), given = take(data, size, 1), pool = take(data, size, 1);
    m->units = head & 0x1ff;
    const size_t claim = m->units * 4 * (head >> 15 ? 2 : 1);
    for (int i = 0; i < 4; i++) m->bytes[i] = (uint8_t)(claim >> 8 * i);
    for (size_t i = 0; i < given; i++) {
        const size_t at = take(data, size, 2), value = take(data, size, 4);
        for (int k = 0; k < 4 && m->units; k++) m->bytes[4 + at % m->units * 4 + (size_t)k] = (uint8_t)(value >> 8 * k);
    }
    m->size = 4 + m->units * 4;
    const size_t more = pool < *size ? pool : *size;
    memcpy(m->bytes + m->size, *data, more);
    *data += more, *size -= more;
    m->size += more;
    if (claim <= m->size - 4) m->units = claim / 4; /* else it must be refused */
}

static json_t *component_of(const map *m)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[(sizeof m->bytes + 2) / 3 * 4 + 1], *to = text;
    for (size_t i = 0; i < m->size; i += 3) {
        const size_t left = m->size - i;
        const unsigned bits = (unsigned)m->bytes[i] << 16 | (left > 1 ? (unsigned)m->bytes[i + 1] << 8 : 0) | (left > 2 ? m->bytes[i + 2] : 0);
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[bits & 63] : '=';
    }
    *to = 0;
    return json_pack("{s:s,s:s}", "type", "Precompiled", "precompiled_charsmap", text);
}

/* Where the pool has the replacement of the shortest beginning of text[0..length) that is in the map; -1: none is; -2: the map is broken. */
static long look_up(const map *m, const char *text, size_t length)
{
    const size_t pool_size = m->size - 4 - m->units * 4;
    uint32_t node = 0;
    for (size_t i = 0; i <= length; i++) {
        if (!m->units) return -2;
        if (node >= m->units) return -2;
        const uint8_t *b = m->bytes + 4 + (size_t)node * 4;
        const uint32_t unit = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        const uint32_t offset = unit & 512 ? unit >> 10 << 8 : unit >> 10;
        if (i > 0 && (unit & 0x800000ff) != (unsigned char)text[i - 1]) return -1;
        if (i > 0 && unit & 256) {
            const uint32_t leaf = node ^ offset;
            if (leaf >= m->units) return -2;
            const uint8_t *v = m->bytes + 4 + (size_t)leaf * 4;
            const size_t at = v[0] | (uint32_t)v[1] << 8 | (uint32_t)v[2] << 16 | (uint32_t)(v[3] & 0x7f) << 24;
            if (at > pool_size || (at < pool_size && (m->bytes[m->size - pool_size + at] & 0xc0) == 0x80)) return -2;
            return (long)at;
        }
        if (i == length || !text[i]) return -1;
        node = node ^ offset ^ (unsigned char)text[i];
    }
    return -1;
}

/* What the text becomes, written to `out`; false: the map is broken. Clusters of 6 bytes and more are not looked up as a whole. */
static bool expect(cud_bytes *out, const map *m, const char *text, size_t length)
{
    const char *pool = (const char *)m->bytes + 4 + m->units * 4;
    const size_t pool_size = m->size - 4 - m->units * 4;
    for (size_t at = 0, cluster; at < length; at += cluster) {
        cluster = cud_grapheme_length(text + at, length - at);
        const long whole = cluster < 6 ? look_up(m, text + at, cluster) : -1;
        if (whole == -2) return false;
        if (whole >= 0) require(!cud_bytes_add(out, pool + whole, strnlen(pool + whole, pool_size - (size_t)whole), NULL));
        for (size_t i = 0, one; i < cluster && whole < 0; i += one) {
            cud_utf8_decode(text + at + i, &one);
            const long single = look_up(m, text + at + i, one);
            if (single == -2) return false;
            if (single < 0) require(!cud_bytes_add(out, text + at + i, one, NULL));
            else require(!cud_bytes_add(out, pool + single, strnlen(pool + single, pool_size - (size_t)single), NULL));
        }
    }
    return true;
}

static void check(const map *m, const char *text, size_t length)
{
    const cud_step_type *type = &cud_normalizer_precompiled;
    cuddle_error err = { CUDDLE_OK, "" };
    json_t *json = component_of(m);
    const cud_part part = { .json = cud_json_view(json, "tokenizer.json"), .type = "Precompiled", .label = "normalizer \"Precompiled\"" };
    void *config = NULL;
    cud_pieces p = { .count = 0 };
    cud_bytes expected = { .used = 0 };
    cuddle_status status = type->base.parse(&config, &part, &err);
    require(status == err.status && (status == CUDDLE_OK) == (config != NULL));
    if (config && cud_utf8_valid(text, length) == length) {
        require(!cud_pieces_set(&p, text, length, NULL));
        status = type->apply(&p, config, &err);
        require(status == err.status && (status == CUDDLE_OK) == expect(&expected, m, text, length));
        for (size_t i = 0; !status && i < p.text.length; i++) {
            require(p.text.align[i].begin <= p.text.align[i].end && p.text.align[i].end <= length);
            require(i == 0 || p.text.align[i - 1].begin <= p.text.align[i].begin);
        }
        if (!status) require(p.text.length == expected.used && (!expected.used || memcmp(p.text.bytes, expected.data, expected.used) == 0));
    }
    if (config) type->base.free(config);
    cud_pieces_free(&p);
    free(expected.data);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    map m;
    read_map(&m, &data, &size);
    check(&m, (const char *)data, size);
    return 0;
}
