/* NFC, NFD, NFKC, NFKD, with alignment. Characters go through a window that reaches from one starter to the next: decomposed, put
 * into canonical order, composed, each with the "change" of the reference implementation (see cud_change()). */
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>

typedef struct form {
    bool compatibility, compose;
} form;

typedef struct item {
    int32_t c;
    int change;
    int class;
} item;

typedef struct window { /* one starter (if any) and what combines with it */
    item *item;
    size_t count, room;
    item few[32];
} window;

static cuddle_status push(window *n, item it, cuddle_error *err)
{
    if (n->count == n->room) {
        const size_t room = n->room * 2;
        item *grown = room > SIZE_MAX / sizeof *grown ? NULL : realloc(n->item == n->few ? NULL : n->item, room * sizeof *grown);
        if (!grown) return cud_nomem(err, room * sizeof *grown, "Unicode normalization");
        if (n->item == n->few)
            for (size_t i = 0; i < n->count; i++) grown[i] = n->few[i];
        n->item = grown;
        n->room = room;
    }
    n->item[n->count++] = it;
    return CUDDLE_OK;
}

/* Stable sort by class, O(n log n): merges runs of the marks behind the starter. A mark run can be as long as the text. */
static cuddle_status order(item *it, size_t count, cuddle_error *err)
{
    bool sorted = true;
    for (size_t i = 1; i < count; i++) sorted &= it[i - 1].class <= it[i].class;
    if (sorted) return CUDDLE_OK;
    size_t start[256] = { 0 }; /* counting sort: classes are 0 to 254 */
    item *copy = malloc(count * sizeof *copy);
    if (!copy) return cud_nomem(err, count * sizeof *copy, "Unicode normalization");
    for (size_t i = 0; i < count; i++) start[it[i].class + 1]++;
    for (size_t i = 1; i < 256; i++) start[i] += start[i - 1];
    for (size_t i = 0; i < count; i++) copy[start[it[i].class]++] = it[i];
    for (size_t i = 0; i < count; i++) it[i] = copy[i];
    free(copy);
    return CUDDLE_OK;
}

/* The window's marks are in order; composes them into its starter where nothing of the same or a higher class is between. */
static void compose(window *n)
{
    if (!n->count || n->item[0].class != 0) return;
    size_t kept = 1;
    int last = 0; /* class of the last mark that stayed */
    for (size_t i = 1; i < n->count; i++) {
        const item it = n->item[i];
        const int32_t c = kept == 1 || it.class > last ? cud_compose(n->item[0].c, it.c) : 0;
        if (c) {
            n->item[0].c = c;
            n->item[0].change += it.change - 1;
        } else {
            n->item[kept++] = it;
            last = it.class;
        }
    }
    n->count = kept;
}

/* Order, then compose: once per window, because composing changes the starter that later marks are tried against. */
static cuddle_status settle(window *n, const form *f, cuddle_error *err)
{
    const cuddle_status status = n->count > 1 ? order(n->item, n->count, err) : CUDDLE_OK;
    if (!status && f->compose) compose(n);
    return status;
}

static cuddle_status emit(window *n, cud_writer *w)
{
    for (size_t i = 0; i < n->count; i++) cud_change(w, n->item[i].c, n->item[i].change);
    n->count = 0;
    return w->status;
}

/* Every byte below it is of a character that the form leaves as it is: NFC changes nothing below U+0300, the other forms nothing of ASCII. */
static unsigned char plain_limit(const form *f) { return f->compose && !f->compatibility ? 0xcc : 0x80; }

/* Bytes at the beginning of s[0..length) that the form leaves as they are, whatever comes before or behind them: characters that neither change nor
 * compose with one before, but for the last of them, with which what follows may compose. */
static size_t plain_run(const form *f, const char *s, size_t length)
{
    const unsigned char limit = plain_limit(f);
    size_t at = 0, last = 0;
    while (at < length) {
        const unsigned char c = (unsigned char)s[at];
        if (c >= limit) return last;
        last = at;
        at += c < 0x80 ? 1 : 2;
    }
    return length;
}

static cuddle_status form_piece(cud_writer *w, const void *config)
{
    const form *f = config;
    window n = { .room = sizeof n.few / sizeof *n.few };
    n.item = n.few;
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0; !status && at < w->length;) {
        const size_t plain = plain_run(f, w->from + at, w->length - at);
        if (plain) {
            status = settle(&n, f, w->err);
            if (!status) status = emit(&n, w);
            if (!status) cud_keep(w, plain);
            at += plain;
            continue;
        }
        int32_t parts[CUD_DECOMPOSE_MAX];
        size_t size, count = 1;
        parts[0] = cud_utf8_decode(w->from + at, &size);
        if (parts[0] >= 0x80) count = cud_decompose(parts, parts[0], f->compatibility);
        at += size;
        for (size_t i = 0; !status && i < count; i++) {
            const item it = { parts[i], i ? 1 : 0, cud_combining_class(parts[i]) };
            if (it.class == 0 && n.count) {
                status = settle(&n, f, w->err);
                if (status) break;
                /* A starter may compose with the one before it (Hangul, some Indic vowels), if nothing stayed between them. */
                const int32_t both = f->compose && n.count == 1 && n.item[0].class == 0 ? cud_compose(n.item[0].c, it.c) : 0;
                if (both) {
                    n.item[0].c = both;
                    n.item[0].change += it.change - 1;
                    continue;
                }
                status = emit(&n, w);
            }
            if (!status) status = push(&n, it, w->err);
        }
    }
    if (!status) status = settle(&n, f, w->err);
    if (!status) status = emit(&n, w);
    if (!status) status = w->status;
    if (n.item != n.few) free(n.item);
    return status;
}

static cuddle_status form_apply(cud_pieces *p, const form *f, cuddle_error *err)
{
    unsigned char most = 0;
    for (size_t i = 0; i < p->text.length; i++) most = (unsigned char)p->text.bytes[i] > most ? (unsigned char)p->text.bytes[i] : most;
    return most < plain_limit(f) ? CUDDLE_OK : cud_pieces_rewrite(p, form_piece, f, err);
}

static const form nfc = { false, true }, nfd = { false, false }, nfkc = { true, true }, nfkd = { true, false };

static cuddle_status nfc_apply(cud_pieces *p, const void *config, cuddle_error *err) { return (void)config, form_apply(p, &nfc, err); }
static cuddle_status nfd_apply(cud_pieces *p, const void *config, cuddle_error *err) { return (void)config, form_apply(p, &nfd, err); }
static cuddle_status nfkc_apply(cud_pieces *p, const void *config, cuddle_error *err) { return (void)config, form_apply(p, &nfkc, err); }
static cuddle_status nfkd_apply(cud_pieces *p, const void *config, cuddle_error *err) { return (void)config, form_apply(p, &nfkd, err); }

const cud_step_type cud_normalizer_nfc = { { "NFC", NULL, NULL }, nfc_apply };
const cud_step_type cud_normalizer_nfd = { { "NFD", NULL, NULL }, nfd_apply };
const cud_step_type cud_normalizer_nfkc = { { "NFKC", NULL, NULL }, nfkc_apply };
const cud_step_type cud_normalizer_nfkd = { { "NFKD", NULL, NULL }, nfkd_apply };
